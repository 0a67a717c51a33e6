/* Training kernels on float32 images with channels last in memory: convolution, and ReLU with BatchNormalization, ReLU and dropout.
 *
 * What it does: the four products of a convolution that a training step needs, blocked for registers (up to six pixels by two vectors of
 * eight channels), and the elementwise part of a stage in as few passes over memory as it can be: two forward, two backward.
 * What it costs: see benchmarks/; the convolutions run at half to three quarters of a core's peak where channels are multiples of eight.
 * Where it comes from: the blocking is the classical one for small matrix products; BatchNormalization's gradient as in Ioffe and
 * Szegedy, arXiv:1502.03167. Every sum has a fixed order for a fixed number of threads, so runs repeat bit for bit.
 *
 * Layout: images (N, H, W, C); kernels (K, K, C_in, C_out rounded up to eight, the rest zero). All pointers are to contiguous memory.
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define MAX_PIXELS 6
#define MAX_CHANNELS 512
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(32), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }
INLINE vec splat(float x) { return (vec){x, x, x, x, x, x, x, x}; }
INLINE int round_up(int n) { return (n + LANES - 1) / LANES * LANES; }
INLINE int smaller(int a, int b) { return a < b ? a : b; }

INLINE void store_some(float *p, vec v, int count) {
    if (count >= LANES) { store(p, v); return; }
    for (int i = 0; i < count; i++) p[i] = v[i];
}

static void *workspace(size_t bytes) {
    static _Thread_local void *memory = NULL;
    static _Thread_local size_t held = 0;
    if (bytes > held) {
        free(memory);
        memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
        held = memory ? bytes : 0;
    }
    return memory;
}

/* One image into a frame of zeros `pad` wide. */
static void frame(const float *image, float *framed, int height, int width, int channels, int pad) {
    int row = (width + 2 * pad) * channels, inner = width * channels, edge = pad * channels;
    memset(framed, 0, sizeof(float) * (size_t)(pad * row));
    for (int y = 0; y < height; y++) {
        float *to = framed + (size_t)(pad + y) * row;
        memset(to, 0, sizeof(float) * (size_t)edge);
        memcpy(to + edge, image + (size_t)y * inner, sizeof(float) * (size_t)inner);
        memset(to + edge + inner, 0, sizeof(float) * (size_t)edge);
    }
    memset(framed + (size_t)(pad + height) * row, 0, sizeof(float) * (size_t)(pad * row));
}

/* `pixels` neighbouring outputs of one row, `vectors` times eight channels of each. */
INLINE void outputs_block(const int pixels, const int vectors, const float *restrict input, int row, int channels, int size,
                          const float *restrict kernel, int kernel_step, float *restrict output, int out_channels, int rest) {
    vec sum[MAX_PIXELS * 2][3];
#pragma GCC unroll 12
    for (int m = 0; m < pixels; m++)
#pragma GCC unroll 3
        for (int n = 0; n < vectors; n++) sum[m][n] = splat(0.0f);
    int run = size * channels;
    for (int ky = 0; ky < size; ky++) {
        const float *from = input + (size_t)ky * row;
        const float *weight = kernel + (size_t)ky * run * kernel_step;
        for (int t = 0; t < run; t++) {
            vec w[3];
#pragma GCC unroll 3
            for (int n = 0; n < vectors; n++) w[n] = load(weight + n * LANES);
#pragma GCC unroll 12
            for (int m = 0; m < pixels; m++) {
                vec x = splat(from[m * channels + t]);
#pragma GCC unroll 3
                for (int n = 0; n < vectors; n++) sum[m][n] += x * w[n];
            }
            weight += kernel_step;
        }
    }
#pragma GCC unroll 12
    for (int m = 0; m < pixels; m++)
#pragma GCC unroll 3
        for (int n = 0; n < vectors; n++) store_some(output + m * out_channels + n * LANES, sum[m][n], rest - n * LANES);
}

#define OUTPUTS_CASE(M, V) case M: outputs_block(M, V, input, row, channels, size, kernel, kernel_step, output, out_channels, rest); break;
#define OUTPUTS_CASES(V) OUTPUTS_CASE(1, V) OUTPUTS_CASE(2, V) OUTPUTS_CASE(3, V) OUTPUTS_CASE(4, V) OUTPUTS_CASE(5, V) OUTPUTS_CASE(6, V)

static void outputs_one(int pixels, const float *input, int row, int channels, int size, const float *kernel, int kernel_step,
                        float *output, int out_channels, int rest) {
    switch (pixels) {
        OUTPUTS_CASES(1) OUTPUTS_CASE(7, 1) OUTPUTS_CASE(8, 1) OUTPUTS_CASE(9, 1) OUTPUTS_CASE(10, 1)
    }
}
static void outputs_two(int pixels, const float *input, int row, int channels, int size, const float *kernel, int kernel_step,
                        float *output, int out_channels, int rest) {
    switch (pixels) { OUTPUTS_CASES(2) }
}
static void outputs_three(int pixels, const float *input, int row, int channels, int size, const float *kernel, int kernel_step,
                          float *output, int out_channels, int rest) {
    switch (pixels) { OUTPUTS_CASE(1, 3) OUTPUTS_CASE(2, 3) OUTPUTS_CASE(3, 3) OUTPUTS_CASE(4, 3) }
}

