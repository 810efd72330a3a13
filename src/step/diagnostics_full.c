/*
 * What the owners of a fully diagnosed step find, brought to all ranks and put together
 * (diagnostics.h).
 */
#include "step/diagnostics.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "exchange/agreement.h"

static int64_t triangle_size(int64_t groups)
{
    return groups * (groups + 1) / 2;
}

static int64_t spectra_size(const diagnostics *d, int64_t id)
{
    return d->spectrum_places[id + 1] - d->spectrum_places[id];
}

/* Records lie one behind the other by rank, and at a rank in order of parameters. */
static plumb_status place_records(plumb *p, diagnostics_findings *f)
{
    const diagnostics *d = p->diagnostics;
    int ranks = exchange_order(p->exchange)->size;
    int64_t total = 0;
    for (int rank = 0; rank < ranks; rank++) {
        int64_t first = total;
        for (int64_t i = 0; i < p->parameter_count; i++) {
            if (diagnostics_owner(p, i) == rank) {
                f->places[i] = total;
                total += RECORD_SIZE + triangle_size(d->groups) + spectra_size(d, i);
            }
        }
        REQUIRE(total <= INT_MAX, PLUMB_ERROR_MEMORY,
                "diagnostics find more than one message can hold");
        f->displacements[rank] = (int)first;
        f->counts[rank] = (int)(total - first);
    }
    return PLUMB_OK;
}

static plumb_status make_findings(plumb *p, diagnostics_findings *f)
{
    const share_order *order = exchange_order(p->exchange);
    PROPAGATE(memory_zeroed(order->size, sizeof *f->counts, &f->counts));
    PROPAGATE(memory_zeroed(order->size, sizeof *f->displacements, &f->displacements));
    PROPAGATE(memory_zeroed(p->parameter_count, sizeof *f->places, &f->places));
    PROPAGATE(place_records(p, f));
    int last = order->size - 1;
    PROPAGATE(memory_zeroed(f->counts[order->rank], sizeof *f->mine, &f->mine));
    PROPAGATE(memory_zeroed(f->displacements[last] + f->counts[last], sizeof *f->all, &f->all));
    int64_t groups = p->diagnostics->groups;
    PROPAGATE(memory_zeroed(groups, sizeof *f->means, &f->means));
    PROPAGATE(memory_zeroed(groups * groups, sizeof *f->gram, &f->gram));
    return memory_zeroed(groups * groups, sizeof *f->gram_of_all, &f->gram_of_all);
}

plumb_status diagnostics_findings_make(plumb *p)
{
    diagnostics *d = p->diagnostics;
    if (d->findings.groups == d->groups) {
        return PLUMB_OK;
    }
    diagnostics_findings_free(&d->findings);
    PROPAGATE(make_findings(p, &d->findings));
    d->findings.groups = d->groups;
    return PLUMB_OK;
}

void diagnostics_findings_free(diagnostics_findings *f)
{
    memory_free(&f->counts);
    memory_free(&f->displacements);
    memory_free(&f->places);
    memory_free(&f->mine);
    memory_free(&f->all);
    memory_free(&f->means);
    memory_free(&f->gram);
    memory_free(&f->gram_of_all);
    f->groups = 0;
}

static plumb_status measure_own(plumb *p)
{
    diagnostics_findings *f = &p->diagnostics->findings;
    int rank = exchange_order(p->exchange)->rank;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        if (diagnostics_owner(p, i) != rank) {
            continue;
        }
        diagnostics_group_means(p, i, f->means);
        double *record = f->mine + (f->places[i] - f->displacements[rank]);
        PROPAGATE(diagnostics_measure_parameter(p, &p->parameters[i], record));
    }
    return PLUMB_OK;
}

/* The Gram matrix [count][count] of its lower triangle. */
static void unfold(int64_t count, const double *triangle, double *gram)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j <= i; j++) {
            gram[i * count + j] = gram[j * count + i] = *triangle++;
        }
    }
}

static const double *record_of(const diagnostics *d, int64_t id)
{
    return d->findings.all + d->findings.places[id];
}

