#include "products.h"

enum { ROWS = 4, COLUMNS = 4, DEPTH = 256 }; /* sums in registers; elements per pass, so that both panels stay in the cache */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Elements k0 .. of `count` rows of x as panel [depth, HKD_TILE]; rows beyond `count` repeat the first. */
static void pack(double *panel, const double *x, int64_t count, int64_t dim, int64_t k0, int64_t depth) {
    for (int64_t r = 0; r < HKD_TILE; r++)
        for (int64_t k = 0; k < depth; k++) panel[k * HKD_TILE + r] = x[(r < count ? r : 0) * dim + k0 + k];
}

/* Matrices of HKD_TILE columns from here on. */
static void corner(double *dot, const double *a, const double *b, int64_t depth) {
    double sum[ROWS][COLUMNS];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) sum[i][j] = dot[i * HKD_TILE + j];
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++) sum[i][j] += a[k * HKD_TILE + i] * b[k * HKD_TILE + j];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) dot[i * HKD_TILE + j] = sum[i][j];
}

static void tile(double *dot, const double *x, int64_t ni, const double *y, int64_t nj, int64_t dim) {
    double a[DEPTH * HKD_TILE], b[DEPTH * HKD_TILE];
    for (int i = 0; i < HKD_TILE * HKD_TILE; i++) dot[i] = 0;
    for (int64_t k0 = 0; k0 < dim; k0 += DEPTH) {
        const int64_t depth = least(DEPTH, dim - k0);
        pack(a, x, ni, dim, k0, depth);
        pack(b, y, nj, dim, k0, depth);
        for (int64_t i = 0; i < ni; i += ROWS)
            for (int64_t j = 0; j < nj; j += COLUMNS)
                corner(dot + i * HKD_TILE + j, a + i, b + j, depth);
    }
}

void hkd_products(hkd_use_products *use, void *self, const double *x, int64_t n, const double *y, int64_t m, int64_t dim,
                  bool upper) {
    double dot[HKD_TILE * HKD_TILE];
    for (int64_t i = 0; i < n; i += HKD_TILE)
        for (int64_t j = upper ? i : 0; j < m; j += HKD_TILE) {
            const int64_t ni = least(HKD_TILE, n - i), nj = least(HKD_TILE, m - j);
            tile(dot, x + i * dim, ni, y + j * dim, nj, dim);
            use(self, i, ni, j, nj, dot);
        }
}

void hkd_squared_lengths(double *out, const double *x, int64_t n, int64_t dim) {
    for (int64_t i = 0; i < n; i++) {
        out[i] = 0;
        for (int64_t k = 0; k < dim; k++) out[i] += x[i * dim + k] * x[i * dim + k];
    }
}
