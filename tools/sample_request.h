/* sample_request.h - what a run of `hkd sample` is asked for: seeds, sampler, noise, class, times. */
#ifndef HKD_SAMPLE_REQUEST_H
#define HKD_SAMPLE_REQUEST_H

#include "cli.h"
#include "generate.h"

typedef enum { SAMPLE_TO_SHEET, SAMPLE_TO_TENSORS, SAMPLE_TO_FOLDER } sample_target;

typedef struct {
    const hkd_args *args;
    hkd_generator generator;
    uint64_t *seeds;
    size_t count;                    /* images */
    double *latents, *class_labels;  /* from --latents, or NULL */
    double *times;                   /* from --decode-at, or NULL */
    size_t time_count;
    const char *out;
    sample_target target;
    int64_t batch;                   /* images in one pass, as asked for */
    char sha256[65], settings[1024];
    double *x;                       /* [count, max(time_count, 1), C, R, R]; for a folder: of one batch */
    int64_t size, nfe;               /* numbers in one image; network evaluations for all */
} sample_job;

/* Read the options that depend on the model: the generator, --class, --decode-at, --latents, --noise; and describe them in
 * `settings`. The target is known. */
hkd_status sample_request(sample_job *j, hkd_model *m);

#endif
