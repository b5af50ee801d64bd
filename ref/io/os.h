/* os.h - everything that the operating system must do for us. ref/io/os.c is the only file with POSIX calls.
 *
 * Files are read through hkd_file, which may also be a piece of memory: every parser of this folder reads that and nothing
 * else, so that hostile input can be tried without touching a disk. Files are written through hkd_writer, which is atomic:
 * readers see the old file or the new one, never half of one.
 */
#ifndef HKD_OS_H
#define HKD_OS_H

#include "status.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

typedef struct hkd_file hkd_file;
hkd_status hkd_file_open(hkd_file **out, const char *path);
/* A file that is `count` bytes of memory, which must outlive it; `name` appears in messages. */
hkd_status hkd_file_from_memory(hkd_file **out, const char *name, const void *bytes, size_t count);
void hkd_file_close(hkd_file *file); /* NULL is fine */
const char *hkd_file_name(const hkd_file *file);
uint64_t hkd_file_size(const hkd_file *file);
/* Exactly `count` bytes from `offset` on, or an error. */
hkd_status hkd_file_read(hkd_file *file, uint64_t offset, void *to, size_t count);
/* A whole file; one beyond `limit` bytes is refused before anything is allocated. The caller frees *bytes. A zero byte follows
 * the last one, so that text can be used as a string. */
hkd_status hkd_read_file(unsigned char **bytes, size_t *count, const char *path, size_t limit);

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

typedef struct hkd_writer hkd_writer;
/* Bytes go to a temporary file beside `path`; commit makes it durable and renames it. What exists at `path` and is no regular
 * file (a pipe, /dev/null) is written directly. */
hkd_status hkd_writer_open(hkd_writer **out, const char *path);
hkd_status hkd_writer_put(hkd_writer *writer, const void *bytes, size_t count);
hkd_status hkd_writer_commit(hkd_writer *writer); /* frees the writer, also when it fails: then nothing is left behind */
void hkd_writer_abandon(hkd_writer *writer);      /* frees it and removes the temporary file; NULL is fine */
/* Can a file be made at `path`? Asked before long work; leaves nothing behind. */
hkd_status hkd_check_writable(const char *path);
hkd_status hkd_write_file(const char *path, const void *bytes, size_t count);
/* A text that is written with stdio, in memory, and then becomes a file as a whole. */
typedef struct {
    FILE *out;
    char *text;
    size_t size; /* of the text, when it was saved */
} hkd_draft;
hkd_status hkd_draft_open(hkd_draft *draft);
hkd_status hkd_draft_save(hkd_draft *draft, const char *path); /* frees the text, also when it fails */
void hkd_draft_abandon(hkd_draft *draft);
/* A writer into memory: take its bytes in place of a commit (they are freed by the caller), or abandon it. */
hkd_status hkd_writer_open_memory(hkd_writer **out, const char *name);
void hkd_writer_take(hkd_writer *writer, unsigned char **bytes, size_t *count);

/* ---- directories ------------------------------------------------------------------------------------------------------ */

bool hkd_is_directory(const char *path);
bool hkd_exists(const char *path);
/* Names of a directory's entries but "." and "..", in byte order; free with hkd_names_free. */
hkd_status hkd_list_directory(char ***names, size_t *count, const char *path);
void hkd_names_free(char **names, size_t count);
/* Bytes that can still be written where `path` is; UINT64_MAX when the system does not say. */
uint64_t hkd_free_bytes(const char *path);
/* mkdir -p */
hkd_status hkd_make_directory(const char *path);
/* "dir/name", to be freed; NULL when out of memory. */
char *hkd_path_join(const char *dir, const char *name);

/* ---- the process ------------------------------------------------------------------------------------------------------ */

/* How OpenMP's threads wait for each other, which its library reads before main begins: they spin for some 70 us, twice what it
 * takes to wake one, then sleep. Never to spin makes a pass of many small operators a quarter slower; beside a neighbour that
 * has one of the cores, spinning costs a fifth, and to spin on would double the time. Sets the environment, unless
 * OMP_WAIT_POLICY is there, and starts the program anew; returns when there is nothing to do, or the system cannot do it. */
void hkd_set_wait_policy(char **argv);
/* Run this program's file once more, in a process of its own, as words[0] with the words after it (ends with NULL), and wait.
 * *out: what it wrote to stdout, freed by the caller. An error unless it ends with code 0. */
hkd_status hkd_run_again(char **out, const char *const *words);
/* Do `work` in a copy of this process, which sees memory as it is now, while this one goes on and changes it. The copy has no
 * thread but the one that asked, so the work must not use OpenMP; Ctrl-C does not reach it. Where the system makes no copy, the
 * work is done before this returns, and *out is NULL. */
typedef struct hkd_beside hkd_beside;
hkd_status hkd_beside_begin(hkd_beside **out, hkd_status (*work)(void *context), void *context);
bool hkd_beside_ended(hkd_beside *beside);      /* without waiting */
hkd_status hkd_beside_end(hkd_beside *beside);  /* waits and frees; what the work gave, with its reason. NULL: HKD_OK */
double hkd_seconds(void);         /* a monotonic clock */
int hkd_cores(void);              /* processors on line, at least 1 */
uint64_t hkd_peak_memory(void);   /* largest resident size so far, in bytes */
bool hkd_is_terminal(int fd);     /* 1 = stdout, 2 = stderr */
/* From now on the first Ctrl-C or TERM sets the returned flag, the second ends the process. */
const volatile sig_atomic_t *hkd_interrupt_flag(void);

#endif
