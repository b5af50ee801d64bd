/* The model as a program: encoder, time, decoder. What runs it is in model_run.c. */
#include "model.h"

#include <stdio.h>

const char *hkd_model_operator(const hkd_config *c, int latent, char *name, size_t size) {
    hkd_shape shape[HKD_MAX_LATENTS];
    const int skips = hkd_unet_latent_shapes(c, shape);
    const bool bottleneck = latent == skips;
    if (!c->is_hkd || c->hierarchy == HKD_HIERARCHY_NONE) return NULL;
    if (c->hierarchy == HKD_HIERARCHY_BOTTLENECK && !bottleneck) return NULL;
    const int level = bottleneck ? skips - 1 : latent;
    if (c->hierarchy == HKD_HIERARCHY_SHARED) snprintf(name, size, "koopman.shared_%d", (int)shape[level].dim[0]);
    else if (bottleneck && !(c->tie_bottleneck && c->hierarchy == HKD_HIERARCHY_FULL))
        snprintf(name, size, "koopman.bottleneck");
    else snprintf(name, size, "koopman.%d", level);
    return name;
}

static hkd_var evolve(hkd_net *net, hkd_var z, int latent, hkd_var dt) {
    char name[64];
    if (net->p->status || !hkd_model_operator(net->config, latent, name, sizeof name)) return z;
    hkd_shape a = *hkd_var_shape(net->p, z);
    a = net->config->hierarchy == HKD_HIERARCHY_SHARED ? hkd_shape_of(3, a.dim[1], (int64_t)1, (int64_t)1)
                                                       : hkd_shape_of(3, a.dim[1], a.dim[2], a.dim[3]);
    return hkd_apply(net->p, "koopman_evolve", NULL, 3, z, hkd_weight_var(net->p, name, a, true), dt);
}

static hkd_var latent(const hkd_latents *z, int i) { return i < z->count ? z->skip[i] : z->bottleneck; }

static void set_latent(hkd_latents *z, int i, hkd_var v) {
    if (i < z->count) z->skip[i] = v;
    else z->bottleneck = v;
}

const char *hkd_latent_name(char *out, size_t size, const char *prefix, int i, int skips) {
    if (i < skips) snprintf(out, size, "%s.%d", prefix, i);
    else snprintf(out, size, "%s.bottleneck", prefix);
    return out;
}

static void evolve_all(hkd_net *net, hkd_latents *z, hkd_var dt) {
    char name[64];
    for (int i = 0; i <= z->count; i++) {
        const hkd_var moved = evolve(net, latent(z, i), i, dt);
        if (moved != latent(z, i)) hkd_name(net->p, moved, hkd_latent_name(name, sizeof name, "evolved", i, z->count));
        set_latent(z, i, moved);
    }
}

static double *precond(const hkd_config *c, double *p) {
    p[0] = c->precond;
    p[1] = c->sigma_data;
    return p;
}

static hkd_var embedding(hkd_net *net, const hkd_model_inputs *in, hkd_var sigma) {
    double p[2];
    const hkd_var c_noise = hkd_apply(net->p, "precond_noise", precond(net->config, p), 1, sigma);
    return hkd_unet_embedding(net, c_noise, in->class_labels, in->augment_labels);
}

static void encode(hkd_net *net, hkd_latents *z, const hkd_model_inputs *in, hkd_var emb) {
    double p[2];
    const hkd_var scaled = hkd_apply(net->p, "precond_in", precond(net->config, p), 2, in->x, in->sigma);
    hkd_unet_encode(net, z, scaled, emb);
}

static hkd_var decode(hkd_net *net, const hkd_latents *z, const hkd_model_inputs *in, hkd_var emb, hkd_var *f) {
    double p[2];
    *f = hkd_unet_decode(net, z, emb);
    return hkd_apply(net->p, "precond_out", precond(net->config, p), 3, in->x, *f, in->sigma);
}

hkd_model_inputs hkd_model_record_inputs(hkd_net *net, const hkd_model_options *o) {
    const hkd_config *c = net->config;
    const int64_t n = o->n, res = c->img_resolution;
    const bool moves = c->is_hkd && o->run != HKD_RUN_ENCODE;
    hkd_model_inputs in = {
        .x = hkd_input(net->p, "x", hkd_shape_of(4, n, (int64_t)c->img_channels, res, res)),
        .sigma = hkd_input(net->p, "sigma", hkd_shape_of(1, n)),
        .class_labels = HKD_NO_VAR, .augment_labels = HKD_NO_VAR, .dt = HKD_NO_VAR, .decoder_sigma = HKD_NO_VAR,
    };
    if (c->label_dim) in.class_labels = hkd_input(net->p, "class_labels", hkd_shape_of(2, n, (int64_t)c->label_dim));
    if (o->augment) in.augment_labels = hkd_input(net->p, "augment_labels", hkd_shape_of(2, n, (int64_t)c->augment_dim));
    if (moves) in.dt = hkd_input(net->p, "dt", hkd_shape_of(1, n));
    if (moves) in.decoder_sigma = hkd_input(net->p, "decoder_sigma", hkd_shape_of(1, n));
    return in;
}

hkd_var hkd_model_record(hkd_net *net, const hkd_model_inputs *in, hkd_var *f) {
    hkd_latents z;
    hkd_var emb = embedding(net, in, in->sigma);
    encode(net, &z, in, emb);
    if (net->config->is_hkd) {
        char name[64];
        for (int i = 0; i <= z.count; i++) hkd_name(net->p, latent(&z, i), hkd_latent_name(name, sizeof name, "z", i, z.count));
        evolve_all(net, &z, in->dt);
        emb = embedding(net, in, in->decoder_sigma);
    }
    return decode(net, &z, in, emb, f);
}

/* Latents as inputs of their own, for a decoder that runs alone. */
static hkd_latents input_latents(hkd_net *net, int64_t n) {
    hkd_shape shape[HKD_MAX_LATENTS];
    hkd_latents z = {.count = hkd_unet_latent_shapes(net->config, shape)};
    char name[64];
    for (int i = 0; i <= z.count; i++) {
        const int64_t *d = shape[i < z.count ? i : z.count - 1].dim;
        hkd_latent_name(name, sizeof name, "z", i, z.count);
        set_latent(&z, i, hkd_input(net->p, name, hkd_shape_of(4, n, d[0], d[1], d[2])));
    }
    return z;
}

hkd_program *hkd_model_program(const hkd_config *c, const hkd_model_options *o) {
    hkd_net net = {.p = hkd_program_new(), .config = c, .training = o->training};
    if (!net.p) return NULL;
    const hkd_model_inputs in = hkd_model_record_inputs(&net, o);
    hkd_var d = HKD_NO_VAR, f = HKD_NO_VAR;
    char name[64];
    if (o->run == HKD_RUN_WHOLE) {
        d = hkd_model_record(&net, &in, &f);
    } else if (o->run == HKD_RUN_ENCODE) {
        hkd_latents z;
        encode(&net, &z, &in, embedding(&net, &in, in.sigma));
        for (int i = 0; i < z.count; i++) hkd_output(net.p, z.skip[i], hkd_latent_name(name, sizeof name, "z", i, z.count));
        return net.p; /* the bottleneck is the last skip */
    } else {
        hkd_latents z = input_latents(&net, o->n);
        if (c->is_hkd) evolve_all(&net, &z, in.dt);
        d = decode(&net, &z, &in, embedding(&net, &in, c->is_hkd ? in.decoder_sigma : in.sigma), &f);
    }
    hkd_output(net.p, f, "f");
    hkd_output(net.p, d, "d");
    return net.p;
}
