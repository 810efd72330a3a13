/*
 * Matrices of a known condition number, on which polar factors are timed and judged.
 */
#ifndef WORKLOAD_POLAR_INPUT_H
#define WORKLOAD_POLAR_INPUT_H

#include <stdint.h>

/*
 * matrix (rows x cols, row-major) = U diag(s) V' in double, rounded: U and V from the QR of normal
 * numbers, s from 1 down to 1 / condition, with equal ratios between them. 0, or 1 if there is no
 * memory or LAPACK fails.
 */
int polar_input_make(int64_t rows, int64_t cols, double condition, float *matrix);

#endif
