/* Models on devices: weights, the plans of their programs, batches cut into passes. */
#include "model.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a model and its plans ---- */

struct hkd_model_plan {
    struct hkd_model_plan *next;
    hkd_model_options options;
    bool gradient;
    hkd_program *program;
    hkd_plan *plan;
};

static hkd_program *program_with_gradient(const hkd_config *c, const hkd_model_options *o, bool gradient) {
    hkd_program *p = hkd_model_program(c, o);
    hkd_shape shape[HKD_MAX_LATENTS];
    const int skips = hkd_unet_latent_shapes(c, shape);
    char name[64];
    if (!p || !gradient) return p;
    if (o->run != HKD_RUN_DECODE) hkd_want_grad(p, hkd_find_var(p, "x"));
    for (int i = 0; i <= skips && o->run == HKD_RUN_DECODE; i++)
        hkd_want_grad(p, hkd_find_var(p, hkd_latent_name(name, sizeof name, "z", i, skips)));
    hkd_seed(p, hkd_find_var(p, "d"));
    return p;
}

hkd_status hkd_model_new(hkd_model **out, const hkd_config *c, hkd_device *dev) {
    *out = NULL;
    hkd_status status = hkd_config_check(c);
    if (status) return status;
    hkd_model *m = calloc(1, sizeof *m);
    hkd_program *p = hkd_model_program(c, &(hkd_model_options){.n = 1, .augment = c->augment_dim > 0});
    if (!m || !p) status = hkd_fail(HKD_RESOURCES, "out of memory for the model");
    if (!status) status = hkd_program_status(p);
    if (!status) {
        *m = (hkd_model){.config = *c, .dev = dev, .batch = 16};
        status = hkd_weights_new(&m->weights, p, dev);
    }
    hkd_program_free(p);
    if (status) {
        hkd_model_free(m);
        return status;
    }
    *out = m;
    return HKD_OK;
}

static void free_plan(struct hkd_model_plan *p) {
    hkd_plan_free(p->plan);
    hkd_program_free(p->program);
    free(p);
}

static void free_plans(hkd_model *m) {
    while (m->plans) {
        struct hkd_model_plan *next = m->plans->next;
        free_plan(m->plans);
        m->plans = next;
    }
}

void hkd_model_free(hkd_model *m) {
    if (!m) return;
    free_plans(m);
    hkd_weights_free(m->weights);
    free(m->file);
    free(m);
}

static bool same_options(const hkd_model_options *a, const hkd_model_options *b) {
    return a->run == b->run && a->n == b->n && a->augment == b->augment && a->training == b->training;
}

/* The plan for these options: kept from an earlier call, or made now. The last few are kept: full batches and remainders. */
static hkd_status plan_for(hkd_model *m, struct hkd_model_plan **out, const hkd_model_options *o, bool gradient) {
    enum { KEPT = 4 };
    int count = 0;
    for (struct hkd_model_plan **at = &m->plans; *at; at = &(*at)->next) {
        if (same_options(&(*at)->options, o) && (*at)->gradient == gradient) {
            *out = *at;
            return HKD_OK;
        }
        if (++count == KEPT) {
            free_plan(*at);
            *at = NULL;
            break;
        }
    }
    struct hkd_model_plan *p = calloc(1, sizeof *p);
    if (p) *p = (struct hkd_model_plan){.options = *o, .gradient = gradient};
    if (p) p->program = program_with_gradient(&m->config, o, gradient);
    if (!p || !p->program) {
        free(p);
        return hkd_fail(HKD_RESOURCES, "out of memory for a plan of the network");
    }
    hkd_status status = gradient ? hkd_weights_need_grad(m->weights) : HKD_OK;
    if (!status) status = hkd_plan_new(&p->plan, p->program, m->weights, &(hkd_plan_options){.backward = gradient});
    if (!status && m->frozen && !gradient) status = hkd_plan_freeze(p->plan, NULL);
    if (status) {
        free_plan(p);
        return status;
    }
    p->next = m->plans;
    m->plans = p;
    *out = p;
    return HKD_OK;
}

