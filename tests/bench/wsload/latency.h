/* Times in buckets whose width grows with them: any number of them, each known to 1 in 128. */

enum { LATENCY_FINE = 128, LATENCY_BUCKETS = 64 * LATENCY_FINE };

static struct {
    uint64_t counts[LATENCY_BUCKETS], total, longest;
} latency;

static unsigned latency_bucket(uint64_t ns) {
    if (ns < LATENCY_FINE) return ns;
    int shift = 63 - __builtin_clzll(ns) - __builtin_ctz(LATENCY_FINE);
    return shift * LATENCY_FINE + (ns >> shift);
}

/* The middle of a bucket. */
static double latency_of_bucket(unsigned bucket) {
    if (bucket < 2 * LATENCY_FINE) return bucket;
    int shift = bucket / LATENCY_FINE - 1;
    return ((uint64_t)(bucket - shift * LATENCY_FINE) + 0.5) * ((uint64_t)1 << shift);
}

static void latency_note(uint64_t ns) {
    latency.counts[latency_bucket(ns)]++;
    latency.total++;
    if (ns > latency.longest) latency.longest = ns;
}

/* In microseconds; SHARE 0.99 is the 99th percentile. 0 when nothing was noted. */
static double latency_percentile(double share) {
    uint64_t wanted = latency.total * share, seen = 0;
    if (!latency.total) return 0;
    double longest = latency.longest;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        if ((seen += latency.counts[i]) > wanted) {
            double middle = latency_of_bucket(i);
            return (middle < longest ? middle : longest) / 1e3;
        }
    return longest / 1e3;
}
