// dropout - Philox4x32-10 (ref/core/rng.h), a word per element, compared as an integer. A block of four words serves four
// neighbours; a work-item makes WIDTH blocks side by side, one in each lane of four vectors.

typedef JOIN(uint, WIDTH) uints;

// word[k]: the k-th word of the blocks first, first + 1, ...
inline void dropout_words(uints word[4], const uint first, const uint draw, const uint index, const uint purpose, uint key0,
                          uint key1) {
    word[0] = first + JOIN(convert_uint, WIDTH)(vec_lanes());
    word[1] = draw;
    word[2] = index;
    word[3] = purpose;
    for (int round = 0; round < 10; round++) {
        const uints left = 0xD2511F53u, right = 0xCD9E8D57u;
        const uints a = mul_hi(right, word[2]) ^ word[1] ^ key0, b = mul_hi(left, word[0]) ^ word[3] ^ key1;
        word[1] = right * word[2];
        word[3] = left * word[0];
        word[0] = a;
        word[2] = b;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// y [n, size] (+)= s x where the element's word is above `last`, else 0
kernel void dropout(global float *y, global const float *x, const int n, const int size, const float s, const uint last,
                    const uint key0, const uint key1, const uint first_index, const uint draw, const uint purpose,
                    const int accumulate) {
    const int parts = (size + 4 * WIDTH - 1) / (4 * WIDTH), id = get_global_id(0), image = id / parts;
    const int first = (id - image * parts) * WIDTH;
    if (image >= n) return;
    uints word[4];
    uint of[4][WIDTH];
    dropout_words(word, (uint)first, draw, first_index + (uint)image, purpose, key0, key1);
    for (int k = 0; k < 4; k++) vec_store(word[k], 0, of[k]);
    #pragma unroll
    for (int k = 0; k < 4 * WIDTH; k++) { // all indices of `of` are constants: it stays in registers
        const int i = 4 * first + k, at = image * size + i;
        if (i < size) put(of[k % 4][k / 4] > last ? s * x[at] : 0.0f, y, at, accumulate);
    }
}
