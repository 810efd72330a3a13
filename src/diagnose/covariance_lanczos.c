/*
 * The covariance of many gradients that are spread over ranks, by Lanczos iteration. A product
 * with sum_k b_k (g_k - mean) (g_k - mean)' / (K-1) has two halves that need no sum over ranks: the
 * inner products of x with whole gradients are formed where they are; the elements of the result,
 * sums over all gradients in their order, where a slice of all of them is. So every rank keeps its
 * own gradients and a slice of the others', and both halves are gathered: no bit depends on the
 * number of ranks. All of it is in double.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "diagnose/gram.h"
#include "diagnose/lanczos.h"
#include "exchange/agreement.h"
#include "exchange/share.h"
#include "exchange/transport.h"

/* Stretches of 0 .. length - 1, one a rank, as agreement_gather takes them. */
typedef struct stretches {
    int *counts, *firsts;
} stretches;

typedef struct covariance {
    MPI_Comm communicator;
    share_order order;
    int64_t total, length, first, count;
    const float *vectors;  /* count x length */
    const double *samples; /* count, or NULL */
    int64_t slice_first, slice_count;
    stretches vectors_of, elements_of; /* ranks' gradients, and elements of a product */
    float *slices;                     /* total x slice_count */
    float *passing;                    /* length: a gradient on its way */
    double *mean;                      /* length */
    double *slice;                     /* slice_count */
    double *own;                       /* count: inner products, or numbers of samples */
    double *products;                  /* total */
    double *weights;                   /* total: b_k */
    lanczos lanczos;
} covariance;

enum { LANES = 8 };

/* <vector - mean, x>. */
VECTOR_CLONES
static double dot(int64_t length, const float *vector, const double *mean, const double *x)
{
    double sums[LANES] = {0};
    double rest = 0.0;
    int64_t i = 0;
    for (; i + LANES <= length; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += ((double)vector[i + lane] - mean[i + lane]) * x[i + lane];
        }
    }
    for (; i < length; i++) {
        rest += ((double)vector[i] - mean[i]) * x[i];
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7])) + rest;
}

/* sum += scale (vector - mean); mean NULL: zero. */
VECTOR_CLONES
static void add(int64_t length, double scale, const float *vector, const double *mean, double *sum)
{
    for (int64_t i = 0; mean == NULL && i < length; i++) {
        sum[i] += scale * (double)vector[i];
    }
    for (int64_t i = 0; mean != NULL && i < length; i++) {
        sum[i] += scale * ((double)vector[i] - mean[i]);
    }
}

/* slice = sum_k scales[k] (vector k - mean) over this rank's elements, in the order of vectors. */
static void add_all(covariance *c, const double *scales, const double *mean)
{
    for (int64_t i = 0; i < c->slice_count; i++) {
        c->slice[i] = 0.0;
    }
    for (int64_t k = 0; k < c->total; k++) {
        add(c->slice_count, scales[k], c->slices + k * c->slice_count, mean, c->slice);
    }
}

static plumb_status gather(const covariance *c, const double *mine, stretches of, double *all)
{
    return agreement_gather(c->communicator, mine, of.counts, of.firsts, all);
}

static plumb_status multiply(void *context, int64_t length, const double *x, double *y)
{
    covariance *c = context;
    for (int64_t i = 0; i < c->count; i++) {
        c->own[i] = dot(length, c->vectors + i * length, c->mean, x);
    }
    PROPAGATE(gather(c, c->own, c->vectors_of, c->products));
    for (int64_t k = 0; k < c->total; k++) {
        c->products[k] *= c->weights[k] / (double)(c->total - 1);
    }
    add_all(c, c->products, c->mean + c->slice_first);
    return gather(c, c->slice, c->elements_of, y);
}

/* The coordinator's verdict, unless a rank has failed. */
static plumb_status agree_on_end(void *context, plumb_status mine, bool *done)
{
    const covariance *c = context;
    PROPAGATE(agreement_verdict(c->communicator, mine));
    return transport_broadcast(c->communicator, 0, sizeof *done, done);
}

