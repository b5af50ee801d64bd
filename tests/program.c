#include "program.h"

#include "cli.h"
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEXT = 1 << 18, MOST_WORDS = 64 };
static char printed[3][MOST_TEXT];

const char *program_out(void) { return printed[STDOUT_FILENO]; }
const char *program_err(void) { return printed[STDERR_FILENO]; }

/* From now on what is written to `fd` goes to a file; returns the place it went to before. */
static int divert(int fd, FILE *file) {
    fflush(fd == STDOUT_FILENO ? stdout : stderr);
    const int before = dup(fd);
    dup2(fileno(file), fd);
    return before;
}

static void restore(int fd, FILE *file, int before) {
    fflush(fd == STDOUT_FILENO ? stdout : stderr);
    dup2(before, fd);
    close(before);
    rewind(file);
    printed[fd][fread(printed[fd], 1, MOST_TEXT - 1, file)] = 0;
    fclose(file);
}

int program_called(int argc, const char **argv) {
    FILE *out = tmpfile(), *err = tmpfile();
    if (!CHECK(out && err, "no temporary files")) return -1;
    const int out_before = divert(STDOUT_FILENO, out), err_before = divert(STDERR_FILENO, err);
    const int code = hkd_main(hkd_verbs, argc, argv);
    restore(STDOUT_FILENO, out, out_before);
    restore(STDERR_FILENO, err, err_before);
    return code;
}

static int run(const char *words, va_list args) {
    static char line[1 << 14];
    const char *argv[MOST_WORDS] = {"hkd"};
    int argc = 1;
    vsnprintf(line, sizeof line, words, args);
    for (char *word = strtok(line, " "); word && argc < MOST_WORDS; word = strtok(NULL, " ")) argv[argc++] = word;
    return program_called(argc, argv);
}

int program(const char *words, ...) {
    va_list args;
    va_start(args, words);
    const int code = run(words, args);
    va_end(args);
    return code;
}

void program_refuses(int code, const char *says, const char *words, ...) {
    char line[1024];
    va_list args;
    va_start(args, words);
    vsnprintf(line, sizeof line, words, args);
    va_end(args);
    const int got = program("%s", line);
    int lines = 0;
    for (const char *at = program_err(), *end; (end = strchr(at, '\n')); at = end + 1) lines += strncmp(at, "memory:", 7) != 0;
    CHECK(got == code, "'%s' ended with %d, expected %d: %s", line, got, code, program_err());
    CHECK(strstr(program_err(), says), "'%s' does not say '%s': %s", line, says, program_err());
    CHECK(lines == 1, "'%s' needs %d lines: %s", line, lines, program_err());
    CHECK(!*program_out(), "'%s' fails but prints: %s", line, program_out());
}
