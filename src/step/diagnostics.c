/*
 * The diagnosis of a handle (diagnostics.h): its memory, the norms of every step, and what callers
 * read.
 */
#include "step/diagnostics.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/vector.h"
#include "exchange/agreement.h"

plumb_noise diagnostics_no_noise(void)
{
    return (plumb_noise){sizeof(plumb_noise), 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

plumb_update_noise diagnostics_no_update(void)
{
    return (plumb_update_noise){
        sizeof(plumb_update_noise), 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

static plumb_diagnosis nothing_known(void)
{
    return (plumb_diagnosis){.size = sizeof(plumb_diagnosis),
                             .noise = diagnostics_no_noise(),
                             .groups = diagnostics_no_noise(),
                             .eigenvalue = NAN,
                             .eigenvalue_share = NAN,
                             .update = diagnostics_no_update(),
                             .nuclear_scale = NAN,
                             .echo = NAN};
}

bool diagnostics_decomposes(const parameter *one)
{
    int64_t side = one->rows < one->cols ? one->rows : one->cols;
    return side > 1 && side <= DIAGNOSTICS_MOST_SIDE &&
           one->rows * one->cols <= DIAGNOSTICS_MOST_ELEMENTS;
}

static int64_t directions_of(const parameter *one)
{
    int64_t side = one->rows < one->cols ? one->rows : one->cols;
    return diagnostics_decomposes(one) ? side : 0;
}

static plumb_status make_results(const plumb *p, diagnostics *d)
{
    int64_t count = p->parameter_count;
    PROPAGATE(memory_zeroed(count + 1, sizeof *d->results, &d->results));
    for (int64_t i = 0; i <= count; i++) {
        d->results[i] = nothing_known();
    }
    PROPAGATE(memory_zeroed(count + 1, sizeof *d->spectrum_places, &d->spectrum_places));
    PROPAGATE(memory_zeroed(count, sizeof *d->mean_squares, &d->mean_squares));
    PROPAGATE(memory_zeroed(count, sizeof *d->room, &d->room));
    int64_t places = 0;
    bool full = p->options.diagnostics == PLUMB_DIAGNOSTICS_FULL;
    for (int64_t i = 0; i < count; i++) {
        places += full ? DIAGNOSTICS_SPECTRA * directions_of(&p->parameters[i]) : 0;
        d->spectrum_places[i + 1] = places;
    }
    return memory_zeroed(places, sizeof *d->spectra, &d->spectra);
}

plumb_status diagnostics_set_up(plumb *p)
{
    diagnostics_free(p);
    if (p->options.diagnostics == PLUMB_DIAGNOSTICS_OFF) {
        return PLUMB_OK;
    }
    plumb_status status = memory_zeroed(1, sizeof *p->diagnostics, &p->diagnostics);
    if (status == PLUMB_OK) {
        status = make_results(p, p->diagnostics);
    }
    PROPAGATE(agreement_verdict(exchange_communicator(p->exchange), status));
    return p->options.diagnostics == PLUMB_DIAGNOSTICS_FULL ? diagnostics_exchange_make(p)
                                                            : PLUMB_OK;
}

/* What depends on the number of micro-batches. */
static void free_step(diagnostics *d)
{
    d->micro_batches = 0;
    memory_free(&d->mine);
    memory_free(&d->samples);
    memory_free(&d->norms);
    memory_free(&d->weights);
    memory_free(&d->group_samples);
    diagnostics_findings_free(&d->findings);
}

void diagnostics_free(plumb *p)
{
    diagnostics *d = p->diagnostics;
    if (d == NULL) {
        return;
    }
    free_step(d);
    exchange_destroy(&d->exchange);
    memory_free(&d->results);
    memory_free(&d->spectrum_places);
    memory_free(&d->spectra);
    memory_free(&d->mean_squares);
    memory_free(&d->room);
    memory_free(&p->diagnostics);
}

bool diagnostics_due(const plumb *p)
{
    return p->options.diagnostics == PLUMB_DIAGNOSTICS_FULL &&
           p->steps % p->options.diagnostics_every == 0;
}

/* The groups of the step, or as many of them together as leave no more than there may be. */
static int choose_groups(const plumb *p)
{
    int groups = p->groups < DIAGNOSTICS_MOST_GROUPS ? p->groups : DIAGNOSTICS_MOST_GROUPS;
    while (p->groups % groups != 0) {
        groups--;
    }
    return groups;
}

static plumb_status make_step(plumb *p)
{
    diagnostics *d = p->diagnostics;
    int64_t total = p->micro_batches;
    free_step(d);
    PROPAGATE(memory_zeroed(p->count * p->parameter_count, sizeof *d->mine, &d->mine));
    PROPAGATE(memory_zeroed(total, sizeof *d->samples, &d->samples));
    PROPAGATE(memory_zeroed(total * (p->parameter_count + 1), sizeof *d->norms, &d->norms));
    d->groups = choose_groups(p);
    PROPAGATE(memory_zeroed(d->groups, sizeof *d->weights, &d->weights));
    PROPAGATE(memory_zeroed(d->groups, sizeof *d->group_samples, &d->group_samples));
    d->micro_batches = total;
    return PLUMB_OK;
}

plumb_status diagnostics_prepare(plumb *p)
{
    diagnostics *d = p->diagnostics;
    if (d == NULL) {
        return PLUMB_OK;
    }
    if (d->micro_batches != p->micro_batches) {
        PROPAGATE(make_step(p));
    }
    memset(d->mean_squares, 0, (size_t)p->parameter_count * sizeof *d->mean_squares);
    d->trouble = PLUMB_OK;
    d->culprit = -1;
    if (!diagnostics_due(p)) {
        return PLUMB_OK;
    }
    PROPAGATE(diagnostics_findings_make(p));
    return exchange_prepare(d->exchange, p->micro_batches, d->groups);
}

/* In double, over fixed blocks in order. */
static double squared_norm(int64_t count, const float *gradient)
{
    double squares = 0.0;
    for (int64_t from = 0; from < count; from += VECTOR_BLOCK) {
        int64_t here = count - from < VECTOR_BLOCK ? count - from : VECTOR_BLOCK;
        squares += vector_sum_squares(here, gradient + from);
    }
    return squares;
}

plumb_status diagnostics_accumulate(plumb *p, int id, int64_t micro_batch, const float *gradient)
{
    diagnostics *d = p->diagnostics;
    if (d == NULL) {
        return PLUMB_OK;
    }
    const parameter *one = &p->parameters[id];
    int64_t line = (micro_batch - p->first) * p->parameter_count;
    d->mine[line + id] = squared_norm(one->rows * one->cols, gradient);
    if (!diagnostics_due(p) || exchange_seen(d->exchange, id, micro_batch)) {
        return PLUMB_OK;
    }
    bool finite; /* the step itself tells */
    return exchange_accumulate(d->exchange, id, micro_batch, gradient, &finite);
}

int diagnostics_width(const plumb *p)
{
    return p->diagnostics != NULL ? (int)p->parameter_count : 0;
}

void diagnostics_give_line(const plumb *p, int64_t micro_batch, double *line)
{
    int64_t width = diagnostics_width(p);
    if (width > 0) {
        memcpy(line, p->diagnostics->mine + (micro_batch - p->first) * width,
               (size_t)width * sizeof *line);
    }
}

void diagnostics_take_line(plumb *p, int64_t micro_batch, double samples, const double *line)
{
    diagnostics *d = p->diagnostics;
    if (d == NULL) {
        return;
    }
    double sum = 0.0;
    d->samples[micro_batch] = samples;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        d->norms[i * p->micro_batches + micro_batch] = line[i];
        sum += line[i];
    }
    d->norms[p->parameter_count * p->micro_batches + micro_batch] = sum;
}

void diagnostics_take_squares(plumb *p, int64_t index, double squares)
{
    if (p->diagnostics != NULL) {
        p->diagnostics->mean_squares[index] += squares;
    }
}

void diagnostics_trouble(diagnostics *d, int64_t index, plumb_status status)
{
    if (d->trouble == PLUMB_OK && status != PLUMB_OK) {
        d->trouble = status;
        d->culprit = index;
    }
}

/* What the owner formed is the mean of the gradients themselves. */
static bool keeps_gradients(const parameter *one)
{
    plumb_pipeline pipeline = one->options.pipeline;
    return pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE ||
           pipeline == PLUMB_PIPELINE_NORMALISED_WITH_NORM;
}

/* Without the norm of the mean only those of the gradients are known. */
static plumb_noise noise_of(const plumb *p, int64_t index, double mean, plumb_status *status)
{
    const diagnostics *d = p->diagnostics;
    plumb_noise noise = diagnostics_no_noise();
    const double *norms = d->norms + index * p->micro_batches;
    *status = plumb_noise_from_norms(p->micro_batches, d->samples, norms, isnan(mean) ? 0.0 : mean,
                                     p->options.population, &noise);
    if (*status != PLUMB_OK) {
        return diagnostics_no_noise();
    }
    if (isnan(mean)) {
        plumb_noise known = diagnostics_no_noise();
        known.count = noise.count;
        known.samples = noise.samples;
        known.small_squared_norm = noise.small_squared_norm;
        return known;
    }
    return noise;
}

static void measure_norms(plumb *p)
{
    diagnostics *d = p->diagnostics;
    double sum = 0.0;
    for (int64_t i = 0; i <= p->parameter_count; i++) {
        double mean = sum;
        if (i < p->parameter_count) {
            mean = keeps_gradients(&p->parameters[i])
                       ? d->mean_squares[i] / (p->divisor * p->divisor)
                       : NAN;
            sum += mean;
        }
        plumb_status status;
        d->results[i].noise = noise_of(p, i, mean, &status);
        d->results[i].step = p->steps + 1;
        diagnostics_trouble(d, i, status);
    }
}

/* Once for all: a diagnosis is no part of the step. */
static void tell(plumb *p)
{
    diagnostics *d = p->diagnostics;
    if (d->trouble == PLUMB_OK || d->told) {
        return;
    }
    d->told = true;
    bool one = d->culprit >= 0 && d->culprit < p->parameter_count;
    handle_log(p, PLUMB_LOG_WARNING,
               "step %lld: a diagnosis of %s%s is not available (%s); this is said once",
               (long long)p->steps + 1, one ? "parameter " : "all parameters together",
               one ? p->parameters[d->culprit].name : "", plumb_status_name(d->trouble));
}

plumb_status diagnostics_measure(plumb *p)
{
    if (p->diagnostics == NULL) {
        return PLUMB_OK;
    }
    double eigenvalue = NAN;
    bool full = diagnostics_due(p);
    if (full) {
        diagnostics_weigh_groups(p);
        PROPAGATE(diagnostics_find(p, &eigenvalue));
    }
    measure_norms(p);
    if (full) {
        diagnostics_publish(p, eigenvalue);
    }
    tell(p);
    return PLUMB_OK;
}

static plumb_status check_call(const plumb *p, int id, bool all)
{
    PROPAGATE(handle_given(p));
    const parameter *one = NULL;
    if (!all || id != -1) {
        PROPAGATE(handle_parameter(p, id, &one));
    }
    REQUIRE(p->options.diagnostics != PLUMB_DIAGNOSTICS_OFF, PLUMB_ERROR_ORDER,
            "plumb_options.diagnostics is off: nothing was measured");
    return PLUMB_OK;
}

plumb_status plumb_diagnose(const plumb *p, int id, plumb_diagnosis *diagnosis)
{
    PROPAGATE(check_call(p, id, true));
    REQUIRE(diagnosis != NULL, PLUMB_ERROR_ARGUMENT, "plumb_diagnose: diagnosis is NULL");
    REQUIRE(diagnosis->size == sizeof *diagnosis, PLUMB_ERROR_ARGUMENT,
            "plumb_diagnosis: size is %zu, this library's is %zu", diagnosis->size,
            sizeof *diagnosis);
    int64_t place = id >= 0 ? id : p->parameter_count;
    bool known = p->planned && p->diagnostics != NULL;
    *diagnosis = known ? p->diagnostics->results[place] : nothing_known();
    return PLUMB_OK;
}

static void copy_spectrum(int64_t count, const double *from, double *to)
{
    if (to != NULL && count > 0) {
        memcpy(to, from, (size_t)count * sizeof *to);
    }
}

plumb_status plumb_diagnose_spectrum(const plumb *p, int id, int64_t capacity, double *observed,
                                     double *signals, double *echoes, int64_t *count)
{
    PROPAGATE(check_call(p, id, false));
    REQUIRE(count != NULL && capacity >= 0, PLUMB_ERROR_ARGUMENT,
            "plumb_diagnose_spectrum: count is NULL, or capacity is %lld", (long long)capacity);
    const diagnostics *d = p->diagnostics;
    *count = 0;
    if (!p->planned || d->results[id].full_step == 0) {
        return PLUMB_OK;
    }
    int64_t first = d->spectrum_places[id];
    *count = (d->spectrum_places[id + 1] - first) / DIAGNOSTICS_SPECTRA;
    int64_t copied = *count < capacity ? *count : capacity;
    copy_spectrum(copied, d->spectra + first, observed);
    copy_spectrum(copied, d->spectra + first + *count, signals);
    copy_spectrum(copied, d->spectra + first + 2 * *count, echoes);
    return PLUMB_OK;
}
