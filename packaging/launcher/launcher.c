/* The executable on Linux and macOS: unpacks the program once per version, and becomes it.
 *
 * On Linux it is linked statically: it starts on every one, and can say so where the program, which
 * is made for glibc, cannot.
 *
 * The program is a folder of files. It is unpacked below the user's cache folder, where later
 * starts find it, so these cost no more than those of a program that was never packed. Where no
 * cache can be kept, a folder below that for temporary files serves. This process then becomes the
 * program (exec), so that its signals and its exit code are the program's own.
 *
 * A version is complete or not there: it is unpacked beside its place, forced to the device, and
 * renamed. All of its files have one time of modification, so that each start sees whether anything
 * was written to one, without reading it. Each process that runs from a version holds a lock on its
 * folder (flock, shared), inherited over exec, so that only versions are removed which nobody uses.
 *
 * packkit/launcher.py makes the payload: lines `KIND SIZE PATH`, an empty line, and the contents of
 * all of them, one after another, in a frame of zstd. KIND is d for a folder, f for a file, x for a
 * program and l for a symbolic link, whose content is its target.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#include <sys/mount.h>
#include <sys/param.h>
#define CACHE_BELOW_HOME "Library/Caches/dunena"
#else
#include <sys/auxv.h>
#include <sys/statvfs.h>
#define CACHE_BELOW_HOME ".cache/dunena"
#endif

#include "zstd.h"

/* From the compiler's command line: VERSION, a hash of the payload, and PROGRAM, the path in it. */

#define DRAFT ".draft-"
#define FILE_VARIABLE "_DUNENA_FILE" /* tells the program which file the person started */
#define LOCK_LOWEST 3                /* 0 to 2 may be closed, and must not become the lock */
#define TRIES_MAX 3                  /* others may unpack or remove the same version meanwhile */
#define DRAFT_SECONDS_MAX 10         /* it has a lock long before that, while it is in use */
#define UNUSED_SECONDS_MAX (7 * 24 * 60 * 60)
#define PLACES_MAX 5
#define FILE_TIME 981173106 /* 3 February 2001: even, as FAT has it, and no clock starts there */
#define UNTIMED ".untimed"  /* in a version whose files could not be given that time */

extern const char payload[], payload_end[];
extern char **environ;

struct item {
    char kind;
    size_t size;
    char path[PATH_MAX];
};

/* What went wrong at a place: which step, and errno. */
struct failure {
    const char *step;
    int number;
};

/* At the place that was tried last. */
static struct failure failed;

/* Notes what went wrong, and returns -1. */
static int fail(const char *step)
{
    failed.step = step;
    failed.number = errno;
    return -1;
}

/* Puts two parts of a path together; -1 if there is no room for it. */
static int join(char path[PATH_MAX], const char *folder, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    errno = ENAMETOOLONG;
    return length < PATH_MAX ? 0 : -1;
}

/* Reads the line at `*at` and moves on to the next one; 0 at the end of the list. */
static int next_item(const char **at, struct item *item)
{
    const char *end = memchr(*at, '\n', (size_t)(payload_end - *at));
    char *path;
    if (end == NULL || end == *at)
        return 0;
    item->kind = **at;
    item->size = strtoull(*at + 2, &path, 10);
    path++;
    snprintf(item->path, sizeof item->path, "%.*s", (int)(end - path), path);
    *at = end + 1;
    return 1;
}

/* Whether the folder holds everything, as far as sizes and times tell: what a cleaner removed or a
 * crash of the machine cut off shows in the sizes, and what was written to a file in its time. */
static int is_complete(int folder, int is_timed)
{
    const char *at = payload;
    struct item item;
    struct stat found;
    while (next_item(&at, &item)) {
        if (fstatat(folder, item.path, &found, AT_SYMLINK_NOFOLLOW) != 0)
            return 0;
        if (item.kind == 'd' ? !S_ISDIR(found.st_mode)
                             : (size_t)found.st_size != item.size)
            return 0;
        if ((item.kind == 'l') != S_ISLNK(found.st_mode))
            return 0;
        if (is_timed && S_ISREG(found.st_mode) && found.st_mtime != FILE_TIME)
            return 0;
    }
    return 1;
}

