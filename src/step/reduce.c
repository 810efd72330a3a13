/*
 * plumb_reduce: deliver what is still under way, then agree, in one collective, on who failed, on
 * samples and losses, and on the norm of the mean. Squares are summed in double over fixed blocks
 * of every parameter and added in the order parameter, block, whoever owns them.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/vector.h"
#include "exchange/agreement.h"
#include "exchange/transport.h"
#include "step/curvature.h"
#include "step/diagnostics.h"
#include "step/gradients.h"
#include "step/slices.h"
#include "step/reduce.h"

/* What a rank brings: a header, three numbers a micro-batch and what diagnostics add to them, one a
 * block that it owns. */
enum {
    HEADER_FAILED, /* FAILED_... */
    HEADER_BYTES,
    HEADER_MESSAGES,
    HEADER_WIRE,
    HEADER_OVERLAP,
    HEADER_SECONDS,
    HEADER_SIZE
};
/* What is told first if ranks failed differently: a cause names more than what follows from it. */
enum { FAILED_NOT, FAILED_WORK, FAILED_GRADIENT };
enum { PER_MICRO_BATCH = 3 };

static int64_t share_of(const plumb *p, int rank, int64_t *first)
{
    const share_order *order = exchange_order(p->exchange);
    int64_t count;
    share_range(p->micro_batches, order->size, order->position_of[rank], first, &count);
    return count;
}

static int line_length(const plumb *p)
{
    return PER_MICRO_BATCH + diagnostics_width(p);
}

plumb_status reduce_prepare(plumb *p)
{
    gathering *g = &p->gathering;
    if (g->micro_batches == p->micro_batches) {
        return PLUMB_OK;
    }
    reduce_free(p);
    g->ranks = exchange_order(p->exchange)->size;
    PROPAGATE(memory_zeroed(g->ranks, sizeof *g->counts, &g->counts));
    PROPAGATE(memory_zeroed(g->ranks, sizeof *g->displacements, &g->displacements));
    int64_t total = 0;
    for (int rank = 0; rank < g->ranks; rank++) {
        int64_t first;
        int64_t lines = line_length(p) * share_of(p, rank, &first);
        REQUIRE(total + HEADER_SIZE + lines + p->blocks_of[rank] <= INT_MAX, PLUMB_ERROR_ARGUMENT,
                "%lld micro-batches of %lld parameters are too many for diagnostics",
                (long long)p->micro_batches, (long long)p->parameter_count);
        g->counts[rank] = HEADER_SIZE + (int)lines + p->blocks_of[rank];
        g->displacements[rank] = (int)total;
        total += g->counts[rank];
    }
    int rank = exchange_order(p->exchange)->rank;
    PROPAGATE(memory_zeroed(g->counts[rank], sizeof *g->mine, &g->mine));
    PROPAGATE(memory_zeroed(total, sizeof *g->all, &g->all));
    g->micro_batches = p->micro_batches;
    return PLUMB_OK;
}

void reduce_free(plumb *p)
{
    gathering *g = &p->gathering;
    g->micro_batches = 0;
    memory_free(&g->counts);
    memory_free(&g->displacements);
    memory_free(&g->mine);
    memory_free(&g->all);
}

/* Sums of squares of this rank's sums, block after block. */
static void square_blocks(plumb *p, double *blocks)
{
    const layout *l = exchange_layout(p->exchange);
    int64_t before = 0; /* blocks of slices in the same bucket */
    for (int64_t i = 0; i < p->slice_count; i++) {
        const slice *s = &p->slices[i];
        before = i > 0 && p->slices[i - 1].bucket == s->bucket ? before : 0;
        if (!slice_owned(p, s)) {
            continue;
        }
        const double *formed = exchange_squares(p->exchange, s->bucket);
        if (formed != NULL) {
            memcpy(blocks + s->block, formed + before, (size_t)s->blocks * sizeof *blocks);
            before += s->blocks;
            continue;
        }
        const float *sum =
            exchange_sum(p->exchange, s->bucket) + (s->offset - l->buckets[s->bucket].first);
        for (int64_t b = 0; b < s->blocks; b++) {
            int64_t from = b * VECTOR_BLOCK;
            int64_t count = s->count - from < VECTOR_BLOCK ? s->count - from : VECTOR_BLOCK;
            blocks[s->block + b] = vector_sum_squares(count, sum + from);
        }
    }
}

