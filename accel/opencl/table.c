#include "opencl.h"

/* convolution and linear */
extern const hkd_cl_op hkd_cl_conv2d;
extern const hkd_cl_op hkd_cl_conv2d_add_channel;
extern const hkd_cl_op hkd_cl_conv2d_add_scale;
extern const hkd_cl_op hkd_cl_linear;
/* resampling and pooling */
extern const hkd_cl_op hkd_cl_resample2d;
extern const hkd_cl_op hkd_cl_haar2d;
extern const hkd_cl_op hkd_cl_max_pool2d;
extern const hkd_cl_op hkd_cl_avg_pool2d;
extern const hkd_cl_op hkd_cl_resize_bilinear;
/* normalisation */
extern const hkd_cl_op hkd_cl_group_norm;
extern const hkd_cl_op hkd_cl_group_norm_silu;
extern const hkd_cl_op hkd_cl_batch_norm;
extern const hkd_cl_op hkd_cl_channel_norm;
/* activations and attention */
extern const hkd_cl_op hkd_cl_relu;
extern const hkd_cl_op hkd_cl_silu;
extern const hkd_cl_op hkd_cl_gelu;
extern const hkd_cl_op hkd_cl_softmax;
extern const hkd_cl_op hkd_cl_attention;
/* arrangement */
extern const hkd_cl_op hkd_cl_add;
extern const hkd_cl_op hkd_cl_scale;
extern const hkd_cl_op hkd_cl_add_channel;
extern const hkd_cl_op hkd_cl_concat;
/* dropout and random numbers */
extern const hkd_cl_op hkd_cl_dropout;
extern const hkd_cl_op hkd_cl_random_normal;
/* embeddings */
extern const hkd_cl_op hkd_cl_positional_embedding;
extern const hkd_cl_op hkd_cl_fourier_embedding;
/* the method */
extern const hkd_cl_op hkd_cl_precond_in;
extern const hkd_cl_op hkd_cl_precond_noise;
extern const hkd_cl_op hkd_cl_precond_out;
extern const hkd_cl_op hkd_cl_koopman_evolve;
/* losses */
extern const hkd_cl_op hkd_cl_mse_loss;
extern const hkd_cl_op hkd_cl_edm_loss;
extern const hkd_cl_op hkd_cl_pseudo_huber_loss;
extern const hkd_cl_op hkd_cl_l2_norm_loss;
/* optimisers */
extern const hkd_cl_op hkd_cl_adam;
extern const hkd_cl_op hkd_cl_radam;
extern const hkd_cl_op hkd_cl_ema;
extern const hkd_cl_op hkd_cl_sum_squares;

const hkd_cl_op *const hkd_cl_table[] = {
    /* convolution and linear */
    &hkd_cl_conv2d,
    &hkd_cl_conv2d_add_channel,
    &hkd_cl_conv2d_add_scale,
    &hkd_cl_linear,
    /* resampling and pooling */
    &hkd_cl_resample2d,
    &hkd_cl_haar2d,
    &hkd_cl_max_pool2d,
    &hkd_cl_avg_pool2d,
    &hkd_cl_resize_bilinear,
    /* normalisation */
    &hkd_cl_group_norm,
    &hkd_cl_group_norm_silu,
    &hkd_cl_batch_norm,
    &hkd_cl_channel_norm,
    /* activations and attention */
    &hkd_cl_relu,
    &hkd_cl_silu,
    &hkd_cl_gelu,
    &hkd_cl_softmax,
    &hkd_cl_attention,
    /* arrangement */
    &hkd_cl_add,
    &hkd_cl_scale,
    &hkd_cl_add_channel,
    &hkd_cl_concat,
    /* dropout and random numbers */
    &hkd_cl_dropout,
    &hkd_cl_random_normal,
    /* embeddings */
    &hkd_cl_positional_embedding,
    &hkd_cl_fourier_embedding,
    /* the method */
    &hkd_cl_precond_in,
    &hkd_cl_precond_noise,
    &hkd_cl_precond_out,
    &hkd_cl_koopman_evolve,
    /* losses */
    &hkd_cl_mse_loss,
    &hkd_cl_edm_loss,
    &hkd_cl_pseudo_huber_loss,
    &hkd_cl_l2_norm_loss,
    /* optimisers */
    &hkd_cl_adam,
    &hkd_cl_radam,
    &hkd_cl_ema,
    &hkd_cl_sum_squares,
    NULL,
};
