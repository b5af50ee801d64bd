#include "feature_net.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

hkd_status hkd_features_new(hkd_features **out, hkd_program *p, const hkd_pixel_scale *scale, hkd_device *dev) {
    *out = NULL;
    hkd_features *f = calloc(1, sizeof *f);
    if (!f || !p) {
        hkd_program_free(p);
        free(f);
        return hkd_fail(HKD_RESOURCES, "out of memory for the feature network");
    }
    *f = (hkd_features){.dev = dev, .scale = *scale, .program = p};
    hkd_status status = hkd_program_status(p);
    if (!status) {
        const hkd_shape *x = hkd_var_shape(p, hkd_find_var(p, "x"));
        f->batch = x->dim[0];
        f->res = x->dim[2];
        f->dim = hkd_var_shape(p, hkd_find_var(p, "features"))->dim[1];
        status = hkd_weights_new(&f->weights, p, dev);
    }
    if (!status) status = hkd_plan_new(&f->plan, p, f->weights, &(hkd_plan_options){0});
    if (status) hkd_features_free(f);
    else *out = f;
    return status;
}

void hkd_features_free(hkd_features *f) {
    if (!f) return;
    hkd_plan_free(f->plan);
    hkd_weights_free(f->weights);
    hkd_program_free(f->program);
    free(f);
}

hkd_status hkd_features_run(hkd_features *f, double *features, const unsigned char *rgb, int64_t n) {
    const int64_t area = f->res * f->res, size = 3 * area;
    const hkd_tensor *result = hkd_plan_named(f->plan, "features");
    double *x = calloc((size_t)(f->batch * size) + 1, sizeof *x), *y = malloc((size_t)(f->batch * f->dim) * sizeof *y + 1);
    hkd_status status = x && y ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for features");
    for (int64_t first = 0; first < n && !status; first += f->batch) {
        const int64_t here = n - first < f->batch ? n - first : f->batch; /* the rest of the batch is computed in vain */
        for (int64_t i = 0; i < here * size; i++) {
            const int64_t c = i / area % 3;
            x[i] = (rgb[first * size + i] / f->scale.unit - f->scale.mean[c]) / f->scale.deviation[c];
        }
        status = f->dev->upload(f->dev, hkd_plan_named(f->plan, "x"), x, HKD_F64);
        if (!status) status = hkd_plan_forward(f->plan);
        if (!status) status = f->dev->download(f->dev, y, HKD_F64, result);
        if (!status) memcpy(features + first * f->dim, y, (size_t)(here * f->dim) * sizeof *y);
    }
    free(y);
    free(x);
    return status;
}