hkd_status hkd_model_prepare(hkd_model *m, hkd_status (*load)(void *self, hkd_weight *w), void *self) {
    hkd_program *p = hkd_model_program(&m->config, &(hkd_model_options){.n = 1});
    hkd_plan *plan = NULL;
    hkd_status status = p ? hkd_plan_new(&plan, p, m->weights, &(hkd_plan_options){.dry = true})
                          : hkd_fail(HKD_RESOURCES, "out of memory for a plan of the network");
    for (int i = 0; i < m->weights->count && !status; i++) {
        status = load ? load(self, &m->weights->item[i]) : HKD_OK;
        if (!status) status = hkd_plan_freeze(plan, &m->weights->item[i]);
    }
    m->frozen = true;
    hkd_plan_free(plan);
    hkd_program_free(p);
    return status;
}

/* ---- runs ---- */

static int64_t image_size(const hkd_model *m) {
    return (int64_t)m->config.img_channels * m->config.img_resolution * m->config.img_resolution;
}

static int64_t output_size(const hkd_model *m) { return image_size(m) * (m->config.precond == HKD_PRECOND_IDDPM ? 2 : 1); }

/* Images first .. first + n of a request, and the plan that serves them. */
typedef struct {
    hkd_model *m;
    struct hkd_model_plan *p;
    int64_t first, n;
} pass;

static hkd_status put(const pass *s, const char *name, const double *data) {
    const hkd_tensor *t = hkd_plan_named(s->p->plan, name);
    return t && data ? s->m->dev->upload(s->m->dev, t, data, HKD_F64) : HKD_OK;
}

/* Download into the pass's place of an array with `size` doubles per image; NULL is skipped. */
static hkd_status get(const pass *s, double *data, int64_t size, const hkd_tensor *t) {
    return data ? s->m->dev->download(s->m->dev, data + s->first * size, HKD_F64, t) : HKD_OK;
}

/* Per-sample scalars and labels that the caller left out get their defaults. */
static hkd_status put_scalars(const pass *s, const hkd_model_input *in) {
    const hkd_config *c = &s->m->config;
    const int64_t n = s->n, labels = c->label_dim;
    double *zeros = calloc((size_t)(n * (labels + 2) + 1), sizeof *zeros);
    if (!zeros) return hkd_fail(HKD_RESOURCES, "out of memory for a batch of %lld", (long long)n);
    double *dt = zeros + n * labels, *decoder_sigma = dt + n;
    for (int64_t i = 0; i < n; i++) {
        dt[i] = in->dt ? in->dt[s->first + i] : hkd_dt_to_end(c, in->sigma[s->first + i]);
        decoder_sigma[i] = in->decoder_sigma ? in->decoder_sigma[s->first + i] : c->decoder_sigma;
    }
    hkd_status status = put(s, "sigma", in->sigma + s->first);
    if (!status) status = put(s, "dt", dt);
    if (!status) status = put(s, "decoder_sigma", decoder_sigma);
    if (!status) status = put(s, "class_labels", in->class_labels ? in->class_labels + s->first * labels : zeros);
    if (!status && in->augment_labels) status = put(s, "augment_labels", in->augment_labels + s->first * c->augment_dim);
    free(zeros);
    return status;
}

int64_t hkd_smaller_pass(int64_t n, bool gradient) {
    if (!gradient) return n > 4 ? (n / 2 + 3) / 4 * 4 : n / 2;
    int64_t fewer = (n - 1) / 4 * 4;
    while (fewer > 0 && n % fewer) fewer -= 4;
    return fewer;
}

/* A plan for the pass; when there is no room for it, without the plans that were kept, then for fewer images. */
static hkd_status plan_in_room(pass *s, bool augment, hkd_run run, bool gradient) {
    for (;;) {
        const hkd_model_options o = {.run = run, .n = s->n, .augment = augment};
        const bool alone = !s->m->plans;
        const hkd_status status = plan_for(s->m, &s->p, &o, gradient);
        const int64_t fewer = alone ? hkd_smaller_pass(s->n, gradient) : s->n;
        if (status != HKD_RESOURCES || !fewer) return status;
        free_plans(s->m);
        if (alone) s->m->batch = s->n = fewer;
    }
}

