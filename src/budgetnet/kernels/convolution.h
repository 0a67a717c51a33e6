/* The four products of a convolution that a training step needs, for one image: blocked for registers, full and depthwise.
 *
 * Costs: one half to three quarters of a core's peak where channels are whole vectors (of eight or sixteen: vectors.h). The blocking is the
 * classical one for small matrix products. Layout: images (H, W, C), framed by zeros where the convolution pads; kernels (K, K, C_in, C_out rounded up to
 * whole vectors, the rest zero).
 */
#ifndef BUDGETNET_CONVOLUTION_H
#define BUDGETNET_CONVOLUTION_H

#include "vectors.h"

#define MOST_AT_ONCE 10 /* Pixels or places of a kernel whose sums are in registers: this many of one vector of channels, six of two. */
#define SLACK 16 /* Numbers behind a frame that may be read, and are thrown away. */

/* The inner part of a frame of zeros `pad` wide; the zeros are written once for all images that a thread frames in the same memory. */
static void frame(const float *image, float *framed, int height, int width, int channels, int pad) {
    int row = (width + 2 * pad) * channels, inner = width * channels;
    float *to = framed + (size_t)pad * row + pad * channels;
    for (int y = 0; y < height; y++) memcpy(to + (size_t)y * row, image + (size_t)y * inner, sizeof(float) * (size_t)inner);
}

/* `pixels` neighbouring outputs of one row, `vectors` vectors of channels of each. Where fewer than that are left, the last vector overlaps
 * the ones before (the same numbers twice cost less than a part of a vector); of fewer than a vector in all, a part is stored. */
INLINE void outputs_block(const int pixels, const int vectors, const float *restrict input, int row, int channels, int size,
                          const float *restrict kernel, int kernel_step, float *restrict output, int out_channels, int rest) {
    vec sum[MOST_AT_ONCE][2];
    int at[2];
#pragma GCC unroll 2
    for (int n = 0; n < vectors; n++) at[n] = n < vectors - 1 || rest < LANES ? n * LANES : smaller(n * LANES, rest - LANES);
#pragma GCC unroll 10
    for (int m = 0; m < pixels; m++)
#pragma GCC unroll 2
        for (int n = 0; n < vectors; n++) sum[m][n] = splat(0.0f);
    int run = size * channels;
    for (int ky = 0; ky < size; ky++) {
        const float *from = input + (size_t)ky * row;
        const float *weight = kernel + (size_t)ky * run * kernel_step;
        for (int t = 0; t < run; t++) {
            vec w[2];
#pragma GCC unroll 2
            for (int n = 0; n < vectors; n++) w[n] = load(weight + at[n]);
#pragma GCC unroll 10
            for (int m = 0; m < pixels; m++) {
                vec x = splat(from[m * channels + t]);
#pragma GCC unroll 2
                for (int n = 0; n < vectors; n++) sum[m][n] += x * w[n];
            }
            weight += kernel_step;
        }
    }
#pragma GCC unroll 10
    for (int m = 0; m < pixels; m++)
#pragma GCC unroll 2
        for (int n = 0; n < vectors; n++) store_some(output + m * out_channels + at[n], sum[m][n], rest - at[n]);
}

#define OUTPUTS_CASE(M, V) case M: outputs_block(M, V, input, row, channels, size, kernel, kernel_step, output, out_channels, rest); break;

/* A row of `width` outputs: as many at once as registers hold, then the rest. */
#define OUTPUTS_ROW(NAME, MOST, V, ...) \
    static void NAME(int width, const float *input, int row, int channels, int size, const float *kernel, int kernel_step, float *output, \
                     int out_channels, int rest) { \
        for (; width >= MOST; width -= MOST, input += MOST * channels, output += MOST * out_channels) \
            outputs_block(MOST, V, input, row, channels, size, kernel, kernel_step, output, out_channels, rest); \
        switch (width) { __VA_ARGS__ } \
    }
#define OUTPUTS_CASES(V) OUTPUTS_CASE(1, V) OUTPUTS_CASE(2, V) OUTPUTS_CASE(3, V) OUTPUTS_CASE(4, V) OUTPUTS_CASE(5, V)
OUTPUTS_ROW(outputs_one, 10, 1, OUTPUTS_CASES(1) OUTPUTS_CASE(6, 1) OUTPUTS_CASE(7, 1) OUTPUTS_CASE(8, 1) OUTPUTS_CASE(9, 1))
OUTPUTS_ROW(outputs_two, 6, 2, OUTPUTS_CASES(2))

