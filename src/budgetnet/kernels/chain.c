/* Training steps of chains of layers on float32 images with channels last in memory, forward and back.
 *
 * What it does: runs the links of a chain image by image. Only BatchNormalization needs the whole batch at once; between two of them
 * everything that happens to an image happens while it is in the cache, and threads meet only where a normalisation needs its sums.
 * What it costs: see benchmarks/. Where it comes from: links.py says what each link equals, program.py fills them in; the loops are in the headers.
 * Every sum has a fixed order for the number of threads that was asked for and the vectors' width, so runs repeat bit for bit, also where fewer are given.
 *
 * Layout: images (N, H, W, C), each link's input and output contiguous; a passing link's output is one image in its thread's memory. A
 * batch has as many contiguous parts as threads are asked for.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "adam.h"
#include "convolution.h"
#include "loss.h"
#include "pooling.h"
#include "sampling.h"
#include "stage.h"

enum { CONVOLUTION, DEPTHWISE, STAGE, POOLING, RECTIFICATION, SHIFT, AVERAGING };

/* What Python says of a link; program.py has the same fields. */
typedef struct {
    int32_t kind, height, width, channels, out_channels, size, pad, relu_first, activation, threshold;
    int32_t passing; /* of a stage, or a depthwise convolution: its output is not kept, but made again on the way back */
    float epsilon, momentum, correction;
    uint64_t key;
    const float *input;
    float *output; /* of a shift: its input */
    const float *weight, *bias;
    float *statistics; /* of a stage: mean, variance, scale and shift of each channel */
    float *running_mean, *running_variance, *weight_gradient, *bias_gradient;
    int64_t *batches_tracked;
} Link;

/* What is derived from it for one call. Sizes are of one image; sums have a part for each thread. */
typedef struct {
    const Link *link;
    int height, width, out_height, out_width, edge;
    size_t numbers, out_numbers;
    float *packed;             /* of a convolution: its kernel, or the turned one on the way back */
    float *ahead;              /* of a convolution: the kernel that is not turned, where it is needed */
    float *kernel_sums;        /* of a convolution, on the way back: (threads, kernel_size) */
    size_t kernel_size;
    size_t frame, back_frame;  /* where a thread's frames of this link begin in its memory */
    size_t passing_at;         /* where outputs of passing links are, of any: who reads one frames it before writing there */
    int passed;                /* whether the link before is a passing one */
    Stage stage;
    float *over[5];            /* of a stage: scale, shift, mean, slope and offset, repeated over a period */
    double *sums;              /* of a stage and a shift: (threads, 2, channels) */
} Step;

/* Memory of one call: laid out once without a base, to learn its size, and once with. */
typedef struct {
    char *base;
    size_t used;
} Room;

static void *take(Room *room, size_t bytes) {
    void *at = room->base ? room->base + room->used : NULL;
    room->used += (bytes + 63) / 64 * 64;
    return at;
}

/* Memory that the calling thread keeps from step to step. */
static char *workspace(size_t bytes) {
    if (!bytes) bytes = 64;
    static _Thread_local char *memory = NULL;
    static _Thread_local size_t held = 0;
    if (bytes > held) {
        free(memory);
        memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
        held = memory ? bytes : 0;
    }
    return memory;
}

static int64_t share(int64_t whole, int part, int parts) { return whole * part / parts; }
static int is_convolution(const Link *l) { return l->kind == CONVOLUTION || l->kind == DEPTHWISE; }

static void measure(Step *s, const Link *l) {
    s->link = l;
    s->height = l->height;
    s->width = l->width;
    /* A 1×1 kernel sees one place at a time: an image is one long row to it, and blocks are full. */
    if (l->kind == CONVOLUTION && l->size == 1 && l->pad == 0) { s->width *= s->height; s->height = 1; }
    s->out_height = s->height;
    s->out_width = s->width;
    if (is_convolution(l)) { s->out_height += 2 * l->pad - l->size + 1; s->out_width += 2 * l->pad - l->size + 1; }
    if (l->kind == POOLING) { s->out_height /= l->size; s->out_width /= l->size; }
    if (l->kind == AVERAGING) s->out_height = s->out_width = 1;
    s->edge = l->size - 1 - l->pad;
    s->numbers = (size_t)s->height * s->width * l->channels;
    s->out_numbers = (size_t)s->out_height * s->out_width * l->out_channels;
}

static size_t framed_numbers(int height, int width, int channels, int pad) {
    /* Rounded up to a cache line, so that the next frame begins with one. */
    return ((size_t)(height + 2 * pad) * (width + 2 * pad) * channels + SLACK + 15) / 16 * 16;
}

