/* device.h - what runs operators: a struct of function pointers over opaque buffers.
 *
 * Three devices: ref (doubles, the plain functions of ref/op), cpu (floats, OpenMP), opencl. A device chooses its own layout
 * inside; upload and download speak dense row-major (NCHW). An operator that a device lacks is reported, never replaced.
 */
#ifndef HKD_DEVICE_H
#define HKD_DEVICE_H

#include "op.h"

typedef struct hkd_buffer hkd_buffer; /* memory on a device; each device defines its own */

/* What a buffer is for. Gradients and optimiser state of weights are STATE, gradients of activations ACTIVATION.
 * Weights may carry derived forms (packed, transformed); every write to a weight through this interface voids them. */
typedef enum { HKD_ACTIVATION, HKD_WEIGHT, HKD_STATE } hkd_role;
typedef enum { HKD_F32, HKD_F64 } hkd_dtype;
enum { HKD_WORKSPACES = 4 + HKD_MAX_IN + HKD_MAX_OUT };

typedef struct {
    hkd_shape shape;
    hkd_buffer *buffer; /* NULL: absent */
} hkd_tensor;

/* One operator call on a device's tensors, forward or backward. */
typedef struct {
    const hkd_op *op;
    double p[HKD_MAX_PARAM];
    hkd_tensor in[HKD_MAX_IN];
    hkd_tensor out[HKD_MAX_OUT];
    hkd_tensor up[HKD_MAX_OUT];    /* backward: upstream gradient of every output */
    hkd_tensor grad[HKD_MAX_IN];   /* backward: where gradients go; buffer NULL = not wanted */
    bool accumulate[HKD_MAX_IN];   /* add to grad[i] instead of writing it first */
} hkd_call;

/* What an algorithm declares whose error is not element-wise: arrays of rank 4 are judged, per tile of `tile` x `tile` in their
 * last two extents, with the largest bound in the tile times `factor`. */
typedef struct {
    const char *name;              /* "winograd F(4x4,3x3)" */
    double factor;                 /* derived where the algorithm stands */
    int64_t tile;
    bool exact;                    /* exact on exact vectors, as F(2x2) is: its transforms are made of halves */
} hkd_spread;

struct hkd_device {
    const char *kind;              /* "ref", "cpu", "opencl" */
    char name[160];                /* what it runs on, for people */
    int threads;                   /* of the host, for `each` */
    /* Run the independent parts 0 .. count - 1 of a piece of work on the host's threads. NULL: there is one. */
    void (*each)(const hkd_device *dev, int64_t count, void (*part)(void *self, int64_t i), void *self);

    size_t (*bytes)(const hkd_device *dev, const hkd_shape *shape, hkd_role role);
    hkd_status (*alloc)(hkd_device *dev, hkd_buffer **out, size_t bytes, hkd_role role);
    void (*release)(hkd_device *dev, hkd_buffer *buffer); /* NULL is fine */
    /* A buffer that is part of another, which must outlive it; `at` is a multiple of 64. NULL: memory comes in pieces. */
    hkd_status (*slice)(hkd_device *dev, hkd_buffer **out, hkd_buffer *whole, size_t at, size_t bytes);
    hkd_status (*upload)(hkd_device *dev, const hkd_tensor *to, const void *from, hkd_dtype type);
    /* Where memory is the host's, this uses no threads: a copy of this process may download, too. */
    hkd_status (*download)(hkd_device *dev, void *to, hkd_dtype type, const hkd_tensor *from);
    hkd_status (*fill)(hkd_device *dev, const hkd_tensor *to, double value);
    hkd_status (*copy)(hkd_device *dev, const hkd_tensor *to, const hkd_tensor *from); /* same shape, same role */
    hkd_status (*sync)(hkd_device *dev);

    bool (*supports)(const hkd_device *dev, const hkd_op *op, bool backward);
    /* Scratch bytes of a call, for the prediction; the device keeps each of the parts at the largest that it has met. */
    void (*workspace)(const hkd_device *dev, const hkd_call *call, bool backward, size_t part[HKD_WORKSPACES]);
    /* Bytes that can still be allocated, and at most at once. NULL: the host's, which nobody counts. */
    void (*memory)(const hkd_device *dev, size_t *left, size_t *largest);
    hkd_status (*forward)(hkd_device *dev, const hkd_call *call);
    hkd_status (*backward)(hkd_device *dev, const hkd_call *call);
    /* Prepare the weights of this forward call once, for many runs of it: they keep only the form that it reads. Until the
     * weight is written again (which thaws it) other calls that read it fail. NULL: there is nothing to prepare. */
    hkd_status (*freeze)(hkd_device *dev, const hkd_call *call);
    /* Bytes that a weight takes as it is now, prepared or not. NULL: `bytes` of its shape, always. */
    size_t (*held)(const hkd_device *dev, const hkd_tensor *weight);
    /* The declaration of the algorithm that this call will run, by its shapes alone; NULL, or no function: element-wise. */
    const hkd_spread *(*spread)(const hkd_device *dev, const hkd_call *call);
    void (*close)(hkd_device *dev);
};

/* Check a call against its row (shapes, presence) and the device, then run it: the only way calls reach a device. */
hkd_status hkd_device_forward(hkd_device *dev, const hkd_call *call);
hkd_status hkd_device_backward(hkd_device *dev, const hkd_call *call);

/* dev->each; one part after the other without it, and with dev NULL. */
void hkd_each(const hkd_device *dev, int64_t count, void (*part)(void *self, int64_t i), void *self);

/* A tensor with its own buffer. */
hkd_status hkd_tensor_new(hkd_device *dev, hkd_tensor *out, const hkd_shape *shape, hkd_role role);
void hkd_tensor_free(hkd_device *dev, hkd_tensor *t);

hkd_status hkd_device_open_ref(hkd_device **out, const hkd_device_options *options); /* ref/core/device_ref.c */

#endif