/* Outputs of one framed image: every row in blocks of equal width, as many channels at once as registers hold. */
static void convolve_framed(const float *framed, int framed_width, int channels, int size, const float *kernel, float *output,
                            int out_height, int out_width, int out_channels) {
    int padded = round_up(out_channels), row = framed_width * channels;
    for (int first = 0; first < padded;) {
        int vectors = (padded - first) / LANES;
        /* Three vectors at once only where they are all that is left; two and two otherwise. */
        vectors = vectors == 3 ? 3 : vectors >= 2 ? 2 : 1;
        int most = vectors == 1 ? 10 : vectors == 2 ? 6 : 4;
        int blocks = (out_width + most - 1) / most, rest = out_channels - first;
        for (int y = 0; y < out_height; y++) {
            int x = 0;
            for (int block = 0; block < blocks; block++) {
                int pixels = (out_width - x + blocks - block - 1) / (blocks - block);
                const float *input = framed + (size_t)y * row + (size_t)x * channels;
                float *to = output + ((size_t)y * out_width + x) * out_channels + first;
                if (vectors == 1) outputs_one(pixels, input, row, channels, size, kernel + first, padded, to, out_channels, rest);
                else if (vectors == 2) outputs_two(pixels, input, row, channels, size, kernel + first, padded, to, out_channels, rest);
                else outputs_three(pixels, input, row, channels, size, kernel + first, padded, to, out_channels, rest);
                x += pixels;
            }
        }
        first += vectors * LANES;
    }
}

/* `taps` rows of the kernel's gradient by `vectors` times eight output channels, summed over one image. */
INLINE void kernel_block(const int taps, const int vectors, const float *restrict input, int row, int channels,
                         const float *restrict gradient, int gradient_row, int out_channels, int out_height, int out_width,
                         float *restrict sums, int padded) {
    vec sum[MAX_PIXELS * 2][3];
#pragma GCC unroll 12
    for (int m = 0; m < taps; m++)
#pragma GCC unroll 3
        for (int n = 0; n < vectors; n++) sum[m][n] = load(sums + m * padded + n * LANES);
    for (int y = 0; y < out_height; y++) {
        const float *x = input + (size_t)y * row, *g = gradient + (size_t)y * gradient_row;
        for (int pixel = 0; pixel < out_width; pixel++) {
            vec d[3];
#pragma GCC unroll 3
            for (int n = 0; n < vectors; n++) d[n] = load(g + n * LANES);
#pragma GCC unroll 12
            for (int m = 0; m < taps; m++) {
                vec value = splat(x[m]);
#pragma GCC unroll 3
                for (int n = 0; n < vectors; n++) sum[m][n] += value * d[n];
            }
            x += channels;
            g += out_channels;
        }
    }
#pragma GCC unroll 12
    for (int m = 0; m < taps; m++)
#pragma GCC unroll 3
        for (int n = 0; n < vectors; n++) store(sums + m * padded + n * LANES, sum[m][n]);
}

#define KERNEL_CASE(M, V) case M: kernel_block(M, V, input, row, channels, gradient, gradient_row, out_channels, out_height, out_width, sums, padded); break;
#define KERNEL_CASES(V) KERNEL_CASE(1, V) KERNEL_CASE(2, V) KERNEL_CASE(3, V) KERNEL_CASE(4, V) KERNEL_CASE(5, V) KERNEL_CASE(6, V)

static void kernel_taps(int taps, int vectors, const float *input, int row, int channels, const float *gradient, int gradient_row,
                        int out_channels, int out_height, int out_width, float *sums, int padded) {
    if (vectors == 1) switch (taps) { KERNEL_CASES(1) KERNEL_CASE(7, 1) KERNEL_CASE(8, 1) KERNEL_CASE(9, 1) KERNEL_CASE(10, 1) }
    else if (vectors == 2) switch (taps) { KERNEL_CASES(2) }
    else switch (taps) { KERNEL_CASE(1, 3) KERNEL_CASE(2, 3) KERNEL_CASE(3, 3) KERNEL_CASE(4, 3) }
}

/* Add one image's share to the kernel's gradient, laid out as the packed kernel. Reads up to 28 bytes behind the last gradient. */
static void kernel_gradient(const float *framed, int framed_width, int channels, int size, const float *gradient, int gradient_row,
                            int out_height, int out_width, int out_channels, float *sums) {
    int padded = round_up(out_channels), row = framed_width * channels, run = size * channels;
    for (int first = 0; first < padded;) {
        int vectors = (padded - first) / LANES;
        vectors = vectors == 3 ? 3 : vectors >= 2 ? 2 : 1;
        int most = vectors == 1 ? 10 : vectors == 2 ? 6 : 4, blocks = (run + most - 1) / most;
        for (int ky = 0; ky < size; ky++) {
            int t = 0;
            for (int block = 0; block < blocks; block++) {
                int taps = (run - t + blocks - block - 1) / (blocks - block);
                kernel_taps(taps, vectors, framed + (size_t)ky * row + t, row, channels, gradient + first, gradient_row,
                            out_channels, out_height, out_width, sums + ((size_t)ky * run + t) * padded + first, padded);
                t += taps;
            }
        }
        first += vectors * LANES;
    }
}

