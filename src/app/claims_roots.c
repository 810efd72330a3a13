/*
 * The bias of an inverse root of an estimated matrix: A^(-1/r) of the mean of G = 16 samples, each
 * the mean of a few outer products of normal columns: independent ones, or correlated as a
 * first-order autoregression. A is diagonal, d = 8, which loses nothing: all estimators turn with
 * the basis.
 *
 * The first-order term f[i,j] (S - A)_ij has expectation 0 and is subtracted. Biases are Frobenius
 * norms of the mean error over that of A^(-1/r), the norm's own noise taken out. The prediction is
 * of second order: for normal columns diagonal in the eigenbasis,
 *
 *     b_i = (1/N) (sum_k f[i,k,i] l_i l_k + f[i,i,i] l_i^2),   N = G (tr C)^2 / tr C^2,
 *
 * C the columns' covariance (Higham 2008, chapter 3, for the divided differences f[...]).
 */
#include "app/claims_random.h"
#include "app/claims_subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, SAMPLES = 16, MOST_COLUMNS = 6, SQUARE = SIDE * SIDE, REPETITIONS = 250 };

typedef struct roots_case {
    int root, columns;
    double correlation; /* of neighbouring columns */
} roots_case;

/*
 * All of them are judged. Six columns correlated 0.5 are worth 3.95 independent ones, four
 * correlated 0.6 only 2.4: the expansion's next order counts for more there.
 */
static const roots_case cases[] = {{4, 4, 0.0}, {2, 4, 0.0}, {4, 6, 0.5},
                                   {2, 6, 0.5}, {4, 4, 0.6}, {2, 4, 0.6}};

typedef struct roots_estimator {
    const char *name;
    plumb_correction correction;
    bool goal;
} roots_estimator;

static const roots_estimator estimators[] = {
    {"none", PLUMB_CORRECTION_NONE, false},
    {"second-order", PLUMB_CORRECTION_SECOND_ORDER, true},
    {"wishart", PLUMB_CORRECTION_WISHART, false},
    {"jackknife", PLUMB_CORRECTION_JACKKNIFE, true},
    {"half-sample", PLUMB_CORRECTION_HALF_SAMPLE, false},
    {"paper-diagonal", PLUMB_CORRECTION_PAPER_DIAGONAL, false},
};

enum {
    CASES = sizeof cases / sizeof cases[0],
    ESTIMATORS = sizeof estimators / sizeof estimators[0],
    ENTRY = SQUARE + 1, /* sums of the elements' errors, then of all their squares */
    WIDTH = CASES * ESTIMATORS * ENTRY
};

/* Eigenvalues of A, evenly spaced in the logarithm from 0.1 to 3. */
static double eigenvalue(int i)
{
    return 0.1 * pow(30.0, (double)i / (SIDE - 1));
}

/* h(a, b) and h(a, b, c), complete homogeneous symmetric polynomials of degree r - 1. */
static double pair_sum(int r, double a, double b)
{
    double sum = 0.0;
    for (int q = 0; q < r; q++) {
        sum += pow(a, q) * pow(b, r - 1 - q);
    }
    return sum;
}

static double triple_sum(int r, double a, double b, double c)
{
    double sum = 0.0;
    for (int q = 0; q < r; q++) {
        sum += pow(c, q) * pair_sum(r - q, a, b);
    }
    return sum;
}

/* f[x, y] and f[x, y, x] of f = x^(-1/r), free of cancellation. */
static double first_difference(int r, double x, double y)
{
    double a = pow(x, 1.0 / r), b = pow(y, 1.0 / r);
    return -1.0 / (a * b * pair_sum(r, a, b));
}

static double second_difference(int r, double x, double y)
{
    double a = pow(x, 1.0 / r), b = pow(y, 1.0 / r);
    double ab = pair_sum(r, a, b);
    return triple_sum(r, a, b, a) / (a * a * b * ab * ab * pair_sum(r, a, a));
}

/* (tr C)^2 / tr C^2 of the columns' covariance. */
static double effective_columns(const roots_case *c)
{
    double squares = 0.0;
    for (int i = 0; i < c->columns; i++) {
        for (int j = 0; j < c->columns; j++) {
            squares += pow(c->correlation, 2 * abs(i - j));
        }
    }
    return c->columns * c->columns / squares;
}

static double root_norm(int r)
{
    double squares = 0.0;
    for (int i = 0; i < SIDE; i++) {
        squares += pow(eigenvalue(i), -2.0 / r);
    }
    return sqrt(squares);
}

static double predict(const roots_case *c)
{
    double squares = 0.0;
    for (int i = 0; i < SIDE; i++) {
        double l = eigenvalue(i), sum = second_difference(c->root, l, l) * l * l;
        for (int k = 0; k < SIDE; k++) {
            sum += second_difference(c->root, l, eigenvalue(k)) * l * eigenvalue(k);
        }
        squares += sum * sum;
    }
    return sqrt(squares) / (SAMPLES * effective_columns(c)) / root_norm(c->root);
}

