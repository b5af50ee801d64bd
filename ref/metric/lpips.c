#include "lpips.h"

#include "feature_net.h"
#include "status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the classifiers, layer by layer ------------------------------------------------------------------------------------ */

typedef struct {
    enum { END, CONVOLUTION, FIRE, POOL } kind; /* the first two end with ReLU */
    int index;                                  /* features.INDEX */
    int64_t out, middle;                        /* width; of the squeeze layer of a fire module */
    int kernel, stride, pad, ceil;
    bool tap;
} layer;

#define CONV(index, out, kernel, stride, pad, tap) {CONVOLUTION, index, out, 0, kernel, stride, pad, 0, tap}
#define MODULE(index, middle, out, tap) {FIRE, index, out, middle, 0, 0, 0, 0, tap}
#define LAST {END, 0, 0, 0, 0, 0, 0, 0, false}
#define MAX(kernel, ceil) {POOL, 0, 0, 0, kernel, 2, 0, ceil, false}

static const layer squeeze[] = {
    CONV(0, 64, 3, 2, 0, true), MAX(3, 1), MODULE(3, 16, 128, false), MODULE(4, 16, 128, true), MAX(3, 1),
    MODULE(6, 32, 256, false), MODULE(7, 32, 256, true), MAX(3, 1), MODULE(9, 48, 384, true), MODULE(10, 48, 384, true),
    MODULE(11, 64, 512, true), MODULE(12, 64, 512, true), LAST,
};
static const layer alex[] = {
    CONV(0, 64, 11, 4, 2, true), MAX(3, 0), CONV(3, 192, 5, 1, 2, true), MAX(3, 0), CONV(6, 384, 3, 1, 1, true),
    CONV(8, 256, 3, 1, 1, true), CONV(10, 256, 3, 1, 1, true), LAST,
};
static const layer vgg[] = {
    CONV(0, 64, 3, 1, 1, false), CONV(2, 64, 3, 1, 1, true), MAX(2, 0), CONV(5, 128, 3, 1, 1, false),
    CONV(7, 128, 3, 1, 1, true), MAX(2, 0), CONV(10, 256, 3, 1, 1, false), CONV(12, 256, 3, 1, 1, false),
    CONV(14, 256, 3, 1, 1, true), MAX(2, 0), CONV(17, 512, 3, 1, 1, false), CONV(19, 512, 3, 1, 1, false),
    CONV(21, 512, 3, 1, 1, true), MAX(2, 0), CONV(24, 512, 3, 1, 1, false), CONV(26, 512, 3, 1, 1, false),
    CONV(28, 512, 3, 1, 1, true), LAST,
};
static const layer *const layers_of[] = {squeeze, alex, vgg};

const char *hkd_backbone_name(hkd_backbone backbone) { return (const char *const[]){"squeeze", "alex", "vgg"}[backbone]; }

/* ---- recording ---------------------------------------------------------------------------------------------------------- */

enum { MOST_TAPS = 7 };
static const char scale_name[] = HKD_CONSTANT "scale", shift_name[] = HKD_CONSTANT "shift";

/* Convolution and ReLU; `part` is "" or the name of a layer within a fire module. */
static hkd_var convolve(hkd_program *p, hkd_var x, int index, const char *part, int64_t width, int kernel, const double *conv) {
    char weight[64], bias[64];
    if (p->status) return HKD_NO_VAR;
    snprintf(weight, sizeof weight, "features.%d.%sweight", index, part);
    snprintf(bias, sizeof bias, "features.%d.%sbias", index, part);
    const hkd_shape shape = hkd_shape_of(4, width, hkd_var_shape(p, x)->dim[1], (int64_t)kernel, (int64_t)kernel);
    const hkd_var w = hkd_weight_var(p, weight, shape, false), b = hkd_weight_var(p, bias, hkd_shape_of(1, width), false);
    return hkd_apply(p, "relu", NULL, 1, hkd_apply(p, "conv2d", conv, 3, x, w, b));
}

static hkd_var fire(hkd_program *p, hkd_var x, const layer *l, int64_t narrower) {
    static const double point[] = {1, 0, 0, 1}, around[] = {1, 1, 1, 1};
    const int64_t half = l->out / 2 / narrower;
    const hkd_var h = convolve(p, x, l->index, "squeeze.", l->middle / narrower, 1, point);
    const hkd_var one = convolve(p, h, l->index, "expand1x1.", half, 1, point);
    return hkd_apply(p, "concat", NULL, 2, one, convolve(p, h, l->index, "expand3x3.", half, 3, around));
}

/* Each channel on its own: y = w x + b, a 1x1 convolution in as many groups. */
static hkd_var per_channel(hkd_program *p, hkd_var x, const char *weight, const char *bias) {
    if (p->status) return HKD_NO_VAR;
    const int64_t c = hkd_var_shape(p, x)->dim[1];
    const double groups[] = {1, 0, 0, (double)c};
    const hkd_var w = hkd_weight_var(p, weight, hkd_shape_of(4, c, (int64_t)1, (int64_t)1, (int64_t)1), false);
    return hkd_apply(p, "conv2d", groups, 3, x, w, bias ? hkd_weight_var(p, bias, hkd_shape_of(1, c), false) : HKD_NO_VAR);
}

