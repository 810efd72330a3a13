/*
 * Runs with exact results and their plain reference (exact_run.h).
 */
#define _POSIX_C_SOURCE 200809L

#include "support/exact_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/test.h"

/* One element, one row, one column, whole blocks, and several buckets without whole blocks. */
static const struct {
    const char *name;
    int64_t rows, cols;
} shapes[EXACT_PARAMETERS] = {{"one", 1, 1},          {"row", 1, 37},      {"blocks", 2, 4096},
                              {"column", 5003, 1},    {"matrix", 70, 123}, {"other", 1, 1},
                              {"large", 1, 40000 + 7}};

static int64_t elements(int i)
{
    return shapes[i].rows * shapes[i].cols;
}

int64_t exact_run_elements(void)
{
    int64_t sum = 0;
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        sum += elements(i);
    }
    return sum;
}

void exact_run_init(exact_run *r)
{
    memset(r, 0, sizeof *r);
    plumb_options_init(&r->options, sizeof r->options);
    r->options.replica_check = 1;
    r->steps = 1;
    for (int step = 0; step < EXACT_STEPS; step++) {
        r->totals[step] = 8;
    }
}

static float gradient_element(int step, int64_t k, int i, int64_t e)
{
    return test_integer((uint64_t)step * 1000 + (uint64_t)k, (uint64_t)i, (uint64_t)e, 500);
}

static double samples_of(const exact_run *r, int64_t k)
{
    return r->unequal_samples ? 1.0 + (double)(k % 4) : r->options.nominal_samples;
}

static double loss_of(int64_t k)
{
    return 0.25 * (double)(3 * k + 1);
}

static int64_t norm_count_of(const exact_run *r, int64_t k)
{
    return r->norms ? k % 3 : 0;
}

static float norm_of(int64_t k, int64_t i)
{
    return (float)(100 * k + i) + 0.5f;
}

void exact_model_make(exact_model *m)
{
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        m->values[i] = calloc((size_t)elements(i), sizeof(float));
        m->expected[i] = calloc((size_t)elements(i), sizeof(float));
    }
    m->norm = 0.0;
}

void exact_model_free(exact_model *m)
{
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        free(m->values[i]);
        free(m->expected[i]);
    }
}

plumb_status exact_model_register(const exact_model *m, plumb *p)
{
    plumb_parameter_options options;
    plumb_status status =
        plumb_parameter_options_init(&options, sizeof options, PLUMB_OPTIMIZER_SGD);
    options.beta1 = 0.0;
    for (int i = 0; i < EXACT_PARAMETERS && status == PLUMB_OK; i++) {
        int id = -1;
        status = plumb_add_parameter(p, shapes[i].name, shapes[i].rows, shapes[i].cols,
                                     m->values[i], &options, &id);
    }
    return status;
}

static plumb_status give_one(const exact_run *r, int step, int64_t k, int i, plumb *p)
{
    float *memory = malloc((size_t)elements(i) * sizeof *memory);
    float *gradient = memory;
    plumb_status status = r->own_memory ? PLUMB_OK : plumb_gradient_buffer(p, i, &gradient);
    if (status == PLUMB_OK) {
        for (int64_t e = 0; e < elements(i); e++) {
            gradient[e] = gradient_element(step, k, i, e);
        }
        status = plumb_accumulate(p, i, k, gradient);
    }
    free(memory);
    return status;
}

/* Up to half a millisecond, different for every rank, step, micro-batch and parameter. */
static plumb_status rest(int step, int64_t k, int i, plumb *p)
{
    float part = test_value((uint64_t)step, (uint64_t)k, (uint64_t)i);
    struct timespec pause = {.tv_nsec = part > 0.0f ? (long)(part * 500000.0f) : 0};
    nanosleep(&pause, NULL);
    return plumb_progress(p);
}

static plumb_status describe_one(const exact_run *r, int64_t k, plumb *p)
{
    float norms[3];
    int64_t count = norm_count_of(r, k);
    for (int64_t i = 0; i < count; i++) {
        norms[i] = norm_of(k, i);
    }
    return plumb_describe_micro_batch(p, k, samples_of(r, k), loss_of(k), norms, count);
}

plumb_status exact_model_give(const exact_run *r, int step, plumb *p)
{
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(p, r->totals[step], &first, &count);
    for (int64_t n = 0; n < count && status == PLUMB_OK; n++) {
        int64_t k = r->descending ? first + count - 1 - n : first + n;
        status = describe_one(r, k, p);
        for (int i = EXACT_PARAMETERS - 1; i >= 0 && status == PLUMB_OK; i--) {
            status = give_one(r, step, k, i, p);
            if (status == PLUMB_OK && r->uneven_pace) {
                status = rest(step, k, i, p);
            }
        }
    }
    return status;
}

/* Sum of weighted gradients, exact in double and, by the choice of numbers, in float. */
static double exact_sum(const exact_run *r, int step, int i, int64_t e)
{
    double sum = 0.0;
    for (int64_t k = 0; k < r->totals[step]; k++) {
        double weight = samples_of(r, k) / r->options.nominal_samples;
        sum += weight * (double)gradient_element(step, k, i, e);
    }
    return sum;
}

static double exact_divisor(const exact_run *r, int step)
{
    double divisor = 0.0;
    for (int64_t k = 0; k < r->totals[step]; k++) {
        divisor += samples_of(r, k) / r->options.nominal_samples;
    }
    return divisor;
}