/* The first failure of this rank's own work for the exchange. */
static plumb_status work_failure(const plumb *p)
{
    PROPAGATE(exchange_failure(p->exchange));
    PROPAGATE(curvature_due(p) ? exchange_failure(p->curvature) : PLUMB_OK);
    return diagnostics_failure(p);
}

/* How bad this rank's own failure of the step is. */
static int failure_level(const plumb *p)
{
    if (p->failure != PLUMB_OK) {
        return FAILED_GRADIENT;
    }
    return work_failure(p) != PLUMB_OK ? FAILED_WORK : FAILED_NOT;
}

/* What went through another exchange in the same step. */
static void add_account(const exchange *x, mail_account *account)
{
    mail_account more;
    double overlap;
    exchange_account(x, &more, &overlap);
    account->bytes += more.bytes;
    account->messages += more.messages;
    account->wire_bytes += more.wire_bytes;
}

static void fill_mine(plumb *p, double start, gathering *g)
{
    mail_account account;
    exchange_account(p->exchange, &account, &g->mine[HEADER_OVERLAP]);
    if (curvature_due(p)) {
        add_account(p->curvature, &account);
    }
    if (diagnostics_due(p)) {
        add_account(p->diagnostics->exchange, &account);
    }
    g->mine[HEADER_FAILED] = failure_level(p);
    g->mine[HEADER_BYTES] = (double)account.bytes;
    g->mine[HEADER_MESSAGES] = (double)account.messages;
    g->mine[HEADER_WIRE] = (double)account.wire_bytes;
    double *at = g->mine + HEADER_SIZE;
    for (int64_t k = 0; k < p->count; k++) {
        *at++ = p->descriptions[k].samples;
        *at++ = p->descriptions[k].loss_sum;
        *at++ = (double)p->descriptions[k].norm_count;
        diagnostics_give_line(p, p->first + k, at);
        at += diagnostics_width(p);
    }
    square_blocks(p, at);
    g->mine[HEADER_SECONDS] = transport_seconds() - start;
}

/* This rank's own failure of the step, if there is one: of its gradients, or of its work. */
static plumb_status own_failure(const plumb *p)
{
    if (p->failure != PLUMB_OK) {
        return error_raise(p->failure, "%s", p->failure_text);
    }
    return work_failure(p);
}

/* The message of the lowest rank that failed worst to all, if any rank failed. */
static plumb_status judge(plumb *p, const gathering *g)
{
    double worst = FAILED_NOT;
    for (int rank = 0; rank < g->ranks; rank++) {
        worst = fmax(worst, g->all[g->displacements[rank] + HEADER_FAILED]);
    }
    if (worst == FAILED_NOT) {
        return PLUMB_OK;
    }
    plumb_status mine = failure_level(p) == (int)worst ? own_failure(p) : PLUMB_OK;
    return agreement_verdict(exchange_communicator(p->exchange), mine);
}

/* The number of micro-batch k's line, wherever its rank put it. */
static const double *micro_batch_line(const plumb *p, const gathering *g, int64_t k)
{
    const share_order *order = exchange_order(p->exchange);
    int rank = order->rank_at[share_position(p->micro_batches, order->size, k)];
    int64_t first;
    share_of(p, rank, &first);
    return g->all + g->displacements[rank] + HEADER_SIZE + line_length(p) * (k - first);
}

static void sum_micro_batches(plumb *p, const gathering *g, int64_t *norm_count)
{
    double samples = 0.0;
    double loss = 0.0;
    p->divisor = 0.0;
    *norm_count = 0;
    for (int64_t k = 0; k < p->micro_batches; k++) {
        const double *line = micro_batch_line(p, g, k);
        samples += line[0];
        loss += line[1];
        *norm_count += (int64_t)line[2];
        p->divisor += (double)(float)(line[0] / p->options.nominal_samples);
        diagnostics_take_line(p, k, line[0], line + PER_MICRO_BATCH);
    }
    p->report.samples = samples;
    p->report.loss = loss / samples;
}

