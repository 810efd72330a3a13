/*
 * The rounds of `plumb bench exchange`; see bench_exchange.h. In every round each way brings the
 * same gradients from all ranks to all ranks once; which way goes first changes from round to
 * round, their order around does not. Writing the gradients is nobody's time, and after it all ranks meet before the clock
 * starts. A way's time of a round is the slowest rank's.
 *
 * The library's time is plumb_begin_step (with asking for the memory of gradients) plus everything
 * from the first plumb_accumulate to the end of plumb_end_step: to the mean with
 * PLUMB_OPTIMIZER_NONE, EXCHANGE_STEP with an update by plain SGD.
 *
 * EXCHANGE_COLLECTIVE is what a step of sharded data parallelism costs with MPI's own collectives
 * (Rajbhandari et al. 2020, ZeRO, arXiv 1910.02054, section 5): the sums of this rank's share, its
 * update by the same SGD, and everybody's values.
 */
#include "app/bench_exchange.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 5000, WARM_UP = 3 };

const char *const bench_exchange_way_names[EXCHANGE_WAYS] = {"MPI_Allreduce", "gradient buffers",
                                                             "accumulate",    "exchange allreduce",
                                                             "step",          "reduce-scatter"};

/* One handle with its parameters; EXCHANGE_COLLECTIVE has values alone, EXCHANGE_MPI nothing. */
typedef struct exchange_side {
    plumb *plumb;
    float *values;   /* [elements]; NULL: the means stay with the library */
    bool own_values; /* they are this side's memory, not the payload */
    int *ids;        /* [parameters] */
    float **buffers; /* [parameters]: where this step's gradients lie */
    bool own_memory;
    double sent;
    double update_seconds; /* of all steps so far */
    int64_t steps;
} exchange_side;

typedef struct exchange_bench {
    const ranks *ranks;
    const bench_exchange_options *options;
    int64_t elements;
    float *source;  /* [elements]: this rank's gradient */
    float *payload; /* [elements]: the caller's memory that it is in when the clock starts */
    float *sums;    /* [counts[rank]]: EXCHANGE_COLLECTIVE's */
    int *counts;    /* [ranks]: elements of a rank's share there */
    int *starts;    /* [ranks] */
    exchange_side sides[EXCHANGE_WAYS];
    double *times[EXCHANGE_WAYS]; /* [MOST_ROUNDS] */
} exchange_bench;

/* Parameter `i` has the elements from first_of(i) to first_of(i + 1). */
static int64_t first_of(const exchange_bench *b, int64_t i)
{
    return i * (b->elements / b->options->parameters) +
           (i == b->options->parameters ? b->elements % b->options->parameters : 0);
}

static int64_t length_of(const exchange_bench *b, int64_t i)
{
    return first_of(b, i + 1) - first_of(b, i);
}

/* Small whole numbers: every sum is exact. */
static float gradient_value(int64_t element, int rank)
{
    return (float)((element + 7 * (int64_t)rank) % 13 - 6);
}

static int add_parameters(exchange_bench *b, exchange_side *s, bool step, failure *f)
{
    plumb_parameter_options options;
    plumb_parameter_options_init(&options, sizeof options,
                                 step ? PLUMB_OPTIMIZER_SGD : PLUMB_OPTIMIZER_NONE);
    options.beta1 = 0.0;
    options.weight_decay = 0.0;
    for (int64_t i = 0; i < b->options->parameters && f->code == EXIT_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "parameter %lld", (long long)i);
        float *values = s->values == NULL ? NULL : s->values + first_of(b, i);
        plumb_status status =
            plumb_add_parameter(s->plumb, name, 1, length_of(b, i), values, &options, &s->ids[i]);
        failure_from_library(f, status, s->plumb);
    }
    return f->code;
}

