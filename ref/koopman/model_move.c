/* A model's operators by themselves: latents moved through time, and eigenvalues (hkd.h). */
#include "model.h"
#include "status.h"

#include <stdlib.h>

/* The operator of a latent, or NULL. */
static const hkd_weight *operator_of(const hkd_model *m, int latent) {
    char name[64];
    if (latent < 0 || latent >= hkd_model_latent_count(m)) return NULL;
    if (!hkd_model_operator(&m->config, latent, name, sizeof name)) return NULL;
    return hkd_weights_find(m->weights, name);
}

bool hkd_model_moves(const hkd_model *m, int latent) { return operator_of(m, latent) != NULL; }

static hkd_status evolve(hkd_model *m, double *z, const hkd_shape *each, const hkd_weight *a, const double *dt, int64_t n) {
    hkd_device *dev = m->dev;
    const hkd_shape all = hkd_shape_of(4, n, each->dim[0], each->dim[1], each->dim[2]), times = hkd_shape_of(1, n);
    hkd_call call = {.op = hkd_find_op("koopman_evolve")};
    hkd_status status = hkd_tensor_new(dev, &call.in[0], &all, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &call.in[2], &times, HKD_ACTIVATION);
    if (!status) status = hkd_tensor_new(dev, &call.out[0], &all, HKD_ACTIVATION);
    if (!status) status = dev->upload(dev, &call.in[0], z, HKD_F64);
    if (!status) status = dev->upload(dev, &call.in[2], dt, HKD_F64);
    call.in[1] = a->value;
    if (!status) status = hkd_device_forward(dev, &call);
    if (!status) status = dev->download(dev, z, HKD_F64, &call.out[0]);
    hkd_tensor_free(dev, &call.in[0]);
    hkd_tensor_free(dev, &call.in[2]);
    hkd_tensor_free(dev, &call.out[0]);
    return status;
}

hkd_status hkd_model_move(hkd_model *m, double *const *z, const double *dt, int64_t n) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_model_latent_count(m); i++) {
        const hkd_weight *a = operator_of(m, i);
        const hkd_shape each = hkd_model_latent_shape(m, i);
        if (a) status = evolve(m, z[i], &each, a, dt, n);
    }
    return status;
}

hkd_status hkd_model_eigenvalues(const hkd_model *m, int latent, double *alpha, double *beta) {
    const hkd_weight *w = operator_of(m, latent);
    if (!w) return hkd_fail(HKD_USAGE, "latent %d: no operator moves it", latent);
    const hkd_shape z = hkd_model_latent_shape(m, latent);
    const int64_t pairs = z.dim[0] / 2, area = z.dim[1] * z.dim[2], own = w->value.shape.dim[1] * w->value.shape.dim[2];
    double *a = malloc((size_t)hkd_count(&w->value.shape) * sizeof *a + 1);
    if (!a) return hkd_fail(HKD_RESOURCES, "out of memory for an operator");
    const hkd_status status = m->dev->download(m->dev, a, HKD_F64, &w->value);
    for (int64_t i = 0; i < pairs * area && !status; i++) {
        const int64_t mode = own == area ? i : i / area; /* or one vector for all positions */
        alpha[i] = a[mode];
        beta[i] = a[pairs * own + mode];
    }
    free(a);
    return status;
}
