/* machines.h - the OpenCL devices of this computer, and how one is opened. */
#ifndef HKD_MACHINES_H
#define HKD_MACHINES_H

#include "device.h"

#include <CL/cl.h>

typedef struct {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_type type;
    bool unified;                              /* shares memory with the host */
    char name[128], vendor[128], driver[128], version[128], platform_name[128], platform_version[128];
    cl_ulong memory, largest, local;           /* bytes: global memory, largest allocation, local memory */
    size_t group;                              /* largest work-group */
    cl_uint units, float_width;
    bool half_float, double_float;
} hkd_cl_machine;

/* All devices of all platforms: GPUs with memory of their own, GPUs that share the host's, accelerators, CPUs. The position in
 * this list is the index that people use. The caller frees *out. No platform at all is not an error: *count is 0. `empty`: the
 * names of platforms without a device. */
hkd_status hkd_cl_machines(hkd_cl_machine **out, int *count, char *empty, size_t size);

/* Open the best device (which NULL or ""), the one with this index, or the first whose name contains this text.
 * options->isa: "cpu" or "gpu" forces a profile. */
hkd_status hkd_device_open_opencl(hkd_device **out, const char *which, const hkd_device_options *options);

/* What people should know about an open OpenCL device before they use it; "": nothing. */
void hkd_cl_remark(char *text, size_t size, const hkd_device *dev);

#endif
