/* Builds the program of all kernels and launches them by name. */
#include "tune.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const unsigned char hkd_cl_source[];
extern const size_t hkd_cl_source_size;
extern const unsigned char hkd_cl_contract_source[]; /* common.cl and contract.cl alone */
extern const size_t hkd_cl_contract_source_size;

enum { ITEMS = 256 }; /* work-items per group of an element-wise launch, where the device allows so many */
enum { FLUSH = 64 };  /* launches */

/* The log may be long: a message has room for its first error, from the file and line it names; the rest goes to a file. */
hkd_status hkd_cl_build_failed(const hkd_cl *cl, const char *log, cl_int code) {
    const char *text = *log ? log : "the driver left no log; its compiler may be missing or not match the driver";
    const char *error = strstr(text, "error");
    char shown[640], path[1024], where[1100] = "", *end = shown;
    while (error && error > text && error[-1] != '\n') error--;
    if (hkd_cl_keep_log(path, sizeof path, cl, log)) snprintf(where, sizeof where, "; the whole log: %s", path);
    for (const char *c = error ? error : text; *c && end < shown + sizeof shown - 1; c++) *end++ = *c == '\n' ? ' ' : *c;
    *end = 0;
    return hkd_fail(HKD_DEVICE, "opencl: the kernels do not build on %s, driver %s: %s: %s%s", cl->machine.name,
                    cl->machine.driver, hkd_cl_error((char[HKD_CL_TEXT]){0}, code), shown, where);
}

