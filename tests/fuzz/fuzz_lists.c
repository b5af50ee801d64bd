#include "fuzz.h"
#include "lists.h"

#include <stdlib.h>
#include <string.h>

/* Seeds, times and intervals of the command line. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    char *text = malloc(count + 1);
    uint64_t *seeds;
    double *times, interval[2];
    size_t n;
    if (!text) return 0;
    if (count) memcpy(text, bytes, count);
    text[count] = 0;
    if (!hkd_parse_seeds(&seeds, &n, "fuzz", text)) free(seeds);
    if (!hkd_parse_times(&times, &n, "fuzz", text)) free(times);
    const bool read = !hkd_parse_interval(interval, "fuzz", text);
    if (read && !(interval[0] >= 0 && interval[0] < interval[1] && interval[1] <= 1)) abort();
    free(text);
    return 0;
}
