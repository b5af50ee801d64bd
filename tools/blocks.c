#include "blocks.h"

#include "files.h"
#include "npy.h"
#include "propositions.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 512 };

typedef struct {
    double *k, *p, *q, *alpha, *beta; /* [m, m], [m, 2 blocks], [2 blocks, m], [blocks], [blocks] */
    int64_t m, blocks;
} job;

static hkd_status read_matrix(job *j, const char *path) {
    hkd_shape shape;
    hkd_status status;
    if (hkd_ends_with(path, ".npy")) {
        status = hkd_npy_read(&j->k, &shape, path);
        if (status) return status;
    } else {
        hkd_safetensors *st;
        status = hkd_safetensors_open(&st, path);
        if (status) return status;
        const char *name = st->count == 1 ? st->tensor[0].name : "K";
        shape = hkd_shape_of(2, (int64_t)HKD_ANY, (int64_t)HKD_ANY);
        status = hkd_read_tensor(&j->k, &shape, st, name, false);
        hkd_safetensors_close(st);
        if (status) return status;
    }
    j->m = shape.dim[0];
    if (shape.rank != 2 || shape.dim[0] != shape.dim[1] || j->m < 1 || j->m > MOST)
        return hkd_fail(HKD_BAD_FILE, "%s: expected a square matrix of 1 to %d rows", path, (int)MOST);
    for (int64_t i = 0; i < j->m * j->m; i++)
        if (!isfinite(j->k[i])) return hkd_fail(HKD_BAD_FILE, "%s: element %lld is not finite", path, (long long)i);
    return HKD_OK;
}

/* The largest element of P~ (K~ - I)^power Q~ - (K - I)^power, for power 0 and 1: with both, every e^{-t (K - I)} agrees as far
 * as the blocks are diagonal, which they are by construction. */
static double residual(const job *j, int power) {
    const int64_t m = j->m, width = 2 * j->blocks;
    double worst = 0;
    for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < m; c++) {
            double sum = power ? (r == c) - j->k[r * m + c] : -(double)(r == c);
            for (int64_t b = 0; b < j->blocks; b++) {
                const double q0 = j->q[2 * b * m + c], q1 = j->q[(2 * b + 1) * m + c];
                const double x0 = power ? j->alpha[b] * q0 + j->beta[b] * q1 : q0;
                const double x1 = power ? j->alpha[b] * q1 - j->beta[b] * q0 : q1;
                sum += j->p[r * width + 2 * b] * x0 + j->p[r * width + 2 * b + 1] * x1;
            }
            worst = fmax(worst, fabs(sum));
        }
    return worst;
}

static void print_text(const job *j) {
    printf("%lld x %lld: %lld blocks [[alpha, beta], [-beta, alpha]], eigenvalues 1 + alpha +- i beta\n", (long long)j->m,
           (long long)j->m, (long long)j->blocks);
    printf("%8s %16s %16s\n", "block", "alpha", "beta");
    for (int64_t b = 0; b < j->blocks; b++)
        printf("%8lld %16.9g %16.9g%s\n", (long long)b, j->alpha[b], j->beta[b], j->beta[b] == 0 ? "  real, doubled" : "");
    printf("largest error of P Q = I: %.2g; of P (blocks) Q = K - I: %.2g\n", residual(j, 0), residual(j, 1));
}

static void print_json(const job *j) {
    json_t *list = json_array();
    for (int64_t b = 0; b < j->blocks; b++)
        json_array_append_new(list, json_pack("{s:f, s:f, s:b}", "alpha", j->alpha[b], "beta", j->beta[b], "doubled",
                                              j->beta[b] == 0));
    json_t *all = json_pack("{s:I, s:o, s:f, s:f}", "size", (json_int_t)j->m, "blocks", list, "error_identity", residual(j, 0),
                            "error_matrix", residual(j, 1));
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
}

static hkd_status save(const job *j, const char *path) {
    const hkd_saved tensor[] = {
        {.name = "p", .type = HKD_DOUBLE, .shape = hkd_shape_of(2, j->m, 2 * j->blocks), .as = HKD_F64, .data = j->p},
        {.name = "q", .type = HKD_DOUBLE, .shape = hkd_shape_of(2, 2 * j->blocks, j->m), .as = HKD_F64, .data = j->q},
        {.name = "alpha", .type = HKD_DOUBLE, .shape = hkd_shape_of(1, j->blocks), .as = HKD_F64, .data = j->alpha},
        {.name = "beta", .type = HKD_DOUBLE, .shape = hkd_shape_of(1, j->blocks), .as = HKD_F64, .data = j->beta}};
    return hkd_safetensors_save(path, tensor, 4, NULL, 0);
}

hkd_status hkd_run_blocks(const hkd_args *a) {
    job j = {.k = NULL};
    const char *out = hkd_arg(a, "out");
    hkd_status status = out ? hkd_check_writable(out) : HKD_OK;
    if (!status) status = read_matrix(&j, hkd_arg(a, "matrix"));
    if (!status) {
        const size_t square = (size_t)(j.m * j.m);
        j.p = malloc((4 * square + 2 * (size_t)j.m) * sizeof *j.p);
        if (!j.p) status = hkd_fail(HKD_RESOURCES, "out of memory for the blocks");
        else j.q = j.p + 2 * square, j.alpha = j.q + 2 * square, j.beta = j.alpha + j.m;
    }
    if (!status) status = hkd_block_diagonalise(j.p, j.q, j.alpha, j.beta, &j.blocks, j.k, j.m);
    if (!status && out) status = save(&j, out);
    if (!status) (hkd_given(a, "json") ? print_json : print_text)(&j);
    free(j.p);
    free(j.k);
    return status;
}
