#include "perceptual.h"

#include "feature_file.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 16 };

static hkd_status distance(const hkd_perceptual *self, double *l, double *dx, const double *x, const double *y,
                           const double *weight, int64_t n) {
    return hkd_lpips_gradient(self->context, l, dx, x, y, weight, n);
}

hkd_status perceptual_start(perceptual_term *term, hkd_hkd_objective *objective, const hkd_args *a, const hkd_config *c,
                            hkd_device *dev) {
    const char *what = hkd_arg(a, "perceptual");
    char sha256[65];
    int lambda1 = 0;
    if (!what)
        return hkd_given(a, "lambda1") || hkd_given(a, "lambda2")
                   ? hkd_fail(HKD_USAGE, "--lambda1 and --lambda2 weigh the term that --perceptual adds") : HKD_OK;
    if (strncmp(what, "lpips:", 6)) return hkd_fail(HKD_USAGE, "--perceptual %s: expected lpips:FILE", what);
    hkd_status status = hkd_arg_choice(&lambda1, a, "lambda1", "power|tower|one");
    if (!status) status = hkd_arg_real(&objective->lambda2, a, "lambda2", 0, 1e6);
    if (!status) status = hkd_sha256_of_file(sha256, what + 6);
    if (!status)
        status = hkd_lpips_load(&term->net, what + 6, BATCH, c->img_channels, c->img_resolution, c->img_resolution, true, dev);
    if (status) return status;
    term->term = (hkd_perceptual){.distance = distance, .context = term->net};
    objective->perceptual = &term->term;
    objective->lambda1 = (hkd_lambda)lambda1;
    snprintf(term->text, sizeof term->text, "lpips %.64s lambda1=%d lambda2=%.17g", sha256, lambda1, objective->lambda2);
    return HKD_OK;
}

void perceptual_end(perceptual_term *term) { hkd_lpips_free(term->net); }
