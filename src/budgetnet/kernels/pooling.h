/* Max-pooling over windows that do not overlap, the mean over all places, and their ways back, for one image (H, W, C). Costs one pass
 * over memory each. */
#ifndef BUDGETNET_POOLING_H
#define BUDGETNET_POOLING_H

#include "stage.h"
#include "vectors.h"

/* A vector of channels at once; where their number is no multiple, the last ones overlap those before. */
#define EACH_VECTOR(...) \
    for (int first = 0; first < channels; first += LANES) { \
        const int c = channels < LANES ? 0 : smaller(first, channels - LANES), left = channels - c; \
        __VA_ARGS__ \
    }

/* The maximum of a window of rows `row` numbers apart, NaN where one is in it, for the first `left` channels. */
INLINE vec window_maximum(const float *from, int row, int channels, int size, int left) {
    vec best = load_some(from, left);
    for (int ky = 0; ky < size; ky++)
        for (int kx = 0; kx < size; kx++) best = largest(best, load_some(from + (size_t)ky * row + kx * channels, left));
    return best;
}

static void pooling_forward(const float *image, float *output, int height, int width, int channels, int size) {
    int out_height = height / size, out_width = width / size;
    for (int y = 0; y < out_height; y++)
        for (int x = 0; x < out_width; x++) {
            const float *from = image + ((size_t)y * size * width + (size_t)x * size) * channels;
            float *to = output + ((size_t)y * out_width + x) * channels;
            EACH_VECTOR(store_some(to + c, window_maximum(from + c, width * channels, channels, size, left), left);)
        }
}

/* The gradient goes to the first place of each window that holds the maximum. */
static void pooling_backward(const float *image, const float *gradient, float *output, int height, int width, int channels, int size) {
    int out_height = height / size, out_width = width / size, whole = out_height * size == height && out_width * size == width;
    if (!whole) memset(output, 0, sizeof(float) * (size_t)height * width * channels);
    for (int y = 0; y < out_height; y++)
        for (int x = 0; x < out_width; x++) {
            size_t corner = ((size_t)y * size * width + (size_t)x * size) * channels;
            size_t at = ((size_t)y * out_width + x) * channels;
            EACH_VECTOR(
                vec best = window_maximum(image + corner + c, width * channels, channels, size, left);
                ivec rest = (ivec)load_some(gradient + at + c, left);
                for (int ky = 0; ky < size; ky++)
                    for (int kx = 0; kx < size; kx++) {
                        size_t place = corner + ((size_t)ky * width + kx) * channels + c;
                        ivec here = load_some(image + place, left) == best;
                        store_some(output + place, (vec)(here & rest), left);
                        rest &= ~here;
                    })
        }
}

static void averaging_forward(const float *image, float *output, int places, int channels) {
    double sums[MAX_CHANNELS] = {0};
    for (int place = 0; place < places; place++)
        for (int c = 0; c < channels; c++) sums[c] += image[(size_t)place * channels + c];
    for (int c = 0; c < channels; c++) output[c] = (float)(sums[c] / places);
}

static void averaging_backward(const float *gradient, float *output, int places, int channels) {
    float share = 1.0f / (float)places;
    for (int place = 0; place < places; place++)
        for (int c = 0; c < channels; c++) output[(size_t)place * channels + c] = gradient[c] * share;
}

#endif
