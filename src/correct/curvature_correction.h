/*
 * The corrections of Sophia's m / max(rho h, epsilon), h a moving average of curvature that is
 * advanced in steps of curvature only, in one table: what each keeps between steps, what it asks
 * of the groups, and the function that computes the direction before it is clipped. They work
 * element by element on any slice. Averages of curvature are not divided by the sum of their
 * weights, as the optimizer's own is not: a correction keeps the target.
 */
#ifndef PLUMB_CORRECT_CURVATURE_CORRECTION_H
#define PLUMB_CORRECT_CURVATURE_CORRECTION_H

#include <stdbool.h>

#include "correct/average.h"
#include "correct/statistics.h"
#include "correct/tracks.h"
#include "plumb.h"

typedef struct curvature_input {
    int groups; /* G; 0 in a step without curvature if only that is wanted by group */
    int folds;  /* F */
    double beta1, beta2, rho, epsilon;
    const float *const *gradients;  /* [groups][count]; NULL unless wanted */
    const float *mean;              /* [count]: the mean gradient */
    const float *curvature;         /* [count]: mean over the groups; NULL: none in this step */
    const float *const *curvatures; /* [groups][count]; NULL likewise */
    const float *const *states;     /* [tracks_count][count], old */
    float *const *new_states;
} curvature_input;

typedef struct curvature_correction {
    correction_tracks tracks;
    correction_split split;
    /*
     * The direction of elements first .. first + count - 1, at most STATISTICS_BLOCK, and their
     * new states; returns how many elements met a bound.
     */
    int64_t (*direct)(const curvature_input *input, int64_t first, int64_t count,
                      double *direction);
    bool wants_gradients; /* of every group */
} curvature_correction;

/* The correction, or NULL for PLUMB_CORRECTION_NONE and those that curvature has none of. */
const curvature_correction *curvature_correction_find(plumb_correction correction);

/* All of them, as the bits of optimizer_kind.corrections. */
enum {
    CORRECTIONS_OF_CURVATURE = 1 << PLUMB_CORRECTION_MOMENT | 1 << PLUMB_CORRECTION_LOO |
                               1 << PLUMB_CORRECTION_JACKKNIFE | 1 << PLUMB_CORRECTION_PAPER_CF |
                               1 << PLUMB_CORRECTION_PAPER_INV | 1 << PLUMB_CORRECTION_PAPER_FULL |
                               1 << PLUMB_CORRECTION_PAPER_PRE_EMA
};

/* UNSUPPORTED or ARGUMENT if the options do not fit their correction. */
plumb_status curvature_correction_check(const plumb_parameter_options *options);

/* ARGUMENT if their correction cannot work with that many groups. */
plumb_status curvature_correction_check_groups(const plumb_parameter_options *options, int groups);

/*
 * For the corrections' own use: state number `state` of a block follows `samples` with the average
 * `a`, or keeps its values if that is NULL.
 */
void curvature_follow(const curvature_input *input, int state, average a, const double *samples,
                      int64_t first, int64_t count);
/* The same for curvature's standard deviation, from the spread of the groups. */
void curvature_follow_deviation(const curvature_input *input, int state, int64_t first,
                                int64_t count);

/* curvature_moment.c, curvature_folds.c, curvature_paper.c */
int64_t curvature_moment(const curvature_input *input, int64_t first, int64_t count,
                         double *direction);
int64_t curvature_leave_one_out(const curvature_input *input, int64_t first, int64_t count,
                                double *direction);
int64_t curvature_jackknife(const curvature_input *input, int64_t first, int64_t count,
                            double *direction);
int64_t curvature_paper_cross_fit(const curvature_input *input, int64_t first, int64_t count,
                                  double *direction);
int64_t curvature_paper_inverse(const curvature_input *input, int64_t first, int64_t count,
                                double *direction);
int64_t curvature_paper_full(const curvature_input *input, int64_t first, int64_t count,
                             double *direction);

#endif
