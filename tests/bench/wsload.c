/* wsload: a load generator that is cheaper than the servers it drives.
 *
 *   build   cc -O2 -o wsload wsload.c        (Linux; with -DWSLOAD_ZLIB and -lz for -Z)
 *   usage   wsload [options] MESSAGE...
 *
 * Request mode (default): each connection has DEPTH requests in flight; a reply that comes back is the
 * reply to the oldest of them. MESSAGEs are sent in turn.
 * Fan-out mode (-s): connection 0 publishes MESSAGE, the others subscribe and count what they receive;
 * MESSAGE must carry a stamp (%t). Without -r the publisher keeps DEPTH publications ahead of what all
 * subscribers have received: how much work a delivery is. With -r it publishes at that rate whatever
 * happens, and latency counts from when a publication was due, not from when it could be sent: a
 * server that stalls is charged for everything that had to wait.
 * Resume mode (-R): one connection at a time is opened, sends MESSAGE, and is closed after its reply.
 * Idle mode (-i): opens the connections, waits SECONDS, and says what each takes of the server's memory.
 *
 *   -x PROTOCOL   ws (default), http, resp, resp-pushes, nats: wsload/replies.h
 *   -p PORT (3000)   -u PATH (/ws)   -c CONNECTIONS (64)   -d DEPTH (1)   -t SECONDS (3)
 *   -k KEYS (1000)   -z FILL (0)     what slots in messages stand for: wsload/message.h
 *   -b N          replies to each request, of which the last counts (1)
 *   -g N          replies to pass over on each connection first
 *   -f MESSAGE    to send on each connection before all others; its replies count among -g's; repeatable
 *   -l MESSAGE    to send once for each key before all else; -n N replies come for each (0); repeatable
 *   -s MESSAGE    to subscribe, once for each key if it has %i; -q N replies come for each (1)
 *   -r RATE       publications a second
 *   -S SHARE      the last subscriber reads only SHARE (0.01) of what another one does, and is not waited
 *                 for; at the end it wakes, reads all, and must have each key's newest value and nothing
 *                 older after it; keys must be published in turn (%i)
 *   -e TEXT       what every counted reply must contain
 *   -w N          warm-up in ms, not counted (700)
 *   -P PID        the server's process: adds its CPU time per operation and its memory
 *   -Z            offer to take messages compressed (permessage-deflate, each by itself)
 *   -v            show the first replies on stderr
 *
 * Says "measuring" on stderr when it begins to count, and prints one JSON object. cpu_us (server CPU per
 * operation, user + system) is the figure to compare on a shared machine; ops_s and latency move with the
 * neighbours. replies_per_read and requests_per_send say how many shared a call here: where the server could
 * take several at once, each of them costs it less. Pin server and load to different cores.
 * Loopback only: it cannot be pointed at anything but 127.0.0.1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WSLOAD_ZLIB
#include <zlib.h>
#endif

#include "wsload/base.h"
#include "wsload/latency.h"
#include "wsload/server.h"
#include "wsload/message.h"
#include "wsload/connection.h"
#include "wsload/replies.h"
#include "wsload/options.h"
#include "wsload/state.h"
#include "wsload/fanout.h"
#include "wsload/laggard.h"

/* --- before the measurement; sockets still block --- */

static void send_now(connection *c) {
    if (!connection_flush(c)) fail("the server closed before the measurement");
}

/* Every key once, a hundred at a time. What follows on this connection finds them stored. */
static void preload(connection *c) {
    enum { BATCH = 100 };
    for (int m = 0; m < preloads.count; m++)
        for (int key = 0; key < settings.keys; key += BATCH) {
            int batch = settings.keys - key < BATCH ? settings.keys - key : BATCH;
            for (int i = 0; i < batch; i++) queue_to(c, &preloads.all[m], key + i, (stamp){.due_ns = now_ns()});
            send_now(c);
            skip_replies(c, batch * preload_replies);
        }
}

/* A request of each kind, so that the last of the keys is stored before other connections ask for one. */
static void wait_for_preload(connection *c) {
    if (!preloads.count) return;
    queue_to(c, &requests.all[0], 0, (stamp){0});
    send_now(c);
    skip_replies(c, request_replies);
}

static void subscribe(connection *c) {
    for (int m = 0; m < subscriptions.count; m++) {
        int times = message_has_slot(&subscriptions.all[m], 'i') ? settings.keys : 1;
        for (int i = 0; i < times; i++) queue_to(c, &subscriptions.all[m], i, (stamp){0});
        send_now(c);
        skip_replies(c, times * subscription_replies);
    }
}