/* torch's (C_out, C_in, K, K) with channels last is (C_out, K, K, C_in); packed is (K, K, C_in, padded C_out). */
static void pack(const float *kernel, float *packed, int channels, int out_channels, int size) {
    int padded = round_up(out_channels), taps = size * size * channels;
    memset(packed, 0, sizeof(float) * (size_t)(taps * padded));
    for (int o = 0; o < out_channels; o++)
        for (int t = 0; t < taps; t++) packed[t * padded + o] = kernel[o * taps + t];
}

/* The kernel that sends output gradients back: turned by half a turn, inputs and outputs exchanged. */
static void pack_turned(const float *kernel, float *packed, int channels, int out_channels, int size) {
    int padded = round_up(channels), area = size * size;
    memset(packed, 0, sizeof(float) * (size_t)(area * out_channels * padded));
    for (int o = 0; o < out_channels; o++)
        for (int k = 0; k < area; k++)
            for (int c = 0; c < channels; c++)
                packed[((area - 1 - k) * out_channels + o) * padded + c] = kernel[(o * area + k) * channels + c];
}

#define SLACK 16

/* Forward. Returns 0, or 1 where memory ran out. */
int convolution_forward(const float *images, const float *kernel, float *output, int count, int height, int width, int channels,
                        int out_channels, int size, int pad, int threads) {
    int out_height = height + 2 * pad - size + 1, out_width = width + 2 * pad - size + 1, framed_width = width + 2 * pad, failed = 0;
    size_t weights = (size_t)size * size * channels * round_up(out_channels);
    float *packed = aligned_alloc(64, (weights * sizeof(float) + 63) / 64 * 64);
    if (!packed) return 1;
    pack(kernel, packed, channels, out_channels, size);
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        size_t area = (size_t)framed_width * (height + 2 * pad) * channels + SLACK;
        float *framed = pad ? workspace(area * sizeof(float)) : NULL;
        failed = pad && !framed;
#pragma omp for schedule(static)
        for (int n = 0; n < count; n++) {
            if (failed) continue;
            const float *image = images + (size_t)n * height * width * channels;
            if (pad) frame(image, framed, height, width, channels, pad);
            convolve_framed(pad ? framed : image, framed_width, channels, size, packed,
                            output + (size_t)n * out_height * out_width * out_channels, out_height, out_width, out_channels);
        }
    }
    free(packed);
    return failed;
}

/* Backward: both gradients of one image while it is in the cache. `image_gradient` may be NULL. */
int convolution_backward(const float *images, const float *kernel, const float *gradient, float *image_gradient, float *kernel_gradients,
                         int count, int height, int width, int channels, int out_channels, int size, int pad, int threads) {
    int out_height = height + 2 * pad - size + 1, out_width = width + 2 * pad - size + 1;
    int edge = size - 1 - pad, framed_width = width + 2 * pad, back_width = out_width + 2 * edge, failed = 0;
    int padded = round_up(out_channels), taps = size * size * channels;
    size_t turned_size = (size_t)size * size * out_channels * round_up(channels), sums_size = (size_t)taps * padded;
    float *turned = aligned_alloc(64, (turned_size * sizeof(float) + 63) / 64 * 64);
    float *sums = aligned_alloc(64, (sums_size * threads * sizeof(float) + 63) / 64 * 64);
    if (!turned || !sums) { free(turned); free(sums); return 1; }
    pack_turned(kernel, turned, channels, out_channels, size);
    memset(sums, 0, sums_size * threads * sizeof(float));
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        size_t front = (size_t)framed_width * (height + 2 * pad) * channels + SLACK;
        size_t behind = (size_t)back_width * (out_height + 2 * edge) * out_channels + SLACK;
        float *framed = workspace((front + behind) * sizeof(float)), *back_framed = framed + front;
        float *own = sums + sums_size * omp_get_thread_num();
        failed = !framed;
        if (framed) memset(back_framed + behind - SLACK, 0, SLACK * sizeof(float));
#pragma omp for schedule(static)
        for (int n = 0; n < count; n++) {
            if (failed) continue;
            const float *image = images + (size_t)n * height * width * channels;
            if (pad) frame(image, framed, height, width, channels, pad);
            const float *back = gradient + (size_t)n * out_height * out_width * out_channels;
            /* Without an edge the gradient is read where it lies, but for the last image's, behind which nothing may be read. */
            if (edge || (n == count - 1 && padded != out_channels)) {
                frame(back, back_framed, out_height, out_width, out_channels, edge);
                back = back_framed;
            }
            if (image_gradient)
                convolve_framed(back, back_width, out_channels, size, turned,
                                image_gradient + (size_t)n * height * width * channels, height, width, channels);
            kernel_gradient(pad ? framed : image, framed_width, channels, size, back + ((size_t)edge * back_width + edge) * out_channels,
                            back_width * out_channels, out_height, out_width, out_channels, own);
        }
    }
    for (int o = 0; o < out_channels; o++)
        for (int t = 0; t < taps; t++) {
            float total = 0.0f;
            for (int thread = 0; thread < threads; thread++) total += sums[sums_size * thread + (size_t)t * padded + o];
            kernel_gradients[o * taps + t] = total;
        }
    free(turned);
    free(sums);
    return failed;
}

