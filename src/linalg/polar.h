/*
 * Polar factors and what goes with them, on dense row-major float matrices. Public entry:
 * plumb_polar. Nothing here knows of MPI, parameters or optimizers.
 */
#ifndef PLUMB_LINALG_POLAR_H
#define PLUMB_LINALG_POLAR_H

#include "plumb.h"

/* The most steps that an iterative method accepts. */
enum { POLAR_MAX_STEPS = 100 };

/* ARGUMENT if the method takes no such number of steps, or poles, or no such delta; 0: defaults. */
plumb_status polar_check(plumb_polar_method method, int steps, double delta);

/*
 * The right factor of the polar decomposition on the short side: for rows >= cols
 * H = (G'G)^(1/2), cols x cols, so that G = W H; else H = (GG')^(1/2), rows x rows, G = H W.
 * `packed` receives the upper triangle by rows, s(s+1)/2 floats with s = min(rows, cols).
 * Computed in double; scale-invariant as plumb_polar is. Errors: NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status polar_factor_symmetric(int64_t rows, int64_t cols, const float *matrix, float *packed);

/*
 * `product` = W H (rows >= cols) or H W, with H packed as above. Double accumulation is not
 * needed: one rounding of H and of W is there already. `product` may be `polar`.
 */
plumb_status polar_multiply_symmetric(int64_t rows, int64_t cols, const float *polar,
                                      const float *packed, float *product);

/* Seconds of plumb_polar by a rough model (flops over 50 Gflop/s), for balancing owners only. */
double polar_cost(plumb_polar_method method, int steps, int64_t rows, int64_t cols);

#endif