/* Corrections and weights compare groups as equals: they must have equally many samples. */
static plumb_status check_group_samples(const plumb *p, const gathering *g)
{
    double first = 0.0;
    double sum = 0.0;
    int64_t unit = p->micro_batches / p->groups;
    for (int64_t k = 0; p->wants_groups && k < p->micro_batches; k++) {
        sum += micro_batch_line(p, g, k)[0];
        if ((k + 1) % unit != 0) {
            continue;
        }
        first = k + 1 == unit ? sum : first;
        REQUIRE(sum == first, PLUMB_ERROR_ARGUMENT,
                "corrections and weights need groups of equal samples: group 0 has %g, "
                "group %lld has %g",
                first, (long long)(k / unit), sum);
        sum = 0.0;
    }
    return PLUMB_OK;
}

/* The norm of the mean, or the first parameter whose sum is not finite. */
static plumb_status sum_squares(plumb *p, const gathering *g, plumb_report *report)
{
    const layout *l = exchange_layout(p->exchange);
    double squares = 0.0;
    for (int64_t i = 0; i < p->slice_count; i++) {
        const slice *s = &p->slices[i];
        int owner = (int)l->buckets[s->bucket].owner;
        const double *block =
            g->all + g->displacements[owner] + g->counts[owner] - p->blocks_of[owner] + s->block;
        for (int64_t b = 0; b < s->blocks; b++) {
            REQUIRE(isfinite(block[b]), PLUMB_ERROR_NONFINITE,
                    "the sum of the gradients of parameter \"%s\" is not finite, though each of "
                    "them is",
                    p->parameters[s->parameter].name);
            squares += block[b];
            diagnostics_take_squares(p, s->parameter, block[b]);
        }
    }
    report->gradient_norm = sqrt(squares) / p->divisor;
    return PLUMB_OK;
}

static void sum_traffic(const plumb *p, const gathering *g, plumb_report *report)
{
    double bytes = 0.0;
    double messages = 0.0;
    double wire = 0.0;
    double overlap = 0.0;
    for (int rank = 0; rank < g->ranks; rank++) {
        const double *header = g->all + g->displacements[rank];
        bytes += header[HEADER_BYTES];
        messages += header[HEADER_MESSAGES];
        wire += header[HEADER_WIRE];
        overlap += header[HEADER_OVERLAP];
        report->exchange_seconds = fmax(report->exchange_seconds, header[HEADER_SECONDS]);
    }
    int64_t plain = exchange_plain_bytes(p->exchange);
    plain += curvature_due(p) ? exchange_plain_bytes(p->curvature) : 0;
    report->exchange_bytes = (int64_t)bytes + exchange_publish_bytes(p->exchange);
    report->exchange_messages = (int64_t)messages + exchange_publish_messages(p->exchange);
    report->wire_bytes = (int64_t)wire + exchange_publish_wire_bytes(p->exchange);
    report->first_leg_ratio = plain > 0 ? bytes / (double)plain : 1.0;
    report->overlap = overlap / g->ranks;
}

/* How many norms each rank has, and where they go: ranks in line hold micro-batches in order. */
static void count_norms(const plumb *p, int *counts, int *displacements)
{
    const gathering *g = &p->gathering;
    const share_order *order = exchange_order(p->exchange);
    int total = 0;
    for (int place = 0; place < g->ranks; place++) {
        int rank = order->rank_at[place];
        int64_t first;
        int64_t count = share_of(p, rank, &first);
        const double *line = g->all + g->displacements[rank] + HEADER_SIZE;
        counts[rank] = 0;
        for (int64_t k = 0; k < count; k++) {
            counts[rank] += (int)line[line_length(p) * k + 2];
        }
        displacements[rank] = total;
        total += counts[rank];
    }
}

/* This rank's norms to all: the doubles are exact, and become floats again on arrival. */
static plumb_status send_norms(plumb *p, int64_t norm_count, const int *counts,
                               const int *displacements, double *mine, double *all)
{
    double *at = mine;
    for (int64_t k = 0; k < p->count; k++) {
        for (int64_t i = 0; i < p->descriptions[k].norm_count; i++) {
            *at++ = (double)p->descriptions[k].norms[i];
        }
    }
    PROPAGATE(
        agreement_gather(exchange_communicator(p->exchange), mine, counts, displacements, all));
    for (int64_t i = 0; i < norm_count; i++) {
        p->sample_norms[i] = (float)all[i];
    }
    p->sample_norm_count = norm_count;
    return PLUMB_OK;
}

