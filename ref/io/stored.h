/* stored.h - the element types of tensor files, little-endian, and their conversion from and to float and double. */
#ifndef HKD_STORED_H
#define HKD_STORED_H

#include "device.h"

/* All types of safetensors, in the order that its writer sorts by. */
typedef enum {
    HKD_BOOL, HKD_F4, HKD_F6_E2M3, HKD_F6_E3M2, HKD_U8, HKD_I8, HKD_F8_E5M2, HKD_F8_E4M3, HKD_F8_E8M0, HKD_F8_E4M3FNUZ,
    HKD_F8_E5M2FNUZ, HKD_I16, HKD_U16, HKD_F16, HKD_BF16, HKD_I32, HKD_U32, HKD_FLOAT, HKD_C64, HKD_DOUBLE, HKD_I64, HKD_U64,
    HKD_STORED_TYPES
} hkd_stored;

const char *hkd_stored_name(hkd_stored type);       /* "F32" */
hkd_stored hkd_stored_by_name(const char *name);    /* HKD_STORED_TYPES: none */
unsigned hkd_stored_bits(hkd_stored type);
/* Can it be converted? The types of 4 and 6 bits, F8 and C64 are recognised and measured only. */
bool hkd_stored_convertible(hkd_stored type);

/* From and to `count` elements in a file, wherever they lie. Encoding rounds to nearest even, once; integers saturate and
 * NaN becomes 0. The type must be convertible. */
void hkd_stored_decode(void *to, hkd_dtype as, const unsigned char *from, hkd_stored type, size_t count);
void hkd_stored_encode(unsigned char *to, hkd_stored type, const void *from, hkd_dtype as, size_t count);
/* U64 and I64 without the way through floating point; negative numbers keep their bits. */
void hkd_stored_decode_u64(uint64_t *to, const unsigned char *from, size_t count);
void hkd_stored_encode_u64(unsigned char *to, const uint64_t *from, size_t count);

#endif