static int create_side(exchange_bench *b, int way, failure *f)
{
    exchange_side *s = &b->sides[way];
    size_t parameters = (size_t)b->options->parameters;
    s->own_values = way == EXCHANGE_STEP;
    s->own_memory = way == EXCHANGE_ACCUMULATE;
    s->values = s->own_values ? calloc((size_t)b->elements, sizeof *s->values) : NULL;
    s->values = s->own_memory ? b->payload : s->values;
    s->ids = calloc(parameters, sizeof *s->ids);
    s->buffers = calloc(parameters, sizeof *s->buffers);
    if ((s->own_values && s->values == NULL) || s->ids == NULL || s->buffers == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.owners = (plumb_owners)b->options->owners;
    options.shared_memory = b->options->shared_memory == 0;
    options.exchange =
        way == EXCHANGE_ALLREDUCE ? PLUMB_EXCHANGE_ALLREDUCE : PLUMB_EXCHANGE_TRANSPOSED;
    options.replica_check = 0;
    if (ranks_agree(b->ranks, f) == EXIT_OK) {
        plumb_status status = plumb_create(b->ranks->communicator, &options, &s->plumb);
        if (failure_from_library(f, status, NULL) == EXIT_OK) {
            add_parameters(b, s, way == EXCHANGE_STEP, f);
        }
    }
    return ranks_agree(b->ranks, f);
}

/* This rank's gradient to where the clock finds it. */
static void write_gradient(const exchange_bench *b, exchange_side *s)
{
    for (int64_t i = 0; i < b->options->parameters && s->buffers[i] != NULL; i++) {
        memcpy(s->buffers[i], b->source + first_of(b, i), (size_t)length_of(b, i) * sizeof(float));
    }
}

static int begin(exchange_bench *b, exchange_side *s, failure *f)
{
    failure_from_library(f, plumb_begin_step(s->plumb, b->ranks->count), s->plumb);
    for (int64_t i = 0; i < b->options->parameters && f->code == EXIT_OK; i++) {
        s->buffers[i] = b->payload + first_of(b, i);
        if (!s->own_memory) {
            plumb_status status = plumb_gradient_buffer(s->plumb, s->ids[i], &s->buffers[i]);
            failure_from_library(f, status, s->plumb);
        }
    }
    return f->code;
}

static int finish(exchange_bench *b, exchange_side *s, int64_t micro_batch, failure *f)
{
    plumb_report report = {.size = sizeof report};
    for (int64_t i = 0; i < b->options->parameters && f->code == EXIT_OK; i++) {
        plumb_status status = plumb_accumulate(s->plumb, s->ids[i], micro_batch, s->buffers[i]);
        failure_from_library(f, status, s->plumb);
    }
    failure_from_library(f, plumb_end_step(s->plumb, 1.0, &report), s->plumb);
    s->sent = (double)report.exchange_bytes;
    s->update_seconds += report.update_seconds;
    s->steps++;
    return f->code;
}

/* One step; its seconds on this rank. */
static double run_library(exchange_bench *b, exchange_side *s, failure *f)
{
    int64_t micro_batch, count;
    failure_from_library(f, plumb_share(s->plumb, b->ranks->count, &micro_batch, &count), s->plumb);
    MPI_Barrier(b->ranks->communicator);
    double start = MPI_Wtime();
    begin(b, s, f);
    double seconds = MPI_Wtime() - start;
    /* All ranks must get through the step's collective calls, or none. */
    if (ranks_agree(b->ranks, f) != EXIT_OK) {
        return NAN;
    }
    write_gradient(b, s);
    MPI_Barrier(b->ranks->communicator);
    start = MPI_Wtime();
    finish(b, s, micro_batch, f);
    return seconds + MPI_Wtime() - start;
}

static int all_reduce(exchange_bench *b)
{
    return MPI_Allreduce(MPI_IN_PLACE, b->payload, (int)b->elements, MPI_FLOAT, MPI_SUM,
                         b->ranks->communicator);
}

/* The update at rate 1: less the mean of the gradients. */
static int collective_step(exchange_bench *b)
{
    int own = b->counts[b->ranks->rank];
    float divisor = (float)b->ranks->count;
    float *values = b->sides[EXCHANGE_COLLECTIVE].values + b->starts[b->ranks->rank];
    int result = MPI_Reduce_scatter(b->payload, b->sums, b->counts, MPI_FLOAT, MPI_SUM,
                                    b->ranks->communicator);
    for (int i = 0; i < own; i++) {
        values[i] -= b->sums[i] / divisor;
    }
    return result != MPI_SUCCESS ? result
                                 : MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL,
                                                  b->sides[EXCHANGE_COLLECTIVE].values, b->counts,
                                                  b->starts, MPI_FLOAT, b->ranks->communicator);
}

