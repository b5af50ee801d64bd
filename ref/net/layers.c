#include "layers.h"

#include <math.h>
#include <stdio.h>

enum { NAME = 128 };

static int64_t width_of(const hkd_net *net, hkd_var v) { return net->p->status ? 1 : hkd_var_shape(net->p, v)->dim[1]; }

/* model.NAME.PART */
static hkd_var weight(hkd_net *net, const char *name, const char *part, hkd_shape shape) {
    char full[NAME + 32];
    snprintf(full, sizeof full, "model.%s.%s", name, part);
    return hkd_weight_var(net->p, full, shape, true);
}

hkd_var hkd_layer_linear(hkd_net *net, hkd_var x, const char *name, int64_t width, bool bias) {
    const hkd_var w = weight(net, name, "weight", hkd_shape_of(2, width, width_of(net, x)));
    const hkd_var b = bias ? weight(net, name, "bias", hkd_shape_of(1, width)) : HKD_NO_VAR;
    const hkd_var y = hkd_apply(net->p, "linear", NULL, 3, x, w, b);
    hkd_name(net->p, y, name);
    return y;
}

hkd_var hkd_layer_conv(hkd_net *net, hkd_var x, const char *name, int64_t channels, int64_t kernel) {
    const double pad = (double)(kernel / 2);
    const hkd_var w = weight(net, name, "weight", hkd_shape_of(4, channels, width_of(net, x), kernel, kernel));
    const hkd_var b = weight(net, name, "bias", hkd_shape_of(1, channels));
    const hkd_var y = hkd_apply(net->p, "conv2d", (double[]){1, pad, pad, 1}, 3, x, w, b);
    hkd_name(net->p, y, name);
    return y;
}

hkd_var hkd_layer_norm(hkd_net *net, hkd_var x, const char *name) {
    const int64_t channels = width_of(net, x), groups = channels / 4 < 32 ? channels / 4 : 32;
    const hkd_var gamma = weight(net, name, "weight", hkd_shape_of(1, channels));
    const hkd_var beta = weight(net, name, "bias", hkd_shape_of(1, channels));
    const hkd_var y = hkd_apply(net->p, "group_norm", (double[]){(double)groups, 1e-6}, 3, x, gamma, beta);
    hkd_name(net->p, y, name);
    return y;
}

hkd_var hkd_layer_silu(hkd_net *net, hkd_var x) { return hkd_apply(net->p, "silu", NULL, 1, x); }

hkd_var hkd_layer_add_scaled(hkd_net *net, hkd_var a, hkd_var b, double factor) {
    return hkd_apply(net->p, "scale", &factor, 1, hkd_apply(net->p, "add", NULL, 2, a, b));
}

static double taps(const hkd_net *net) { return net->config->arch == HKD_ARCH_NCSNPP ? 4 : 2; }

hkd_var hkd_layer_resample(hkd_net *net, hkd_var x, hkd_resample mode) {
    if (mode == HKD_KEEP) return x;
    return hkd_apply(net->p, "resample2d", (double[]){mode == HKD_UP, taps(net), taps(net) / 2 - 1}, 1, x);
}

hkd_var hkd_layer_conv_down(hkd_net *net, hkd_var x, const char *name, int64_t channels) {
    const double pad = 1 + taps(net) / 2 - 1; /* the convolution's own and the filter's */
    const hkd_var w = weight(net, name, "weight", hkd_shape_of(4, channels, width_of(net, x), (int64_t)3, (int64_t)3));
    const hkd_var b = weight(net, name, "bias", hkd_shape_of(1, channels));
    hkd_var y = hkd_apply(net->p, "conv2d", (double[]){1, pad, pad, 1}, 2, x, w);
    y = hkd_apply(net->p, "resample2d", (double[]){0, taps(net), 0}, 1, y);
    y = hkd_apply(net->p, "add_channel", NULL, 2, y, b);
    hkd_name(net->p, y, name);
    return y;
}

/* The only dropout of the network: between silu and conv1. Its stream is set when the plan runs (dropout's seed parameters). */
static hkd_var dropout(hkd_net *net, hkd_var x) {
    if (!net->training || !(net->config->dropout > 0)) return x;
    const hkd_op *op = hkd_find_op("dropout");
    double p[HKD_MAX_PARAM] = {0};
    p[hkd_op_param_index(op, "p")] = net->config->dropout;
    p[hkd_op_param_index(op, "draw")] = net->dropouts++;
    return hkd_apply(net->p, "dropout", p, 1, x);
}

static const char *inside(char *out, const char *block, const char *layer) {
    snprintf(out, NAME, "%s.%s", block, layer);
    return out;
}

static hkd_var attend(hkd_net *net, hkd_var x, const char *name) {
    char s[NAME];
    const int64_t channels = width_of(net, x);
    hkd_var h = hkd_layer_norm(net, x, inside(s, name, "norm2"));
    h = hkd_layer_conv(net, h, inside(s, name, "qkv"), 3 * channels, 1);
    h = hkd_apply(net->p, "attention", NULL, 1, h);
    h = hkd_layer_conv(net, h, inside(s, name, "proj"), channels, 1);
    return hkd_layer_add_scaled(net, h, x, sqrt(0.5));
}

hkd_var hkd_layer_block(hkd_net *net, hkd_var x, hkd_var emb, const char *name, int64_t channels, hkd_resample mode,
                        bool attention) {
    char s[NAME];
    hkd_var h = hkd_layer_silu(net, hkd_layer_norm(net, x, inside(s, name, "norm0")));
    h = hkd_layer_conv(net, hkd_layer_resample(net, h, mode), inside(s, name, "conv0"), channels, 3);
    h = hkd_apply(net->p, "add_channel", NULL, 2, h, hkd_layer_linear(net, emb, inside(s, name, "affine"), channels, true));
    h = hkd_layer_silu(net, hkd_layer_norm(net, h, inside(s, name, "norm1")));
    h = hkd_layer_conv(net, dropout(net, h), inside(s, name, "conv1"), channels, 3);
    hkd_var r = x;
    if (width_of(net, x) != channels || mode != HKD_KEEP)
        r = hkd_layer_conv(net, hkd_layer_resample(net, x, mode), inside(s, name, "skip"), channels, 1);
    h = hkd_layer_add_scaled(net, h, r, sqrt(0.5));
    if (attention) h = attend(net, h, name);
    hkd_name(net->p, h, name);
    return h;
}
