/* Opens a device by the name that people give it: the one place that knows all of them. */
#include "cpu.h"
#include "status.h"
#ifdef HKD_OPENCL
#include "machines.h"
#endif

#include <string.h>

#ifdef _OPENMP
static void in_threads(const hkd_device *dev, int64_t count, void (*part)(void *self, int64_t i), void *self) {
    #pragma omp parallel for num_threads(dev->threads) schedule(dynamic)
    for (int64_t i = 0; i < count; i++) part(self, i);
}
#endif

static hkd_status open_named(hkd_device **out, const char *name, const hkd_device_options *options) {
    *out = NULL;
    if (options->half && strncmp(name, "opencl", 6) != 0)
        return hkd_fail(HKD_USAGE, "device %s: only opencl stores in half precision (--half)", name);
    if (!strcmp(name, "ref")) return hkd_device_open_ref(out, options);
    if (!strcmp(name, "cpu")) return hkd_device_open_cpu(out, options);
    if (!strncmp(name, "opencl", 6) && (!name[6] || name[6] == ':'))
#ifdef HKD_OPENCL
        return hkd_device_open_opencl(out, name[6] ? name + 7 : NULL, options);
#else
        return hkd_fail(HKD_DEVICE, "device %s: not supported, built without OpenCL", name);
#endif
    return hkd_fail(HKD_USAGE, "device %s: expected ref, cpu or opencl[:N|:NAME]", name);
}

hkd_status hkd_device_open(hkd_device **out, const char *name, const hkd_device_options *options) {
    const hkd_device_options standard = {0};
    if (!options) options = &standard;
    const hkd_status status = open_named(out, name, options);
#ifdef _OPENMP
    if (!status) (*out)->threads = options->threads > 0 ? options->threads : omp_get_num_procs();
    if (!status) (*out)->each = in_threads;
#endif
    return status;
}
