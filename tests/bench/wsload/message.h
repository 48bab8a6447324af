/* Messages: written once as finished bytes of the protocol, then only their slots change.
 *
 *   %d  a random number below KEYS          %i  numbers below KEYS in turn
 *   %c  the number of the connection        %z  a filling of FILL letters
 *   %t  a stamp: when it was due and its number in the order of publishing
 *
 * Every slot has a fixed width, so that lengths inside a message (HTTP's, RESP's) can be written by
 * whoever writes the message: six digits, and 31 characters for the stamp, "@" + 19 digits of
 * nanoseconds + "#" + 10 digits. */

typedef enum { WS, HTTP, RESP, RESP_PUSHES, NATS } protocol_kind;

enum { NUMBER_WIDTH = 6, TIME_WIDTH = 19, ORDER_WIDTH = 10, SLOTS_MAX = 256 };
enum { STAMP_WIDTH = 1 + TIME_WIDTH + 1 + ORDER_WIDTH };

static const uint8_t MASK[4] = {0x12, 0x34, 0x56, 0x78};

typedef struct {
    buffer frame;      /* header and payload, as they are sent */
    size_t header;     /* where the payload starts */
    int is_masked, slot_count;
    struct { char kind; size_t at; } slots[SLOTS_MAX];
} message;

typedef struct { uint64_t due_ns, order; } stamp;

static uint64_t random_below(uint64_t limit) {
    static uint64_t state = 88172645463325252ull; /* xorshift: the same numbers in every run */
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % limit;
}

/* A masked frame's header: RFC 6455, section 5.2. */
static size_t frame_header(uint8_t *p, int opcode, uint64_t length) {
    size_t at = 2;
    p[0] = 0x80 | opcode;
    if (length < 126) p[1] = 0x80 | length;
    else {
        int wide = length > 0xffff, bytes = wide ? 8 : 2;
        p[1] = 0x80 | (wide ? 127 : 126);
        for (int i = bytes - 1; i >= 0; i--) p[at++] = length >> (8 * i);
    }
    memcpy(p + at, MASK, 4);
    return at + 4;
}

/* Text that compresses about as well as people's: words of letters, some more frequent than others. */
static void put_words(uint8_t *text, size_t width) {
    uint64_t state = 0x9e3779b97f4a7c15ull; /* not random_below: every filling is the same */
    for (size_t at = 0; at < width;) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t word = (state >> 60) * (state >> 56 & 15); /* 1 of 106 */
        size_t length = 2 + word % 7;
        for (size_t i = 0; i < length && at < width; i++) text[at++] = 'a' + (word * 31 + i * i * (word + 3)) % 26;
        if (at < width) text[at++] = ' ';
    }
}

static void message_compile(message *m, protocol_kind protocol, const char *text, size_t fill) {
    buffer payload = {0};
    uint8_t header[14];
    for (const char *c = text; *c; c++) {
        char kind = *c == '%' ? c[1] : 0;
        if (!kind || !strchr("dictz", kind)) { buffer_append(&payload, c, 1); continue; }
        size_t width = kind == 'z' ? fill : kind == 't' ? STAMP_WIDTH : NUMBER_WIDTH;
        if (kind != 'z') {
            if (m->slot_count == SLOTS_MAX) fail("more than %d slots in a message", SLOTS_MAX);
            m->slots[m->slot_count].kind = kind;
            m->slots[m->slot_count++].at = payload.length;
        }
        buffer_reserve(&payload, width);
        memset(payload.bytes + payload.length, 'x', width);
        if (kind == 'z') put_words(payload.bytes + payload.length, width);
        payload.length += width;
        c++;
    }
    m->is_masked = protocol == WS || protocol == NATS;
    if (m->is_masked) {
        m->header = frame_header(header, protocol == NATS ? 2 : 1, payload.length);
        for (size_t i = 0; i < payload.length; i++) payload.bytes[i] ^= MASK[i & 3];
        buffer_append(&m->frame, header, m->header);
    }
    buffer_append(&m->frame, payload.bytes, payload.length);
    free(payload.bytes);
}

static int message_has_slot(const message *m, char kind) {
    for (int i = 0; i < m->slot_count; i++)
        if (m->slots[i].kind == kind) return 1;
    return 0;
}

/* Digits of NUMBER at AT, with zeros in front, masked where they stand in the payload. */
static void put_digits(uint8_t *payload, size_t at, int width, uint64_t number, int is_masked) {
    for (int i = width - 1; i >= 0; i--, number /= 10)
        payload[at + i] = ('0' + number % 10) ^ (is_masked ? MASK[(at + i) & 3] : 0);
}

static void put_letter(uint8_t *payload, size_t at, char letter, int is_masked) {
    payload[at] = letter ^ (is_masked ? MASK[at & 3] : 0);
}

/* Appends the message to OUT with its slots filled. TURN is the number for %i. */
static void message_queue(const message *m, buffer *out, int connection, int keys, uint64_t turn, stamp s) {
    size_t start = out->length;
    buffer_append(out, m->frame.bytes, m->frame.length);
    uint8_t *payload = out->bytes + start + m->header;
    for (int i = 0; i < m->slot_count; i++) {
        size_t at = m->slots[i].at;
        switch (m->slots[i].kind) {
        case 'd': put_digits(payload, at, NUMBER_WIDTH, random_below(keys), m->is_masked); break;
        case 'i': put_digits(payload, at, NUMBER_WIDTH, turn % keys, m->is_masked); break;
        case 'c': put_digits(payload, at, NUMBER_WIDTH, connection, m->is_masked); break;
        case 't':
            put_letter(payload, at, '@', m->is_masked);
            put_digits(payload, at + 1, TIME_WIDTH, s.due_ns, m->is_masked);
            put_letter(payload, at + 1 + TIME_WIDTH, '#', m->is_masked);
            put_digits(payload, at + 2 + TIME_WIDTH, ORDER_WIDTH, s.order, m->is_masked);
            break;
        }
    }
}

static uint64_t read_digits(const uint8_t *digits, int width) {
    uint64_t number = 0;
    for (int i = 0; i < width; i++) number = number * 10 + (digits[i] - '0');
    return number;
}

/* Finds the stamp in a reply; 0 when there is none. */
static int stamp_find(const uint8_t *reply, size_t length, stamp *found) {
    const uint8_t *at = memchr(reply, '@', length);
    if (!at || reply + length - at < STAMP_WIDTH || at[1 + TIME_WIDTH] != '#') return 0;
    found->due_ns = read_digits(at + 1, TIME_WIDTH);
    found->order = read_digits(at + 2 + TIME_WIDTH, ORDER_WIDTH);
    return 1;
}