/* Whether nobody but this user (and root) can change what is in the folder. */
static int is_own(const struct stat *folder)
{
    return S_ISDIR(folder->st_mode) && folder->st_uid == geteuid() &&
           (folder->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Opens a version's folder with a lock on it; -1 if it is not there, not complete or not ours. */
static int open_version(const char *path)
{
    struct stat opened, found;
    int lowest = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), folder;
    if (lowest < 0)
        return -1;
    folder = fcntl(lowest, F_DUPFD, LOCK_LOWEST);
    close(lowest);
    if (folder < 0)
        return -1;
    /* Some network file systems have no locks; nothing is ever removed from those. */
    if (flock(folder, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        /* Since it was opened, its name may have been given to another. */
        if (fstat(folder, &opened) == 0 && lstat(path, &found) == 0 &&
            opened.st_ino == found.st_ino && opened.st_dev == found.st_dev && is_own(&opened) &&
            is_complete(folder, faccessat(folder, UNTIMED, F_OK, 0) != 0))
            return folder;
    }
    close(folder);
    return -1;
}

static void remove_tree(const char *path);

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)place;
    /* A folder that its owner may not read, either. */
    if (kind == FTW_DNR && (found->st_mode & S_IRWXU) != S_IRWXU && chmod(path, S_IRWXU) == 0)
        remove_tree(path);
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 1, FTW_DEPTH | FTW_PHYS);
}

/* Whether the error says that written data did not reach the device. Others say that the system or
 * the file system has no such call, and then there is nothing to wait for. */
static int is_lost(int error)
{
    return error == EIO || error == ENOSPC || error == EDQUOT;
}

/* Writes a file and gives it `FILE_TIME`, if the file system can. When it was read last stays true:
 * what cleans folders for temporary files goes by that. */
static int write_file(const char *path, const char *data, size_t size, mode_t mode)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = FILE_TIME}};
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0)
        return -1;
    while (size > 0) {
        ssize_t written = write(file, data, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            int error = errno;
            close(file);
            errno = error;
            return -1;
        }
        data += written;
        size -= (size_t)written;
    }
    futimens(file, times);
#ifdef __APPLE__
    /* There a whole file system cannot be waited for, as `force_out` does it elsewhere. */
    if (fsync(file) != 0 && is_lost(errno)) {
        int error = errno;
        close(file);
        errno = error;
        return -1;
    }
#endif
    return close(file);
}

/* Waits until what was written is on the device: after a power cut a file may else have its size and
 * time, and zeros for its content. */
static int force_out(int folder)
{
#ifdef __APPLE__
    /* fsync, which each file had, leaves it in the drive's own memory. */
    int done = fcntl(folder, F_FULLFSYNC);
#else
    int done = syncfs(folder);
#endif
    return done != -1 || !is_lost(errno) ? 0 : -1;
}

/* Writes everything below a folder; the contents are those of the payload. */
static int write_items(const char *folder, const char *contents)
{
    const char *at = payload;
    char path[PATH_MAX], target[PATH_MAX];
    struct item item;
    while (next_item(&at, &item)) {
        int done;
        if (join(path, folder, item.path) != 0)
            return -1;
        if (item.kind == 'd') {
            done = mkdir(path, 0700);
        } else if (item.kind == 'l') {
            snprintf(target, sizeof target, "%.*s", (int)item.size, contents);
            done = symlink(target, path);
        } else {
            done = write_file(path, contents, item.size, item.kind == 'x' ? 0700 : 0600);
        }
        if (done != 0)
            return -1;
        contents += item.size;
    }
    return 0;
}

