/* What a port's composite may be off, recorded with it. The network runs once more on the reference with every operator's
 * results rounded to float32: what no float32 implementation can avoid, and the same on every platform. As in verify_networks.c
 * a tensor's error is max|a - b| / max|b|, that of a gradient the largest over all gradients of the network. Sums in float32
 * round at every term besides; the plain C build is within six such errors on every composite (a test), so a port is allowed
 * twice that, twelve, plus 8 u. */
#include "networks.h"

#include "status.h"
#include "verify.h"

#include <stdlib.h>
#include <string.h>

enum { FACTOR = 12 };

typedef struct {
    hkd_device dev; /* the reference, but for the two calls */
    hkd_device *ref;
} rounding;

static hkd_status round_tensor(hkd_device *ref, const hkd_tensor *t) {
    if (!t->buffer) return HKD_OK;
    const int64_t n = hkd_count(&t->shape);
    double *x = malloc(((size_t)n + 1) * sizeof *x);
    hkd_status status = x ? ref->download(ref, x, HKD_F64, t) : hkd_fail(HKD_RESOURCES, "out of memory");
    for (int64_t i = 0; !status && i < n; i++) x[i] = (double)(float)x[i];
    if (!status) status = ref->upload(ref, t, x, HKD_F64);
    free(x);
    return status;
}

static hkd_status forward(hkd_device *dev, const hkd_call *call) {
    hkd_device *ref = ((rounding *)dev)->ref;
    hkd_status status = ref->forward(ref, call);
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++) status = round_tensor(ref, &call->out[i]);
    return status;
}

static hkd_status backward(hkd_device *dev, const hkd_call *call) {
    hkd_device *ref = ((rounding *)dev)->ref;
    hkd_status status = ref->backward(ref, call);
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++) status = round_tensor(ref, &call->grad[i]);
    return status;
}

static double error_of(const hkd_recorded *a, const hkd_recorded *b) {
    return a->given ? 0 : hkd_relative_error(a->value, b->value, hkd_count(&b->shape));
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

hkd_status hkd_network_allowance(hkd_recording *want, int index) {
    rounding device;
    hkd_recording rounded = {.count = 0};
    double gradients = 0;
    hkd_status status = hkd_device_open_ref(&device.ref, &(hkd_device_options){.threads = 1});
    if (status) return status;
    device.dev = *device.ref;
    device.dev.forward = forward;
    device.dev.backward = backward;
    status = hkd_network_run(&rounded, index, &device.dev);
    for (int i = 0; !status && i < want->count; i++)
        if (!strncmp(want->item[i].name, "grad.", 5)) gradients = fmax(gradients, error_of(&rounded.item[i], &want->item[i]));
    for (int i = 0; !status && i < want->count; i++) {
        hkd_recorded *t = &want->item[i];
        const double error = strncmp(t->name, "grad.", 5) ? error_of(&rounded.item[i], t) : gradients;
        t->bound = short_up((FACTOR * error / HKD_U + 8) * size_of(t));
    }
    hkd_recording_free(&rounded);
    hkd_device_close(device.ref);
    return status;
}
