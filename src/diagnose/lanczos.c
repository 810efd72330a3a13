/*
 * plumb_lanczos (see lanczos.h): Golub and Van Loan, Matrix Computations, chapter 10, with every
 * new vector orthogonalised twice against all others.
 */
#include "diagnose/lanczos.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/spectrum.h"

/* A remainder of this share of T's largest element is rounding: the subspace is invariant. */
static const double INVARIANT = 1e-13;

enum { LANES = 8, CHECK_EVERY = 5 };

VECTOR_CLONES
static double dot(int64_t length, const double *left, const double *right)
{
    double sums[LANES] = {0};
    double rest = 0.0;
    int64_t i = 0;
    for (; i + LANES <= length; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += left[i + lane] * right[i + lane];
        }
    }
    for (; i < length; i++) {
        rest += left[i] * right[i];
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7])) + rest;
}

VECTOR_CLONES
static void add(int64_t length, double scale, const double *from, double *to)
{
    for (int64_t i = 0; i < length; i++) {
        to[i] += scale * from[i];
    }
}

static void divide(int64_t length, double divisor, double *values)
{
    for (int64_t i = 0; i < length; i++) {
        values[i] /= divisor;
    }
}

static double *row(const lanczos *l, int64_t j)
{
    return l->basis + j * l->length;
}

static void orthogonalise(const lanczos *l, int64_t count, double *vector)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t j = 0; j < count; j++) {
            add(l->length, -dot(l->length, vector, row(l, j)), row(l, j), vector);
        }
    }
}

/* Weyl's sequence of the golden ratio, in [-1/2, 1/2): anything without structure will do. */
static double start_value(uint64_t i)
{
    uint64_t bits = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    bits ^= bits >> 31;
    bits *= UINT64_C(0xD6E8FEB86659FD93);
    return (double)(bits >> 11) * 0x1p-53 - 0.5;
}

/* Row `count` of the basis: a unit vector orthogonal to those before. */
static void start(lanczos *l)
{
    double *vector = row(l, l->count);
    for (int64_t i = 0; i < l->length; i++) {
        vector[i] = start_value((uint64_t)(l->count * l->length + i));
    }
    divide(l->length, sqrt(dot(l->length, vector, vector)), vector);
    orthogonalise(l, l->count, vector);
    divide(l->length, sqrt(dot(l->length, vector, vector)), vector);
    l->block = l->count;
}

static plumb_status multiply(lanczos *l, const double *x, double *y)
{
    PROPAGATE(l->apply(l->context, l->length, x, y));
    REQUIRE(vector_all_finite_doubles(l->length, y), PLUMB_ERROR_NONFINITE,
            "a Lanczos iteration's operator gave what is not finite");
    return PLUMB_OK;
}

/*
 * Row `count` of the basis becomes A times the last vector without its part in the basis, and T
 * grows by one. True: that is nothing, the subspace is invariant.
 */
static plumb_status extend(lanczos *l, bool *invariant)
{
    int64_t last = l->count - 1;
    double *next = row(l, l->count);
    PROPAGATE(multiply(l, row(l, last), next));
    l->diagonal[last] = dot(l->length, next, row(l, last));
    orthogonalise(l, l->count, next);
    double norm = sqrt(dot(l->length, next, next));
    l->scale = fmax(l->scale, fabs(l->diagonal[last]) + norm);
    *invariant = norm <= INVARIANT * l->scale;
    l->beside[last] = *invariant ? 0.0 : norm;
    if (!*invariant) {
        divide(l->length, norm, next);
    }
    return PLUMB_OK;
}

/* Ritz values and vectors of T's rows first .. count - 1. */
static plumb_status decompose(lanczos *l, int64_t first)
{
    int64_t n = l->count - first;
    for (int64_t e = 0; e < n * n; e++) {
        l->dense[e] = 0.0;
    }
    for (int64_t j = 0; j < n; j++) {
        l->dense[j * n + j] = l->diagonal[first + j];
        if (j > 0) {
            l->dense[j * n + j - 1] = l->beside[first + j - 1];
        }
    }
    return spectrum_compute_in(n, l->dense, l->values, l->vectors, l->doubles, l->integers);
}

