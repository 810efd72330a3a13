/*
 * The calls of plumb.h that take a communicator instead of a handle: one average, and the
 * comparison of set-ups.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/vector.h"
#include "exchange/agreement.h"
#include "exchange/transport.h"
#include "step/handle.h"

/* One parameter of `length` elements, a stretch of whole blocks for every rank. */
static plumb_status even_layout(int64_t length, int ranks, layout *l)
{
    int64_t blocks = (length + VECTOR_BLOCK - 1) / VECTOR_BLOCK;
    int64_t size = (blocks + ranks - 1) / ranks * VECTOR_BLOCK;
    *l = (layout){.length = length, .parameter_count = 1};
    PROPAGATE(memory_zeroed(1, sizeof *l->parameters, &l->parameters));
    PROPAGATE(memory_zeroed(ranks, sizeof *l->buckets, &l->buckets));
    for (int64_t first = 0; first < length; first += size) {
        int64_t count = length - first < size ? length - first : size;
        l->buckets[l->bucket_count] = (layout_bucket){
            .first = first, .count = count, .owner = l->bucket_count, .in_place = 1};
        l->bucket_count++;
    }
    l->parameters[0] = (layout_parameter){0, length, 0, l->bucket_count - 1};
    return PLUMB_OK;
}

typedef struct average {
    exchange *exchange;
    int64_t total, length, first, count;
    const float *vectors;
    const double *samples;
    float *mean;
    double weights; /* sum over all ranks */
} average;

