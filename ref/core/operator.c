/* One operator on one device, called by its name on dense arrays of doubles (hkd.h). */
#include "device.h"
#include "status.h"

const char *hkd_operator_name(int index) {
    for (int i = 0; hkd_op_table[i]; i++)
        if (i == index) return hkd_op_table[i]->name;
    return NULL;
}

const char *hkd_operator_input(const char *op, int i) {
    const hkd_op *row = hkd_find_op(op);
    return row && i >= 0 && i < hkd_op_inputs(row) ? row->in[i] : NULL;
}

const char *hkd_operator_output(const char *op, int i) {
    const hkd_op *row = hkd_find_op(op);
    return row && i >= 0 && i < hkd_op_outputs(row) ? row->out[i] : NULL;
}

const char *hkd_operator_parameter(const char *op, int i, double *standard) {
    const hkd_op *row = hkd_find_op(op);
    if (!row || i < 0 || i >= hkd_op_params(row)) return NULL;
    *standard = row->param[i].value;
    return row->param[i].name;
}

bool hkd_operator_has_gradient(const char *op, int input) {
    const hkd_op *row = hkd_find_op(op);
    return row && row->backward && input >= 0 && input < hkd_op_inputs(row) && !(row->no_grad >> input & 1);
}

/* A call without tensors yet, and the shapes that it gives. */
static hkd_status prepare(hkd_call *call, hkd_shape *out_shape, const char *op, const double *params,
                          const hkd_shape *in_shape) {
    *call = (hkd_call){.op = hkd_find_op(op)};
    if (!call->op) return hkd_fail(HKD_USAGE, "operator '%s' does not exist", op);
    for (int i = 0; i < hkd_op_params(call->op); i++) call->p[i] = params ? params[i] : call->op->param[i].value;
    return hkd_op_shapes(call->op, out_shape, in_shape, call->p);
}

hkd_status hkd_operator_shapes(hkd_shape *out_shape, const char *op, const double *params, const hkd_shape *in_shape) {
    hkd_call call;
    hkd_shape shape[HKD_MAX_OUT];
    const hkd_status status = prepare(&call, shape, op, params, in_shape);
    for (int i = 0; !status && i < hkd_op_outputs(call.op); i++) out_shape[i] = shape[i];
    return status;
}

static hkd_status put(hkd_device *dev, hkd_tensor *t, const hkd_shape *shape, hkd_role role, const double *values) {
    const hkd_status status = hkd_tensor_new(dev, t, shape, role);
    return status || !values ? status : dev->upload(dev, t, values, HKD_F64);
}

static hkd_status forward(hkd_device *dev, hkd_call *call, const hkd_shape *out_shape, const hkd_shape *in_shape,
                          const double *const *in) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++) {
        const hkd_role role = call->op->weights >> i & 1 ? HKD_WEIGHT : HKD_ACTIVATION;
        if (in_shape[i].rank < 0) continue;
        status = in[i] ? put(dev, &call->in[i], &in_shape[i], role, in[i])
                       : hkd_fail(HKD_USAGE, "%s: input '%s' has a shape but no values", call->op->name,
                                  hkd_op_input_name(call->op, i));
    }
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++)
        status = put(dev, &call->out[i], &out_shape[i], HKD_ACTIVATION, NULL);
    return status ? status : hkd_device_forward(dev, call);
}

static hkd_status backward(hkd_device *dev, hkd_call *call, const double *const *up, double *const *grad) {
    hkd_status status = HKD_OK;
    for (int i = 0; !status && i < hkd_op_outputs(call->op); i++)
        status = up[i] ? put(dev, &call->up[i], &call->out[i].shape, HKD_ACTIVATION, up[i])
                       : hkd_fail(HKD_USAGE, "%s: the upstream gradient of '%s' is missing", call->op->name, call->op->out[i]);
    for (int i = 0; !status && i < hkd_op_inputs(call->op); i++) {
        const hkd_role role = call->op->weights >> i & 1 ? HKD_STATE : HKD_ACTIVATION;
        if (!grad[i]) continue;
        status = call->in[i].buffer && hkd_operator_has_gradient(call->op->name, i)
                     ? put(dev, &call->grad[i], &call->in[i].shape, role, NULL)
                     : hkd_fail(HKD_USAGE, "%s: input '%s' %s", call->op->name, hkd_op_input_name(call->op, i),
                                call->in[i].buffer ? "has no gradient" : "is not given: it has no gradient");
    }
    return status ? status : hkd_device_backward(dev, call);
}

static void release(hkd_device *dev, hkd_call *call) {
    for (int i = 0; i < HKD_MAX_IN; i++) hkd_tensor_free(dev, &call->in[i]), hkd_tensor_free(dev, &call->grad[i]);
    for (int i = 0; i < HKD_MAX_OUT; i++) hkd_tensor_free(dev, &call->out[i]), hkd_tensor_free(dev, &call->up[i]);
}

hkd_status hkd_operator_forward(hkd_device *dev, const char *op, const double *params, const hkd_shape *in_shape,
                                const double *const *in, double *const *out) {
    hkd_call call;
    hkd_shape shape[HKD_MAX_OUT];
    hkd_status status = prepare(&call, shape, op, params, in_shape);
    if (!status) status = forward(dev, &call, shape, in_shape, in);
    for (int i = 0; !status && i < hkd_op_outputs(call.op); i++)
        if (out[i]) status = dev->download(dev, out[i], HKD_F64, &call.out[i]);
    release(dev, &call);
    return status;
}

hkd_status hkd_operator_backward(hkd_device *dev, const char *op, const double *params, const hkd_shape *in_shape,
                                 const double *const *in, const double *const *up, double *const *grad) {
    hkd_call call;
    hkd_shape shape[HKD_MAX_OUT];
    hkd_status status = prepare(&call, shape, op, params, in_shape);
    if (!status && !call.op->backward) status = hkd_fail(HKD_USAGE, "%s has no gradient", op);
    if (!status) status = forward(dev, &call, shape, in_shape, in);
    if (!status) status = backward(dev, &call, up, grad);
    for (int i = 0; !status && i < hkd_op_inputs(call.op); i++)
        if (grad[i]) status = dev->download(dev, grad[i], HKD_F64, &call.grad[i]);
    release(dev, &call);
    return status;
}
