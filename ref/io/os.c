#ifdef __APPLE__
#define _DARWIN_C_SOURCE /* ru_maxrss */
#endif
#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif

static hkd_status no_memory(const char *path) { return hkd_fail(HKD_RESOURCES, "%s: out of memory", path); }

static char *copy_string(const char *s) {
    const size_t n = strlen(s) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

struct hkd_file {
    char *name;
    uint64_t size;
    const unsigned char *memory; /* NULL: a file */
    int fd;
};

static hkd_status new_file(hkd_file **out, const char *name) {
    hkd_file *file = calloc(1, sizeof *file);
    *out = NULL;
    if (!file || !(file->name = copy_string(name))) {
        free(file);
        return no_memory(name);
    }
    file->fd = -1;
    *out = file;
    return HKD_OK;
}

hkd_status hkd_file_open(hkd_file **out, const char *path) {
    hkd_file *file;
    if (new_file(&file, path)) return HKD_RESOURCES;
    *out = NULL;
    struct stat st;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang us */
    if (file->fd < 0 || fstat(file->fd, &st)) {
        hkd_fail(HKD_BAD_FILE, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        hkd_fail(HKD_BAD_FILE, "%s: %s, expected a regular file", path, S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    } else {
        file->size = (uint64_t)st.st_size;
        *out = file;
        return HKD_OK;
    }
    hkd_file_close(file);
    return HKD_BAD_FILE;
}

hkd_status hkd_file_from_memory(hkd_file **out, const char *name, const void *bytes, size_t count) {
    if (new_file(out, name)) return HKD_RESOURCES;
    (*out)->memory = bytes ? bytes : "";
    (*out)->size = count;
    return HKD_OK;
}

void hkd_file_close(hkd_file *file) {
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    free(file->name);
    free(file);
}

const char *hkd_file_name(const hkd_file *file) { return file->name; }
uint64_t hkd_file_size(const hkd_file *file) { return file->size; }

hkd_status hkd_file_read(hkd_file *file, uint64_t offset, void *to, size_t count) {
    if (offset > file->size || count > file->size - offset)
        return hkd_fail(HKD_BAD_FILE, "%s: ends at byte %llu, expected %llu more from byte %llu on", file->name,
                        (unsigned long long)file->size, (unsigned long long)count, (unsigned long long)offset);
    if (file->memory) {
        if (count) memcpy(to, file->memory + offset, count);
        return HKD_OK;
    }
    for (size_t done = 0; done < count;) {
        const ssize_t n = pread(file->fd, (char *)to + done, count - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return hkd_fail(HKD_BAD_FILE, "%s: %s", file->name, n ? strerror(errno) : "became shorter while being read");
        done += (size_t)n;
    }
    return HKD_OK;
}

hkd_status hkd_read_file(unsigned char **bytes, size_t *count, const char *path, size_t limit) {
    hkd_file *file;
    *bytes = NULL;
    *count = 0;
    hkd_status status = hkd_file_open(&file, path);
    if (status) return status;
    if (file->size > limit || file->size >= SIZE_MAX) {
        status = hkd_fail(HKD_BAD_FILE, "%s: %llu bytes, expected at most %llu", path, (unsigned long long)file->size,
                          (unsigned long long)limit);
    } else if (!(*bytes = malloc((size_t)file->size + 1))) {
        status = no_memory(path);
    } else if (!(status = hkd_file_read(file, 0, *bytes, (size_t)file->size))) {
        *count = (size_t)file->size;
        (*bytes)[*count] = 0;
    } else {
        free(*bytes);
        *bytes = NULL;
    }
    hkd_file_close(file);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

struct hkd_writer {
    char *path, *temporary; /* temporary NULL: written directly */
    int fd;                 /* -1: into memory */
    unsigned char *memory;
    size_t count, room;
};

static hkd_status cannot_write(const char *path, int error) {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO || error == ENOMEM;
    return hkd_fail(full ? HKD_RESOURCES : HKD_USAGE, "%s: cannot write: %s", path, strerror(error));
}

static void writer_free(hkd_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    free(writer->path);
    free(writer->temporary);
    free(writer->memory);
    free(writer);
}

/* A new file beside the target: the same directory is the same file system, so that rename is atomic. */
static int open_beside(hkd_writer *writer) {
    const size_t room = strlen(writer->path) + 64;
    if (!(writer->temporary = malloc(room))) return errno = ENOMEM, -1;
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(writer->temporary, room, "%s.%ld-%u.tmp", writer->path, (long)getpid(), attempt);
        const int fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

hkd_status hkd_writer_open(hkd_writer **out, const char *path) {
    *out = NULL;
    hkd_writer *writer = calloc(1, sizeof *writer);
    if (!writer || !(writer->path = copy_string(path))) {
        free(writer);
        return no_memory(path);
    }
    struct stat st;
    const bool direct = !stat(path, &st) && !S_ISREG(st.st_mode);
    writer->fd = direct ? open(path, O_WRONLY | O_CLOEXEC) : open_beside(writer);
    if (writer->fd < 0) {
        const hkd_status status = cannot_write(path, errno);
        writer_free(writer);
        return status;
    }
    *out = writer;
    return HKD_OK;
}

hkd_status hkd_writer_open_memory(hkd_writer **out, const char *name) {
    *out = calloc(1, sizeof **out);
    if (*out && ((*out)->path = copy_string(name))) return (*out)->fd = -1, HKD_OK;
    free(*out);
    *out = NULL;
    return no_memory(name);
}

static hkd_status put_in_memory(hkd_writer *writer, const void *bytes, size_t count) {
    if (writer->room - writer->count < count) {
        const size_t room = 2 * (writer->room + count);
        unsigned char *grown = realloc(writer->memory, room);
        if (!grown) return no_memory(writer->path);
        writer->memory = grown;
        writer->room = room;
    }
    if (count) memcpy(writer->memory + writer->count, bytes, count);
    writer->count += count;
    return HKD_OK;
}

void hkd_writer_take(hkd_writer *writer, unsigned char **bytes, size_t *count) {
    *bytes = writer->memory;
    *count = writer->count;
    writer->memory = NULL;
    writer_free(writer);
}

hkd_status hkd_writer_put(hkd_writer *writer, const void *bytes, size_t count) {
    if (writer->fd < 0) return put_in_memory(writer, bytes, count);
    for (size_t done = 0; done < count;) {
        const ssize_t n = write(writer->fd, (const char *)bytes + done, count - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot_write(writer->path, errno);
        done += (size_t)n;
    }
    return HKD_OK;
}

void hkd_writer_abandon(hkd_writer *writer) {
    if (!writer) return;
    if (writer->temporary) unlink(writer->temporary);
    writer_free(writer);
}

/* The rename itself must survive a power cut, too. File systems that cannot sync a directory say so; that is no failure. */
static void sync_directory_of(const char *path) {
    char *dir = copy_string(path);
    if (!dir) return;
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = 0;
    const int fd = open(slash ? dir : ".", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

hkd_status hkd_writer_commit(hkd_writer *writer) {
    hkd_status status = HKD_OK;
    if (writer->temporary && fsync(writer->fd) && errno != EINVAL) status = cannot_write(writer->path, errno);
    const int fd = writer->fd;
    writer->fd = -1;
    if (close(fd) && !status) status = cannot_write(writer->path, errno);
    if (writer->temporary && !status) {
        if (rename(writer->temporary, writer->path)) status = cannot_write(writer->path, errno);
        else sync_directory_of(writer->path);
    }
    if (status) hkd_writer_abandon(writer);
    else writer_free(writer);
    return status;
}

hkd_status hkd_check_writable(const char *path) {
    hkd_writer *writer;
    const hkd_status status = hkd_writer_open(&writer, path);
    if (!status) hkd_writer_abandon(writer);
    return status;
}

hkd_status hkd_write_file(const char *path, const void *bytes, size_t count) {
    hkd_writer *writer;
    hkd_status status = hkd_writer_open(&writer, path);
    if (status) return status;
    if (!(status = hkd_writer_put(writer, bytes, count))) return hkd_writer_commit(writer);
    hkd_writer_abandon(writer);
    return status;
}

hkd_status hkd_draft_open(hkd_draft *d) {
    *d = (hkd_draft){NULL, NULL, 0};
    d->out = open_memstream(&d->text, &d->size);
    return d->out ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory");
}

hkd_status hkd_draft_save(hkd_draft *d, const char *path) {
    const bool failed = ferror(d->out) | fclose(d->out);
    const hkd_status status = failed ? hkd_fail(HKD_RESOURCES, "%s: out of memory", path)
                                     : hkd_write_file(path, d->text, d->size);
    free(d->text);
    return status;
}

void hkd_draft_abandon(hkd_draft *d) {
    fclose(d->out);
    free(d->text);
}

/* ---- directories ------------------------------------------------------------------------------------------------------ */

bool hkd_is_directory(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool hkd_exists(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void hkd_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

hkd_status hkd_list_directory(char ***names, size_t *count, const char *path) {
    char **list = NULL;
    size_t n = 0, room = 0;
    *names = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (!dir) return hkd_fail(HKD_BAD_FILE, "%s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            char **grown = realloc(list, room * sizeof *list);
            if (!grown) goto out_of_memory;
            list = grown;
        }
        if (!(list[n] = copy_string(entry->d_name))) goto out_of_memory;
        n++;
    }
    closedir(dir);
    if (n) qsort(list, n, sizeof *list, by_bytes);
    *names = list;
    *count = n;
    return HKD_OK;
out_of_memory:
    closedir(dir);
    hkd_names_free(list, n);
    return no_memory(path);
}

uint64_t hkd_free_bytes(const char *path) {
    struct statvfs fs;
    return statvfs(path, &fs) ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

hkd_status hkd_make_directory(const char *path) {
    char *part = copy_string(path);
    if (!part) return no_memory(path);
    for (char *end = part + 1; *part && *end; end++) {
        if (*end != '/') continue;
        *end = 0;
        mkdir(part, 0777); /* whether it worked shows below */
        *end = '/';
    }
    free(part);
    if (mkdir(path, 0777) && !hkd_is_directory(path)) {
        const int error = errno;
        return hkd_fail(error == ENOSPC || error == EDQUOT ? HKD_RESOURCES : HKD_USAGE, "%s: cannot make directory: %s", path,
                        strerror(error));
    }
    return HKD_OK;
}

char *hkd_path_join(const char *dir, const char *name) {
    const size_t n = strlen(dir);
    char *path = malloc(n + strlen(name) + 2);
    if (path) sprintf(path, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
    return path;
}

/* ---- the process ------------------------------------------------------------------------------------------------------ */

/* This program's file; not the link itself: the process would be called "exe". */
static bool own_path(char *path, size_t size) {
    const ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0) return false;
    path[length] = 0;
    return true;
}

void hkd_set_wait_policy(char **argv) {
    char path[4096];
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1)) return;
    if (setenv("GOMP_SPINCOUNT", "5000", 0) || !own_path(path, sizeof path)) return; /* libgomp: it outranks the policy */
    execv(path, argv); /* returns only when it failed */
}

/* All that can be read from fd, as a string; NULL when out of memory. */
static char *read_to_end(int fd) {
    size_t size = 0, room = 4096;
    char *text = malloc(room);
    for (ssize_t got = 1; text && got > 0;) {
        if (room - size < 2048) {
            char *more = realloc(text, room *= 2);
            if (!more) free(text);
            text = more;
        }
        do got = text ? read(fd, text + size, room - size - 1) : 0;
        while (got < 0 && errno == EINTR);
        if (got > 0) size += (size_t)got;
    }
    if (text) text[size] = 0;
    return text;
}

hkd_status hkd_run_again(char **out, const char *const *words) {
    char path[4096];
    int ends[2], code = 0;
    *out = NULL;
    if (!own_path(path, sizeof path)) return hkd_fail(HKD_RESOURCES, "this system does not say where the program's file is");
    if (pipe(ends)) return hkd_fail(HKD_RESOURCES, "no pipe to another process: %s", strerror(errno));
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]), close(ends[1]);
        execv(path, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    close(ends[1]);
    if (child > 0) *out = read_to_end(ends[0]);
    close(ends[0]);
    while (child > 0 && waitpid(child, &code, 0) < 0 && errno == EINTR) {}
    if (child > 0 && *out && !code) return HKD_OK;
    free(*out);
    *out = NULL;
    return hkd_fail(HKD_RESOURCES, "another process of this program did not do its part");
}

struct hkd_beside {
    pid_t child;
    int result; /* a pipe: the status as a digit, then the reason */
    bool ended;
};

hkd_status hkd_beside_begin(hkd_beside **out, hkd_status (*work)(void *context), void *context) {
    int ends[2] = {-1, -1};
    hkd_beside *beside = calloc(1, sizeof *beside);
    *out = NULL;
    const pid_t child = beside && !pipe(ends) ? fork() : -1;
    if (child == 0) {
        signal(SIGINT, SIG_IGN);
        const hkd_status status = work(context);
        char result[1024];
        const int size = snprintf(result, sizeof result, "%d%.1000s", (int)status, status ? hkd_last_error() : "");
        _exit(write(ends[1], result, (size_t)size) != size);
    }
    if (ends[1] >= 0) close(ends[1]);
    if (child < 0) {
        if (ends[0] >= 0) close(ends[0]);
        free(beside);
        return work(context);
    }
    *beside = (hkd_beside){.child = child, .result = ends[0]};
    *out = beside;
    return HKD_OK;
}

bool hkd_beside_ended(hkd_beside *beside) {
    if (!beside->ended) beside->ended = waitpid(beside->child, NULL, WNOHANG) != 0;
    return beside->ended;
}

hkd_status hkd_beside_end(hkd_beside *beside) {
    if (!beside) return HKD_OK;
    while (!beside->ended && waitpid(beside->child, NULL, 0) < 0 && errno == EINTR) {}
    char *result = read_to_end(beside->result);
    close(beside->result);
    free(beside);
    hkd_status status = HKD_OK;
    if (!result || !*result) status = hkd_fail(HKD_RESOURCES, "a process that worked beside this one was killed");
    else if (*result != '0') status = hkd_fail((hkd_status)(*result - '0'), "%s", result + 1);
    free(result);
    return status;
}

double hkd_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int hkd_cores(void) {
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)n;
}

/* Linux hands the largest size of a process on to the programs it starts; VmHWM is this program's own. */
uint64_t hkd_peak_memory(void) {
    struct rusage usage;
    char line[128];
    unsigned long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && !kilobytes && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %lu", &kilobytes);
    if (status) fclose(status);
    if (kilobytes) return (uint64_t)kilobytes * 1024;
    if (getrusage(RUSAGE_SELF, &usage)) return 0;
#ifdef __APPLE__
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

bool hkd_is_terminal(int fd) { return isatty(fd) == 1; }

static volatile sig_atomic_t interrupted;
static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

const volatile sig_atomic_t *hkd_interrupt_flag(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &interrupted;
}
