/*
 * Pipelines: what encode makes of a group's sum and what decode gives back, at both ends of the
 * promised scales, for zero, and for both orientations of the short side.
 * ranks: serial
 */
#include <math.h>
#include <string.h>

#include "optim/optimizer.h"
#include "optim/pipeline.h"
#include "support/test.h"

enum { MOST = 13 * 13, TAIL_MOST = 1 + 13 * 14 / 2, PIPELINES = 6 };

static const int64_t shapes[][2] = {{13, 5}, {5, 13}, {8, 8}, {1, 9}, {9, 1}, {1, 1}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static plumb_parameter_options options_of(plumb_pipeline pipeline, plumb_polar_method polar)
{
    plumb_parameter_options options;
    ck_assert_int_eq(plumb_parameter_options_init(&options, sizeof options, PLUMB_OPTIMIZER_MUON),
                     PLUMB_OK);
    options.pipeline = pipeline;
    options.polar = polar;
    return options;
}

static void fill(float *sum, int64_t count, float scale)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] = scale * test_value(5, (uint64_t)count, (uint64_t)i);
    }
}

static double norm_of(const float *values, int64_t count)
{
    double squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        squares += (double)values[i] * (double)values[i];
    }
    return sqrt(squares);
}

static double distance(const float *left, const float *right, double factor, int64_t count)
{
    double squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)left[i] - factor * (double)right[i];
        squares += difference * difference;
    }
    return sqrt(squares);
}

/* Encodes, checks weight and guard behind the tail, decodes. */
static void there_and_back(const plumb_parameter_options *options, const int64_t shape[2],
                           const float *sum, float *stream, float *tail, float *contribution)
{
    int64_t floats = pipeline_tail(options->pipeline, shape[0], shape[1]);
    ck_assert_int_le(floats, TAIL_MOST);
    tail[floats] = 77.0f;
    ck_assert_int_eq(pipeline_encode(options, shape[0], shape[1], sum, 2.5f, stream, tail),
                     PLUMB_OK);
    ck_assert(tail[0] == 2.5f);
    ck_assert(tail[floats] == 77.0f);
    ck_assert_int_eq(pipeline_decode(options, shape[0], shape[1], stream, tail, contribution),
                     PLUMB_OK);
}

static void assert_exact(plumb_pipeline pipeline, const int64_t shape[2], float scale,
                         double tolerance)
{
    float sum[MOST], stream[MOST], tail[TAIL_MOST + 1], contribution[MOST];
    int64_t count = shape[0] * shape[1];
    plumb_parameter_options options = options_of(pipeline, PLUMB_POLAR_NEWTON_SCHULZ);
    fill(sum, count, scale);
    there_and_back(&options, shape, sum, stream, tail, contribution);
    double error = distance(contribution, sum, 1.0, count) / norm_of(sum, count);
    ck_assert_msg(error <= tolerance, "pipeline %d, %lld x %lld, scale %g: %g", (int)pipeline,
                  (long long)shape[0], (long long)shape[1], (double)scale, error);
}

START_TEST(exact_pipelines_give_the_sum_back)
{
    for (int s = 0; s < SHAPES; s++) {
        for (float scale = 1e-30f; scale < 2e30f; scale *= 1e30f) {
            assert_exact(PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, shapes[s], scale, 0.0);
            assert_exact(PLUMB_PIPELINE_NORMALISED_WITH_NORM, shapes[s], scale, 2e-7);
            assert_exact(PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, shapes[s], scale, 2e-6);
        }
    }
}
END_TEST

/* contribution = factor Ortho(sum), factor the weight or the norm. */
static void assert_orthogonal(plumb_pipeline pipeline, const int64_t shape[2], float scale,
                              plumb_polar_method method)
{
    float sum[MOST], stream[MOST], tail[TAIL_MOST + 1], contribution[MOST], polar[MOST];
    int64_t count = shape[0] * shape[1];
    plumb_parameter_options options = options_of(pipeline, method);
    fill(sum, count, scale);
    there_and_back(&options, shape, sum, stream, tail, contribution);
    ck_assert_int_eq(plumb_polar(method, shape[0], shape[1], sum, polar, NULL), PLUMB_OK);
    bool by_norm = pipeline == PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM;
    double factor = by_norm ? norm_of(sum, count) : 2.5;
    double error = distance(contribution, polar, factor, count) / (factor * norm_of(polar, count));
    ck_assert_msg(error <= 2e-7, "pipeline %d, %lld x %lld, scale %g: %g", (int)pipeline,
                  (long long)shape[0], (long long)shape[1], (double)scale, error);
}

START_TEST(orthogonal_pipelines_give_polar_factors)
{
    static const plumb_pipeline pipelines[] = {PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE,
                                               PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE,
                                               PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM};
    for (int s = 0; s < SHAPES; s++) {
        for (float scale = 1e-30f; scale < 2e30f; scale *= 1e30f) {
            for (int p = 0; p < 3; p++) {
                assert_orthogonal(pipelines[p], shapes[s], scale, PLUMB_POLAR_SVD);
                assert_orthogonal(pipelines[p], shapes[s], scale, PLUMB_POLAR_NEWTON_SCHULZ);
            }
        }
    }
}
END_TEST

