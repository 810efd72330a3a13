/*
 * Diagnoses of a handle: the numbers that the functions without a handle find in the gradients as
 * they were given, with equal and unequal samples, by every pipeline and exchange; and values that
 * do not know of them.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plumb.h"
#include "support/diagnosed_run.h"
#include "support/test.h"

/* ---- A plain reference ---- */

/* One parameter's group means, or for the index DIAGNOSED_PARAMETERS all parameters one behind the other. */
typedef struct reference {
    int64_t length;
    int groups;
    double samples[DIAGNOSED_TOTAL];
    float *means[DIAGNOSED_TOTAL];
    plumb_noise noise; /* of the groups */
    double norms[DIAGNOSED_TOTAL], mean;
    double gram[DIAGNOSED_TOTAL * DIAGNOSED_TOTAL];
} reference;

static void add_micro_batch(const diagnosed_setup *s, int step, int64_t k, int index, double *sum)
{
    float *gradient = malloc(DIAGNOSED_MOST * sizeof *gradient);
    int64_t at = 0;
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        if (index == DIAGNOSED_PARAMETERS || i == index) {
            diagnosed_gradient(s, step, k, i, gradient);
            for (int64_t e = 0; e < diagnosed_elements(i); e++) {
                sum[at++] += diagnosed_samples(s, k) * (double)gradient[e];
            }
        }
    }
    free(gradient);
}

static int64_t length_of(int index)
{
    int64_t length = 0;
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i++) {
        length += index == DIAGNOSED_PARAMETERS || i == index ? diagnosed_elements(i) : 0;
    }
    return length;
}

static reference reference_make(const diagnosed_setup *s, int step, int index, int groups)
{
    reference r = {.length = length_of(index), .groups = groups};
    double *sum = malloc((size_t)r.length * sizeof *sum);
    for (int g = 0; g < groups; g++) {
        r.means[g] = malloc((size_t)r.length * sizeof **r.means);
        memset(sum, 0, (size_t)r.length * sizeof *sum);
        for (int64_t k = g * s->total / groups; k < (g + 1) * s->total / groups; k++) {
            add_micro_batch(s, step, k, index, sum);
            r.samples[g] += diagnosed_samples(s, k);
        }
        for (int64_t e = 0; e < r.length; e++) {
            r.means[g][e] = (float)(sum[e] / r.samples[g]);
        }
    }
    free(sum);
    r.noise.size = sizeof r.noise;
    plumb_gram(groups, r.length, (const float *const *)r.means, r.gram);
    plumb_noise_scale(groups, r.samples, r.gram, s->options.population, &r.noise);
    return r;
}

static void reference_free(reference *r)
{
    for (int g = 0; g < r->groups; g++) {
        free(r->means[g]);
    }
}

/* Both unknown, or equal to single precision times a little. */
static bool close_to(double actual, double expected, double scale)
{
    bool good = isnan(expected) ? isnan(actual) : fabs(actual - expected) <= 2e-5 * fabs(scale);
    if (!good) {
        fprintf(stderr, "%.9g is not %.9g\n", actual, expected);
    }
    return good;
}

static bool same(double actual, double expected)
{
    return close_to(actual, expected, expected);
}

static bool same_noise(const plumb_noise *a, const plumb_noise *b, bool errors)
{
    bool good = a->count == b->count && a->size == sizeof *a;
    good = good && same(a->samples, b->samples) && same(a->squared_norm, b->squared_norm);
    good = good && same(a->small_squared_norm, b->small_squared_norm);
    good = good && same(a->trace, b->trace) && same(a->signal, b->signal);
    good = good && same(a->scale, b->scale) && same(a->plateau, b->plateau);
    return good && same(a->trace_error, errors ? b->trace_error : NAN) &&
           same(a->signal_error, errors ? b->signal_error : NAN) &&
           same(a->scale_error, errors ? b->scale_error : NAN);
}

