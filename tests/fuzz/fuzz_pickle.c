#include "fuzz.h"
#include "tensor_list.h"

#include <stdlib.h>

/* Pickles, streams of torch.save, .npz and .npy: whatever the bytes begin with. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_tensor_list list;
    if (hkd_tensor_list_read_memory(&list, "fuzz", bytes, count)) return 0;
    for (size_t i = 0; i < list.count; i++) {
        void *values = malloc((size_t)hkd_count(&list.item[i].shape) * sizeof(double) + 1);
        if (values) hkd_listed_values(values, HKD_F64, &list.item[i]);
        free(values);
    }
    hkd_tensor_list_free(&list);
    return 0;
}