/* What follows is elementwise with a parameter for each channel. The batch is one long row of numbers; after `period` numbers (a
 * common multiple of channels and of four vectors) the channels begin anew, so each channel's parameters are repeated over one period. */

#define GROUP (4 * LANES)
#define PERIOD_MAX (MAX_CHANNELS * GROUP)

static int period_of(int channels) {
    int period = channels;
    while (period % GROUP) period += channels;
    return period;
}

static void spread(const float *values, float *over, int channels, int period) {
    for (int i = 0; i < period; i++) over[i] = values[i % channels];
}

typedef struct {
    int relu_first, relu_last, channels, period;
    uint32_t threshold, key_one, key_two;
    float keep_scale;
    int64_t total;
} Stage;

/* Bits that depend on a counter and two keys alone, so the backward pass draws the same mask again. Rounds as in the «lowbias32»
 * integer hash (C. Wellons, public domain), with a key before each. */
INLINE uvec random_bits(uint32_t counter, uint32_t key_one, uint32_t key_two) {
    uvec h = (uvec){0, 1, 2, 3, 4, 5, 6, 7} + counter;
    h ^= key_one;
    h ^= h >> 16; h *= 0x7feb352dU; h ^= h >> 15; h *= 0x846ca68bU; h ^= h >> 16;
    h ^= key_two;
    h ^= h >> 16; h *= 0x7feb352dU; h ^= h >> 15;
    return h;
}

/* Factors of vector `q` of a group of four, whose bits were drawn at once: zero, or the scale that makes up for the dropped. */
INLINE vec dropout_factors(const Stage *s, uvec bits, const int q) {
    ivec bytes = (ivec)((bits >> (uint32_t)(LANES * q)) & 255U);
    ivec kept = bytes >= (ivec)((uvec){0, 0, 0, 0, 0, 0, 0, 0} + s->threshold);
    return (vec)(kept & (ivec)splat(s->keep_scale));
}
INLINE uvec bits_of_group(const Stage *s, int64_t at) { return random_bits((uint32_t)(at / GROUP) * LANES, s->key_one, s->key_two); }

INLINE vec rectified(vec x) { return (vec)((ivec)x & (x > splat(0.0f))); }
INLINE vec larger(vec a, vec b) { return (vec)(((ivec)a & (a > b)) | ((ivec)b & ~(a > b))); }
INLINE vec where_positive(vec x, vec value) { return (vec)((ivec)value & (x > splat(0.0f))); }

/* Reads up to seven numbers at the end of the batch as one vector, the rest zero. */
INLINE vec load_some(const float *p, int64_t left) {
    if (left >= LANES) return load(p);
    vec v = splat(0.0f);
    for (int i = 0; i < left; i++) v[i] = p[i];
    return v;
}

#define PERIODS_AT_ONCE 64

/* First pass: sum and sum of squares of each place in the period, in float over a few periods, in double beyond. */
INLINE void forward_sums(const Stage *s, const int relu_first, const float *input, int64_t from, int64_t to, double *sums, double *squares) {
    float sum[PERIOD_MAX], square[PERIOD_MAX];
    for (int64_t first = from; first < to; first += PERIODS_AT_ONCE) {
        int64_t last = first + PERIODS_AT_ONCE < to ? first + PERIODS_AT_ONCE : to;
        memset(sum, 0, sizeof(float) * s->period);
        memset(square, 0, sizeof(float) * s->period);
        for (int64_t p = first; p < last; p++) {
            const float *x = input + p * s->period;
            int64_t left = s->total - p * s->period;
            for (int j = 0; j < s->period; j += LANES) {
                vec v = left >= s->period ? load(x + j) : load_some(x + j, left - j);
                if (relu_first) v = rectified(v);
                store(sum + j, load(sum + j) + v);
                store(square + j, load(square + j) + v * v);
            }
        }
        for (int j = 0; j < s->period; j++) {
            sums[j % s->channels] += sum[j];
            squares[j % s->channels] += square[j];
        }
    }
}

INLINE void forward_group(const Stage *s, const int relu_first, const int relu_last, const int dropout, const int whole, const float *input,
                          float *output, int64_t at, const float *scale, const float *shift) {
    uvec bits = {0};
    if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
    for (int q = 0; q < 4; q++) {
        int64_t left = whole ? LANES : s->total - at - q * LANES;
        vec x = whole ? load(input + at + q * LANES) : load_some(input + at + q * LANES, left);
        if (relu_first) x = rectified(x);
        x = x * load(scale + q * LANES) + load(shift + q * LANES);
        if (relu_last) x = rectified(x);
        if (dropout) x *= dropout_factors(s, bits, q);
        if (whole) store(output + at + q * LANES, x);
        else store_some(output + at + q * LANES, x, left < LANES ? (int)left : LANES);
    }
}

