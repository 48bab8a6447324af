/* Replies: cut out of what a connection received, in the server's protocol.
 *
 *   WS           one for each text or binary frame
 *   HTTP         one for each response; it must say 200 or 201 and have a Content-Length, or say 204
 *   RESP         one for each value (Redis); an error ends the run
 *   RESP_PUSHES  as RESP, but only what was pushed counts (RESP3's ">")
 *   NATS         NATS' text protocol inside WebSocket frames: MSG, HMSG and PONG count */

typedef void (*reply_taker)(connection *c, const uint8_t *reply, size_t length);

static uint64_t replies_shown;

static void reply_found(connection *c, const uint8_t *reply, size_t length, reply_taker take) {
    enum { SHOWN_MAX = 8, LOOKED_AT_MAX = 4096 };
    if (settings.is_verbose && replies_shown++ < SHOWN_MAX)
        fprintf(stderr, "<- %.*s\n", (int)(length > 300 ? 300 : length), reply);
    if (c->skip > 0) { c->skip--; return; }
    if (!take) return;
    if (settings.expected && !memmem(reply, length > LOOKED_AT_MAX ? LOOKED_AT_MAX : length, settings.expected,
                                     strlen(settings.expected)))
        fail("a reply without %s: %.*s", settings.expected, (int)(length > 300 ? 300 : length), reply);
    take(c, reply, length);
}

/* --- one reply at the start of some bytes: its length, or 0 when it is not there in whole --- */

static size_t line_length(const uint8_t *bytes, size_t length) {
    const uint8_t *end = memmem(bytes, length, "\r\n", 2);
    return end ? end + 2 - bytes : 0;
}

static size_t http_length(const uint8_t *bytes, size_t length) {
    const char field[] = "content-length:";
    const uint8_t *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (length < 12 || memcmp(bytes + 9, "20", 2)) fail("an answer that is no success: %.*s", (int)length, bytes);
    size_t head = end + 4 - bytes;
    if (bytes[11] == '4') return head; /* 204 has no body and tells of none: RFC 9110, section 8.6 */
    for (const uint8_t *line = bytes; line < end; line += line_length(line, end + 2 - line)) {
        if (strncasecmp((const char *)line, field, sizeof field - 1)) continue;
        size_t whole = head + strtoul((const char *)line + sizeof field - 1, NULL, 10);
        return whole <= length ? whole : 0;
    }
    fail("an answer without Content-Length: %.*s", (int)head, bytes);
}

static size_t resp_length(const uint8_t *bytes, size_t length) {
    size_t line = line_length(bytes, length), whole = line;
    if (!line) return 0;
    long count = strtol((const char *)bytes + 1, NULL, 10);
    switch (bytes[0]) {
    case '-': fail("the server says %.*s", (int)line, bytes);
    case '$': case '=':
        if (count >= 0) whole += count + 2;
        return whole <= length ? whole : 0;
    case '%': count *= 2; /* fall through */
    case '*': case '>': case '~':
        for (; count > 0; count--) {
            size_t part = resp_length(bytes + whole, length - whole);
            if (!part) return 0;
            whole += part;
        }
        return whole;
    default: return line;
    }
}

static size_t nats_length(const uint8_t *bytes, size_t length) {
    size_t line = line_length(bytes, length), whole = line;
    if (!line) return 0;
    if (bytes[0] == '-') fail("the server says %.*s", (int)line, bytes);
    if (bytes[0] == 'M' || bytes[0] == 'H') {
        const uint8_t *last = memrchr(bytes, ' ', line);
        whole += strtoul((const char *)last + 1, NULL, 10) + 2;
    }
    return whole <= length ? whole : 0;
}

/* --- all replies of a connection --- */

static void take_nats(connection *c, reply_taker take) {
    size_t at = 0, length;
    buffer *s = &c->stream;
    while (at < s->length && (length = nats_length(s->bytes + at, s->length - at))) {
        const uint8_t *reply = s->bytes + at;
        if (reply[0] == 'P' && reply[1] == 'I') {
            message pong = {0};
            message_compile(&pong, NATS, "PONG\r\n", 0);
            message_queue(&pong, &c->out, c->index, 1, 0, (stamp){0});
            free(pong.frame.bytes);
        } else if (strchr("MHP", reply[0])) reply_found(c, reply, length, take);
        at += length;
    }
    buffer_drop(s, at);
}