static double run_mpi(exchange_bench *b, int (*step)(exchange_bench *), failure *f)
{
    memcpy(b->payload, b->source, (size_t)b->elements * sizeof(float));
    MPI_Barrier(b->ranks->communicator);
    double start = MPI_Wtime();
    if (step(b) != MPI_SUCCESS) {
        failure_set(f, EXIT_LIBRARY, "a collective of MPI failed");
    }
    return MPI_Wtime() - start;
}

static double run_way(exchange_bench *b, int way, failure *f)
{
    return way == EXCHANGE_MPI          ? run_mpi(b, all_reduce, f)
           : way == EXCHANGE_COLLECTIVE ? run_mpi(b, collective_step, f)
                                        : run_library(b, &b->sides[way], f);
}

/* What a way has left on this rank of parameter i. */
static const float *result_of(const exchange_bench *b, int way, int64_t i, failure *f)
{
    const exchange_side *s = &b->sides[way];
    const float *result = way == EXCHANGE_MPI ? b->payload : s->values;
    if (result != NULL) {
        return result + first_of(b, i);
    }
    failure_from_library(f, plumb_mean_gradient(s->plumb, s->ids[i], &result), s->plumb);
    return result;
}

/* MPI_Allreduce leaves the sum, the library the mean, and a first step from zero with rate 1 minus
 * the mean. */
static double expected_value(const exchange_bench *b, int way, int64_t element)
{
    double sum = 0.0;
    for (int rank = 0; rank < b->ranks->count; rank++) {
        sum += (double)gradient_value(element, rank);
    }
    bool step = way == EXCHANGE_STEP || way == EXCHANGE_COLLECTIVE;
    return way == EXCHANGE_MPI ? sum : (step ? -sum : sum) / b->ranks->count;
}

static void check_result(const exchange_bench *b, int way, failure *f)
{
    for (int64_t i = 0; i < b->options->parameters && f->code == EXIT_OK; i++) {
        const float *result = result_of(b, way, i, f);
        for (int64_t k = 0; k < length_of(b, i) && f->code == EXIT_OK; k++) {
            double expected = expected_value(b, way, first_of(b, i) + k);
            if (fabs((double)result[k] - expected) > 1e-5 * (1.0 + fabs(expected))) {
                failure_set(f, EXIT_LIBRARY, "%s: element %lld of parameter %lld is %g, not %g",
                            bench_exchange_way_names[way], (long long)k, (long long)i,
                            (double)result[k], expected);
            }
        }
    }
}

/* One round, of which the first is checked; times[way] are of this rank. */
static int run_round(exchange_bench *b, int64_t round, bool check, double *times, failure *f)
{
    for (int i = 0; i < EXCHANGE_WAYS && f->code == EXIT_OK; i++) {
        int way = (int)((round + i) % EXCHANGE_WAYS);
        times[way] = run_way(b, way, f);
        if (check && f->code == EXIT_OK) {
            check_result(b, way, f);
            ranks_agree(b->ranks, f);
        }
    }
    return ranks_agree(b->ranks, f);
}

/* How many rounds fit in `seconds`, from the last warm-up round; the same on all ranks. */
static int64_t choose_rounds(const exchange_bench *b, double seconds, double round_seconds)
{
    bench_largest(b->ranks, &round_seconds, 1);
    double fit = seconds / (round_seconds + 1e-9);
    return fit < LEAST_ROUNDS ? LEAST_ROUNDS : fit > MOST_ROUNDS ? MOST_ROUNDS : (int64_t)fit;
}

