/* What a run has: its connections, and what it has counted so far. */

static connection *all;
static int is_counting;
static uint64_t operations;

static void queue_to(connection *c, const message *m, uint64_t turn, stamp s) {
    message_queue(m, &c->out, c->index, settings.keys, turn, s);
}
