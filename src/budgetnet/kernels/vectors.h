/* Sixteen numbers at once where the processor has AVX-512, else eight, by the vector extensions that gcc and clang share: AVX2 and NEON
 * alike. Only what those extensions have no word for, parts of a vector and reading from many places, is said to AVX-512 by its own.
 *
 * All pointers are to float32 with four bytes of alignment. Costs nothing by itself.
 */
#ifndef BUDGETNET_VECTORS_H
#define BUDGETNET_VECTORS_H

#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#define LANES 16
#else
#define LANES 8
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }
/* Less zero, not plus: minus zero stays what it is. */
INLINE vec splat(float x) { return x - (vec){0}; }
INLINE int round_up(int n) { return (n + LANES - 1) / LANES * LANES; }
INLINE int smaller(int a, int b) { return a < b ? a : b; }

/* Parts of a vector: the first `count` numbers, all where it is LANES or more; the others count as zero. */
#ifdef __AVX512F__
INLINE vec load_from(const float *p, ivec at) { return (vec)_mm512_i32gather_ps((__m512i)at, p, 4); }
INLINE __mmask16 first_lanes(int64_t count) { return count > 0 ? (__mmask16)((1U << count) - 1) : 0; }
INLINE void store_some(float *p, vec v, int64_t count) {
    if (count >= LANES) store(p, v);
    else _mm512_mask_storeu_ps(p, first_lanes(count), (__m512)v);
}
INLINE vec load_some(const float *p, int64_t count) {
    return count >= LANES ? load(p) : (vec)_mm512_maskz_loadu_ps(first_lanes(count), p);
}
#else
INLINE vec load_from(const float *p, ivec at) {
    return (vec){p[at[0]], p[at[1]], p[at[2]], p[at[3]], p[at[4]], p[at[5]], p[at[6]], p[at[7]]};
}
INLINE void store_some(float *p, vec v, int64_t count) {
    if (count >= LANES) { store(p, v); return; }
    for (int i = 0; i < count; i++) p[i] = v[i];
}
INLINE vec load_some(const float *p, int64_t count) {
    if (count >= LANES) return load(p);
    vec v = splat(0.0f);
    for (int i = 0; i < count; i++) v[i] = p[i];
    return v;
}
#endif

/* NaN stays NaN, so that a diverging run is seen in its loss: who is compared comes second, which is what these words give then. */
#ifdef __AVX512F__
INLINE vec rectified(vec x) { return (vec)_mm512_max_ps((__m512)splat(0.0f), (__m512)x); }
INLINE vec held_to(float limit, vec x) {
    return (vec)_mm512_min_ps((__m512)splat(limit), _mm512_max_ps((__m512)splat(-limit), (__m512)x));
}
INLINE vec where_positive(vec x, vec value) {
    return (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)x, (__m512)splat(0.0f), _CMP_GT_OQ), (__m512)value);
}
/* One over x, to two units in the last place, for x that is not so large that this is no normal number. */
INLINE vec reciprocal(vec x) {
    vec guess = (vec)_mm512_rcp14_ps((__m512)x);
    return guess * (splat(2.0f) - x * guess);
}
#else
INLINE vec rectified(vec x) { return (vec)((ivec)x & ~(x < splat(0.0f))); }
INLINE vec held_to(float limit, vec x) {
    x = (vec)(((ivec)splat(limit) & (x > splat(limit))) | ((ivec)x & ~(x > splat(limit))));
    return (vec)(((ivec)splat(-limit) & (x < splat(-limit))) | ((ivec)x & ~(x < splat(-limit))));
}
INLINE vec where_positive(vec x, vec value) { return (vec)((ivec)value & (x > splat(0.0f))); }
INLINE vec reciprocal(vec x) { return splat(1.0f) / x; }
#endif
/* The larger one, and NaN where either is. */
INLINE vec largest(vec best, vec other) {
    ivec takes = ~(best >= other) & (best == best);
    return (vec)(((ivec)other & takes) | ((ivec)best & ~takes));
}

/* e to the power of x, to two units in the last place; x beyond ±87 counts as ±87. Cody and Waite's reduction, and e^r over
 * |r| <= ln 2 / 2 by a polynomial of degree six whose largest relative error is as small as can be, 3e-9. */
INLINE vec exponential(vec x) {
    x = held_to(87.0f, x);
    vec shifted = x * splat(1.44269504f) + splat(12582912.0f), n = shifted - splat(12582912.0f);
    vec r = x - n * splat(0.693145752f) - n * splat(1.42860677e-6f);
    vec power = splat(0.00138145988f);
    power = power * r + splat(0.00836871658f);
    power = power * r + splat(0.0416683890f);
    power = power * r + splat(0.166665211f);
    power = power * r + splat(0.499999940f);
    power = power * r + splat(1.0f);
    power = power * r + splat(1.0f);
    ivec exponent = ((ivec)shifted - (ivec)splat(12582912.0f)) << 23;
    return (vec)((ivec)power + exponent);
}
INLINE vec sigmoid(vec x) { return reciprocal(splat(1.0f) + exponential(-x)); }

#endif
