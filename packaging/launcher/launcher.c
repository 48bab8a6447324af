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
 * A version is complete or not there: it is unpacked beside its place and renamed. Each process
 * that runs from a version holds a lock on its folder (flock, shared), inherited over exec, so that
 * only versions are removed which nobody uses.
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

extern const char payload[], payload_end[];
extern char **environ;

struct item {
    char kind;
    size_t size;
    char path[PATH_MAX];
};

/* What went wrong at the last place that was tried: which step, and errno. */
static const char *failed_step = "no folder";
static int failed_errno = ENOENT;

/* Notes what went wrong, and returns -1. */
static int fail(const char *step)
{
    failed_step = step;
    failed_errno = errno;
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

/* Whether the folder holds everything, as far as sizes tell: what is missing after a crash of the
 * machine or was removed by a cleaner shows in them. */
static int is_complete(int folder)
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
            is_complete(folder))
            return folder;
    }
    close(folder);
    return -1;
}

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)found, (void)kind, (void)place;
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 1, FTW_DEPTH | FTW_PHYS);
}

static int write_file(const char *path, const char *data, size_t size, mode_t mode)
{
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
    return close(file);
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
    if (lock >= 0)
        flock(lock, LOCK_SH | LOCK_NB);
    if (write_items(draft, contents) != 0)
        fail("unpacking");
    else
        folder = put_in_place(draft, path);
    if (lock >= 0)
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

/* Adds a folder to those to try, if `base` is an absolute path. */
static int add_place(char places[PLACES_MAX][PATH_MAX], int count, const char *base,
                     const char *name)
{
    if (base == NULL || base[0] != '/' || base[1] == '\0')
        return count;
    return join(places[count], base, name) == 0 ? count + 1 : count;
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
    if (join(program, folder, PROGRAM) != 0)
        return;
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
    return failed_errno == ENOENT && join(program, folder, PROGRAM) == 0 &&
           access(program, F_OK) == 0;
}

int main(int count, char **arguments)
{
    char places[PLACES_MAX][PATH_MAX], version[PATH_MAX], file[PATH_MAX];
    int caches, tried = find_places(places, &caches);
    mode_t mask = umask(077);
    if (count < 1)
        return 1;
    if (!find_file(file) || setenv(FILE_VARIABLE, file, 1) != 0) {
        fprintf(stderr, "dunena: cannot find the file that was started: %s\n", strerror(errno));
        return 1;
    }
    for (int i = 0; i < tried; i++) {
        int folder;
        if (prepare(places[i], i < caches) != 0)
            continue;
        if (join(version, places[i], VERSION) != 0)
            continue;
        folder = open_version(version);
        if (folder < 0)
            folder = unpack_version(places[i], version);
        if (folder < 0)
            continue;
        futimens(folder, NULL); /* when it was used last */
        umask(mask);
        become(version, arguments);
        if (lacks_loader(version)) {
            remove_tree(version);
            fprintf(stderr,
                    "dunena: this system has no glibc, the C library that this file is made for "
                    "(Alpine has musl): use pip install dunena, or a container\n");
            return 1;
        }
        umask(077);
        close(folder);
        if (failed_errno != EACCES) /* it would fail at any place */
            break;
    }
    fprintf(stderr,
            "dunena: cannot unpack the program into any of these folders; set TMPDIR to one that "
            "can be written and has room for it:\n");
    for (int i = 0; i < tried; i++)
        fprintf(stderr, "  %s\n", places[i]);
    fprintf(stderr, "the last one failed at %s: %s\n", failed_step, strerror(failed_errno));
    return 1;
}
