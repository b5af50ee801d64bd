/* edit_control.h - is an edit of a band of modes more than an edit of that many modes?
 *
 * The same edit is made with a random set of modes, as many on each level. Both are brought to the same root mean square change
 * of the pictures (by lowering the ratio of the one that changes more), and compared by what they do to the low spatial
 * frequencies: the mean over pictures of the difference, with a 95 % confidence interval (normal, paired).
 */
#ifndef HKD_EDIT_CONTROL_H
#define HKD_EDIT_CONTROL_H

#include "model_edit.h"

typedef struct {
    int64_t n;
    double rmse[2], ratio[2];   /* of the band and of the random set; the rmse agree to 1 % */
    double low[2];              /* energy per value of the change, in low spatial frequencies (image_spectrum.h); means */
    double difference, half;    /* random - band: mean +- half is the interval; above 0: the band spares the low frequencies */
} hkd_edit_control;

hkd_status hkd_model_edit_control(hkd_edit_control *out, hkd_model *m, const hkd_model_input *image,
                                  const hkd_model_input *reference, const hkd_model_levels *levels, const hkd_edit_rule *rule,
                                  uint64_t seed);

#endif
