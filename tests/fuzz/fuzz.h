/* fuzz.h - one entry per parser: any bytes must give a value or one line of text, never a crash, a leak or a huge allocation.
 * Built with clang -fsanitize=fuzzer these search; with replay.c they try the files named on the command line. */
#ifndef HKD_FUZZ_H
#define HKD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* file.c: the bytes as a file, for parsers that open a path. NAME ends as the parser wants it; the path is valid until the next
 * call with this NAME; files of other names lie beside it. */
const char *fuzz_file(const char *name, const uint8_t *bytes, size_t count);
/* The bytes as a data set of this name; its last image is read when there is one of a size that fits a test. */
void fuzz_dataset(const char *name, const uint8_t *bytes, size_t count);

#endif
