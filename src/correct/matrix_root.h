/*
 * One root of one matrix preconditioner: the power -1/r of a statistic plus damping, and its bias.
 * An estimate S of A has E S^(-1/r) > A^(-1/r); the second-order term of the difference is
 * estimated from deviations of S's parts, or in closed form for normal data, and taken away such
 * that the result stays positive definite.
 *
 *     matrix_root_create(n, 4, &m);
 *     at each root step: matrix_root_set(&m, statistic, damping, relative_damping);
 *         plain:        matrix_root_plain(&m, root);
 *         second order: matrix_root_add_deviation(&m, S_k - S, 1 / (K (K - 1))) for all K parts,
 *                       matrix_root_corrected(&m, root);
 *         Wishart:      matrix_root_wishart(&m, N); matrix_root_corrected(&m, root);
 *     matrix_root_free(&m);
 *
 * Matrices are n x n, row-major, in double; of symmetric inputs the lower triangle is read, outputs
 * are exactly symmetric. Nothing but create allocates. The same input gives the same bits.
 */
#ifndef PLUMB_CORRECT_MATRIX_ROOT_H
#define PLUMB_CORRECT_MATRIX_ROOT_H

#include <stdbool.h>

#include "plumb.h"

typedef struct matrix_root {
    int64_t n;
    int root;         /* r: 1 and more */
    double damping;   /* what was added to every eigenvalue, the relative part included */
    double *values;   /* n, ascending: eigenvalues with damping, all positive */
    double *undamped; /* n: the same without damping, none negative */
    double *vectors;  /* n x n: column j is the j-th eigenvector */
    double *bias;     /* n x n, lower triangle: second-order bias in the basis of the vectors */
    double *diagonal; /* n: the same if it is diagonal */
    enum { MATRIX_ROOT_NO_BIAS, MATRIX_ROOT_DIAGONAL_BIAS, MATRIX_ROOT_FULL_BIAS } bias_kind;
    double third;    /* coefficient of the third order of a full bias */
    double *rotated; /* n x n scratch */
    double *scratch; /* as LAPACK and the products need */
    int *integers;
} matrix_root;

/* Memory for n x n: 5 n^2 doubles. Errors: ARGUMENT (n, root), MEMORY; nothing to free then. */
plumb_status matrix_root_create(int64_t n, int root, matrix_root *m);

/* Frees what create made; also after a zeroed or freed one. */
void matrix_root_free(matrix_root *m);

/*
 * Decomposes the statistic and adds damping + relative_damping * its largest eigenvalue to every
 * eigenvalue. Those of magnitude up to n 2^-52 of the largest are rounding and count as 0 before
 * damping. Clears the bias.
 * Errors: NONFINITE, NUMERICAL (no convergence, or an eigenvalue that is not positive). After an
 * error the object has no root until it is set again.
 */
plumb_status matrix_root_set(matrix_root *m, const double *statistic, double damping,
                             double relative_damping);

/* Bias 0, as after set. */
void matrix_root_clear_bias(matrix_root *m);

/*
 * Adds weight * T2(deviation), the second-order term of inverse_root.h. For the mean of K
 * independent parts S_k the deviations are S_k - S with weight 1 / (K (K - 1)). A moving average
 * has the deviations of its samples with the sum of its squared weights in place of 1 / K.
 * Damping counts as a constant. Not after matrix_root_wishart, which it would replace.
 */
void matrix_root_add_deviation(matrix_root *m, const double *deviation, double weight);

/*
 * The bias if the statistic is the mean of `samples` independent x x', x normal with mean zero;
 * replaces what was added. Diagonal in the basis of the eigenvectors:
 *
 *     b_i = (sum_k f[i,k,i] lambda_i lambda_k + f[i,i,i] lambda_i^2) / samples
 *
 * with f at the damped eigenvalues and lambda without damping. For columns of a matrix that are
 * correlated by C, `samples` is their number times tr(C)^2 / (columns tr(C^2)). The expansion
 * holds for samples well above n.
 */
void matrix_root_wishart(matrix_root *m, double samples);

/*
 * From now on the correction of the mean of `samples` independent parts by their own deviations
 * goes one order further (inverse_root.h). Not for statistics with a memory: the bias as estimated
 * from a single step's parts varies too much for its square.
 */
void matrix_root_third_order(matrix_root *m, int64_t samples);

/* (statistic + damping)^(-1/r). */
void matrix_root_plain(matrix_root *m, double *root);

/*
 * The root without its bias: with F the plain root and B the bias, (F^-1 + F^-1 B F^-1)^-1, which
 * is F - B to second order and always positive definite; or the form of inverse_root.h. Errors:
 * NUMERICAL (negative weights have made the bias indefinite); root is undefined then.
 */
plumb_status matrix_root_corrected(matrix_root *m, double *root);

/*
 * The published correction, eigenvalue by eigenvalue (arXiv 2605.20756): eigenvalues
 *
 *     max(lambda^(-1/r) - c lambda^(-1/r-2) variance_k, 0),   c = (1/r) (1/r + 1) / 2
 *
 * variance[n]: of the estimates q_k' S q_k. They lack what the rotation of the eigenvectors adds to
 * the bias, which is most of it. upper_clip > 0 bounds the new eigenvalues; 0: no bound.
 */
void matrix_root_paper_diagonal(matrix_root *m, const double *variance, double upper_clip,
                                double *root);

/* estimates[k] = q_k' sample q_k. */
void matrix_root_rayleigh(matrix_root *m, const double *sample, double *estimates);

#endif
