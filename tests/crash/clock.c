/* A wall clock that a test sets: loaded into a server by LD_PRELOAD, with DUNENA_TEST_CLOCK naming a
 * file of eight bytes, the seconds to add. Other clocks go on as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *seconds_added;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find(void)
{
    const char *path = getenv("DUNENA_TEST_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY);

    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        seconds_added = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = real_clock_gettime(clock, now);

    if (!failed && seconds_added != NULL && clock == CLOCK_REALTIME)
        now->tv_sec += *seconds_added;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *stored)
{
    struct timespec precise;

    clock_gettime(CLOCK_REALTIME, &precise);
    if (stored != NULL)
        *stored = precise.tv_sec;
    return precise.tv_sec;
}
