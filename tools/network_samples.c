/* Heun's sampler as a vector: from recorded unit normals along EDM's grid of four levels. Recorded are the levels, the state
 * before every step (x.0 = sigma.0 times the noise) and at the end, and each of the seven answers of the denoiser. */
#include "networks.h"
#include "sampler.h"
#include "schedule.h"
#include "status.h"

#include <stdio.h>

enum { N = 2, STEPS = 4, MOST = 1024 };

typedef struct {
    hkd_recording *out;
    hkd_model *model;
    hkd_shape shape;
    int evaluations;
} sampling;

static hkd_status denoise(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    sampling *s = self;
    const double each[N] = {sigma, sigma};
    char name[32];
    (void)size;
    hkd_status status = hkd_model_denoise(s->model, d, NULL, &(hkd_model_input){.n = n, .x = x, .sigma = each});
    snprintf(name, sizeof name, "d.%d", s->evaluations++);
    return status ? status : hkd_record_values(s->out, name, false, &s->shape, d);
}

static hkd_status watch(void *self, int64_t i, double sigma, const double *x, int64_t n, int64_t size) {
    sampling *s = self;
    char name[32];
    (void)sigma, (void)n, (void)size;
    snprintf(name, sizeof name, "x.%d", (int)i);
    return hkd_record_values(s->out, name, false, &s->shape, x);
}

static hkd_status record_given(sampling *s, const double *sigma, const double *noise) {
    const hkd_shape grid = hkd_shape_of(1, (int64_t)STEPS + 1);
    const hkd_weights *w = s->model->weights;
    hkd_status status = hkd_record_values(s->out, "sigma", true, &grid, sigma);
    if (!status) status = hkd_record_values(s->out, "noise", true, &s->shape, noise);
    for (int i = 0; !status && i < w->count; i++)
        status = hkd_record_tensor(s->out, w->item[i].name, true, w->dev, &w->item[i].value);
    return status;
}

static hkd_status sample(sampling *s, const char *name) {
    const int64_t count = hkd_count(&s->shape);
    double x[MOST], sigma[STEPS + 1];
    hkd_tensor noise;
    hkd_device *dev = s->model->dev;
    if (count > MOST) return hkd_fail(HKD_USAGE, "%s: more than %d numbers", name, (int)MOST);
    hkd_status status = hkd_tensor_new(dev, &noise, &s->shape, HKD_ACTIVATION);
    if (!status) status = hkd_network_fill(dev, &noise, "normal", name, "noise");
    if (!status) status = dev->download(dev, x, HKD_F64, &noise);
    hkd_tensor_free(dev, &noise);
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    if (!status) status = hkd_schedule_grid(sigma, STEPS, &schedule);
    if (!status) status = record_given(s, sigma, x);
    if (status) return status;
    for (int64_t i = 0; i < count; i++) x[i] *= sigma[0];
    hkd_sampling run = {.denoise = denoise, .denoiser = s, .n = N, .size = count / N, .watch = watch, .watcher = s};
    return hkd_sample_edm(&run, x, sigma, STEPS, &hkd_edm_heun);
}

hkd_status hkd_network_samples(hkd_recording *out, const hkd_config *c, const char *name, hkd_device *dev) {
    const int64_t res = c->img_resolution;
    sampling s = {.out = out, .shape = hkd_shape_of(4, (int64_t)N, (int64_t)c->img_channels, res, res)};
    hkd_status status = hkd_model_new(&s.model, c, dev);
    if (!status) status = hkd_network_weights(s.model->weights, name);
    if (!status) status = sample(&s, name);
    hkd_model_free(s.model);
    return status;
}