INLINE void forward_values(const Stage *s, const int relu_first, const int relu_last, const int dropout, const float *input, float *output,
                           int64_t from, int64_t to, const float *scale, const float *shift) {
    for (int64_t p = from; p < to; p++)
        for (int j = 0; j < s->period; j += GROUP) {
            int64_t at = p * s->period + j;
            if (at + GROUP <= s->total) forward_group(s, relu_first, relu_last, dropout, 1, input, output, at, scale + j, shift + j);
            else forward_group(s, relu_first, relu_last, dropout, 0, input, output, at, scale + j, shift + j);
        }
}

#define SPECIAL(F, ...) do { \
    int which = (s->relu_first ? 4 : 0) | (s->relu_last ? 2 : 0) | (s->threshold ? 1 : 0); \
    switch (which) { \
        case 0: F(s, 0, 0, 0, __VA_ARGS__); break; case 1: F(s, 0, 0, 1, __VA_ARGS__); break; \
        case 2: F(s, 0, 1, 0, __VA_ARGS__); break; case 3: F(s, 0, 1, 1, __VA_ARGS__); break; \
        case 4: F(s, 1, 0, 0, __VA_ARGS__); break; case 5: F(s, 1, 0, 1, __VA_ARGS__); break; \
        case 6: F(s, 1, 1, 0, __VA_ARGS__); break; default: F(s, 1, 1, 1, __VA_ARGS__); break; } } while (0)

static void values_of(const Stage *s, const float *input, float *output, int64_t from, int64_t to, const float *scale, const float *shift) {
    SPECIAL(forward_values, input, output, from, to, scale, shift);
}
static void sums_of(const Stage *s, const float *input, int64_t from, int64_t to, double *sums, double *squares) {
    if (s->relu_first) forward_sums(s, 1, input, from, to, sums, squares);
    else forward_sums(s, 0, input, from, to, sums, squares);
}

static Stage stage_of(int64_t pixels, int channels, int relu_first, int relu_last, int threshold, uint64_t key) {
    Stage s = {relu_first, relu_last, channels, period_of(channels), (uint32_t)threshold, (uint32_t)key, (uint32_t)(key >> 32),
               256.0f / (256.0f - (float)threshold), pixels * channels};
    return s;
}

INLINE int64_t share(int64_t whole, int part, int parts) { return whole * part / parts; }

/* Forward of ReLU, normalisation by the batch, ReLU, dropout. `mean` and `variance` (biased) are outputs; `scale` and `shift` are kept
 * for the way back. Returns 0, or 1 where memory ran out. */
int stage_forward(const float *input, float *output, int64_t pixels, int channels, const float *weight, const float *bias, float epsilon,
                  int relu_first, int relu_last, int threshold, uint64_t key, float *mean, float *variance, float *scale, float *shift,
                  int threads) {
    Stage s = stage_of(pixels, channels, relu_first, relu_last, threshold, key);
    int64_t periods = (s.total + s.period - 1) / s.period;
    double *sums = calloc((size_t)threads * channels * 2, sizeof(double));
    if (!sums) return 1;
    float over[2][PERIOD_MAX];
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
        double *own = sums + (size_t)thread * channels * 2;
        int64_t from = share(periods, thread, threads), to = share(periods, thread + 1, threads);
        sums_of(&s, input, from, to, own, own + channels);
#pragma omp barrier
#pragma omp single
        {
            for (int c = 0; c < channels; c++) {
                double sum = 0, square = 0;
                for (int t = 0; t < threads; t++) {
                    sum += sums[(size_t)t * channels * 2 + c];
                    square += sums[(size_t)t * channels * 2 + channels + c];
                }
                double m = sum / (double)pixels, v = square / (double)pixels - m * m;
                if (v < 0) v = 0;
                float inverse = (float)(1.0 / sqrt(v + (double)epsilon));
                mean[c] = (float)m;
                variance[c] = (float)v;
                scale[c] = (weight ? weight[c] : 1.0f) * inverse;
                shift[c] = (bias ? bias[c] : 0.0f) - (float)m * scale[c];
            }
            spread(scale, over[0], channels, s.period);
            spread(shift, over[1], channels, s.period);
        }
        values_of(&s, input, output, from, to, over[0], over[1]);
    }
    free(sums);
    return 0;
}

INLINE vec gradient_of_norm(const Stage *s, const int relu_last, const int dropout, vec x, vec gradient, vec scale, vec shift, uvec bits,
                            const int q) {
    if (dropout) gradient *= dropout_factors(s, bits, q);
    if (relu_last) gradient = where_positive(x * scale + shift, gradient);
    return gradient;
}

