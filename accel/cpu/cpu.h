/* cpu.h - the cpu device: the operators in float32, threaded with OpenMP.
 *
 * Layout: an ACTIVATION of rank 4 is stored [N, H, W, C] (channels innermost); everything else (weights, their gradients
 * and states, arrays of other ranks) stays dense row-major as given. So element-wise operators see flat arrays, and a pixel's
 * channels are one vector.
 *
 * Every op file here is compiled once per instruction set (plain C, AVX2+FMA, AVX-512); HKD_CPU(name) gives its exported
 * row the name of that build, and device.c picks a table when it opens. No intrinsics, no assembly: vectors come from the
 * compiler, by plain loops or by the vector type of vector.h.
 *
 * Determinism: one image's forward result does not depend on threads or batch. Weight gradients are summed over canonical
 * groups of HKD_GROUP consecutive images, and the groups added in order.
 */
#ifndef HKD_CPU_H
#define HKD_CPU_H

#include "device.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define HKD_CPU_PASTE2(a, b) hkd_cpu_##a##_##b
#define HKD_CPU_PASTE(a, b) HKD_CPU_PASTE2(a, b)
#define HKD_CPU(name) HKD_CPU_PASTE(name, HKD_ISA)

enum {
    HKD_GROUP = 4,
    HKD_SMALL = 1 << 14, /* elements below which waking the threads costs more than the work: omp ... if (count > HKD_SMALL) */
    HKD_FEW_PRODUCTS = 1 << 18 /* the same in multiply-adds */
};

struct hkd_buffer {
    float *data;        /* 64-byte aligned; NULL while frozen */
    size_t bytes;
    hkd_role role;
    bool part;          /* of another buffer's data */
    /* A frozen WEIGHT: the form that its operator reads instead of the raw data, which is gone. Any write thaws it. */
    float *frozen;
    size_t frozen_bytes;
    int form;           /* the operator's own tag */
};

typedef struct {
    hkd_device base;
    int threads;
    bool direct;                      /* no Winograd */
    const struct hkd_cpu_isa *isa;
    float *scratch;                   /* grows to the largest workspace asked for, 64-byte aligned */
    size_t scratch_bytes;
} hkd_cpu;

/* One build of the hot files. The two functions measure the machine: they return the work done, floating point operations
 * and bytes moved. */
typedef struct hkd_cpu_isa {
    const char *name;
    const struct hkd_cpu_op *const *ops;
    double (*multiply_adds)(int threads, int64_t rounds);
    double (*triad)(int threads, float *a, const float *b, const float *c, int64_t count); /* a = b + 3 c */
} hkd_cpu_isa;

/* How the cpu runs one row. A kernel reads call->in, writes call->out (forward) or call->grad (backward). */
typedef struct hkd_cpu_op {
    const hkd_op *op;
    size_t (*workspace)(const hkd_cpu *cpu, const hkd_call *call, bool backward); /* bytes; NULL: none */
    hkd_status (*forward)(hkd_cpu *cpu, const hkd_call *call);
    hkd_status (*backward)(hkd_cpu *cpu, const hkd_call *call);                   /* NULL: not differentiable */
    hkd_status (*freeze)(hkd_cpu *cpu, const hkd_call *call);  /* see device.h; NULL: reads weights as they are */
    const hkd_spread *(*spread)(const hkd_cpu *cpu, const hkd_call *call);        /* see device.h; NULL: element-wise */
} hkd_cpu_op;

static inline float *hkd_cpu_data(const hkd_tensor *t) { return t->buffer ? t->buffer->data : NULL; }
static inline const float *hkd_cpu_frozen(const hkd_tensor *t) { return t->buffer ? t->buffer->frozen : NULL; }

/* Scratch memory of at least `bytes`, valid until the next call; contents are undefined. */
hkd_status hkd_cpu_scratch(hkd_cpu *cpu, float **out, size_t bytes);

/* Memory for a weight's frozen form, and its exchange for the raw data. */
typedef struct {
    float *data;
    size_t bytes;
} hkd_cpu_form;
hkd_status hkd_cpu_form_new(hkd_cpu_form *out, size_t floats);
void hkd_cpu_freeze(hkd_buffer *weight, hkd_cpu_form form, int tag);

/* The number of the calling thread within a parallel region. */
static inline int hkd_cpu_thread(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

hkd_status hkd_device_open_cpu(hkd_device **out, const hkd_device_options *options);

#endif
