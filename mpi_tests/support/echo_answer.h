/*
 * Echo spectra of random groups, and plain helpers to check them by: what tests of the echo share.
 */
#ifndef SUPPORT_ECHO_ANSWER_H
#define SUPPORT_ECHO_ANSWER_H

#include <lapacke.h>
#include <stdbool.h>

#include "plumb.h"
#include "support/spiked.h"
#include "support/test.h"

enum { MOST_SIDE = 64, SPIKES = 6, GROUPS = 8 };

/* In thresholds of the mean. */
static const double strengths[SPIKES] = {5.0, 4.0, 3.0, 2.5, 2.0, 1.5};

static inline void check_no_memory_held(void)
{
    int64_t allocations, bytes;
    plumb_memory_in_use(&allocations, &bytes);
    ck_assert_int_eq(allocations, 0);
    ck_assert_int_eq(bytes, 0);
}

typedef struct answer {
    double observed[MOST_SIDE], signals[MOST_SIDE], echoes[MOST_SIDE];
} answer;

static inline plumb_echo_options options_of(plumb_echo_method method)
{
    return (plumb_echo_options){.size = sizeof(plumb_echo_options), .method = method};
}

static inline plumb_status ask(const spiked *s, const plumb_echo_options *options, answer *a)
{
    const float *const *groups = (const float *const *)s->groups;
    return plumb_echo_spectrum(s->rows, s->cols, s->count, groups, options, a->observed, a->signals,
                               a->echoes);
}

static inline answer answer_of(const spiked *s, plumb_echo_method method, int whiten)
{
    answer a;
    plumb_echo_options options = options_of(method);
    options.whiten = whiten;
    ck_assert_int_eq(ask(s, &options, &a), PLUMB_OK);
    check_no_memory_held();
    return a;
}

static inline int side_of(const spiked *s)
{
    return s->rows < s->cols ? s->rows : s->cols;
}

/* U S V' of a rows x cols matrix, which is destroyed: u[side][rows], v[side][cols]. */
static inline void decompose(int rows, int cols, double *matrix, double *u, double *values,
                             double *v)
{
    int side = rows < cols ? rows : cols;
    double *columns = spiked_doubles(rows * side);
    ck_assert_int_eq(LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', rows, cols, matrix, cols, values,
                                    columns, side, v, cols),
                     0);
    for (int i = 0; i < side * rows; i++) {
        u[i] = columns[i % rows * side + i / rows];
    }
    free(columns);
}

static inline void mean_of_groups(const spiked *s, int first, int last, double *mean)
{
    for (int e = 0; e < s->rows * s->cols; e++) {
        mean[e] = 0.0;
        for (int k = first; k < last; k++) {
            mean[e] += (double)s->groups[k][e] / (last - first);
        }
    }
}

/* u' matrix v */
static inline double form(int rows, int cols, const double *u, const double *matrix,
                          const double *v)
{
    double sum = 0.0;
    for (int i = 0; i < rows; i++) {
        sum += u[i] * spiked_dot(cols, matrix + i * cols, v);
    }
    return sum;
}

#endif