static void *take_zeros(Room *room, size_t bytes) {
    void *at = take(room, bytes);
    if (at) memset(at, 0, bytes);
    return at;
}

/* Give a link its memory, and fill what does not depend on images; `frames` counts the numbers of a thread's frames. */
static void lay_out(Room *room, Step *s, size_t *frames, int threads, int back) {
    const Link *l = s->link;
    if (is_convolution(l)) {
        int area = l->size * l->size, full = l->kind == CONVOLUTION;
        s->kernel_size = (size_t)area * (full ? l->channels : 1) * round_up(full ? l->out_channels : l->channels);
        s->packed = take(room, sizeof(float) * (back && full ? (size_t)area * l->out_channels * round_up(l->channels) : s->kernel_size));
        s->ahead = back && l->passing ? take(room, sizeof(float) * s->kernel_size) : s->packed;
        if (back) s->kernel_sums = take_zeros(room, sizeof(float) * s->kernel_size * threads);
        s->frame = *frames;
        *frames += framed_numbers(s->height, s->width, l->channels, l->pad);
        s->back_frame = *frames;
        if (back) *frames += framed_numbers(s->out_height, s->out_width, l->out_channels, s->edge);
        if (!room->base) return;
        if (s->ahead != s->packed) pack_depthwise(l->weight, s->ahead, l->channels, l->size, 0);
        if (!full) pack_depthwise(l->weight, s->packed, l->channels, l->size, back);
        else if (back) pack_turned(l->weight, s->packed, l->channels, l->out_channels, l->size);
        else pack(l->weight, s->packed, l->channels, l->out_channels, l->size);
    } else if (l->kind == STAGE) {
        s->stage = stage_of((int64_t)s->height * s->width, l->channels, l->relu_first, l->activation, l->threshold, l->key);
        for (int row = 0; row < (back ? 5 : 2); row++) s->over[row] = take(room, sizeof(float) * s->stage.period);
        s->sums = take_zeros(room, sizeof(double) * 2 * l->channels * threads);
        const float *known[3] = {l->statistics + 2 * l->channels, l->statistics + 3 * l->channels, l->statistics};
        for (int row = 0; back && room->base && row < 3; row++) spread(known[row], s->over[row], l->channels, s->stage.period);
    } else if (l->kind == SHIFT && back) {
        s->sums = take_zeros(room, sizeof(double) * l->channels * threads);
    }
}

/* The stage as it is for image `n` of the batch. */
static Stage stage_of_image(const Step *s, int64_t n) {
    Stage own = s->stage;
    own.first_group = (uint32_t)(n * ((own.total + GROUP - 1) / GROUP));
    return own;
}

/* Image `n` before a link. */
static const float *input_of(const Step *s, int64_t n, const float *frames) {
    return s->passed ? frames + s->passing_at : s->link->input + n * s->numbers;
}

static void image_forward(const Step *s, int64_t n, float *frames) {
    const Link *l = s->link;
    const float *image = input_of(s, n, frames);
    float *framed = frames + s->frame, *output = l->passing ? frames + s->passing_at : l->output + n * s->out_numbers;
    switch (l->kind) {
        case CONVOLUTION:
            if (l->pad) frame(image, framed, s->height, s->width, l->channels, l->pad);
            convolve_framed(l->pad ? framed : image, s->width + 2 * l->pad, l->channels, l->size, s->packed, output, s->out_height,
                            s->out_width, l->out_channels);
            break;
        case DEPTHWISE:
            frame(image, framed, s->height, s->width, l->channels, l->pad);
            depthwise_framed(framed, s->width + 2 * l->pad, l->channels, l->size, s->ahead, output, s->out_height, s->out_width);
            break;
        case STAGE: {
            Stage own = stage_of_image(s, n);
            values_of(&own, image, output, s->over[0], s->over[1]);
            break;
        }
        case POOLING: pooling_forward(image, output, s->height, s->width, l->channels, l->size); break;
        case AVERAGING: averaging_forward(image, output, s->height * s->width, l->channels); break;
        case SHIFT:
            for (size_t i = 0; i < s->numbers; i += l->channels)
                for (int c = 0; c < l->channels; c++) output[i + c] += l->bias[c];
            break;
        default:
            for (size_t i = 0; i < s->numbers; i++) output[i] = image[i] < 0.0f ? 0.0f : image[i];
    }
}

static void follow(float *running, const float *seen, int channels, float part, float factor) {
    for (int c = 0; c < channels; c++) running[c] += part * (seen[c] * factor - running[c]);
}

