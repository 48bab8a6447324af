/* Publishing, and taking deliveries by their stamps. */

static struct {
    int subscribers;
    uint64_t published, completed, counted_from, passed_over; /* COMPLETED: all subscribers are past it */
    uint64_t next_due_ns;
    int reached[AHEAD_MAX]; /* how many subscribers are past a publication */
} fanout;

static void take_delivery(connection *c, const uint8_t *reply, size_t length) {
    stamp s;
    if (!stamp_find(reply, length, &s)) fail("a delivery without a stamp: %.*s", (int)(length > 300 ? 300 : length), reply);
    if (is_counting) latency_note(now_ns() - s.due_ns), operations++;
    if (s.order <= c->order_seen) return;
    /* A server that conflates leaves some out; whoever has a later one is past them too. */
    if (is_counting) fanout.passed_over += s.order - c->order_seen - 1;
    if (!rate)
        for (uint64_t order = c->order_seen + 1; order <= s.order; order++) fanout.reached[order % AHEAD_MAX]++;
    c->order_seen = s.order;
}

static void publish(uint64_t due_ns) {
    uint64_t order = ++fanout.published;
    fanout.reached[order % AHEAD_MAX] = 0;
    queue_to(&all[0], &requests.all[0], order, (stamp){due_ns, order});
}

static void publish_what_is_due(uint64_t now) {
    if (rate) {
        for (; fanout.next_due_ns <= now; fanout.next_due_ns += NANOSECONDS / rate) publish(fanout.next_due_ns);
    } else {
        while (fanout.completed < fanout.published
               && fanout.reached[(fanout.completed + 1) % AHEAD_MAX] == fanout.subscribers) fanout.completed++;
        while (fanout.published - fanout.completed < (uint64_t)settings.depth) publish(now);
    }
    if (!connection_flush(&all[0])) fail("the server closed the publisher");
}
