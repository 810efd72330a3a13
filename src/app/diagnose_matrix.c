/*
 * What the groups of one matrix tell of its singular directions and of the orthogonalised update.
 * A decomposition that fails makes its part not available; the rest stays.
 */
#include "app/diagnosing.h"

#include <math.h>
#include <stdlib.h>

typedef struct matrix {
    diagnosing *d;
    int64_t rows, cols, elements;
    int64_t shorter;
    const float *const *groups;
    finding *f;
    double *directions;   /* [4][shorter]: observed, signals and echoes; then plug-in echoes */
    double *plug_signals; /* [shorter] */
} matrix;

/*
 * A micro-batch of few samples has a gradient of low rank. Below this part of the largest singular
 * value is the rounding of 32-bit gradients, whose directions say nothing.
 */
static const plumb_polar_options polar_options = {.size = sizeof(plumb_polar_options),
                                                  .rank_tolerance = 1e-6};

/* True if all went well; a numerical failure is a reason and no error. */
static bool went_well(matrix *m, plumb_status status)
{
    if (status == PLUMB_ERROR_NUMERICAL) {
        finding_add_reason(m->f, REASON_NUMERICAL);
    } else {
        failure_from_library(&m->d->failure, status, NULL);
    }
    return status == PLUMB_OK;
}

static void measure_variance(matrix *m)
{
    double *v = m->f->values;
    went_well(m, plumb_noise_variance(PLUMB_VARIANCE_MEAN, m->d->groups, m->elements, m->groups,
                                      &v[VARIANCE_MEAN]));
    went_well(m, plumb_noise_variance(PLUMB_VARIANCE_PAIRWISE, m->d->groups, m->elements, m->groups,
                                      &v[VARIANCE_PAIRWISE]));
}

static void measure_update(matrix *m)
{
    plumb_update_noise update = {.size = sizeof update};
    double *v = m->f->values;
    if (m->d->groups < 4) {
        finding_add_reason(m->f, REASON_FEW);
    }
    if (went_well(m, plumb_update_bias(PLUMB_POLAR_SVD, m->rows, m->cols, m->d->groups, m->groups,
                                       &polar_options, &update))) {
        finding_set_update(m->f, &update);
    }
    went_well(m, plumb_polar_bias(m->rows, m->cols, m->d->groups, m->groups, NULL, &v[POLAR_BIAS],
                                  &v[POLAR_TANGENT]));
    if (isnan(v[POLAR_BIAS])) {
        finding_add_reason(m->f, REASON_NUMERICAL);
    }
}

/* sum[elements] += weight * Ortho(first), or of the mean of both. work[elements]. */
static bool add_polar(matrix *m, const float *first, const float *second, double weight,
                      float *work, double *sum)
{
    for (int64_t i = 0; i < m->elements; i++) {
        work[i] = second != NULL ? 0.5f * first[i] + 0.5f * second[i] : first[i];
    }
    if (!went_well(m, plumb_polar(PLUMB_POLAR_SVD, m->rows, m->cols, work, work, &polar_options))) {
        return false;
    }
    for (int64_t i = 0; i < m->elements; i++) {
        sum[i] += weight * (double)work[i];
    }
    return true;
}

/* Means of the polar factors of groups and of pairs of groups, as floats. */
static bool coarse_and_fine(matrix *m, float *coarse, float *fine, double *sum)
{
    int64_t pairs = m->d->groups / 2;
    bool good = true;
    for (int pass = 0; pass < 2 && good; pass++) {
        float *result = pass == 0 ? coarse : fine;
        for (int64_t i = 0; i < m->elements; i++) {
            sum[i] = 0.0;
        }
        for (int64_t j = 0; j < pairs && good; j++) {
            const float *a = m->groups[2 * j], *b = m->groups[2 * j + 1];
            double weight = (pass == 0 ? 0.5 : 1.0) / (double)pairs;
            good = pass == 0 ? add_polar(m, a, NULL, weight, result, sum) &&
                                   add_polar(m, b, NULL, weight, result, sum)
                             : add_polar(m, a, b, weight, result, sum);
        }
        for (int64_t i = 0; i < m->elements; i++) {
            result[i] = (float)sum[i];
        }
    }
    return good;
}

/* c of bias c/samples, and how much of it is along the update itself. work[elements] holds the
 * mean gradient. */