static double total_of(const Step *s, int which, int c, int threads) {
    double total = 0;
    for (int t = 0; t < threads; t++) total += s->sums[((size_t)t * 2 + which) * s->link->channels + c];
    return total;
}

/* From a stage's sums over the batch: its statistics, what its values need, and the running statistics. */
static void normalise(Step *s, int count, int threads) {
    const Link *l = s->link;
    int channels = l->channels;
    double pixels = (double)count * s->height * s->width;
    float *mean = l->statistics, *variance = mean + channels, *scale = variance + channels, *shift = scale + channels;
    for (int c = 0; c < channels; c++) {
        double m = total_of(s, 0, c, threads) / pixels, v = total_of(s, 1, c, threads) / pixels - m * m;
        if (v < 0) v = 0;
        float inverse = (float)(1.0 / sqrt(v + (double)l->epsilon));
        mean[c] = (float)m;
        variance[c] = (float)v;
        scale[c] = (l->weight ? l->weight[c] : 1.0f) * inverse;
        shift[c] = (l->bias ? l->bias[c] : 0.0f) - (float)m * scale[c];
    }
    spread(scale, s->over[0], channels, s->stage.period);
    spread(shift, s->over[1], channels, s->stage.period);
    if (l->batches_tracked) ++*l->batches_tracked;
    if (!l->running_mean) return;
    follow(l->running_mean, mean, channels, l->momentum, 1.0f);
    follow(l->running_variance, variance, channels, l->momentum, l->correction);
}

/* Lay out a whole chain; returns its steps, or NULL where memory ran out. `frames` are (threads, `*frames_size`), zero. */
static Step *begin(const Link *links, int length, int threads, int back, size_t scratch, float **frames, size_t *frames_size) {
    Step *steps = calloc(length, sizeof(Step));
    if (!steps) return NULL;
    Room room = {NULL, 0};
    size_t passing = 0; /* Numbers of the largest output that is not kept. */
    for (int i = 0; i < length; i++) {
        measure(steps + i, links + i);
        steps[i].passing_at = scratch;
        size_t numbers = framed_numbers(steps[i].out_height, steps[i].out_width, links[i].out_channels, 0);
        if (links[i].passing && numbers > passing) passing = numbers;
        steps[i].passed = i && links[i - 1].passing;
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t size = scratch + passing;
        room.used = 0;
        for (int i = 0; i < length; i++) lay_out(&room, steps + i, &size, threads, back);
        *frames_size = (size + 15) / 16 * 16;
        *frames = take_zeros(&room, sizeof(float) * *frames_size * threads);
        if (pass) return steps;
        room.base = workspace(room.used);
        if (!room.base) break;
    }
    free(steps);
    return NULL;
}

static void sums_of_image(const Step *s, int64_t n, int thread) {
    double *own = s->sums + (size_t)thread * 2 * s->link->channels;
    sums_of(&s->stage, s->link->input + n * s->numbers, own, own + s->link->channels);
}

static void gradient_sums_of_image(const Step *s, int64_t n, float *gradient, int thread) {
    Stage stage = stage_of_image(s, n);
    double *own = s->sums + (size_t)thread * 2 * s->link->channels;
    gradient_sums(&stage, s->link->input + n * s->numbers, gradient, s->over[0], s->over[1], s->over[2], own, own + s->link->channels);
}

/* Returns 0, or 1 where memory ran out. */
int chain_forward(const Link *links, int length, int count, int threads) {
    float *all_frames;
    size_t frames_size;
    Step *steps = begin(links, length, threads, 0, 0, &all_frames, &frames_size);
    if (!steps) return 1;
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num(), team = omp_get_num_threads();
        /* `ready`: the link at `first` is a stage whose statistics are known. */
        for (int first = 0, ready = 0;; ready = 1) {
            int next = first + ready;
            while (next < length && links[next].kind != STAGE) next++;
            const Step *stage = next < length ? steps + next : NULL;
            for (int part = thread; part < threads; part += team)
                for (int64_t n = share(count, part, threads); n < share(count, part + 1, threads); n++) {
                    for (int i = first; i < next; i++) image_forward(steps + i, n, all_frames + frames_size * part);
                    if (stage) sums_of_image(stage, n, part);
                }
            if (!stage) break;
#pragma omp barrier
#pragma omp single
            normalise(steps + next, count, threads);
            first = next;
        }
    }
    free(steps);
    return 0;
}

