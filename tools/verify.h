/* verify.h - judge a device, or the files of a port, with recorded vectors. */
#ifndef HKD_VERIFY_H
#define HKD_VERIFY_H

#include "manifest.h"
#include "verdict.h"

typedef enum { HKD_PASS, HKD_FAIL, HKD_SKIP } hkd_outcome;

/* One tensor of one case, or a whole case that was skipped or could not be read (tensor ""). */
typedef struct {
    char id[96], tensor[96];
    hkd_outcome outcome;
    hkd_verdict verdict;
    char text[3072]; /* why it failed or was skipped; several lines */
} hkd_check;

typedef struct {
    char op[32];                        /* or "networks": composites, judged end to end */
    int cases, passed, failed, skipped; /* cases that ran; tensors */
    double worst;                       /* share of the allowance, over tensors that passed */
    char worst_at[200];
    const char *missing;                /* "not provided", "no backward", or NULL */
} hkd_op_report;

typedef struct {
    const char *dir, *results, *only_op, *only_case; /* results: a port's directory instead of a device; NULL: not given */
    const char *repeat;                              /* the command that repeats this run: "hkd verify --device cpu" */
    hkd_device *device;                              /* NULL with results */
    hkd_profile profile;                             /* measured, or declared with results */
    bool fast;                                       /* the device may use algorithms whose error is not element-wise */
    /* called for every tensor as it is judged; may be NULL */
    void (*each)(void *context, const hkd_check *check);
    void *context;
    bool (*cancelled)(void);                         /* may be NULL */
} hkd_verify_options;

typedef struct {
    hkd_op_report *op;
    int ops;
    int cases, passed, failed, skipped;
} hkd_verify_report;

/* HKD_OK: everything was judged and right. HKD_CHECK_FAILED: something failed, or nothing was judged. */
hkd_status hkd_verify(hkd_verify_report *out, const hkd_verify_options *options);
void hkd_verify_report_free(hkd_verify_report *r);

/* Say why a tensor is wrong: the first and the worst element, a guess, the command that repeats the case. */
void hkd_describe(hkd_check *c, const hkd_verify_options *o, const hkd_judged *j, const hkd_profile *profile);

/* Does the judged device store activations as float16: those of this shape, or any of more than one dimension? */
bool hkd_stores_half(const hkd_verify_options *o, const hkd_shape *shape);
bool hkd_judges_half(const hkd_verify_options *o);

/* ---- composites (verify_networks.c) ---- */

typedef void hkd_composite_judge(void *run, hkd_check *check);
/* Judge composite `index` of networks.h. A port is allowed what the manifest records; a device what DESIGN says, with `plain`
 * the cpu's plain C build. */
hkd_status hkd_verify_network(const hkd_verify_options *o, int index, const hkd_manifest *m, hkd_device *plain,
                              hkd_composite_judge *tell, void *run);

#endif