INLINE void backward_sums(const Stage *s, const int relu_first, const int relu_last, const int dropout, const float *input,
                          const float *gradient, int64_t from, int64_t to, const float *scale, const float *shift, const float *mean,
                          double *sums, double *products) {
    float sum[PERIOD_MAX], product[PERIOD_MAX];
    for (int64_t first = from; first < to; first += PERIODS_AT_ONCE) {
        int64_t last = first + PERIODS_AT_ONCE < to ? first + PERIODS_AT_ONCE : to;
        memset(sum, 0, sizeof(float) * s->period);
        memset(product, 0, sizeof(float) * s->period);
        for (int64_t p = first; p < last; p++)
            for (int j = 0; j < s->period; j += GROUP) {
                int64_t at = p * s->period + j;
                uvec bits = {0};
                if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
                for (int q = 0; q < 4; q++) {
                    int k = j + q * LANES;
                    int64_t left = s->total - at - q * LANES;
                    vec x = load_some(input + at + q * LANES, left), g = load_some(gradient + at + q * LANES, left);
                    if (relu_first) x = rectified(x);
                    g = gradient_of_norm(s, relu_last, dropout, x, g, load(scale + k), load(shift + k), bits, q);
                    store(sum + k, load(sum + k) + g);
                    store(product + k, load(product + k) + g * (x - load(mean + k)));
                }
            }
        for (int j = 0; j < s->period; j++) {
            sums[j % s->channels] += sum[j];
            products[j % s->channels] += product[j];
        }
    }
}

INLINE void backward_values(const Stage *s, const int relu_first, const int relu_last, const int dropout, const float *input,
                            const float *gradient, float *output, int64_t from, int64_t to, const float *scale, const float *shift,
                            const float *slope, const float *offset) {
    for (int64_t p = from; p < to; p++)
        for (int j = 0; j < s->period; j += GROUP) {
            int64_t at = p * s->period + j;
            uvec bits = {0};
            if (dropout) bits = bits_of_group(s, at);
#pragma GCC unroll 4
            for (int q = 0; q < 4; q++) {
                int k = j + q * LANES;
                int64_t left = s->total - at - q * LANES;
                vec raw = load_some(input + at + q * LANES, left), x = relu_first ? rectified(raw) : raw;
                vec g = load_some(gradient + at + q * LANES, left);
                g = gradient_of_norm(s, relu_last, dropout, x, g, load(scale + k), load(shift + k), bits, q);
                g = g * load(scale + k) + x * load(slope + k) + load(offset + k);
                if (relu_first) g = where_positive(raw, g);
                store_some(output + at + q * LANES, g, left < LANES ? (int)left : LANES);
            }
        }
}

static void gradient_sums(const Stage *s, const float *input, const float *gradient, int64_t from, int64_t to, const float *scale,
                          const float *shift, const float *mean, double *sums, double *products) {
    SPECIAL(backward_sums, input, gradient, from, to, scale, shift, mean, sums, products);
}
static void gradient_values(const Stage *s, const float *input, const float *gradient, float *output, int64_t from, int64_t to,
                            const float *scale, const float *shift, const float *slope, const float *offset) {
    SPECIAL(backward_values, input, gradient, output, from, to, scale, shift, slope, offset);
}

/* Backward of `stage_forward`, from its input and the gradient of its output. `output` may be `gradient` itself. */
int stage_backward(const float *input, const float *gradient, float *output, int64_t pixels, int channels, float epsilon, int relu_first,
                   int relu_last, int threshold, uint64_t key, const float *mean, const float *variance, const float *scale,
                   const float *shift, float *weight_gradient, float *bias_gradient, int threads) {
    Stage s = stage_of(pixels, channels, relu_first, relu_last, threshold, key);
    int64_t periods = (s.total + s.period - 1) / s.period;
    double *sums = calloc((size_t)threads * channels * 2, sizeof(double));
    if (!sums) return 1;
    float over[5][PERIOD_MAX];
    spread(scale, over[0], channels, s.period);
    spread(shift, over[1], channels, s.period);
    spread(mean, over[2], channels, s.period);
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num();
        double *own = sums + (size_t)thread * channels * 2;
        int64_t from = share(periods, thread, threads), to = share(periods, thread + 1, threads);
        gradient_sums(&s, input, gradient, from, to, over[0], over[1], over[2], own, own + channels);
#pragma omp barrier
#pragma omp single
        {
            float slope[MAX_CHANNELS], offset[MAX_CHANNELS];
            for (int c = 0; c < channels; c++) {
                double sum = 0, product = 0;
                for (int t = 0; t < threads; t++) {
                    sum += sums[(size_t)t * channels * 2 + c];
                    product += sums[(size_t)t * channels * 2 + channels + c];
                }
                double inverse = 1.0 / sqrt((double)variance[c] + (double)epsilon);
                weight_gradient[c] = (float)(product * inverse);
                bias_gradient[c] = (float)sum;
                double b = -scale[c] * inverse * inverse * product / (double)pixels;
                slope[c] = (float)b;
                offset[c] = (float)(-scale[c] * sum / (double)pixels - b * mean[c]);
            }
            spread(slope, over[3], channels, s.period);
            spread(offset, over[4], channels, s.period);
        }
        gradient_values(&s, input, gradient, output, from, to, over[0], over[1], over[3], over[4]);
    }
    free(sums);
    return 0;
}

/* Maximum over windows that do not overlap. Eight channels at once; where their number is no multiple, the last eight overlap the
 * ones before, and fewer than eight go one by one. */
#define EACH_CHANNEL(VECTOR, SINGLE) do { \
        if (channels >= LANES) \
            for (int first = 0; first < channels; first += LANES) { int c = smaller(first, channels - LANES); VECTOR } \
        else \
            for (int c = 0; c < channels; c++) { SINGLE } \
    } while (0)

