/* hkd denoise - run a network on given tensors, and its gradients: what makes every claim about a network checkable. */
#include "cost.h"
#include "files.h"
#include "model_file.h"
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    hkd_model *m;
    int64_t n, in_channels, out_channels, res;
    double *x, *sigma, *class_labels, *augment_labels, *dt, *decoder_sigma, *grad_d; /* what IN holds */
    double *d, *f, *grad_x;                                                          /* what OUT gets */
} job;

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static hkd_status check_positive(const double *sigma, int64_t n, const hkd_safetensors *st, const char *name) {
    for (int64_t i = 0; sigma && i < n; i++)
        if (!(sigma[i] > 0 && isfinite(sigma[i])))
            return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' holds %g, expected noise levels above 0", hkd_file_name(st->file),
                            name, sigma[i]);
    return HKD_OK;
}

static hkd_status read_inputs(job *j, const hkd_safetensors *st, bool gradient) {
    const hkd_config *c = &j->m->config;
    hkd_shape x = hkd_shape_of(4, (int64_t)HKD_ANY, j->in_channels, j->res, j->res);
    hkd_status status = hkd_read_tensor(&j->x, &x, st, "x", false);
    if (status) return status;
    j->n = x.dim[0];
    hkd_shape each = hkd_shape_of(1, j->n), labels = hkd_shape_of(2, j->n, (int64_t)c->label_dim);
    hkd_shape augment = hkd_shape_of(2, j->n, (int64_t)c->augment_dim);
    status = hkd_read_tensor(&j->sigma, &each, st, "sigma", false);
    if (!status) status = check_positive(j->sigma, j->n, st, "sigma");
    if (!status) status = hkd_read_tensor(&j->class_labels, &labels, st, "class_labels", true);
    if (!status) status = hkd_read_tensor(&j->augment_labels, &augment, st, "augment_labels", true);
    if (!status) status = hkd_read_tensor(&j->dt, &each, st, "dt", true);
    if (!status) status = hkd_read_tensor(&j->decoder_sigma, &each, st, "decoder_sigma", true);
    if (!status) status = check_positive(j->decoder_sigma, j->n, st, "decoder_sigma");
    if (!status && gradient) status = hkd_read_tensor(&j->grad_d, &x, st, "grad_d", false);
    return status;
}

static hkd_status make_room(job *j, bool gradient) {
    const size_t size = (size_t)(j->n * j->res * j->res) * sizeof(double);
    j->d = malloc(size * (size_t)j->in_channels + 1);
    j->f = malloc(size * (size_t)j->out_channels + 1);
    j->grad_x = gradient ? malloc(size * (size_t)j->in_channels + 1) : NULL;
    if (!j->d || !j->f || (gradient && !j->grad_x))
        return hkd_fail(HKD_RESOURCES, "out of memory for %lld images", (long long)j->n);
    hkd_status status = gradient ? hkd_weights_need_grad(j->m->weights) : HKD_OK;
    return status ? status : hkd_weights_zero_grad(j->m->weights);
}

/* ---- computing -------------------------------------------------------------------------------------------------------- */

/* Rows from `first` on of an array with `width` numbers per image, or NULL. */
static const double *rows(const double *a, int64_t first, int64_t width) { return a ? a + first * width : NULL; }

static hkd_status compute(job *j, bool quiet) {
    const hkd_config *c = &j->m->config;
    const int64_t in_size = j->in_channels * j->res * j->res, out_size = j->out_channels * j->res * j->res;
    hkd_progress progress;
    hkd_status status = HKD_OK;
    hkd_progress_begin(&progress, "denoise", "img", j->n, quiet);
    const int64_t batch = j->m->batch;
    for (int64_t first = 0; first < j->n && !status; first += batch) {
        const hkd_model_input in = {
            .n = j->n - first < batch ? j->n - first : batch,
            .x = j->x + first * in_size,
            .sigma = j->sigma + first,
            .class_labels = rows(j->class_labels, first, c->label_dim),
            .dt = rows(j->dt, first, 1),
            .augment_labels = c->augment_dim ? rows(j->augment_labels, first, c->augment_dim) : NULL,
            .decoder_sigma = rows(j->decoder_sigma, first, 1),
        };
        double *d = j->d + first * in_size, *f = j->f + first * out_size;
        status = j->grad_d ? hkd_model_gradient(j->m, d, f, j->grad_x + first * in_size, j->grad_d + first * in_size, &in)
                           : hkd_model_denoise(j->m, d, f, &in);
        if (!status && hkd_cancelled()) status = hkd_fail(HKD_RESOURCES, "interrupted");
        hkd_progress_at(&progress, first + in.n, NULL);
    }
    hkd_progress_end(&progress);
    return !status && j->grad_d ? hkd_weights_collect_grad(j->m->weights) : status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    hkd_device *dev;
    const hkd_weight *weight;
    char name[256];
} saved_gradient;

