/* vector.h - one vector of floats, by the compilers' vector extension; HKD_VECTOR_BYTES is its width in this build.
 *
 * Arithmetic is written with + - * on hkd_vec; a float operand is spread over the vector. A compiler without the extension
 * gets vectors of one float: the same source, in plain C99.
 */
#ifndef HKD_VECTOR_H
#define HKD_VECTOR_H

#include <stdint.h>

#ifndef HKD_VECTOR_BYTES
#if defined(__AVX512F__)
#define HKD_VECTOR_BYTES 64
#elif defined(__AVX__)
#define HKD_VECTOR_BYTES 32
#elif defined(__GNUC__)
#define HKD_VECTOR_BYTES 16
#else
#define HKD_VECTOR_BYTES 4
#endif
#endif

enum { HKD_V = HKD_VECTOR_BYTES / 4 }; /* floats in a vector */

#if HKD_VECTOR_BYTES > 4
typedef float hkd_vec __attribute__((vector_size(HKD_VECTOR_BYTES)));
typedef float hkd_vec_anywhere __attribute__((vector_size(HKD_VECTOR_BYTES), aligned(4), may_alias));
#define HKD_INLINE static inline __attribute__((always_inline))
#else
typedef float hkd_vec;
typedef float hkd_vec_anywhere;
#define HKD_INLINE static inline
#endif

HKD_INLINE hkd_vec hkd_load(const float *p) { return *(const hkd_vec_anywhere *)(const void *)p; }
HKD_INLINE void hkd_store(float *p, hkd_vec v) { *(hkd_vec_anywhere *)(void *)p = v; }

/* Before a loop: unroll it fully (a constant count of at most 16), or four times. */
#if defined(__clang__)
#define HKD_UNROLL _Pragma("clang loop unroll(full)")
#define HKD_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define HKD_UNROLL _Pragma("GCC unroll 16")
#define HKD_UNROLL_4 _Pragma("GCC unroll 4")
#else
#define HKD_UNROLL
#define HKD_UNROLL_4
#endif

#ifdef __GNUC__
#define hkd_prefetch(p) __builtin_prefetch((p), 0, 2)
#define hkd_prefetch_write(p) __builtin_prefetch((p), 1, 3)
#else
#define hkd_prefetch(p) ((void)(p))
#define hkd_prefetch_write(p) ((void)(p))
#endif

/* The first `count` floats at p, zeros behind them. */
HKD_INLINE hkd_vec hkd_load_part(const float *p, int64_t count) {
    float whole[HKD_V] = {0};
    for (int64_t i = 0; i < HKD_V; i++) whole[i] = i < count ? p[i] : 0;
    return hkd_load(whole);
}

HKD_INLINE hkd_vec hkd_load_up_to(const float *p, int64_t count) {
    return count >= HKD_V ? hkd_load(p) : hkd_load_part(p, count);
}

HKD_INLINE void hkd_store_part(float *p, hkd_vec v, int64_t count) {
    float whole[HKD_V];
    hkd_store(whole, v);
    for (int64_t i = 0; i < HKD_V; i++)
        if (i < count) p[i] = whole[i];
}

HKD_INLINE void hkd_store_up_to(float *p, hkd_vec v, int64_t count) {
    if (count >= HKD_V) hkd_store(p, v);
    else hkd_store_part(p, v, count);
}

#endif
