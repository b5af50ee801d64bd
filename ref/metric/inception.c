#include "inception.h"

#include <stdio.h>

const hkd_pixel_scale hkd_inception_scale = {1, {128, 128, 128}, {128, 128, 128}};

typedef struct {
    hkd_program *p;
    int64_t narrower;
    const char *block; /* "Mixed_5b."; "": the layers before the blocks */
} net;

/* ---- layers ------------------------------------------------------------------------------------------------------------- */

static hkd_var weight(const net *n, const char *layer, const char *field, hkd_shape shape) {
    char name[96];
    snprintf(name, sizeof name, "%s%s.%s", n->block, layer, field);
    return hkd_weight_var(n->p, name, shape, false);
}

/* Convolution without bias, batch norm, ReLU. */
static hkd_var strided(const net *n, hkd_var x, const char *layer, int64_t width, int64_t kh, int64_t kw, const double *conv) {
    const double eps = 1e-3;
    if (n->p->status) return HKD_NO_VAR;
    const int64_t out = width / n->narrower;
    const hkd_shape each = hkd_shape_of(1, out), kernel = hkd_shape_of(4, out, hkd_var_shape(n->p, x)->dim[1], kh, kw);
    const hkd_var h = hkd_apply(n->p, "conv2d", conv, 3, x, weight(n, layer, "conv.weight", kernel), HKD_NO_VAR);
    const hkd_var gamma = weight(n, layer, "bn.weight", each), beta = weight(n, layer, "bn.bias", each);
    const hkd_var mean = weight(n, layer, "bn.running_mean", each), var = weight(n, layer, "bn.running_var", each);
    return hkd_apply(n->p, "relu", NULL, 1, hkd_apply(n->p, "batch_norm", &eps, 5, h, gamma, beta, mean, var));
}

/* The picture keeps its size. */
static hkd_var same(const net *n, hkd_var x, const char *layer, int64_t width, int64_t kh, int64_t kw) {
    const double conv[] = {1, (double)(kh / 2), (double)(kw / 2), 1};
    return strided(n, x, layer, width, kh, kw, conv);
}

/* 3x3 without padding. */
static hkd_var valid(const net *n, hkd_var x, const char *layer, int64_t width, int stride) {
    const double conv[] = {stride, 0, 0, 1};
    return strided(n, x, layer, width, 3, 3, conv);
}

static hkd_var halve(const net *n, hkd_var x) { return hkd_apply(n->p, "max_pool2d", (const double[]){3, 2, 0, 0}, 1, x); }

static hkd_var smooth(const net *n, hkd_var x) {
    return hkd_apply(n->p, "avg_pool2d", (const double[]){3, 1, 1, 0, 0}, 1, x);
}

static hkd_var concat(const net *n, hkd_var a, hkd_var b) { return hkd_apply(n->p, "concat", NULL, 2, a, b); }

static hkd_var join(const net *n, hkd_var a, hkd_var b, hkd_var c, hkd_var d) {
    return concat(n, concat(n, concat(n, a, b), c), d);
}

/* ---- blocks: the letters of the paper's figures 5 to 7 ----------------------------------------------------------------- */

static hkd_var block_a(net n, hkd_var x, const char *block, int64_t pool_width) {
    n.block = block;
    const hkd_var one = same(&n, x, "branch1x1", 64, 1, 1);
    const hkd_var five = same(&n, same(&n, x, "branch5x5_1", 48, 1, 1), "branch5x5_2", 64, 5, 5);
    hkd_var three = same(&n, same(&n, x, "branch3x3dbl_1", 64, 1, 1), "branch3x3dbl_2", 96, 3, 3);
    three = same(&n, three, "branch3x3dbl_3", 96, 3, 3);
    return join(&n, one, five, three, same(&n, smooth(&n, x), "branch_pool", pool_width, 1, 1));
}

static hkd_var block_b(net n, hkd_var x, const char *block) {
    n.block = block;
    const hkd_var three = valid(&n, x, "branch3x3", 384, 2);
    const hkd_var twice = same(&n, same(&n, x, "branch3x3dbl_1", 64, 1, 1), "branch3x3dbl_2", 96, 3, 3);
    return concat(&n, concat(&n, three, valid(&n, twice, "branch3x3dbl_3", 96, 2)), halve(&n, x));
}