/* Decompresses the contents; NULL if that fails. They are never freed: exec follows. */
static const char *unpack_contents(void)
{
    static char *contents;
    const char *at = payload;
    struct item item;
    size_t size, packed;
    if (contents != NULL)
        return contents;
    while (next_item(&at, &item))
        ;
    at++; /* the empty line */
    packed = (size_t)(payload_end - at);
    size = (size_t)ZSTD_getFrameContentSize(at, packed);
    contents = malloc(size);
    if (contents != NULL && ZSTD_decompress(contents, size, at, packed) != size) {
        free(contents);
        contents = NULL;
        errno = EILSEQ;
    }
    return contents;
}

/* Removes what is unused: versions that were not started for a week, and what killed starts left.
 * A folder on which somebody has a lock is in use. */
static void remove_unused(const char *place)
{
    DIR *entries = opendir(place);
    struct dirent *entry;
    time_t now = time(NULL);
    char name[NAME_MAX];
    snprintf(name, sizeof name, DRAFT "%ld", (long)getpid());
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        int is_draft = strncmp(entry->d_name, DRAFT, strlen(DRAFT)) == 0;
        char path[PATH_MAX], away[PATH_MAX];
        struct stat found;
        int folder;
        if (!is_draft && strspn(entry->d_name, "0123456789abcdef") != strlen(VERSION))
            continue;
        if (join(path, place, entry->d_name) != 0 || join(away, place, name) != 0)
            continue;
        /* One that its owner may not read cannot be locked. */
        if (lstat(path, &found) == 0 && S_ISDIR(found.st_mode) && (found.st_mode & S_IRUSR) == 0)
            chmod(path, S_IRWXU);
        folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0)
            continue;
        if (flock(folder, LOCK_EX | LOCK_NB) == 0 && fstat(folder, &found) == 0 &&
            now - found.st_mtime > (is_draft ? DRAFT_SECONDS_MAX : UNUSED_SECONDS_MAX) &&
            (is_draft || rename(path, away) == 0))
            remove_tree(is_draft ? path : away);
        close(folder);
    }
    if (entries != NULL)
        closedir(entries);
}

/* Gives a draft its place, unless another start was quicker, and opens what is there. */
static int put_in_place(const char *draft, const char *path)
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        char away[PATH_MAX];
        int renamed = rename(draft, path), folder;
        if (renamed != 0)
            fail("renaming");
        folder = open_version(path);
        if (folder >= 0)
            return folder;
        if (renamed == 0)
            return fail("reading what was unpacked");
        /* What is there is damaged: away with it, and at once, as others start meanwhile. */
        if ((size_t)snprintf(away, sizeof away, "%s.%d", draft, tries) < sizeof away &&
            rename(path, away) == 0)
            remove_tree(away);
    }
    return -1;
}

/* Notes in a draft that its file system does not keep times: else each start would unpack anew. */
static int note_untimed(const char *draft)
{
    char path[PATH_MAX];
    return join(path, draft, UNTIMED) == 0 ? write_file(path, "", 0, 0600) : -1;
}

/* Unpacks the version to `path` in `place`, and opens it as `open_version` does. */
static int unpack_version(const char *place, const char *path)
{
    const char *contents = unpack_contents();
    char draft[PATH_MAX];
    int lock, folder = -1;
    if (contents == NULL)
        return fail("decompressing");
    if (join(draft, place, DRAFT "XXXXXX") != 0 || mkdtemp(draft) == NULL)
        return fail("making a folder");
    /* Before anything is in it, so that it is never taken for one that was left. */
    lock = open(draft, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        fail("making a folder");
        rmdir(draft);
        return -1;
    }
    flock(lock, LOCK_SH | LOCK_NB);
    if (write_items(draft, contents) != 0 || (!is_complete(lock, 1) && note_untimed(draft) != 0))
        fail("unpacking");
    else if (force_out(lock) != 0)
        fail("writing to the device");
    else
        folder = put_in_place(draft, path);
    close(lock);
    if (folder >= 0)
        remove_unused(place);
    remove_tree(draft);
    return folder;
}

