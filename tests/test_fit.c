/* Teachers fitted to data of known make: catches a lost variance, directions that are not unit vectors, mixed-up clusters. */
#include "fit.h"

#include "rng.h"
#include "test.h"

#include <math.h>

enum { SIZE = 12, COUNT = 3000 };

/* Two clusters at +-4 on the first axis, variance 1 along the second axis, 0.01 elsewhere. */
static void draw(float *points) {
    const hkd_stream s = {.seed = 5, .purpose = HKD_FOR_TEST};
    for (int p = 0; p < COUNT; p++)
        for (int i = 0; i < SIZE; i++) {
            const double centre = i ? 0 : p % 2 ? 4 : -4, width = i == 1 ? 1 : 0.1;
            points[p * SIZE + i] = (float)(centre + width * hkd_random_normal(&s, (uint64_t)(p * SIZE + i)));
        }
}

void test_fit(void) {
    static float points[COUNT * SIZE];
    hkd_fit fit;
    draw(points);
    if (!CHECK(!hkd_fit_mixture(&fit, points, COUNT, SIZE, 2, 1, 1), "%s", hkd_last_error())) return;
    CHECK(fit.mixture.count == 2, "%d clusters", (int)fit.mixture.count);
    for (int k = 0; k < 2; k++) {
        const hkd_gaussian *g = &fit.mixture.component[k];
        double length = 0;
        for (int i = 0; i < SIZE; i++) length += g->basis[i] * g->basis[i];
        CHECK(fabs(length - 1) < 1e-9, "direction of length %g", sqrt(length));
        CHECK(fabs(g->basis[1]) > 0.999, "the direction of greatest variance is not found: %g", g->basis[1]);
        CHECK(fabs(fabs(g->mean[0]) - 4) < 0.02, "a centre at %g", g->mean[0]);
        CHECK(fabs(g->variance[0] - 1) < 0.1 && fabs(g->rest - 0.01) < 0.001, "variances %g and %g", g->variance[0], g->rest);
        CHECK(fabs(fit.mixture.weight[k] - COUNT / 2) < 1, "weight %g", fit.mixture.weight[k]);
    }
    CHECK(fit.mixture.component[0].mean[0] * fit.mixture.component[1].mean[0] < 0, "both centres at one place");
    hkd_fit_free(&fit);
    /* As one Gaussian the first axis has variance 16. */
    CHECK(!hkd_fit_mixture(&fit, points, COUNT, SIZE, 1, 2, 1), "%s", hkd_last_error());
    CHECK(fabs(fit.mixture.component[0].variance[0] - 16) < 0.1, "variance %g", fit.mixture.component[0].variance[0]);
    hkd_fit_free(&fit);
    CHECK(hkd_fit_mixture(&fit, points, 0, SIZE, 1, 2, 1) == HKD_USAGE, "no pictures were accepted");
}