static plumb_status check_average(const average *a)
{
    REQUIRE(a->length >= 1, PLUMB_ERROR_ARGUMENT, "plumb_average: length is %lld",
            (long long)a->length);
    REQUIRE(a->vectors != NULL && a->mean != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_average: vectors or mean is NULL");
    for (int64_t i = 0; a->samples != NULL && i < a->count; i++) {
        REQUIRE(a->samples[i] >= 1.0 && a->samples[i] <= 1073741824.0 &&
                    a->samples[i] == floor(a->samples[i]),
                PLUMB_ERROR_ARGUMENT,
                "plumb_average: samples[%lld] is %g; must be a whole number to 2^30", (long long)i,
                a->samples[i]);
    }
    return PLUMB_OK;
}

/* Every rank's weights in the order of vectors, added by everyone in that order. */
static plumb_status sum_weights(average *a)
{
    const share_order *order = exchange_order(a->exchange);
    int *counts = NULL;
    int *places = NULL;
    double *all = NULL;
    plumb_status status = memory_zeroed(order->size, sizeof *counts, &counts);
    if (status == PLUMB_OK) {
        status = memory_zeroed(order->size, sizeof *places, &places);
    }
    if (status == PLUMB_OK) {
        status = memory_zeroed(2 * a->total, sizeof *all, &all);
    }
    status = agreement_verdict(exchange_communicator(a->exchange), status);
    if (status == PLUMB_OK) {
        for (int rank = 0; rank < order->size; rank++) {
            int64_t first;
            int64_t count;
            share_range(a->total, order->size, order->position_of[rank], &first, &count);
            counts[rank] = (int)count;
            places[rank] = (int)first;
        }
        double *mine = all + a->total;
        for (int64_t i = 0; i < a->count; i++) {
            mine[i] = a->samples == NULL ? 1.0 : (double)(float)a->samples[i];
        }
        status = agreement_gather(exchange_communicator(a->exchange), mine, counts, places, all);
    }
    a->weights = 0.0;
    for (int64_t k = 0; status == PLUMB_OK && k < a->total; k++) {
        a->weights += all[k];
    }
    memory_free(&counts);
    memory_free(&places);
    memory_free(&all);
    return status;
}

static plumb_status add_vectors(average *a)
{
    bool all_finite = true;
    for (int64_t i = 0; i < a->count; i++) {
        bool finite = true;
        if (a->samples != NULL) {
            exchange_weigh(a->exchange, a->first + i, a->samples[i]);
        }
        PROPAGATE(
            exchange_accumulate(a->exchange, 0, a->first + i, a->vectors + i * a->length, &finite));
        all_finite = all_finite && finite;
    }
    PROPAGATE(exchange_deliver(a->exchange));
    plumb_status mine = exchange_failure(a->exchange);
    if (!all_finite) {
        mine =
            error_raise(PLUMB_ERROR_NONFINITE, "plumb_average: a vector of rank %d is not finite",
                        exchange_order(a->exchange)->rank);
    }
    return agreement_verdict(exchange_communicator(a->exchange), mine);
}

/* The owned stretches of the mean; a sum may overflow where the vectors did not. */
static plumb_status divide_sums(average *a)
{
    const layout *l = exchange_layout(a->exchange);
    for (int64_t b = 0; b < l->bucket_count; b++) {
        float *sum = exchange_sum(a->exchange, b);
        if (sum == NULL) {
            continue;
        }
        float *mean = exchange_values(a->exchange, b);
        vector_divide(l->buckets[b].count, (float)a->weights, sum, mean);
        REQUIRE(vector_all_finite(l->buckets[b].count, mean), PLUMB_ERROR_NONFINITE,
                "plumb_average: the sum of the vectors is not finite, though each of them is");
    }
    return PLUMB_OK;
}

static plumb_status publish_mean(average *a)
{
    PROPAGATE(agreement_verdict(exchange_communicator(a->exchange), divide_sums(a)));
    PROPAGATE(exchange_publish(a->exchange, NULL));
    PROPAGATE(exchange_await_values(a->exchange));
    const layout *l = exchange_layout(a->exchange);
    for (int64_t b = 0; b < l->bucket_count; b++) {
        memcpy(a->mean + l->buckets[b].first, exchange_values(a->exchange, b),
               (size_t)l->buckets[b].count * sizeof *a->mean);
    }
    return PLUMB_OK;
}

static plumb_status check_totals(average *a)
{
    MPI_Comm communicator = exchange_communicator(a->exchange);
    const share_order *order = exchange_order(a->exchange);
    plumb_status mine = PLUMB_OK;
    if (a->total < order->size || a->total > TREE_LARGEST) {
        mine = error_raise(PLUMB_ERROR_ARGUMENT, "plumb_average: %lld vectors for %d ranks",
                           (long long)a->total, order->size);
    } else {
        share_range(a->total, order->size, order->position_of[order->rank], &a->first, &a->count);
        mine = check_average(a);
    }
    PROPAGATE(agreement_equal(communicator, mine, "the number of vectors", (double)a->total));
    return agreement_equal(communicator, PLUMB_OK, "the length of a vector", (double)a->length);
}

static plumb_status average_run(average *a)
{
    PROPAGATE(check_totals(a));
    layout l = {0};
    plumb_status mine = PLUMB_OK;
    if (exchange_order(a->exchange)->rank == 0) {
        mine = even_layout(a->length, exchange_order(a->exchange)->size, &l);
    }
    mine = agreement_verdict(exchange_communicator(a->exchange), mine);
    if (mine != PLUMB_OK) {
        layout_free(&l);
        return mine;
    }
    MPI_Comm communicator = exchange_communicator(a->exchange);
    PROPAGATE(agreement_verdict(communicator, exchange_adopt(a->exchange, &l)));
    PROPAGATE(agreement_verdict(communicator, exchange_prepare(a->exchange, a->total, 1)));
    PROPAGATE(exchange_open(a->exchange));
    PROPAGATE(sum_weights(a));
    PROPAGATE(add_vectors(a));
    return publish_mean(a);
}

plumb_status plumb_average(MPI_Comm communicator, int64_t total, int64_t length,
                           const float *vectors, const double *samples, float *mean)
{
    average a = {
        .total = total, .length = length, .vectors = vectors, .samples = samples, .mean = mean};
    exchange_settings settings = {.nominal_samples = 1.0};
    PROPAGATE(exchange_create(communicator, PLUMB_OK, &settings, &a.exchange));
    plumb_status status = average_run(&a);
    exchange_destroy(&a.exchange);
    return status;
}

/* plumb_average_share on a communicator of our own. */
static plumb_status find_share(MPI_Comm communicator, int64_t total, int64_t *first, int64_t *count)
{
    share_order order;
    PROPAGATE(share_order_find(communicator, &order));
    plumb_status mine = PLUMB_OK;
    if (first == NULL || count == NULL) {
        mine = error_raise(PLUMB_ERROR_ARGUMENT, "plumb_average_share: first or count is NULL");
    } else if (total < order.size || total > TREE_LARGEST) {
        mine = error_raise(PLUMB_ERROR_ARGUMENT, "plumb_average_share: %lld vectors for %d ranks",
                           (long long)total, order.size);
    }
    plumb_status status =
        agreement_equal(communicator, mine, "the number of vectors", (double)total);
    if (status == PLUMB_OK) {
        share_range(total, order.size, order.position_of[order.rank], first, count);
    }
    share_order_free(&order);
    return status;
}

plumb_status plumb_average_share(MPI_Comm communicator, int64_t total, int64_t *first,
                                 int64_t *count)
{
    MPI_Comm duplicate;
    PROPAGATE(transport_duplicate(communicator, &duplicate));
    plumb_status status = find_share(duplicate, total, first, count);
    transport_release(&duplicate);
    return status;
}

plumb_status plumb_compare_setup(MPI_Comm communicator, const char *text)
{
    MPI_Comm duplicate;
    PROPAGATE(transport_duplicate(communicator, &duplicate));
    plumb_status mine =
        text != NULL ? PLUMB_OK
                     : error_raise(PLUMB_ERROR_ARGUMENT, "plumb_compare_setup: text is NULL");
    plumb_status status = agreement_verdict(duplicate, mine);
    if (status == PLUMB_OK) {
        status = agreement_text(duplicate, text);
    }
    transport_release(&duplicate);
    return status;
}
