/*
 * The coupled Newton iteration for the inverse fourth root, in single precision on products of
 * matrices: what published Shampoos use where they do not decompose.
 */
#ifndef WORKLOAD_COUPLED_NEWTON_H
#define WORKLOAD_COUPLED_NEWTON_H

#include <stdint.h>

/* Elements of scratch. */
int64_t coupled_newton_scratch(int n);

/*
 * root (n x n) = matrix^(-1/4) for a symmetric positive definite matrix whose largest eigenvalue is
 * `largest`. With A the matrix and z = (1 + 4) / (2 largest):
 *
 *     M = z A, X = z^(1/4) I;  T = (5/4) I - M/4, X = X T, M = T^4 M  until M is I.
 *
 * It ends at max|M - I| below 1e-6, where that grows by a fifth, or after 100 iterations. Four
 * products an iteration. Returns the iterations. Iannazzo, "On the Newton method for the matrix
 * p-th root", SIAM J. Matrix Anal. Appl. 28 (2006); Anil et al., "Scalable second order
 * optimization for deep learning" (arXiv 2002.09018).
 */
int coupled_newton_inverse_fourth_root(int n, const float *matrix, float largest, float *root,
                                       float *scratch);

#endif
