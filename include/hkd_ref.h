/* hkd_ref.h - the operators of Hierarchical Koopman Diffusion as plain C functions on double arrays.
 *
 * This is the ground truth of the project. Every function is pure: no allocation, no I/O, no globals, no failure.
 * Conventions, the same everywhere:
 *   - outputs come first, then inputs, then the dimensions; arrays are dense, row-major, never overlapping unless said so;
 *   - images are [N, C, H, W]; a shape stands in brackets beside each array;
 *   - hkd_ref_NAME        writes its outputs;
 *   - hkd_ref_NAME_grad   ACCUMULATES (+=) into every gradient pointer that is not NULL; `dy` is the upstream gradient;
 *   - hkd_ref_NAME_bound  writes, for every output and gradient pointer that is not NULL, the rounding error that a correct
 *                         float32 implementation may make there, in units of u = 2^-24 (DESIGN: first-order running error).
 *                         A float32 result r of the true value y is right when |r - y| <= u * bound + ulp32(y)/2 + floor.
 *   - empty arrays (any dimension 0) are legal.
 * The formulas, their gradients and the derivation of each bound stand in ref/op/NAME.c.
 */
#ifndef HKD_REF_H
#define HKD_REF_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what libhkd.so exports */
#endif

/* ---- how a sum of n terms may err ------------------------------------------------------------------------------------ */

/* E(sum) = hkd_kappa(rule, n) * sum|terms| + sum E(term):
 *   EXACT   0           small integers: every summation order gives the same bits
 *   RANDOM  4 sqrt(n)   roundings of random data are independent (Higham & Mary 2019)
 *   WORST   n           structured or adversarial data (Wilkinson; Rump 2011)  */
typedef enum { HKD_KAPPA_EXACT, HKD_KAPPA_RANDOM, HKD_KAPPA_WORST } hkd_kappa_rule;
double hkd_kappa(hkd_kappa_rule rule, double n);

/* Error of one float32 function evaluation in units of u * |result|: twice the bound in ulp that OpenCL's full profile
 * allows (an ulp is at most 2u of the value). Basic + - x round once: 1. */
#define HKD_C_DIV 5.0
#define HKD_C_SQRT 6.0
#define HKD_C_RSQRT 4.0
#define HKD_C_EXP 6.0
#define HKD_C_LOG 6.0
#define HKD_C_SIN 8.0
#define HKD_C_COS 8.0
#define HKD_C_TANH 10.0
#define HKD_C_ERF 32.0

/* ---- convolution ------------------------------------------------------------------------------------------------------ */

/* y[n,o,i,j] = b[o] + sum_{c,p,q} w[o,c,p,q] x[n, g*C/G + c, i*stride - pad_h + p, j*stride - pad_w + q],  g = group of o.
 * Cross-correlation (no kernel flip), zero padding. Source: EDM spec 1.2. */
typedef struct {
    int64_t n, c_in, h, w;             /* x [n, c_in, h, w] */
    int64_t c_out, kh, kw;             /* weights [c_out, c_in/groups, kh, kw], bias [c_out] or NULL */
    int64_t stride, pad_h, pad_w, groups;
    int64_t h_out, w_out;              /* y [n, c_out, h_out, w_out] */
} hkd_conv2d_dims;
void hkd_ref_conv2d(double *y, const double *x, const double *w, const double *b, const hkd_conv2d_dims *d);
void hkd_ref_conv2d_grad(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                         const hkd_conv2d_dims *d);
void hkd_ref_conv2d_bound(double *ey, double *edx, double *edw, double *edb, const double *dy, const double *x,
                          const double *w, const double *b, const hkd_conv2d_dims *d, hkd_kappa_rule kappa);

/* ---- linear algebra on rows: linear ----------------------------------------------------------------------------------- */

/* y[n,o] = b[o] + sum_i w[o,i] x[n,i]. */
typedef struct {
    int64_t n, in, out;                /* x [n, in], w [out, in], b [out] or NULL, y [n, out] */
} hkd_linear_dims;
void hkd_ref_linear(double *y, const double *x, const double *w, const double *b, const hkd_linear_dims *d);
void hkd_ref_linear_grad(double *dx, double *dw, double *db, const double *dy, const double *x, const double *w,
                         const hkd_linear_dims *d);
void hkd_ref_linear_bound(double *ey, double *edx, double *edw, double *edb, const double *dy, const double *x,
                          const double *w, const double *b, const hkd_linear_dims *d, hkd_kappa_rule kappa);

