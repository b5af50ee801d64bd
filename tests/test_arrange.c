/* Closed forms of the operators that move, mix and select pixels. */
#include "op.h"
#include "test.h"

#include <math.h>

/* FIR filters of a constant picture: catches a wrong normalisation, a shifted filter, borders that are renormalised. */
static void constant_picture(void) {
    enum { SIZE = 6 };
    double x[SIZE * SIZE], y[4 * SIZE * SIZE];
    for (int i = 0; i < SIZE * SIZE; i++) x[i] = 1;
    for (int up = 0; up < 2; up++) {
        const int64_t size = up ? 2 * SIZE : SIZE / 2;
        const hkd_resample2d_dims d = {1, 1, SIZE, SIZE, up, 4, 1, size, size};
        hkd_ref_resample2d(y, x, &d);
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) {
                const double edge = up ? 0.75 : 0.875;
                const double expected = (i % (size - 1) ? 1 : edge) * (j % (size - 1) ? 1 : edge);
                CHECK(y[i * size + j] == expected, "constant picture, up %d, (%d, %d): %g, not %g", up, (int)i, (int)j,
                      y[i * size + j], expected);
            }
    }
}

/* Two taps: doubling repeats every pixel, and halving takes it back. Catches exchanged axes and a factor 4. */
static void nearest_neighbour(void) {
    enum { H = 3, W = 5 };
    double x[H * W], big[4 * H * W], back[H * W];
    for (int i = 0; i < H * W; i++) x[i] = i * i - 7;
    const hkd_resample2d_dims up = {1, 1, H, W, 1, 2, 0, 2 * H, 2 * W}, down = {1, 1, 2 * H, 2 * W, 0, 2, 0, H, W};
    hkd_ref_resample2d(big, x, &up);
    hkd_ref_resample2d(back, big, &down);
    for (int i = 0; i < 2 * H; i++)
        for (int j = 0; j < 2 * W; j++)
            CHECK(big[i * 2 * W + j] == x[i / 2 * W + j / 2], "doubled pixel (%d, %d) is not its parent", i, j);
    for (int i = 0; i < H * W; i++) CHECK(back[i] == x[i], "pixel %d does not survive doubling and halving", i);
}

/* conv2d 3x3 with pad 2, then four taps down without padding = one 6x6 convolution with stride 2 and pad 2 by the product of
 * the two filters: the fused layer of NCSN++. Catches a padding that is off by one. */
static void fused_down(void) {
    enum { SIZE = 8, WIDE = SIZE + 2, OUT = SIZE / 2 };
    static const double r[4] = {0.125, 0.375, 0.375, 0.125};
    double x[SIZE * SIZE], w[9], wf[36] = {0}, wide[WIDE * WIDE], y[OUT * OUT], expected[OUT * OUT];
    for (int i = 0; i < SIZE * SIZE; i++) x[i] = i * 11 % 17 - 8;
    for (int i = 0; i < 9; i++) w[i] = i * 5 % 7 - 3;
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++)
            for (int s = 0; s < 4; s++)
                for (int t = 0; t < 4; t++) wf[(p + s) * 6 + q + t] += w[p * 3 + q] * r[s] * r[t];
    const hkd_conv2d_dims conv = {1, 1, SIZE, SIZE, 1, 3, 3, 1, 2, 2, 1, WIDE, WIDE};
    const hkd_conv2d_dims both = {1, 1, SIZE, SIZE, 1, 6, 6, 2, 2, 2, 1, OUT, OUT};
    const hkd_resample2d_dims down = {1, 1, WIDE, WIDE, 0, 4, 0, OUT, OUT};
    hkd_ref_conv2d(wide, x, w, NULL, &conv);
    hkd_ref_resample2d(y, wide, &down);
    hkd_ref_conv2d(expected, x, wf, NULL, &both);
    for (int i = 0; i < OUT * OUT; i++)
        CHECK(y[i] == expected[i], "fused down: element %d is %g, not %g", i, y[i], expected[i]);
}

