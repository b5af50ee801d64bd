#include "optimizer.h"

#include "exact.h"
#include "fused.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

double hkd_ema_decay(const hkd_average *a, double batch, double images) {
    const double grown = a->ramp * images, half_life = a->ramp > 0 && grown < a->half_life ? grown : a->half_life;
    return half_life > 0 ? hkd_pow(0.5, batch / half_life) : 0;
}

/* Room for the squares of the gradients, which leave the device together. */
static hkd_status allocate_norm(hkd_optimizer *o) {
    hkd_device *dev = o->weights->dev;
    const hkd_shape one = hkd_shape_of(2, (int64_t)1, (int64_t)1);
    const hkd_shape all = hkd_shape_of(2, (int64_t)1, (int64_t)o->weights->count);
    hkd_status status = hkd_tensor_new(dev, &o->square, &one, HKD_STATE);
    for (int k = 0; k < 2 && !status; k++) status = hkd_tensor_new(dev, &o->joined[k], &all, HKD_STATE);
    return status;
}

static hkd_status allocate(hkd_optimizer *o) {
    hkd_device *dev = o->weights->dev;
    hkd_status status = allocate_norm(o);
    for (int i = 0; i < o->weights->count && !status; i++) {
        const hkd_weight *w = &o->weights->item[i];
        if (!w->trained) continue;
        hkd_tensor *state[3] = {&o->m[i], &o->v[i], &o->ema[i]};
        if (o->settings.no_average) o->ema[i] = w->value;
        for (int k = 0; k < (o->settings.no_average ? 2 : 3) && !status; k++) {
            status = hkd_tensor_new(dev, state[k], &w->value.shape, HKD_STATE);
            if (!status) status = k < 2 ? dev->fill(dev, state[k], 0) : dev->copy(dev, state[k], &w->value);
        }
    }
    return status;
}

hkd_status hkd_optimizer_new(hkd_optimizer **out, hkd_weights *weights, const hkd_optimizer_settings *settings) {
    const size_t count = (size_t)weights->count + 1;
    hkd_optimizer *o = calloc(1, sizeof *o);
    *out = NULL;
    if (!o) return hkd_fail(HKD_RESOURCES, "out of memory for the optimiser");
    *o = (hkd_optimizer){.weights = weights, .settings = *settings, .m = calloc(count, sizeof *o->m),
                         .v = calloc(count, sizeof *o->v), .ema = calloc(count, sizeof *o->ema)};
    hkd_status status = o->m && o->v && o->ema ? hkd_weights_need_grad(weights)
                                               : hkd_fail(HKD_RESOURCES, "out of memory for the optimiser");
    if (!status) status = allocate(o);
    if (status) {
        hkd_optimizer_free(o);
        return status;
    }
    *out = o;
    return HKD_OK;
}

void hkd_optimizer_free(hkd_optimizer *o) {
    if (!o) return;
    hkd_device *dev = o->weights->dev;
    for (int i = 0; i < o->weights->count; i++) {
        if (o->m) hkd_tensor_free(dev, &o->m[i]);
        if (o->v) hkd_tensor_free(dev, &o->v[i]);
        if (o->ema && !o->settings.no_average) hkd_tensor_free(dev, &o->ema[i]);
    }
    hkd_tensor_free(dev, &o->square);
    for (int k = 0; k < 2; k++) hkd_tensor_free(dev, &o->joined[k]);
    free(o->m);
    free(o->v);
    free(o->ema);
    free(o);
}

/* The first n numbers of a row. */
static hkd_tensor first_of(const hkd_tensor *row, int64_t n) {
    return (hkd_tensor){hkd_shape_of(2, (int64_t)1, n), row->buffer};
}

