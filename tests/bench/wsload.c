/* wsload: a WebSocket load generator that is cheaper than the servers it drives.
 *
 *   build   gcc -O2 -o wsload wsload.c
 *   usage   wsload [options] MESSAGE...
 *
 * Request mode (default): CONNS connections, each with DEPTH requests in flight; every text frame that
 * comes back counts as the reply to the oldest request. MESSAGEs are sent in turn; "%d" in one becomes
 * a random number below KEYS.
 * Fan-out mode (-s SUBSCRIBE): connection 0 publishes MESSAGE, the others send SUBSCRIBE once and count
 * what they receive. With -r RATE the publisher is open-loop (RATE messages a second); without it, it
 * keeps DEPTH publishes ahead of what all subscribers have received.
 * Idle mode (-i): opens the connections, waits SECONDS, and reports the server's memory per connection.
 *
 *   -p PORT (3000)   -u PATH (/ws)   -c CONNS (64)   -d DEPTH (1)   -t SECONDS (3)   -k KEYS (1000)
 *   -g N   text frames to pass over on each connection first (a greeting)
 *   -f FIRST   a message to send on each connection before all others; its replies count among -g's
 *   -w N   warm-up in ms, not counted (700)
 *   -P PID the server's process: adds its CPU time per operation and its memory
 *   -v     show the first replies on stderr
 *
 * Prints one JSON object. cpu_us (server CPU per operation, user + system) is the figure to compare on a
 * shared machine; ops_s and latency move with the neighbours. Pin server and load to different cores.
 * Loopback only: it refuses to run against anything but 127.0.0.1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    int fd, skip, head, tail, subscriber;
    uint8_t *in, *out;
    size_t in_len, in_cap, out_len, out_off, out_cap;
    double *sent_at;
} conn;

static int port = 3000, conns = 64, depth = 1, keys = 1000, greeting, warmup_ms = 700, idle, verbose, pid;
static double seconds = 3, rate;
static const char *path = "/ws", *subscribe, *first;
static char **messages;
static int message_count, counting;
static uint64_t done, shown;
static double *latency;
static size_t latency_len;
enum { LATENCY_CAP = 1 << 21 };

static void die(const char *what) { perror(what); exit(1); }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double server_cpu(void) {
    char name[64], text[2048], *rest;
    unsigned long user, system;
    if (!pid) return 0;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *f = fopen(name, "r");
    if (!f) die(name);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    rest = strrchr(text, ')') + 2;
    sscanf(rest, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long server_rss_kb(void) {
    char name[64], line[256];
    long kb = 0;
    if (!pid) return 0;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *f = fopen(name, "r");
    if (!f) die(name);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1) break;
    fclose(f);
    return kb;
}

static void queue_frame(conn *c, const char *format) {
    static char text[1 << 20];
    const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    const char *slot = strstr(format, "%d");
    size_t n, header;
    if (slot) {
        size_t before = slot - format;
        memcpy(text, format, before);
        n = before + sprintf(text + before, "%d", rand() % keys);
        strcpy(text + n, slot + 2);
        n += strlen(slot + 2);
    } else {
        n = strlen(format);
        memcpy(text, format, n);
    }
    if (c->out_cap < c->out_len + n + 16) c->out = realloc(c->out, c->out_cap = (c->out_len + n + 16) * 2);
    uint8_t *p = c->out + c->out_len;
    p[0] = 0x81;
    if (n < 126) { p[1] = 0x80 | n; header = 2; }
    else if (n < 65536) { p[1] = 0x80 | 126; p[2] = n >> 8; p[3] = n; header = 4; }
    else { p[1] = 0x80 | 127; for (int i = 0; i < 8; i++) p[2 + i] = (uint64_t)n >> (56 - 8 * i); header = 10; }
    memcpy(p + header, mask, 4);
    header += 4;
    for (size_t i = 0; i < n; i++) p[header + i] = text[i] ^ mask[i & 3];
    c->out_len += header + n;
}

static void flush(conn *c) {
    while (c->out_off < c->out_len) {
        ssize_t w = write(c->fd, c->out + c->out_off, c->out_len - c->out_off);
        if (w < 0) { if (errno == EAGAIN) return; die("write"); }
        c->out_off += w;
    }
    c->out_off = c->out_len = 0;
}

static void request(conn *c) {
    static uint64_t turn;
    queue_frame(c, messages[turn++ % message_count]);
    c->sent_at[c->tail] = now();
    c->tail = (c->tail + 1) % (depth + 1);
}

static int take_frames(conn *c);

/* Each connection comes from its own loopback source address every 20,000, so that ports do not run out. */
static void open_connection(conn *c, int index) {
    char text[512], *end = NULL;
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, from = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / 20000);
    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) die("socket");
    if (conns > 20000 && bind(c->fd, (void *)&from, sizeof from)) die("bind");
    if (connect(c->fd, (void *)&to, sizeof to)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
    if (write(c->fd, text, n) != n) die("handshake");
    c->in = malloc((c->in_cap = idle ? 4096 : 1 << 17) + 1);
    while (!end) {
        ssize_t r = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
        if (r <= 0) { fprintf(stderr, "wsload: the server closed during the handshake\n"); exit(1); }
        c->in_len += r;
        c->in[c->in_len] = 0;
        end = strstr((char *)c->in, "\r\n\r\n");
    }
    if (!strstr((char *)c->in, " 101")) { fprintf(stderr, "wsload: not upgraded: %.300s\n", c->in); exit(1); }
    size_t used = (uint8_t *)end + 4 - c->in;
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
    c->sent_at = calloc(depth + 1, sizeof(double));
    c->skip = greeting;
    if (first) {
        queue_frame(c, first);
        flush(c);
        while (c->skip > 0) {
            ssize_t r = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
            if (r <= 0) die("first message");
            c->in_len += r;
            take_frames(c);
        }
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

/* Returns the number of counted text frames in what the connection has received so far. */
static int take_frames(conn *c) {
    size_t at = 0;
    int got = 0;
    while (c->in_len - at >= 2) {
        uint64_t n = c->in[at + 1] & 0x7f;
        size_t header = 2;
        int opcode = c->in[at] & 15;
        if (n == 126) { if (c->in_len - at < 4) break; n = c->in[at + 2] << 8 | c->in[at + 3]; header = 4; }
        else if (n == 127) { if (c->in_len - at < 10) break; n = 0; for (int i = 0; i < 8; i++) n = n << 8 | c->in[at + 2 + i]; header = 10; }
        if (c->in_len - at < header + n) {
            if (c->in_cap < header + n + 1) c->in = realloc(c->in, (c->in_cap = header + n + 65536) + 1);
            break;
        }
        if (verbose && shown++ < 4) fprintf(stderr, "<- %.*s\n", (int)(n > 300 ? 300 : n), c->in + at + header);
        at += header + n;
        if (opcode == 8) { fprintf(stderr, "wsload: the server sent a close frame\n"); exit(1); }
        if (opcode > 2) continue;
        if (c->skip > 0) c->skip--; else got++;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return got;
}

static void note_latency(double since) {
    if (counting && latency_len < LATENCY_CAP) latency[latency_len++] = now() - since;
}

static int ascending(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    for (int o; (o = getopt(argc, argv, "p:u:c:d:t:k:g:f:w:P:s:r:iv")) != -1;) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'c': conns = atoi(optarg); break;
        case 'd': depth = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'k': keys = atoi(optarg); break;
        case 'g': greeting = atoi(optarg); break;
        case 'f': first = optarg; break;
        case 'w': warmup_ms = atoi(optarg); break;
        case 'P': pid = atoi(optarg); break;
        case 's': subscribe = optarg; break;
        case 'r': rate = atof(optarg); break;
        case 'i': idle = 1; break;
        case 'v': verbose = 1; break;
        default: fprintf(stderr, "usage: see the head of wsload.c\n"); return 2;
    }
    messages = argv + optind;
    message_count = argc - optind;
    if (!message_count && !idle) { fprintf(stderr, "wsload: no message; see the head of wsload.c\n"); return 2; }

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    conn *all = calloc(conns, sizeof *all);
    int poll = epoll_create1(0);
    long rss_before = server_rss_kb();
    for (int i = 0; i < conns; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
        open_connection(&all[i], i);
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &e);
    }
    if (idle) {
        usleep(seconds * 1e6);
        printf("{\"connections\": %d, \"server_rss_kb\": %ld, \"kb_per_connection\": %.2f}\n", conns, server_rss_kb(),
               (server_rss_kb() - rss_before) / (double)conns);
        return 0;
    }
    latency = malloc(LATENCY_CAP * sizeof *latency);
    if (subscribe) {
        for (int i = 1; i < conns; i++) { all[i].subscriber = 1; queue_frame(&all[i], subscribe); flush(&all[i]); }
        usleep(500000);
        for (int i = 0; i < conns; i++) { /* the current value, if subscribing sends one, is no delivery */
            ssize_t r;
            while ((r = read(all[i].fd, all[i].in + all[i].in_len, all[i].in_cap - all[i].in_len)) > 0) {
                all[i].in_len += r;
                take_frames(&all[i]);
            }
        }
    } else {
        for (int i = 0; i < conns; i++) { for (int d = 0; d < depth; d++) request(&all[i]); flush(&all[i]); }
    }

    uint64_t published = 0, received = 0, base = 0;
    double opened = now(), start = opened + warmup_ms / 1000.0, cpu = 0, next = opened;
    double *publish_at = calloc(1 << 16, sizeof(double));
    struct epoll_event events[512];
    for (;;) {
        double t = now();
        if (!counting && t >= start) { counting = 1; start = t; cpu = server_cpu(); base = subscribe ? received : done; }
        if (counting && t >= start + seconds) break;
        if (subscribe && rate > 0) {
            for (; next <= t; next += 1 / rate) { publish_at[published++ & 0xffff] = next; queue_frame(&all[0], messages[0]); }
            flush(&all[0]);
        } else if (subscribe) {
            for (; published * (conns - 1) < received + (uint64_t)depth * (conns - 1); published++) {
                publish_at[published & 0xffff] = t;
                queue_frame(&all[0], messages[0]);
            }
            flush(&all[0]);
        }
        int n = epoll_wait(poll, events, 512, subscribe && rate > 0 ? 0 : 5);
        for (int i = 0; i < n; i++) {
            conn *c = events[i].data.ptr;
            ssize_t r = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
            if (r < 0 && errno == EAGAIN) continue;
            if (r <= 0) { fprintf(stderr, "wsload: the server closed a connection\n"); return 1; }
            c->in_len += r;
            int got = take_frames(c);
            if (subscribe) {
                if (!c->subscriber) continue;
                for (int g = 0; g < got; g++) {
                    if (c == &all[conns - 1]) note_latency(publish_at[c->head & 0xffff]);
                    c->head++;
                    received++;
                }
            } else {
                for (int g = 0; g < got; g++) {
                    note_latency(c->sent_at[c->head]);
                    c->head = (c->head + 1) % (depth + 1);
                    done++;
                    request(c);
                }
                flush(c);
            }
        }
    }
    double elapsed = now() - start, used = server_cpu() - cpu;
    uint64_t ops = (subscribe ? received : done) - base;
    qsort(latency, latency_len, sizeof *latency, ascending);
    printf("{\"mode\": \"%s\", \"conns\": %d, \"depth\": %d, \"ops\": %lu, \"ops_s\": %.0f, \"p50_us\": %.0f, \"p99_us\": %.0f, "
           "\"cpu_us\": %.3f, \"cpu_share\": %.2f, \"server_rss_kb\": %ld}\n",
           subscribe ? "fanout" : "request", conns, depth, (unsigned long)ops, ops / elapsed,
           latency_len ? latency[latency_len / 2] * 1e6 : 0, latency_len ? latency[(size_t)(latency_len * 0.99)] * 1e6 : 0,
           ops ? used / ops * 1e6 : 0, used / elapsed, server_rss_kb());
    return 0;
}
