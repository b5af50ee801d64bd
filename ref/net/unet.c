#include "unet.h"

#include <math.h>
#include <stdio.h>

enum { NAME = 64 };

static int resolution(const hkd_config *c, int level) { return c->img_resolution >> level; }

static int64_t width(const hkd_config *c, int level) { return (int64_t)c->model_channels * c->channel_mult[level]; }

static bool attends(const hkd_config *c, int level) {
    for (int i = 0; i < c->attn_count; i++)
        if (c->attn_resolutions[i] == resolution(c, level)) return true;
    return false;
}

/* "enc.16x16_block2" */
static const char *place(char *out, const char *half, int res, const char *what, int number) {
    if (number < 0) snprintf(out, NAME, "%s.%dx%d_%s", half, res, res, what);
    else snprintf(out, NAME, "%s.%dx%d_%s%d", half, res, res, what, number);
    return out;
}

hkd_var hkd_unet_embedding(hkd_net *net, hkd_var c_noise, hkd_var class_labels, hkd_var augment_labels) {
    const hkd_config *c = net->config;
    const int64_t channels = c->model_channels, emb_width = channels * c->channel_mult_emb;
    hkd_var e;
    if (c->arch == HKD_ARCH_NCSNPP) {
        const hkd_var freqs = hkd_weight_var(net->p, "model.map_noise.freqs", hkd_shape_of(1, channels), false);
        e = hkd_apply(net->p, "fourier_embedding", (double[]){1}, 2, c_noise, freqs);
    } else {
        e = hkd_apply(net->p, "positional_embedding", (double[]){(double)channels, 10000, 1, 1}, 1, c_noise);
    }
    const int64_t noise_width = c->arch == HKD_ARCH_NCSNPP ? 2 * channels : channels;
    if (c->label_dim) {
        const double root = sqrt((double)c->label_dim);
        const hkd_var labels = hkd_apply(net->p, "scale", &root, 1, class_labels);
        e = hkd_apply(net->p, "add", NULL, 2, e, hkd_layer_linear(net, labels, "map_label", noise_width, true));
    }
    if (c->augment_dim && augment_labels != HKD_NO_VAR)
        e = hkd_apply(net->p, "add", NULL, 2, e, hkd_layer_linear(net, augment_labels, "map_augment", noise_width, false));
    e = hkd_layer_silu(net, hkd_layer_linear(net, e, "map_layer0", emb_width, true));
    return hkd_layer_silu(net, hkd_layer_linear(net, e, "map_layer1", emb_width, true));
}

static void push(hkd_latents *z, hkd_var v) { z->skip[z->count++] = v; }

void hkd_unet_encode(hkd_net *net, hkd_latents *out, hkd_var x, hkd_var emb) {
    const hkd_config *c = net->config;
    char name[NAME];
    hkd_var aux = x;
    out->count = 0;
    for (int level = 0; level < c->levels; level++) {
        const int res = resolution(c, level);
        if (level == 0) {
            x = hkd_layer_conv(net, x, place(name, "enc", res, "conv", -1), c->model_channels, 3);
        } else {
            const int64_t below = width(c, level - 1);
            x = hkd_layer_block(net, x, emb, place(name, "enc", res, "down", -1), below, HKD_DOWN, false);
            if (c->arch == HKD_ARCH_NCSNPP) { /* the picture itself comes down beside the features */
                aux = hkd_layer_conv_down(net, aux, place(name, "enc", res, "aux_residual", -1), below);
                x = aux = hkd_layer_add_scaled(net, x, aux, sqrt(0.5));
            }
        }
        push(out, x);
        for (int i = 0; i < c->num_blocks; i++) {
            x = hkd_layer_block(net, x, emb, place(name, "enc", res, "block", i), width(c, level), HKD_KEEP, attends(c, level));
            push(out, x);
        }
    }
    out->bottleneck = x;
}

hkd_var hkd_unet_decode(hkd_net *net, const hkd_latents *z, hkd_var emb) {
    const hkd_config *c = net->config;
    char name[NAME];
    hkd_var x = z->bottleneck;
    int top = z->count;
    for (int level = c->levels - 1; level >= 0; level--) {
        const int res = resolution(c, level);
        if (level == c->levels - 1) {
            x = hkd_layer_block(net, x, emb, place(name, "dec", res, "in", 0), width(c, level), HKD_KEEP, true);
            x = hkd_layer_block(net, x, emb, place(name, "dec", res, "in", 1), width(c, level), HKD_KEEP, false);
        } else {
            x = hkd_layer_block(net, x, emb, place(name, "dec", res, "up", -1), width(c, level + 1), HKD_UP, false);
        }
        for (int i = 0; i <= c->num_blocks; i++) {
            x = hkd_apply(net->p, "concat", NULL, 2, x, z->skip[--top]);
            x = hkd_layer_block(net, x, emb, place(name, "dec", res, "block", i), width(c, level), HKD_KEEP,
                                attends(c, level) && i == c->num_blocks);
        }
    }
    const int res = resolution(c, 0);
    x = hkd_layer_silu(net, hkd_layer_norm(net, x, place(name, "dec", res, "aux_norm", -1)));
    const int64_t channels = c->img_channels * (c->precond == HKD_PRECOND_IDDPM ? 2 : 1);
    return hkd_layer_conv(net, x, place(name, "dec", res, "aux_conv", -1), channels, 3);
}

int hkd_unet_latent_shapes(const hkd_config *c, hkd_shape *shape) {
    int count = 0;
    for (int level = 0; level < c->levels; level++) {
        const int64_t res = resolution(c, level), first = level ? width(c, level - 1) : c->model_channels;
        shape[count++] = hkd_shape_of(3, first, res, res);
        for (int i = 0; i < c->num_blocks; i++) shape[count++] = hkd_shape_of(3, width(c, level), res, res);
    }
    return count;
}
