/*
 * From parameters to the total of a step, and from steps to their mean: numerators and denominators
 * each for themselves, ratios last. See diagnosing.h.
 */
#include "app/diagnosing.h"

#include <math.h>
#include <stdlib.h>

bool finding_total_allocate(const diagnosing *d, finding_total *t)
{
    t->f = diagnosing_finding(d, -1);
    t->nuclear = malloc((size_t)d->parameter_count * sizeof *t->nuclear);
    return finding_allocate(&t->f) && t->nuclear != NULL;
}

void finding_total_free(finding_total *t)
{
    finding_free(&t->f);
    free(t->nuclear);
    t->nuclear = NULL;
}

void finding_total_clear(finding_total *t)
{
    finding_clear(&t->f);
    for (int i = 0; i < FINDING_VALUES; i++) {
        t->weights[i] = 0.0;
    }
    t->nuclear_count = 0;
    t->parameters = 0;
    t->constant = 0;
}

static void add_value(finding_total *t, const finding *f, int i)
{
    double value = f->values[i];
    double *sum = &t->f.values[i];
    double weight = 1.0;
    switch (finding_entries[i].total) {
    case TOTAL_NONE:
        return;
    case TOTAL_SUM:
        break;
    case TOTAL_ROOT:
        value *= value;
        break;
    case TOTAL_DIRECTIONS:
        weight = f->values[ECHO_DIRECTIONS_OF];
        value *= weight;
        break;
    }
    if (!isnan(value)) {
        *sum = t->weights[i] > 0.0 ? *sum + value : value;
        t->weights[i] += weight;
    }
}