/* ---- resampling and pooling: resample2d, haar2d, max_pool2d, avg_pool2d, resize_bilinear ------------------------------ */

/* Depthwise, with the filter [1,1] or [1,3,3,1] on both axes: down halves (stride 2), up doubles (transposed, times 4). */
typedef struct {
    int64_t n, c, h, w;                /* x [n, c, h, w] */
    int64_t up, taps, pad;             /* up: 0 or 1; taps: 2 or 4; pad: taps/2 - 1, or any below taps when up = 0 */
    int64_t h_out, w_out;              /* y [n, c, h_out, w_out] */
} hkd_resample2d_dims;
void hkd_ref_resample2d(double *y, const double *x, const hkd_resample2d_dims *d);
void hkd_ref_resample2d_grad(double *dx, const double *dy, const hkd_resample2d_dims *d);
void hkd_ref_resample2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_resample2d_dims *d,
                              hkd_kappa_rule kappa);

/* The orthonormal Haar transform of every channel: 2 x 2 pixels <-> four bands LL, LH, HL, HH (first letter: vertically). */
typedef struct {
    int64_t n, c, h, w;                /* pixels [n, c, 2h, 2w], bands [n, 4c, h, w] */
    int64_t synthesis;                 /* 0: x pixels, y bands; 1: x bands, y pixels */
} hkd_haar2d_dims;
void hkd_ref_haar2d(double *y, const double *x, const hkd_haar2d_dims *d);
void hkd_ref_haar2d_grad(double *dx, const double *dy, const hkd_haar2d_dims *d);
void hkd_ref_haar2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_haar2d_dims *d,
                          hkd_kappa_rule kappa);

/* The largest value, or the mean, of each window of k_h x k_w pixels. */
typedef struct {
    int64_t n, c, h, w;                /* x [n, c, h, w] */
    int64_t k_h, k_w, stride, pad;
    int64_t count_include_pad;         /* mean only: do padding places count in the divisor? */
    int64_t h_out, w_out;              /* y [n, c, h_out, w_out] */
} hkd_pool2d_dims;
void hkd_ref_max_pool2d(double *y, const double *x, const hkd_pool2d_dims *d);
void hkd_ref_max_pool2d_grad(double *dx, const double *dy, const double *x, const hkd_pool2d_dims *d);
void hkd_ref_max_pool2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_pool2d_dims *d,
                              hkd_kappa_rule kappa);
void hkd_ref_avg_pool2d(double *y, const double *x, const hkd_pool2d_dims *d);
void hkd_ref_avg_pool2d_grad(double *dx, const double *dy, const hkd_pool2d_dims *d);
void hkd_ref_avg_pool2d_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_pool2d_dims *d,
                              hkd_kappa_rule kappa);

/* Linear interpolation at the source coordinate i in/out of TensorFlow 1, clamped at the far border. Sides up to 65536. */
typedef struct {
    int64_t n, c, h, w;                /* x [n, c, h, w], h and w at least 1 */
    int64_t h_out, w_out;              /* y [n, c, h_out, w_out] */
} hkd_resize_dims;
void hkd_ref_resize_bilinear(double *y, const double *x, const hkd_resize_dims *d);
void hkd_ref_resize_bilinear_grad(double *dx, const double *dy, const hkd_resize_dims *d);
void hkd_ref_resize_bilinear_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_resize_dims *d,
                                   hkd_kappa_rule kappa);

/* ---- normalisation: group_norm, batch_norm, channel_norm -------------------------------------------------------------- */

/* y = gamma[c] (x - mean) / sqrt(var + eps) + beta[c]; mean and biased variance over the c/groups channels and all
 * positions of one sample. Source: Wu & He 2018. */
typedef struct {
    int64_t n, c, area;                /* x, y [n, c, area], area = h w (1 for rank 2); gamma, beta [c] */
    int64_t groups;                    /* divides c */
    double eps;                        /* 1e-6 throughout EDM's network */
} hkd_group_norm_dims;
void hkd_ref_group_norm(double *y, const double *x, const double *gamma, const double *beta, const hkd_group_norm_dims *d);
void hkd_ref_group_norm_grad(double *dx, double *dgamma, double *dbeta, const double *dy, const double *x,
                             const double *gamma, const hkd_group_norm_dims *d);
void hkd_ref_group_norm_bound(double *ey, double *edx, double *edgamma, double *edbeta, const double *dy, const double *x,
                              const double *gamma, const double *beta, const hkd_group_norm_dims *d, hkd_kappa_rule kappa);

