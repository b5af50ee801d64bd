#include "fuzz.h"
#include "rename.h"

#include <stdlib.h>

/* Rules for new names, on the names of two networks; whatever they say, names stay apart. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static const unsigned char one[4];
    static const char *const name[] = {"features.0.weight", "features.0.bias", "lin0.model.1.weight", "lin0.weight", "a", "ab"};
    hkd_tensor_list list = {0};
    for (int i = 0; i < 6; i++) {
        hkd_listed t = {.name = (char *)(uintptr_t)name[i], .type = HKD_FLOAT, .shape = {1, {1}}, .from = one, .room = 4};
        hkd_listed_dense(&t);
        if (hkd_tensor_list_add(&list, "fuzz", &t)) abort();
    }
    if (!hkd_rename_tensors(&list, fuzz_file("map.txt", bytes, count)))
        for (size_t i = 0; i < list.count; i++)
            if (hkd_tensor_list_find(&list, list.item[i].name) != &list.item[i]) abort();
    hkd_tensor_list_free(&list);
    return 0;
}
