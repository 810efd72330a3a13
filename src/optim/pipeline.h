/*
 * The pipelines of plumb.h, in the two places where they act: at the holder of a group before its
 * stream is sent (encode), and at the owner, where a stream becomes the group's contribution to
 * the sum again (decode). What a final orthogonalisation does is the optimizer's.
 *
 * Both work on group *sums* S_g = w_g G_g (w_g the group's weight): directions do not care, and
 * norms carry the weight along, so that the owner's sum over groups, divided by the sum of all
 * weights, is the weighted mean.
 */
#ifndef PLUMB_OPTIM_PIPELINE_H
#define PLUMB_OPTIM_PIPELINE_H

#include <stdbool.h>

#include "plumb.h"

/* True if the pipeline needs each group's own stream at the owner. */
bool pipeline_by_group(plumb_pipeline pipeline);

/* Floats that ride behind the rows x cols of a stream: its tail. tail[0] is always w_g. */
int64_t pipeline_tail(plumb_pipeline pipeline, int64_t rows, int64_t cols);

/*
 * From a group's sum (rows x cols) and weight to its stream and tail. `stream` may be `sum`.
 * Errors: NONFINITE, MEMORY, NUMERICAL; stream and tail are then undefined.
 */
plumb_status pipeline_encode(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *sum, float weight, float *stream, float *tail);

/*
 * From stream and tail to the group's contribution to the sum; `contribution` may be `stream`.
 * Errors: MEMORY.
 */
plumb_status pipeline_decode(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *stream, const float *tail, float *contribution);

/*
 * What happens to the mean before the optimizer sees it: DOUBLE_ORTHOGONALISE's polar factor where
 * the optimizer has none of its own; nothing else. `result` may be `mean`.
 */
plumb_status pipeline_finish(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                             const float *mean, float *result);

/* True if pipeline_finish would change the mean (and so needs the whole matrix). */
bool pipeline_finishes(const plumb_parameter_options *options);

/* The polar factor by the parameter's own method and steps; `polar` may be `matrix`. */
plumb_status pipeline_polar(const plumb_parameter_options *options, int64_t rows, int64_t cols,
                            const float *matrix, float *polar);

/* True if the optimizer's own final polar factor is wanted (all but orthogonalise-then-average). */
bool pipeline_orthogonalises_last(plumb_pipeline pipeline);

#endif
