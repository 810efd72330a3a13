/*
 * The thesis, measured on the library's own path: with anisotropic noise the mean update of
 * average-then-orthogonalise tends to the truth as 1/n in the number n of groups, and that of
 * orthogonalise-then-average does not. (With isotropic noise symmetry would hide the difference.)
 *
 * Every parameter of the handle is an independent replicate: a 6 x 4 matrix with singular values
 * (3, 2, 1.4, 1) and noise L Z R with fixed, non-scalar L and R; replicates come in antithetic
 * pairs +Z, -Z. Updates run through the exchange, the pipeline and Muon with an SVD. The bias is
 * |mean W - U V'|_F, its square freed of the variance of the mean; standard errors by batches.
 * ranks: 2 3
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "plumb.h"
#include "support/test.h"

enum { ROWS = 6, COLS = 4, SIZE = ROWS * COLS, REPLICATES = 128, STEPS = 24 };

static const double singular[COLS] = {3.0, 2.0, 1.4, 1.0};
static const double noise_rows[ROWS] = {1.6, 0.4, 1.0, 0.7, 1.3, 0.2};
static const double noise_cols[COLS] = {0.5, 1.5, 0.8, 1.2};
static const double noise_level = 0.55;

/* U and V with orthonormal columns from cosines: discrete cosine transforms, truncated. */
static double basis(int size, int row, int col)
{
    double scale = col == 0 ? sqrt(1.0 / size) : sqrt(2.0 / size);
    return scale * cos(3.14159265358979323846 * (row + 0.5) * col / size);
}

static void truth(double gradient[SIZE], double polar[SIZE])
{
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            gradient[i * COLS + j] = polar[i * COLS + j] = 0.0;
            for (int k = 0; k < COLS; k++) {
                double outer = basis(ROWS, i, k) * basis(COLS, j, k);
                gradient[i * COLS + j] += singular[k] * outer;
                polar[i * COLS + j] += outer;
            }
        }
    }
}

/* Noise mixed along rows and columns: L Z R with L = D + a shift, so that it is no scaling. */
static double noise(uint64_t key, uint64_t k, int i, int j)
{
    double sum = 0.0;
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 2; b++) {
            int row = (i + a) % ROWS;
            int col = (j + b) % COLS;
            double weight = (a == 0 ? noise_rows[i] : 0.5) * (b == 0 ? noise_cols[j] : 0.6);
            /* Uniform with variance 1. */
            sum += weight * sqrt(3.0) * (double)test_value(key, k, (uint64_t)(row * COLS + col));
        }
    }
    return noise_level * sum;
}

typedef struct estimate {
    double bias, error; /* and its standard error */
} estimate;

typedef struct run {
    plumb *p;
    float *values[REPLICATES];
    double sum[SIZE], batches[STEPS][SIZE];
} run;

static void start(run *r, plumb_pipeline pipeline, int groups)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    options.replica_check = 0;
    test_all(plumb_create(MPI_COMM_WORLD, &options, &r->p) == PLUMB_OK);
    plumb_parameter_options muon;
    plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON);
    muon.pipeline = pipeline;
    muon.polar = PLUMB_POLAR_SVD;
    muon.beta1 = 0.0;
    muon.nesterov = 0;
    muon.weight_decay = 0.0;
    for (int i = 0; i < REPLICATES; i++) {
        char name[16];
        int id;
        snprintf(name, sizeof name, "w%d", i);
        r->values[i] = calloc(SIZE, sizeof(float));
        plumb_status status = plumb_add_parameter(r->p, name, ROWS, COLS, r->values[i], &muon, &id);
        ck_assert_msg(status == PLUMB_OK && id == i, "%s", plumb_error_message(r->p));
    }
}

static bool give_gradients(run *r, const double *gradient, int step, int groups)
{
    bool ok = true;
    int64_t first;
    int64_t count;
    ok &= plumb_share(r->p, groups, &first, &count) == PLUMB_OK;
    ok &= plumb_begin_step(r->p, groups) == PLUMB_OK;
    for (int64_t k = first; k < first + count; k++) {
        for (int i = 0; i < REPLICATES; i++) {
            float values[SIZE];
            double sign = i % 2 == 0 ? 1.0 : -1.0;
            uint64_t key = (uint64_t)(step * REPLICATES + i) / 2;
            for (int e = 0; e < SIZE; e++) {
                values[e] =
                    (float)(gradient[e] + sign * noise(key, (uint64_t)k, e / COLS, e % COLS));
            }
            ok &= plumb_accumulate(r->p, i, k, values) == PLUMB_OK;
        }
    }
    return ok;
}

/* One step of all replicates; the update is read off the values, which then return to zero. */
static void step_once(run *r, const double *gradient, int step, int groups)
{
    double rate = 1.0 / (0.2 * sqrt((double)ROWS));
    bool ok = give_gradients(r, gradient, step, groups);
    ok &= plumb_end_step(r->p, rate, NULL) == PLUMB_OK;
    ck_assert_msg(test_agree(ok), "step: %s", plumb_error_message(r->p));
    for (int i = 0; i < REPLICATES; i++) {
        for (int e = 0; e < SIZE; e++) {
            r->batches[step][e] -= (double)r->values[i][e] / REPLICATES;
            r->values[i][e] = 0.0f;
        }
    }
}