static hkd_status start(pass *s, const hkd_model_input *in, hkd_run run, bool gradient) {
    hkd_status status = plan_in_room(s, in->augment_labels != NULL, run, gradient);
    if (!status) status = put_scalars(s, in);
    if (!status) status = put(s, "x", in->x + s->first * image_size(s->m));
    return status;
}

static hkd_status finish(const pass *s, double *d, double *f) {
    hkd_status status = get(s, d, image_size(s->m), hkd_plan_named(s->p->plan, "d"));
    return status ? status : get(s, f, output_size(s->m), hkd_plan_named(s->p->plan, "f"));
}

static pass pass_at(hkd_model *m, const hkd_model_input *in, int64_t first) {
    return (pass){.m = m, .first = first, .n = in->n - first < m->batch ? in->n - first : m->batch};
}

hkd_status hkd_model_denoise(hkd_model *m, double *d, double *f, const hkd_model_input *in) {
    hkd_status status = HKD_OK;
    for (pass s = pass_at(m, in, 0); s.first < in->n && !status; s = pass_at(m, in, s.first + s.n)) {
        status = start(&s, in, HKD_RUN_WHOLE, false);
        if (!status) status = hkd_plan_forward(s.p->plan);
        if (!status) status = finish(&s, d, f);
    }
    return status;
}

hkd_status hkd_denoise_model(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    hkd_model_denoiser *f = self;
    (void)size;
    for (int64_t i = 0; i < n; i++) f->sigma[i] = sigma;
    f->in.x = x;
    f->in.sigma = f->sigma;
    return hkd_model_denoise(f->m, d, NULL, &f->in);
}

hkd_status hkd_model_gradient(hkd_model *m, double *d, double *f, double *grad_x, const double *grad_d,
                              const hkd_model_input *in) {
    const int64_t size = image_size(m);
    hkd_status status = HKD_OK;
    for (pass s = pass_at(m, in, 0); s.first < in->n && !status; s = pass_at(m, in, s.first + s.n)) {
        status = start(&s, in, HKD_RUN_WHOLE, true);
        if (!status) status = hkd_plan_forward(s.p->plan);
        if (!status) status = finish(&s, d, f);
        if (status) return status;
        const hkd_tensor *seed = hkd_plan_grad(s.p->plan, hkd_find_var(s.p->program, "d"));
        status = m->dev->upload(m->dev, seed, grad_d + s.first * size, HKD_F64);
        if (!status) status = hkd_plan_backward(s.p->plan);
        if (!status) status = get(&s, grad_x, size, hkd_plan_grad(s.p->plan, hkd_find_var(s.p->program, "x")));
    }
    return status;
}

hkd_status hkd_model_run_traced(hkd_model *m, const hkd_model_input *in, bool as_run, hkd_model_look *look, void *self) {
    const hkd_model_options o = {.run = HKD_RUN_WHOLE, .n = in->n, .augment = in->augment_labels != NULL};
    struct hkd_model_plan once = {.program = hkd_model_program(&m->config, &o)};
    const pass s = {.m = m, .p = &once, .n = in->n};
    const hkd_plan_options how = {.trace = true, .as_run = as_run};
    hkd_status status = once.program ? hkd_program_status(once.program) : hkd_fail(HKD_RESOURCES, "out of memory for a trace");
    if (!status) status = hkd_plan_new(&once.plan, once.program, m->weights, &how);
    if (!status) status = put_scalars(&s, in);
    if (!status) status = put(&s, "x", in->x);
    if (!status) status = hkd_plan_forward(once.plan);
    if (!status) status = look(self, hkd_plan_program(once.plan), once.plan);
    hkd_plan_free(once.plan);
    hkd_program_free(once.program);
    return status;
}

