/* What is said when something fails: one line with what happened, where, the numbers that matter and the remedy. */
#include "opencl.h"

#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *hkd_cl_error(char text[HKD_CL_TEXT], cl_int code) {
    static const struct {
        cl_int code;
        const char *name;
    } known[] = {
        {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
        {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
        {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
        {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
        {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
        {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
        {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
        {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE"},
        {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
        {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
        {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"},
        {CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE"},
        {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME"},
        {CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE"},
        {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
        {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
        {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
        {-1001, "no platform"},
        {-9999, "NVIDIA: a kernel read or wrote outside of its buffers"},
    };
    const char *name = "OpenCL error";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code) name = known[i].name;
    snprintf(text, HKD_CL_TEXT, "%s (%d)", name, code);
    return text;
}

hkd_status hkd_cl_out_of_memory(const hkd_cl *cl, size_t bytes, cl_int code) {
    const hkd_cl_machine *m = &cl->machine;
    const cl_ulong left = m->memory > cl->used ? m->memory - cl->used : 0;
    return hkd_fail(HKD_RESOURCES,
                    "opencl: out of memory: %zu bytes asked for, %llu available of the %llu of %s, which gives at most %llu at "
                    "once (%s); use a smaller --batch or --micro-batch", bytes, (unsigned long long)left,
                    (unsigned long long)m->memory, m->name, (unsigned long long)m->largest,
                    hkd_cl_error((char[HKD_CL_TEXT]){0}, code));
}

/* Many drivers take memory for a buffer when it is first used, so its lack shows here. */
hkd_status hkd_cl_failed(const hkd_cl *cl, const char *what, const char *name, cl_int code) {
    const hkd_cl_machine *m = &cl->machine;
    const char *error = hkd_cl_error((char[HKD_CL_TEXT]){0}, code);
    if (code != CL_MEM_OBJECT_ALLOCATION_FAILURE && code != CL_OUT_OF_RESOURCES && code != CL_OUT_OF_HOST_MEMORY)
        return hkd_fail(HKD_DEVICE, "opencl: %s%s on %s failed: %s", what, name, m->name, error);
    return hkd_fail(HKD_RESOURCES,
                    "opencl: %s%s on %s failed, probably out of memory: %zu bytes are in use of %llu (%s); use a smaller "
                    "--batch or --micro-batch", what, name, m->name, cl->used, (unsigned long long)m->memory, error);
}

static bool forbidden(const char *path) {
    errno = 0;
    FILE *node = fopen(path, "r+b");
    if (node) fclose(node);
    return !node && errno == EACCES;
}

bool hkd_cl_forbidden_node(char *path, size_t size, const char *folder) {
    for (int i = 128; i < 144; i++) { /* the kernel numbers render nodes so */
        snprintf(path, size, "%s/dri/renderD%d", folder, i);
        if (forbidden(path)) return true;
    }
    snprintf(path, size, "%s/kfd", folder); /* AMD's compute driver */
    return forbidden(path);
}

hkd_status hkd_cl_no_device(const char *empty_platforms, const char *folder) {
    char node[512];
    if (hkd_cl_forbidden_node(node, sizeof node, folder))
        return hkd_fail(HKD_DEVICE, "opencl: no device found, and %s may not be opened; add yourself to the groups render and "
                        "video, then log in again", node);
    if (strstr(empty_platforms, "Portable Computing Language"))
        return hkd_fail(HKD_DEVICE, "opencl: no device found: PoCL is installed but offers none, as it does when it cannot "
                        "write to its cache; set POCL_CACHE_DIR to a folder that you may write to");
    if (*empty_platforms)
        return hkd_fail(HKD_DEVICE, "opencl: no device found: %s is installed but offers none; is the GPU's driver loaded?",
                        empty_platforms);
    return hkd_fail(HKD_DEVICE, "opencl: no device found; install your driver's OpenCL package (rocm-opencl-runtime,"
                    " intel-opencl-icd, mesa-opencl-icd; pocl-opencl-icd for any processor)");
}

void hkd_cl_remark(char *text, size_t size, const hkd_device *dev) {
    const hkd_cl *cl = (const hkd_cl *)(const void *)dev;
    char node[512];
    *text = 0;
    if (cl->unproved) snprintf(text, size, "its self-check was left out (--force): results may be wrong");
    else if (cl->machine.type & CL_DEVICE_TYPE_CPU && hkd_cl_forbidden_node(node, sizeof node, "/dev"))
        snprintf(text, size, "this is the processor: of a GPU, %s may not be opened; add yourself to the groups render and "
                 "video, then log in again", node);
}
