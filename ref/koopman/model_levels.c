#include "model_levels.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

/* Enter the operator of latent i, if it has one; returns its number of values. */
static int64_t enter(hkd_model_levels *l, const hkd_model *m, int i) {
    const int64_t k = l->count;
    const hkd_shape z = hkd_model_latent_shape(m, i);
    if (!hkd_model_operator(&m->config, i, l->name[k], sizeof l->name[k])) return 0;
    const hkd_weight *w = hkd_weights_find(m->weights, l->name[k]);
    if (!w) return 0;
    const int64_t *a = w->value.shape.dim;
    l->level[k] = (hkd_level){NULL, z.dim[0], z.dim[1], z.dim[2], a[1], a[2]};
    l->latent[k] = i;
    l->first[k] = 0;
    while (strcmp(l->name[l->first[k]], l->name[k])) l->first[k]++;
    l->count++;
    return hkd_count(&w->value.shape);
}

hkd_status hkd_model_levels_read(hkd_model_levels *out, const hkd_model *m) {
    memset(out, 0, sizeof *out);
    out->eps = hkd_time_of_sigma(&m->config, m->config.sigma_min);
    out->T = hkd_time_of_sigma(&m->config, m->config.sigma_max);
    int64_t total = 0;
    for (int i = 0; i < hkd_model_latent_count(m); i++) total += enter(out, m, i);
    out->values = malloc((size_t)(total ? total : 1) * sizeof *out->values);
    if (!out->values) return hkd_fail(HKD_RESOURCES, "operators: out of memory for %lld values", (long long)total);
    double *at = out->values;
    hkd_status status = HKD_OK;
    for (int64_t k = 0; status == HKD_OK && k < out->count; k++) {
        const hkd_tensor *value = &hkd_weights_find(m->weights, out->name[k])->value;
        out->level[k].a = out->first[k] == k ? at : out->level[out->first[k]].a;
        if (out->first[k] == k) status = m->dev->download(m->dev, at, HKD_F64, value);
        if (out->first[k] == k) at += hkd_count(&value->shape);
    }
    if (status == HKD_OK) status = hkd_levels_check(out->level, out->count);
    if (status != HKD_OK) hkd_model_levels_free(out);
    return status;
}

void hkd_model_levels_free(hkd_model_levels *l) {
    free(l->values);
    l->values = NULL;
    l->count = 0;
}

int64_t hkd_model_alphas(double *alpha, const hkd_model_levels *l, const double *values) {
    int64_t count = 0;
    for (int64_t k = 0; k < l->count; k++) {
        if (l->first[k] != k) continue;
        const int64_t modes = hkd_mode_count(&l->level[k]); /* an operator's array is its alphas, then its betas */
        if (alpha) memcpy(alpha + count, values + (l->level[k].a - l->values), (size_t)modes * sizeof *alpha);
        count += modes;
    }
    return count;
}
