/* A vector's call on a device. */
#include "test_vector.h"

#include "status.h"

#include <math.h>
#include <stdlib.h>

void hkd_vector_result_free(hkd_vector_result *r) {
    for (int i = 0; i < HKD_MAX_OUT; i++) free(r->out[i]);
    for (int i = 0; i < HKD_MAX_IN; i++) free(r->grad[i]), free(r->twice[i]);
    *r = (hkd_vector_result){.out = {NULL}};
}

static hkd_role role_of(const hkd_op *op, int input) { return op->weights >> input & 1 ? HKD_WEIGHT : HKD_ACTIVATION; }

/* A tensor on the device: `values`, or NaN everywhere when NULL. */
static hkd_status put(hkd_device *dev, hkd_tensor *t, const hkd_shape *shape, hkd_role role, const double *values) {
    hkd_status status = hkd_tensor_new(dev, t, shape, role);
    if (!status) status = values ? dev->upload(dev, t, values, HKD_F64) : dev->fill(dev, t, NAN);
    return status;
}

static hkd_status get(hkd_device *dev, double **out, const hkd_tensor *t) {
    *out = calloc((size_t)hkd_count(&t->shape) + 1, sizeof **out);
    return *out ? dev->download(dev, *out, HKD_F64, t) : hkd_fail(HKD_RESOURCES, "out of memory");
}

static hkd_status forward(hkd_vector_result *r, hkd_device *dev, const hkd_vector *v, hkd_call *call) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < HKD_MAX_PARAM; i++) call->p[i] = v->p[i];
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++)
        if (v->in[i]) status = put(dev, &call->in[i], &v->in_shape[i], role_of(v->op, i), v->in[i]);
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++)
        status = put(dev, &call->out[i], &v->out_shape[i], HKD_ACTIVATION, NULL);
    if (!status) status = hkd_device_forward(dev, call);
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++) status = get(dev, &r->out[i], &call->out[i]);
    return status;
}

static hkd_status backward(hkd_vector_result *r, hkd_device *dev, const hkd_vector *v, hkd_call *call) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_outputs(v->op); i++)
        status = put(dev, &call->up[i], &v->out_shape[i], HKD_ACTIVATION, v->up[i]);
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i])
            status = put(dev, &call->grad[i], &v->in_shape[i], role_of(v->op, i) == HKD_WEIGHT ? HKD_STATE : HKD_ACTIVATION,
                         NULL);
    if (!status) status = hkd_device_backward(dev, call);
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i]) status = get(dev, &r->grad[i], &call->grad[i]);
    for (int i = 0; i < HKD_MAX_IN; i++) call->accumulate[i] = true;
    if (!status) status = hkd_device_backward(dev, call);
    for (int i = 0; !status && i < hkd_op_inputs(v->op); i++)
        if (v->grad[i]) status = get(dev, &r->twice[i], &call->grad[i]);
    return status;
}

hkd_status hkd_vector_run(hkd_vector_result *out, hkd_device *dev, const hkd_vector *v) {
    *out = (hkd_vector_result){.out = {NULL}};
    hkd_call call = {.op = v->op};
    hkd_status status = forward(out, dev, v, &call);
    if (!status && v->up[0] && dev->supports(dev, v->op, true)) status = backward(out, dev, v, &call);
    for (int i = 0; i < HKD_MAX_IN; i++) hkd_tensor_free(dev, &call.in[i]), hkd_tensor_free(dev, &call.grad[i]);
    for (int i = 0; i < HKD_MAX_OUT; i++) hkd_tensor_free(dev, &call.out[i]), hkd_tensor_free(dev, &call.up[i]);
    if (status) hkd_vector_result_free(out);
    return status;
}
