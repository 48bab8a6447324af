/* prober: how long a server, or the machine itself, makes one wait; tests/bench/pauses.py runs it.
 *
 *   prober probe PORT MESSAGE     sends MESSAGE on a WebSocket every millisecond, and times the answer
 *   prober witness CORE           sleeps until the next millisecond on a core, and times how late it wakes
 *
 * Until SIGTERM. Prints "late BEGAN MICROSECONDS" (BEGAN in ns of CLOCK_MONOTONIC) for everything over a
 * millisecond, and at its end one JSON object. It runs before all other processes of its core where it
 * may; "ready" is its first line. Loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../wsload/base.h"
#include "../wsload/latency.h"

enum { PERIOD_NS = 1000000, LATE_NS = 1000000 };

static volatile sig_atomic_t is_over;

static void end(int signal) { (void)signal, is_over = 1; }

static void note(uint64_t began, uint64_t ns) {
    latency_note(ns);
    if (ns > LATE_NS) printf("late %llu %.1f\n", (unsigned long long)began, ns / 1e3);
}

static void sleep_until(uint64_t at) {
    struct timespec time = {at / NANOSECONDS, at % NANOSECONDS};
    while (!is_over && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL)) {}
}

static uint64_t next_period(uint64_t due) {
    uint64_t now = now_ns();
    while (due <= now) due += PERIOD_NS;
    return due;
}

static void witness(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores)) fail_system("sched_setaffinity");
    for (uint64_t due = now_ns(); !is_over;) {
        due = next_period(due);
        sleep_until(due);
        if (!is_over) note(due, now_ns() - due);
    }
}

static void receive(int fd, uint8_t *into, size_t length) {
    for (size_t got = 0; got < length && !is_over;) {
        ssize_t n = recv(fd, into + got, length - got, 0);
        if (!n) fail("the server closed the connection");
        if (n < 0 && errno != EINTR) fail_system("recv");
        if (n > 0) got += n;
    }
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    const char *upgrade = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail_system("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (send(fd, upgrade, strlen(upgrade), MSG_NOSIGNAL) < 0) fail_system("send");
    uint32_t last = 0;
    for (uint8_t byte; last != 0x0d0a0d0a && !is_over; last = last << 8 | byte) receive(fd, &byte, 1);
    return fd;
}

/* Reads one short frame. */
static void receive_answer(int fd) {
    uint8_t head[2], payload[256];
    receive(fd, head, 2);
    if (head[1] > 125) fail("the answer is too long");
    receive(fd, payload, head[1]);
    if (!is_over && memmem(payload, head[1], "error", 5)) fail("the answer is %.*s", head[1], payload);
}

static void probe(int port, const char *message) {
    size_t length = strlen(message);
    uint8_t frame[256] = {0x81, 0x80 | length}; /* masked with zeros */
    if (length > 125) fail("the message is too long");
    memcpy(frame + 6, message, length);
    int fd = connect_to(port);
    for (uint64_t due = now_ns(); !is_over;) {
        due = next_period(due);
        sleep_until(due);
        uint64_t began = now_ns();
        if (send(fd, frame, length + 6, MSG_NOSIGNAL) < 0) fail_system("send");
        receive_answer(fd);
        if (!is_over) note(began, now_ns() - began);
    }
}

int main(int argc, char **argv) {
    struct sigaction ending = {.sa_handler = end};
    struct sched_param first = {.sched_priority = 1};
    sigaction(SIGTERM, &ending, NULL);
    signal(SIGINT, SIG_IGN); /* the program that started it ends it */
    int is_first = !sched_setscheduler(0, SCHED_FIFO, &first) && !mlockall(MCL_CURRENT | MCL_FUTURE);
    puts("ready");
    fflush(stdout);
    if (argc == 4 && !strcmp(argv[1], "probe")) probe(atoi(argv[2]), argv[3]);
    else if (argc == 3 && !strcmp(argv[1], "witness")) witness(atoi(argv[2]));
    else fail("see the head of prober.c");
    printf("{\"count\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"longest_us\": %.1f, \"is_first\": %s}\n",
           (unsigned long long)latency.total, latency_percentile(0.5), latency_percentile(0.99),
           latency.longest / 1e3, is_first ? "true" : "false");
    return 0;
}
