/*
 * The largest eigenvalue of a Gram matrix by a few steps of Lanczos from a fixed vector: what delta
 * and the interval of the rational function are relative to. The Ritz value t is never above the
 * eigenvalue, and an eigenvalue lies within its residual r of t (Parlett, The Symmetric Eigenvalue
 * Problem, 1998, chapters 4 and 13). Where a spectrum has a dense upper edge, as a random matrix's
 * has, the eigenvalue is about t + 0.7 r after these few steps; where it stands alone r is nothing.
 * So that is the estimate.
 */
#include <cblas.h>
#include <math.h>

#include "base/vector.h"
#include "linalg/polar_fast.h"

enum { LANCZOS_STEPS = 12 };

static const double SHARE_OF_RESIDUAL = 0.7;

/* A fixed vector without pattern, elements in [-1, 1] and none next to 0. */
static void fill_start(int side, float *vector)
{
    uint32_t state = UINT32_C(0x9e3779b9);
    for (int i = 0; i < side; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        float magnitude = 0.5f + (float)(state >> 9) * 0x1p-24f;
        vector[i] = (state >> 8 & 1) != 0 ? magnitude : -magnitude;
    }
}

typedef struct tridiagonal {
    int count;
    double diagonal[LANCZOS_STEPS];
    double below[LANCZOS_STEPS]; /* below[i] couples i and i + 1; the last one, what is left over */
} tridiagonal;

/* Eigenvalues above x: the signs of the pivots of T - x I (Sturm). */
static int eigenvalues_above(const tridiagonal *t, double x)
{
    int above = 0;
    double pivot = 1.0;
    for (int i = 0; i < t->count; i++) {
        double coupling = i == 0 ? 0.0 : t->below[i - 1] * t->below[i - 1] / pivot;
        pivot = t->diagonal[i] - x - coupling;
        pivot = pivot == 0.0 ? 1e-300 : pivot;
        above += pivot > 0.0;
    }
    return above;
}

/* By bisection between the largest diagonal element and Gershgorin's bound. */
static double largest_eigenvalue(const tridiagonal *t)
{
    double low = 0.0, high = 0.0;
    for (int i = 0; i < t->count; i++) {
        double before = i == 0 ? 0.0 : t->below[i - 1];
        double after = i + 1 == t->count ? 0.0 : t->below[i];
        low = fmax(low, t->diagonal[i]);
        high = fmax(high, t->diagonal[i] + before + after);
    }
    for (int step = 0; step < 30; step++) {
        double middle = 0.5 * (low + high);
        if (eigenvalues_above(t, middle) > 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

/* |A y - value y| for the Ritz vector y of norm 1: the last coupling times its last element. */
static double residual(const tridiagonal *t, double value)
{
    double before = 0.0, element = 1.0, squares = 1.0;
    for (int i = 0; i + 1 < t->count; i++) {
        double coupling = i == 0 ? 0.0 : t->below[i - 1];
        double next = ((value - t->diagonal[i]) * element - coupling * before) / t->below[i];
        before = element;
        element = next;
        squares += element * element;
    }
    return t->below[t->count - 1] * fabs(element) / sqrt(squares);
}

/* current, previous and next: vectors of `side`; the matrix has both triangles. */
static void lanczos(int side, const float *matrix, float *current, float *previous, float *next,
                    tridiagonal *t)
{
    fill_start(side, current);
    float norm = (float)sqrt(vector_sum_squares(side, current));
    vector_divide(side, norm, current, current);
    for (t->count = 0; t->count < LANCZOS_STEPS;) {
        cblas_sgemv(CblasRowMajor, CblasNoTrans, side, side, 1.0f, matrix, side, current, 1, 0.0f,
                    next, 1);
        float along = cblas_sdot(side, next, 1, current, 1);
        cblas_saxpy(side, -along, current, 1, next, 1);
        if (t->count > 0) {
            cblas_saxpy(side, -norm, previous, 1, next, 1);
        }
        norm = (float)sqrt(vector_sum_squares(side, next));
        t->diagonal[t->count] = (double)along;
        t->below[t->count++] = (double)norm;
        /* An invariant subspace: what follows would be rounding. */
        if (!(norm > fmaxf(1e-5f * along, 0.0f))) {
            return;
        }
        float *free_vector = previous;
        previous = current;
        current = next;
        next = free_vector;
        vector_divide(side, norm, current, current);
    }
}

int64_t polar_fast_scale_scratch(int side)
{
    return 3 * (int64_t)side;
}

float polar_fast_scale_in(int side, const float *gram, float *scratch)
{
    tridiagonal t;
    lanczos(side, gram, scratch, scratch + side, scratch + 2 * (int64_t)side, &t);
    double value = largest_eigenvalue(&t);
    return (float)(value + SHARE_OF_RESIDUAL * residual(&t, value));
}
