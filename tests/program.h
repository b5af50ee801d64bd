/* program.h - run the `hkd` program inside the tests and read what it says. */
#ifndef HKD_PROGRAM_RUN_H
#define HKD_PROGRAM_RUN_H

/* `hkd WORDS`: words are separated by blanks. Returns the exit code; program_out() and program_err() are what it printed. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
int program(const char *words, ...);
/* The same with words that may hold anything; argv[0] is the program's name. argv is reordered. */
int program_called(int argc, const char **argv);
const char *program_out(void);
const char *program_err(void);

/* One check: `hkd WORDS` ends with `code`, says nothing on stdout, and says one line on stderr that contains `says` (what a run
 * says about memory is no part of it). */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void program_refuses(int code, const char *says, const char *words, ...);

#endif
