#include "sha256.h"
#include "os.h"

#include <string.h>

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t s[8], const unsigned char *block) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (int i = 16; i < 64; i++) {
        const uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    memcpy(v, s, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t e = v[4], a = v[0];
        const uint32_t t1 = v[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
        const uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) s[i] += v[i];
}

void hkd_sha256_init(hkd_sha256 *hash) {
    *hash = (hkd_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                   0x5be0cd19}};
}

void hkd_sha256_add(hkd_sha256 *hash, const void *bytes, size_t count) {
    const unsigned char *from = bytes;
    while (count) {
        const size_t used = hash->length % 64, n = count < 64 - used ? count : 64 - used;
        memcpy(hash->block + used, from, n);
        hash->length += n;
        from += n;
        count -= n;
        if (used + n == 64) compress(hash->state, hash->block);
    }
}

void hkd_sha256_hex(char hex[65], hkd_sha256 *hash) {
    static const char digit[] = "0123456789abcdef";
    const uint64_t bits = 8 * hash->length;
    hkd_sha256_add(hash, "\x80", 1);
    while (hash->length % 64 != 56) hkd_sha256_add(hash, "", 1);
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    hkd_sha256_add(hash, length, 8);
    for (int i = 0; i < 64; i++) hex[i] = digit[hash->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[64] = 0;
}

hkd_status hkd_sha256_of_file(char hex[65], const char *path) {
    hkd_file *file;
    hkd_status status = hkd_file_open(&file, path);
    if (status) return status;
    hkd_sha256 hash;
    hkd_sha256_init(&hash);
    unsigned char chunk[1 << 14];
    for (uint64_t at = 0, end = hkd_file_size(file); at < end && !status;) {
        const size_t n = end - at < sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        if (!(status = hkd_file_read(file, at, chunk, n))) hkd_sha256_add(&hash, chunk, n);
        at += n;
    }
    hkd_file_close(file);
    if (!status) hkd_sha256_hex(hex, &hash);
    return status;
}
