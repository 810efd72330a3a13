/*
 * Running scenes; see claims_scene.h. Sums of a series: errors, squares, repetitions; after all
 * series, of each truth: its second-order bias.
 */
#include "app/claims_scene.h"

#include <math.h>

enum { SQUARE = PROBLEM_MOST, REPETITIONS, STEP_BITS = 22 };

void claims_truth_problem(const claims_truth *truth, claims_problem *problem)
{
    claims_problem_create(problem, truth->rows, truth->cols, truth->singular, truth->level,
                          truth->noise);
}

/* The noise of the mean that the control expanded has 1/share of a micro-batch's covariance. */
static double control_share(const claims_series *series)
{
    switch (series->control) {
    case CONTROL_OF_MEAN:
        return 1.0 / ((double)series->groups * series->size);
    case CONTROL_OF_GROUPS:
        return 1.0 / series->size;
    case CONTROL_NONE:
    default:
        return 0.0;
    }
}

static int run_series(const claims_problem *problem, const claims_series *series,
                      const double *second, claims_key key, double *sums, failure *f)
{
    claims_sampler sampler;
    double total[PROBLEM_MOST + 1] = {0};
    int count = problem->count;
    if (claims_sampler_create(&sampler, problem, series, f) == EXIT_OK) {
        claims_sampler_add(&sampler, key, series->repetitions, total, f);
    }
    claims_sampler_destroy(&sampler);
    for (int i = 0; i < count; i++) {
        sums[i] += total[i] + series->repetitions * control_share(series) * second[i];
    }
    sums[SQUARE] += total[count];
    sums[REPETITIONS] += series->repetitions;
    return f->code;
}

void claims_scene_run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums,
                      failure *f)
{
    const claims_scene *scene = self->setting;
    double *seconds = sums + (int64_t)scene->series_count * SERIES_WIDTH;
    for (int t = 0; t < scene->truth_count && f->code == EXIT_OK; t++) {
        claims_problem problem;
        claims_truth_problem(&scene->truths[t], &problem);
        claims_problem_bias(&problem, seconds + t * PROBLEM_MOST, f);
        for (int s = 0; s < scene->series_count && f->code == EXIT_OK; s++) {
            claims_key key = {.seed = seed,
                              .subject = self->number,
                              .unit = unit,
                              .step = (uint32_t)s << STEP_BITS};
            if (scene->series[s].truth == t) {
                run_series(&problem, &scene->series[s], seconds + t * PROBLEM_MOST, key,
                           sums + s * SERIES_WIDTH, f);
            }
        }
    }
}

double claims_scene_bias(const double *sums, int series, double *bias)
{
    const double *own = sums + (int64_t)series * SERIES_WIDTH;
    for (int i = 0; i < PROBLEM_MOST; i++) {
        bias[i] = own[i] / own[REPETITIONS];
    }
    return claims_norm(PROBLEM_MOST, bias);
}

double claims_scene_square(const double *sums, int series)
{
    const double *own = sums + (int64_t)series * SERIES_WIDTH;
    return own[SQUARE] / own[REPETITIONS];
}

double claims_scene_second(const claims_scene *scene, const double *sums, int64_t units, int truth,
                           double *term)
{
    const double *own = sums + (int64_t)scene->series_count * SERIES_WIDTH + truth * PROBLEM_MOST;
    for (int i = 0; i < PROBLEM_MOST; i++) {
        term[i] = own[i] / (double)units;
    }
    return claims_norm(PROBLEM_MOST, term);
}

double claims_scene_slope(const double *sums, int first, int count, const double *x, double *norms)
{
    enum { MOST_SIZES = 16 };
    double logs[MOST_SIZES], sizes[MOST_SIZES], bias[PROBLEM_MOST];
    for (int i = 0; i < count && i < MOST_SIZES; i++) {
        double norm = claims_scene_bias(sums, first + i, bias);
        logs[i] = log(norm);
        sizes[i] = log(x[i]);
        if (norms != NULL) {
            norms[i] = norm;
        }
    }
    return claims_slope(count, sizes, logs, NULL);
}
