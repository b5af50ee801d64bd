#include "dataset.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_labels labels;
    int label;
    if (hkd_labels_parse(&labels, "fuzz", (const char *)bytes, count)) return 0;
    hkd_labels_find(&label, &labels, "fuzz", "a");
    hkd_labels_free(&labels);
    return 0;
}