START_TEST(zero_stays_zero)
{
    for (int pipeline = 0; pipeline < PIPELINES; pipeline++) {
        for (int s = 0; s < SHAPES; s++) {
            float sum[MOST] = {0}, stream[MOST], tail[TAIL_MOST + 1], contribution[MOST];
            plumb_parameter_options options =
                options_of((plumb_pipeline)pipeline, PLUMB_POLAR_NEWTON_SCHULZ);
            int64_t count = shapes[s][0] * shapes[s][1];
            there_and_back(&options, shapes[s], sum, stream, tail, contribution);
            ck_assert(norm_of(stream, count) == 0.0);
            ck_assert(norm_of(contribution, count) == 0.0);
            int64_t floats = pipeline_tail(options.pipeline, shapes[s][0], shapes[s][1]);
            ck_assert(norm_of(tail + 1, floats - 1) == 0.0);
        }
    }
}
END_TEST

START_TEST(in_place_is_the_same)
{
    for (int pipeline = 0; pipeline < PIPELINES; pipeline++) {
        float sum[MOST], stream[MOST], tail[TAIL_MOST + 1], contribution[MOST];
        float tail_in_place[TAIL_MOST + 1];
        const int64_t *shape = shapes[0];
        size_t bytes = (size_t)(shape[0] * shape[1]) * sizeof(float);
        plumb_parameter_options options =
            options_of((plumb_pipeline)pipeline, PLUMB_POLAR_NEWTON_SCHULZ);
        fill(sum, shape[0] * shape[1], 1.0f);
        there_and_back(&options, shape, sum, stream, tail, contribution);
        there_and_back(&options, shape, sum, sum, tail_in_place, sum);
        ck_assert_mem_eq(sum, contribution, bytes);
    }
}
END_TEST

START_TEST(not_finite_is_found)
{
    static const float bad[] = {NAN, INFINITY};
    for (int pipeline = 0; pipeline < PIPELINES; pipeline++) {
        for (int b = 0; b < 2; b++) {
            float sum[MOST], stream[MOST], tail[TAIL_MOST + 1];
            plumb_parameter_options options =
                options_of((plumb_pipeline)pipeline, PLUMB_POLAR_NEWTON_SCHULZ);
            fill(sum, MOST, 1.0f);
            sum[17] = bad[b];
            ck_assert_int_eq(pipeline_encode(&options, 13, 13, sum, 1.0f, stream, tail),
                             PLUMB_ERROR_NONFINITE);
        }
    }
}
END_TEST

START_TEST(tails)
{
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, 5, 3), 1);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE, 5, 3), 1);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE, 5, 3), 1);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_NORMALISED_WITH_NORM, 5, 3), 2);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM, 5, 3), 2);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 5, 3), 7);
    ck_assert_int_eq(pipeline_tail(PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR, 3, 5), 7);
    for (int pipeline = 0; pipeline < PIPELINES; pipeline++) {
        ck_assert_int_eq(pipeline_by_group((plumb_pipeline)pipeline), pipeline != 0);
        ck_assert_int_eq(pipeline_orthogonalises_last((plumb_pipeline)pipeline), pipeline != 1);
    }
}
END_TEST

/* Only double orthogonalisation changes the mean, and only for an optimizer that does not. */
START_TEST(finish)
{
    float mean[MOST], result[MOST], polar[MOST];
    fill(mean, 13 * 5, 1.0f);
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, 13, 5, mean, polar, NULL), PLUMB_OK);
    for (int optimizer = 0; optimizer < 3; optimizer++) {
        for (int pipeline = 0; pipeline < PIPELINES; pipeline++) {
            plumb_parameter_options o = options_of((plumb_pipeline)pipeline, PLUMB_POLAR_SVD);
            o.optimizer = (plumb_optimizer)optimizer;
            bool finishes = pipeline == PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE &&
                            optimizer != PLUMB_OPTIMIZER_MUON;
            ck_assert_int_eq(pipeline_finishes(&o), finishes);
            memset(result, 0, sizeof result);
            ck_assert_int_eq(pipeline_finish(&o, 13, 5, mean, result), PLUMB_OK);
            ck_assert_mem_eq(result, finishes ? polar : mean, 13 * 5 * sizeof(float));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipelines");
    test_add(suite, "exact pipelines", exact_pipelines_give_the_sum_back);
    test_add(suite, "orthogonal pipelines", orthogonal_pipelines_give_polar_factors);
    test_add(suite, "zero", zero_stays_zero);
    test_add(suite, "in place", in_place_is_the_same);
    test_add(suite, "not finite", not_finite_is_found);
    test_add(suite, "tails", tails);
    test_add(suite, "finish", finish);
    return test_run(suite);
}