/* ---- latents ---- */

void hkd_model_describe(hkd_model_info *out, const hkd_model *m) {
    const hkd_config *c = &m->config;
    *out = (hkd_model_info){.one_step = c->is_hkd, .channels = c->img_channels, .resolution = c->img_resolution,
                            .classes = c->label_dim, .sigma_min = c->sigma_min, .sigma_max = c->sigma_max};
}

int hkd_model_latent_count(const hkd_model *m) {
    hkd_shape shape[HKD_MAX_LATENTS];
    return hkd_unet_latent_shapes(&m->config, shape) + 1;
}

hkd_shape hkd_model_latent_shape(const hkd_model *m, int i) {
    hkd_shape shape[HKD_MAX_LATENTS];
    const int skips = hkd_unet_latent_shapes(&m->config, shape);
    return shape[i < skips ? i : skips - 1];
}

hkd_status hkd_model_encode(hkd_model *m, double *const *z, const hkd_model_input *in) {
    const int skips = hkd_model_latent_count(m) - 1;
    hkd_status status = HKD_OK;
    for (pass s = pass_at(m, in, 0); s.first < in->n && !status; s = pass_at(m, in, s.first + s.n)) {
        status = start(&s, in, HKD_RUN_ENCODE, false);
        if (!status) status = hkd_plan_forward(s.p->plan);
        for (int i = 0; i <= skips && !status; i++) { /* in the encoder the bottleneck is the last skip */
            char name[64];
            const hkd_shape shape = hkd_model_latent_shape(m, i);
            hkd_latent_name(name, sizeof name, "z", i < skips ? i : skips - 1, skips);
            status = get(&s, z[i], hkd_count(&shape), hkd_plan_named(s.p->plan, name));
        }
    }
    return status;
}

/* Forward through the decoder, from latents. */
static hkd_status run_decoder(pass *s, const double *const *z, const hkd_model_input *in, bool gradient) {
    const int skips = hkd_model_latent_count(s->m) - 1;
    hkd_status status = start(s, in, HKD_RUN_DECODE, gradient);
    for (int i = 0; i <= skips && !status; i++) {
        char name[64];
        const hkd_shape shape = hkd_model_latent_shape(s->m, i);
        status = put(s, hkd_latent_name(name, sizeof name, "z", i, skips), z[i] + s->first * hkd_count(&shape));
    }
    return status ? status : hkd_plan_forward(s->p->plan);
}

hkd_status hkd_model_decode(hkd_model *m, double *d, double *f, const double *const *z, const hkd_model_input *in) {
    hkd_status status = HKD_OK;
    for (pass s = pass_at(m, in, 0); s.first < in->n && !status; s = pass_at(m, in, s.first + s.n)) {
        status = run_decoder(&s, z, in, false);
        if (!status) status = finish(&s, d, f);
    }
    return status;
}

hkd_status hkd_model_decode_gradient(hkd_model *m, double *const *grad_z, const double *grad_d, const double *const *z,
                                     const hkd_model_input *in) {
    const int skips = hkd_model_latent_count(m) - 1;
    hkd_status status = HKD_OK;
    for (pass s = pass_at(m, in, 0); s.first < in->n && !status; s = pass_at(m, in, s.first + s.n)) {
        status = run_decoder(&s, z, in, true);
        if (status) return status;
        const hkd_tensor *seed = hkd_plan_grad(s.p->plan, hkd_find_var(s.p->program, "d"));
        status = m->dev->upload(m->dev, seed, grad_d + s.first * image_size(m), HKD_F64);
        if (!status) status = hkd_plan_backward(s.p->plan);
        for (int i = 0; i <= skips && !status; i++) {
            char name[64];
            const hkd_shape shape = hkd_model_latent_shape(m, i);
            const hkd_var var = hkd_find_var(s.p->program, hkd_latent_name(name, sizeof name, "z", i, skips));
            status = get(&s, grad_z[i], hkd_count(&shape), hkd_plan_grad(s.p->plan, var));
        }
    }
    return status;
}