/* About as many as stay in the nearest cache, for outputs of an image that is one row and for gradients; all blocks divide it. */
#define PIXELS_AT_ONCE 60

/* Outputs of one framed image: every row in blocks, as many channels at once as registers hold. */
static void convolve_framed(const float *framed, int framed_width, int channels, int size, const float *kernel, float *output,
                            int out_height, int out_width, int out_channels) {
    int padded = round_up(out_channels), row = framed_width * channels;
    int together = out_height == 1 ? smaller(out_width, PIXELS_AT_ONCE) : out_width;
    for (int x = 0; x < out_width; x += together)
        for (int first = 0; first < padded;) {
            int vectors = (padded - first) / LANES;
            /* Not three: their sums leave too few registers, which was half as fast. */
            vectors = smaller(vectors, 2);
            /* As in a block, the last vector overlaps the ones before. */
            int from = first && out_channels - first < LANES ? out_channels - LANES : first, rest = out_channels - from;
            int width = smaller(together, out_width - x);
            for (int y = 0; y < out_height; y++) {
                const float *input = framed + (size_t)y * row + (size_t)x * channels;
                float *to = output + ((size_t)y * out_width + x) * out_channels + from;
                if (vectors == 1) outputs_one(width, input, row, channels, size, kernel + from, padded, to, out_channels, rest);
                else outputs_two(width, input, row, channels, size, kernel + from, padded, to, out_channels, rest);
            }
            first += vectors * LANES;
        }
}

/* `taps` rows of the kernel's gradient by `vectors` vectors of output channels, summed over one image. */
INLINE void kernel_block(const int taps, const int vectors, const float *restrict input, int row, int channels,
                         const float *restrict gradient, int gradient_row, int out_channels, int out_height, int out_width,
                         float *restrict sums, int padded) {
    vec sum[MOST_AT_ONCE][2];
#pragma GCC unroll 10
    for (int m = 0; m < taps; m++)
#pragma GCC unroll 2
        for (int n = 0; n < vectors; n++) sum[m][n] = load(sums + m * padded + n * LANES);
    for (int y = 0; y < out_height; y++) {
        const float *x = input + (size_t)y * row, *g = gradient + (size_t)y * gradient_row;
        for (int pixel = 0; pixel < out_width; pixel++) {
            vec d[2];
#pragma GCC unroll 2
            for (int n = 0; n < vectors; n++) d[n] = load(g + n * LANES);
#pragma GCC unroll 10
            for (int m = 0; m < taps; m++) {
                vec value = splat(x[m]);
#pragma GCC unroll 2
                for (int n = 0; n < vectors; n++) sum[m][n] += value * d[n];
            }
            x += channels;
            g += out_channels;
        }
    }
#pragma GCC unroll 10
    for (int m = 0; m < taps; m++)
#pragma GCC unroll 2
        for (int n = 0; n < vectors; n++) store(sums + m * padded + n * LANES, sum[m][n]);
}

#define KERNEL_CASE(M, V) case M: kernel_block(M, V, input, row, channels, gradient, gradient_row, out_channels, out_height, out_width, sums, padded); break;
#define KERNEL_CASES(V) KERNEL_CASE(1, V) KERNEL_CASE(2, V) KERNEL_CASE(3, V) KERNEL_CASE(4, V) KERNEL_CASE(5, V) KERNEL_CASE(6, V)

static void kernel_taps(int taps, int vectors, const float *input, int row, int channels, const float *gradient, int gradient_row,
                        int out_channels, int out_height, int out_width, float *sums, int padded) {
    if (vectors == 1) switch (taps) { KERNEL_CASES(1) KERNEL_CASE(7, 1) KERNEL_CASE(8, 1) KERNEL_CASE(9, 1) KERNEL_CASE(10, 1) }
    else switch (taps) { KERNEL_CASES(2) }
}