/* The gradient of image `n` before a link, from the one behind it; `target` may be NULL. */
static void image_backward(const Step *s, int64_t n, int last, const float *gradient, float *target, float *frames, int thread) {
    const Link *l = s->link;
    const float *image = input_of(s, n, frames);
    float *framed = frames + s->frame, *behind = frames + s->back_frame;
    const float *back = gradient, *inner = gradient;
    int width = s->width, back_width = s->out_width;
    if (is_convolution(l)) {
        width += 2 * l->pad;
        back_width += 2 * s->edge;
        /* Without an edge the gradient is read where it lies, but for the last image's, behind which nothing may be read. */
        if (s->edge || l->kind == DEPTHWISE || (last && round_up(l->out_channels) != l->out_channels)) {
            frame(gradient, behind, s->out_height, s->out_width, l->out_channels, s->edge);
            back = behind;
        }
        /* What a passing one reads was framed when its output was made again. */
        if (l->kind == DEPTHWISE ? !l->passing : l->pad) frame(image, framed, s->height, s->width, l->channels, l->pad);
        inner = back + ((size_t)s->edge * back_width + s->edge) * l->out_channels;
    }
    switch (l->kind) {
        case CONVOLUTION:
            if (target)
                convolve_framed(back, back_width, l->out_channels, l->size, s->packed, target, s->height, s->width, l->channels);
            kernel_gradient(l->pad ? framed : image, width, l->channels, l->size, inner, back_width * l->out_channels, s->out_height,
                            s->out_width, l->out_channels, s->kernel_sums + s->kernel_size * thread);
            break;
        case DEPTHWISE:
            if (target) depthwise_framed(back, back_width, l->channels, l->size, s->packed, target, s->height, s->width);
            depthwise_gradient(framed, width, l->channels, l->size, inner, back_width * l->channels, s->out_height, s->out_width,
                               s->kernel_sums + s->kernel_size * thread);
            break;
        case STAGE: {
            Stage own = stage_of_image(s, n);
            if (target) gradient_values(&own, image, gradient, target, s->over[0], s->over[1], s->over[3], s->over[4]);
            break;
        }
        case POOLING:
            if (target) pooling_backward(image, gradient, target, s->height, s->width, l->channels, l->size);
            break;
        case AVERAGING:
            if (target) averaging_backward(gradient, target, s->height * s->width, l->channels);
            break;
        case SHIFT: {
            double *own = s->sums + (size_t)thread * l->channels;
            for (size_t i = 0; i < s->numbers; i += l->channels)
                for (int c = 0; c < l->channels; c++) own[c] += gradient[i + c];
            break;
        }
        default:
            for (size_t i = 0; target && i < s->numbers; i++) target[i] = image[i] <= 0.0f ? 0.0f : gradient[i];
    }
}

/* From the sums over the batch: the gradients of a stage's parameters, and what its values need on the way back. */
static void normalise_back(Step *s, int count, int threads) {
    const Link *l = s->link;
    int channels = l->channels;
    double pixels = (double)count * s->height * s->width;
    const float *mean = l->statistics, *variance = mean + channels, *scale = variance + channels;
    float slope[MAX_CHANNELS], offset[MAX_CHANNELS];
    for (int c = 0; c < channels; c++) {
        double sum = total_of(s, 0, c, threads), product = total_of(s, 1, c, threads);
        double inverse = 1.0 / sqrt((double)variance[c] + (double)l->epsilon);
        l->weight_gradient[c] = (float)(product * inverse);
        l->bias_gradient[c] = (float)sum;
        double b = -scale[c] * inverse * inverse * product / pixels;
        slope[c] = (float)b;
        offset[c] = (float)(-scale[c] * sum / pixels - b * mean[c]);
    }
    spread(slope, s->over[3], channels, s->stage.period);
    spread(offset, s->over[4], channels, s->stage.period);
}

/* The gradient of a link's parameters from what the threads have summed. */
static void collect(const Step *s, int threads) {
    const Link *l = s->link;
    if (l->kind == SHIFT)
        for (int c = 0; c < l->channels; c++) {
            double total = 0;
            for (int t = 0; t < threads; t++) total += s->sums[(size_t)t * l->channels + c];
            l->bias_gradient[c] = (float)total;
        }
    if (!is_convolution(l)) return;
    int padded = round_up(l->out_channels), taps = (int)(s->kernel_size / padded);
    for (int o = 0; o < l->out_channels; o++)
        for (int k = 0; k < taps; k++) {
            float total = 0.0f;
            for (int t = 0; t < threads; t++) total += s->kernel_sums[s->kernel_size * t + (size_t)k * padded + o];
            l->weight_gradient[o * taps + k] = total;
        }
}

