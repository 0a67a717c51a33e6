/* ReLU, BatchNormalization by the batch, ReLU or SiLU, dropout: the elementwise passes over one image, two forward and two back;
 * the second one forward is made again on the way back where what it gives is not kept.
 *
 * Costs: each number is read twice and written once, in either direction. BatchNormalization's gradient is that of Ioffe and Szegedy,
 * arXiv:1502.03167. Sums have a fixed order within an image.
 */
#ifndef BUDGETNET_STAGE_H
#define BUDGETNET_STAGE_H

#include "vectors.h"

#define MAX_CHANNELS 512

/* An image is one long row of numbers; after `period` numbers (a common multiple of channels and of four vectors) the channels begin
 * anew, so each channel's parameters are repeated over one period. */

enum { NONE, RELU, SILU };

#define GROUP (4 * LANES)
#define PERIOD_MAX (MAX_CHANNELS * GROUP)

static int period_of(int channels) {
    int period = channels;
    while (period % GROUP) period += channels;
    return period;
}

static void spread(const float *values, float *over, int channels, int period) {
    for (int first = 0; first < period; first += channels) memcpy(over + first, values, sizeof(float) * (size_t)channels);
}

/* The other way: what was summed for each place in the period, added to what its channel has so far. */
static void gather(const float *sums, const float *more, double *sum, double *other, int channels, int period) {
    for (int first = 0; first < period; first += channels)
        for (int c = 0; c < channels; c++) {
            sum[c] += sums[first + c];
            other[c] += more[first + c];
        }
}

typedef struct {
    int relu_first, activation, channels, period;
    int folds; /* on the way back: whether the first pass leaves the gradient of what was normalised where it found that of the output */
    uint32_t threshold, key_one, key_two;
    float keep_scale;
    uint32_t first_group; /* of this image in the batch, so that each place of a batch has bits of its own */
    int64_t total;
} Stage;

/* Bits that depend on a counter and two keys alone, so the backward pass draws the same mask again. Rounds as in the «lowbias32»
 * integer hash (C. Wellons, public domain), with a key before each. */
INLINE uvec random_bits(uint32_t counter, uint32_t key_one, uint32_t key_two) {
    static const uint32_t lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uvec h = *(const uvec *)lanes + counter;
    h ^= key_one;
    h ^= h >> 16; h *= 0x7feb352dU; h ^= h >> 15; h *= 0x846ca68bU; h ^= h >> 16;
    h ^= key_two;
    h ^= h >> 16; h *= 0x7feb352dU; h ^= h >> 15;
    return h;
}

/* Factors of vector `q` of a group of four, whose bits were drawn at once: zero, or the scale that makes up for the dropped. */
INLINE vec dropout_factors(const Stage *s, uvec bits, const int q) {
    ivec bytes = (ivec)((bits >> (uint32_t)(8 * q)) & 255U);
    ivec kept = bytes >= (ivec)((uvec){0} + s->threshold);
    return (vec)(kept & (ivec)splat(s->keep_scale));
}
INLINE uvec bits_of_group(const Stage *s, int64_t at) { return random_bits(((uint32_t)(at / GROUP) + s->first_group) * LANES, s->key_one, s->key_two); }

#define PERIODS_AT_ONCE 64

/* A pass takes one group of each period at a time, through a few periods: what belongs to its places stays in registers meanwhile. Behind
 * the last whole period of an image there may be a part of one more. */
static int64_t whole_periods(const Stage *s, int64_t first) {
    int64_t whole = s->total / s->period - first;
    return whole < PERIODS_AT_ONCE ? whole : PERIODS_AT_ONCE;
}
#define EACH_GROUP(GROUPS, END) \
    for (int64_t first = 0; first * s->period < s->total; first += PERIODS_AT_ONCE) { \
        const int64_t whole = whole_periods(s, first), behind = whole < PERIODS_AT_ONCE ? s->total % s->period : 0; \
        for (int j = 0; j < s->period; j += GROUP) { \
            const int64_t at = first * s->period + j, left = behind - j; \
            GROUPS \
        } \
        END \
    }

INLINE void add_forward(const int relu_first, vec x, vec from, vec *sum, vec *square) {
    x = (relu_first ? rectified(x) : x) - from;
    *sum += x;
    *square += x * x;
}

/* Sums and sums of squares of one group's places. */
INLINE void forward_sums_of_group(const Stage *s, const int relu_first, const float *input, int64_t whole, int64_t left, const float *pivot,
                                  float *sums, float *squares) {
    vec sum[4], square[4], from[4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        sum[q] = square[q] = splat(0.0f);
        from[q] = load(pivot + q * LANES);
    }
    for (; whole > 0; whole--, input += s->period)
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) add_forward(relu_first, load(input + q * LANES), from[q], sum + q, square + q);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        if (left > q * LANES)
            add_forward(relu_first, load_some(input + q * LANES, left - q * LANES), load_some(pivot + q * LANES, left - q * LANES), sum + q,
                        square + q);
        store(sums + q * LANES, sum[q]);
        store(squares + q * LANES, square[q]);
    }
}

