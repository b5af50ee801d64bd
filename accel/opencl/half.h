/* half.h - activations stored as float16 (hkd_device_options.half): half the memory, arithmetic in float32 as ever.
 *
 * A call's operands are widened into float32 scratch buffers by vload_half, the operator runs on those, and its results are
 * stored by vstore_half, rounded to nearest; where images do not meet, a few at a time, so that scratch stays small.
 * Weights stay float32, and so does what has one number per image (noise levels, times): its error would move a whole picture.
 * There are no gradients: small ones would become 0, and a softmax computes its own from a stored result.
 */
#ifndef HKD_HALF_H
#define HKD_HALF_H

#include "opencl.h"

bool hkd_cl_is_half(const hkd_cl *cl, const hkd_shape *shape, hkd_role role);
/* Run a row's forward, by `run`, on widened operands; with float32 storage, on the operands themselves. */
typedef hkd_status hkd_cl_runner(hkd_cl *cl, const hkd_cl_op *row, const hkd_call *call);
hkd_status hkd_cl_half_call(hkd_cl *cl, hkd_cl_runner *run, const hkd_cl_op *row, const hkd_call *call);
/* Bytes that such a call needs: of scratch, and behind those of its widened operands. */
void hkd_cl_half_workspace(const hkd_cl *cl, const hkd_cl_op *row, const hkd_call *call, size_t part[HKD_WORKSPACES]);
/* A whole tensor from and to the host, or filled. */
hkd_status hkd_cl_half_upload(hkd_cl *cl, const hkd_tensor *to, const void *from, hkd_dtype type);
hkd_status hkd_cl_half_download(hkd_cl *cl, void *to, hkd_dtype type, const hkd_tensor *from);
hkd_status hkd_cl_half_fill(hkd_cl *cl, const hkd_tensor *to, double value);

#endif
