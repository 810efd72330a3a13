/*
 * How near the library's polar factors come to the true ones, which LAPACK's dgesdd gives in double
 * for the same single-precision input.
 */
#ifndef WORKLOAD_POLAR_ACCURACY_H
#define WORKLOAD_POLAR_ACCURACY_H

#include "workload/polar_benchmark.h"

typedef enum polar_input {
    POLAR_INPUT_RANDOM,        /* normal numbers */
    POLAR_INPUT_CONDITION_1E4, /* singular values from 1 down to 1e-4, equal ratios between them */
    POLAR_INPUT_CONDITION_1E6,
    POLAR_INPUT_CONDITION_1E7,
    POLAR_INPUTS
} polar_input;

extern const char *const polar_input_names[POLAR_INPUTS];

/* W is the contestant's answer, G = U S V' the input, s its singular values over the largest, n
 * the smaller dimension. */
typedef struct polar_accuracy {
    bool ran;
    double orthogonality;   /* largest magnitude of W'W - I (wide: W W' - I) */
    double forward;         /* |W - U V'|_F / sqrt(n) */
    double lowest, highest; /* of the diagonal of U' W V: what singular values became */
    /* The fast ones: against f(s) = s / sqrt(s^2 + delta^2); NaN for others. */
    double forward_delta; /* |W - U f V'|_F / sqrt(n) */
    double band;          /* largest |u'Wv - f| */
    double relative_band; /* the same over f; where s is below delta/10, over f(delta/10) */
} polar_accuracy;

/* 0, or 1 with a line in `message`. accuracies[POLAR_CONTESTANTS]. */
int polar_accuracy_measure(int64_t rows, int64_t cols, polar_input input, const bool *wanted,
                           polar_accuracy *accuracies, char *message, size_t message_size);

#endif
