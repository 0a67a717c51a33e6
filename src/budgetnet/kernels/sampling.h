/* Moving whole images: each place of a new image is read from a place of the old one, bilinear, zeros outside.
 *
 * What it does: a place is an affine map of its own place, plus a bend that is given at a few points and interpolated between them along
 * rows and columns; the value there is that of `F.grid_sample(..., mode="bilinear", padding_mode="zeros", align_corners=False)`.
 * What it costs: about 4 µs an image of 28×28 and thread.
 */
#ifndef BUDGETNET_SAMPLING_H
#define BUDGETNET_SAMPLING_H

#include <stdlib.h>

#include "vectors.h"

/* Below zero, and NaN, is zero; above `high` is `high`. */
INLINE vec within(vec x, float high) {
    x = (vec)((ivec)x & (x > splat(0.0f)));
    ivec over = x > splat(high);
    return (vec)((over & (ivec)splat(high)) | (~over & (ivec)x));
}

/* The old image stands in a frame of zeros, one to the left and above, two to the right and below. */
static void surround(const float *image, float *framed, int height, int width, int channels) {
    size_t row = (size_t)(width + 3) * channels;
    memset(framed, 0, sizeof(float) * row * (height + 3));
    for (int y = 0; y < height; y++)
        memcpy(framed + (y + 1) * row + channels, image + (size_t)y * width * channels, sizeof(float) * (size_t)width * channels);
}

#define POINTS 5 /* a side of the coarse grid of bends */
#define LONGEST 16 /* What is said of a row is padded to a multiple of this, on any processor. */

/* Where a row of a new image is read from: x, then y, where the image spans -1 to 1, as sums over what differs along the row. */
typedef struct {
    float constant[2], slope[2], bends[2][POINTS];
} Row;

/* `affine` are (2, 3), `bends` (2, POINTS, POINTS) or NULL, `weights` those of the points for this row. */
static Row row_of(const float *affine, const float *bends, const float *weights, float y) {
    Row row;
    for (int axis = 0; axis < 2; axis++, affine += 3) {
        row.slope[axis] = affine[0];
        row.constant[axis] = affine[1] * y + affine[2];
        for (int point = 0; point < POINTS; point++) {
            float sum = 0.0f;
            for (int i = 0; bends && i < POINTS; i++) sum += weights[i] * bends[(axis * POINTS + i) * POINTS + point];
            row.bends[axis][point] = sum;
        }
    }
    return row;
}

/* A vector of places along a row on one axis; `across` are (1 + POINTS, padded width): x, and the points' weights. */
INLINE vec places_of(const Row *row, const int axis, const float *across, int padded, int bent) {
    vec place = splat(row->constant[axis]) + splat(row->slope[axis]) * load(across);
    if (bent)
        for (int point = 0; point < POINTS; point++) place += splat(row->bends[axis][point]) * load(across + (1 + point) * padded);
    return place;
}

/* The value of a vector of places in one channel of the frame, whose upper left pixels are `corner` numbers from its start. */
INLINE vec blended(const float *framed, ivec corner, int step, int row, vec part_x, vec part_y) {
    vec here = load_from(framed, corner), right = load_from(framed + step, corner);
    vec under = load_from(framed + row, corner), other = load_from(framed + row + step, corner);
    vec above = here + part_x * (right - here), below = under + part_x * (other - under);
    return above + part_y * (below - above);
}

/* `down` are (height, 1 + POINTS): y, and the points' weights. */
static void move_image(const float *framed, const float *affine, const float *bends, const float *across, const float *down, float *output,
                       int height, int width, int channels) {
    int padded = (width + LONGEST - 1) / LONGEST * LONGEST, step = (width + 3) * channels;
    for (int y = 0; y < height; y++, down += 1 + POINTS) {
        Row row = row_of(affine, bends, down + 1, *down);
        for (int first = 0; first < width; first += LANES) {
            vec at_x = places_of(&row, 0, across + first, padded, bends != NULL), at_y = places_of(&row, 1, across + first, padded, bends != NULL);
            /* In pixels of the frame: the first of the image has its middle at one. */
            at_x = within((at_x + splat(1.0f)) * splat(0.5f * (float)width) + splat(0.5f), (float)width + 1.0f);
            at_y = within((at_y + splat(1.0f)) * splat(0.5f * (float)height) + splat(0.5f), (float)height + 1.0f);
            ivec left = __builtin_convertvector(at_x, ivec), top = __builtin_convertvector(at_y, ivec);
            vec part_x = at_x - __builtin_convertvector(left, vec), part_y = at_y - __builtin_convertvector(top, vec);
            float *to = output + ((size_t)y * width + first) * channels;
            for (int c = 0; c < channels; c++) {
                vec value = blended(framed + c, top * step + left * channels, channels, step, part_x, part_y);
                if (channels == 1) store_some(to, value, width - first);
                else
                    for (int lane = 0; lane < smaller(LANES, width - first); lane++) to[lane * channels + c] = value[lane];
            }
        }
    }
}

/* `images` and `output` are (count, height, width, channels). Returns 0, or 1 where memory ran out. */
int move_images(const float *images, const float *affine, const float *bends, const float *across, const float *down, float *output, int count,
                int height, int width, int channels, int threads) {
    size_t framed_size = (size_t)(width + 3) * (height + 3) * channels, numbers = (size_t)height * width * channels;
    float *frames = malloc(sizeof(float) * framed_size * threads);
    if (!frames) return 1;
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int part = 0; part < threads; part++)
        for (int64_t n = (int64_t)count * part / threads; n < (int64_t)count * (part + 1) / threads; n++) {
            float *framed = frames + framed_size * part;
            surround(images + n * numbers, framed, height, width, channels);
            move_image(framed, affine + n * 6, bends ? bends + n * 2 * POINTS * POINTS : NULL, across, down, output + n * numbers, height, width,
                       channels);
        }
    free(frames);
    return 0;
}

#endif
