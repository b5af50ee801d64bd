/* cost.h - what a program costs before it is run: multiply-adds and memory. */
#ifndef HKD_COST_H
#define HKD_COST_H

#include "cli.h"
#include "model.h"

/* Multiply-adds of one run: convolutions, linear layers, the two products of attention, and the Koopman operators (2 per
 * element). Norms, activations and resampling are left out, as usual. */
double hkd_multiply_adds(const hkd_program *p);

/* Bytes on the model's device. */
typedef struct {
    size_t weights;    /* all weights, as they are: raw or prepared */
    size_t training;   /* their gradients (one for each use), Adam's two moments and the average; 0 without training */
    size_t plan;       /* activations, and their gradients in training */
    size_t workspace;  /* scratch that the operators share */
    size_t largest;    /* of these, the most in one piece */
} hkd_memory;
/* One pass over `n` images; nothing of it is allocated. */
hkd_status hkd_predict_memory(hkd_memory *out, hkd_model *m, int64_t n, bool training);

/* Are weights better prepared once, for passes of so few images, than in every pass? Prepared ones take more memory. */
static inline bool hkd_prepared_pays(int64_t images) { return images < 16; }

/* Before a run over `n` images in passes of *batch: says on stderr how much memory that takes. Where the device has less,
 * *batch becomes what fits (hkd_smaller_pass): no result changes. */
hkd_status hkd_fit_batch(const hkd_args *a, hkd_model *m, int64_t n, int64_t *batch, bool training);

#endif
