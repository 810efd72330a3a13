/*
 * Inner products of the gradients of groups or micro-batches with each other: everything that the
 * size and the spectrum of their noise is worked out from.
 */
#ifndef PLUMB_DIAGNOSE_GRAM_H
#define PLUMB_DIAGNOSE_GRAM_H

#include "plumb.h"

/*
 * products[count][count] = the inner products of `length` <= VECTOR_BLOCK floats, both triangles.
 * Not finite on the diagonal where a vector is not: squares of floats do not overflow in double.
 */
void gram_block(int64_t count, int64_t length, const float *const *vectors, int64_t first,
                double *products);

/*
 * |g_i - g_j|^2 from a Gram matrix, never negative. It is exactly zero for equal gradients, whose
 * inner products are equal too; sums over pairs of it therefore vanish where there is no noise.
 */
static inline double gram_distance(int64_t count, const double *gram, int64_t i, int64_t j)
{
    double d =
        (gram[i * count + i] - gram[i * count + j]) + (gram[j * count + j] - gram[i * count + j]);
    return d > 0.0 ? d : 0.0;
}

/* ARGUMENT or NONFINITE unless gram[count][count] may be one, and samples (or NULL) numbers of
 * samples. */
plumb_status gram_check(int64_t count, const double *samples, const double *gram);

/* The same for numbers of samples alone. */
plumb_status gram_check_samples(int64_t count, const double *samples);

/* b_k. */
static inline double gram_samples(const double *samples, int64_t k)
{
    return samples != NULL ? samples[k] : 1.0;
}

#endif