/* Per-sample norms of all ranks in the order of micro-batches: a second, rare collective. */
static plumb_status share_norms(plumb *p, int64_t norm_count)
{
    if (norm_count == 0) {
        return PLUMB_OK;
    }
    const share_order *order = exchange_order(p->exchange);
    int *counts = NULL; /* and behind them the displacements */
    double *mine = NULL;
    double *all = NULL;
    plumb_status status = memory_zeroed(2 * (int64_t)order->size, sizeof *counts, &counts);
    if (status == PLUMB_OK) {
        count_norms(p, counts, counts + order->size);
        status = memory_allocate(counts[order->rank], sizeof *mine, &mine);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(norm_count, sizeof *all, &all);
    }
    if (status == PLUMB_OK) {
        status = memory_allocate(norm_count, sizeof(float), &p->sample_norms);
    }
    status = agreement_verdict(exchange_communicator(p->exchange), status);
    if (status == PLUMB_OK) {
        status = send_norms(p, norm_count, counts, counts + order->size, mine, all);
    }
    memory_free(&counts);
    memory_free(&mine);
    memory_free(&all);
    return status;
}

/* Times a full diagnosis; the economical ones are not worth another message. */
static plumb_status diagnose(plumb *p)
{
    bool full = diagnostics_due(p);
    double start = transport_seconds();
    PROPAGATE(diagnostics_measure(p));
    if (full) {
        p->report.diagnosis_seconds = transport_seconds() - start;
        return agreement_largest(exchange_communicator(p->exchange), 1,
                                 &p->report.diagnosis_seconds);
    }
    return PLUMB_OK;
}

static plumb_status agree(plumb *p, double start)
{
    gathering *g = &p->gathering;
    fill_mine(p, start, g);
    PROPAGATE(agreement_gather(exchange_communicator(p->exchange), g->mine, g->counts,
                               g->displacements, g->all));
    PROPAGATE(judge(p, g));
    plumb_report *report = &p->report;
    int64_t norm_count;
    sum_micro_batches(p, g, &norm_count);
    PROPAGATE(check_group_samples(p, g));
    PROPAGATE(sum_squares(p, g, report));
    sum_traffic(p, g, report);
    double clip = p->options.clip_norm;
    bool clipped = clip > 0.0 && report->gradient_norm > clip;
    report->clip_factor = clipped ? clip / report->gradient_norm : 1.0;
    PROPAGATE(share_norms(p, norm_count));
    return diagnose(p);
}

static plumb_status reduce(plumb *p)
{
    double start = transport_seconds();
    p->report = (plumb_report){.size = sizeof p->report,
                               .step = p->steps + 1,
                               .micro_batches = p->micro_batches,
                               .groups = p->groups,
                               .unclipped = 1.0};
    PROPAGATE(gradients_complete(p));
    PROPAGATE(exchange_deliver(p->exchange));
    gradients_look(p);
    PROPAGATE(curvature_deliver(p));
    PROPAGATE(diagnostics_deliver(p));
    return agree(p, start);
}

plumb_status reduce_check_report(const plumb_report *report)
{
    REQUIRE(report == NULL || report->size == sizeof *report, PLUMB_ERROR_ARGUMENT,
            "plumb_report: size is %zu, this library's is %zu", report->size, sizeof *report);
    return PLUMB_OK;
}

plumb_status reduce_run(plumb *p, const plumb_report *report)
{
    PROPAGATE(handle_expect(p, HANDLE_OPEN, "plumb_reduce"));
    plumb_status argument = reduce_check_report(report);
    if (argument != PLUMB_OK && p->failure == PLUMB_OK) {
        p->failure = argument;
        memcpy(p->failure_text, error_text(), sizeof p->failure_text);
    }
    plumb_status status = reduce(p);
    p->phase = status == PLUMB_OK ? HANDLE_REDUCED : HANDLE_IDLE;
    return status;
}

plumb_status plumb_reduce(plumb *p, plumb_report *report)
{
    PROPAGATE(handle_given(p));
    plumb_status status = reduce_run(p, report);
    if (status == PLUMB_OK && report != NULL) {
        *report = p->report;
    }
    return handle_result(p, status);
}

plumb_status plumb_sample_norms(const plumb *p, const float **norms, int64_t *count)
{
    PROPAGATE(handle_given(p));
    REQUIRE(norms != NULL && count != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_sample_norms: norms or count is NULL");
    *norms = p->sample_norms;
    *count = p->sample_norm_count;
    return PLUMB_OK;
}
