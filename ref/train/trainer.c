#include "trainer.h"

#include "augment.h"
#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 256 }; /* samples in one pass */

static int64_t samples_per_image(const hkd_train_settings *s) { return s->hkd ? 1 + s->hkd->times : 1; }

static const hkd_perceptual *perceptual_of(const hkd_train_settings *s) { return s->hkd ? s->hkd->perceptual : NULL; }

/* The network and its loss for `n` samples: l [n] is an output whose upstream gradient is the samples' weights.
 * A perceptual term adds its own gradient to that of the result. */
static hkd_program *record(const hkd_config *c, const hkd_train_settings *s, int64_t n) {
    hkd_net net = {.p = hkd_program_new(), .config = c, .training = true};
    if (!net.p) return NULL;
    const hkd_model_options options = {.run = HKD_RUN_WHOLE, .n = n, .training = true,
                                       .augment = s->edm && s->edm->augment > 0};
    const hkd_model_inputs in = hkd_model_record_inputs(&net, &options);
    const int64_t res = c->img_resolution;
    const hkd_var target = hkd_input(net.p, "target", hkd_shape_of(4, n, (int64_t)c->img_channels, res, res));
    hkd_var f;
    const hkd_var d = hkd_model_record(&net, &in, &f);
    const double weighting[] = {c->precond <= HKD_PRECOND_VE ? c->precond : HKD_PRECOND_EDM, c->sigma_data};
    const char *distance = s->hkd && s->hkd->distance == HKD_DISTANCE_L2 ? "l2_norm_loss" : "mse_loss";
    const hkd_var loss = s->hkd ? hkd_apply(net.p, distance, NULL, 2, d, target)
                                : hkd_apply(net.p, "edm_loss", weighting, 3, d, target, in.sigma);
    hkd_output(net.p, loss, "loss");
    hkd_seed(net.p, loss);
    if (perceptual_of(s)) hkd_output(net.p, d, "result"), hkd_seed(net.p, d);
    return net.p;
}

static hkd_status check(const hkd_train_settings *s, const hkd_config *c) {
    const int64_t samples = s->batch * samples_per_image(s);
    if (s->batch < 1 || s->images < 0 || !(s->lr >= 0)) return hkd_fail(HKD_USAGE, "batch, images and lr must be positive");
    if (s->micro_batch < 1 || samples % s->micro_batch)
        return hkd_fail(HKD_USAGE, "the %lld samples of a step are no multiple of the micro-batch %lld", (long long)samples,
                        (long long)s->micro_batch);
    if (s->micro_batch > MOST) return hkd_fail(HKD_USAGE, "the micro-batch must be at most %d", (int)MOST);
    if (s->micro_batch % 4 && s->micro_batch != samples)
        return hkd_fail(HKD_USAGE, "the micro-batch %lld must be a multiple of 4", (long long)s->micro_batch);
    if (s->edm && s->edm->augment > 0 && (c->augment_dim != HKD_AUGMENT_LABELS || s->edm->xflip))
        return hkd_fail(HKD_USAGE, "augmentation needs a network with augment_dim %d, and mirrors pictures itself: no xflip",
                        (int)HKD_AUGMENT_LABELS);
    if (s->hkd && s->hkd->trajectories->states < 3) return hkd_fail(HKD_USAGE, "trajectories need at least 3 states");
    return HKD_OK;
}

/* The network for a micro-batch, or for a smaller one when there is no room: no result depends on it. */
static hkd_status plan_in_room(hkd_trainer *t) {
    for (;;) {
        t->program = record(&t->model->config, &t->settings, t->settings.micro_batch);
        if (!t->program) return hkd_fail(HKD_RESOURCES, "out of memory for training");
        const hkd_status status = hkd_plan_new(&t->plan, t->program, t->model->weights, &(hkd_plan_options){.backward = true});
        const int64_t fewer = hkd_smaller_pass(t->settings.micro_batch, true);
        if (status != HKD_RESOURCES || !fewer) return status;
        hkd_program_free(t->program);
        t->settings.micro_batch = fewer;
    }
}

