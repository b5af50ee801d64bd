/* All verbs of the program, one file each. */
#include "cli.h"

#define VERBS(X) \
    X(bands) \
    X(colorize) \
    X(bench) \
    X(compare) \
    X(convert) \
    X(data) \
    X(demo) \
    X(denoise) \
    X(devices) \
    X(edit) \
    X(eval) \
    X(gradcheck) \
    X(info) \
    X(inpaint) \
    X(ops) \
    X(record) \
    X(report) \
    X(sample) \
    X(spectrum) \
    X(trace) \
    X(train) \
    X(trajectory) \
    X(tune) \
    X(verify)

#define DECLARE(name) extern const hkd_verb hkd_verb_##name;
VERBS(DECLARE)

#define ADDRESS(name) &hkd_verb_##name,
const hkd_verb *const hkd_verbs[] = {VERBS(ADDRESS) NULL};