/* sqrt(w) u at every tap; returns their number. */
static int record_taps(hkd_program *p, hkd_var *tap, hkd_backbone backbone, int64_t narrower, hkd_var x) {
    int taps = 0;
    hkd_var h = per_channel(p, x, scale_name, shift_name);
    for (const layer *l = layers_of[backbone]; l->kind != END; l++) {
        const double conv[] = {l->stride, l->pad, l->pad, 1}, pool[] = {l->kernel, l->stride, l->pad, l->ceil};
        if (l->kind == CONVOLUTION) h = convolve(p, h, l->index, "", l->out / narrower, l->kernel, conv);
        else if (l->kind == FIRE) h = fire(p, h, l, narrower);
        else h = hkd_apply(p, "max_pool2d", pool, 1, h);
        if (!l->tap) continue;
        char name[32];
        snprintf(name, sizeof name, "lin%d.weight", taps);
        tap[taps++] = per_channel(p, hkd_apply(p, "channel_norm", NULL, 1, h), name, NULL);
    }
    return taps;
}

static hkd_var record_distance(hkd_program *p, hkd_backbone backbone, int64_t narrower, hkd_var x, hkd_var y) {
    hkd_var a[MOST_TAPS], b[MOST_TAPS], sum = HKD_NO_VAR;
    const int taps = record_taps(p, a, backbone, narrower, x);
    record_taps(p, b, backbone, narrower, y);
    for (int i = 0; i < taps && !p->status; i++) {
        const double channels = (double)hkd_var_shape(p, a[i])->dim[1];
        const hkd_var l = hkd_apply(p, "scale", &channels, 1, hkd_apply(p, "mse_loss", NULL, 2, a[i], b[i]));
        sum = i ? hkd_apply(p, "add", NULL, 2, sum, l) : l;
    }
    return sum;
}

/* ---- a network with its weights ------------------------------------------------------------------------------------------ */

hkd_status hkd_lpips_new(hkd_lpips **out, hkd_backbone backbone, int64_t narrower, int64_t n, int64_t channels, int64_t h,
                         int64_t w, bool gradient, hkd_device *dev) {
    *out = NULL;
    hkd_lpips *net = calloc(1, sizeof *net);
    hkd_program *p = hkd_program_new();
    if (!net || !p) {
        hkd_program_free(p);
        free(net);
        return hkd_fail(HKD_RESOURCES, "out of memory for LPIPS");
    }
    *net = (hkd_lpips){.dev = dev, .n = n, .channels = channels, .h = h, .w = w, .gradient = gradient, .program = p};
    const hkd_var x = hkd_input(p, "x", hkd_shape_of(4, n, (int64_t)3, h, w));
    const hkd_var y = hkd_input(p, "y", hkd_shape_of(4, n, (int64_t)3, h, w));
    const hkd_var l = record_distance(p, backbone, narrower, x, y);
    if (gradient) hkd_want_grad(p, x), hkd_seed(p, l);
    hkd_output(p, l, "l");
    hkd_status status = hkd_program_status(p);
    if (status == HKD_USAGE) /* the only calls that can fail here are the pools, on what is left of a small picture */
        status = hkd_fail(HKD_USAGE, "LPIPS by %s: pictures of %lldx%lld are too small", hkd_backbone_name(backbone),
                          (long long)w, (long long)h);
    if (!status) status = hkd_weights_new(&net->weights, p, dev);
    if (!status) status = hkd_plan_new(&net->plan, p, net->weights, &(hkd_plan_options){.backward = gradient});
    if (status) hkd_lpips_free(net);
    else *out = net;
    return status;
}

void hkd_lpips_free(hkd_lpips *net) {
    if (!net) return;
    hkd_plan_free(net->plan);
    hkd_weights_free(net->weights);
    hkd_program_free(net->program);
    free(net);
}

static hkd_status take_roots(hkd_lpips *net, const hkd_weight *item) {
    const int64_t count = hkd_count(&item->value.shape);
    double *w = malloc((size_t)count * sizeof *w + 1);
    hkd_status status = w ? net->dev->download(net->dev, w, HKD_F64, &item->value)
                          : hkd_fail(HKD_RESOURCES, "out of memory for LPIPS");
    for (int64_t i = 0; i < count && !status; i++) {
        if (!(w[i] >= 0))
            status = hkd_fail(HKD_BAD_FILE, "LPIPS: %s has an element %g, expected none below 0", item->name, w[i]);
        else w[i] = sqrt(w[i]);
    }
    if (!status) status = net->dev->upload(net->dev, &item->value, w, HKD_F64);
    free(w);
    return status;
}

