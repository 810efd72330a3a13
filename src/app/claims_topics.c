/*
 * The topics of `plumb claims`, and the arithmetic that their subjects share.
 */
#include "app/claims_subject.h"

#include <math.h>
#include <stddef.h>

static const claims_subject *const correction_subjects[] = {&claims_adamw, &claims_curvature,
                                                            &claims_roots, &claims_shampoo, NULL};

const claims_topic claims_topics[] = {{"correction", correction_subjects},
                                      {"orthogonal", claims_orthogonal_subjects},
                                      {"echo", claims_echo_subjects},
                                      {"covariance", claims_covariance_subjects},
                                      {NULL, NULL}};

claims_estimate claims_estimate_of(double sum, double squares, double count)
{
    double mean = sum / count;
    double variance = squares / count - mean * mean;
    return (claims_estimate){mean, sqrt((variance > 0.0 ? variance : 0.0) / (count - 1.0))};
}

claims_estimate claims_norm_of(int64_t elements, const double *sums, double count)
{
    double squares = 0.0;
    for (int64_t i = 0; i < elements; i++) {
        squares += sums[i] / count * (sums[i] / count);
    }
    double noise = (sums[elements] / count - squares) / (count - 1.0);
    return (claims_estimate){sqrt(fmax(squares - noise, 0.0)), sqrt(noise)};
}

double claims_slope(int count, const double *x, const double *y, double *intercept)
{
    double mean_x = 0.0, mean_y = 0.0, products = 0.0, squares = 0.0;
    for (int i = 0; i < count; i++) {
        mean_x += x[i] / count;
        mean_y += y[i] / count;
    }
    for (int i = 0; i < count; i++) {
        products += (x[i] - mean_x) * (y[i] - mean_y);
        squares += (x[i] - mean_x) * (x[i] - mean_x);
    }
    double slope = products / squares;
    if (intercept != NULL) {
        *intercept = mean_y - slope * mean_x;
    }
    return slope;
}
