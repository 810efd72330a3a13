/*
 * Beginning a step: the first time all ranks compare what they were set up with and take over the
 * coordinator's plan; every time they agree on the step and post its receives.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "exchange/agreement.h"
#include "step/curvature.h"
#include "step/diagnostics.h"
#include "step/gradients.h"
#include "step/handle.h"
#include "step/plan.h"
#include "step/reduce.h"
#include "step/slices.h"
#include "step/weights.h"

enum { LINE_SIZE = 256, LINES_OF_OPTIONS = 21, LINES_OF_PARAMETER = 32 };

/* The lines of the handle's options; returns the end of the text. */
static char *describe_options(const plumb *p, char *at)
{
    const plumb_options *o = &p->options;
    at += sprintf(at, "library version = %d.%d.%d\n", PLUMB_VERSION_MAJOR, PLUMB_VERSION_MINOR,
                  PLUMB_VERSION_PATCH);
    at += sprintf(at, "groups = %d\nowners = %d\nexchange = %d\nclip_norm = %.17g\n", o->groups,
                  (int)o->owners, (int)o->exchange, o->clip_norm);
    at += sprintf(at, "nominal_samples = %.17g\nbucket_elements = %lld\n", o->nominal_samples,
                  (long long)o->bucket_elements);
    at += sprintf(at, "chunk_elements = %lld\nreplica_check = %d\n", (long long)o->chunk_elements,
                  o->replica_check);
    at +=
        sprintf(at, "shared_memory = %d\nspread_panels = %d\n", o->shared_memory, o->spread_panels);
    at += sprintf(at, "average_weights = %d\naverage_beta = %.17g\naverage_from = %lld\n",
                  (int)o->average_weights, o->average_beta, (long long)o->average_from);
    at += sprintf(at, "diagnostics = %d\ndiagnostics_every = %d\npopulation = %.17g\n",
                  (int)o->diagnostics, o->diagnostics_every, o->population);
    at += sprintf(at, "number of parameters = %lld\n", (long long)p->parameter_count);
    return at;
}

/* What Shampoo and SOAP read. */
static char *describe_roots(const parameter *one, char *at)
{
    const plumb_parameter_options *q = &one->options;
    at += sprintf(at, "exponent of %s = %.17g\n", one->name, q->exponent);
    at += sprintf(at, "damping of %s = %.17g\n", one->name, q->damping);
    at += sprintf(at, "relative_damping of %s = %.17g\n", one->name, q->relative_damping);
    at += sprintf(at, "root_interval of %s = %d\n", one->name, q->root_interval);
    at += sprintf(at, "root_failures of %s = %d\n", one->name, q->root_failures);
    at += sprintf(at, "root_method of %s = %d\n", one->name, (int)q->root_method);
    at += sprintf(at, "block_size of %s = %lld\n", one->name, (long long)q->block_size);
    at += sprintf(at, "grafting of %s = %d\n", one->name, (int)q->grafting);
    at += sprintf(at, "bias_correction of %s = %d\n", one->name, q->bias_correction);
    return at;
}

/* The lines of one parameter; each names it, since only the line that differs is shown. */
static char *describe_parameter(const parameter *one, int64_t index, char *at)
{
    const plumb_parameter_options *q = &one->options;
    at += sprintf(at, "parameter %lld = %s, %lld x %lld\n", (long long)index, one->name,
                  (long long)one->rows, (long long)one->cols);
    at += sprintf(at, "optimizer of %s = %s\n", one->name, one->kind->name);
    at += sprintf(at, "values of %s = %s\n", one->name, one->values == NULL ? "NULL" : "given");
    at += sprintf(at, "pipeline of %s = %d\n", one->name, (int)q->pipeline);
    at += sprintf(at, "polar of %s = %d\n", one->name, (int)q->polar);
    at += sprintf(at, "polar_steps of %s = %d\n", one->name, q->polar_steps);
    at += sprintf(at, "polar_delta of %s = %.17g\n", one->name, q->polar_delta);
    at += sprintf(at, "learning_rate_factor of %s = %.17g\n", one->name, q->learning_rate_factor);
    at += sprintf(at, "beta1 of %s = %.17g\n", one->name, q->beta1);
    at += sprintf(at, "beta2 of %s = %.17g\n", one->name, q->beta2);
    at += sprintf(at, "epsilon of %s = %.17g\n", one->name, q->epsilon);
    at += sprintf(at, "weight_decay of %s = %.17g\n", one->name, q->weight_decay);
    at += sprintf(at, "nesterov of %s = %d\n", one->name, q->nesterov);
    at += sprintf(at, "weights of %s = %d\n", one->name, (int)q->weights);
    at += sprintf(at, "correction of %s = %d\n", one->name, (int)q->correction);
    at += sprintf(at, "noise_floor of %s = %.17g\n", one->name, q->noise_floor);
    at += sprintf(at, "folds of %s = %d\n", one->name, q->folds);
    at += sprintf(at, "paper_mixing of %s = %.17g\n", one->name, q->paper_mixing);
    at += sprintf(at, "paper_support_clip of %s = %.17g\n", one->name, q->paper_support_clip);
    at += sprintf(at, "rho of %s = %.17g\n", one->name, q->rho);
    at += sprintf(at, "clip of %s = %.17g\n", one->name, q->clip);
    at += sprintf(at, "curvature_interval of %s = %d\n", one->name, q->curvature_interval);
    at += sprintf(at, "cost_seconds of %s = %.17g\n", one->name, q->cost_seconds);
    return describe_roots(one, at);
}