static double size(const lanczos *l, double value)
{
    return l->magnitude ? fabs(value) : value;
}

/* The place of the j-th wanted of n ascending Ritz values. */
static int64_t place(const lanczos *l, int64_t n, int64_t j)
{
    int64_t low = 0;
    int64_t high = n - 1;
    for (int64_t i = 0; i < j; i++) {
        if (size(l, l->values[low]) > size(l, l->values[high])) {
            low++;
        } else {
            high--;
        }
    }
    return size(l, l->values[low]) > size(l, l->values[high]) ? low : high;
}

/* |A v - lambda v| of Ritz vector j of n, from the last row of its coefficients. */
static double remainder_of(const lanczos *l, int64_t n, int64_t j)
{
    return fabs(l->beside[l->count - 1] * l->vectors[(n - 1) * n + j]);
}

/*
 * True if what is wanted is there. Since the last start vector stands for all that is left, its
 * own block's largest value has to be found, and if its space has ended, not to be wanted.
 * Afterwards the Ritz values are those of the whole T.
 */
static plumb_status judge(lanczos *l, bool invariant, bool *done)
{
    double block_largest = 0.0;
    double block_remainder = 0.0;
    if (l->block > 0) {
        int64_t n = l->count - l->block;
        PROPAGATE(decompose(l, l->block));
        block_largest = size(l, l->values[place(l, n, 0)]);
        block_remainder = remainder_of(l, n, place(l, n, 0));
    }
    PROPAGATE(decompose(l, 0));
    double limit = l->tolerance * fmax(fabs(l->values[0]), fabs(l->values[l->count - 1]));
    *done = block_remainder <= limit;
    for (int64_t j = 0; j < l->most && *done; j++) {
        *done = remainder_of(l, l->count, place(l, l->count, j)) <= limit;
    }
    double least = size(l, l->values[place(l, l->count, l->most - 1)]);
    if (l->block == 0) {
        block_largest = size(l, l->values[place(l, l->count, 0)]);
    }
    if (invariant && block_largest > least) {
        *done = false;
    }
    *done = *done || l->count == l->length;
    return PLUMB_OK;
}

static plumb_status iterate(lanczos *l, bool *done)
{
    *done = false;
    l->count = 0;
    l->scale = 0.0;
    start(l);
    while (!*done) {
        bool invariant;
        l->count++;
        PROPAGATE(extend(l, &invariant));
        bool full = l->count == l->capacity;
        bool look = invariant || full || (l->count - l->most) % CHECK_EVERY == 0;
        if (l->count >= l->most && look) {
            plumb_status status = judge(l, invariant, done);
            PROPAGATE(l->agree == NULL ? status : l->agree(l->context, status, done));
        }
        if (full) {
            return PLUMB_OK;
        }
        if (invariant && !*done) {
            start(l);
        }
    }
    return PLUMB_OK;
}

/* Ritz vector `from` in vector[length], of norm 1, its largest element positive. */
static void form_vector(const lanczos *l, int64_t from, double *vector)
{
    double largest = 0.0;
    for (int64_t i = 0; i < l->length; i++) {
        vector[i] = 0.0;
    }
    for (int64_t j = 0; j < l->count; j++) {
        add(l->length, l->vectors[j * l->count + from], row(l, j), vector);
    }
    for (int64_t i = 0; i < l->length; i++) {
        largest = fabs(vector[i]) > fabs(largest) ? vector[i] : largest;
    }
    double norm = sqrt(dot(l->length, vector, vector));
    divide(l->length, largest < 0.0 ? -norm : norm, vector);
}

/*
 * The caller's results. The basis is needed for every vector, so that vector and product share two
 * spare rows.
 */
static plumb_status deliver(lanczos *l, double *eigenvalues, double *residuals, double *vectors)
{
    double *vector = row(l, l->capacity + 1);
    double *product = row(l, l->capacity);
    for (int64_t j = 0; j < l->most; j++) {
        int64_t from = place(l, l->count, j);
        if (eigenvalues != NULL) {
            eigenvalues[j] = l->values[from];
        }
        form_vector(l, from, vector);
        if (residuals != NULL) {
            PROPAGATE(multiply(l, vector, product));
            add(l->length, -l->values[from], vector, product);
            residuals[j] = sqrt(dot(l->length, product, product));
        }
        for (int64_t i = 0; vectors != NULL && i < l->length; i++) {
            vectors[j * l->length + i] = vector[i];
        }
    }
    return PLUMB_OK;
}

