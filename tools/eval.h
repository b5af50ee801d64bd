/* eval.h - what the files behind `hkd eval` share. */
#ifndef HKD_EVAL_H
#define HKD_EVAL_H

#include "cli.h"

typedef enum { HKD_FRD, HKD_FRECHET, HKD_FID, HKD_SWD, HKD_KERNEL, HKD_PRECISION, HKD_LPIPS } hkd_metric;

typedef struct {
    const hkd_args *args;
    hkd_metric metric;
    const char *features;  /* file, or NULL */
    int64_t side;          /* pixels: averaged to side x side; 0: as they are */
    int64_t offset;        /* --offset */
    int64_t first, limit;  /* of each set: the first picture and the most (--count; 0: all) */
    char of[160];          /* what the vectors are */
    hkd_device *dev;
} hkd_eval_job;

/* A set as a Gaussian. */
typedef struct {
    double *mean, *covariance;
    int64_t dim, count;    /* count 0: unknown */
} hkd_gaussian;

/* Of pictures, of statistics, or of another tool's reference file. Free it also when this fails. */
hkd_status hkd_gaussian_of(hkd_gaussian *out, const hkd_eval_job *j, const char *name);
hkd_status hkd_gaussian_distance(double *value, const hkd_gaussian *a, const hkd_gaussian *b);
void hkd_gaussian_free(hkd_gaussian *g);

/* eval_fid.c: measure and show. */
hkd_status hkd_eval_fid(const hkd_eval_job *j);
extern const char hkd_inception_source[]; /* where users get the network */

/* eval_lpips.c: mean and deviation (over n - 1; NAN for one pair) over the pairs of pictures. */
hkd_status hkd_eval_lpips(double *mean, double *deviation, int64_t *pairs, const hkd_eval_job *j);
extern const char hkd_lpips_source[];

#endif
