/* Runs one fuzz entry over the files named on the command line: a corpus without a fuzzer. */
#include "fuzz.h"
#include "os.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        unsigned char *bytes;
        size_t count;
        if (hkd_read_file(&bytes, &count, argv[i], 1 << 24)) {
            fprintf(stderr, "%s\n", hkd_last_error());
            return 1;
        }
        LLVMFuzzerTestOneInput(bytes, count);
        free(bytes);
    }
    printf("%d passed, 0 failed\n", argc - 1);
    return 0;
}
