/* edit_control.h - is an edit of a band of modes more than an edit of that many modes?
 *
 * The same edit is made with several random sets of modes of the band's size: as many on each level, or as many of all levels
 * together. Picture by picture, band and sets are brought to the same root mean square change (all are lowered, by their
 * ratio, to the one that changes least), and compared by what they do to the low spatial frequencies.
 *
 * The difference random - band has two sources of chance: which pictures and which sets. With x_is the difference of picture i
 * and set s, the variance of the mean is at most Var_i(mean_s x) / n + Var_s(mean_i x) / S (crossed random effects; their
 * interaction is counted twice). The 95 % interval is +- t(S - 1) times its root: Student's t, since sets are few.
 */
#ifndef HKD_EDIT_CONTROL_H
#define HKD_EDIT_CONTROL_H

#include "hkd_insight.h"
#include "model_edit.h"

/* out->over_all and out->sets (2 to HKD_CONTROL_SETS) say what is wanted. At least 2 images and a band are needed. */
hkd_status hkd_model_edit_control(hkd_edit_control *out, hkd_model *m, const hkd_model_input *image,
                                  const hkd_model_input *reference, const hkd_model_levels *levels, const hkd_edit_rule *rule,
                                  uint64_t seed, const hkd_ticker *ticker);

#endif
