/* Launches the contraction, in pieces short enough for a display driver's patience. */
#include "tune.h"

#include <math.h>

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Floats of A that stay in the cache of a processor core while B passes by; and of B, where terms come in groups. */
static const double most_panel = 1 << 17;

/* How much of a contraction one launch takes. */
typedef struct {
    int64_t m, n, z, r0; /* rows, columns, both whole tiles; z; terms, whole groups */
} piece;

/* Steps of `each` that fit into `room`, at least one and at most what `all` takes. */
static int64_t fitting(double room, int64_t each, int64_t all) {
    const int64_t most = larger(1, (all + each - 1) / each);
    return each * (room < (double)most ? larger(1, (int64_t)room) : most);
}

/* Whole work-groups of columns, then z, then rows, then groups of terms: as far as the work and a core's cache allow. */
static piece piece_of(const hkd_cl *cl, int64_t tile_m, int64_t tile_n, const hkd_contract *k) {
    const int64_t columns = cl->lanes * tile_n, all_m = (k->m + tile_m - 1) / tile_m * tile_m;
    const double inner = (double)k->r1 * k->r2, terms = inner * (double)larger(1, k->r0);
    piece p = {.r0 = larger(1, k->r0)};
    const double room = cl->most_work / ((double)columns * (terms + 1) * (double)larger(1, all_m));
    p.n = fitting(room, columns, k->n);
    p.z = fitting(cl->most_work / ((double)p.n * (terms + 1) * (double)larger(1, all_m)), 1, (int64_t)k->z0 * k->z1);
    double tiles = cl->most_work / ((double)(p.n * p.z * tile_m) * (terms + 1));
    if (cl->lanes == 1 && !k->group) tiles = fmin(tiles, most_panel / ((double)tile_m * (terms + 1)));
    p.m = fitting(tiles, tile_m, k->m);
    if (k->group) {
        const double each = (double)k->group * (inner + 1); /* terms */
        double groups = cl->most_work / ((double)(p.n * p.z * p.m) * each);
        if (cl->lanes == 1) groups = fmin(groups, most_panel / ((double)tile_n * each));
        p.r0 = fitting(groups, k->group, k->r0);
    }
    return p;
}

hkd_status hkd_cl_tiles(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                        const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape) {
    const int64_t tile_m = way->m, tile_n = way->v * cl->width;
    const char *kernel = hkd_cl_is_standard(cl, way) ? "contract" : way->name;
    hkd_contract k = *shape;
    if (k.r1 == 1 && k.r2 == 1 && !k.group) { /* the innermost loop is the longest */
        k.r2 = k.r0, k.a_r2 = k.a_r0, k.b_r2 = k.b_r0;
        k.r0 = 1;
    }
    const piece p = piece_of(cl, tile_m, tile_n, &k);
    const int64_t count_z = (int64_t)k.z0 * k.z1;
    hkd_status status = HKD_OK;
    for (int64_t z = 0; z < count_z; z += p.z)
        for (int64_t n = 0; n < k.n; n += p.n)
            for (int64_t m = 0; m < k.m; m += p.m)
                for (int64_t r0 = 0; !status && r0 < larger(1, k.r0); r0 += p.r0) {
                    k.first_z = (int)z, k.first_n = (int)n, k.first_m = (int)m, k.first_r0 = (int)r0;
                    k.last_n = (int)smaller(n + p.n, k.n);
                    k.last_r0 = (int)smaller(r0 + p.r0, k.r0);
                    const int64_t columns = (k.last_n - n + tile_n - 1) / tile_n;
                    const size_t by_n = (size_t)((columns + cl->lanes - 1) / cl->lanes);
                    const size_t by_m = (size_t)((smaller(p.m, k.m - m) + tile_m - 1) / tile_m);
                    const size_t by_z = (size_t)smaller(p.z, count_z - z);
                    const size_t cpu[3] = {by_m, by_z, by_n}, gpu[3] = {by_n, by_m, by_z}; /* axes as in contract.cl */
                    const size_t *groups = cl->lanes == 1 ? cpu : gpu;
                    status = hkd_cl_launch(cl, kernel, groups, (size_t)cl->lanes,
                                           HKD_CL_ARGS(hkd_cl_memory(c), hkd_cl_memory(a), hkd_cl_memory(b),
                                                       hkd_cl_memory(bias), hkd_cl_memory(more),
                                                       {.size = sizeof k, .structure = &k}));
                }
    return status;
}