void exact_model_step(const exact_run *r, int step, exact_model *m)
{
    double divisor = exact_divisor(r, step);
    double squares = 0.0;
    float *means[EXACT_PARAMETERS];
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        means[i] = malloc((size_t)elements(i) * sizeof(float));
        for (int64_t e = 0; e < elements(i); e++) {
            double sum = exact_sum(r, step, i, e);
            squares += sum * sum;
            means[i][e] = (float)sum / (float)divisor;
        }
    }
    m->norm = sqrt(squares) / divisor;
    double clip = r->options.clip_norm;
    float factor = clip > 0.0 && m->norm > clip ? (float)(clip / m->norm) : 1.0f;
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        for (int64_t e = 0; e < elements(i); e++) {
            m->expected[i][e] -= means[i][e] * factor;
        }
        free(means[i]);
    }
}

bool exact_model_equal(const exact_model *m)
{
    for (int i = 0; i < EXACT_PARAMETERS; i++) {
        for (int64_t e = 0; e < elements(i); e++) {
            if (m->values[i][e] != m->expected[i][e]) {
                fprintf(stderr, "parameter %s, element %lld: %.9g, not %.9g\n", shapes[i].name,
                        (long long)e, (double)m->values[i][e], (double)m->expected[i][e]);
                return false;
            }
        }
    }
    return true;
}

static bool expect(bool condition, const char *what, double is, double should)
{
    if (!condition) {
        fprintf(stderr, "%s: %.17g, not %.17g\n", what, is, should);
    }
    return condition;
}

static bool equal(const char *what, double is, double should)
{
    return expect(is == should, what, is, should);
}

static bool near(const char *what, double is, double should)
{
    return expect(fabs(is - should) <= 1e-13 * fabs(should), what, is, should);
}

static bool norms_hold(const exact_run *r, int step, const plumb *p)
{
    const float *norms = NULL;
    int64_t count = -1;
    if (plumb_sample_norms(p, &norms, &count) != PLUMB_OK) {
        return false;
    }
    int64_t next = 0;
    for (int64_t k = 0; k < r->totals[step]; k++) {
        for (int64_t i = 0; i < norm_count_of(r, k); i++, next++) {
            if (next >= count || norms[next] != norm_of(k, i)) {
                return equal("per-sample norm", (double)next, (double)count);
            }
        }
    }
    return equal("number of per-sample norms", (double)count, (double)next);
}

static bool report_holds(const exact_run *r, int step, const exact_model *m, const plumb *p,
                         const plumb_report *report)
{
    double samples = 0.0;
    double loss = 0.0;
    for (int64_t k = 0; k < r->totals[step]; k++) {
        samples += samples_of(r, k);
        loss += loss_of(k);
    }
    double clip = r->options.clip_norm;
    bool clipped = clip > 0.0 && m->norm > clip;
    int groups = r->options.groups;
    return equal("step", (double)report->step, step + 1.0) &&
           equal("micro_batches", (double)report->micro_batches, (double)r->totals[step]) &&
           (groups == 0 || equal("groups", report->groups, groups)) &&
           equal("samples", report->samples, samples) &&
           near("loss", report->loss, loss / samples) &&
           near("gradient_norm", report->gradient_norm, m->norm) &&
           near("clip_factor", report->clip_factor, clipped ? clip / m->norm : 1.0) &&
           expect(report->exchange_seconds > 0.0 && report->update_seconds > 0.0, "seconds",
                  report->exchange_seconds, report->update_seconds) &&
           expect(report->overlap >= 0.0 && report->overlap <= 1.0, "overlap", report->overlap,
                  1.0) &&
           norms_hold(r, step, p);
}

/* The report must be the same on all ranks, times included. */
static bool same_everywhere(MPI_Comm communicator, const plumb_report *report)
{
    plumb_report first = *report;
    MPI_Bcast(&first, (int)sizeof first, MPI_BYTE, 0, communicator);
    return equal("exchange_seconds", report->exchange_seconds, first.exchange_seconds) &&
           equal("update_seconds", report->update_seconds, first.update_seconds) &&
           equal("exchange_bytes", (double)report->exchange_bytes, (double)first.exchange_bytes) &&
           equal("exchange_messages", (double)report->exchange_messages,
                 (double)first.exchange_messages) &&
           equal("overlap", report->overlap, first.overlap) &&
           equal("gradient_norm", report->gradient_norm, first.gradient_norm) &&
           equal("loss", report->loss, first.loss);
}

static bool succeeded(const plumb *p, plumb_status status)
{
    if (status != PLUMB_OK) {
        fprintf(stderr, "%s: %s\n", plumb_status_name(status), plumb_error_message(p));
    }
    return status == PLUMB_OK;
}

/* A rank that cannot give its gradients still ends the step: the others wait for it. */
static plumb_status take_step(const exact_run *r, int step, plumb *p, plumb_report *report)
{
    plumb_status status = plumb_begin_step(p, r->totals[step]);
    if (status == PLUMB_OK) {
        plumb_status given = exact_model_give(r, step, p);
        status = plumb_end_step(p, 1.0, report);
        status = given != PLUMB_OK ? given : status;
    }
    return status;
}

bool exact_run_holds(MPI_Comm communicator, const exact_run *r, plumb_report *last)
{
    plumb *p = NULL;
    exact_model m;
    exact_model_make(&m);
    bool good = succeeded(p, plumb_create(communicator, &r->options, &p)) &&
                succeeded(p, exact_model_register(&m, p));
    for (int step = 0; step < r->steps && good; step++) {
        plumb_report report = {.size = sizeof report};
        good = succeeded(p, take_step(r, step, p, &report));
        if (good) {
            exact_model_step(r, step, &m);
            bool same = same_everywhere(communicator, &report);
            good = same && exact_model_equal(&m) && report_holds(r, step, &m, p, &report);
        }
        if (last != NULL) {
            *last = report;
        }
        int mine = good;
        int all = 0;
        MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, communicator);
        good = all == 1;
    }
    plumb_destroy(&p);
    exact_model_free(&m);
    return good;
}
