#include "fuzz.h"
#include "trajectory_file.h"

#include <stdlib.h>
#include <string.h>

/* A folder with one shard; the last state of the last trajectory is read. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    char dir[128];
    hkd_trajectories t;
    int label;
    strcpy(dir, fuzz_file("000000.safetensors", bytes, count));
    *strrchr(dir, '/') = 0;
    if (hkd_trajectories_open(&t, dir)) return 0;
    const int64_t size = hkd_trajectories_size(&t);
    double *x = t.count > 0 && t.states > 0 && size <= 1 << 16 ? malloc((size_t)size * sizeof *x + 1) : NULL;
    if (x) {
        t.get(&t, t.count - 1, t.states - 1, x);
        t.label(&t, t.count - 1, &label);
    }
    free(x);
    hkd_trajectories_close(&t);
    return 0;
}
