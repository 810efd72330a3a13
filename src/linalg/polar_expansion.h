/*
 * What the polar factor of a matrix does when the matrix is moved a little, to second order: the
 * bias of Ortho(u) for a u with errors, without resampling. In double, by products of matrices.
 *
 * Let G = U S V' be rows x cols with rows >= cols and full column rank, D what is added to it,
 * M = U'DV and N = (I - UU')DV. Then (theory: differentiate W'W = I and W'G = (W'G)'; Higham,
 * Functions of Matrices, 2008, chapter 8 for the first order)
 *
 *     Ortho(G + D) = U (I + O + X) V' + N (S^-1 - C) V' + third order,
 *     O_ij = (M - M')_ij / (s_i + s_j),
 *     T    = (O^2 - S^-1 N'N S^-1) / 2,
 *     X_ij = T_ij - [ (M'O + OM)_ij + (N'N)_ij (1/s_j - 1/s_i) - T_ij (s_j - s_i) ] / (s_i + s_j),
 *     C_ij = (s_i M_ij + s_j M_ji) / (s_i s_j (s_i + s_j)).
 *
 * A wide matrix is its transpose. Where G loses rank its polar factor is not continuous, and there
 * is no expansion.
 */
#ifndef PLUMB_LINALG_POLAR_EXPANSION_H
#define PLUMB_LINALG_POLAR_EXPANSION_H

#include <stdbool.h>

#include "linalg/polar_prescale.h"
#include "plumb.h"

typedef struct polar_expansion {
    int rows, cols;
    int longer, shorter; /* of the two */
    polar_prescale prescale;
    double *frame;  /* longer x shorter, row-major: U of the tall form */
    double *values; /* shorter, descending: S of the prescaled matrix */
    double *turn;   /* shorter x shorter, row-major: V' of the tall form */
    double *inside; /* shorter x shorter: the part along U of what is accumulated, ... */
    double *beside; /* longer x shorter: ... and the rest; both still without V' */
    double *work;   /* for one displacement */
} polar_expansion;

/*
 * The decomposition of `matrix` (rows x cols, finite), with nothing accumulated. Errors: ARGUMENT
 * (too large for LAPACK), NONFINITE, MEMORY, NUMERICAL. After an error there is nothing to free.
 */
plumb_status polar_expansion_create(int64_t rows, int64_t cols, const float *matrix,
                                    polar_expansion *expansion);

void polar_expansion_free(polar_expansion *expansion);

/* True if the smallest singular value is large enough against the largest to be more than the
 * rounding of 32-bit floats; nothing below may be called otherwise. */
bool polar_expansion_regular(const polar_expansion *expansion);

/* Adds the first- or second-order term for D = displaced - origin, each rows x cols in the units of
 * the matrix. */
void polar_expansion_add_first(polar_expansion *expansion, const float *displaced,
                               const float *origin);
void polar_expansion_add_second(polar_expansion *expansion, const float *displaced,
                                const float *origin);

/* The Frobenius norm of what was accumulated; not finite if that left the range of doubles. */
double polar_expansion_norm(const polar_expansion *expansion);

/*
 * The squared norms of its two orthogonal parts: tangent to the matrices with orthonormal columns
 * (rows) at Ortho(G), which is a turn, and normal to them, a symmetric change that only shrinks.
 */
void polar_expansion_split(const polar_expansion *expansion, double *tangent, double *normal);

/* result (rows x cols) = `factor` of the polar factor + `weight` of what was accumulated. */
void polar_expansion_result(polar_expansion *expansion, double factor, double weight,
                            double *result);

/* Seconds of a decomposition and `count` second-order terms, by a rough model. */
double polar_expansion_cost(int64_t rows, int64_t cols, int count);

#endif
