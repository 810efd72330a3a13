/*
 * A gradient whose truth is known, and noise for it: G = U S V' with given singular values and
 * fixed U, V; noise L Z R with Z normal, L and R multiples of the identity (isotropic) or fixed
 * matrices that mix and scale rows and columns (anisotropic). And what theory predicts for its
 * polar factor: the expectation of the second-order term, which is a quadratic form and so the sum
 * of its values at the noise's basis.
 */
#ifndef APP_CLAIMS_PROBLEM_H
#define APP_CLAIMS_PROBLEM_H

#include "app/claims_findings.h"
#include "app/claims_random.h"
#include "app/failure.h"

enum { PROBLEM_MOST = 24, PROBLEM_MOST_ROWS = 10, PROBLEM_MOST_COLS = 4 };

typedef struct claims_problem {
    int rows, cols, count; /* rows >= cols */
    claims_noise noise;
    double level; /* of one entry of one micro-batch, root mean square */
    double singular[PROBLEM_MOST_COLS];
    double gradient[PROBLEM_MOST]; /* rows x cols, as all below */
    double polar[PROBLEM_MOST];    /* Q = U V' */
    double u[PROBLEM_MOST];
    double v[PROBLEM_MOST_COLS * PROBLEM_MOST_COLS];
    double row_mix[PROBLEM_MOST_ROWS * PROBLEM_MOST_ROWS]; /* L, with the level */
    double col_mix[PROBLEM_MOST_COLS * PROBLEM_MOST_COLS]; /* R */
} claims_problem;

/* singular[cols]. */
void claims_problem_create(claims_problem *p, int rows, int cols, const double *singular,
                           double level, claims_noise noise);

/* noise[count]: of one micro-batch. */
void claims_problem_noise(const claims_problem *p, claims_key key, double *noise);

/* The second-order term of Ortho(G + noise) - Q. Returns f's code. */
int claims_problem_second(const claims_problem *p, const double *noise, double *term, failure *f);

/* Its expectation for the noise of one micro-batch. Returns f's code. */
int claims_problem_bias(const claims_problem *p, double *bias, failure *f);

/* Tangent part of a deviation x from Q: what turns Q; the rest only shrinks it. */
void claims_problem_tangent(const claims_problem *p, const double *x, double *tangent);

double claims_dot(int count, const double *x, const double *y);
double claims_norm(int count, const double *x);

#endif