static void compare(matrix *m, const float *coarse, const float *fine, const float *mean,
                    double *coefficient)
{
    double *v = m->f->values;
    double squares = 0.0, along = 0.0;
    if (!went_well(
            m, plumb_richardson(m->elements, m->d->samples[0], coarse, fine, NULL, coefficient))) {
        return;
    }
    for (int64_t i = 0; i < m->elements; i++) {
        squares += coefficient[i] * coefficient[i];
        along += coefficient[i] * (double)mean[i];
    }
    v[RICHARDSON] = sqrt(squares);
    v[RICHARDSON_ALONG] = along / (double)m->shorter;
}

static void measure_richardson(matrix *m)
{
    size_t elements = (size_t)m->elements;
    float *coarse = malloc(3 * elements * sizeof *coarse);
    double *sum = malloc(elements * sizeof *sum);
    if (coarse == NULL || sum == NULL) {
        failure_set(&m->d->failure, EXIT_LIBRARY, "no memory for two updates");
    } else if (coarse_and_fine(m, coarse, coarse + elements, sum)) {
        float *mean = coarse + 2 * elements;
        for (int64_t i = 0; i < m->elements; i++) {
            double total = 0.0;
            for (int64_t g = 0; g < m->d->groups; g++) {
                total += (double)m->groups[g][i];
            }
            mean[i] = (float)(total / (double)m->d->groups);
        }
        if (went_well(m,
                      plumb_polar(PLUMB_POLAR_SVD, m->rows, m->cols, mean, mean, &polar_options))) {
            compare(m, coarse, coarse + elements, mean, sum);
        }
    }
    free(sum);
    free(coarse);
}

/*
 * The closed form with the observed singular values, beside which the others stand. Where it
 * expects half the update's squared length as distance (a quarter of the way to an orthogonal
 * one), second order is not enough, and the expansion of measure_update is not shown either.
 */
static void measure_isotropic(matrix *m, const double *observed)
{
    double *v = m->f->values;
    double variance = v[VARIANCE_MEAN];
    double *bias = m->plug_signals; /* not yet in use */
    double distance = 0.0;
    if (!(variance > 0.0) || !(observed[m->shorter - 1] > 1e-7 * observed[0]) ||
        !went_well(
            m, plumb_isotropic_polar_bias(m->rows, m->cols, observed, variance, bias, &distance))) {
        return;
    }
    if (distance > 0.5 * (double)m->shorter) {
        finding_add_reason(m->f, REASON_EXPANSION);
        v[POLAR_BIAS] = NAN;
        v[POLAR_TANGENT] = NAN;
        return;
    }
    v[ISOTROPIC_DISTANCE] = distance;
    v[ISOTROPIC_BIAS] = 0.0;
    for (int64_t i = 0; i < m->shorter; i++) {
        v[ISOTROPIC_BIAS] += bias[i] * bias[i];
    }
}

static void summarise_echoes(matrix *m, const double *echoes)
{
    double *v = m->f->values;
    double sum = 0.0, squares = 0.0;
    int64_t above = 0;
    for (int64_t i = 0; i < m->shorter; i++) {
        sum += echoes[i];
        squares += echoes[i] * echoes[i];
        above += echoes[i] > 0.5;
    }
    v[ECHO_MEAN] = sum / (double)m->shorter;
    v[ECHO_MEAN_SQUARE] = squares / (double)m->shorter;
    v[ECHO_DIRECTIONS] = isnan(sum) ? NAN : (double)above;
    v[ECHO_DIRECTIONS_OF] = (double)m->shorter;
}

/* The exact law beside what was measured, and the shrinkers. */
static void describe_direction(matrix *m, int64_t i)
{
    static const plumb_shrinker shrinkers[] = {PLUMB_SHRINK_FROBENIUS, PLUMB_SHRINK_OPERATOR,
                                               PLUMB_SHRINK_NUCLEAR, PLUMB_SHRINK_HARD};
    double *to = m->f->directions + i * DIRECTION_VALUES;
    const double *from = m->directions;
    double variance = m->f->values[VARIANCE_MEAN];
    plumb_echo law = {.size = sizeof law};
    to[DIRECTION_OBSERVED] = from[i];
    to[DIRECTION_SIGNAL] = from[m->shorter + i];
    to[DIRECTION_ECHO] = from[2 * m->shorter + i];
    to[DIRECTION_PLUG_SIGNAL] = m->plug_signals[i];
    to[DIRECTION_PLUG_ECHO] = from[3 * m->shorter + i];
    double signal = to[DIRECTION_SIGNAL];
    if (!(variance > 0.0)) {
        return;
    }
    if (isfinite(signal) &&
        went_well(m, plumb_echo_law(m->rows, m->cols, variance, signal, &law))) {
        to[DIRECTION_LAW] = law.echo;
        to[DIRECTION_STRENGTH] =
            signal * signal / (variance * sqrt((double)m->rows * (double)m->cols));
    }
    for (int j = 0; j < 4; j++) {
        went_well(m, plumb_shrink(shrinkers[j], m->rows, m->cols, variance, from[i],
                                  &to[DIRECTION_FROBENIUS + j]));
    }
}

