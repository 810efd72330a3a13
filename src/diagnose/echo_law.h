/*
 * The exact echo law without units, for the other files of the echo. In x = s^2 / (sigma^2
 * sqrt(rows cols)), which is 1 at the threshold, it depends on the shape of the matrix alone.
 */
#ifndef PLUMB_DIAGNOSE_ECHO_LAW_H
#define PLUMB_DIAGNOSE_ECHO_LAW_H

#include "plumb.h"

/* ARGUMENT unless the shape is one of a matrix and both numbers are finite and not negative. */
plumb_status echo_law_check(int64_t rows, int64_t cols, double variance, double value);

/* x of a true singular value; infinite without noise, 0 for the value 0. */
double echo_law_ratio(int64_t rows, int64_t cols, double variance, double signal);

/* The echo at x, 0 up to x = 1 and 1 at infinity; and the x of an echo in [0, 1]. */
double echo_law_at(int64_t rows, int64_t cols, double ratio);
double echo_law_inverse(int64_t rows, int64_t cols, double echo);

/* plumb_echo_signal, for arguments that are known to be right. */
double echo_law_signal(int64_t rows, int64_t cols, double variance, double observed);

/* s echo / observed, of an observed singular value: what the Frobenius shrinker keeps of it. */
double echo_law_kept(int64_t rows, int64_t cols, double variance, double observed);

#endif
