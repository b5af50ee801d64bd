#include "on_cpu.h"

#include "cpu.h"
#include "test.h"

#include <math.h>

const char *const cpu_builds[CPU_BUILDS] = {"plain", "avx2", "avx512"};

bool cpu_runs(const char *build, const char *suite) {
    hkd_device *dev;
    const bool runs = !hkd_device_open_cpu(&dev, &(hkd_device_options){.threads = 1, .isa = build});
    if (runs) hkd_device_close(dev);
    else test_skip(suite, hkd_last_error());
    return runs;
}

void on_cpu(double *const *out, const char *op, const double *p, const hkd_shape *in_shape, const double *const *in,
            hkd_role role, bool in_place) {
    hkd_device *dev;
    const hkd_device_options options = {.threads = 2};
    hkd_call call = {.op = hkd_find_op(op)};
    hkd_shape out_shape[HKD_MAX_OUT];
    if (!CHECK(!hkd_device_open_cpu(&dev, &options), "%s", hkd_last_error())) return;
    for (int i = 0; i < hkd_op_params(call.op); i++) call.p[i] = p[i];
    CHECK(!hkd_op_shapes(call.op, out_shape, in_shape, p), "%s", hkd_last_error());
    for (int i = 0; i < hkd_op_inputs(call.op); i++) {
        hkd_tensor_new(dev, &call.in[i], &in_shape[i], role);
        dev->upload(dev, &call.in[i], in[i], HKD_F64);
    }
    for (int i = 0; i < hkd_op_outputs(call.op); i++)
        if (in_place && call.op->in_place >> i & 1) call.out[i] = call.in[i];
        else hkd_tensor_new(dev, &call.out[i], &out_shape[i], role);
    CHECK(!hkd_device_forward(dev, &call), "%s", hkd_last_error());
    for (int i = 0; i < hkd_op_outputs(call.op); i++) {
        dev->download(dev, out[i], HKD_F64, &call.out[i]);
        if (call.out[i].buffer != call.in[i].buffer) hkd_tensor_free(dev, &call.out[i]);
    }
    for (int i = 0; i < hkd_op_inputs(call.op); i++) hkd_tensor_free(dev, &call.in[i]);
    hkd_device_close(dev);
}

double share_of_allowance(double got, double y, double bound) {
    int exponent;
    frexp(y, &exponent);
    const double ulp = ldexp(1, exponent < -125 ? -149 : exponent - 24);
    const double share = fabs(got - y) / (bound / 16777216 + ulp / 2);
    return isnan(share) ? HUGE_VAL : share;
}