static plumb_status check(const covariance *c, int64_t most, double tolerance)
{
    REQUIRE(c->length >= 1 && c->length <= INT32_MAX, PLUMB_ERROR_ARGUMENT,
            "gradients of %lld elements", (long long)c->length);
    REQUIRE(most >= 1 && most <= c->length, PLUMB_ERROR_ARGUMENT,
            "%lld eigenvalues of a covariance of %lld", (long long)most, (long long)c->length);
    /* Here, not where it is used: no NaN may go into the comparison of ranks. */
    REQUIRE(tolerance > 0.0 && isfinite(tolerance), PLUMB_ERROR_ARGUMENT,
            "the tolerance is %g: it must be positive", tolerance);
    REQUIRE(c->vectors != NULL, PLUMB_ERROR_ARGUMENT, "vectors is NULL");
    PROPAGATE(gram_check_samples(c->count, c->samples));
    REQUIRE(vector_all_finite(c->count * c->length, c->vectors), PLUMB_ERROR_NONFINITE,
            "a gradient of rank %d is not finite", c->order.rank);
    return PLUMB_OK;
}

static plumb_status stretches_allocate(int ranks, stretches *s)
{
    PROPAGATE(memory_allocate(ranks, sizeof(int), &s->counts));
    return memory_allocate(ranks, sizeof(int), &s->firsts);
}

static plumb_status make_stretches(covariance *c)
{
    int ranks = c->order.size;
    int64_t width = (c->length + ranks - 1) / ranks;
    PROPAGATE(stretches_allocate(ranks, &c->vectors_of));
    PROPAGATE(stretches_allocate(ranks, &c->elements_of));
    for (int rank = 0; rank < ranks; rank++) {
        int64_t first, count;
        share_range(c->total, ranks, c->order.position_of[rank], &first, &count);
        c->vectors_of.firsts[rank] = (int)first;
        c->vectors_of.counts[rank] = (int)count;
        first = rank * width < c->length ? rank * width : c->length;
        count = c->length - first < width ? c->length - first : width;
        c->elements_of.firsts[rank] = (int)first;
        c->elements_of.counts[rank] = (int)count;
    }
    c->slice_first = c->elements_of.firsts[c->order.rank];
    c->slice_count = c->elements_of.counts[c->order.rank];
    return PLUMB_OK;
}

static plumb_status allocate(covariance *c, int64_t most, double tolerance)
{
    PROPAGATE(make_stretches(c));
    PROPAGATE(memory_allocate(c->total * c->slice_count, sizeof(float), &c->slices));
    PROPAGATE(memory_allocate(c->length, sizeof(float), &c->passing));
    PROPAGATE(memory_allocate(c->length, sizeof(double), &c->mean));
    PROPAGATE(memory_allocate(c->slice_count, sizeof(double), &c->slice));
    PROPAGATE(memory_allocate(c->count, sizeof(double), &c->own));
    PROPAGATE(memory_allocate(c->total, sizeof(double), &c->products));
    PROPAGATE(memory_allocate(c->total, sizeof(double), &c->weights));
    /* The rank is at most K - 1; rounding needs some steps more to find a space exhausted. */
    int64_t steps = 10 * most + 100;
    int64_t enough = c->total + most + 20;
    steps = steps > enough ? enough : steps;
    PROPAGATE(lanczos_create(c->length, multiply, c, most, 0, steps, tolerance, &c->lanczos));
    c->lanczos.agree = agree_on_end;
    return PLUMB_OK;
}

/* Every gradient passes all ranks once; each keeps its slice. */
static plumb_status pass_vectors(covariance *c)
{
    for (int64_t k = 0; k < c->total; k++) {
        int root = c->order.rank_at[share_position(c->total, c->order.size, k)];
        if (root == c->order.rank) {
            memcpy(c->passing, c->vectors + (k - c->first) * c->length,
                   (size_t)c->length * sizeof *c->passing);
        }
        PROPAGATE(transport_broadcast(c->communicator, root, c->length * (int64_t)sizeof(float),
                                      c->passing));
        memcpy(c->slices + k * c->slice_count, c->passing + c->slice_first,
               (size_t)c->slice_count * sizeof *c->slices);
    }
    return PLUMB_OK;
}

