/* The subscriber that does not keep up: the last connection, where -S asks for one. */

enum { READ_BYTES = 1 << 16 };

static int is_laggard(const connection *c) { return laggard_share > 0 && c->index == settings.connections - 1; }

static struct {
    uint64_t bytes_read, measure_from;
    uint64_t *newest; /* by key: the highest publication it has received */
    uint64_t backwards;
    int missing, is_closed;
} laggard;

/* Keys take turns, so that a publication's number says which key it is of. */
static void take_late_delivery(connection *c, const uint8_t *reply, size_t length) {
    stamp s;
    (void)c;
    if (!stamp_find(reply, length, &s)) return;
    uint64_t *newest = &laggard.newest[s.order % settings.keys];
    if (s.order < *newest) laggard.backwards++;
    else *newest = s.order;
}

static void read_as_laggard(size_t limit) {
    connection *c = &all[settings.connections - 1];
    ssize_t got = connection_read(c, limit);
    if (got < 0 || (got > 0 && !take_replies(c, take_late_delivery))) laggard.is_closed = 1;
    if (got > 0) laggard.bytes_read += got;
}

/* Reads what the laggard may by now, measured by what the first subscriber has received. */
static void read_for_laggard(void) {
    enum { WORTH_A_READ = 512 };
    uint64_t allowed = (all[1].bytes_received - laggard.measure_from) * laggard_share;
    if (laggard.is_closed || allowed < laggard.bytes_read + WORTH_A_READ) return;
    uint64_t some = allowed - laggard.bytes_read;
    read_as_laggard(some > READ_BYTES ? READ_BYTES : some);
}

static int laggard_missing(void) {
    int missing = 0;
    for (uint64_t order = fanout.published; order && order + settings.keys > fanout.published; order--)
        missing += laggard.newest[order % settings.keys] != order;
    return missing;
}

/* Something that needs no answer. A server that has closed without the laggard knowing, since the end
 * stood behind bytes that it did not read, answers with a reset. */
static void nudge_for_laggard(void) {
    connection *c = &all[settings.connections - 1];
    uint8_t pong[14];
    if (uses_websocket()) buffer_append(&c->out, pong, frame_header(pong, 10, 0));
    else buffer_append(&c->out, "PING\r\n", 6);
    if (send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL) < 0 && errno != EAGAIN) laggard.is_closed = 1;
    c->out.length = 0;
}