static void measure_edge(matrix *m)
{
    double *v = m->f->values;
    plumb_echo law = {.size = sizeof law};
    if (v[VARIANCE_MEAN] > 0.0 &&
        went_well(m, plumb_echo_law(m->rows, m->cols, v[VARIANCE_MEAN], 0.0, &law))) {
        v[ECHO_THRESHOLD] = law.threshold;
        v[ECHO_EDGE] = law.edge;
    }
}

static void measure_echo(matrix *m)
{
    plumb_echo_options options = {.size = sizeof options,
                                  .method = (plumb_echo_method)m->d->options->echo_method,
                                  .whiten = m->d->options->whiten,
                                  .folds = m->d->folds};
    double *observed = m->directions;
    double *plug_echoes = observed + 3 * m->shorter;
    if (options.method != PLUMB_ECHO_CROSS_VALIDATED) {
        options.folds = 0;
    }
    if (!went_well(m, plumb_echo_spectrum(m->rows, m->cols, m->d->groups, m->groups, &options,
                                          observed, observed + m->shorter,
                                          observed + 2 * m->shorter))) {
        return;
    }
    measure_isotropic(m, observed);
    measure_edge(m);
    options.method = PLUMB_ECHO_PLUG_IN;
    options.folds = 0;
    options.whiten = 0;
    if (!went_well(m, plumb_echo_spectrum(m->rows, m->cols, m->d->groups, m->groups, &options, NULL,
                                          m->plug_signals, plug_echoes))) {
        return;
    }
    summarise_echoes(m, observed + 2 * m->shorter);
    for (int64_t i = 0; i < m->f->direction_count && m->d->failure.code == EXIT_OK; i++) {
        describe_direction(m, i);
    }
}

/* Measured and not estimated, for --held-out. */
static void measure_held_out(matrix *m)
{
    const diagnose_options *o = m->d->options;
    plumb_echo_options options = {.size = sizeof options,
                                  .whiten = o->whiten_covariance ? 2 : o->whiten};
    double *signals = malloc(3 * (size_t)m->shorter * sizeof *signals);
    if (signals == NULL) {
        failure_set(&m->d->failure, EXIT_LIBRARY, "no memory for echoes");
    } else if (went_well(m, plumb_echo_held_out(m->rows, m->cols, m->d->groups, m->groups, &options,
                                                &m->f->values[ECHO_GROUP_VARIANCE], signals,
                                                signals + m->shorter, signals + 2 * m->shorter))) {
        for (int64_t i = 0; i < m->f->direction_count; i++) {
            double *to = m->f->directions + i * DIRECTION_VALUES;
            to[DIRECTION_HELD_OUT_SIGNAL] = signals[i];
            to[DIRECTION_HELD_OUT_ECHO] = signals[m->shorter + i];
            to[DIRECTION_HELD_OUT_ERROR] = signals[2 * m->shorter + i];
        }
    }
    free(signals);
}

void diagnose_matrix(diagnosing *d, const recorded_parameter *p, const float *const *groups,
                     finding *f)
{
    matrix m = {.d = d,
                .rows = p->rows,
                .cols = p->cols,
                .elements = p->rows * p->cols,
                .shorter = p->rows < p->cols ? p->rows : p->cols,
                .groups = groups,
                .f = f};
    double *v = f->values;
    went_well(&m, plumb_nuclear_noise_scale(m.rows, m.cols, d->groups, d->samples, groups,
                                            &v[NUCLEAR_SCALE], &v[NUCLEAR_SCALE_ERROR]));
    if (!d->equal) {
        finding_add_reason(f, REASON_UNEQUAL);
        return;
    }
    m.directions = malloc(5 * (size_t)m.shorter * sizeof *m.directions);
    if (m.directions == NULL) {
        failure_set(&d->failure, EXIT_LIBRARY, "no memory for singular values");
        return;
    }
    m.plug_signals = m.directions + 4 * m.shorter;
    measure_variance(&m);
    measure_update(&m);
    measure_richardson(&m);
    measure_echo(&m);
    if (d->options->held_out && d->failure.code == EXIT_OK) {
        measure_held_out(&m);
    }
    free(m.directions);
}