void pooling_forward(const float *images, float *output, int count, int height, int width, int channels, int size, int threads) {
    int out_height = height / size, out_width = width / size;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int n = 0; n < count; n++)
        for (int y = 0; y < out_height; y++)
            for (int x = 0; x < out_width; x++) {
                const float *from = images + (((size_t)n * height + (size_t)y * size) * width + (size_t)x * size) * channels;
                float *to = output + (((size_t)n * out_height + y) * out_width + x) * channels;
                EACH_CHANNEL(
                    vec best = load(from + c);
                    for (int ky = 0; ky < size; ky++)
                        for (int kx = 0; kx < size; kx++) {
                            vec other = load(from + ((size_t)ky * width + kx) * channels + c);
                            best = larger(other, best);
                        }
                    store(to + c, best);,
                    float best = from[c];
                    for (int ky = 0; ky < size; ky++)
                        for (int kx = 0; kx < size; kx++) {
                            float other = from[((size_t)ky * width + kx) * channels + c];
                            best = other > best ? other : best;
                        }
                    to[c] = best;);
            }
}

/* The gradient goes to the first place of each window that holds the maximum. */
void pooling_backward(const float *images, const float *maxima, const float *gradient, float *output, int count, int height, int width,
                      int channels, int size, int threads) {
    int out_height = height / size, out_width = width / size, whole = out_height * size == height && out_width * size == width;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int n = 0; n < count; n++) {
        if (!whole) memset(output + (size_t)n * height * width * channels, 0, sizeof(float) * (size_t)height * width * channels);
        for (int y = 0; y < out_height; y++)
            for (int x = 0; x < out_width; x++) {
                size_t corner = (((size_t)n * height + (size_t)y * size) * width + (size_t)x * size) * channels;
                size_t at = (((size_t)n * out_height + y) * out_width + x) * channels;
                EACH_CHANNEL(
                    vec best = load(maxima + at + c);
                    ivec left = (ivec)load(gradient + at + c);
                    for (int ky = 0; ky < size; ky++)
                        for (int kx = 0; kx < size; kx++) {
                            size_t place = corner + ((size_t)ky * width + kx) * channels + c;
                            ivec here = load(images + place) == best;
                            store(output + place, (vec)(here & left));
                            left &= ~here;
                        },
                    float left = gradient[at + c];
                    for (int ky = 0; ky < size; ky++)
                        for (int kx = 0; kx < size; kx++) {
                            size_t place = corner + ((size_t)ky * width + kx) * channels + c;
                            int here = images[place] == maxima[at + c];
                            output[place] = here ? left : 0.0f;
                            left = here ? 0.0f : left;
                        });
            }
    }
}

/* Depthwise convolution: each channel by its own kernel. Packed kernels are (K, K, channels rounded up to eight, the rest zero); framed
 * images have room behind them, so the last vector of a pixel may read into the next pixel, whose part is thrown away. */