/* One repetition's samples[SAMPLES][SIDE][SIDE], and their mean less A. */
typedef struct roots_draw {
    double normals[SAMPLES * MOST_COLUMNS * SIDE];
    double samples[SAMPLES * SQUARE], deviation[SQUARE];
} roots_draw;

static void add_outer_product(int columns, const double *column, double *sample)
{
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            sample[i * SIDE + j] += column[i] * column[j] / columns;
        }
    }
}

static void form_samples(const roots_case *c, roots_draw *d)
{
    double fresh = sqrt(1.0 - c->correlation * c->correlation);
    double roots[SIDE];
    for (int i = 0; i < SIDE; i++) {
        roots[i] = sqrt(eigenvalue(i));
    }
    memset(d->samples, 0, sizeof d->samples);
    memset(d->deviation, 0, sizeof d->deviation);
    for (int k = 0; k < SAMPLES; k++) {
        double column[SIDE];
        const double *normals = d->normals + k * MOST_COLUMNS * SIDE;
        for (int j = 0; j < c->columns; j++) {
            for (int i = 0; i < SIDE; i++) {
                double z = roots[i] * normals[j * SIDE + i];
                column[i] = j == 0 ? z : c->correlation * column[i] + fresh * z;
            }
            add_outer_product(c->columns, column, d->samples + k * SQUARE);
        }
        for (int i = 0; i < SQUARE; i++) {
            d->deviation[i] += d->samples[k * SQUARE + i] / SAMPLES;
        }
    }
    for (int i = 0; i < SIDE; i++) {
        d->deviation[i * SIDE + i] -= eigenvalue(i);
    }
}

/* Adds result - f(A) - what is linear in the deviation. */
static void add_errors(int r, const roots_draw *d, const double *result, double *entry)
{
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            double l = eigenvalue(i), other = eigenvalue(j);
            double exact = i == j ? pow(l, -1.0 / r) : 0.0;
            double linear = first_difference(r, l, other) * d->deviation[i * SIDE + j];
            double error = result[i * SIDE + j] - exact - linear;
            entry[i * SIDE + j] += error;
            entry[SQUARE] += error * error;
        }
    }
}

static void run_case(const roots_case *c, const roots_draw *d, double *sums, failure *f)
{
    plumb_inverse_root_options options = {.size = sizeof options};
    options.wishart_samples = SAMPLES * effective_columns(c);
    for (int e = 0; e < ESTIMATORS && f->code == EXIT_OK; e++) {
        double result[SQUARE];
        options.correction = estimators[e].correction;
        plumb_status status =
            plumb_inverse_root(c->root, SIDE, SAMPLES, d->samples, result, &options);
        if (failure_from_library(f, status, NULL) == EXIT_OK) {
            add_errors(c->root, d, result, sums + e * ENTRY);
        }
    }
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    roots_draw draw;
    claims_key key = {.seed = seed, .subject = self->number, .unit = unit};
    for (int i = 0; i < REPETITIONS && f->code == EXIT_OK; i++) {
        key.step = (uint32_t)i;
        claims_normals(key, SAMPLES * MOST_COLUMNS * SIDE, draw.normals);
        for (int c = 0; c < CASES; c++) {
            form_samples(&cases[c], &draw);
            run_case(&cases[c], &draw, sums + c * ESTIMATORS * ENTRY, f);
        }
    }
}

static void report(const claims_subject *self, const double *sums, int64_t units,
                   claims_table *table)
{
    (void)self;
    double count = (double)(units * REPETITIONS);
    for (int c = 0; c < CASES; c++) {
        double scale = root_norm(cases[c].root), plain = 0.0;
        char name[64];
        snprintf(name, sizeof name, "root -1/%d, %d columns correlated %g", cases[c].root,
                 cases[c].columns, cases[c].correlation);
        for (int e = 0; e < ESTIMATORS; e++) {
            claims_estimate bias =
                claims_norm_of(SQUARE, sums + (c * ESTIMATORS + e) * ENTRY, count);
            bool first = estimators[e].correction == PLUMB_CORRECTION_NONE;
            bool ours = estimators[e].correction != PLUMB_CORRECTION_PAPER_DIAGONAL;
            plain = first ? bias.mean / scale : plain;
            claims_row *row = claims_table_add(table, name, estimators[e].name,
                                               first  ? predict(&cases[c])
                                               : ours ? 0.0
                                                      : NAN,
                                               bias.mean / scale, bias.error / scale);
            if (estimators[e].goal) {
                row->goal = 0.15 * plain;
                row->error_goal = 0.02 * plain;
            }
        }
    }
}

const claims_subject claims_roots = {.name = "roots",
                                     .units = 40,
                                     .quick_units = 2,
                                     .width = WIDTH,
                                     .number = 3,
                                     .run = run,
                                     .report = report};
