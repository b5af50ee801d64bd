#include "fuzz.h"
#include "model_file.h"

#include <stdlib.h>
#include <string.h>

/* The bytes as hkd.config, and as a list of --fields. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    char *text = malloc(count + 1), *again = NULL;
    hkd_config c;
    if (!text) return 0;
    if (count) memcpy(text, bytes, count);
    text[count] = 0;
    if (!hkd_config_from_json(&c, text, count % 2, "fuzz") && hkd_config_to_json(&again, &c)) abort();
    free(again);
    c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.is_hkd = true;
    if (!hkd_config_set(&c, text, "fuzz") && hkd_config_check(&c)) abort();
    free(text);
    return 0;
}