hkd_status hkd_trainer_new(hkd_trainer **out, hkd_model *model, const hkd_train_settings *settings) {
    *out = NULL;
    hkd_status status = check(settings, &model->config);
    if (status) return status;
    hkd_trainer *t = calloc(1, sizeof *t);
    if (!t) return hkd_fail(HKD_RESOURCES, "out of memory for training");
    *t = (hkd_trainer){.model = model, .settings = *settings};
    t->settings.optimizer.no_average = settings->average.half_life <= 0;
    status = hkd_train_batch_new(&t->batch, &model->config, settings->batch * samples_per_image(settings));
    if (!status) status = hkd_optimizer_new(&t->optimizer, model->weights, &t->settings.optimizer);
    if (!status) status = plan_in_room(t);
    if (!status && model->config.dropout > 0) {
        const uint64_t seed = settings->hkd ? settings->hkd->seed : settings->edm->seed;
        status = hkd_plan_set(t->plan, "dropout", "seed_lo", (double)(uint32_t)seed);
        if (!status) status = hkd_plan_set(t->plan, "dropout", "seed_hi", (double)(uint32_t)(seed >> 32));
    }
    if (status) {
        hkd_trainer_free(t);
        return status;
    }
    *out = t;
    return HKD_OK;
}

void hkd_trainer_free(hkd_trainer *t) {
    if (!t) return;
    hkd_plan_free(t->plan);
    hkd_program_free(t->program);
    hkd_optimizer_free(t->optimizer);
    hkd_train_batch_free(t->batch);
    free(t);
}

double hkd_train_lr(const hkd_train_settings *s, int64_t images) {
    double lr = s->lr;
    if (s->lr_warmup_images > 0 && (double)images < s->lr_warmup_images) lr *= (double)images / s->lr_warmup_images;
    if (s->lr_gamma != 1 && s->epoch_images > 0) lr *= hkd_pow(s->lr_gamma, (double)(images / s->epoch_images));
    if (s->lr_cosine && s->images > 0) lr *= 0.5 * (1 + hkd_cos(3.14159265358979323846 * (double)images / (double)s->images));
    return lr;
}

double hkd_train_lambda1(const hkd_train_settings *s, int64_t images) {
    if (!perceptual_of(s) || s->hkd->lambda1 == HKD_LAMBDA_ONE) return 1;
    const int64_t epoch = s->epoch_images > 0 ? images / s->epoch_images : 0;
    const double progress = s->images > 0 ? (double)(epoch * s->epoch_images) / (double)s->images : 0;
    return hkd_pow(10, s->hkd->lambda1 == HKD_LAMBDA_POWER ? -3 * progress : -hkd_pow(3, progress));
}

static hkd_status put(const hkd_trainer *t, const char *name, const double *data, int64_t at, int64_t width) {
    const hkd_tensor *tensor = hkd_plan_named(t->plan, name);
    return tensor && data ? t->model->dev->upload(t->model->dev, tensor, data + at * width, HKD_F64) : HKD_OK;
}

/* After forward: the perceptual term of samples at .. at + micro_batch goes to p, its gradient to that of the result. */
static hkd_status perceive(hkd_trainer *t, double *p, int64_t at) {
    const hkd_train_batch *b = t->batch;
    const hkd_perceptual *term = perceptual_of(&t->settings);
    const hkd_var result = hkd_find_var(t->program, "result");
    const int64_t n = t->settings.micro_batch;
    hkd_device *dev = t->model->dev;
    double weight[MOST], *d = malloc((size_t)(2 * n * b->size) * sizeof *d + 1), *dx = d + n * b->size;
    hkd_status status = d ? dev->download(dev, d, HKD_F64, hkd_plan_tensor(t->plan, result))
                          : hkd_fail(HKD_RESOURCES, "out of memory for training");
    for (int64_t i = 0; i < n; i++) weight[i] = t->settings.hkd->lambda2 * b->weight[at + i];
    if (!status) status = term->distance(term, p, dx, d, b->target + at * b->size, weight, n);
    if (!status) status = dev->upload(dev, hkd_plan_grad(t->plan, result), dx, HKD_F64);
    free(d);
    return status;
}

