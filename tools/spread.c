/* Bounds of an algorithm whose error is not element-wise. */
#include "test_vector.h"

#include <math.h>

/* The largest bound in each tile of the last two extents, times the factor. */
static void spread(double *bound, const hkd_shape *shape, const hkd_spread *s) {
    if (shape->rank != 4 || !bound) return;
    const int64_t planes = shape->dim[0] * shape->dim[1], h = shape->dim[2], w = shape->dim[3];
    for (int64_t at = 0; at < planes * h * w; at++) {
        const int64_t i = at / w % h, j = at % w;
        if (i % s->tile || j % s->tile) continue;
        const int64_t rows = h - i < s->tile ? h - i : s->tile, columns = w - j < s->tile ? w - j : s->tile;
        double most = 0;
        for (int64_t k = 0; k < rows * columns; k++) most = fmax(most, bound[at + k / columns * w + k % columns]);
        for (int64_t k = 0; k < rows * columns; k++) bound[at + k / columns * w + k % columns] = s->factor * most;
    }
}

void hkd_vector_spread(hkd_vector *v, const hkd_spread *s) {
    if (v->kind == HKD_EXACT && s->exact) return;
    if (v->kind == HKD_EXACT) { /* the file says 0: exact is what every order of a direct sum is, and this is none */
        const hkd_ref_call call = hkd_vector_ref_call(v);
        v->kind = HKD_STRUCTURED;
        v->op->bound(&call);
    }
    for (int i = 0; i < hkd_op_outputs(v->op); i++) spread(v->out_bound[i], &v->out_shape[i], s);
    for (int i = 0; i < hkd_op_inputs(v->op); i++) spread(v->grad_bound[i], &v->in_shape[i], s);
}
