/* Softmax with cross-entropy over a batch of logits (N, classes), and its gradient. Costs next to nothing. In double, and in a fixed order.
 *
 * Label smoothing as in Szegedy et al., arXiv:1512.00567: a share of each label is spread over all classes.
 */
#ifndef BUDGETNET_LOSS_H
#define BUDGETNET_LOSS_H

#include <math.h>
#include <stdint.h>

/* Writes the mean loss and the number of right answers; returns 0, or 1 where a label is none of the classes. */
static int cross_entropy(const float *logits, const int64_t *labels, int count, int classes, float smoothing, float *gradient, double *loss,
                         int64_t *correct) {
    double total = 0, spread_share = (double)smoothing / classes;
    *correct = 0;
    for (int n = 0; n < count; n++, logits += classes, gradient += classes) {
        int64_t label = labels[n];
        if (label < 0 || label >= classes) return 1;
        int best = 0;
        double sum = 0, plain = 0;
        for (int c = 1; c < classes; c++)
            if (logits[c] > logits[best]) best = c;
        double top = logits[best];
        for (int c = 0; c < classes; c++) {
            sum += exp(logits[c] - top);
            plain += logits[c];
        }
        double rest = log(sum) + top;
        total += rest - (1.0 - smoothing) * logits[label];
        if (smoothing > 0) total -= spread_share * plain; /* else a logit of minus infinity would make it no number */
        for (int c = 0; c < classes; c++) {
            double aim = spread_share + (c == label ? 1.0 - smoothing : 0.0);
            gradient[c] = (float)((exp(logits[c] - rest) - aim) / count);
        }
        *correct += best == label;
    }
    *loss = total / count;
    return 0;
}

#endif
