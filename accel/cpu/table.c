#include "cpu.h"

/* convolution and linear */
extern const hkd_cpu_op HKD_CPU(conv2d);
extern const hkd_cpu_op HKD_CPU(linear);
/* resampling and pooling */
extern const hkd_cpu_op HKD_CPU(resample2d);
extern const hkd_cpu_op HKD_CPU(haar2d);
extern const hkd_cpu_op HKD_CPU(max_pool2d);
extern const hkd_cpu_op HKD_CPU(avg_pool2d);
extern const hkd_cpu_op HKD_CPU(resize_bilinear);
/* normalisation */
extern const hkd_cpu_op HKD_CPU(group_norm);
extern const hkd_cpu_op HKD_CPU(batch_norm);
extern const hkd_cpu_op HKD_CPU(channel_norm);
/* activations and attention */
extern const hkd_cpu_op HKD_CPU(relu);
extern const hkd_cpu_op HKD_CPU(silu);
extern const hkd_cpu_op HKD_CPU(gelu);
extern const hkd_cpu_op HKD_CPU(softmax);
extern const hkd_cpu_op HKD_CPU(attention);
/* arrangement */
extern const hkd_cpu_op HKD_CPU(add);
extern const hkd_cpu_op HKD_CPU(scale);
extern const hkd_cpu_op HKD_CPU(add_channel);
extern const hkd_cpu_op HKD_CPU(concat);
/* dropout and random numbers */
extern const hkd_cpu_op HKD_CPU(dropout);
extern const hkd_cpu_op HKD_CPU(random_normal);
/* embeddings */
extern const hkd_cpu_op HKD_CPU(positional_embedding);
extern const hkd_cpu_op HKD_CPU(fourier_embedding);
/* the method */
extern const hkd_cpu_op HKD_CPU(precond_in);
extern const hkd_cpu_op HKD_CPU(precond_noise);
extern const hkd_cpu_op HKD_CPU(precond_out);
extern const hkd_cpu_op HKD_CPU(koopman_evolve);
/* losses */
extern const hkd_cpu_op HKD_CPU(mse_loss);
extern const hkd_cpu_op HKD_CPU(edm_loss);
extern const hkd_cpu_op HKD_CPU(pseudo_huber_loss);
extern const hkd_cpu_op HKD_CPU(l2_norm_loss);
/* optimisers */
extern const hkd_cpu_op HKD_CPU(adam);
extern const hkd_cpu_op HKD_CPU(radam);
extern const hkd_cpu_op HKD_CPU(ema);
extern const hkd_cpu_op HKD_CPU(sum_squares);

/* fused rows */
extern const hkd_cpu_op HKD_CPU(group_norm_silu);
extern const hkd_cpu_op HKD_CPU(conv2d_add_channel);
extern const hkd_cpu_op HKD_CPU(conv2d_add_scale);
extern const hkd_cpu_op HKD_CPU(adam_ema);
extern const hkd_cpu_op HKD_CPU(radam_ema);

extern const hkd_cpu_op *const HKD_CPU(table)[];
const hkd_cpu_op *const HKD_CPU(table)[] = {
    /* convolution and linear */
    &HKD_CPU(conv2d),
    &HKD_CPU(linear),
    /* resampling and pooling */
    &HKD_CPU(resample2d),
    &HKD_CPU(haar2d),
    &HKD_CPU(max_pool2d),
    &HKD_CPU(avg_pool2d),
    &HKD_CPU(resize_bilinear),
    /* normalisation */
    &HKD_CPU(group_norm),
    &HKD_CPU(batch_norm),
    &HKD_CPU(channel_norm),
    /* activations and attention */
    &HKD_CPU(relu),
    &HKD_CPU(silu),
    &HKD_CPU(gelu),
    &HKD_CPU(softmax),
    &HKD_CPU(attention),
    /* arrangement */
    &HKD_CPU(add),
    &HKD_CPU(scale),
    &HKD_CPU(add_channel),
    &HKD_CPU(concat),
    /* dropout and random numbers */
    &HKD_CPU(dropout),
    &HKD_CPU(random_normal),
    /* embeddings */
    &HKD_CPU(positional_embedding),
    &HKD_CPU(fourier_embedding),
    /* the method */
    &HKD_CPU(precond_in),
    &HKD_CPU(precond_noise),
    &HKD_CPU(precond_out),
    &HKD_CPU(koopman_evolve),
    /* losses */
    &HKD_CPU(mse_loss),
    &HKD_CPU(edm_loss),
    &HKD_CPU(pseudo_huber_loss),
    &HKD_CPU(l2_norm_loss),
    /* optimisers */
    &HKD_CPU(adam),
    &HKD_CPU(radam),
    &HKD_CPU(ema),
    &HKD_CPU(sum_squares),
    /* fused rows */
    &HKD_CPU(group_norm_silu),
    &HKD_CPU(conv2d_add_channel),
    &HKD_CPU(conv2d_add_scale),
    &HKD_CPU(adam_ema),
    &HKD_CPU(radam_ema),
    NULL,
};
