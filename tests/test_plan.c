/* How a plan spends memory: where values stand, in which order calls run, and what is made again instead of kept. */
#include "cpu.h"
#include "layout.h"
#include "order.h"
#include "plan.h"
#include "remake.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* ---- places ---- */

/* Many lives of odd sizes: none may touch another that lives at the same time, and the piece of memory is not smaller than what
 * lives at once, nor larger than pieces that are shared whole. */
static void places(void) {
    enum { COUNT = 200, TIMES = 60 };
    hkd_life offsets[COUNT], pieces[COUNT];
    size_t sizes[COUNT], together = 0, whole = 0;
    unsigned state = 7;
    for (int i = 0; i < COUNT; i++) {
        state = state * 1664525u + 1013904223u;
        const int first = (int)(state >> 8) % TIMES, length = (int)(state >> 20) % 9;
        offsets[i] = pieces[i] = (hkd_life){1 + (state >> 12) % 1000, first, first + length, 0};
    }
    const size_t total = hkd_layout_offsets(offsets, COUNT);
    const int n = hkd_layout_pieces(pieces, COUNT, sizes);
    int overlaps = 0;
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < i; k++) {
            const hkd_life *a = &offsets[i], *b = &offsets[k];
            if (a->first > b->last || b->first > a->last) continue;
            overlaps += a->at < b->at + b->bytes && b->at < a->at + a->bytes;
            overlaps += pieces[i].at == pieces[k].at;
        }
    for (int i = 0; i < COUNT; i++)
        overlaps += offsets[i].at + offsets[i].bytes > total || pieces[i].bytes > sizes[pieces[i].at];
    for (int t = 0; t < TIMES; t++) {
        size_t now = 0;
        for (int i = 0; i < COUNT; i++) now += offsets[i].first <= t && t <= offsets[i].last ? offsets[i].bytes : 0;
        if (now > together) together = now;
    }
    for (int i = 0; i < n; i++) whole += sizes[i];
    CHECK(!overlaps, "%d pairs of values that live together share memory", overlaps);
    CHECK(total >= together && total <= whole && (double)total < 1.2 * (double)together,
          "%zu bytes for %zu that live at once, %zu in pieces", total, together, whole);
}

/* ---- a block of a U-Net after a joining ---- */

static hkd_program *block(void) {
    hkd_program *p = hkd_program_new();
    const hkd_shape half = hkd_shape_of(4, (int64_t)2, (int64_t)8, (int64_t)6, (int64_t)6);
    const hkd_shape gain = hkd_shape_of(1, (int64_t)16), w3 = hkd_shape_of(4, (int64_t)8, (int64_t)16, (int64_t)3, (int64_t)3);
    const hkd_shape w1 = hkd_shape_of(4, (int64_t)8, (int64_t)16, (int64_t)1, (int64_t)1);
    const hkd_var a = hkd_apply(p, "scale", (double[]){2}, 1, hkd_input(p, "a", half));
    const hkd_var b = hkd_apply(p, "scale", (double[]){3}, 1, hkd_input(p, "b", half));
    const hkd_var x = hkd_apply(p, "concat", NULL, 2, a, b);
    hkd_name(p, x, "joined");
    hkd_var h = hkd_apply(p, "group_norm", (double[]){4, 1e-6}, 3, x, hkd_weight_var(p, "gamma", gain, true),
                          hkd_weight_var(p, "beta", gain, true));
    h = hkd_apply(p, "silu", NULL, 1, h);
    hkd_name(p, h, "normed");
    h = hkd_apply(p, "dropout", (double[]){0.3, 1, 2, 3, 4}, 1, h);
    hkd_name(p, h, "dropped");
    h = hkd_apply(p, "conv2d", (double[]){1, 1, 1, 1}, 3, h, hkd_weight_var(p, "w3", w3, true), HKD_NO_VAR);
    hkd_name(p, h, "convolved");
    const hkd_var r = hkd_apply(p, "conv2d", (double[]){1, 0, 0, 1}, 3, x, hkd_weight_var(p, "w1", w1, true), HKD_NO_VAR);
    hkd_name(p, r, "beside");
    h = hkd_apply(p, "mse_loss", NULL, 2, hkd_apply(p, "add", NULL, 2, h, r), hkd_input(p, "t", half));
    hkd_output(p, h, "loss");
    hkd_seed(p, h);
    return p;
}

/* What norms, activations, dropout and joinings make is made again; what a convolution makes is not, nor what is an output. */
static void made_again(void) {
    hkd_program *p = block();
    bool *needed = calloc((size_t)p->n_vars, 2), *again = needed + p->n_vars;
    for (int v = 0; v < p->n_vars; v++) needed[v] = true;
    CHECK(!hkd_choose_remade(again, p, needed), "%s", hkd_last_error());
    static const char *const cheap[] = {"normed", "dropped"}, *const dear[] = {"joined", "convolved", "beside", "loss"};
    for (int i = 0; i < 2; i++) CHECK(again[hkd_find_var(p, cheap[i])], "'%s' is kept", cheap[i]);
    /* Of "joined" both parts would have to be kept, which is as much. */
    for (int i = 0; i < 4; i++) CHECK(!again[hkd_find_var(p, dear[i])], "'%s' is made again", dear[i]);
    free(needed);
    hkd_program_free(p);
}

/* The convolution beside goes before the norm, which then writes over what both read; every call still finds its inputs. */
static void order(void) {
    hkd_program *p = block();
    const hkd_var beside = hkd_find_var(p, "beside"), joined = hkd_find_var(p, "joined");
    int at = -1, norm = -1;
    const int calls = p->n_calls;
    hkd_order_calls(p);
    bool *there = calloc((size_t)p->n_vars, sizeof *there);
    for (int v = 0; v < p->n_vars; v++) there[v] = p->var[v].kind != HKD_VAR_RESULT;
    for (int c = 0; c < p->n_calls; c++) {
        for (int i = 0; i < hkd_op_inputs(p->call[c].op); i++)
            CHECK(p->call[c].in[i] == HKD_NO_VAR || there[p->call[c].in[i]], "call %d comes before its input %d", c, i);
        there[p->call[c].out[0]] = true;
        if (p->call[c].out[0] == beside) at = c;
        if (!strcmp(p->call[c].op->name, "group_norm") && p->call[c].in[0] == joined) norm = c;
    }
    CHECK(p->n_calls == calls && at >= 0 && at < norm, "the convolution beside is call %d, the norm %d", at, norm);
    free(there);
    hkd_program_free(p);
}

void test_plan(void) {
    places();
    made_again();
    order();
}