static hkd_status build_failure(const hkd_cl *cl, cl_int code) {
    size_t size = 0;
    clGetProgramBuildInfo(cl->program, cl->machine.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(size + 1, 1);
    if (log) clGetProgramBuildInfo(cl->program, cl->machine.id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    const hkd_status status = hkd_cl_build_failed(cl, log ? log : "", code);
    free(log);
    return status;
}

static cl_int compile(hkd_cl *cl) { return clBuildProgram(cl->program, 1, &cl->machine.id, cl->options, NULL, NULL); }

/* From the cache; whatever is wrong with the entry, false and no program. */
static bool build_cached(hkd_cl *cl) {
    unsigned char *bytes;
    size_t size;
    if (!hkd_cl_recall(cl, "program", &bytes, &size)) return false;
    const unsigned char *binary = bytes;
    cl_int status = CL_SUCCESS, code;
    cl->program = clCreateProgramWithBinary(cl->context, 1, &cl->machine.id, &size, &binary, &status, &code);
    free(bytes);
    if (!code && !status && !compile(cl)) return true;
    if (cl->program) clReleaseProgram(cl->program);
    cl->program = NULL;
    return false;
}

static void keep_binary(const hkd_cl *cl) {
    size_t size = 0;
    if (clGetProgramInfo(cl->program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) || !size) return;
    unsigned char *bytes = malloc(size);
    if (bytes && !clGetProgramInfo(cl->program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL))
        hkd_cl_remember(cl, "program", bytes, size);
    free(bytes);
}

hkd_status hkd_cl_build(hkd_cl *cl, bool use_cache) {
    cl->from_cache = cl->keeps_binaries && use_cache && build_cached(cl);
    if (cl->from_cache) return HKD_OK;
    const char *source = (const char *)hkd_cl_source;
    cl_int code;
    cl->program = clCreateProgramWithSource(cl->context, 1, &source, &hkd_cl_source_size, &code);
    if (code) return hkd_cl_failed(cl, "making the program", "", code);
    code = compile(cl);
    if (code) return build_failure(cl, code);
    if (cl->keeps_binaries) keep_binary(cl);
    return HKD_OK;
}

void hkd_cl_forget_program(hkd_cl *cl) {
    for (int i = 0; i < cl->kernel_count; i++) clReleaseKernel(cl->kernels[i].kernel);
    for (int i = 0; i < HKD_CL_WAYS; i++) {
        if (cl->tiles[i]) clReleaseProgram(cl->tiles[i]);
        cl->tiles[i] = NULL;
    }
    if (cl->program) clReleaseProgram(cl->program);
    cl->kernel_count = 0;
    cl->program = NULL;
}

/* The program that holds a kernel: contract with another tile than the profile's is a small program of its own. */
static hkd_status program_of(hkd_cl *cl, const char *kernel, cl_program *out) {
    int i = 0;
    while (hkd_cl_ways[i].name && strcmp(hkd_cl_ways[i].name, kernel) != 0) i++;
    *out = hkd_cl_ways[i].name ? cl->tiles[i] : cl->program;
    if (*out) return HKD_OK;
    const char *source = (const char *)hkd_cl_contract_source;
    char options[sizeof cl->options + 80];
    cl_int code;
    snprintf(options, sizeof options, "%s -DTILE_M=%d -DTILE_V=%d -Dcontract=%s", cl->options, hkd_cl_ways[i].m,
             hkd_cl_ways[i].v, kernel);
    cl_program made = clCreateProgramWithSource(cl->context, 1, &source, &hkd_cl_contract_source_size, &code);
    if (code) return hkd_cl_failed(cl, "making the program of kernel ", kernel, code);
    code = clBuildProgram(made, 1, &cl->machine.id, options, NULL, NULL);
    if (code) {
        clReleaseProgram(made);
        return hkd_cl_failed(cl, "building kernel ", kernel, code);
    }
    *out = cl->tiles[i] = made;
    return HKD_OK;
}

static hkd_status kernel_of(hkd_cl *cl, const char *name, hkd_cl_kernel **out) {
    for (int i = 0; i < cl->kernel_count; i++)
        if (cl->kernels[i].name == name || !strcmp(cl->kernels[i].name, name)) {
            *out = &cl->kernels[i];
            return HKD_OK;
        }
    if (cl->kernel_count == (int)(sizeof cl->kernels / sizeof *cl->kernels))
        return hkd_fail(HKD_DEVICE, "opencl: no room for kernel '%s'", name);
    cl_program program;
    cl_int code;
    const hkd_status status = program_of(cl, name, &program);
    if (status) return status;
    hkd_cl_kernel k = {.name = name, .kernel = clCreateKernel(program, name, &code)};
    if (code) return hkd_cl_failed(cl, "taking from the program kernel ", name, code);
    if (clGetKernelWorkGroupInfo(k.kernel, cl->machine.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof k.group, &k.group, NULL))
        k.group = 1;
    *out = &cl->kernels[cl->kernel_count];
    cl->kernels[cl->kernel_count++] = k;
    return HKD_OK;
}

/* Some drivers collect commands without end, and then run them as one piece. */
static cl_int enqueue(hkd_cl *cl, cl_kernel kernel, const size_t first[3], const size_t global[3], const size_t local[3]) {
    const cl_int code = clEnqueueNDRangeKernel(cl->queue, kernel, 3, first, global, local, 0, NULL, NULL);
    if (code || ++cl->unflushed < FLUSH) return code;
    cl->unflushed = 0;
    return clFlush(cl->queue);
}

/* Groups along x from `first` on. */
static hkd_status launch_from(hkd_cl *cl, const char *name, size_t first, const size_t groups[3], size_t local,
                              const hkd_cl_arg *args, int count) {
    if (cl->seen) return HKD_OK;
    hkd_cl_kernel *k;
    const hkd_status status = kernel_of(cl, name, &k);
    if (status) return status;
    if (groups[0] == 0 || groups[1] == 0 || groups[2] == 0) return HKD_OK;
    if (local > k->group)
        return hkd_fail(HKD_DEVICE, "opencl: kernel '%s' needs work-groups of %zu, %s allows it %zu", name, local,
                        cl->machine.name, k->group);
    for (int i = 0; i < count; i++) {
        const void *value = args[i].structure ? args[i].structure : (const void *)&args[i].value;
        const cl_int code = clSetKernelArg(k->kernel, (cl_uint)i, args[i].size, value);
        if (code) return hkd_cl_failed(cl, "giving arguments to kernel ", name, code);
    }
    const size_t offset[3] = {first * local, 0, 0}, global[3] = {groups[0] * local, groups[1], groups[2]};
    const size_t locals[3] = {local, 1, 1};
    const cl_int code = enqueue(cl, k->kernel, first ? offset : NULL, global, locals);
    return code ? hkd_cl_failed(cl, "kernel ", name, code) : HKD_OK;
}

hkd_status hkd_cl_launch(hkd_cl *cl, const char *name, const size_t groups[3], size_t local, const hkd_cl_arg *args,
                         int count) {
    return launch_from(cl, name, 0, groups, local, args, count);
}

/* `groups` groups, of which each reads `visits` elements. */
static hkd_status launch_pieces(hkd_cl *cl, const char *name, int64_t groups, int64_t visits, size_t local,
                                const hkd_cl_arg *args, int count) {
    const int64_t fit = cl->most_visits / (visits > 0 ? visits : 1), step = fit > 0 ? fit : 1;
    hkd_status status = HKD_OK;
    for (int64_t first = 0; !status && first < groups; first += step) {
        const size_t piece[3] = {(size_t)(groups - first < step ? groups - first : step), 1, 1};
        status = launch_from(cl, name, (size_t)first, piece, local, args, count);
    }
    return status;
}

hkd_status hkd_cl_launch_items(hkd_cl *cl, const char *name, int64_t n, int64_t visits, const hkd_cl_arg *args, int count) {
    hkd_cl_kernel *k;
    const hkd_status status = kernel_of(cl, name, &k);
    if (status) return status;
    int64_t local = ITEMS;
    while (local > (int64_t)k->group) local /= 2;
    return launch_pieces(cl, name, (n + local - 1) / local, visits * local, (size_t)local, args, count);
}

hkd_status hkd_cl_launch_rows(hkd_cl *cl, const char *name, int64_t n, int64_t visits, const hkd_cl_arg *args, int count) {
    return launch_pieces(cl, name, n, visits, (size_t)cl->lanes, args, count);
}

hkd_status hkd_cl_sum_rows(hkd_cl *cl, hkd_buffer *sums, const hkd_buffer *x, int64_t rows, int64_t length, bool accumulate) {
    return hkd_cl_rows(cl, "sum_rows", rows, length, hkd_cl_memory(sums), hkd_cl_memory(x), hkd_cl_int(length),
                       hkd_cl_int(accumulate));
}

hkd_status hkd_cl_fold(hkd_cl *cl, hkd_buffer *to, const hkd_buffer *x, int64_t n, int64_t count, int64_t group,
                       bool accumulate) {
    return hkd_cl_deep_runs(cl, "fold", 1, count, n, hkd_cl_memory(to), hkd_cl_memory(x), hkd_cl_int(1), hkd_cl_int(count),
                       hkd_cl_int(n), hkd_cl_int(group), hkd_cl_int(accumulate));
}
