/* Lists every OpenCL device of every platform, best first. A platform that fails does not disable the others. */
#include "machines.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLATFORMS = 32, MOST_DEVICES = 64 };

static void text(cl_device_id id, cl_device_info what, char *out, size_t size) {
    out[0] = 0;
    if (clGetDeviceInfo(id, what, size - 1, out, NULL)) out[0] = 0;
    out[size - 1] = 0;
}

static hkd_cl_machine describe(cl_platform_id platform, cl_device_id id) {
    hkd_cl_machine m = {.platform = platform, .id = id};
    cl_bool unified = CL_FALSE;
    char extensions[8192] = "";
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof m.type, &m.type, NULL);
    clGetDeviceInfo(id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
    clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof m.memory, &m.memory, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof m.largest, &m.largest, NULL);
    clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof m.local, &m.local, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof m.group, &m.group, NULL);
    clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof m.units, &m.units, NULL);
    clGetDeviceInfo(id, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, sizeof m.float_width, &m.float_width, NULL);
    text(id, CL_DEVICE_NAME, m.name, sizeof m.name);
    text(id, CL_DEVICE_VENDOR, m.vendor, sizeof m.vendor);
    text(id, CL_DRIVER_VERSION, m.driver, sizeof m.driver);
    text(id, CL_DEVICE_VERSION, m.version, sizeof m.version);
    text(id, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof m.platform_name - 1, m.platform_name, NULL);
    clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof m.platform_version - 1, m.platform_version, NULL);
    m.unified = unified;
    m.half_float = strstr(extensions, "cl_khr_fp16") != NULL;
    m.double_float = strstr(extensions, "cl_khr_fp64") != NULL;
    return m;
}

/* Smaller is better. */
static int rank(const hkd_cl_machine *m) {
    if (m->type & CL_DEVICE_TYPE_GPU) return m->unified ? 1 : 0;
    return m->type & CL_DEVICE_TYPE_ACCELERATOR ? 2 : 3;
}

/* Insert so that equals keep the order in which the platforms named them. */
static void insert(hkd_cl_machine *list, int count, hkd_cl_machine m) {
    int at = count;
    for (; at > 0 && rank(&list[at - 1]) > rank(&m); at--) list[at] = list[at - 1];
    list[at] = m;
}

static void add_name(char *list, size_t size, cl_platform_id platform) {
    char name[128] = "";
    const size_t length = strlen(list);
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
    snprintf(list + length, size - length, "%s%s", length ? ", " : "", name);
}

hkd_status hkd_cl_machines(hkd_cl_machine **out, int *count, char *empty, size_t size) {
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_device_id ids[MOST_DEVICES];
    cl_uint platform_count = 0;
    *out = NULL;
    *count = 0;
    *empty = 0;
    if (clGetPlatformIDs(MOST_PLATFORMS, platforms, &platform_count)) return HKD_OK; /* -1001: the loader knows no platform */
    if (platform_count > MOST_PLATFORMS) platform_count = MOST_PLATFORMS;
    for (cl_uint p = 0; p < platform_count; p++) {
        cl_uint found = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, MOST_DEVICES, ids, &found) || !found) {
            add_name(empty, size, platforms[p]);
            continue;
        }
        if (found > MOST_DEVICES) found = MOST_DEVICES;
        hkd_cl_machine *longer = realloc(*out, ((size_t)*count + found) * sizeof **out);
        if (!longer) {
            free(*out);
            *out = NULL;
            return hkd_fail(HKD_RESOURCES, "opencl: out of memory");
        }
        *out = longer;
        for (cl_uint d = 0; d < found; d++) insert(*out, (*count)++, describe(platforms[p], ids[d]));
    }
    return HKD_OK;
}
