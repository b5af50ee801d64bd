/* weights.h - the named parameters of a network on a device, with their gradients. */
#ifndef HKD_WEIGHTS_H
#define HKD_WEIGHTS_H

#include "device.h"
#include "program.h"

typedef struct {
    char *name;
    bool trained;
    hkd_tensor value;
    hkd_tensor grad;     /* buffer NULL until hkd_weights_need_grad */
    bool no_grad_yet;    /* grad counts as 0, whatever it holds: the first to deliver writes, and nobody has to clear it */
    /* A weight that a program uses more than once collects each further use apart, so that the order of its sums does not
     * depend on how a batch is cut; hkd_weights_collect_grad adds them to `grad`. */
    int more_count;
    hkd_tensor *more;
} hkd_weight;

typedef struct {
    hkd_device *dev;
    int count;
    hkd_weight *item; /* in the order the program first asked for them */
} hkd_weights;

/* Room on `dev` for every weight that `p` names; contents undefined until set. */
hkd_status hkd_weights_new(hkd_weights **out, const hkd_program *p, hkd_device *dev);
void hkd_weights_free(hkd_weights *w); /* NULL is fine */

hkd_weight *hkd_weights_find(const hkd_weights *w, const char *name); /* NULL: none */
hkd_status hkd_weights_need_grad(hkd_weights *w);
/* Around the backward passes of a step: before the first and, once, after the last; the gradients can be read from then on. */
hkd_status hkd_weights_zero_grad(hkd_weights *w);
hkd_status hkd_weights_collect_grad(hkd_weights *w);
/* Where use number `use` (0, 1, ...) of a weight collects its gradient. */
hkd_status hkd_weights_grad_of_use(hkd_tensor *out, hkd_weights *w, hkd_weight *item, int use);
int64_t hkd_weights_total(const hkd_weights *w, bool trained_only); /* number of parameters */

#endif