/* Every parameter in the same order on any number of ranks. */
void finding_total_add(finding_total *t, const finding *f)
{
    const double *v = f->values;
    t->parameters++;
    t->constant += finding_has(f, REASON_CONSTANT);
    for (int64_t i = 0; i < f->gram_count * f->gram_count; i++) {
        t->f.gram[i] += f->gram[i];
    }
    for (int i = 0; i < FINDING_VALUES; i++) {
        add_value(t, f, i);
    }
    if (!isnan(v[NUCLEAR_SCALE])) {
        t->nuclear[t->nuclear_count++] = v[NUCLEAR_SCALE];
    }
    for (int bit = 0; bit < REASON_COUNT; bit++) {
        finding_reason reason = (finding_reason)(1 << bit);
        const int own =
            REASON_ONE_GROUP | REASON_ZERO | REASON_CONSTANT | REASON_UNDETERMINED | REASON_VECTOR;
        if (finding_has(f, reason) && ((int)reason & own) == 0) {
            finding_add_reason(&t->f, reason);
        }
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t count)
{
    if (count == 0) {
        return NAN;
    }
    qsort(values, (size_t)count, sizeof *values, by_size);
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* Ratios of bias to variance, from both. Errors by the delta method, both taken as independent. */
static void set_ratios(const diagnosing *d, finding *f)
{
    double *v = f->values;
    double bias = v[UPDATE_STEP_BIAS], variance = v[UPDATE_STEP_VARIANCE];
    double groups = (double)d->groups;
    v[UPDATE_RATIO] = variance > 0.0 ? bias / variance : NAN;
    v[UPDATE_STREAMED_RATIO] = groups * v[UPDATE_BIAS] / v[UPDATE_VARIANCE];
    double relative = v[UPDATE_VARIANCE_ERROR] / v[UPDATE_VARIANCE];
    double step_bias_error = v[UPDATE_BIAS_ERROR] / (groups * groups);
    v[UPDATE_RATIO_ERROR] = hypot(step_bias_error / variance, v[UPDATE_RATIO] * relative);
    if (!(v[UPDATE_VARIANCE] > 0.0)) {
        v[UPDATE_STREAMED_RATIO] = NAN;
        v[UPDATE_RATIO_ERROR] = NAN;
    }
}

void finding_total_finish(diagnosing *d, finding_total *t)
{
    double *v = t->f.values;
    for (int i = 0; i < FINDING_VALUES; i++) {
        if (finding_entries[i].total == TOTAL_ROOT) {
            v[i] = sqrt(v[i]);
        } else if (finding_entries[i].total == TOTAL_DIRECTIONS && t->weights[i] > 0.0) {
            v[i] /= t->weights[i];
        }
    }
    v[NUCLEAR_SCALE] = median(t->nuclear, t->nuclear_count);
    for (int i = POLAR_BIAS; i <= ISOTROPIC_DISTANCE; i++) {
        if (finding_has(&t->f, REASON_EXPANSION) || finding_has(&t->f, REASON_NUMERICAL)) {
            v[i] = NAN; /* a sum over some matrices alone */
        }
    }
    set_ratios(d, &t->f);
    finding_share_bias(&t->f);
    diagnose_gram(d, &t->f);
    if (t->constant == t->parameters && !finding_has(&t->f, REASON_ZERO)) {
        finding_add_reason(&t->f, REASON_CONSTANT);
    }
}

bool finding_average_start(finding_average *a, finding shape)
{
    a->mean = shape;
    a->mean.gram_count = 0;
    a->spectrum_step = -1;
    /* A moving average that forgets next to nothing is a plain mean. */
    return plumb_noise_average_init(&a->noise, sizeof a->noise, 1.0 - 1e-6) == PLUMB_OK &&
           finding_allocate(&a->mean);
}

void finding_average_free(finding_average *a)
{
    finding_free(&a->mean);
}

static void add(double *sum, double value)
{
    *sum = isnan(*sum) ? value : *sum + value;
}

void finding_average_add(diagnosing *d, finding_average *a, int64_t step, const finding *f)
{
    double *sums = a->mean.values;
    a->steps++;
    a->last_noise = finding_noise(d, f);
    failure_from_library(&d->failure, plumb_noise_average_add(&a->noise, &a->last_noise), NULL);
    a->trace_variance += pow(a->last_noise.trace_error, 2.0);
    a->signal_variance += pow(a->last_noise.signal_error, 2.0);
    for (int i = 0; i < FINDING_VALUES; i++) {
        double value = f->values[i];
        if (finding_entries[i].rule == AVERAGE_BITS) {
            sums[i] = (double)((int)sums[i] | (int)value);
        } else if (!isnan(value)) {
            add(&sums[i], finding_entries[i].rule == AVERAGE_ERROR ? value * value : value);
            a->counts[i]++;
        }
    }
    for (int i = 0; i < f->eigenvalue_count; i++) {
        /* Not available in one step: not in the mean either. */
        bool first = a->steps == 1;
        a->mean.eigenvalues[i] = f->eigenvalues[i] + (first ? 0.0 : a->mean.eigenvalues[i]);
        a->mean.reduced[i] = f->reduced[i] + (first ? 0.0 : a->mean.reduced[i]);
    }
    if (f->direction_count > 0 && !isnan(f->directions[DIRECTION_OBSERVED])) {
        a->spectrum_step = step;
        for (int64_t i = 0; i < f->direction_count * DIRECTION_VALUES; i++) {
            a->mean.directions[i] = f->directions[i];
        }
    }
}

/*
 * The library's errors are those of the spread over steps, in which the gradient itself changes.
 * What is asked here is the mean over these very steps: its errors are those within steps. Where
 * there are none (two gradients a step), the spread over at least four steps has to do.
 */
static void set_errors(const finding_average *a, plumb_noise *n)
{
    const int64_t fewest = 4;
    double steps = (double)a->steps;
    double trace_error = sqrt(a->trace_variance) / steps;
    double signal_error = sqrt(a->signal_variance) / steps;
    if (!isnan(signal_error) && !isnan(trace_error)) {
        n->trace_error = trace_error;
        n->signal_error = signal_error;
        n->scale = n->signal > 2.0 * signal_error ? n->trace / n->signal : NAN;
        n->scale_error =
            hypot(trace_error / n->signal, n->trace * signal_error / (n->signal * n->signal));
    } else if (a->steps < fewest) {
        n->trace_error = NAN;
        n->signal_error = NAN;
        n->scale = NAN;
    }
    if (isnan(n->scale)) {
        n->scale_error = NAN;
    }
}

/* Of a single step, its own. */
static void finish_noise(diagnosing *d, finding_average *a)
{
    finding *m = &a->mean;
    plumb_noise noise = a->last_noise;
    noise.squared_norm = m->values[NOISE_SQUARED_NORM];
    noise.small_squared_norm = m->values[NOISE_SMALL_SQUARED_NORM];
    if (a->steps > 1) {
        plumb_noise mean = {.size = sizeof mean};
        plumb_status status = plumb_noise_average_result(&a->noise, &a->last_noise, &mean);
        failure_from_library(&d->failure, status, NULL);
        mean.squared_norm = noise.squared_norm;
        mean.small_squared_norm = noise.small_squared_norm;
        noise = mean;
        set_errors(a, &noise);
        double fraction =
            d->options->population > 0.0 ? 1.0 - d->total_samples / d->options->population : 1.0;
        noise.plateau = 1.0 / (1.0 + noise.scale * fraction / d->total_samples);
    }
    finding_set_noise(m, &noise);
    finding_set_norm_test(d, m, &noise);
    m->values[FINDING_REASONS] =
        (double)((int)m->values[FINDING_REASONS] & ~(int)REASON_UNDETERMINED);
    if (isnan(noise.scale) && !isnan(noise.signal) && noise.squared_norm > 0.0) {
        finding_add_reason(m, REASON_UNDETERMINED);
    }
}

void finding_average_finish(diagnosing *d, finding_average *a)
{
    finding *m = &a->mean;
    double *v = m->values;
    for (int i = 0; i < FINDING_VALUES; i++) {
        double count = (double)a->counts[i];
        averaging_rule rule = finding_entries[i].rule;
        if (rule == AVERAGE_MEAN || rule == AVERAGE_STRICT) {
            v[i] = rule == AVERAGE_STRICT && a->counts[i] < a->steps ? NAN : v[i] / count;
        } else if (rule == AVERAGE_ERROR) {
            v[i] = sqrt(v[i]) / count;
        }
    }
    for (int i = 0; i < m->eigenvalue_count; i++) {
        m->eigenvalues[i] /= (double)a->steps;
        m->reduced[i] /= (double)a->steps;
    }
    if (isnan(v[NUCLEAR_SCALE])) {
        v[NUCLEAR_SCALE_ERROR] = NAN;
    }
    finish_noise(d, a);
    v[EIGENVALUE_SHARE] =
        m->eigenvalue_count > 0 && v[NOISE_TRACE] > 0.0 ? m->reduced[0] / v[NOISE_TRACE] : NAN;
    if (a->steps > 1) {
        set_ratios(d, m);
    } /* of one step: the library's, which knows how both errors go together */
    finding_share_bias(m);
}

void diagnose_conclude(diagnosing *d, diagnose_conclusion *c)
{
    const diagnose_options *o = d->options;
    plumb_advice_input input = {.size = sizeof input,
                                .noise = finding_noise(d, &d->total.mean),
                                .update = finding_update(d, &d->total.mean),
                                .micro_batches = d->micro_batches,
                                .groups = (int)d->groups,
                                .ranks = (int)o->ranks,
                                .orthogonalises_first = o->update == DIAGNOSE_STREAMED};
    if (o->update == DIAGNOSE_PLAIN) {
        input.update.variance = NAN;
    }
    *c = (diagnose_conclusion){.advice = {.size = sizeof c->advice},
                               .effect = {.size = sizeof c->effect}};
    c->other_samples = o->other_samples > 0.0 ? o->other_samples : 2.0 * d->total_samples;
    failure_from_library(&d->failure, plumb_advise(&input, &c->advice), NULL);
    plumb_status status = plumb_batch_effects(
        d->total_samples, input.noise.scale, o->learning_rate > 0.0 ? o->learning_rate : 1.0,
        o->beta1, o->population, c->other_samples, &c->effect);
    failure_from_library(&d->failure, status, NULL);
    if (!(o->learning_rate > 0.0)) {
        c->effect.temperature = NAN;
        c->effect.linear_rate = NAN;
        c->effect.square_root_rate = NAN;
    }
}
