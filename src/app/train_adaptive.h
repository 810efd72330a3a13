/*
 * A batch that follows the noise: K, the micro-batches of a step, from the averaged noise scale.
 *
 * A step of B samples is worth 1 / (1 + B_n / B) of one without noise (McCandlish et al. 2018,
 * arXiv 1812.06162): at B = B_n the last doubling has paid for itself, and B_n grows as a run goes
 * on. Which numbers decide is equal on all ranks to the bit, so K is, too.
 */
#ifndef APP_TRAIN_ADAPTIVE_H
#define APP_TRAIN_ADAPTIVE_H

#include "app/training.h"

typedef struct adaptive_rule {
    int64_t lowest, highest; /* bounds of K, multiples of groups */
    int64_t groups;          /* K stays a multiple of it */
    double samples;          /* of a micro-batch */
} adaptive_rule;

/*
 * K of the next steps. The target is the multiple of `groups` nearest to scale / samples, at most
 * twice and at least half of `now`, within the bounds; K stays where it is unless the target
 * differs by more than a quarter. Where the scale is not known (its error is as large, or the
 * signal is within its own noise) but two standard errors in favour of a smaller one still leave
 * it above the target, K grows; else it stays.
 */
int64_t adaptive_micro_batches(const adaptive_rule *rule, int64_t now, const plumb_noise *noise);

/* What the scheduled learning rate is multiplied by where K is `now` instead of `first`. */
double adaptive_rate_factor(adaptive_rate rate, int64_t now, int64_t first);

/* The same of the step at hand: 1 without --adaptive-rate. */
double train_adaptive_rate(const training *t);

/* After step `step` (steps done): sets t->micro_batches, if the options ask for it. Local. */
void train_adaptive_step(training *t, int64_t step);

#endif