/* The Gram matrices of all parameters add up, in their order. */
static void sum_grams(plumb *p)
{
    diagnostics *d = p->diagnostics;
    int64_t size = (int64_t)d->groups * d->groups;
    memset(d->findings.gram_of_all, 0, (size_t)size * sizeof *d->findings.gram_of_all);
    for (int64_t id = 0; id < p->parameter_count; id++) {
        unfold(d->groups, record_of(d, id) + RECORD_SIZE, d->findings.gram);
        for (int64_t i = 0; i < size; i++) {
            d->findings.gram_of_all[i] += d->findings.gram[i];
        }
    }
}

/* The coordinator's, to all: its BLAS may have another kernel than theirs. */
static plumb_status share_eigenvalue(plumb *p, double *eigenvalue)
{
    diagnostics *d = p->diagnostics;
    MPI_Comm communicator = exchange_communicator(p->exchange);
    double known[2] = {PLUMB_OK, -INFINITY}; /* a status; a value, less than any: none */
    plumb_status status = PLUMB_OK;
    if (exchange_order(p->exchange)->rank == 0) {
        double found = NAN;
        status = plumb_covariance_spectrum(d->groups, d->group_samples, d->findings.gram_of_all, 1,
                                           NULL, &found, NULL);
        known[0] = (double)status;
        known[1] = status == PLUMB_OK && isfinite(found) ? found : -INFINITY;
    }
    PROPAGATE(agreement_verdict(communicator, status == PLUMB_ERROR_MEMORY ? status : PLUMB_OK));
    PROPAGATE(agreement_largest(communicator, 2, known));
    diagnostics_trouble(d, p->parameter_count, (plumb_status)(int)known[0]);
    *eigenvalue = isfinite(known[1]) ? known[1] : NAN;
    return PLUMB_OK;
}

plumb_status diagnostics_find(plumb *p, double *eigenvalue)
{
    diagnostics_findings *f = &p->diagnostics->findings;
    MPI_Comm communicator = exchange_communicator(p->exchange);
    PROPAGATE(agreement_verdict(communicator, measure_own(p)));
    PROPAGATE(agreement_gather(communicator, f->mine, f->counts, f->displacements, f->all));
    sum_grams(p);
    return share_eigenvalue(p, eigenvalue);
}

static plumb_noise noise_of(plumb *p, int64_t index, const double *gram)
{
    diagnostics *d = p->diagnostics;
    plumb_noise noise = diagnostics_no_noise();
    plumb_status status =
        plumb_noise_scale(d->groups, d->group_samples, gram, p->options.population, &noise);
    diagnostics_trouble(d, index, status);
    return status == PLUMB_OK ? noise : diagnostics_no_noise();
}

static void set_eigenvalue(plumb_diagnosis *result, double eigenvalue)
{
    result->eigenvalue = eigenvalue;
    result->eigenvalue_share = result->groups.trace > 0.0 ? eigenvalue / result->groups.trace : NAN;
}

static plumb_update_noise unpack_update(int64_t count, const double *n)
{
    return (plumb_update_noise){sizeof(plumb_update_noise),
                                count,
                                n[0],
                                n[1],
                                n[2],
                                n[3],
                                n[4],
                                n[5],
                                n[6],
                                n[7],
                                n[8],
                                n[9]};
}

/* Echoes over all directions of some parameters. */
typedef struct echo_sum {
    double sum;
    int64_t above, count;
} echo_sum;

static void add_echoes(int64_t count, const double *echoes, echo_sum *sum)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isnan(echoes[i])) {
            sum->sum += echoes[i];
            sum->above += echoes[i] > 0.5;
            sum->count++;
        }
    }
}

static void set_echo(plumb_diagnosis *result, const echo_sum *sum)
{
    result->echo = sum->count > 0 ? sum->sum / (double)sum->count : NAN;
    result->directions = sum->above;
    result->directions_of = sum->count;
}