#ifdef WSLOAD_ZLIB
/* A message as it was before it was compressed; valid until the next one. */
static buffer *inflated(const uint8_t *payload, size_t length) {
    static z_stream stream;
    static buffer whole, plain;
    if (!plain.bytes && inflateInit2(&stream, -15) != Z_OK) fail("zlib does not work");
    if (inflateReset(&stream) != Z_OK) fail("zlib does not work");
    whole.length = plain.length = 0;
    buffer_append(&whole, payload, length);
    buffer_append(&whole, "\0\0\xff\xff", 4); /* RFC 7692, section 7.2.2 */
    stream.next_in = whole.bytes, stream.avail_in = whole.length;
    do {
        buffer_reserve(&plain, 1 << 12);
        stream.next_out = plain.bytes + plain.length, stream.avail_out = plain.capacity - plain.length;
        int state = inflate(&stream, Z_SYNC_FLUSH);
        if (state != Z_OK && state != Z_BUF_ERROR) fail("a message that does not inflate");
        plain.length = plain.capacity - stream.avail_out;
    } while (!stream.avail_out);
    return &plain;
}
#else
static buffer *inflated(const uint8_t *payload, size_t length) {
    (void)payload, (void)length;
    fail("built without zlib");
}
#endif

static void take_frame(connection *c, int opcode, const uint8_t *payload, size_t length, reply_taker take) {
    uint8_t header[14];
    if (opcode == 9) {
        size_t start = c->out.length + frame_header(header, 10, length);
        buffer_append(&c->out, header, start - c->out.length);
        buffer_append(&c->out, payload, length);
        for (size_t i = 0; i < length; i++) c->out.bytes[start + i] ^= MASK[i & 3];
    } else if (opcode <= 2 && settings.protocol == NATS) {
        buffer_append(&c->stream, payload, length);
        take_nats(c, take);
    } else if (opcode <= 2) reply_found(c, payload, length, take);
}

/* 0: the server sent a close frame. */
static int take_frames(connection *c, reply_taker take) {
    size_t at = 0;
    buffer *in = &c->in;
    while (in->length - at >= 2) {
        const uint8_t *p = in->bytes + at;
        uint64_t length = p[1] & 0x7f;
        size_t header = 2, wide = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (in->length - at < header + wide) break;
        if (wide) for (length = 0; header < 2 + wide;) length = length << 8 | p[header++];
        if (in->length - at < header + length) {
            buffer_reserve(in, at + header + length - in->length);
            break;
        }
        if ((p[0] & 15) == 8) return 0;
        if (p[0] & 0x40) {
            buffer *plain = inflated(p + header, length);
            take_frame(c, p[0] & 15, plain->bytes, plain->length, take);
        } else take_frame(c, p[0] & 15, p + header, length, take);
        at += header + length;
    }
    buffer_drop(in, at);
    return 1;
}

/* Hands every whole reply to TAKE; without one they are passed over. 0: the server closes. */
static int take_replies(connection *c, reply_taker take) {
    if (uses_websocket()) return take_frames(c, take);
    size_t at = 0, length;
    while (at < c->in.length) {
        const uint8_t *reply = c->in.bytes + at;
        length = settings.protocol == HTTP ? http_length(reply, c->in.length - at)
                                           : resp_length(reply, c->in.length - at);
        if (!length) break;
        if (settings.protocol != RESP_PUSHES || reply[0] == '>') reply_found(c, reply, length, take);
        at += length;
    }
    buffer_drop(&c->in, at);
    return 1;
}

/* Waits, blocking, until COUNT replies were passed over. */
static void skip_replies(connection *c, int count) {
    c->skip += count;
    if (!take_replies(c, NULL)) fail("the server closed before the measurement");
    while (c->skip > 0)
        if (connection_read(c, 1 << 12) < 0 || !take_replies(c, NULL))
            fail("the server closed before the measurement");
}