static int run_rounds(exchange_bench *b, double seconds, bench_exchange_result *result, failure *f)
{
    double times[EXCHANGE_WAYS] = {0.0}, start = 0.0;
    for (int i = 0; i < WARM_UP && f->code == EXIT_OK; i++) {
        start = MPI_Wtime();
        run_round(b, i, i == 0, times, f);
    }
    if (f->code != EXIT_OK) {
        return f->code;
    }
    result->rounds = choose_rounds(b, seconds, MPI_Wtime() - start);
    for (int64_t i = 0; i < result->rounds && run_round(b, i, false, times, f) == EXIT_OK; i++) {
        for (int way = 0; way < EXCHANGE_WAYS; way++) {
            b->times[way][i] = times[way];
        }
    }
    return f->code;
}

static void summarise(exchange_bench *b, bench_exchange_result *result)
{
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        bench_largest(b->ranks, b->times[way], result->rounds);
        result->sent[way] = b->sides[way].sent;
        result->update[way] = b->sides[way].update_seconds / (double)b->sides[way].steps;
    }
    double ring = 2.0 * (double)(b->ranks->count - 1) * (double)result->bytes;
    result->sent[EXCHANGE_MPI] = result->sent[EXCHANGE_COLLECTIVE] = ring;
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        result->ratio[way] =
            quartiles_of_ratios(b->times[way], b->times[EXCHANGE_MPI], result->rounds);
    }
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        result->seconds[way] = quartiles_of(b->times[way], result->rounds);
    }
}

static void allocate_collective(exchange_bench *b, failure *f)
{
    int64_t count = b->ranks->count;
    b->counts = calloc((size_t)count, sizeof *b->counts);
    b->starts = calloc((size_t)count, sizeof *b->starts);
    b->sums = calloc((size_t)(b->elements / count + 1), sizeof *b->sums);
    b->sides[EXCHANGE_COLLECTIVE].values = calloc((size_t)b->elements, sizeof(float));
    b->sides[EXCHANGE_COLLECTIVE].own_values = true;
    if (b->counts == NULL || b->starts == NULL || b->sums == NULL ||
        b->sides[EXCHANGE_COLLECTIVE].values == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        b->starts[i] = (int)(i * b->elements / count);
        b->counts[i] = (int)((i + 1) * b->elements / count) - b->starts[i];
    }
}

static int allocate(exchange_bench *b, failure *f)
{
    b->source = calloc((size_t)b->elements, sizeof *b->source);
    b->payload = calloc((size_t)b->elements, sizeof *b->payload);
    double *times = calloc((size_t)MOST_ROUNDS * EXCHANGE_WAYS, sizeof *times);
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        b->times[way] = times != NULL ? times + (ptrdiff_t)way * MOST_ROUNDS : NULL;
    }
    if (b->source == NULL || b->payload == NULL || times == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
    }
    allocate_collective(b, f);
    for (int64_t i = 0; f->code == EXIT_OK && i < b->elements; i++) {
        b->source[i] = gradient_value(i, b->ranks->rank);
    }
    return ranks_agree(b->ranks, f);
}

static void destroy(exchange_bench *b)
{
    for (int way = 0; way < EXCHANGE_WAYS; way++) {
        plumb_destroy(&b->sides[way].plumb);
        if (b->sides[way].own_values) {
            free(b->sides[way].values);
        }
        free(b->sides[way].ids);
        free(b->sides[way].buffers);
    }
    free(b->source);
    free(b->payload);
    free(b->sums);
    free(b->counts);
    free(b->starts);
    free(b->times[0]);
}

int bench_exchange_measure(const ranks *r, const bench_exchange_options *o, int64_t bytes,
                           double seconds, bench_exchange_result *result, failure *f)
{
    exchange_bench b = {.ranks = r, .options = o, .elements = bytes / (int64_t)sizeof(float)};
    *result = (bench_exchange_result){.bytes = b.elements * (int64_t)sizeof(float)};
    allocate(&b, f);
    for (int way = EXCHANGE_BUFFER; way <= EXCHANGE_STEP && f->code == EXIT_OK; way++) {
        create_side(&b, way, f);
    }
    if (f->code == EXIT_OK && run_rounds(&b, seconds, result, f) == EXIT_OK) {
        summarise(&b, result);
    }
    destroy(&b);
    return f->code;
}