/* LPIPS' own scaling of values in [-1, 1], close to that of ImageNet. */
hkd_status hkd_lpips_prepare(hkd_lpips *net) {
    static const double mean[3] = {-0.030, -0.088, -0.188}, deviation[3] = {0.458, 0.448, 0.450};
    double scale[3], shift[3];
    for (int c = 0; c < 3; c++) scale[c] = 1 / deviation[c], shift[c] = -mean[c] / deviation[c];
    hkd_status status = net->dev->upload(net->dev, &hkd_weights_find(net->weights, scale_name)->value, scale, HKD_F64);
    if (!status) status = net->dev->upload(net->dev, &hkd_weights_find(net->weights, shift_name)->value, shift, HKD_F64);
    for (int i = 0; i < net->weights->count && !status; i++)
        if (!strncmp(net->weights->item[i].name, "lin", 3)) status = take_roots(net, &net->weights->item[i]);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

/* Pictures as RGB; what a batch has room for beyond n is black. room [net->n, 3, h, w]. */
static hkd_status put(hkd_lpips *net, const char *name, double *room, const double *values, int64_t n) {
    const int64_t area = net->h * net->w;
    for (int64_t i = 0; i < net->n; i++)
        for (int64_t c = 0; c < 3; c++) {
            double *to = room + (i * 3 + c) * area;
            const double *from = values + (i * net->channels + c % net->channels) * area;
            for (int64_t k = 0; k < area; k++) to[k] = i < n ? from[k] : 0;
        }
    return net->dev->upload(net->dev, hkd_plan_named(net->plan, name), room, HKD_F64);
}

/* Gradients of the three copies of a gray picture add up. */
static void take_gradient(const hkd_lpips *net, double *dx, const double *rgb, int64_t n) {
    const int64_t area = net->h * net->w;
    for (int64_t i = 0; i < n * net->channels * area; i++) dx[i] = 0;
    for (int64_t i = 0; i < n * 3 * area; i++) {
        const int64_t image = i / (3 * area), c = i / area % 3 % net->channels;
        dx[(image * net->channels + c) * area + i % area] += rgb[i];
    }
}

/* At most net->n pictures; dx NULL: the distance alone. */
static hkd_status run(hkd_lpips *net, double *l, double *dx, const double *x, const double *y, const double *weight,
                      int64_t n) {
    const hkd_var loss = hkd_find_var(net->program, "l"), input = hkd_find_var(net->program, "x");
    hkd_device *dev = net->dev;
    double *room = malloc((size_t)(net->n * 3 * net->h * net->w) * sizeof *room), *all = calloc((size_t)net->n, sizeof *all);
    hkd_status status = room && all ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for LPIPS");
    if (!status) status = put(net, "x", room, x, n);
    if (!status) status = put(net, "y", room, y, n);
    if (!status && dx) {
        memcpy(all, weight, (size_t)n * sizeof *all);
        status = dev->upload(dev, hkd_plan_grad(net->plan, loss), all, HKD_F64);
    }
    if (!status) status = hkd_plan_forward(net->plan);
    if (!status) status = dev->download(dev, all, HKD_F64, hkd_plan_tensor(net->plan, loss));
    if (!status) memcpy(l, all, (size_t)n * sizeof *l);
    if (!status && dx) status = hkd_plan_backward(net->plan);
    if (!status && dx) status = dev->download(dev, room, HKD_F64, hkd_plan_grad(net->plan, input));
    if (!status && dx) take_gradient(net, dx, room, n);
    free(all);
    free(room);
    return status;
}

static hkd_status in_batches(hkd_lpips *net, double *l, double *dx, const double *x, const double *y, const double *weight,
                             int64_t n) {
    const int64_t size = net->channels * net->h * net->w;
    hkd_status status = HKD_OK;
    for (int64_t at = 0; at < n && !status; at += net->n)
        status = run(net, l + at, dx ? dx + at * size : NULL, x + at * size, y + at * size, dx ? weight + at : NULL,
                     n - at < net->n ? n - at : net->n);
    return status;
}

static hkd_status check_range(const double *x, int64_t count) {
    const double most = 1 + 1e-6; /* float32's rounding of 1 after some arithmetic */
    for (int64_t i = 0; i < count; i++)
        if (!(x[i] >= -most && x[i] <= most))
            return hkd_fail(HKD_USAGE, "LPIPS: a value %g, expected pictures in [-1, 1]", x[i]);
    return HKD_OK;
}

hkd_status hkd_lpips_distance(hkd_lpips *net, double *l, const double *x, const double *y, int64_t n) {
    const int64_t count = n * net->channels * net->h * net->w;
    hkd_status status = check_range(x, count);
    if (!status) status = check_range(y, count);
    return status ? status : in_batches(net, l, NULL, x, y, NULL, n);
}

hkd_status hkd_lpips_gradient(hkd_lpips *net, double *l, double *dx, const double *x, const double *y, const double *weight,
                              int64_t n) {
    if (!net->gradient) return hkd_fail(HKD_USAGE, "LPIPS: this network was made without gradients");
    return in_batches(net, l, dx, x, y, weight, n);
}
