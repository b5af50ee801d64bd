/* Launches the contraction, in pieces short enough for a display driver's patience. */
#include "opencl.h"

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Multiply-adds of one launch: a tenth of a second where only 20 GFLOP/s are reached. */
static const double most_work = 1e9;
/* Floats of B that stay in the cache of a processor core while all of A passes by. */
static const double most_panel = 1 << 18;

hkd_status hkd_cl_contract(hkd_cl *cl, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b, const hkd_buffer *bias,
                           const hkd_contract *shape) {
    hkd_contract k = *shape;
    if (k.r1 == 1 && k.r2 == 1 && !k.group) { /* the innermost loop is the longest */
        k.r2 = k.r0, k.a_r2 = k.a_r0, k.b_r2 = k.b_r0;
        k.r0 = 1;
    }
    const int64_t tiles_m = (k.m + cl->tile_m - 1) / cl->tile_m, tiles_n = (k.n + cl->tile_n - 1) / cl->tile_n;
    const int64_t count_z = (int64_t)k.z0 * k.z1;
    const double tile = (double)cl->tile_m * cl->tile_n * k.r0 * k.r1 * k.r2;
    const double rows = k.b_r2 == 1 ? k.r0 : (double)k.r0 * k.r1 * k.r2; /* of B that one column meets; taps share theirs */
    int64_t step_n = larger(1, smaller(tiles_n, (int64_t)(most_work / (tile * (double)larger(1, tiles_m) + 1))));
    if (!cl->gpu) step_n = larger(1, smaller(step_n, (int64_t)(most_panel / (rows * cl->tile_n + 1))));
    const int64_t step_z = larger(1, smaller(count_z, (int64_t)(most_work / (tile * (double)(tiles_m * step_n) + 1))));
    const int64_t lanes = cl->lanes;
    for (int64_t z = 0; z < count_z; z += step_z)
        for (int64_t n = 0; n < tiles_n; n += step_n) {
            k.first_n = (int)n;
            k.first_z = (int)z;
            const size_t columns = (size_t)((smaller(step_n, tiles_n - n) + lanes - 1) / lanes);
            const size_t groups[3] = {columns, (size_t)tiles_m, (size_t)smaller(step_z, count_z - z)};
            const hkd_status status = hkd_cl_launch(
                cl, "contract", groups, (size_t)lanes,
                HKD_CL_ARGS(hkd_cl_memory(c), hkd_cl_memory(a), hkd_cl_memory(b), hkd_cl_memory(bias),
                            {.size = sizeof k, .structure = &k}));
            if (status) return status;
        }
    return HKD_OK;
}