static hkd_status fetch_gradient(void *to, const hkd_saved *t) {
    const saved_gradient *g = t->context;
    return g->dev->download(g->dev, to, HKD_F64, &g->weight->grad);
}

static hkd_status save(const job *j, const char *path) {
    const hkd_weights *w = j->m->weights;
    const hkd_stored type = strcmp(j->m->dev->kind, "ref") ? HKD_FLOAT : HKD_DOUBLE;
    const hkd_shape image = hkd_shape_of(4, j->n, j->in_channels, j->res, j->res);
    const hkd_shape raw = hkd_shape_of(4, j->n, j->out_channels, j->res, j->res);
    hkd_saved *t = calloc((size_t)w->count + 3, sizeof *t);
    saved_gradient *g = calloc((size_t)w->count + 1, sizeof *g);
    size_t count = 0;
    hkd_status status = t && g ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %s", path);
    if (!status) {
        t[count++] = (hkd_saved){.name = "d", .type = type, .shape = image, .as = HKD_F64, .data = j->d};
        t[count++] = (hkd_saved){.name = "f", .type = type, .shape = raw, .as = HKD_F64, .data = j->f};
    }
    if (!status && j->grad_d)
        t[count++] = (hkd_saved){.name = "grad.x", .type = type, .shape = image, .as = HKD_F64, .data = j->grad_x};
    for (int i = 0; i < w->count && !status && j->grad_d; i++) {
        if (!w->item[i].trained) continue;
        g[i] = (saved_gradient){.dev = j->m->dev, .weight = &w->item[i]};
        snprintf(g[i].name, sizeof g[i].name, "grad.%s", w->item[i].name);
        t[count++] = (hkd_saved){.name = g[i].name, .type = type, .shape = w->item[i].value.shape, .as = HKD_F64,
                                 .fetch = fetch_gradient, .context = &g[i]};
    }
    if (!status) status = hkd_safetensors_save(path, t, count, NULL, 0);
    free(g);
    free(t);
    return status;
}

/* ---- the verb --------------------------------------------------------------------------------------------------------- */

static hkd_status work(job *j, const hkd_args *a) {
    const bool gradient = hkd_given(a, "grad");
    hkd_safetensors *st;
    hkd_status status = hkd_arg_int(&j->m->batch, a, "batch", 1, 1 << 16);
    if (!status) status = hkd_safetensors_open(&st, hkd_arg(a, "in"));
    if (status) return status;
    status = read_inputs(j, st, gradient);
    hkd_safetensors_close(st);
    if (!status) status = hkd_fit_batch(a, j->m, j->n, &j->m->batch, gradient);
    if (!status) status = make_room(j, gradient);
    if (!status) status = compute(j, hkd_given(a, "quiet"));
    return status ? status : save(j, hkd_arg(a, "out"));
}

static hkd_status run(const hkd_args *a) {
    static const char *const needed[] = {"model", "in", "out"};
    for (int i = 0; i < 3; i++)
        if (!hkd_given(a, needed[i])) return hkd_fail(HKD_USAGE, "--%s is needed", needed[i]);
    if (hkd_given(a, "grad") && hkd_given(a, "half")) return hkd_fail(HKD_USAGE, "--half has no gradients: not with --grad");
    hkd_device *dev = NULL;
    job j = {.n = 0};
    hkd_status status = hkd_check_writable(hkd_arg(a, "out"));
    if (!status) status = hkd_open_device(&dev, a);
    if (!status) status = hkd_model_load(&j.m, hkd_arg(a, "model"), dev);
    if (!status) {
        j.in_channels = j.m->config.img_channels;
        j.out_channels = j.in_channels * (j.m->config.precond == HKD_PRECOND_IDDPM ? 2 : 1);
        j.res = j.m->config.img_resolution;
        status = work(&j, a);
    }
    double *arrays[] = {j.x, j.sigma, j.class_labels, j.augment_labels, j.dt, j.decoder_sigma, j.grad_d, j.d, j.f, j.grad_x};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    hkd_model_free(j.m);
    hkd_device_close(dev);
    return status;
}

const hkd_verb hkd_verb_denoise = {
    .name = "denoise",
    .summary = "run a network on given tensors; with --grad its gradients too",
    .option = {{"model", "M.safetensors", NULL, "a denoiser or an HKD model"},
               {"in", "IN.safetensors", NULL,
                "x [N,C,H,W], sigma [N]; optional: class_labels [N,K], augment_labels [N,K], and for "
                "HKD models dt [N], decoder_sigma [N]"},
               {"out", "OUT.safetensors", NULL,
                "gets d (denoised, or one-step image) and f (raw output); float64 with --device ref"},
               {"grad", NULL, NULL,
                "IN also holds grad_d; OUT also gets grad.x and grad.PARAMETER: gradients of sum(grad_d * d)"},
               {"batch", "N", "16", "images in one pass"}},
    .example = {"denoise --device ref --model m.safetensors --in in.safetensors --out out.safetensors --grad"},
    .run = run,
};
