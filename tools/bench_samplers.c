/* The paper's latency table: one network, one step of the one-step model beside the samplers that follow a denoiser. */
#include "bench.h"

#include "generate.h"
#include "init.h"
#include "os.h"
#include "status.h"

#include <stdlib.h>

static const struct {
    const char *name;
    hkd_sampler_kind kind;
    int64_t steps;
} samplers[] = {{"one step", HKD_ONESTEP, 1}, {"Heun-15", HKD_HEUN, 8}, {"Heun-35", HKD_HEUN, 18}, {"DDIM-10", HKD_DDIM, 10},
                {"DDIM-100", HKD_DDIM, 100}}; /* Heun evaluates the network 2 steps - 1 times */

static hkd_status sampler_rounds(json_t *rows, const hkd_bench *b, hkd_model *m, int which, double *x, const uint64_t *seeds) {
    const hkd_config *c = &m->config;
    hkd_generator g;
    hkd_sampler_options o = hkd_sampler_default(samplers[which].kind, c);
    o.steps = samplers[which].steps;
    hkd_status status = hkd_generator_new(&g, m, &o, NULL);
    for (int64_t round = 0; round < b->rounds && !status; round++) {
        int64_t evaluations = 0;
        const double start = hkd_seconds();
        status = hkd_generate(&g, x, &evaluations, seeds, b->batch, NULL, NULL);
        const double seconds = (hkd_seconds() - start) / (double)b->batch;
        json_t *row = hkd_bench_row(rows, b, samplers[which].name);
        json_object_set_new(row, "evaluations", json_integer((json_int_t)(evaluations / b->batch)));
        if (!status) hkd_bench_round(row, seconds, hkd_measure_machine(b->dev));
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
    }
    free(g.sigma);
    return status;
}

/* The samplers of one kind of model, after a pass that prepares its weights. */
static hkd_status of_model(json_t *rows, const hkd_bench *b, bool is_hkd, double *x, uint64_t *seeds) {
    hkd_config c = hkd_bench_config(b);
    hkd_model *m = NULL;
    hkd_generator g = {0};
    int64_t evaluations;
    c.is_hkd = is_hkd;
    hkd_status status = hkd_model_new(&m, &c, b->dev);
    if (!status) status = hkd_init_weights(m->weights, 1, true);
    if (!status) {
        m->batch = b->batch;
        m->frozen = b->frozen && b->dev->freeze;
        hkd_sampler_options o = hkd_sampler_default(HKD_ONESTEP, &c);
        status = hkd_generator_new(&g, m, &o, NULL);
    }
    if (!status) status = hkd_generate(&g, x, &evaluations, seeds, b->batch, NULL, NULL);
    free(g.sigma);
    for (int i = 0; i < (int)(sizeof samplers / sizeof *samplers) && !status; i++)
        if ((samplers[i].kind == HKD_ONESTEP) == is_hkd) status = sampler_rounds(rows, b, m, i, x, seeds);
    hkd_model_free(m);
    return status;
}

hkd_status hkd_bench_samplers(json_t *rows, const hkd_bench *b) {
    const hkd_config c = hkd_bench_config(b);
    const int64_t size = b->batch * c.img_channels * c.img_resolution * c.img_resolution;
    double *x = calloc((size_t)size, sizeof *x);
    uint64_t *seeds = calloc((size_t)b->batch, sizeof *seeds);
    hkd_status status = x && seeds ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)b->batch);
    for (int64_t i = 0; i < b->batch && seeds; i++) seeds[i] = (uint64_t)i;
    if (!status) status = of_model(rows, b, true, x, seeds);
    if (!status) status = of_model(rows, b, false, x, seeds);
    free(x), free(seeds);
    return status;
}