/* y = gamma (x - mean) / sqrt(var + eps) + beta with recorded statistics (inference); mean and var have no gradient. */
typedef struct {
    int64_t n, c, area;                /* x, y [n, c, area]; gamma, beta, mean, var [c] */
    double eps;
} hkd_batch_norm_dims;
void hkd_ref_batch_norm(double *y, const double *x, const double *gamma, const double *beta, const double *mean,
                        const double *var, const hkd_batch_norm_dims *d);
void hkd_ref_batch_norm_grad(double *dx, double *dgamma, double *dbeta, const double *dy, const double *x, const double *gamma,
                             const double *mean, const double *var, const hkd_batch_norm_dims *d);
void hkd_ref_batch_norm_bound(double *ey, double *edx, double *edgamma, double *edbeta, const double *dy, const double *x,
                              const double *gamma, const double *beta, const double *mean, const double *var,
                              const hkd_batch_norm_dims *d, hkd_kappa_rule kappa);

/* y = x / (|x| + eps), |x| the length of a pixel's vector of channels (LPIPS). */
typedef struct {
    int64_t n, c, area;                /* x, y [n, c, area] */
    double eps;
} hkd_channel_norm_dims;
void hkd_ref_channel_norm(double *y, const double *x, const hkd_channel_norm_dims *d);
void hkd_ref_channel_norm_grad(double *dx, const double *dy, const double *x, const hkd_channel_norm_dims *d);
void hkd_ref_channel_norm_bound(double *ey, double *edx, const double *dy, const double *x, const hkd_channel_norm_dims *d,
                                hkd_kappa_rule kappa);

/* ---- activations: silu, relu, gelu, softmax --------------------------------------------------------------------------- */

/* y = x where x > 0, else 0. Backward reads the result y. */
void hkd_ref_relu(double *y, const double *x, int64_t count);
void hkd_ref_relu_grad(double *dx, const double *dy, const double *y, int64_t count);
void hkd_ref_relu_bound(double *ey, double *edx, int64_t count);

/* y = x / (1 + exp(-x)), element by element. */
void hkd_ref_silu(double *y, const double *x, int64_t count);
void hkd_ref_silu_grad(double *dx, const double *dy, const double *x, int64_t count);
void hkd_ref_silu_bound(double *ey, double *edx, const double *dy, const double *x, int64_t count);

/* y = x (1 + erf(x / sqrt 2)) / 2, element by element. */
void hkd_ref_gelu(double *y, const double *x, int64_t count);
void hkd_ref_gelu_grad(double *dx, const double *dy, const double *x, int64_t count);
void hkd_ref_gelu_bound(double *ey, double *edx, const double *dy, const double *x, int64_t count);

/* y[n,:] = exp(x[n,:]) / sum exp(x[n,:]); x, y [n, c]. Backward reads the result y. */
void hkd_ref_softmax(double *y, const double *x, int64_t n, int64_t c);
void hkd_ref_softmax_grad(double *dx, const double *dy, const double *y, int64_t n, int64_t c);
void hkd_ref_softmax_bound(double *ey, double *edx, const double *dy, const double *x, int64_t n, int64_t c,
                           hkd_kappa_rule kappa);

/* ---- attention -------------------------------------------------------------------------------------------------------- */

/* y[c,i] = sum_j w[i,j] v[c,j],  w[i,:] = softmax over j of sum_c q[c,i] k[c,j] / sqrt(c/heads), in every head by itself.
 * Channel of the input: head (3 c/heads) + 3 c' + (0 for q, 1 for k, 2 for v): EDM's interleaved layout. */
typedef struct {
    int64_t n, c, area;                /* qkv [n, 3 c, area], y [n, c, area], area = h w positions */
    int64_t heads;                     /* divides c */
} hkd_attention_dims;
void hkd_ref_attention(double *y, const double *qkv, const hkd_attention_dims *d);
void hkd_ref_attention_grad(double *dqkv, const double *dy, const double *qkv, const hkd_attention_dims *d);
void hkd_ref_attention_bound(double *ey, double *edqkv, const double *dy, const double *qkv, const hkd_attention_dims *d,
                             hkd_kappa_rule kappa);

/* ---- arrangement: add, scale, add_channel, concat --------------------------------------------------------------------- */