/* A constant has all its energy in LL, stripes tell the bands apart, the energy is kept and synthesis takes it back. */
static void haar_bands(void) {
    enum { H = 4, W = 6 };
    static const char *const name[4] = {"LL", "LH", "HL", "HH"};
    const hkd_haar2d_dims there = {1, 1, H / 2, W / 2, 0}, back = {1, 1, H / 2, W / 2, 1};
    double x[H * W], y[H * W], z[H * W];
    for (int band = 0; band < 4; band++) {
        for (int i = 0; i < H * W; i++) x[i] = (band & 1 && i % W % 2 ? -1 : 1) * (band & 2 && i / W % 2 ? -1 : 1);
        hkd_ref_haar2d(y, x, &there);
        for (int i = 0; i < H * W; i++)
            CHECK(y[i] == (i / (H * W / 4) == band ? 2 : 0), "%s pattern: element %d is %g", name[band], i, y[i]);
    }
    double before = 0, after = 0;
    for (int i = 0; i < H * W; i++) x[i] = i * 7 % 11 - 5;
    hkd_ref_haar2d(y, x, &there);
    hkd_ref_haar2d(z, y, &back);
    for (int i = 0; i < H * W; i++) {
        before += x[i] * x[i];
        after += y[i] * y[i];
        CHECK(z[i] == x[i], "pixel %d does not survive analysis and synthesis", i);
    }
    CHECK(before == after, "energy %g became %g", before, after);
}

/* Ties go to the first place; padding never wins, not even among negative numbers. */
static void max_pool_ties(void) {
    const double x[9] = {-3, -1, -1, -1, -5, -2, -3, -2, -2}, dy[4] = {1, 10, 100, 1000};
    const double expected[9] = {0, 11, 0, 100, 0, 1000, 0, 0, 0};
    double y[4], dx[9] = {0};
    const hkd_pool2d_dims d = {1, 1, 3, 3, 2, 2, 1, 0, 0, 2, 2}, padded = {1, 1, 3, 3, 3, 3, 2, 1, 0, 2, 2};
    hkd_ref_max_pool2d_grad(dx, dy, x, &d);
    for (int i = 0; i < 9; i++) CHECK(dx[i] == expected[i], "max_pool2d: dx[%d] = %g, not %g", i, dx[i], expected[i]);
    hkd_ref_max_pool2d(y, x, &padded);
    for (int i = 0; i < 4; i++) CHECK(y[i] == (i < 3 ? -1 : -2), "max_pool2d: padding counted, y[%d] = %g", i, y[i]);
}

