/* A program of someone who wants one operator and nothing else: needs libhkd_ref.a and -lm. */
#include <hkd_ref.h>
#include <stdio.h>

int main(void) {
    const double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, w[4] = {1, 0, 0, -1}, b[1] = {10};
    double y[4] = {0};
    hkd_ref_conv2d(y, x, w, b, &(hkd_conv2d_dims){.n = 1, .c_in = 1, .h = 3, .w = 3, .c_out = 1, .kh = 2, .kw = 2, .stride = 1,
                                                  .groups = 1, .h_out = 2, .w_out = 2});
    for (int i = 0; i < 4; i++)
        if (y[i] != 6) return printf("y[%d] = %g, expected 10 + x[i][j] - x[i+1][j+1] = 6\n", i, y[i]), 1;
    return 0;
}