/* Samples at .. at + micro_batch, forward and backward; their losses go to l. */
static hkd_status pass(hkd_trainer *t, double *l, int64_t at) {
    const hkd_train_batch *b = t->batch;
    hkd_device *dev = t->model->dev;
    const hkd_var loss = hkd_find_var(t->program, "loss");
    const int64_t n = t->settings.micro_batch;
    const double lambda1 = hkd_train_lambda1(&t->settings, t->images);
    double decoder_sigma[MOST], weight[MOST], p[MOST];
    hkd_status status = HKD_OK;
    for (int64_t i = 0; i < n; i++) decoder_sigma[i] = t->model->config.decoder_sigma, weight[i] = lambda1 * b->weight[at + i];
    status = put(t, "x", b->x, at, b->size);
    if (!status) status = put(t, "target", b->target, at, b->size);
    if (!status) status = put(t, "sigma", b->sigma, at, 1);
    if (!status) status = put(t, "dt", b->dt, at, 1);
    if (!status) status = put(t, "decoder_sigma", decoder_sigma, 0, 1);
    if (!status) status = put(t, "class_labels", b->class_labels, at, t->model->config.label_dim);
    if (!status) status = put(t, "augment_labels", b->augment_labels, at, t->model->config.augment_dim);
    if (!status) status = dev->upload(dev, hkd_plan_grad(t->plan, loss), weight, HKD_F64);
    if (!status && t->model->config.dropout > 0)
        status = hkd_plan_set(t->plan, "dropout", "first_index", (double)(t->images * samples_per_image(&t->settings) + at));
    if (!status) status = hkd_plan_forward(t->plan);
    if (!status && perceptual_of(&t->settings)) status = perceive(t, p, at);
    if (!status) status = hkd_plan_backward(t->plan);
    if (!status) status = dev->download(dev, l + at, HKD_F64, hkd_plan_tensor(t->plan, loss));
    for (int64_t i = 0; i < n && !status && perceptual_of(&t->settings); i++)
        l[at + i] = lambda1 * l[at + i] + t->settings.hkd->lambda2 * p[i];
    return status;
}

static void summarise(const hkd_trainer *t, const double *l, hkd_train_row *row) {
    const int64_t per = samples_per_image(&t->settings);
    double end = 0, path = 0;
    row->loss = 0;
    for (int64_t i = 0; i < t->batch->n; i++) {
        row->loss += t->batch->weight[i] * l[i];
        *(i % per ? &path : &end) += l[i];
    }
    row->loss_end = end / (double)t->settings.batch;
    row->loss_path = per > 1 ? path / (double)(t->settings.batch * (per - 1)) : 0;
}

static hkd_status not_finite(hkd_trainer *t) {
    const char *op = NULL, *name = "";
    const hkd_status status = hkd_plan_find_nonfinite(t->plan, &op, &name);
    if (status) return status;
    return hkd_fail(HKD_CHECK_FAILED, "step %lld: the loss or a gradient is not finite; first seen in %s%s%s",
                    (long long)t->optimizer->steps + 1, op ? op : "a sum of gradients", *name ? " of " : "", name);
}

hkd_status hkd_trainer_step(hkd_trainer *t, hkd_train_row *row) {
    const hkd_train_settings *s = &t->settings;
    double *l = calloc((size_t)t->batch->n, sizeof *l);
    if (!l) return hkd_fail(HKD_RESOURCES, "out of memory for training");
    hkd_status status = s->hkd ? hkd_hkd_fill(s->hkd, &t->model->config, t->batch, t->images)
                               : hkd_edm_fill(s->edm, &t->model->config, t->batch, t->images, t->model->dev);
    if (!status) status = hkd_weights_zero_grad(t->model->weights);
    for (int64_t at = 0; at < t->batch->n && !status; at += s->micro_batch) status = pass(t, l, at);
    if (!status) status = hkd_weights_collect_grad(t->model->weights);
    if (!status) {
        summarise(t, l, row);
        status = hkd_optimizer_gradient_norm(t->optimizer, &row->gradient_norm);
    }
    free(l);
    if (status) return status;
    if (!isfinite(row->loss) || !isfinite(row->gradient_norm)) return not_finite(t);
    row->epoch = s->epoch_images > 0 ? t->images / s->epoch_images : 0;
    row->lr = hkd_train_lr(s, t->images);
    row->ema_decay = hkd_ema_decay(&s->average, (double)s->batch, (double)t->images);
    status = hkd_optimizer_step(t->optimizer, row->lr, row->ema_decay, row->gradient_norm);
    if (!status) t->images += s->batch;
    row->step = t->optimizer->steps;
    row->images = t->images;
    return status;
}