/* y = a + b, all of `count` elements. */
void hkd_ref_add(double *y, const double *a, const double *b, int64_t count);
void hkd_ref_add_grad(double *da, double *db, const double *dy, int64_t count);
void hkd_ref_add_bound(double *ey, double *eda, double *edb, const double *a, const double *b, int64_t count,
                       hkd_kappa_rule kappa);

/* y = s x, both of `count` elements. */
void hkd_ref_scale(double *y, const double *x, double s, int64_t count);
void hkd_ref_scale_grad(double *dx, const double *dy, double s, int64_t count);
void hkd_ref_scale_bound(double *ey, double *edx, const double *dy, const double *x, double s, int64_t count,
                         hkd_kappa_rule kappa);

/* y[n,c,i,j] = x[n,c,i,j] + b[n,c]; b has one row per image, or one for all. */
typedef struct {
    int64_t n, c, h, w;                /* x, y [n, c, h, w] */
    int64_t n_b;                       /* b [n_b, c], n_b = n or 1 */
} hkd_add_channel_dims;
void hkd_ref_add_channel(double *y, const double *x, const double *b, const hkd_add_channel_dims *d);
void hkd_ref_add_channel_grad(double *dx, double *db, const double *dy, const hkd_add_channel_dims *d);
void hkd_ref_add_channel_bound(double *ey, double *edx, double *edb, const double *dy, const double *x, const double *b,
                               const hkd_add_channel_dims *d, hkd_kappa_rule kappa);

/* y = [a, b] along the channels. */
typedef struct {
    int64_t n, c_a, c_b, area;         /* a [n, c_a, area], b [n, c_b, area], y [n, c_a + c_b, area]; area = h w, or 1 */
} hkd_concat_dims;
void hkd_ref_concat(double *y, const double *a, const double *b, const hkd_concat_dims *d);
void hkd_ref_concat_grad(double *da, double *db, const double *dy, const hkd_concat_dims *d);
void hkd_ref_concat_bound(double *ey, double *eda, double *edb, const hkd_concat_dims *d);

/* ---- dropout and random numbers --------------------------------------------------------------------------------------- */

/* The numbers of sample n: those of `seed`, index first_index + n and `draw`, by element within the sample (ref/core/rng.h). */
typedef struct {
    int64_t n, size;                   /* x, y [n, size]: size elements per sample, counted in row-major order [C, H, W] */
    uint64_t seed;
    uint32_t first_index, draw;
} hkd_random_dims;

/* y = x / (1 - p) where the element's random 32-bit word is at least p 2^32, else 0.  0 <= p < 1; p = 0 is the identity. */
void hkd_ref_dropout(double *y, const double *x, double p, const hkd_random_dims *d);
void hkd_ref_dropout_grad(double *dx, const double *dy, double p, const hkd_random_dims *d);
void hkd_ref_dropout_bound(double *ey, double *edx, const double *dy, const double *x, double p, const hkd_random_dims *d);

/* y [n, size]: unit normals, each rounded to float32; `purpose` as in ref/core/rng.h. Every device gives the same bits. */
void hkd_ref_random_normal(double *y, int purpose, const hkd_random_dims *d);
void hkd_ref_random_normal_bound(double *ey, const hkd_random_dims *d); /* 0 */

/* ---- embeddings: positional_embedding, fourier_embedding -------------------------------------------------------------- */

/* y[n] = [cos(c[n] f) | sin(c[n] f)],  f_k = max_positions^(-k/h) for k = 0 .. h-1, h = dim/2; with `endpoint` the exponent
 * is -k/(h-1), so that the last f is 1/max_positions; with `swap` the halves change places. */
typedef struct {
    int64_t n, dim;                    /* c [n], y [n, dim]; dim is even */
    double max_positions;
    bool endpoint, swap;
} hkd_positional_embedding_dims;
void hkd_ref_positional_embedding(double *y, const double *c, const hkd_positional_embedding_dims *d);
void hkd_ref_positional_embedding_grad(double *dc, const double *dy, const double *c, const hkd_positional_embedding_dims *d);
void hkd_ref_positional_embedding_bound(double *ey, double *edc, const double *dy, const double *c,
                                        const hkd_positional_embedding_dims *d, hkd_kappa_rule kappa);