/* First pass: each channel's sum and sum of squares over an image. Float sums are taken of the distance to `pivot`, the image's first
 * pixel repeated over a period, so that a mean far from zero costs no digits; a few periods at a time, in double beyond. */
INLINE void forward_sums(const Stage *s, const int relu_first, const float *input, float *pivot, double *sums, double *squares) {
    float sum[PERIOD_MAX], square[PERIOD_MAX];
    double own[MAX_CHANNELS] = {0}, own_squares[MAX_CHANNELS] = {0};
    int channels = s->channels;
    for (int c = 0; c < channels; c++) pivot[c] = relu_first && input[c] < 0.0f ? 0.0f : input[c];
    for (int place = channels; place < s->period; place += channels) memcpy(pivot + place, pivot, sizeof(float) * (size_t)channels);
    EACH_GROUP(forward_sums_of_group(s, relu_first, input + at, whole, left, pivot + j, sum + j, square + j);,
               gather(sum, square, own, own_squares, channels, s->period);)
    double pixels = (double)(s->total / channels);
    for (int c = 0; c < channels; c++) {
        double from = pivot[c];
        sums[c] += own[c] + pixels * from;
        squares[c] += own_squares[c] + 2 * from * own[c] + pixels * from * from;
    }
}

INLINE void forward_group(const Stage *s, const int relu_first, const int activation, const int dropout, const int whole, const float *input,
                          float *output, int64_t at, const float *scale, const float *shift) {
    uvec bits = {0};
    if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        int64_t left = whole ? LANES : s->total - at - q * LANES;
        vec x = load_some(input + at + q * LANES, left);
        if (relu_first) x = rectified(x);
        x = x * load(scale + q * LANES) + load(shift + q * LANES);
        if (activation == RELU) x = rectified(x);
        if (activation == SILU) x *= sigmoid(x);
        if (dropout) x *= dropout_factors(s, bits, q);
        store_some(output + at + q * LANES, x, left);
    }
}

/* All groups in the order in which they lie in memory: one group through all periods, as for the sums, was slower where values are
 * written. */
#define EACH_VALUE(F, ...) \
    for (int64_t first = 0; first < s->total; first += s->period) \
        for (int j = 0; j < s->period; j += GROUP) { \
            const int64_t at = first + j; \
            if (at + GROUP <= s->total) F(s, relu_first, activation, dropout, 1, __VA_ARGS__); \
            else F(s, relu_first, activation, dropout, 0, __VA_ARGS__); \
        }

INLINE void forward_values(const Stage *s, const int relu_first, const int activation, const int dropout, const float *input, float *output,
                           const float *scale, const float *shift) {
    EACH_VALUE(forward_group, input, output, at, scale + j, shift + j)
}

#define SPECIAL_CASE(F, FIRST, ACTIVATION, DROPOUT, ...) \
    if (!!s->relu_first == FIRST && s->activation == ACTIVATION && !!s->threshold == DROPOUT) { F(s, FIRST, ACTIVATION, DROPOUT, __VA_ARGS__); break; }
#define SPECIAL_CASES(F, ACTIVATION, ...) \
    SPECIAL_CASE(F, 0, ACTIVATION, 0, __VA_ARGS__) SPECIAL_CASE(F, 0, ACTIVATION, 1, __VA_ARGS__) \
    SPECIAL_CASE(F, 1, ACTIVATION, 0, __VA_ARGS__) SPECIAL_CASE(F, 1, ACTIVATION, 1, __VA_ARGS__)
/* `F` with what a stage consists of known to the compiler. */
#define SPECIAL(F, ...) do { \
    SPECIAL_CASES(F, NONE, __VA_ARGS__) SPECIAL_CASES(F, RELU, __VA_ARGS__) SPECIAL_CASES(F, SILU, __VA_ARGS__) } while (0)

static void values_of(const Stage *s, const float *input, float *output, const float *scale, const float *shift) {
    SPECIAL(forward_values, input, output, scale, shift);
}
static void sums_of(const Stage *s, const float *input, double *sums, double *squares) {
    float pivot[PERIOD_MAX];
    if (s->relu_first) forward_sums(s, 1, input, pivot, sums, squares);
    else forward_sums(s, 0, input, pivot, sums, squares);
}

static Stage stage_of(int64_t pixels, int channels, int relu_first, int activation, int threshold, uint64_t key) {
    Stage s = {relu_first, activation, channels, period_of(channels), 0, (uint32_t)threshold, (uint32_t)key, (uint32_t)(key >> 32),
               256.0f / (256.0f - (float)threshold), 0, pixels * channels};
    return s;
}

