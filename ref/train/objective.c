#include "objective.h"

#include "augment.h"
#include "exact.h"
#include "rng.h"
#include "status.h"

#include <stdlib.h>

hkd_status hkd_train_batch_new(hkd_train_batch **out, const hkd_config *c, int64_t n) {
    const int64_t size = (int64_t)c->img_channels * c->img_resolution * c->img_resolution;
    hkd_train_batch *b = calloc(1, sizeof *b);
    double *room = calloc((size_t)(n * (2 * size + 3 + c->label_dim + c->augment_dim)) + 1, sizeof *room);
    *out = b;
    if (!b || !room) {
        free(b);
        free(room);
        *out = NULL;
        return hkd_fail(HKD_RESOURCES, "out of memory for a batch of %lld", (long long)n);
    }
    *b = (hkd_train_batch){.n = n, .size = size, .x = room, .target = room + n * size, .sigma = room + 2 * n * size};
    b->dt = b->sigma + n;
    b->weight = b->dt + n;
    b->class_labels = c->label_dim ? b->weight + n : NULL;
    b->augment_labels = c->augment_dim ? b->weight + n + n * c->label_dim : NULL;
    return HKD_OK;
}

void hkd_train_batch_free(hkd_train_batch *b) {
    if (b) free(b->x);
    free(b);
}

/* A shuffle that needs no table: a Feistel network of four rounds permutes the smallest even power of two >= count, and values
 * beyond count are walked over (cycle walking), so each pass visits every element once. */
int64_t hkd_shuffled(int64_t count, int64_t k, uint64_t seed) {
    const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_ORDER, .draw = (uint32_t)(k / count)};
    int half = 1;
    while ((int64_t)1 << 2 * half < count) half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    uint64_t value = (uint64_t)(k % count);
    do {
        uint64_t left = value >> half, right = value & mask;
        for (uint64_t round = 0; round < 4; round++) {
            const uint64_t mixed = left ^ (hkd_random_word(&stream, (round << half | right) << 2) & mask);
            left = right;
            right = mixed;
        }
        value = left << half | right;
    } while (value >= (uint64_t)count);
    return (int64_t)value;
}

static hkd_status set_label(hkd_train_batch *b, const hkd_config *c, int64_t i, int label) {
    if (!c->label_dim) return HKD_OK;
    if (label < 0 || label >= c->label_dim)
        return hkd_fail(HKD_BAD_FILE, "the data give label %d, the model has %d classes", label, c->label_dim);
    for (int k = 0; k < c->label_dim; k++) b->class_labels[i * c->label_dim + k] = k == label;
    return HKD_OK;
}

static void mirror(double *image, const hkd_config *c) {
    const int res = c->img_resolution;
    for (int row = 0; row < c->img_channels * res; row++)
        for (int i = 0; i < res / 2; i++) {
            const double left = image[row * res + i];
            image[row * res + i] = image[row * res + res - 1 - i];
            image[row * res + res - 1 - i] = left;
        }
}

/* Picture i of the batch, number `index` of the run, is changed in place and its label says how. */
static hkd_status augment(hkd_train_batch *b, const hkd_edm_objective *o, const hkd_config *c, int64_t i, uint32_t index) {
    const hkd_augment a = hkd_augment_draw(o->augment, o->seed, index);
    double *y = b->target + i * b->size;
    hkd_augment_label(b->augment_labels + i * HKD_AUGMENT_LABELS, &a);
    return hkd_augment_apply(y, y, c->img_channels, c->img_resolution, c->img_resolution, &a);
}

typedef struct {
    const hkd_edm_objective *o;
    const hkd_config *c;
    hkd_train_batch *b;
    int64_t first;
} filling;

/* Picture i is mirrored, gets its noise level and its noise. */
static void add_noise(void *self, int64_t i) {
    const filling *f = self;
    const hkd_train_batch *b = f->b;
    const uint32_t index = (uint32_t)(f->first + i);
    const uint64_t seed = f->o->seed;
    const hkd_stream level = {seed, HKD_FOR_NOISE_LEVEL, index, 0}, noise = {seed, HKD_FOR_TRAIN_NOISE, index, 0};
    const hkd_stream flip = {seed, HKD_FOR_AUGMENT, index, 0};
    double *x = b->x + i * b->size, *y = b->target + i * b->size;
    if (f->o->xflip && hkd_random_word(&flip, 0) >> 31) mirror(y, f->c);
    b->sigma[i] = (double)(float)hkd_exp(f->o->p_mean + f->o->p_std * hkd_random_normal(&level, 0));
    hkd_random_normals(x, 0, b->size, &noise);
    for (int64_t k = 0; k < b->size; k++) x[k] = y[k] + b->sigma[i] * x[k];
    b->weight[i] = 1 / (double)b->n;
    b->dt[i] = 0;
}

hkd_status hkd_edm_fill(const hkd_edm_objective *o, const hkd_config *c, hkd_train_batch *b, int64_t first,
                        const hkd_device *dev) {
    filling f = {o, c, b, first};
    for (int64_t i = 0; i < b->n; i++) {
        double *y = b->target + i * b->size;
        int label = -1;
        hkd_status status = o->images->get(o->images, hkd_shuffled(o->images->count, first + i, o->seed), y, &label);
        if (!status) status = set_label(b, c, i, label);
        if (!status && o->augment > 0) status = augment(b, o, c, i, (uint32_t)(first + i));
        if (status) return status;
    }
    hkd_each(dev, b->n, add_noise, &f);
    return HKD_OK;
}

static hkd_status prepare(const hkd_hkd_objective *o, int64_t first, int64_t n) {
    const hkd_trajectories *t = o->trajectories;
    if (!t->prepare) return HKD_OK;
    int64_t *index = malloc((size_t)n * sizeof *index + 1);
    if (!index) return hkd_fail(HKD_RESOURCES, "out of memory for a batch of %lld", (long long)n);
    for (int64_t i = 0; i < n; i++) index[i] = hkd_shuffled(t->count, first + i, o->seed);
    const hkd_status status = t->prepare(t, index, n);
    free(index);
    return status;
}

hkd_status hkd_hkd_fill(const hkd_hkd_objective *o, const hkd_config *c, hkd_train_batch *b, int64_t first) {
    const hkd_trajectories *t = o->trajectories;
    const int64_t per = 1 + o->times, images = b->n / per;
    const hkd_status ready = prepare(o, first, images);
    if (ready) return ready;
    for (int64_t i = 0; i < b->n; i++) {
        const int64_t k = i % per, run = first + i / per, index = hkd_shuffled(t->count, run, o->seed);
        const hkd_stream draw = {o->seed, HKD_FOR_NOISE_LEVEL, (uint32_t)run, 0};
        const int state = k ? 1 + (int)hkd_random_below(&draw, (uint64_t)k, (uint64_t)t->states - 2) : 0;
        int label = -1;
        hkd_status status = t->get(t, index, state, b->x + i * b->size);
        if (!status) status = t->get(t, index, t->states - 1, b->target + i * b->size);
        if (!status && c->label_dim) status = t->label(t, index, &label);
        if (!status) status = set_label(b, c, i, label);
        if (status) return status;
        b->sigma[i] = (double)(float)t->sigma[state];
        b->dt[i] = hkd_dt_to_end(c, t->sigma[state]);
        b->weight[i] = 1 / (double)images;
        if (k && !o->sum_times) b->weight[i] /= o->times;
    }
    return HKD_OK;
}
