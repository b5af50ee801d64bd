#include "device.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

static hkd_status check(hkd_device *dev, const hkd_call *call, bool backward) {
    const hkd_op *op = call->op;
    hkd_shape in[HKD_MAX_IN], out[HKD_MAX_OUT];
    for (int i = 0; i < hkd_op_inputs(op); i++) in[i] = call->in[i].buffer ? call->in[i].shape : HKD_ABSENT;
    hkd_status status = hkd_op_shapes(op, out, in, call->p);
    if (status) return status;
    for (int i = 0; i < hkd_op_outputs(op); i++) {
        const hkd_tensor *t = backward ? &call->up[i] : &call->out[i];
        if (!t->buffer || !hkd_same_shape(&t->shape, &out[i]))
            return hkd_fail(HKD_USAGE, "%s: output '%s' is missing or has another shape", op->name, op->out[i]);
        if (backward && op->reads_out >> i & 1 && (!call->out[i].buffer || !hkd_same_shape(&call->out[i].shape, &out[i])))
            return hkd_fail(HKD_USAGE, "%s: backward reads output '%s', which is missing or has another shape", op->name,
                            op->out[i]);
    }
    if (!dev->supports(dev, op, backward))
        return hkd_fail(HKD_DEVICE, "%s: not provided by device %s%s", op->name, dev->kind, backward ? " (backward)" : "");
    return HKD_OK;
}

hkd_status hkd_device_forward(hkd_device *dev, const hkd_call *call) {
    const hkd_status status = check(dev, call, false);
    return status ? status : dev->forward(dev, call);
}

hkd_status hkd_device_backward(hkd_device *dev, const hkd_call *call) {
    const hkd_status status = check(dev, call, true);
    return status ? status : dev->backward(dev, call);
}

void hkd_each(const hkd_device *dev, int64_t count, void (*part)(void *self, int64_t i), void *self) {
    if (dev && dev->each) dev->each(dev, count, part, self);
    else
        for (int64_t i = 0; i < count; i++) part(self, i);
}

hkd_status hkd_tensor_new(hkd_device *dev, hkd_tensor *out, const hkd_shape *shape, hkd_role role) {
    *out = (hkd_tensor){*shape, NULL};
    return dev->alloc(dev, &out->buffer, dev->bytes(dev, shape, role), role);
}

void hkd_tensor_free(hkd_device *dev, hkd_tensor *t) {
    dev->release(dev, t->buffer);
    t->buffer = NULL;
}

void hkd_device_close(hkd_device *dev) {
    if (dev) dev->close(dev);
}