/* Whether programs may be run from the file system of the folder. */
static int allows_programs(const char *folder)
{
#ifdef __APPLE__
    struct statfs found;
    return statfs(folder, &found) != 0 || (found.f_flags & MNT_NOEXEC) == 0;
#else
    struct statvfs found;
    return statvfs(folder, &found) != 0 || (found.f_flag & ST_NOEXEC) == 0;
#endif
}

/* Whether nobody but this user and root can put another folder in the place of this one, as they
 * could in a folder above it: with sudo, HOME may be that of somebody else. */
static int is_safe_below(const char *folder)
{
    char path[PATH_MAX], *slash;
    struct stat found;
    if (realpath(folder, path) == NULL)
        return 0;
    while ((slash = strrchr(path, '/')) != NULL) {
        slash[slash == path] = '\0';
        if (stat(path, &found) != 0)
            return 0;
        if (found.st_uid != 0 && found.st_uid != geteuid())
            return 0;
        if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (found.st_mode & S_ISVTX) == 0)
            return 0;
        if (slash == path)
            return 1;
    }
    return 0;
}

/* Makes a folder and the one that it is in, and no others: those there are somebody's. */
static void make_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (mkdir(path, 0700) == 0 || errno != ENOENT)
        return;
    *slash = '\0';
    int made = mkdir(path, 0700);
    *slash = '/';
    if (made == 0)
        mkdir(path, 0700);
}

/* Whether a text is UTF-8, as Python decodes it (RFC 3629). */
static int is_utf8(const unsigned char *text)
{
    while (*text != '\0') {
        unsigned char first = *text++, least = 0x80, most = 0xBF;
        int more = first < 0x80 ? 0 : first < 0xC2 ? -1 : first < 0xE0 ? 1 : first < 0xF0 ? 2
                   : first < 0xF5 ? 3 : -1;
        if (more < 0)
            return 0;
        if (first == 0xE0)
            least = 0xA0;
        else if (first == 0xED)
            most = 0x9F; /* surrogates */
        else if (first == 0xF0)
            least = 0x90;
        else if (first == 0xF4)
            most = 0x8F;
        for (; more > 0; more--, least = 0x80, most = 0xBF)
            if (*text < least || *text++ > most)
                return 0;
    }
    return 1;
}

/* Makes ready a folder in which versions are; 0, or -1 if it cannot be used. A cache is in a folder
 * that must be safe; a folder for temporary files is shared by all, and the system sees to it. */
static int prepare(char *place, int is_cache)
{
    struct stat found;
    errno = EILSEQ;
    if (!is_utf8((const unsigned char *)place))
        return fail("its name is not UTF-8, which the program is told in");
    if (lstat(place, &found) != 0)
        make_folder(place);
    if (lstat(place, &found) != 0)
        return fail("making a folder");
    errno = EPERM;
    if (!is_own(&found) || (is_cache && !is_safe_below(place)))
        return fail("others can write there");
    errno = EACCES;
    if (!allows_programs(place))
        return fail("programs may not be run from there (noexec)");
    return 0;
}

/* Adds a folder to those to try, if `base` is an absolute path and it is not among them. */
static int add_place(char places[PLACES_MAX][PATH_MAX], int count, const char *base,
                     const char *name)
{
    int length = base == NULL ? 0 : (int)strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    if (length == 0 || base[0] != '/')
        return count;
    if (snprintf(places[count], PATH_MAX, "%.*s/%s", length, base, name) >= PATH_MAX)
        return count;
    for (int i = 0; i < count; i++)
        if (strcmp(places[i], places[count]) == 0)
            return count;
    return count + 1;
}