/* |mean - truth| with the variance of the mean taken off, and a standard error by batches. */
static estimate evaluate(const run *r, const double *polar)
{
    double squares = 0.0;
    double variance = 0.0;
    for (int e = 0; e < SIZE; e++) {
        double mean = 0.0;
        double scatter = 0.0;
        for (int s = 0; s < STEPS; s++) {
            mean += r->batches[s][e] / STEPS;
        }
        for (int s = 0; s < STEPS; s++) {
            scatter += (r->batches[s][e] - mean) * (r->batches[s][e] - mean);
        }
        scatter /= (double)STEPS * (STEPS - 1);
        squares += (mean - polar[e]) * (mean - polar[e]) - scatter;
        variance += scatter;
    }
    estimate found = {squares > 0.0 ? sqrt(squares) : 0.0, sqrt(variance)};
    return found;
}

static estimate measure(plumb_pipeline pipeline, int groups)
{
    double gradient[SIZE];
    double polar[SIZE];
    truth(gradient, polar);
    run *r = calloc(1, sizeof *r);
    start(r, pipeline, groups);
    for (int step = 0; step < STEPS; step++) {
        step_once(r, gradient, step, groups);
    }
    estimate found = evaluate(r, polar);
    plumb_destroy(&r->p);
    for (int i = 0; i < REPLICATES; i++) {
        free(r->values[i]);
    }
    free(r);
    if (getenv("PLUMB_TEST_PRINT") != NULL) {
        printf("pipeline %d, %2d groups: bias %.4f +- %.4f\n", (int)pipeline, groups, found.bias,
               found.error);
    }
    return found;
}

enum { SIZES = 4 };
static const int sizes[SIZES] = {4, 8, 16, 32};

/* Slope of log bias against log n, and its standard error, by weighted regression. */
static void regress(const estimate *found, double *slope, double *error)
{
    double w = 0.0;
    double wx = 0.0;
    double wy = 0.0;
    double wxx = 0.0;
    double wxy = 0.0;
    for (int i = 0; i < SIZES; i++) {
        double x = log((double)sizes[i]);
        double y = log(found[i].bias);
        double weight = pow(found[i].bias / found[i].error, 2.0);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    double spread = wxx - wx * wx / w;
    *slope = (wxy - wx * wy / w) / spread;
    *error = sqrt(1.0 / spread);
}

static void expect_vanishing(plumb_pipeline pipeline)
{
    estimate found[SIZES];
    for (int i = 0; i < SIZES; i++) {
        found[i] = measure(pipeline, sizes[i]);
        test_all(found[i].bias > 0.0);
    }
    double slope;
    double error;
    regress(found, &slope, &error);
    ck_assert_msg(error < 0.1 && fabs(slope + 1.0) < 0.1 + 3.0 * error,
                  "pipeline %d: slope %.3f +- %.3f, expected -1", (int)pipeline, slope, error);
}

static void expect_plateau(plumb_pipeline pipeline, double least)
{
    estimate few = measure(pipeline, 4);
    estimate many = measure(pipeline, 32);
    double error = sqrt(few.error * few.error + many.error * many.error);
    ck_assert_msg(many.bias - 3.0 * many.error > least && many.bias > 0.6 * few.bias - 3.0 * error,
                  "pipeline %d: bias %.4f with 4 groups, %.4f with 32 (+- %.4f)", (int)pipeline,
                  few.bias, many.bias, error);
}

START_TEST(average_then_orthogonalise)
{
    expect_vanishing(PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE);
}
END_TEST

START_TEST(factor_and_norm_streams_agree_with_it)
{
    estimate plain = measure(PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 8);
    estimate norm = measure(PLUMB_PIPELINE_NORMALISED_WITH_NORM, 8);
    estimate factor = measure(PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 8);
    /* The same noise, so they differ by rounding alone. */
    test_all(fabs(plain.bias - norm.bias) < 1e-5);
    test_all(fabs(plain.bias - factor.bias) < 1e-5);
}
END_TEST

START_TEST(orthogonalise_then_average)
{
    expect_plateau(PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, 0.1);
}
END_TEST

START_TEST(double_orthogonalise)
{
    expect_plateau(PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE, 0.03);
}
END_TEST

START_TEST(orthogonalised_with_norm)
{
    expect_plateau(PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 0.03);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("bias of the pipelines");
    test_add(suite, "average then orthogonalise", average_then_orthogonalise);
    test_add(suite, "factor and norm streams", factor_and_norm_streams_agree_with_it);
    test_add(suite, "orthogonalise then average", orthogonalise_then_average);
    test_add(suite, "double orthogonalise", double_orthogonalise);
    test_add(suite, "orthogonalised with norm", orthogonalised_with_norm);
    return test_run_mpi(suite, &argc, &argv);
}
