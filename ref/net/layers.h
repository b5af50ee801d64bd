/* layers.h - the layers of the U-Net, recorded into a program. Weights are named as in EDM's state dict. */
#ifndef HKD_LAYERS_H
#define HKD_LAYERS_H

#include "config.h"
#include "program.h"

/* What every layer needs to know while a network is recorded. */
typedef struct {
    hkd_program *p;
    const hkd_config *config;
    bool training;  /* dropout is recorded */
    int dropouts;   /* how many so far: each has a stream of its own */
} hkd_net;

typedef enum { HKD_KEEP, HKD_DOWN, HKD_UP } hkd_resample;

/* A layer's `name` is its place in the network ("enc.8x8_block0.conv0"); its weights are model.NAME.weight and .bias, and
 * its result carries NAME. Input widths follow from x. */
hkd_var hkd_layer_linear(hkd_net *net, hkd_var x, const char *name, int64_t width, bool bias);
hkd_var hkd_layer_conv(hkd_net *net, hkd_var x, const char *name, int64_t channels, int64_t kernel);
hkd_var hkd_layer_norm(hkd_net *net, hkd_var x, const char *name);
hkd_var hkd_layer_silu(hkd_net *net, hkd_var x);
hkd_var hkd_layer_add_scaled(hkd_net *net, hkd_var a, hkd_var b, double factor); /* (a + b) * factor */
/* FIR resampling by two, filter [1,1] (ddpmpp) or [1,3,3,1] (ncsnpp). */
hkd_var hkd_layer_resample(hkd_net *net, hkd_var x, hkd_resample mode);
/* 3x3 convolution, then the FIR filter with stride 2, as one padded whole (ncsnpp's aux_residual). */
hkd_var hkd_layer_conv_down(hkd_net *net, hkd_var x, const char *name, int64_t channels);
/* EDM's residual block with optional resampling and attention. */
hkd_var hkd_layer_block(hkd_net *net, hkd_var x, hkd_var emb, const char *name, int64_t channels, hkd_resample mode,
                        bool attention);

#endif