static bool same_update(const plumb_update_noise *a, const plumb_update_noise *b)
{
    bool good = a->count == b->count && a->size == sizeof *a;
    good = good && same(a->variance, b->variance) && same(a->variance_error, b->variance_error);
    good = good && close_to(a->bias, b->bias, b->variance);
    good = good && close_to(a->bias_error, b->bias_error, b->variance);
    good = good && close_to(a->step_bias, b->step_bias, b->step_variance);
    good = good && same(a->step_variance, b->step_variance);
    good = good && close_to(a->normal_share * a->bias, b->normal_share * b->bias, b->variance);
    good = good && close_to(a->ratio, b->ratio, 1.0);
    return good && close_to(a->ratio_error, b->ratio_error, 1.0) &&
           close_to(a->streamed_ratio, b->streamed_ratio, 10.0);
}

static bool right_spectrum(const diagnosed_outcome *o, int i, const reference *r,
                           plumb_diagnosis *expected)
{
    double spectra[3][24];
    int64_t side = diagnosed_shapes[i].rows < diagnosed_shapes[i].cols ? diagnosed_shapes[i].rows
                                                                       : diagnosed_shapes[i].cols;
    plumb_status status = plumb_echo_spectrum(diagnosed_shapes[i].rows, diagnosed_shapes[i].cols,
                                              r->groups, (const float *const *)r->means, NULL,
                                              spectra[0], spectra[1], spectra[2]);
    bool good = status == PLUMB_OK && o->directions[i] == side;
    double sum = 0.0;
    for (int64_t j = 0; j < side; j++) {
        for (int kind = 0; kind < 3; kind++) {
            good = good && close_to(o->spectra[i][kind][j], spectra[kind][j],
                                    kind < 2 ? spectra[0][0] : 10.0);
        }
        sum += o->spectra[i][2][j];
        expected->directions += o->spectra[i][2][j] > 0.5;
    }
    expected->directions_of = side;
    expected->echo = sum / (double)side;
    return good;
}

/* Everything that only matrices have. */
static bool right_matrix(const diagnosed_outcome *o, int i, const reference *r)
{
    const plumb_diagnosis *found = &o->found[i];
    const float *const *means = (const float *const *)r->means;
    plumb_diagnosis expected = {.update.size = sizeof expected.update};
    double error;
    bool good =
        plumb_update_bias(PLUMB_POLAR_SVD, diagnosed_shapes[i].rows, diagnosed_shapes[i].cols,
                          r->groups, means, NULL, &expected.update) == PLUMB_OK;
    good = good && same_update(&found->update, &expected.update);
    good = good && plumb_nuclear_noise_scale(diagnosed_shapes[i].rows, diagnosed_shapes[i].cols,
                                             r->groups, r->samples, means, &expected.nuclear_scale,
                                             &error) == PLUMB_OK;
    good = good && same(found->nuclear_scale, expected.nuclear_scale);
    good = good && right_spectrum(o, i, r, &expected);
    return good && same(found->echo, expected.echo) && found->directions == expected.directions &&
           found->directions_of == expected.directions_of;
}

static bool no_matrix(const diagnosed_outcome *o, int i)
{
    const plumb_diagnosis *found = &o->found[i];
    return isnan(found->update.variance) && isnan(found->update.bias) &&
           isnan(found->nuclear_scale) && isnan(found->echo) && found->directions == 0 &&
           found->directions_of == 0 && o->directions[i] == 0;
}

/* Sums over the matrices. */
static plumb_update_noise sum_of_updates(const diagnosed_outcome *o)
{
    plumb_update_noise sum = {.size = sizeof sum};
    double normal = 0.0, normal_of = 0.0;
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i += 2) {
        const plumb_update_noise *u = &o->found[i].update;
        sum.count = u->count;
        sum.variance += u->variance;
        sum.variance_error = hypot(sum.variance_error, u->variance_error);
        sum.bias += u->bias;
        sum.bias_error = hypot(sum.bias_error, u->bias_error);
        normal += isnan(u->normal_share) ? 0.0 : u->normal_share * u->bias;
        normal_of += isnan(u->normal_share) ? 0.0 : u->bias;
    }
    double n = (double)sum.count;
    sum.normal_share = normal_of > 0.0 ? normal / normal_of : NAN;
    sum.step_bias = sum.bias / n / n;
    sum.step_variance = sum.variance / n;
    sum.ratio = sum.step_bias / sum.step_variance;
    sum.ratio_error =
        hypot(sum.bias_error, sum.bias / sum.variance * sum.variance_error) / sum.variance / n;
    sum.streamed_ratio = n * sum.bias / sum.variance;
    return sum;
}