/* The lines "field = value" that must be equal on all ranks. */
static plumb_status describe_setup(const plumb *p, char **text)
{
    int64_t lines = p->parameter_count * LINES_OF_PARAMETER + LINES_OF_OPTIONS;
    PROPAGATE(memory_zeroed(lines * LINE_SIZE, 1, text));
    char *at = describe_options(p, *text);
    for (int64_t i = 0; i < p->parameter_count; i++) {
        at = describe_parameter(&p->parameters[i], i, at);
    }
    return PLUMB_OK;
}

static plumb_status compare_setup(plumb *p)
{
    MPI_Comm communicator = exchange_communicator(p->exchange);
    char *text = NULL;
    plumb_status status = p->parameter_count > 0
                              ? describe_setup(p, &text)
                              : error_raise(PLUMB_ERROR_ORDER, "there are no parameters");
    status = agreement_verdict(communicator, status);
    if (status == PLUMB_OK) {
        status = agreement_text(communicator, text);
    }
    memory_free(&text);
    return status;
}

/* The bits of polar factors depend on the BLAS kernel, but replicas stay equal without that. */
static plumb_status look_at_blas(plumb *p)
{
    plumb_environment environment = {.size = sizeof environment};
    PROPAGATE(plumb_inspect_environment(&environment));
    if (environment.blas_kernel_best[0] != '\0') {
        handle_log(p, PLUMB_LOG_WARNING,
                   "BLAS runs its %s kernel, which leaves this CPU's %s unused: set "
                   "OPENBLAS_CORETYPE=%s",
                   environment.blas_kernel, environment.vector_unit, environment.blas_kernel_best);
    }
    if (environment.blas_threads > 1) {
        handle_log(p, PLUMB_LOG_WARNING,
                   "BLAS uses %d threads a rank: bits are promised for one only",
                   environment.blas_threads);
    }
    char text[128];
    snprintf(text, sizeof text, "BLAS kernel = %s", environment.blas_kernel);
    plumb_status status = agreement_text(exchange_communicator(p->exchange), text);
    if (status == PLUMB_ERROR_MISMATCH) {
        handle_log(p, PLUMB_LOG_WARNING, "%s: bits may depend on the rank count and the owner map",
                   error_text());
        return PLUMB_OK;
    }
    return status;
}

/* Rank 0's initial values to all if any rank's differ. */
static plumb_status equalise_values(plumb *p)
{
    char text[64];
    plumb_status status = plumb_parameters_hash(p, text);
    MPI_Comm communicator = exchange_communicator(p->exchange);
    status = agreement_verdict(communicator, status);
    if (status == PLUMB_OK) {
        status = agreement_text(communicator, text);
    }
    if (status != PLUMB_ERROR_MISMATCH) {
        return status;
    }
    handle_log(p, PLUMB_LOG_WARNING, "values differ between ranks: all take the coordinator's");
    for (int64_t i = 0; i < p->parameter_count; i++) {
        const parameter *one = &p->parameters[i];
        if (parameter_has_values(one)) {
            PROPAGATE(agreement_broadcast(communicator, one->rows * one->cols, one->values));
        }
    }
    return PLUMB_OK;
}

static plumb_status check_total(const plumb *p, int64_t total)
{
    int ranks = exchange_order(p->exchange)->size;
    REQUIRE(total >= ranks, PLUMB_ERROR_ARGUMENT,
            "%lld micro-batches are too few for %d ranks: each needs one", (long long)total, ranks);
    REQUIRE(total <= TREE_LARGEST, PLUMB_ERROR_ARGUMENT,
            "%lld micro-batches are more than the %d of one step", (long long)total,
            (int)TREE_LARGEST);
    REQUIRE(p->options.groups == 0 || total % p->options.groups == 0, PLUMB_ERROR_ARGUMENT,
            "%d groups do not divide %lld micro-batches", p->options.groups, (long long)total);
    return PLUMB_OK;
}

/* The largest divisor of `total` that is at most 8, unless the options say otherwise. */
static int choose_groups(const plumb *p, int64_t total)
{
    int groups = p->options.groups > 0 ? p->options.groups : 8;
    while (total % groups != 0) {
        groups--;
    }
    return groups;
}

