/* sha256.h - the SHA-256 hash (FIPS 180-4): names model files and vectors. */
#ifndef HKD_SHA256_H
#define HKD_SHA256_H

#include "status.h"

typedef struct {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
} hkd_sha256;

void hkd_sha256_init(hkd_sha256 *hash);
void hkd_sha256_add(hkd_sha256 *hash, const void *bytes, size_t count);
void hkd_sha256_hex(char hex[65], hkd_sha256 *hash); /* ends the hash */
hkd_status hkd_sha256_of_file(char hex[65], const char *path);

#endif
