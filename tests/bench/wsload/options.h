/* What the command line says: the head of wsload.c explains it. */

enum { TEXTS_MAX = 16, AHEAD_MAX = 1 << 16 };

typedef struct {
    message all[TEXTS_MAX];
    int count;
} messages;

static messages requests, firsts, preloads, subscriptions;
static int greeting, preload_replies, subscription_replies = 1, request_replies = 1, warmup_ms = 700, is_idle, is_resuming;
static size_t fill;
static double seconds = 3, rate, laggard_share;

static protocol_kind protocol_named(const char *name) {
    const char *names[] = {[WS] = "ws", [HTTP] = "http", [RESP] = "resp", [RESP_PUSHES] = "resp-pushes", [NATS] = "nats"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (!strcmp(names[i], name)) return i;
    fail("no protocol %s", name);
}

static void usage(void) {
    fprintf(stderr, "usage: wsload [options] MESSAGE... (see the head of wsload.c)\n");
    exit(2);
}

/* What the slots in messages stand for can be given after them: texts are kept until all is read. */
static void add_text(const char **texts, int *count, const char *text) {
    if (*count == TEXTS_MAX) fail("more than %d messages of one kind", TEXTS_MAX);
    texts[(*count)++] = text;
}

static void compile_all(messages *m, const char **texts, int count) {
    for (m->count = 0; m->count < count; m->count++)
        message_compile(&m->all[m->count], settings.protocol, texts[m->count], fill);
}

static void read_options(int argc, char **argv) {
    const char *first[TEXTS_MAX], *preload[TEXTS_MAX], *subscribe[TEXTS_MAX], *request[TEXTS_MAX];
    int first_count = 0, preload_count = 0, subscribe_count = 0, request_count = 0;
    for (int o; (o = getopt(argc, argv, "x:p:u:c:d:t:k:z:b:g:f:l:n:s:q:r:S:e:w:P:ivRZ")) != -1;) switch (o) {
        case 'x': settings.protocol = protocol_named(optarg); break;
        case 'p': settings.port = atoi(optarg); break;
        case 'u': settings.path = optarg; break;
        case 'c': settings.connections = atoi(optarg); break;
        case 'd': settings.depth = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'k': settings.keys = atoi(optarg); break;
        case 'z': fill = atol(optarg); break;
        case 'b': request_replies = atoi(optarg); break;
        case 'g': greeting = atoi(optarg); break;
        case 'f': add_text(first, &first_count, optarg); break;
        case 'l': add_text(preload, &preload_count, optarg); break;
        case 'n': preload_replies = atoi(optarg); break;
        case 's': add_text(subscribe, &subscribe_count, optarg); break;
        case 'q': subscription_replies = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'S': laggard_share = atof(optarg); break;
        case 'e': settings.expected = optarg; break;
        case 'w': warmup_ms = atoi(optarg); break;
        case 'P': server_watch(atoi(optarg)); break;
        case 'i': is_idle = 1; break;
        case 'R': is_resuming = 1; break;
        case 'Z': settings.is_compressed = 1; break;
        case 'v': settings.is_verbose = 1; break;
        default: usage();
    }
    for (; optind < argc; optind++) add_text(request, &request_count, argv[optind]);
    if (!request_count && !is_idle) usage();
    compile_all(&firsts, first, first_count);
    compile_all(&preloads, preload, preload_count);
    compile_all(&subscriptions, subscribe, subscribe_count);
    compile_all(&requests, request, request_count);
    if (subscriptions.count && !message_has_slot(&requests.all[0], 't')) fail("a publication needs a stamp, %%t");
    if (settings.depth < 1 || settings.depth >= AHEAD_MAX) fail("a depth is from 1 to %d", AHEAD_MAX - 1);
    if (is_resuming && (firsts.count || preloads.count || subscriptions.count)) fail("resume mode has one message alone");
    if (subscriptions.count && settings.connections < 2 + (laggard_share > 0)) fail("too few connections");
}
