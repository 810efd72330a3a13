/*
 * Rational functions c + sum over j of a_j / (x + d_j) that approximate x^(-1/r) on an interval
 * with the least largest relative error: applied to a matrix they need nothing but inverses of
 * shifted positive definite matrices, one a pole and all independent of each other.
 */
#ifndef PLUMB_LINALG_PARTIAL_FRACTIONS_H
#define PLUMB_LINALG_PARTIAL_FRACTIONS_H

#include "plumb.h"

enum { PARTIAL_FRACTIONS_MOST = 16 };

typedef struct partial_fractions {
    int poles;
    double constant;                        /* c */
    double weights[PARTIAL_FRACTIONS_MOST]; /* a_j, all positive */
    double shifts[PARTIAL_FRACTIONS_MOST];  /* d_j, all positive (Newton: 0 first), ascending */
    double error;                           /* largest relative error on [lowest, 1] */
} partial_fractions;

/*
 * x^(-1/2) on [lowest^2, 1], that is sign(y) for |y| in [lowest, 1] after a factor y: Zolotarev's
 * function in closed form by elliptic functions (Nakatsukasa and Freund 2016), equioscillating
 * between 1 - error and 1 + error. lowest in [1e-8, 1). The same arguments give the same bits, in
 * about a microsecond. Errors: ARGUMENT.
 */
plumb_status partial_fractions_zolotarev(double lowest, int poles, partial_fractions *f);

/* The fewest poles, up to the most, whose error is at most `error`; else the most. */
plumb_status partial_fractions_zolotarev_within(double lowest, double error, partial_fractions *f);

/*
 * The same interval by `steps` (1 or 2) of Newton's iteration for the sign, y -> (y + l/y) c, scaled
 * for the l that the steps before leave (Byers and Xu, SIAM J. Matrix Anal. Appl. 30, 2008). They
 * are Zolotarev's functions of even degree: two steps are worth a little less than two poles of the
 * others, but the first pole is at 0 whatever `lowest` is. lowest in (0, 1). Errors: ARGUMENT.
 */
plumb_status partial_fractions_newton(double lowest, int steps, partial_fractions *f);

/* x^(-1/root), root 1, 2 or 4, on [lowest, 1], lowest in [1e-10, 1). ARGUMENT, NUMERICAL. */
plumb_status partial_fractions_root(int root, double lowest, int poles, partial_fractions *f);
plumb_status partial_fractions_root_within(int root, double lowest, double error,
                                           partial_fractions *f);

#endif