/* y[n] = [cos(2 pi freqs c[n]) | sin(2 pi freqs c[n])]; with `swap` the halves change places. */
typedef struct {
    int64_t n, f;                      /* c [n], freqs [f], y [n, 2 f] */
    bool swap;
} hkd_fourier_embedding_dims;
void hkd_ref_fourier_embedding(double *y, const double *c, const double *freqs, const hkd_fourier_embedding_dims *d);
void hkd_ref_fourier_embedding_grad(double *dc, const double *dy, const double *c, const double *freqs,
                                    const hkd_fourier_embedding_dims *d);
void hkd_ref_fourier_embedding_bound(double *ey, double *edc, const double *dy, const double *c, const double *freqs,
                                     const hkd_fourier_embedding_dims *d, hkd_kappa_rule kappa);

/* ---- the Koopman operator --------------------------------------------------------------------------------------------- */

/* y = exp(dt A) z at every position: pairs of channels (2k, 2k+1) turn by beta dt and grow by exp(alpha dt) (paper Eq. 4, 5).
 * a [d, ah, aw] holds alpha in its first d/2 channels and beta in the last d/2; (ah, aw) is (h, w), or (1, 1) when one
 * vector serves all positions. d is even. y may be z. */
typedef struct {
    int64_t n, d, h, w;                /* z, y [n, d, h, w]; dt [n] */
    int64_t ah, aw;                    /* a [d, ah, aw] */
} hkd_koopman_dims;
void hkd_ref_koopman_evolve(double *y, const double *z, const double *a, const double *dt, const hkd_koopman_dims *d);
void hkd_ref_koopman_evolve_grad(double *dz, double *da, double *ddt, const double *dy, const double *z, const double *a,
                                 const double *dt, const hkd_koopman_dims *d);
void hkd_ref_koopman_evolve_bound(double *ey, double *edz, double *eda, double *eddt, const double *dy, const double *z,
                                  const double *a, const double *dt, const hkd_koopman_dims *d, hkd_kappa_rule kappa);

/* ---- preconditioning: precond_in, precond_noise, precond_out ---------------------------------------------------------- */

/* The denoiser around a network F:  D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), s = sigma, d = sigma_data.
 *                  c_skip           c_out                c_in               c_noise
 *   EDM            d^2/(s^2+d^2)    s d/sqrt(s^2+d^2)    1/sqrt(s^2+d^2)    ln(s)/4
 *   VP             1                -s                   1/sqrt(s^2+1)      999 t(s)
 *   VE             1                s                    1                  ln(s/2)
 *   IDDPM          1                -s                   1/sqrt(s^2+1)      999 - nearest step j(s)
 *   DECODER_ONLY   0                d                    as EDM             as EDM
 * Source: EDM (Karras et al. 2022), Table 1; DECODER_ONLY: HKD, Eq. 6 read literally. sigma > 0. */
typedef enum { HKD_PRECOND_EDM, HKD_PRECOND_VP, HKD_PRECOND_VE, HKD_PRECOND_IDDPM, HKD_PRECOND_DECODER_ONLY } hkd_precond;
typedef struct {
    int64_t n, size;                   /* x, y [n, size]; sigma [n] */
    int64_t f_size;                    /* precond_out: f [n, f_size], the first `size` are used (IDDPM: 3 channels of 6) */
    hkd_precond kind;
    double sigma_data;
} hkd_precond_dims;

/* y = c_in(sigma) x */
void hkd_ref_precond_in(double *y, const double *x, const double *sigma, const hkd_precond_dims *d);
void hkd_ref_precond_in_grad(double *dx, const double *dy, const double *sigma, const hkd_precond_dims *d);
void hkd_ref_precond_in_bound(double *ey, double *edx, const double *dy, const double *x, const double *sigma,
                              const hkd_precond_dims *d);
/* c [n] = c_noise(sigma [n]); no gradient */
void hkd_ref_precond_noise(double *c, const double *sigma, int64_t n, hkd_precond kind);
void hkd_ref_precond_noise_bound(double *ec, const double *sigma, int64_t n, hkd_precond kind);
/* y = c_skip(sigma) x + c_out(sigma) f */
void hkd_ref_precond_out(double *y, const double *x, const double *f, const double *sigma, const hkd_precond_dims *d);
void hkd_ref_precond_out_grad(double *dx, double *df, const double *dy, const double *sigma, const hkd_precond_dims *d);
void hkd_ref_precond_out_bound(double *ey, double *edx, double *edf, const double *dy, const double *x, const double *f,
                               const double *sigma, const hkd_precond_dims *d);