plumb_status lanczos_run(lanczos *l, double *eigenvalues, double *residuals, double *vectors)
{
    bool done;
    PROPAGATE(iterate(l, &done));
    PROPAGATE(deliver(l, eigenvalues, residuals, vectors));
    REQUIRE(done, PLUMB_ERROR_NUMERICAL,
            "%lld eigenvalues are not within %g of the largest after %lld Lanczos steps",
            (long long)l->most, l->tolerance, (long long)l->count);
    return PLUMB_OK;
}

static plumb_status check(int64_t length, plumb_symmetric_operator apply, int64_t most,
                          int64_t steps, double tolerance)
{
    REQUIRE(apply != NULL, PLUMB_ERROR_ARGUMENT, "the operator is NULL");
    REQUIRE(most >= 1 && most <= length, PLUMB_ERROR_ARGUMENT,
            "%lld eigenvalues of an operator of %lld", (long long)most, (long long)length);
    REQUIRE(steps == 0 || steps >= most, PLUMB_ERROR_ARGUMENT,
            "%lld Lanczos steps for %lld eigenvalues", (long long)steps, (long long)most);
    REQUIRE(tolerance > 0.0 && isfinite(tolerance), PLUMB_ERROR_ARGUMENT,
            "the tolerance is %g: it must be positive", tolerance);
    return PLUMB_OK;
}

static plumb_status allocate(lanczos *l)
{
    int64_t n = l->capacity;
    REQUIRE(n <= SPECTRUM_MAX_SIDE, PLUMB_ERROR_ARGUMENT, "%lld Lanczos steps are too many",
            (long long)n);
    PROPAGATE(memory_allocate(n + 2, (size_t)l->length * sizeof(double), &l->basis));
    PROPAGATE(memory_allocate(n, sizeof(double), &l->diagonal));
    PROPAGATE(memory_allocate(n, sizeof(double), &l->beside));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &l->dense));
    PROPAGATE(memory_allocate(n, sizeof(double), &l->values));
    PROPAGATE(memory_allocate(n * n, sizeof(double), &l->vectors));
    PROPAGATE(memory_allocate(spectrum_doubles(n), sizeof(double), &l->doubles));
    return memory_allocate(spectrum_integers(n), sizeof(int), &l->integers);
}

plumb_status lanczos_create(int64_t length, plumb_symmetric_operator apply, void *context,
                            int64_t most, int magnitude, int64_t steps, double tolerance,
                            lanczos *l)
{
    *l = (lanczos){.length = length,
                   .most = most,
                   .apply = apply,
                   .context = context,
                   .magnitude = magnitude != 0,
                   .tolerance = tolerance};
    PROPAGATE(check(length, apply, most, steps, tolerance));
    int64_t wanted = steps > 0 ? steps : 10 * most + 100;
    l->capacity = wanted < length ? wanted : length;
    plumb_status status = allocate(l);
    if (status != PLUMB_OK) {
        lanczos_free(l);
    }
    return status;
}

void lanczos_free(lanczos *l)
{
    memory_free(&l->basis);
    memory_free(&l->diagonal);
    memory_free(&l->beside);
    memory_free(&l->dense);
    memory_free(&l->values);
    memory_free(&l->vectors);
    memory_free(&l->doubles);
    memory_free(&l->integers);
}

plumb_status plumb_lanczos(int64_t length, plumb_symmetric_operator apply, void *context,
                           int64_t most, int magnitude, int64_t steps, double tolerance,
                           double *eigenvalues, double *residuals, double *vectors)
{
    lanczos l;
    PROPAGATE(lanczos_create(length, apply, context, most, magnitude, steps, tolerance, &l));
    plumb_status status = lanczos_run(&l, eigenvalues, residuals, vectors);
    lanczos_free(&l);
    return status;
}
