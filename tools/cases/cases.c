#include "test_vector.h"

/* convolution and linear */
extern const hkd_case_list hkd_cases_conv2d;
extern const hkd_case_list hkd_cases_linear;
/* resampling and pooling */
extern const hkd_case_list hkd_cases_resample2d;
extern const hkd_case_list hkd_cases_haar2d;
extern const hkd_case_list hkd_cases_max_pool2d;
extern const hkd_case_list hkd_cases_avg_pool2d;
extern const hkd_case_list hkd_cases_resize_bilinear;
/* normalisation */
extern const hkd_case_list hkd_cases_group_norm;
extern const hkd_case_list hkd_cases_batch_norm;
extern const hkd_case_list hkd_cases_channel_norm;
/* activations and attention */
extern const hkd_case_list hkd_cases_relu;
extern const hkd_case_list hkd_cases_silu;
extern const hkd_case_list hkd_cases_gelu;
extern const hkd_case_list hkd_cases_softmax;
extern const hkd_case_list hkd_cases_attention;
/* arrangement */
extern const hkd_case_list hkd_cases_add;
extern const hkd_case_list hkd_cases_scale;
extern const hkd_case_list hkd_cases_add_channel;
extern const hkd_case_list hkd_cases_concat;
/* dropout and random numbers */
extern const hkd_case_list hkd_cases_dropout;
extern const hkd_case_list hkd_cases_random_normal;
/* embeddings and preconditioning */
extern const hkd_case_list hkd_cases_positional_embedding;
extern const hkd_case_list hkd_cases_fourier_embedding;
extern const hkd_case_list hkd_cases_precond_in;
extern const hkd_case_list hkd_cases_precond_noise;
extern const hkd_case_list hkd_cases_precond_out;
/* the method */
extern const hkd_case_list hkd_cases_koopman_evolve;
/* losses */
extern const hkd_case_list hkd_cases_mse_loss;
extern const hkd_case_list hkd_cases_edm_loss;
extern const hkd_case_list hkd_cases_pseudo_huber_loss;
extern const hkd_case_list hkd_cases_l2_norm_loss;
extern const hkd_case_list hkd_cases_sum_squares;
/* optimisers */
extern const hkd_case_list hkd_cases_adam;
extern const hkd_case_list hkd_cases_radam;
extern const hkd_case_list hkd_cases_ema;

const hkd_case_list *const hkd_case_lists[] = {
    /* convolution and linear */
    &hkd_cases_conv2d,
    &hkd_cases_linear,
    /* resampling and pooling */
    &hkd_cases_resample2d,
    &hkd_cases_haar2d,
    &hkd_cases_max_pool2d,
    &hkd_cases_avg_pool2d,
    &hkd_cases_resize_bilinear,
    /* normalisation */
    &hkd_cases_group_norm,
    &hkd_cases_batch_norm,
    &hkd_cases_channel_norm,
    /* activations and attention */
    &hkd_cases_relu,
    &hkd_cases_silu,
    &hkd_cases_gelu,
    &hkd_cases_softmax,
    &hkd_cases_attention,
    /* arrangement */
    &hkd_cases_add,
    &hkd_cases_scale,
    &hkd_cases_add_channel,
    &hkd_cases_concat,
    /* dropout and random numbers */
    &hkd_cases_dropout,
    &hkd_cases_random_normal,
    /* embeddings and preconditioning */
    &hkd_cases_positional_embedding,
    &hkd_cases_fourier_embedding,
    &hkd_cases_precond_in,
    &hkd_cases_precond_noise,
    &hkd_cases_precond_out,
    /* the method */
    &hkd_cases_koopman_evolve,
    /* losses */
    &hkd_cases_mse_loss,
    &hkd_cases_edm_loss,
    &hkd_cases_pseudo_huber_loss,
    &hkd_cases_l2_norm_loss,
    &hkd_cases_sum_squares,
    /* optimisers */
    &hkd_cases_adam,
    &hkd_cases_radam,
    &hkd_cases_ema,
    NULL,
};