static void depthwise_framed(const float *framed, int framed_width, int channels, int size, const float *kernel, float *output,
                             int out_height, int out_width) {
    int padded = round_up(channels), row = framed_width * channels;
    for (int y = 0; y < out_height; y++)
        for (int first = 0; first < padded; first += LANES) {
            const float *line = framed + (size_t)y * row + first, *weights = kernel + first;
            float *to = output + (size_t)y * out_width * channels + first;
            int rest = channels - first;
            int x = 0;
            for (; x + 4 <= out_width; x += 4) {
                vec sum[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
                for (int ky = 0; ky < size; ky++)
                    for (int kx = 0; kx < size; kx++) {
                        vec w = load(weights + (ky * size + kx) * padded);
                        const float *from = line + (size_t)ky * row + (x + kx) * channels;
#pragma GCC unroll 4
                        for (int m = 0; m < 4; m++) sum[m] += load(from + m * channels) * w;
                    }
#pragma GCC unroll 4
                for (int m = 0; m < 4; m++) store_some(to + (x + m) * channels, sum[m], rest);
            }
            for (; x < out_width; x++) {
                vec sum = splat(0.0f);
                for (int ky = 0; ky < size; ky++)
                    for (int kx = 0; kx < size; kx++)
                        sum += load(line + (size_t)ky * row + (x + kx) * channels) * load(weights + (ky * size + kx) * padded);
                store_some(to + x * channels, sum, rest);
            }
        }
}

/* One row of taps at a time: `size` sums for eight channels, over all positions. */
static void depthwise_gradient(const float *framed, int framed_width, int channels, int size, const float *gradient, int gradient_row,
                               int out_height, int out_width, float *sums) {
    int padded = round_up(channels), row = framed_width * channels;
    for (int first = 0; first < padded; first += LANES)
        for (int k = 0; k < size * size; k += 3) {
            int taps = smaller(3, size * size - k);
            vec sum[3][2] = {{splat(0.0f), splat(0.0f)}, {splat(0.0f), splat(0.0f)}, {splat(0.0f), splat(0.0f)}};
            size_t place[3];
            for (int m = 0; m < 3; m++) {
                int tap = k + smaller(m, taps - 1);
                place[m] = (size_t)(tap / size) * row + (tap % size) * channels + first;
            }
            for (int y = 0; y < out_height; y++) {
                const float *x = framed + (size_t)y * row, *g = gradient + (size_t)y * gradient_row + first;
                int pixel = 0;
                for (; pixel + 2 <= out_width; pixel += 2) {
                    vec d = load(g + pixel * channels), e = load(g + (pixel + 1) * channels);
#pragma GCC unroll 3
                    for (int m = 0; m < 3; m++) {
                        sum[m][0] += load(x + place[m] + pixel * channels) * d;
                        sum[m][1] += load(x + place[m] + (pixel + 1) * channels) * e;
                    }
                }
                for (; pixel < out_width; pixel++) {
                    vec d = load(g + pixel * channels);
#pragma GCC unroll 3
                    for (int m = 0; m < 3; m++) sum[m][0] += load(x + place[m] + pixel * channels) * d;
                }
            }
            for (int m = 0; m < taps; m++) {
                float *to = sums + (size_t)(k + m) * padded + first;
                store(to, load(to) + sum[m][0] + sum[m][1]);
            }
        }
}

/* torch's (C, 1, K, K) as (K, K, padded C), turned by half a turn for the way back. */
static void pack_depthwise(const float *kernel, float *packed, int channels, int size, int turned) {
    int padded = round_up(channels), area = size * size;
    memset(packed, 0, sizeof(float) * (size_t)(area * padded));
    for (int c = 0; c < channels; c++)
        for (int k = 0; k < area; k++) packed[(turned ? area - 1 - k : k) * padded + c] = kernel[c * area + k];
}

int depthwise_forward(const float *images, const float *kernel, float *output, int count, int height, int width, int channels, int size,
                      int pad, int threads) {
    int out_height = height + 2 * pad - size + 1, out_width = width + 2 * pad - size + 1, framed_width = width + 2 * pad, failed = 0;
    float *packed = aligned_alloc(64, ((size_t)size * size * round_up(channels) * sizeof(float) + 63) / 64 * 64);
    if (!packed) return 1;
    pack_depthwise(kernel, packed, channels, size, 0);
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        float *framed = workspace(((size_t)framed_width * (height + 2 * pad) * channels + SLACK) * sizeof(float));
        failed = !framed;
#pragma omp for schedule(static)
        for (int n = 0; n < count; n++) {
            if (failed) continue;
            frame(images + (size_t)n * height * width * channels, framed, height, width, channels, pad);
            depthwise_framed(framed, framed_width, channels, size, packed, output + (size_t)n * out_height * out_width * channels,
                             out_height, out_width);
        }
    }
    free(packed);
    return failed;
}

int depthwise_backward(const float *images, const float *kernel, const float *gradient, float *image_gradient, float *kernel_gradients,
                       int count, int height, int width, int channels, int size, int pad, int threads) {
    int out_height = height + 2 * pad - size + 1, out_width = width + 2 * pad - size + 1, area = size * size;
    int edge = size - 1 - pad, framed_width = width + 2 * pad, back_width = out_width + 2 * edge, failed = 0, padded = round_up(channels);
    size_t sums_size = (size_t)area * padded;
    float *turned = aligned_alloc(64, (sums_size * sizeof(float) + 63) / 64 * 64);
    float *sums = aligned_alloc(64, (sums_size * threads * sizeof(float) + 63) / 64 * 64);
    if (!turned || !sums) { free(turned); free(sums); return 1; }
    pack_depthwise(kernel, turned, channels, size, 1);
    memset(sums, 0, sums_size * threads * sizeof(float));
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        size_t front = (size_t)framed_width * (height + 2 * pad) * channels + SLACK;
        size_t behind = (size_t)back_width * (out_height + 2 * edge) * channels + SLACK;
        float *framed = workspace((front + behind) * sizeof(float)), *back = framed + front;
        float *own = sums + sums_size * omp_get_thread_num();
        failed = !framed;
        if (framed) memset(framed + front - SLACK, 0, SLACK * sizeof(float));
        if (framed) memset(back + behind - SLACK, 0, SLACK * sizeof(float));
#pragma omp for schedule(static)
        for (int n = 0; n < count; n++) {
            if (failed) continue;
            frame(images + (size_t)n * height * width * channels, framed, height, width, channels, pad);
            frame(gradient + (size_t)n * out_height * out_width * channels, back, out_height, out_width, channels, edge);
            if (image_gradient)
                depthwise_framed(back, back_width, channels, size, turned, image_gradient + (size_t)n * height * width * channels, height,
                                 width);
            depthwise_gradient(framed, framed_width, channels, size, back + ((size_t)edge * back_width + edge) * channels,
                               back_width * channels, out_height, out_width, own);
        }
    }
    for (int c = 0; c < channels; c++)
        for (int k = 0; k < area; k++) {
            float total = 0.0f;
            for (int thread = 0; thread < threads; thread++) total += sums[sums_size * thread + (size_t)k * padded + c];
            kernel_gradients[c * area + k] = total;
        }
    free(turned);
    free(sums);
    return failed;
}
