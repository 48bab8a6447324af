/* What the server spends: read from outside, so that any program can be measured. */

static clockid_t server_clock;
static int server_pid;

/* The CPU clock of a whole process counts every thread, ended ones too, in nanoseconds; the ticks of
 * /proc/PID/stat are ten milliseconds wide. */
static void server_watch(int pid) {
    server_pid = pid;
    if ((errno = clock_getcpuclockid(pid, &server_clock))) fail_system("the server's CPU clock");
}

static uint64_t server_cpu_ns(void) { return server_pid ? clock_ns(server_clock) : 0; }

/* A line "NAME: n kB" of a file below /proc/PID; 0 when there is none. */
static long server_kb(const char *file, const char *name) {
    char path[64], line[256];
    size_t length = strlen(name);
    long kb = 0;
    if (!server_pid) return 0;
    snprintf(path, sizeof path, "/proc/%d/%s", server_pid, file);
    FILE *f = fopen(path, "r");
    if (!f) fail_system(path);
    while (!kb && fgets(line, sizeof line, f))
        if (!strncmp(line, name, length) && line[length] == ':') kb = atol(line + length + 1);
    fclose(f);
    return kb;
}

static long server_rss_kb(void) { return server_kb("status", "VmRSS"); }
static long server_pss_kb(void) { return server_kb("smaps_rollup", "Pss"); }
static long server_peak_kb(void) { return server_kb("status", "VmHWM"); }
