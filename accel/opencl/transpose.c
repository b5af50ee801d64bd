/* Matrices turned for the contraction, which reads B along n. */
#include "opencl.h"

hkd_status hkd_cl_transpose(hkd_cl *cl, hkd_buffer *to, const hkd_buffer *from, int64_t batch, int64_t rows, int64_t columns) {
    const int64_t count = batch * ((rows + cl->width - 1) / cl->width) * ((columns + cl->width - 1) / cl->width);
    return hkd_cl_deep_items(cl, "transpose", count, (int64_t)cl->width * cl->width, hkd_cl_memory(to),
                             hkd_cl_memory(from), hkd_cl_int(count), hkd_cl_int(rows), hkd_cl_int(columns));
}
