/*
 * What each pipeline of plumb.h sends for a group, and what its owner makes of that (pipeline.h).
 * A tail is the weight alone, or weight and Frobenius norm, or weight and packed symmetric factor.
 */
#include "optim/pipeline.h"

#include <float.h>
#include <math.h>

#include "base/error.h"
#include "base/vector.h"
#include "linalg/polar.h"
#include "optim/optimizer.h"

bool pipeline_by_group(plumb_pipeline pipeline)
{
    return pipeline != PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE;
}

int64_t pipeline_tail(plumb_pipeline pipeline, int64_t rows, int64_t cols)
{
    int64_t side = rows < cols ? rows : cols;
    switch (pipeline) {
    case PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE:
    case PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE:
    case PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE:
        return 1;
    case PLUMB_PIPELINE_NORMALISED_WITH_NORM:
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM:
        return 2;
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR:
        return 1 + side * (side + 1) / 2;
    }
    return 1;
}

static plumb_status polar_by(plumb_polar_method method, int steps, double delta, int64_t rows,
                             int64_t cols, const float *matrix, float *polar)
{
    plumb_polar_options options = {.size = sizeof options, .steps = steps, .delta = delta};
    return plumb_polar(method, rows, cols, matrix, polar, &options);
}

plumb_status pipeline_polar(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                            const float *matrix, float *polar)
{
    return polar_by(options->polar, options->polar_steps, options->polar_delta, rows, cols, matrix,
                    polar);
}

static plumb_status copy_checked(int64_t count, const float *from, float *to)
{
    REQUIRE(vector_scale_checked(count, 1.0f, from, to), PLUMB_ERROR_NONFINITE,
            "a group's gradient is not finite");
    return PLUMB_OK;
}

/* The Frobenius norm, from a sum of squares in double: no float overflows or underflows in it. */
static plumb_status frobenius(int64_t count, const float *sum, float *norm)
{
    double length = sqrt(vector_sum_squares(count, sum));
    REQUIRE(length <= (double)FLT_MAX, PLUMB_ERROR_NONFINITE,
            "the norm of a group's gradient is not finite (%g)", length);
    *norm = (float)length;
    return PLUMB_OK;
}

static plumb_status encode_normalised(int64_t count, const float *sum, float *stream, float *norm)
{
    PROPAGATE(frobenius(count, sum, norm));
    vector_divide(count, *norm > 0.0f ? *norm : 1.0f, sum, stream);
    return PLUMB_OK;
}

/*
 * The factor goes with the exact polar factor only: with an iterative method's singular values in
 * place of ones, the product would not be the sum again. So the SVD, whatever options->polar.
 */
static plumb_status encode_with_factor(int64_t rows, int64_t cols, const float *sum, float *stream,
                                       float *packed)
{
    PROPAGATE(polar_factor_symmetric(rows, cols, sum, packed));
    return polar_by(PLUMB_POLAR_SVD, 0, 0.0, rows, cols, sum, stream);
}

plumb_status pipeline_encode(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *sum, float weight, float *stream, float *tail)
{
    tail[0] = weight;
    switch (options->pipeline) {
    case PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE:
        return copy_checked(rows * cols, sum, stream);
    case PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE:
    case PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE:
        return pipeline_polar(options, rows, cols, sum, stream);
    case PLUMB_PIPELINE_NORMALISED_WITH_NORM:
        return encode_normalised(rows * cols, sum, stream, &tail[1]);
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM:
        PROPAGATE(frobenius(rows * cols, sum, &tail[1]));
        return pipeline_polar(options, rows, cols, sum, stream);
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR:
        return encode_with_factor(rows, cols, sum, stream, &tail[1]);
    }
    return error_raise(PLUMB_ERROR_INTERNAL, "no pipeline %d", (int)options->pipeline);
}

plumb_status pipeline_decode(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *stream, const float *tail, float *contribution)
{
    switch (options->pipeline) {
    case PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE:
        vector_scale(rows * cols, 1.0f, stream, contribution);
        return PLUMB_OK;
    case PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE:
    case PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE:
        vector_scale(rows * cols, tail[0], stream, contribution);
        return PLUMB_OK;
    case PLUMB_PIPELINE_NORMALISED_WITH_NORM:
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM:
        vector_scale(rows * cols, tail[1], stream, contribution);
        return PLUMB_OK;
    case PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR:
        return polar_multiply_symmetric(rows, cols, stream, &tail[1], contribution);
    }
    return error_raise(PLUMB_ERROR_INTERNAL, "no pipeline %d", (int)options->pipeline);
}

plumb_status pipeline_finish(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *mean, float *result)
{
    if (pipeline_finishes(options)) {
        return pipeline_polar(options, rows, cols, mean, result);
    }
    if (result != mean) {
        vector_scale(rows * cols, 1.0f, mean, result);
    }
    return PLUMB_OK;
}

bool pipeline_finishes(const plumb_parameter_options *options)
{
    return options->pipeline == PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE &&
           !optimizer_find(options->optimizer)->orthogonalises;
}

bool pipeline_orthogonalises_last(plumb_pipeline pipeline)
{
    return pipeline != PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE;
}