/* The folders to try, in this order; returns how many. The first `*caches` of them are caches. */
static int find_places(char places[PLACES_MAX][PATH_MAX], int *caches)
{
    char name[NAME_MAX];
    int count = 0;
    snprintf(name, sizeof name, "dunena-%lu", (unsigned long)geteuid());
    count = add_place(places, count, getenv("XDG_CACHE_HOME"), "dunena");
    count = add_place(places, count, getenv("HOME"), CACHE_BELOW_HOME);
    *caches = count;
    count = add_place(places, count, getenv("TMPDIR"), name);
    count = add_place(places, count, "/tmp", name);
    return add_place(places, count, "/var/tmp", name);
}

/* The file that this process was started from, without symbolic links. */
static int find_file(char path[PATH_MAX])
{
#ifdef __APPLE__
    char found[PATH_MAX];
    uint32_t size = sizeof found;
    return _NSGetExecutablePath(found, &size) == 0 && realpath(found, path) != NULL;
#else
    /* Some containers have no /proc. */
    const char *started = (const char *)getauxval(AT_EXECFN);
    return realpath("/proc/self/exe", path) != NULL ||
           (started != NULL && realpath(started, path) != NULL);
#endif
}

/* Becomes the program in the folder; returns, with errno, only if that fails. */
static void become(const char *folder, char **arguments)
{
    char program[PATH_MAX];
    if (join(program, folder, PROGRAM) != 0) {
        fail("starting the program");
        return;
    }
#ifndef __APPLE__
    /* Then PyInstaller finds its files by this word alone. */
    if (access("/proc/self/exe", F_OK) != 0)
        arguments[0] = program;
#endif
    execve(program, arguments, environ);
    fail("starting the program");
}

/* Whether a start failed for lack of what runs the program: the loader of its C library. */
static int lacks_loader(const char *folder)
{
    char program[PATH_MAX];
    return failed.number == ENOENT && join(program, folder, PROGRAM) == 0 &&
           access(program, F_OK) == 0;
}

/* Opens a version in `place`, and unpacks it there before if need be; -1 if that fails. */
static int find_version(char *place, int is_cache, char path[PATH_MAX])
{
    void (*before)(int);
    int folder;
    if (prepare(place, is_cache) != 0)
        return -1;
    if (join(path, place, VERSION) != 0)
        return fail("making a folder");
    folder = open_version(path);
    if (folder >= 0)
        return folder;
    /* Where files may not get so large (ulimit -f), writing is to fail, and not to kill. */
    before = signal(SIGXFSZ, SIG_IGN);
    folder = unpack_version(place, path);
    signal(SIGXFSZ, before);
    return folder;
}

int main(int count, char **arguments)
{
    char places[PLACES_MAX][PATH_MAX], version[PATH_MAX], file[PATH_MAX];
    struct failure failures[PLACES_MAX];
    int caches, tried, places_count = find_places(places, &caches);
    mode_t mask = umask(077);
    if (count < 1)
        return 1;
    if (!find_file(file) || setenv(FILE_VARIABLE, file, 1) != 0) {
        fprintf(stderr, "dunena: cannot find the file that was started: %s\n", strerror(errno));
        return 1;
    }
    for (tried = 0; tried < places_count; tried++) {
        int folder = find_version(places[tried], tried < caches, version);
        if (folder >= 0) {
            futimens(folder, NULL); /* when it was used last */
            umask(mask);
            become(version, arguments);
            if (lacks_loader(version)) {
                remove_tree(version);
                fprintf(stderr,
                        "dunena: this system has no glibc, the C library that this file is made "
                        "for (Alpine has musl): use pip install dunena, or a container\n");
                return 1;
            }
            umask(077);
            close(folder);
        }
        failures[tried] = failed;
        if (folder >= 0 && failed.number != EACCES) { /* it would fail at any place */
            tried++;
            break;
        }
    }
    fprintf(stderr,
            "dunena: cannot unpack the program into any of these folders; set TMPDIR to one that "
            "can be written and has room for it:\n");
    for (int i = 0; i < tried; i++)
        fprintf(stderr, "  %s: %s: %s\n", places[i], failures[i].step,
                strerror(failures[i].number));
    return 1;
}
