// dropout - Philox4x32-10 (ref/core/rng.h), a word per element, compared as an integer.

inline uint dropout_word(const uint element, const uint draw, const uint index, const uint purpose, uint key0, uint key1) {
    uint4 c = (uint4)(element / 4u, draw, index, purpose);
    for (int round = 0; round < 10; round++) {
        const uint left = 0xD2511F53u, right = 0xCD9E8D57u;
        c = (uint4)(mul_hi(right, c.s2) ^ c.s1 ^ key0, right * c.s2, mul_hi(left, c.s0) ^ c.s3 ^ key1, left * c.s0);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    const uint pair = element % 4u < 2u ? c.s0 : c.s2, other = element % 4u < 2u ? c.s1 : c.s3;
    return element % 2u == 0u ? pair : other;
}

// y [n, size] (+)= s x where the element's word is above `last`, else 0
kernel void dropout(global float *y, global const float *x, const int count, const int size, const float s, const uint last,
                    const uint key0, const uint key1, const uint first_index, const uint draw, const uint purpose,
                    const int accumulate) {
    const int i = get_global_id(0);
    if (i >= count) return;
    const uint word = dropout_word((uint)(i % size), draw, first_index + (uint)(i / size), purpose, key0, key1);
    put(word > last ? s * x[i] : 0.0f, y, i, accumulate);
}