/* All parameters together come last. */
static bool right_all(const diagnosed_outcome *o)
{
    const plumb_diagnosis *all = &o->found[DIAGNOSED_PARAMETERS];
    plumb_update_noise sum = sum_of_updates(o);
    double echo = 0.0;
    int64_t directions = 0;
    int64_t above = 0;
    for (int i = 0; i < DIAGNOSED_PARAMETERS; i += 2) {
        echo += o->found[i].echo * (double)o->found[i].directions_of;
        directions += o->found[i].directions_of;
        above += o->found[i].directions;
    }
    double a = o->found[0].nuclear_scale;
    double b = o->found[2].nuclear_scale;
    double c = o->found[4].nuclear_scale;
    double middle = fmax(fmin(a, b), fmin(fmax(a, b), c));
    return same_update(&all->update, &sum) && same(all->nuclear_scale, middle) &&
           same(all->echo, echo / (double)directions) && all->directions == above &&
           all->directions_of == DIAGNOSED_SIDES && directions == DIAGNOSED_SIDES;
}

static bool right_groups(const diagnosed_setup *s, const diagnosed_outcome *o, int step, int index,
                         int groups)
{
    const plumb_diagnosis *found = &o->found[index];
    reference r = reference_make(s, step, index, groups);
    double reduced = NAN;
    plumb_covariance_spectrum(groups, r.samples, r.gram, 1, NULL, &reduced, NULL);
    bool good = found->full_step == step && same_noise(&found->groups, &r.noise, true);
    good = good && same(found->eigenvalue, reduced) &&
           same(found->eigenvalue_share, reduced / r.noise.trace);
    if (index < DIAGNOSED_PARAMETERS && !s->unequal) {
        good = good && (index % 2 == 0 ? right_matrix(o, index, &r) : no_matrix(o, index));
    }
    reference_free(&r);
    return good;
}

/* Micro-batches as groups of one: the same formulas, the errors left out. */
static bool right_norms(const diagnosed_setup *s, const diagnosed_outcome *o, int step, int index)
{
    reference r = reference_make(s, step, index, (int)s->total);
    plumb_noise expected = {.size = sizeof expected};
    for (int k = 0; k < s->total; k++) {
        r.norms[k] = r.gram[k * s->total + k];
    }
    plumb_status status = plumb_noise_from_norms(s->total, r.samples, r.norms, r.noise.squared_norm,
                                                 s->options.population, &expected);
    bool good = status == PLUMB_OK && o->found[index].step == step &&
                same_noise(&o->found[index].noise, &expected, false);
    reference_free(&r);
    return good;
}

static void expect_right(const diagnosed_setup *s, const diagnosed_outcome *o, int groups)
{
    bool good = true;
    for (int index = 0; index <= DIAGNOSED_PARAMETERS; index++) {
        bool here = right_norms(s, o, DIAGNOSED_STEPS, index);
        bool full = s->options.diagnostics == PLUMB_DIAGNOSTICS_FULL;
        here = here && (!full || right_groups(s, o, DIAGNOSED_STEPS, index, groups));
        if (!here) {
            fprintf(stderr, "diagnosis of %s\n",
                    index < DIAGNOSED_PARAMETERS ? diagnosed_shapes[index].name : "all");
        }
        good = good && here;
    }
    test_all(good);
}

START_TEST(numbers_are_those_of_the_gradients)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_ECONOMY);
    diagnosed_run_on_all(&s, &o);
    expect_right(&s, &o, 0);
    test_all(o.found[0].full_step == 0 && isnan(o.found[0].groups.trace) && o.directions[0] == 0);
    s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.clip_norm = 0.1;
    diagnosed_run_on_all(&s, &o);
    expect_right(&s, &o, DIAGNOSED_TOTAL);
    bool together = right_all(&o);
    test_all(together);
    for (int groups = 2; groups <= 4; groups += 2) {
        s.options.groups = groups;
        s.options.population = 1000.0;
        diagnosed_run_on_all(&s, &o);
        expect_right(&s, &o, groups);
    }
    test_all(o.found[0].update.normal_share > 0.1);
}
END_TEST