/* G is fixed where states belong to groups; what depends on it is checked once it is known. */
static plumb_status fix_groups(plumb *p, int64_t total)
{
    PROPAGATE(check_total(p, total));
    p->state_groups = choose_groups(p, total);
    p->wants_groups = false;
    p->counting = false;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        const parameter *one = &p->parameters[i];
        if (one->kind->validate_groups != NULL) {
            plumb_status status = one->kind->validate_groups(&one->options, p->state_groups);
            PROPAGATE(handle_named(p, one, status));
        }
        p->wants_groups = p->wants_groups || optimizer_wants_groups(&one->options) ||
                          optimizer_wants_curvature_groups(&one->options);
        p->counting =
            p->counting || one->options.correction != PLUMB_CORRECTION_NONE || one->kind->counts;
    }
    return PLUMB_OK;
}

static plumb_status make_plan(plumb *p)
{
    MPI_Comm communicator = exchange_communicator(p->exchange);
    const share_order *order = exchange_order(p->exchange);
    layout l = {0};
    plumb_status status = order->rank == 0 ? plan_make(p, order->size, &l) : PLUMB_OK;
    PROPAGATE(agreement_verdict(communicator, status));
    slices_free(p);
    status = agreement_verdict(communicator, exchange_adopt(p->exchange, &l));
    if (status == PLUMB_OK) {
        status = slices_make(p);
        status = agreement_verdict(communicator, status == PLUMB_OK ? weights_make(p) : status);
    }
    PROPAGATE(status);
    PROPAGATE(curvature_set_up(p));
    return diagnostics_set_up(p);
}

static plumb_status set_up(plumb *p, int64_t total)
{
    PROPAGATE(compare_setup(p));
    PROPAGATE(agreement_equal(exchange_communicator(p->exchange), fix_groups(p, total),
                              "the number of micro-batches", (double)total));
    PROPAGATE(look_at_blas(p));
    PROPAGATE(equalise_values(p));
    PROPAGATE(make_plan(p));
    p->planned = true;
    handle_log(p, PLUMB_LOG_INFO, "%lld parameters, %lld buckets, %d ranks on %d nodes",
               (long long)p->parameter_count, (long long)exchange_layout(p->exchange)->bucket_count,
               exchange_order(p->exchange)->size, exchange_order(p->exchange)->nodes);
    return PLUMB_OK;
}

static plumb_status prepare(plumb *p, int64_t total)
{
    PROPAGATE(check_total(p, total));
    p->micro_batches = total;
    p->groups = choose_groups(p, total);
    REQUIRE(!p->wants_groups || p->groups == p->state_groups, PLUMB_ERROR_ARGUMENT,
            "corrections and weights go by groups: the steps so far had %d groups, "
            "%lld micro-batches would have %d",
            p->state_groups, (long long)total, p->groups);
    PROPAGATE(exchange_prepare(p->exchange, total, p->groups));
    PROPAGATE(curvature_prepare(p));
    exchange_share(p->exchange, &p->first, &p->count);
    PROPAGATE(diagnostics_prepare(p));
    PROPAGATE(reduce_prepare(p));
    return gradients_begin(p);
}

/* Messages do the same, with more copies: said once. */
static void tell_of_messages(const plumb *p, exchange *x)
{
    const char *reason = exchange_notice(x);
    if (reason != NULL) {
        handle_log(p, PLUMB_LOG_WARNING, "ranks of a node exchange by messages: %s", reason);
    }
}

static plumb_status begin(plumb *p, int64_t total)
{
    PROPAGATE(handle_expect(p, HANDLE_IDLE, "plumb_begin_step"));
    p->means_here = false;
    if (!p->planned) {
        PROPAGATE(set_up(p, total));
    }
    if (p->drifted) {
        PROPAGATE(equalise_values(p));
        p->drifted = false;
    }
    PROPAGATE(agreement_equal(exchange_communicator(p->exchange), prepare(p, total),
                              "the number of micro-batches", (double)total));
    /* Nothing is posted before all have their memory: a step that cannot begin leaves no
     * messages. And nobody reads the last step's values any more, which gradients may overwrite. */
    PROPAGATE(exchange_provide(p->exchange));
    PROPAGATE(curvature_provide(p));
    PROPAGATE(diagnostics_provide(p));
    PROPAGATE(exchange_open(p->exchange));
    PROPAGATE(curvature_open(p));
    PROPAGATE(diagnostics_open(p));
    tell_of_messages(p, p->exchange);
    if (p->curvature != NULL) {
        tell_of_messages(p, p->curvature);
    }
    if (diagnostics_due(p)) {
        tell_of_messages(p, p->diagnostics->exchange);
    }
    p->phase = HANDLE_OPEN;
    return PLUMB_OK;
}

plumb_status plumb_begin_step(plumb *p, int64_t total)
{
    PROPAGATE(handle_given(p));
    return handle_result(p, begin(p, total));
}

static plumb_status find_share(const plumb *p, int64_t total, int64_t *first, int64_t *count)
{
    REQUIRE(first != NULL && count != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_share: first or count is NULL");
    PROPAGATE(check_total(p, total));
    const share_order *order = exchange_order(p->exchange);
    share_range(total, order->size, order->position_of[order->rank], first, count);
    return PLUMB_OK;
}

plumb_status plumb_share(plumb *p, int64_t total, int64_t *first, int64_t *count)
{
    PROPAGATE(handle_given(p));
    return handle_result(p, find_share(p, total, first, count));
}