/* The sum of squares of `grad`, behind the n that are there. */
static hkd_status add_square(hkd_optimizer *o, const hkd_tensor *grad, int64_t n) {
    hkd_device *dev = o->weights->dev;
    const hkd_tensor before = first_of(&o->joined[n % 2], n), after = first_of(&o->joined[(n + 1) % 2], n + 1);
    const hkd_call square = {.op = hkd_find_op("sum_squares"), .in = {*grad},
                             .out = {{hkd_shape_of(1, (int64_t)1), o->square.buffer}}};
    const hkd_call join = {.op = hkd_find_op("concat"), .in = {before, o->square}, .out = {after}};
    const hkd_status status = hkd_device_forward(dev, &square);
    return status ? status : hkd_device_forward(dev, &join);
}

hkd_status hkd_optimizer_gradient_norm(hkd_optimizer *o, double *norm) {
    hkd_device *dev = o->weights->dev;
    int64_t n = 0;
    hkd_status status = HKD_OK;
    for (int i = 0; i < o->weights->count && !status; i++)
        if (o->weights->item[i].trained) status = add_square(o, &o->weights->item[i].grad, n++);
    double *square = malloc(((size_t)n + 1) * sizeof *square), total = 0;
    const hkd_tensor all = first_of(&o->joined[n % 2], n);
    if (!status && !square) status = hkd_fail(HKD_RESOURCES, "out of memory for the gradient's norm");
    if (!status && n) status = dev->download(dev, square, HKD_F64, &all);
    for (int64_t i = 0; i < n && !status; i++) total += square[i];
    free(square);
    *norm = sqrt(total);
    return status;
}

static void set(hkd_call *call, const char *name, double value) {
    call->p[hkd_op_param_index(call->op, name)] = value;
}

/* The settings of this step; `op` is adam, radam, or either with the average in the same pass. */
static hkd_call step_call(const hkd_optimizer *o, const hkd_op *op, int i, double lr) {
    const hkd_tensor p = o->weights->item[i].value;
    hkd_call call = {.op = op, .in = {p, o->m[i], o->v[i], o->weights->item[i].grad}, .out = {p, o->m[i], o->v[i]}};
    for (int k = 0; k < hkd_op_params(op); k++) call.p[k] = op->param[k].value;
    set(&call, "lr", lr);
    set(&call, "beta1", o->settings.beta1);
    set(&call, "beta2", o->settings.beta2);
    set(&call, "eps", o->settings.eps);
    set(&call, "weight_decay", o->settings.weight_decay);
    set(&call, "t", (double)o->steps);
    return call;
}

/* One pass over memory where the device offers it. */
static hkd_status step_and_average(const hkd_optimizer *o, int i, double lr, double ema_decay) {
    hkd_device *dev = o->weights->dev;
    const hkd_op *one = o->settings.radam ? &hkd_op_radam_ema : &hkd_op_adam_ema;
    if (dev->supports(dev, one, false) && !o->settings.no_average) {
        hkd_call both = step_call(o, one, i, lr);
        both.in[4] = both.out[3] = o->ema[i];
        set(&both, "decay", ema_decay);
        return hkd_device_forward(dev, &both);
    }
    const hkd_call step = step_call(o, hkd_find_op(o->settings.radam ? "radam" : "adam"), i, lr);
    const hkd_call ema = {.op = hkd_find_op("ema"), .p = {ema_decay}, .in = {o->ema[i], step.out[0]}, .out = {o->ema[i]}};
    const hkd_status status = hkd_device_forward(dev, &step);
    return status || o->settings.no_average ? status : hkd_device_forward(dev, &ema);
}

hkd_status hkd_optimizer_step(hkd_optimizer *o, double lr, double ema_decay, double norm) {
    hkd_device *dev = o->weights->dev;
    o->steps++;
    for (int i = 0; i < o->weights->count; i++) {
        const hkd_weight *w = &o->weights->item[i];
        if (!w->trained) continue;
        hkd_status status = HKD_OK;
        if (o->settings.clip > 0 && norm > o->settings.clip) {
            const hkd_call clip = {.op = hkd_find_op("scale"), .p = {o->settings.clip / norm}, .in = {w->grad},
                                   .out = {w->grad}};
            status = hkd_device_forward(dev, &clip);
        }
        if (!status) status = step_and_average(o, i, lr, ema_decay);
        if (status) return status;
    }
    return HKD_OK;
}
