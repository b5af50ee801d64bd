#include "op.h"

/* convolution and linear */
extern const hkd_op hkd_op_conv2d;
extern const hkd_op hkd_op_linear;
/* resampling and pooling */
extern const hkd_op hkd_op_resample2d;
extern const hkd_op hkd_op_haar2d;
extern const hkd_op hkd_op_max_pool2d;
extern const hkd_op hkd_op_avg_pool2d;
extern const hkd_op hkd_op_resize_bilinear;
/* normalisation */
extern const hkd_op hkd_op_group_norm;
extern const hkd_op hkd_op_batch_norm;
extern const hkd_op hkd_op_channel_norm;
/* activations and attention */
extern const hkd_op hkd_op_relu;
extern const hkd_op hkd_op_silu;
extern const hkd_op hkd_op_gelu;
extern const hkd_op hkd_op_softmax;
extern const hkd_op hkd_op_attention;
/* arrangement */
extern const hkd_op hkd_op_add;
extern const hkd_op hkd_op_scale;
extern const hkd_op hkd_op_add_channel;
extern const hkd_op hkd_op_concat;
/* dropout and random numbers */
extern const hkd_op hkd_op_dropout;
extern const hkd_op hkd_op_random_normal;
/* embeddings */
extern const hkd_op hkd_op_positional_embedding;
extern const hkd_op hkd_op_fourier_embedding;
/* the method */
extern const hkd_op hkd_op_precond_in;
extern const hkd_op hkd_op_precond_noise;
extern const hkd_op hkd_op_precond_out;
extern const hkd_op hkd_op_koopman_evolve;
/* losses */
extern const hkd_op hkd_op_mse_loss;
extern const hkd_op hkd_op_edm_loss;
extern const hkd_op hkd_op_pseudo_huber_loss;
extern const hkd_op hkd_op_l2_norm_loss;
/* optimisers */
extern const hkd_op hkd_op_adam;
extern const hkd_op hkd_op_radam;
extern const hkd_op hkd_op_ema;
extern const hkd_op hkd_op_sum_squares;

const hkd_op *const hkd_op_table[] = {
    /* convolution and linear */
    &hkd_op_conv2d,
    &hkd_op_linear,
    /* resampling and pooling */
    &hkd_op_resample2d,
    &hkd_op_haar2d,
    &hkd_op_max_pool2d,
    &hkd_op_avg_pool2d,
    &hkd_op_resize_bilinear,
    /* normalisation */
    &hkd_op_group_norm,
    &hkd_op_batch_norm,
    &hkd_op_channel_norm,
    /* activations and attention */
    &hkd_op_relu,
    &hkd_op_silu,
    &hkd_op_gelu,
    &hkd_op_softmax,
    &hkd_op_attention,
    /* arrangement */
    &hkd_op_add,
    &hkd_op_scale,
    &hkd_op_add_channel,
    &hkd_op_concat,
    /* dropout and random numbers */
    &hkd_op_dropout,
    &hkd_op_random_normal,
    /* embeddings */
    &hkd_op_positional_embedding,
    &hkd_op_fourier_embedding,
    /* the method */
    &hkd_op_precond_in,
    &hkd_op_precond_noise,
    &hkd_op_precond_out,
    &hkd_op_koopman_evolve,
    /* losses */
    &hkd_op_mse_loss,
    &hkd_op_edm_loss,
    &hkd_op_pseudo_huber_loss,
    &hkd_op_l2_norm_loss,
    /* optimisers */
    &hkd_op_adam,
    &hkd_op_radam,
    &hkd_op_ema,
    &hkd_op_sum_squares,
    NULL,
};
