/*
 * A scene of `plumb claims orthogonal`: known gradients (truths) and series of updates sampled on
 * them, each by one pipeline with one number of groups and micro-batches. A subject whose setting
 * is a scene runs it by claims_scene_run; its evaluate() asks for biases and squares.
 */
#ifndef APP_CLAIMS_SCENE_H
#define APP_CLAIMS_SCENE_H

#include "app/claims_sampler.h"
#include "app/claims_subject.h"

typedef struct claims_truth {
    int rows, cols;
    double level; /* of a micro-batch's noise */
    claims_noise noise;
    double singular[PROBLEM_MOST_COLS];
} claims_truth;

typedef struct claims_scene {
    const claims_truth *truths;
    const claims_series *series;
    int truth_count, series_count;
} claims_scene;

enum { SERIES_WIDTH = PROBLEM_MOST + 2 };

/* A subject's width. */
#define SCENE_WIDTH(series, truths) ((series)*SERIES_WIDTH + (truths)*PROBLEM_MOST)

void claims_truth_problem(const claims_truth *truth, claims_problem *problem);

/* For claims_subject.run. */
void claims_scene_run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums,
                      failure *f);

/* bias[count] of one series: E update - Q (plain: E of what is formed - Q). Returns its norm. */
double claims_scene_bias(const double *sums, int series, double *bias);

/* Expectation of |update - Q|^2 of one series. */
double claims_scene_square(const double *sums, int series);

/* term[count]: what the expansion predicts for one micro-batch, to second order. */
double claims_scene_second(const claims_scene *scene, const double *sums, int64_t units, int truth,
                           double *term);

/* Slope of log |bias| over log x[count] for `count` series from `first`; norms[count] or NULL. */
double claims_scene_slope(const double *sums, int first, int count, const double *x, double *norms);

#endif