/* What a link reads of image `n`, where it was not kept. */
static void make_again(const Step *s, int64_t n, float *frames) {
    if (!s->passed) return;
    make_again(s - 1, n, frames);
    image_forward(s - 1, n, frames);
}

/* Image `n` from the link at `top` down to the one above `below`; returns where its gradient is then. `landing` is the room of the batch
 * for it, or NULL where nobody needs it. Two rooms of `largest` numbers stand before the frames. */
static const float *links_backward(const Step *steps, int top, int below, int64_t n, int count, const float *at, float *landing, float *frames,
                                   size_t largest, int part) {
    for (int i = top; i > below; i--) {
        const Step *s = steps + i;
        float *target = at == frames ? frames + largest : frames;
        if (i == below + 1) target = landing ? landing + n * s->numbers : NULL;
        /* The mean's way back needs no input, and a passing convolution has framed its own by now. */
        if (s->link->kind != AVERAGING && !(s->link->kind == DEPTHWISE && s->link->passing)) make_again(s, n, frames);
        /* Kernels read up to a vector less one number behind a gradient. */
        int last = (uint64_t)(count - 1 - n) * s->out_numbers < LANES;
        image_backward(s, n, last, at, target, frames, part);
        if (s->link->kind != SHIFT) at = target;
        else if (i == below + 1 && target) at = memcpy(target, at, sizeof(float) * s->numbers);
    }
    return at;
}

/* `gradient` is that of the last output; `first_room` and `second_room` are for the gradients of the largest input each.
 * `image_gradient` may be NULL: then only parameters get gradients. Returns 0, or 1 where memory ran out. */
int chain_backward(const Link *links, int length, const float *gradient, float *image_gradient, float *first_room, float *second_room,
                   int count, int threads) {
    size_t largest = SLACK;
    for (int i = 0; i < length; i++) {
        size_t numbers = framed_numbers(links[i].height, links[i].width, links[i].channels, 0);
        if (numbers > largest) largest = numbers;
    }
    float *all_frames;
    size_t frames_size;
    Step *steps = begin(links, length, threads, 1, 2 * largest, &all_frames, &frames_size);
    if (!steps) return 1;
    for (int i = 0; i < length - 1; i++) steps[i].stage.folds = steps[i].stage.activation == SILU || steps[i].stage.threshold;
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num(), team = omp_get_num_threads();
        const float *behind = gradient;
        /* `ready`: the link at `top` is a stage whose sums are known. Down to the next stage an image's gradients stay with its thread. */
        for (int top = length - 1, ready = 0;; ready = 1) {
            int below = top - ready;
            while (below >= 0 && links[below].kind != STAGE) below--;
            float *landing = below < 0 ? image_gradient : behind == first_room ? second_room : first_room;
            for (int part = thread; part < threads; part += team)
                for (int64_t n = share(count, part, threads); n < share(count, part + 1, threads); n++) {
                    const float *at = behind + n * steps[top].out_numbers;
                    at = links_backward(steps, top, below, n, count, at, landing, all_frames + frames_size * part, largest, part);
                    /* A stage that folds is not the last link, so its gradient lies in a room of ours. */
                    if (below >= 0) gradient_sums_of_image(steps + below, n, (float *)at, part);
                }
            if (below < 0) break;
            if (below < top) behind = landing;
            top = below;
#pragma omp barrier
#pragma omp single
            normalise_back(steps + top, count, threads);
        }
#pragma omp barrier
#pragma omp for schedule(dynamic)
        for (int i = 0; i < length; i++) collect(steps + i, threads);
    }
    free(steps);
    return 0;
}

/* How many numbers a vector has: it decides the order of some sums. */
int vector_lanes(void) { return LANES; }

enum { DONE, NO_MEMORY, NO_CLASS };

/* A whole training step of a network that is one chain, up to the gradients: forward, cross-entropy, back. `logits` is where the chain's
 * output lies, `gradient` has room for its gradient. */
int chain_step(const Link *links, int length, const float *logits, const int64_t *labels, float smoothing, float *gradient, float *first_room,
               float *second_room, int count, int threads, double *loss, int64_t *correct) {
    if (chain_forward(links, length, count, threads)) return NO_MEMORY;
    if (cross_entropy(logits, labels, count, links[length - 1].out_channels, smoothing, gradient, loss, correct)) return NO_CLASS;
    return chain_backward(links, length, gradient, NULL, first_room, second_room, count, threads) ? NO_MEMORY : DONE;
}