/* The noise levels of 1000-step improved DDPM: u[0] = 20291.17 (pure noise) falls to u[999] = 0.0064254 and u[1000] = 0. */
enum { HKD_IDDPM_STEPS = 1000 };
void hkd_ref_iddpm_levels(double *u); /* u [HKD_IDDPM_STEPS + 1] */

/* ---- losses: mse_loss, edm_loss, pseudo_huber_loss, l2_norm_loss ------------------------------------------------------ */

/* All compare x and y [n, size] sample by sample, l [n] = f(|x - y|^2); dl [n] is the upstream gradient.
 *   mse_loss           l = |x - y|^2 / size
 *   edm_loss           l = lambda(sigma) |x - y|^2:  (sigma^2 + d^2) / (sigma d)^2 for EDM, 1 / sigma^2 for VP and VE
 *   pseudo_huber_loss  l = sqrt(|x - y|^2 + c^2) - c,  c > 0
 *   l2_norm_loss       l = |x - y|, its gradient at 0 is 0 */
void hkd_ref_mse_loss(double *l, const double *x, const double *y, int64_t n, int64_t size);
void hkd_ref_mse_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y, int64_t n, int64_t size);
void hkd_ref_mse_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                            int64_t n, int64_t size, hkd_kappa_rule kappa);
void hkd_ref_edm_loss(double *l, const double *x, const double *y, const double *sigma, const hkd_precond_dims *d);
void hkd_ref_edm_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y, const double *sigma,
                           const hkd_precond_dims *d);
void hkd_ref_edm_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                            const double *sigma, const hkd_precond_dims *d, hkd_kappa_rule kappa);
void hkd_ref_pseudo_huber_loss(double *l, const double *x, const double *y, double c, int64_t n, int64_t size);
void hkd_ref_pseudo_huber_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y, double c,
                                    int64_t n, int64_t size);
void hkd_ref_pseudo_huber_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                                     double c, int64_t n, int64_t size, hkd_kappa_rule kappa);
void hkd_ref_l2_norm_loss(double *l, const double *x, const double *y, int64_t n, int64_t size);
void hkd_ref_l2_norm_loss_grad(double *dx, double *dy, const double *dl, const double *x, const double *y,
                               int64_t n, int64_t size);
void hkd_ref_l2_norm_loss_bound(double *el, double *edx, double *edy, const double *dl, const double *x, const double *y,
                                int64_t n, int64_t size, hkd_kappa_rule kappa);

/* ---- optimisers: adam, radam, ema ------------------------------------------------------------------------------------- */

/* What a user sets, and the scalars of step t = 1, 2, ... formed from it once in double, on the host, for every device. */
typedef struct {
    double lr, beta1, beta2, eps;
    double weight_decay;               /* added to the gradient; with `decoupled`, shrinks the weights instead (AdamW) */
    int decoupled;
    int64_t t;
} hkd_adam_settings;
typedef struct {
    double keep_m, take_m;             /* m' = keep_m m + take_m g'            g' = g + l2 p */
    double keep_v, take_v;             /* v' = keep_v v + take_v g'^2 */
    double step, root, eps;            /* p' = shrink p - step m' / (root sqrt(v') + eps) */
    double l2, shrink;
} hkd_adam_scalars;
hkd_adam_scalars hkd_ref_adam_scalars(const hkd_adam_settings *s);
hkd_adam_scalars hkd_ref_radam_scalars(const hkd_adam_settings *s);

/* The one pass of adam and radam. All arrays [n]; each output may be its own input. */
void hkd_ref_adam(double *p_new, double *m_new, double *v_new, const double *p, const double *m, const double *v,
                  const double *g, int64_t n, const hkd_adam_scalars *s);
void hkd_ref_adam_bound(double *ep, double *em, double *ev, const double *p, const double *m, const double *v, const double *g,
                        int64_t n, const hkd_adam_scalars *s);

/* e' = decay e + (1 - decay) p, computed as e + (1 - decay)(p - e), or p + decay (e - p) when decay < 1/2. All arrays [n]. */
void hkd_ref_ema(double *e_new, const double *e, const double *p, int64_t n, double decay);
void hkd_ref_ema_bound(double *ee, const double *e, const double *p, int64_t n, double decay);

/* y[0] = sum of x^2; x [n]. */
void hkd_ref_sum_squares(double *y, const double *x, int64_t n);
void hkd_ref_sum_squares_grad(double *dx, const double *dy, const double *x, int64_t n);
void hkd_ref_sum_squares_bound(double *ey, double *edx, const double *dy, const double *x, int64_t n, hkd_kappa_rule kappa);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