/* Add the share of `out_height` by `out_width` pixels to the kernel's gradient. */
static void kernel_gradient_of_part(const float *framed, int row, int channels, int size, const float *gradient, int gradient_row, int out_height,
                                    int out_width, int out_channels, float *sums) {
    int padded = round_up(out_channels), run = size * channels;
    for (int first = 0; first < padded;) {
        int vectors = (padded - first) / LANES;
        vectors = smaller(vectors, 2);
        int most = vectors == 1 ? 10 : 6, blocks = (run + most - 1) / most;
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

/* Add one image's share to the kernel's gradient, laid out as the packed kernel, a part of the image after another: all of the kernel meets
 * it while it is in the nearest cache. Reads up to a vector less one number behind the last gradient. */
static void kernel_gradient(const float *framed, int framed_width, int channels, int size, const float *gradient, int gradient_row,
                            int out_height, int out_width, int out_channels, float *sums) {
    int row = framed_width * channels, rows = out_height == 1 ? 1 : 1 + PIXELS_AT_ONCE / out_width;
    int columns = out_height == 1 ? PIXELS_AT_ONCE : out_width;
    for (int y = 0; y < out_height; y += rows)
        for (int x = 0; x < out_width; x += columns)
            kernel_gradient_of_part(framed + (size_t)y * row + (size_t)x * channels, row, channels, size,
                                    gradient + (size_t)y * gradient_row + (size_t)x * out_channels, gradient_row, smaller(rows, out_height - y),
                                    smaller(columns, out_width - x), out_channels, sums);
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

/* Depthwise convolution: each channel by its own kernel. Packed kernels are (K, K, channels rounded up to whole vectors, the rest zero). Framed
 * images have room behind them: where channels are fewer than a vector, it reads into the next pixel, whose part is thrown away. */
/* `taps` neighbours in one row of the kernel, for `pixels` neighbouring outputs: each number of the input is read once for all of them. */
INLINE void depthwise_neighbours(const int pixels, const int taps, const float *restrict input, int channels, const float *restrict kernel,
                                 int padded, vec *sum) {
    vec w[3];
#pragma GCC unroll 3
    for (int k = 0; k < taps; k++) w[k] = load(kernel + k * padded);
#pragma GCC unroll 10
    for (int place = 0; place < pixels + taps - 1; place++) {
        vec x = load(input + place * channels);
#pragma GCC unroll 3
        for (int k = 0; k < taps; k++)
            if (place >= k && place - k < pixels) sum[place - k] += x * w[k];
    }
}

INLINE void depthwise_block(const int pixels, const int size, const float *restrict input, int row, int channels, const float *restrict kernel,
                            int padded, float *restrict output, int rest) {
    vec sum[8];
#pragma GCC unroll 8
    for (int m = 0; m < pixels; m++) sum[m] = splat(0.0f);
#pragma GCC unroll 3
    for (int ky = 0; ky < size; ky++, input += row, kernel += size * padded) {
        int kx = 0;
        for (; kx + 3 <= size; kx += 3) depthwise_neighbours(pixels, 3, input + kx * channels, channels, kernel + kx * padded, padded, sum);
        if (kx + 2 == size) depthwise_neighbours(pixels, 2, input + kx * channels, channels, kernel + kx * padded, padded, sum);
        if (kx + 1 == size) depthwise_neighbours(pixels, 1, input + kx * channels, channels, kernel + kx * padded, padded, sum);
    }
#pragma GCC unroll 8
    for (int m = 0; m < pixels; m++) store_some(output + m * channels, sum[m], rest);
}

#define DEPTHWISE_CASE(M) case M: depthwise_block(M, size, input, row, channels, kernel, padded, output, rest); break;

/* A row of `width` outputs, a vector of channels of each; seven at once, which divide the usual widths of small images. */
INLINE void depthwise_row(const int size, int width, const float *input, int row, int channels, const float *kernel, int padded, float *output,
                          int rest) {
    for (; width >= 7; width -= 7, input += 7 * channels, output += 7 * channels)
        depthwise_block(7, size, input, row, channels, kernel, padded, output, rest);
    switch (width) {
        DEPTHWISE_CASE(1) DEPTHWISE_CASE(2) DEPTHWISE_CASE(3) DEPTHWISE_CASE(4) DEPTHWISE_CASE(5) DEPTHWISE_CASE(6)
    }
}

static void depthwise_framed(const float *framed, int framed_width, int channels, int size, const float *kernel, float *output,
                             int out_height, int out_width) {
    int padded = round_up(channels), row = framed_width * channels;
    for (int y = 0; y < out_height; y++)
        for (int step = 0; step < padded; step += LANES) {
            /* The last vector of channels overlaps the one before where their number is no multiple. */
            int first = channels < LANES ? 0 : smaller(step, channels - LANES);
            const float *line = framed + (size_t)y * row + first;
            float *to = output + (size_t)y * out_width * channels + first;
            if (size == 3) depthwise_row(3, out_width, line, row, channels, kernel + first, padded, to, channels - first);
            else depthwise_row(size, out_width, line, row, channels, kernel + first, padded, to, channels - first);
        }
}

/* The gradient of one row of a depthwise kernel, `taps` places wide, for a vector of channels: a window slides along each row of the image. */
INLINE void depthwise_taps(const int taps, const float *restrict input, int row, int channels, const float *restrict gradient,
                           int gradient_row, int out_height, int out_width, float *restrict sums, int padded) {
    vec sum[5][2];
#pragma GCC unroll 5
    for (int m = 0; m < taps; m++) sum[m][0] = sum[m][1] = splat(0.0f);
    for (int y = 0; y < out_height; y++) {
        const float *x = input + (size_t)y * row, *g = gradient + (size_t)y * gradient_row;
        int pixel = 0;
        for (; pixel + 2 <= out_width; pixel += 2) {
            vec d = load(g), e = load(g + channels), window[6];
#pragma GCC unroll 6
            for (int m = 0; m <= taps; m++) window[m] = load(x + m * channels);
#pragma GCC unroll 5
            for (int m = 0; m < taps; m++) {
                sum[m][0] += window[m] * d;
                sum[m][1] += window[m + 1] * e;
            }
            x += 2 * channels;
            g += 2 * channels;
        }
        if (pixel < out_width) {
            vec d = load(g);
#pragma GCC unroll 5
            for (int m = 0; m < taps; m++) sum[m][0] += load(x + m * channels) * d;
        }
    }
#pragma GCC unroll 5
    for (int m = 0; m < taps; m++) store(sums + m * padded, load(sums + m * padded) + sum[m][0] + sum[m][1]);
}

/* The gradient of a whole 3×3 kernel for a vector of channels, from each second pixel of a row. */
INLINE void depthwise_nine(const int odd, const float *restrict input, int row, int channels, const float *restrict gradient, int gradient_row,
                           int out_height, int out_width, float *restrict sums, int padded) {
    vec sum[9];
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) sum[k] = splat(0.0f);
    for (int y = 0; y < out_height; y++) {
        const float *x = input + (size_t)y * row + odd * channels, *g = gradient + (size_t)y * gradient_row + odd * channels;
        for (int pixel = odd; pixel < out_width; pixel += 2, x += 2 * channels, g += 2 * channels) {
            vec d = load(g);
#pragma GCC unroll 3
            for (int ky = 0; ky < 3; ky++) {
                sum[3 * ky] += load(x + ky * row) * d;
                sum[3 * ky + 1] += load(x + ky * row + channels) * d;
                sum[3 * ky + 2] += load(x + ky * row + 2 * channels) * d;
            }
        }
    }
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) store(sums + k * padded, load(sums + k * padded) + sum[k]);
}

#define TAPS_CASE(M) case M: depthwise_taps(M, x, row, channels, g, gradient_row, out_height, out_width, to, padded); break;

/* Add one image's share to the gradient of a depthwise kernel, laid out as the packed one. */
static void depthwise_gradient(const float *framed, int framed_width, int channels, int size, const float *gradient, int gradient_row,
                               int out_height, int out_width, float *sums) {
    int padded = round_up(channels), row = framed_width * channels;
    for (int first = 0; first < padded; first += LANES) {
        if (size == 3) {
            depthwise_nine(0, framed + first, row, channels, gradient + first, gradient_row, out_height, out_width, sums + first, padded);
            depthwise_nine(1, framed + first, row, channels, gradient + first, gradient_row, out_height, out_width, sums + first, padded);
            continue;
        }
        for (int ky = 0; ky < size; ky++)
            for (int kx = 0; kx < size; kx += 5) {
                const float *x = framed + (size_t)ky * row + (size_t)kx * channels + first, *g = gradient + first;
                float *to = sums + (size_t)(ky * size + kx) * padded + first;
                switch (smaller(5, size - kx)) { TAPS_CASE(1) TAPS_CASE(2) TAPS_CASE(3) TAPS_CASE(4) TAPS_CASE(5) }
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

#endif