static plumb_status form_mean(covariance *c)
{
    double weight = 0.0;
    for (int64_t i = 0; i < c->count; i++) {
        c->own[i] = gram_samples(c->samples, i);
    }
    PROPAGATE(gather(c, c->own, c->vectors_of, c->weights));
    for (int64_t k = 0; k < c->total; k++) {
        weight += c->weights[k];
    }
    add_all(c, c->weights, NULL);
    for (int64_t i = 0; i < c->slice_count; i++) {
        c->slice[i] /= weight;
    }
    return gather(c, c->slice, c->elements_of, c->mean);
}

/* Residuals cost products, which all ranks must take part in. */
static plumb_status agree(covariance *c, int64_t most, double tolerance, bool residuals)
{
    plumb_status mine = PLUMB_OK;
    if (c->total < c->order.size || c->total > INT32_MAX) {
        mine = error_raise(PLUMB_ERROR_ARGUMENT, "%lld gradients for %d ranks", (long long)c->total,
                           c->order.size);
    } else {
        share_range(c->total, c->order.size, c->order.position_of[c->order.rank], &c->first,
                    &c->count);
        mine = check(c, most, tolerance);
    }
    PROPAGATE(agreement_equal(c->communicator, mine, "the number of gradients", (double)c->total));
    PROPAGATE(
        agreement_equal(c->communicator, mine, "the length of a gradient", (double)c->length));
    PROPAGATE(agreement_equal(c->communicator, mine, "the number of eigenvalues", (double)most));
    PROPAGATE(agreement_equal(c->communicator, mine, "the tolerance", tolerance));
    PROPAGATE(agreement_equal(c->communicator, mine, "the wish for residuals", residuals));
    return agreement_verdict(c->communicator, allocate(c, most, tolerance));
}

static void fill_unknown(int64_t most, int64_t length, double *eigenvalues, double *residuals,
                         double *eigenvectors)
{
    for (int64_t j = 0; j < most; j++) {
        if (eigenvalues != NULL) {
            eigenvalues[j] = NAN;
        }
        if (residuals != NULL) {
            residuals[j] = NAN;
        }
        for (int64_t i = 0; eigenvectors != NULL && i < length; i++) {
            eigenvectors[j * length + i] = 0.0;
        }
    }
}

static plumb_status run(covariance *c, int64_t most, double tolerance, double *eigenvalues,
                        double *residuals, double *eigenvectors)
{
    PROPAGATE(share_order_find(c->communicator, &c->order));
    PROPAGATE(agree(c, most, tolerance, residuals != NULL));
    if (c->total == 1) {
        fill_unknown(most, c->length, eigenvalues, residuals, eigenvectors);
        return PLUMB_OK;
    }
    PROPAGATE(pass_vectors(c));
    PROPAGATE(form_mean(c));
    return lanczos_run(&c->lanczos, eigenvalues, residuals, eigenvectors);
}

static void release(covariance *c)
{
    memory_free(&c->vectors_of.counts);
    memory_free(&c->vectors_of.firsts);
    memory_free(&c->elements_of.counts);
    memory_free(&c->elements_of.firsts);
    memory_free(&c->slices);
    memory_free(&c->passing);
    memory_free(&c->mean);
    memory_free(&c->slice);
    memory_free(&c->own);
    memory_free(&c->products);
    memory_free(&c->weights);
    lanczos_free(&c->lanczos);
    share_order_free(&c->order);
}

plumb_status plumb_covariance_lanczos(MPI_Comm communicator, int64_t total, int64_t length,
                                      const float *vectors, const double *samples, int64_t most,
                                      double tolerance, double *eigenvalues, double *residuals,
                                      double *eigenvectors)
{
    covariance c = {.total = total, .length = length, .vectors = vectors, .samples = samples};
    PROPAGATE(transport_duplicate(communicator, &c.communicator));
    plumb_status status = run(&c, most, tolerance, eigenvalues, residuals, eigenvectors);
    release(&c);
    transport_release(&c.communicator);
    return status;
}
