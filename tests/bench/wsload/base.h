/* What every part uses: ends with a reason, the clock, buffers that grow. */

#define NANOSECONDS 1000000000ull

static _Noreturn void fail(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    fprintf(stderr, "wsload: ");
    vfprintf(stderr, format, rest);
    fprintf(stderr, "\n");
    va_end(rest);
    exit(1);
}

static _Noreturn void fail_system(const char *what) { fail("%s: %s", what, strerror(errno)); }

static uint64_t clock_ns(clockid_t clock) {
    struct timespec time;
    if (clock_gettime(clock, &time)) fail_system("clock_gettime");
    return time.tv_sec * NANOSECONDS + time.tv_nsec;
}

static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} buffer;

/* Room for MORE bytes behind what is there, and one to end a text with. */
static void buffer_reserve(buffer *b, size_t more) {
    if (b->capacity - b->length > more) return;
    b->capacity = (b->length + more + 1) * 3 / 2;
    b->bytes = realloc(b->bytes, b->capacity);
    if (!b->bytes) fail("no memory");
}

static void buffer_append(buffer *b, const void *bytes, size_t length) {
    buffer_reserve(b, length);
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

/* Forgets the first LENGTH bytes. */
static void buffer_drop(buffer *b, size_t length) {
    if (!length) return;
    memmove(b->bytes, b->bytes + length, b->length - length);
    b->length -= length;
}