/* Means of a constant picture: with padding in the divisor the borders lose weight, without it they do not. */
static void avg_pool_borders(void) {
    const double x[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    double y[9];
    for (int with_pad = 0; with_pad < 2; with_pad++) {
        const hkd_pool2d_dims d = {1, 1, 3, 3, 3, 3, 1, 1, with_pad, 3, 3};
        hkd_ref_avg_pool2d(y, x, &d);
        for (int i = 0; i < 9; i++) {
            const int inside = (i / 3 == 1 ? 3 : 2) * (i % 3 == 1 ? 3 : 2);
            CHECK(fabs(y[i] - (with_pad ? inside / 9.0 : 1)) < 1e-15, "avg_pool2d: y[%d] = %g, padding counted: %d", i, y[i],
                  with_pad);
        }
    }
}

/* A ramp doubled by the rule i in/out: halves in between, the last place clamped. Half-pixel centres would shift it. */
static void bilinear_ramp(void) {
    const double x[4] = {0, 1, 2, 3}, expected[8] = {0, 0.5, 1, 1.5, 2, 2.5, 3, 3};
    double y[8];
    const hkd_resize_dims d = {1, 1, 1, 4, 1, 8};
    hkd_ref_resize_bilinear(y, x, &d);
    for (int i = 0; i < 8; i++) CHECK(y[i] == expected[i], "resize_bilinear: y[%d] = %g, not %g", i, y[i], expected[i]);
}

/* eps stands outside the root, a zero vector stays zero, and its gradient is dy / eps. */
static void channel_length(void) {
    const double x[4] = {3, 0, 4, 0}, dy[4] = {0, 2, 0, -4};
    double y[4], dx[4] = {0};
    const hkd_channel_norm_dims d = {1, 2, 2, 3};
    hkd_ref_channel_norm(y, x, &d);
    hkd_ref_channel_norm_grad(dx, dy, x, &d);
    CHECK(y[0] == 3.0 / 8 && y[2] == 0.5 && y[1] == 0 && y[3] == 0, "channel_norm of (3, 4) and 0 with eps = 3: %g %g %g %g",
          y[0], y[2], y[1], y[3]);
    CHECK(dx[1] == 2.0 / 3 && dx[3] == -4.0 / 3, "channel_norm: gradient at 0 is %g %g", dx[1], dx[3]);
}

/* The sizes that ceil_mode gives (PyTorch's rule): the last window must begin inside the picture or its first padding. */
static void pool_sizes(void) {
    static const struct {
        int64_t in, kernel, stride, pad, ceil_mode, out;
    } rule[] = {{5, 2, 2, 0, 0, 2}, {5, 2, 2, 0, 1, 3}, {6, 3, 2, 0, 1, 3},
                {4, 2, 3, 0, 1, 2}, {3, 2, 3, 1, 1, 2}, {3, 1, 4, 0, 1, 1}};
    for (int op = 0; op < 2; op++)
        for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
            const double p[5] = {(double)rule[i].kernel, (double)rule[i].stride, (double)rule[i].pad,
                                 (double)rule[i].ceil_mode, 1};
            const hkd_shape x = hkd_shape_of(4, (int64_t)1, (int64_t)1, rule[i].in, rule[i].in);
            hkd_shape y = x;
            hkd_op_shapes(hkd_find_op(op ? "avg_pool2d" : "max_pool2d"), &y, &x, p);
            CHECK(y.dim[2] == rule[i].out && y.dim[3] == rule[i].out, "pooling case %d: %d windows, not %d", (int)i,
                  (int)y.dim[2], (int)rule[i].out);
        }
}

/* The convention at the kink, and that a NaN is not washed away. */
static void relu_at_zero(void) {
    const double x[4] = {0, -0.0, -1, 2}, dy[4] = {1, 1, 1, 1}, nan = NAN;
    double y[4], dx[4] = {0}, kept;
    hkd_ref_relu(y, x, 4);
    hkd_ref_relu_grad(dx, dy, y, 4);
    for (int i = 0; i < 4; i++)
        CHECK(dx[i] == (i == 3) && y[i] == (i == 3 ? 2 : 0), "relu of %g: %g, slope %g", x[i], y[i], dx[i]);
    hkd_ref_relu(&kept, &nan, 1);
    CHECK(isnan(kept), "relu turns NaN into %g", kept);
}

/* The order is [a, b], image by image. */
static void concat_order(void) {
    const double a[4] = {1, 2, 3, 4}, b[2] = {5, 6}, expected[6] = {1, 2, 5, 3, 4, 6};
    double y[6];
    const hkd_concat_dims d = {2, 2, 1, 1};
    hkd_ref_concat(y, a, b, &d);
    for (int i = 0; i < 6; i++) CHECK(y[i] == expected[i], "concat: element %d is %g, not %g", i, y[i], expected[i]);
}

void test_arrange(void) {
    constant_picture();
    nearest_neighbour();
    fused_down();
    haar_bands();
    max_pool_ties();
    avg_pool_borders();
    pool_sizes();
    bilinear_ramp();
    channel_length();
    relu_at_zero();
    concat_order();
}