static void open_all(void) {
    enum { LAGGARD_RECEIVE_BYTES = 1 << 16 }; /* the kernel shall not hide that it does not read */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    all = calloc(settings.connections, sizeof *all);
    epoll = epoll_create1(0);
    for (int i = 0; i < settings.connections; i++) {
        connection *c = &all[i];
        c->index = i;
        connection_open(c, i, is_laggard(c) ? LAGGARD_RECEIVE_BYTES : 0);
        for (int m = 0; m < firsts.count; m++) queue_to(c, &firsts.all[m], 0, (stamp){0});
        send_now(c);
        skip_replies(c, greeting);
    }
}

static void watch_all(void) {
    for (int i = 0; i < settings.connections; i++) {
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        if (!is_laggard(&all[i])) connection_watch(&all[i], EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* --- request mode --- */

static void request(connection *c) {
    static uint64_t turn;
    uint64_t now = now_ns();
    queue_to(c, &requests.all[turn % requests.count], turn, (stamp){now, turn});
    turn++;
    c->sent_at[c->newest] = now;
    c->newest = (c->newest + 1) % (settings.depth + 1);
}

static void take_answer(connection *c, const uint8_t *reply, size_t length) {
    (void)reply, (void)length;
    if (c->oldest == c->newest) fail("a reply that nobody asked for: %.*s", (int)(length > 300 ? 300 : length), reply);
    if (is_counting) latency_note(now_ns() - c->sent_at[c->oldest]), operations++;
    c->oldest = (c->oldest + 1) % (settings.depth + 1);
    c->skip = request_replies - 1;
    request(c);
}

/* --- resume mode --- */

static void take_resumption(connection *c, const uint8_t *reply, size_t length) {
    (void)reply, (void)length;
    if (is_counting) latency_note(now_ns() - c->sent_at[0]), operations++;
    c->oldest = 1;
}

/* Blocks until the reply has come. */
static void resume(connection *c) {
    static uint64_t turn;
    uint64_t begun = now_ns();
    connection_open(c, c->index, 0);
    c->sent_at[0] = begun, c->oldest = 0;
    queue_to(c, &requests.all[turn % requests.count], turn, (stamp){begun, turn});
    turn++;
    send_now(c);
    while (!c->oldest)
        if (connection_read(c, READ_BYTES) < 0 || !take_replies(c, take_resumption)) fail("the server closed a connection");
    connection_close(c);
}

/* --- the measurement --- */

static void handle(connection *c, int events) {
    if (events & EPOLLOUT && !connection_flush(c)) fail("the server closed a connection");
    if (!(events & ~EPOLLOUT)) return;
    ssize_t got = connection_read(c, READ_BYTES);
    if (got < 0) fail("the server closed a connection");
    if (!got) return;
    reply_taker take = !subscriptions.count ? take_answer : c->index ? take_delivery : NULL;
    if (!take_replies(c, take)) fail("the server sent a close frame");
    if (c->out.length && !connection_flush(c)) fail("the server closed a connection");
}

static void wait_and_handle(int timeout_ms) {
    enum { EVENTS_MAX = 512 };
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < count; i++) handle(events[i].data.ptr, events[i].events);
}

static void turn_once(uint64_t now) {
    if (is_resuming) {
        resume(&all[0]);
        return;
    }
    if (subscriptions.count) publish_what_is_due(now);
    if (laggard_share > 0) read_for_laggard();
    /* At a fixed rate it spins: a timer's sleep would be longer than what is measured. */
    wait_and_handle(rate ? 0 : laggard_share > 0 ? 1 : 5);
}

/* It wakes and reads all there is. MISSING: keys whose newest value does not come. */
static void wake_laggard(void) {
    /* The kernel doubles the time between its tries to send as long as nobody reads: after a stop of 30 s the
     * next one may be another 27 s away. */
    enum { WAKE_SECONDS_MAX = 60 };
    uint64_t now = now_ns(), end = now + WAKE_SECONDS_MAX * NANOSECONDS, silent_since = now, bytes = 0;
    while (!laggard.is_closed && (laggard.missing = laggard_missing()) && (now = now_ns()) < end) {
        read_as_laggard(READ_BYTES);
        wait_and_handle(0);
        if (bytes != laggard.bytes_read) bytes = laggard.bytes_read, silent_since = now;
        else if (now - silent_since > NANOSECONDS) nudge_for_laggard(), silent_since = now;
    }
    laggard.missing = laggard_missing();
}

static void measure(void) {
    enum { PATIENCE_SECONDS = 20 };
    /* On a busy machine a short run goes on until more came than may have been under way when it began. */
    uint64_t too_few = (uint64_t)settings.connections * settings.depth;
    long rss_before = server_rss_kb();
    uint64_t start = now_ns() + warmup_ms * 1000000ull, end = start + seconds * NANOSECONDS, now, cpu;
    fanout.next_due_ns = now_ns();
    while ((now = now_ns()) < start) turn_once(now);
    start = now, end = now + seconds * NANOSECONDS, cpu = server_cpu_ns();
    is_counting = 1, fanout.counted_from = fanout.published;
    calls.reads = calls.sends = 0;
    fprintf(stderr, "measuring\n"); /* a profiler starts here */
    while ((now = now_ns()) < end || (operations <= too_few && now < end + PATIENCE_SECONDS * NANOSECONDS)) turn_once(now);
    double elapsed = (now - start) / (double)NANOSECONDS, used = server_cpu_ns() - cpu;
    long rss = server_rss_kb();
    uint64_t published = fanout.published - fanout.counted_from, sent = subscriptions.count ? published : operations;
    double replies_per_read = operations / (calls.reads + !calls.reads + 0.0);
    double requests_per_send = sent / (calls.sends + !calls.sends + 0.0);
    if (laggard_share > 0) wake_laggard();
    printf("{\"mode\": \"%s\", \"connections\": %d, \"depth\": %d, \"ops\": %lu, \"ops_s\": %.0f, \"published_s\": %.0f, "
           "\"passed_over\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"longest_us\": %.1f, \"cpu_us\": %.3f, "
           "\"cpu_share\": %.3f, \"replies_per_read\": %.3f, \"requests_per_send\": %.3f, \"server_rss_kb\": %ld, \"server_peak_kb\": %ld, \"server_growth_kb\": %ld, "
           "\"laggard_bytes\": %lu, \"laggard_missing\": %d, \"laggard_backwards\": %lu, \"laggard_closed\": %s}\n",
           is_resuming ? "resume" : subscriptions.count ? "fanout" : "request", settings.connections, settings.depth,
           (unsigned long)operations, operations / elapsed, published / elapsed,
           (unsigned long)fanout.passed_over, latency_percentile(0.5), latency_percentile(0.99), latency.longest / 1e3,
           operations ? used / operations / 1e3 : 0, used / elapsed / NANOSECONDS,
           replies_per_read, requests_per_send, rss, server_peak_kb(), rss - rss_before, (unsigned long)laggard.bytes_read, laggard.missing,
           (unsigned long)laggard.backwards, laggard.is_closed ? "true" : "false");
    if (!operations) fail("no operation was completed in %g s", seconds + PATIENCE_SECONDS);
}

static void measure_idle(void) {
    fprintf(stderr, "measuring\n");
    long rss_before = server_rss_kb(), pss_before = server_pss_kb();
    uint64_t begun = now_ns(), cpu = server_cpu_ns();
    open_all();
    double opening = (now_ns() - begun) / (double)NANOSECONDS, per_open = (server_cpu_ns() - cpu) / 1e3;
    usleep(seconds * 1e6);
    printf("{\"mode\": \"idle\", \"connections\": %d, \"opened_s\": %.0f, \"cpu_us\": %.3f, \"server_rss_kb\": %ld, "
           "\"kb_per_connection\": %.3f, \"pss_kb_per_connection\": %.3f}\n",
           settings.connections, settings.connections / opening, per_open / settings.connections, server_rss_kb(),
           (server_rss_kb() - rss_before) / (double)settings.connections,
           (server_pss_kb() - pss_before) / (double)settings.connections);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    if (is_idle) {
        measure_idle();
        return 0;
    }
    if (is_resuming) {
        all = calloc(1, sizeof *all);
        measure();
        return 0;
    }
    open_all();
    preload(&all[0]);
    if (subscriptions.count) {
        for (int i = 1; i < settings.connections; i++) subscribe(&all[i]);
        fanout.subscribers = settings.connections - 1 - (laggard_share > 0);
        laggard.measure_from = all[1].bytes_received;
        laggard.newest = calloc(settings.keys, sizeof *laggard.newest);
    } else wait_for_preload(&all[0]);
    watch_all();
    if (!subscriptions.count)
        for (int i = 0; i < settings.connections; i++) {
            all[i].skip = request_replies - 1;
            for (int d = 0; d < settings.depth; d++) request(&all[i]);
            if (!connection_flush(&all[i])) fail("the server closed a connection");
        }
    measure();
    return 0;
}