/* One parameter's record; its echoes are added to those of all. */
static void publish_one(plumb *p, int64_t id, echo_sum *of_all)
{
    diagnostics *d = p->diagnostics;
    plumb_diagnosis *result = &d->results[id];
    const double *record = record_of(d, id);
    const double *triangle = record + RECORD_SIZE;
    int64_t size = spectra_size(d, id);
    double *spectra = d->spectra + d->spectrum_places[id];
    unfold(d->groups, triangle, d->findings.gram);
    result->full_step = p->steps + 1;
    result->groups = noise_of(p, id, d->findings.gram);
    set_eigenvalue(result, record[RECORD_EIGENVALUE]);
    result->update = diagnostics_no_update();
    result->nuclear_scale = NAN;
    echo_sum own = {0};
    if (size > 0) {
        memcpy(spectra, triangle + triangle_size(d->groups), (size_t)size * sizeof *spectra);
        result->update = unpack_update(d->groups, record + RECORD_UPDATE);
        result->nuclear_scale = record[RECORD_NUCLEAR];
        int64_t directions = size / DIAGNOSTICS_SPECTRA;
        add_echoes(directions, spectra + 2 * directions, &own);
        add_echoes(directions, spectra + 2 * directions, of_all);
    }
    set_echo(result, &own);
    diagnostics_trouble(d, id, (plumb_status)(int)record[RECORD_STATUS]);
}

/* Sums over matrices that leave out what is not available; squares for the errors. */
typedef struct update_sum {
    int64_t variances, biases, shares, ratios;
    double variance, variance_square, bias, bias_square;
    double normal, normal_of; /* bias that only shrinks, of so much */
} update_sum;

static void add_update(const plumb_update_noise *one, update_sum *sum)
{
    if (!isnan(one->variance)) {
        sum->variances++;
        sum->variance += one->variance;
        sum->variance_square += one->variance_error * one->variance_error;
    }
    if (!isnan(one->bias)) {
        sum->biases++;
        sum->bias += one->bias;
        sum->bias_square += one->bias_error * one->bias_error;
    }
    sum->ratios += !isnan(one->ratio);
    if (!isnan(one->bias) && !isnan(one->normal_share)) {
        sum->shares++;
        sum->normal += one->normal_share * one->bias;
        sum->normal_of += one->bias;
    }
}

/* The ratio's error by the delta method, bias and variance taken as independent. */
static plumb_update_noise sum_of_updates(int64_t count, const update_sum *sum)
{
    plumb_update_noise all = diagnostics_no_update();
    double n = (double)count;
    all.count = count;
    if (sum->variances > 0) {
        all.variance = sum->variance;
        all.variance_error = sqrt(sum->variance_square);
        all.step_variance = all.variance / n;
    }
    if (sum->biases > 0) {
        all.bias = sum->bias;
        all.bias_error = sqrt(sum->bias_square);
        all.step_bias = all.bias / (n * n);
    }
    if (sum->shares > 0 && sum->normal_of > 0.0) {
        all.normal_share = sum->normal / sum->normal_of;
    }
    if (sum->ratios > 0 && sum->variances == sum->biases) {
        double relative = all.bias / all.variance;
        double error = hypot(all.bias_error, relative * all.variance_error) / all.variance;
        all.ratio = all.step_bias / all.step_variance;
        all.ratio_error = error / n;
        all.streamed_ratio = n * relative;
    }
    return all;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Of those there are; of an even number the mean of the two in the middle. */
static double median(int64_t count, double *values)
{
    if (count == 0) {
        return NAN;
    }
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2.0;
}

void diagnostics_publish(plumb *p, double eigenvalue)
{
    diagnostics *d = p->diagnostics;
    plumb_diagnosis *all = &d->results[p->parameter_count];
    echo_sum echoes = {0};
    update_sum updates = {0};
    int64_t scales = 0;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        publish_one(p, i, &echoes);
        add_update(&d->results[i].update, &updates);
        if (!isnan(d->results[i].nuclear_scale)) {
            d->room[scales++] = d->results[i].nuclear_scale;
        }
    }
    all->full_step = p->steps + 1;
    all->groups = noise_of(p, p->parameter_count, d->findings.gram_of_all);
    set_eigenvalue(all, eigenvalue);
    all->update = sum_of_updates(d->groups, &updates);
    all->nuclear_scale = median(scales, d->room);
    set_echo(all, &echoes);
}
