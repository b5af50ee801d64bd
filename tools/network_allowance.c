/* What a port's composite may be off, recorded with it. The network runs once more on the reference with every operator's
 * results rounded to float32: what no float32 implementation can avoid, and the same on every platform. As in verify_networks.c
 * a tensor's error is max|a - b| / max|b|, that of a gradient the largest over all gradients of the network. Sums in float32
 * round at every term besides; the plain C build is within six such errors on every composite (a test), so a port is allowed
 * twice that, twelve, plus 8 u.
 *
 * A device that stores activations as float16 is judged in the same way: the network once more on the reference, every tensor
 * rounded that the device stores so. Its arithmetic between two stores is finer by a factor of 8192: what it may do otherwise
 * is to round a number near a tie to the other neighbour, so its error is another draw from the same chances. It is allowed
 * twice the reference's, as plain's is for float32. */
#include "networks.h"

#include "fill.h"
#include "status.h"
#include "verdict.h"

#include <stdlib.h>
#include <string.h>

enum { FACTOR = 12, HALF_FACTOR = 2 };

typedef struct {
    hkd_device dev; /* the reference, but for the two calls */
    hkd_device *ref;
} rounding;

/* ---- to float32 ---- */

static hkd_status round_tensor(hkd_device *ref, const hkd_tensor *t, double nearest(double)) {
    if (!t->buffer) return HKD_OK;
    const int64_t n = hkd_count(&t->shape);
    double *x = malloc(((size_t)n + 1) * sizeof *x);
    hkd_status status = x ? ref->download(ref, x, HKD_F64, t) : hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = 0; !status && i < n; i++) x[i] = nearest(x[i]);
    if (!status) status = ref->upload(ref, t, x, HKD_F64);
    free(x);
    return status;
}

static double to_float(double x) { return (double)(float)x; }

static hkd_status forward(hkd_device *dev, const hkd_call *call) {
    hkd_device *ref = ((rounding *)dev)->ref;
    hkd_status status = ref->forward(ref, call);
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++) status = round_tensor(ref, &call->out[i], to_float);
    return status;
}

static hkd_status backward(hkd_device *dev, const hkd_call *call) {
    hkd_device *ref = ((rounding *)dev)->ref;
    hkd_status status = ref->backward(ref, call);
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++) status = round_tensor(ref, &call->grad[i], to_float);
    return status;
}

/* ---- to float16, forward only: what has one number per image stays, and so do weights ---- */

static hkd_status halve(hkd_device *ref, const hkd_tensor *t) {
    return t->shape.rank > 1 ? round_tensor(ref, t, hkd_round_half) : HKD_OK;
}

static hkd_status half_forward(hkd_device *dev, const hkd_call *call) {
    hkd_device *ref = ((rounding *)dev)->ref;
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++)
        if (!(call->op->weights >> i & 1)) status = halve(ref, &call->in[i]);
    if (!status) status = ref->forward(ref, call);
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++) status = halve(ref, &call->out[i]);
    return status;
}

/* Also for what no call has rounded: noise that goes up and comes down again. */
static hkd_status half_download(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from) {
    hkd_device *ref = ((rounding *)dev)->ref;
    const hkd_status status = halve(ref, from);
    return status ? status : ref->download(ref, to, type, from);
}

static bool half_supports(const hkd_device *dev, const hkd_op *op, bool backward) {
    const hkd_device *ref = ((const rounding *)dev)->ref;
    return !backward && ref->supports(ref, op, false);
}

/* ---- the allowance ---- */

static double error_of(const hkd_recording *rounded, const hkd_recorded *t) {
    const hkd_recorded *a = hkd_recording_find(rounded, t->name);
    return !a || a->given ? 0 : hkd_relative_error(a->value, t->value, hkd_count(&t->shape));
}

static double size_of(const hkd_recorded *t) {
    double size = 0;
    for (int64_t i = 0; i < hkd_count(&t->shape); i++) size = fmax(size, fabs(t->value[i]));
    return size;
}

/* Up to the next number of eight binary digits, which is short in decimal too. */
static double short_up(double x) {
    int e;
    const double m = frexp(x, &e);
    return ldexp(ceil(ldexp(m, 8)), e - 8);
}

hkd_status hkd_network_allowance(hkd_recording *want, int index, bool half) {
    rounding device;
    hkd_recording rounded = {.count = 0};
    double gradients = 0;
    const int factor = half ? HALF_FACTOR : FACTOR;
    hkd_status status = hkd_device_open_ref(&device.ref, &(hkd_device_options){.threads = 1});
    if (status) return status;
    device.dev = *device.ref;
    device.dev.forward = half ? half_forward : forward;
    device.dev.backward = backward;
    if (half) device.dev.download = half_download, device.dev.supports = half_supports;
    status = hkd_network_run(&rounded, index, &device.dev);
    for (int i = 0; !status && i < want->count; i++)
        if (!strncmp(want->item[i].name, "grad.", 5)) gradients = fmax(gradients, error_of(&rounded, &want->item[i]));
    for (int i = 0; !status && i < want->count; i++) {
        hkd_recorded *t = &want->item[i];
        const double error = strncmp(t->name, "grad.", 5) ? error_of(&rounded, t) : gradients;
        t->bound = short_up((factor * error / HKD_U + 8) * size_of(t));
    }
    hkd_recording_free(&rounded);
    hkd_device_close(device.ref);
    return status;
}
