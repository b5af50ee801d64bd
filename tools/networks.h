/* networks.h - composite vectors: small networks, blocks, a training step and samples, with every tensor by name. */
#ifndef HKD_NETWORKS_H
#define HKD_NETWORKS_H

#include "model.h"
#include "recording.h"

const char *hkd_network_name(int index); /* NULL: no more */
/* Run composite `index` on a device; without gradients where the device has none. */
hkd_status hkd_network_run(hkd_recording *out, int index, hkd_device *dev);
/* The same with other weights and inputs for every `draw`; 0: the recorded ones. */
hkd_status hkd_network_draw(hkd_recording *out, int index, int draw, hkd_device *dev);
/* Is it about gradients alone? */
bool hkd_network_trains(int index);
/* Fill in the bounds of composite `index`, run on the reference (network_allowance.c), for the files of ports or for a device
 * that stores activations as float16. */
hkd_status hkd_network_allowance(hkd_recording *want, int index, bool half);

/* ---- for the files of composites ---- */

/* Fill a tensor, or all weights, from the integer generator; `composite` and `name` say which of its streams. */
hkd_status hkd_network_fill(hkd_device *dev, const hkd_tensor *t, const char *how, const char *composite, const char *name);
hkd_status hkd_network_weights(hkd_weights *w, const char *composite);
/* One step of distillation (network_step.c): loss, all gradients, Adam's and the average's new state. `c` is an HKD model. */
hkd_status hkd_network_step(hkd_recording *out, const hkd_config *c, const char *composite, hkd_device *dev);
/* Heun's samples from recorded noise (network_samples.c). */
hkd_status hkd_network_samples(hkd_recording *out, const hkd_config *c, const char *composite, hkd_device *dev);

#endif
