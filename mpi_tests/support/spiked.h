/*
 * Random matrices with known singular directions: a few of given strength, and in every group noise
 * of independent entries, of one variance or of variances that differ between rows and columns.
 */
#ifndef SUPPORT_SPIKED_H
#define SUPPORT_SPIKED_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { SPIKED_MOST_GROUPS = 16 };

/* splitmix64 (Steele, Lea and Flood 2014), and from it uniform and normal numbers. */
static inline double spiked_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double spiked_normal(uint64_t *state)
{
    double radius = sqrt(-2.0 * log(spiked_uniform(state)));
    return radius * cos(2.0 * acos(-1.0) * spiked_uniform(state));
}

static inline double spiked_dot(int count, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* frame[rank][length]: orthonormal rows. */
static inline void spiked_frame(int rank, int length, uint64_t *state, double *frame)
{
    for (int i = 0; i < rank; i++) {
        double *own = frame + i * length;
        for (int j = 0; j < length; j++) {
            own[j] = spiked_normal(state);
        }
        for (int pass = 0; pass < 2 * i; pass++) {
            const double *other = frame + pass % i * length;
            double overlap = spiked_dot(length, own, other);
            for (int j = 0; j < length; j++) {
                own[j] -= overlap * other[j];
            }
        }
        double norm = sqrt(spiked_dot(length, own, own));
        for (int j = 0; j < length; j++) {
            own[j] /= norm;
        }
    }
}

/* Standard deviations of `count` rows or columns: lognormal, their mean square 1. */
static inline void spiked_deviations(int count, double spread, uint64_t *state, double *deviations)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        double variance = exp(spread * spiked_normal(state));
        deviations[i] = sqrt(variance);
        sum += variance;
    }
    for (int i = 0; i < count; i++) {
        deviations[i] *= sqrt(count / sum);
    }
}

typedef struct spiked {
    int rows, cols, rank, count;
    double *left, *right;              /* rank x rows, rank x cols: u_i and v_i */
    double *signal;                    /* rows x cols: sum s_i u_i v_i' */
    double *row_noise, *col_noise;     /* standard deviations */
    float *groups[SPIKED_MOST_GROUPS]; /* rows x cols */
} spiked;

static inline double *spiked_doubles(int count)
{
    double *array = calloc((size_t)count, sizeof *array);
    ck_assert_ptr_nonnull(array);
    return array;
}

/* The truth: strengths are values[rank] times (rows cols)^(1/4), the threshold at variance 1. */
static inline spiked spiked_create(int rows, int cols, int rank, const double *values, int count,
                                   double spread, uint64_t *state)
{
    spiked s = {.rows = rows, .cols = cols, .rank = rank, .count = count};
    s.left = spiked_doubles(rank * rows + 1);
    s.right = spiked_doubles(rank * cols + 1);
    s.signal = spiked_doubles(rows * cols);
    s.row_noise = spiked_doubles(rows);
    s.col_noise = spiked_doubles(cols);
    spiked_frame(rank, rows, state, s.left);
    spiked_frame(rank, cols, state, s.right);
    spiked_deviations(rows, spread, state, s.row_noise);
    spiked_deviations(cols, spread, state, s.col_noise);
    for (int r = 0; r < rank; r++) {
        double strength = values[r] * pow((double)rows * cols, 0.25);
        for (int e = 0; e < rows * cols; e++) {
            s.signal[e] += strength * s.left[r * rows + e / cols] * s.right[r * cols + e % cols];
        }
    }
    for (int k = 0; k < count; k++) {
        s.groups[k] = calloc((size_t)(rows * cols), sizeof(float));
        ck_assert_ptr_nonnull(s.groups[k]);
    }
    return s;
}

/* New groups, with noise of variance 1 on average in their *mean*. */
static inline void spiked_draw(spiked *s, double scale, uint64_t *state)
{
    for (int k = 0; k < s->count; k++) {
        for (int e = 0; e < s->rows * s->cols; e++) {
            double deviation = s->row_noise[e / s->cols] * s->col_noise[e % s->cols];
            double noise = sqrt((double)s->count) * deviation * spiked_normal(state);
            s->groups[k][e] = (float)(scale * (s->signal[e] + noise));
        }
    }
}

static inline void spiked_free(spiked *s)
{
    free(s->left);
    free(s->right);
    free(s->signal);
    free(s->row_noise);
    free(s->col_noise);
    for (int k = 0; k < s->count; k++) {
        free(s->groups[k]);
    }
}

#endif
