// dropout - Philox4x32-10 (ref/core/rng.h), a word per element, compared as an integer.

inline uint4 dropout_words(const uint four, const uint draw, const uint index, const uint purpose, uint key0, uint key1) {
    uint4 c = (uint4)(four, draw, index, purpose);
    for (int round = 0; round < 10; round++) {
        const uint left = 0xD2511F53u, right = 0xCD9E8D57u;
        c = (uint4)(mul_hi(right, c.s2) ^ c.s1 ^ key0, right * c.s2, mul_hi(left, c.s0) ^ c.s3 ^ key1, left * c.s0);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}

// y [n, size] (+)= s x where the element's word is above `last`, else 0; four neighbours to a work-item, as Philox gives them
kernel void dropout(global float *y, global const float *x, const int n, const int size, const float s, const uint last,
                    const uint key0, const uint key1, const uint first_index, const uint draw, const uint purpose,
                    const int accumulate) {
    const int fours = (size + 3) / 4, id = get_global_id(0), image = id / fours, four = id - image * fours;
    if (image >= n) return;
    uint word[4];
    vstore4(dropout_words((uint)four, draw, first_index + (uint)image, purpose, key0, key1), 0, word);
    for (int k = 0; k < min(4, size - 4 * four); k++) {
        const int i = image * size + 4 * four + k;
        put(word[k] > last ? s * x[i] : 0.0f, y, i, accumulate);
    }
}
