/* A connection: opening it, and what was received and not yet sent. */

typedef struct connection {
    int fd, index, is_waiting_to_write, skip; /* SKIP: replies to pass over before any counts */
    buffer in, out, stream;                   /* STREAM: the payloads of NATS' frames, one after the other */
    size_t out_offset;
    uint64_t *sent_at, bytes_received;        /* SENT_AT: of the requests in flight, a ring */
    unsigned oldest, newest;
    uint64_t order_seen;                      /* the highest publication this subscriber has received */
} connection;

static struct {
    int port, connections, depth, keys;
    protocol_kind protocol;
    const char *path, *expected;
    int is_verbose, is_compressed;
} settings = {.port = 3000, .connections = 64, .depth = 1, .keys = 1000, .protocol = WS, .path = "/ws"};

/* RFC 7692: so that the server may compress a message once for all who get it. */
#define DEFLATE_OFFER \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

static int epoll;

/* How often the sockets were read from and written to, and something went through. */
static struct {
    uint64_t reads, sends;
} calls;

static int uses_websocket(void) { return settings.protocol == WS || settings.protocol == NATS; }

static void connection_watch(connection *c, int operation, int events) {
    struct epoll_event wanted = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &wanted)) fail_system("epoll_ctl");
}

/* Sends what can be sent; the rest follows when the socket can take it. 0: the server is gone. */
static int connection_flush(connection *c) {
    while (c->out_offset < c->out.length) {
        ssize_t sent = send(c->fd, c->out.bytes + c->out_offset, c->out.length - c->out_offset, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            if (!c->is_waiting_to_write) connection_watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->is_waiting_to_write = 1;
            return 1;
        }
        if (sent < 0) return 0;
        calls.sends++;
        c->out_offset += sent;
    }
    c->out_offset = c->out.length = 0;
    if (c->is_waiting_to_write) connection_watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->is_waiting_to_write = 0;
    return 1;
}

/* Reads at most LIMIT bytes. 0: nothing there; -1: the server is gone. */
static ssize_t connection_read(connection *c, size_t limit) {
    buffer_reserve(&c->in, limit);
    ssize_t got = read(c->fd, c->in.bytes + c->in.length, limit);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) return -1;
    calls.reads++;
    c->in.length += got;
    c->bytes_received += got;
    return got;
}

enum { PORTS_OF_ONE_ADDRESS = 10000, HANDSHAKE_BYTES_MAX = 4096 };

/* Many connections come from several loopback addresses, so that ports do not run out. */
static void connection_bind(connection *c) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->index / PORTS_OF_ONE_ADDRESS);
    /* The port is chosen at connect, when its partner is known: ports in TIME_WAIT are no hindrance. */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (void *)&from, sizeof from)) fail_system("bind");
}

static void connection_upgrade(connection *c) {
    char text[512], *end = NULL;
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                          settings.path, settings.port, settings.is_compressed ? DEFLATE_OFFER : "");
    if (send(c->fd, text, length, MSG_NOSIGNAL) != length) fail_system("handshake");
    while (!end) {
        if (connection_read(c, HANDSHAKE_BYTES_MAX) < 0) fail("the server closed during the handshake");
        c->in.bytes[c->in.length] = 0;
        end = strstr((char *)c->in.bytes, "\r\n\r\n");
    }
    if (!strstr((char *)c->in.bytes, " 101")) fail("not upgraded: %.300s", c->in.bytes);
    buffer_drop(&c->in, (uint8_t *)end + 4 - c->in.bytes);
}

/* Opens it and upgrades it; it still blocks. RECEIVE_BYTES: a size for the kernel's buffer, or 0. */
static void connection_open(connection *c, int index, int receive_bytes) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(settings.port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->index = index;
    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) fail_system("socket");
    if (receive_bytes) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (settings.connections > PORTS_OF_ONE_ADDRESS) connection_bind(c);
    if (connect(c->fd, (void *)&to, sizeof to)) fail_system("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (uses_websocket()) connection_upgrade(c);
    c->sent_at = calloc(settings.depth + 1, sizeof *c->sent_at);
}

/* It can be opened again. */
static void connection_close(connection *c) {
    close(c->fd);
    free(c->sent_at);
    c->in.length = c->out.length = 0;
}