INLINE vec gradient_of_norm(const Stage *s, const int activation, const int dropout, vec x, vec gradient, vec scale, vec shift, uvec bits,
                            const int q) {
    if (dropout) gradient *= dropout_factors(s, bits, q);
    if (activation == NONE) return gradient;
    vec y = x * scale + shift;
    if (activation == RELU) return where_positive(y, gradient);
    vec part = sigmoid(y);
    return gradient * part * (splat(1.0f) + y * (splat(1.0f) - part));
}

/* Returns the gradient of what was normalised. */
INLINE vec add_backward(const Stage *s, const int relu_first, const int activation, const int dropout, vec x, vec g, const float *scale,
                        const float *shift, const float *mean, uvec bits, const int q, vec *sum, vec *product) {
    if (relu_first) x = rectified(x);
    g = gradient_of_norm(s, activation, dropout, x, g, load(scale + q * LANES), load(shift + q * LANES), bits, q);
    sum[q] += g;
    product[q] += g * (x - load(mean + q * LANES));
    return g;
}

INLINE void backward_sums_of_group(const Stage *s, const int relu_first, const int activation, const int dropout, const float *input,
                                   float *gradient, int64_t at, int64_t whole, int64_t left, const float *scale, const float *shift,
                                   const float *mean, float *sums, float *products) {
    vec sum[4], product[4];
    uvec bits = {0};
    const int folds = (activation == SILU || dropout) && s->folds;
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) sum[q] = product[q] = splat(0.0f);
    for (; whole > 0; whole--, at += s->period) {
        if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            vec x = load(input + at + q * LANES), g = load(gradient + at + q * LANES);
            g = add_backward(s, relu_first, activation, dropout, x, g, scale, shift, mean, bits, q, sum, product);
            if (folds) store(gradient + at + q * LANES, g);
        }
    }
    if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        if (left > q * LANES) {
            vec x = load_some(input + at + q * LANES, left - q * LANES), g = load_some(gradient + at + q * LANES, left - q * LANES);
            g = add_backward(s, relu_first, activation, dropout, x, g, scale, shift, mean, bits, q, sum, product);
            if (folds) store_some(gradient + at + q * LANES, g, left - q * LANES);
        }
        store(sums + q * LANES, sum[q]);
        store(products + q * LANES, product[q]);
    }
}

INLINE void backward_sums(const Stage *s, const int relu_first, const int activation, const int dropout, const float *input,
                          float *gradient, const float *scale, const float *shift, const float *mean, double *sums, double *products) {
    float sum[PERIOD_MAX], product[PERIOD_MAX];
    EACH_GROUP(backward_sums_of_group(s, relu_first, activation, dropout, input, gradient, at, whole, left, scale + j, shift + j, mean + j,
                                        sum + j, product + j);,
               gather(sum, product, sums, products, s->channels, s->period);)
}

INLINE void backward_group(const Stage *s, const int relu_first, const int activation, const int dropout, const int whole, const float *input,
                           const float *gradient, float *output, int64_t at, const float *scale, const float *shift, const float *slope,
                           const float *offset) {
    uvec bits = {0};
    if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        int64_t left = whole ? LANES : s->total - at - q * LANES;
        vec raw = load_some(input + at + q * LANES, left), x = relu_first ? rectified(raw) : raw;
        vec g = load_some(gradient + at + q * LANES, left), factor = load(scale + q * LANES);
        g = gradient_of_norm(s, activation, dropout, x, g, factor, load(shift + q * LANES), bits, q);
        g = g * factor + x * load(slope + q * LANES) + load(offset + q * LANES);
        store_some(output + at + q * LANES, relu_first ? where_positive(raw, g) : g, left);
    }
}

INLINE void backward_values(const Stage *s, const int relu_first, const int activation, const int dropout, const float *input,
                            const float *gradient, float *output, const float *scale, const float *shift, const float *slope,
                            const float *offset) {
    EACH_VALUE(backward_group, input, gradient, output, at, scale + j, shift + j, slope + j, offset + j)
}

/* Where the stage folds, the second pass finds nothing left to do but the normalisation: what is dear (SiLU, drawing a mask) is not done
 * again. */
static void gradient_sums(const Stage *s, const float *input, float *gradient, const float *scale, const float *shift, const float *mean,
                          double *sums, double *products) {
    SPECIAL(backward_sums, input, gradient, scale, shift, mean, sums, products);
}
static void gradient_values(const Stage *whole, const float *input, const float *gradient, float *output, const float *scale,
                            const float *shift, const float *slope, const float *offset) {
    Stage own = *whole, *s = &own;
    if (s->folds) {
        s->activation = NONE;
        s->threshold = 0;
    }
    SPECIAL(backward_values, input, gradient, output, scale, shift, slope, offset);
}

#endif