static hkd_var block_c(net n, hkd_var x, const char *block, int64_t width) {
    n.block = block;
    const hkd_var one = same(&n, x, "branch1x1", 192, 1, 1);
    hkd_var seven = same(&n, same(&n, x, "branch7x7_1", width, 1, 1), "branch7x7_2", width, 1, 7);
    seven = same(&n, seven, "branch7x7_3", 192, 7, 1);
    hkd_var twice = same(&n, same(&n, x, "branch7x7dbl_1", width, 1, 1), "branch7x7dbl_2", width, 7, 1);
    twice = same(&n, same(&n, twice, "branch7x7dbl_3", width, 1, 7), "branch7x7dbl_4", width, 7, 1);
    twice = same(&n, twice, "branch7x7dbl_5", 192, 1, 7);
    return join(&n, one, seven, twice, same(&n, smooth(&n, x), "branch_pool", 192, 1, 1));
}

static hkd_var block_d(net n, hkd_var x, const char *block) {
    n.block = block;
    const hkd_var three = valid(&n, same(&n, x, "branch3x3_1", 192, 1, 1), "branch3x3_2", 320, 2);
    hkd_var seven = same(&n, same(&n, x, "branch7x7x3_1", 192, 1, 1), "branch7x7x3_2", 192, 1, 7);
    seven = valid(&n, same(&n, seven, "branch7x7x3_3", 192, 7, 1), "branch7x7x3_4", 192, 2);
    return concat(&n, concat(&n, three, seven), halve(&n, x));
}

static hkd_var block_e(net n, hkd_var x, const char *block, bool largest) {
    n.block = block;
    const hkd_var one = same(&n, x, "branch1x1", 320, 1, 1), first = same(&n, x, "branch3x3_1", 384, 1, 1);
    const hkd_var three = concat(&n, same(&n, first, "branch3x3_2a", 384, 1, 3), same(&n, first, "branch3x3_2b", 384, 3, 1));
    const hkd_var second = same(&n, same(&n, x, "branch3x3dbl_1", 448, 1, 1), "branch3x3dbl_2", 384, 3, 3);
    const hkd_var a = same(&n, second, "branch3x3dbl_3a", 384, 1, 3), b = same(&n, second, "branch3x3dbl_3b", 384, 3, 1);
    const hkd_var pool = largest ? hkd_apply(n.p, "max_pool2d", (const double[]){3, 1, 1, 0}, 1, x) : smooth(&n, x);
    return join(&n, one, three, concat(&n, a, b), same(&n, pool, "branch_pool", 192, 1, 1));
}

hkd_program *hkd_inception_program(int64_t narrower, int64_t n_images, int64_t res) {
    static const double size[] = {299, 299}, whole_picture[] = {0, 1, 0, 0, 1};
    const net n = {hkd_program_new(), narrower, ""};
    if (!n.p) return NULL;
    hkd_var h = hkd_input(n.p, "x", hkd_shape_of(4, n_images, (int64_t)3, res, res));
    h = hkd_apply(n.p, "resize_bilinear", size, 1, h);
    h = valid(&n, valid(&n, h, "Conv2d_1a_3x3", HKD_INCEPTION_FIRST, 2), "Conv2d_2a_3x3", 32, 1);
    h = halve(&n, same(&n, h, "Conv2d_2b_3x3", 64, 3, 3));
    h = halve(&n, valid(&n, same(&n, h, "Conv2d_3b_1x1", 80, 1, 1), "Conv2d_4a_3x3", 192, 1));
    h = block_a(n, block_a(n, block_a(n, h, "Mixed_5b.", 32), "Mixed_5c.", 64), "Mixed_5d.", 64);
    h = block_c(n, block_b(n, h, "Mixed_6a."), "Mixed_6b.", 128);
    h = block_c(n, block_c(n, h, "Mixed_6c.", 160), "Mixed_6d.", 160);
    h = block_d(n, block_c(n, h, "Mixed_6e.", 192), "Mixed_7a.");
    h = block_e(n, block_e(n, h, "Mixed_7b.", false), "Mixed_7c.", true);
    hkd_output(n.p, hkd_apply(n.p, "avg_pool2d", whole_picture, 1, h), "features");
    return n.p;
}