START_TEST(unequal_samples)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.unequal = true;
    s.options.groups = 4;
    diagnosed_run_on_all(&s, &o);
    expect_right(&s, &o, 4);
    test_all(o.found[0].nuclear_scale > 0.0 && isnan(o.found[0].update.variance) &&
             isnan(o.found[0].echo) && isnan(o.spectra[0][2][0]));
}
END_TEST

START_TEST(values_do_not_know_of_diagnostics)
{
    static const plumb_exchange exchanges[] = {PLUMB_EXCHANGE_TRANSPOSED, PLUMB_EXCHANGE_ALLREDUCE};
    for (int i = 0; i < 3; i++) {
        diagnosed_outcome off;
        diagnosed_outcome on;
        diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_OFF);
        s.options.exchange = exchanges[i / 2];
        s.options.shared_memory = i != 1;
        diagnosed_run_on_all(&s, &off);
        s.options.diagnostics = PLUMB_DIAGNOSTICS_ECONOMY;
        diagnosed_run_on_all(&s, &on);
        test_all(strcmp(off.hash, on.hash) == 0);
        expect_right(&s, &on, 0);
        s.options.diagnostics = PLUMB_DIAGNOSTICS_FULL;
        diagnosed_run_on_all(&s, &on);
        test_all(strcmp(off.hash, on.hash) == 0);
        expect_right(&s, &on, DIAGNOSED_TOTAL);
    }
}
END_TEST

/* What pipelines form of gradients is no mean of them: then norms alone are known. */
START_TEST(pipelines)
{
    for (int kind = 0; kind <= (int)PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; kind++) {
        diagnosed_outcome o;
        diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
        s.pipeline = (plumb_pipeline)kind;
        diagnosed_run_on_all(&s, &o);
        bool kept = kind == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE ||
                    kind == PLUMB_PIPELINE_NORMALISED_WITH_NORM;
        const plumb_noise *noise = &o.found[0].noise;
        bool good = noise->small_squared_norm > 0.0 && noise->count == DIAGNOSED_TOTAL;
        good = good && (kept ? right_norms(&s, &o, DIAGNOSED_STEPS, 0)
                             : isnan(noise->squared_norm) && isnan(noise->trace) &&
                                   isnan(noise->scale) && isnan(noise->plateau));
        good = good && isnan(o.found[DIAGNOSED_PARAMETERS].noise.trace) == !kept;
        good = good && right_norms(&s, &o, DIAGNOSED_STEPS, 1) &&
               right_groups(&s, &o, DIAGNOSED_STEPS, 0, DIAGNOSED_TOTAL);
        test_all(good);
    }
}
END_TEST

START_TEST(one_group_tells_nothing)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.groups = 1;
    diagnosed_run_on_all(&s, &o);
    bool good = true;
    for (int i = 0; i <= DIAGNOSED_PARAMETERS; i++) {
        const plumb_diagnosis *found = &o.found[i];
        good =
            good && right_norms(&s, &o, DIAGNOSED_STEPS, i) && found->full_step == DIAGNOSED_STEPS;
        good = good && found->groups.count == 1 && found->groups.squared_norm > 0.0;
        good = good && isnan(found->groups.trace) && isnan(found->eigenvalue);
        good = good && isnan(found->update.variance) && isnan(found->nuclear_scale);
        good = good && isnan(found->echo) && found->directions_of == 0;
    }
    test_all(good);
    test_all(s.lines == 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("numbers of a handle's diagnoses");
    test_add(suite, "numbers", numbers_are_those_of_the_gradients);
    test_add(suite, "unequal samples", unequal_samples);
    test_add(suite, "values", values_do_not_know_of_diagnostics);
    test_add(suite, "pipelines", pipelines);
    test_add(suite, "one group", one_group_tells_nothing);
    return test_run_mpi(suite, &argc, &argv);
}
