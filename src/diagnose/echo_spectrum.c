/*
 * plumb_echo_spectrum: checks, whitens if that is wanted, decomposes the mean and lets the method
 * judge its directions.
 */
#include "diagnose/echo_spectrum.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/echo_cross.h"
#include "diagnose/echo_law.h"
#include "diagnose/echo_reverb.h"
#include "diagnose/whitening.h"

static plumb_status take_options(const plumb_echo_options *given, echo_spectrum *s)
{
    plumb_echo_options *o = &s->options;
    *o = given != NULL ? *given : (plumb_echo_options){.size = sizeof *o};
    REQUIRE(o->size == sizeof *o, PLUMB_ERROR_ARGUMENT,
            "plumb_echo_options of %zu bytes are not known; this library's have %zu", o->size,
            sizeof *o);
    REQUIRE(o->method == PLUMB_ECHO_CROSS_VALIDATED || o->method == PLUMB_ECHO_PLUG_IN ||
                o->method == PLUMB_ECHO_REVERB,
            PLUMB_ERROR_ARGUMENT, "there is no method %d of an echo", (int)o->method);
    REQUIRE(o->most >= 0 && o->most <= s->groups.side, PLUMB_ERROR_ARGUMENT,
            "most is %lld: a %lld x %lld matrix has %lld singular directions", (long long)o->most,
            (long long)s->groups.rows, (long long)s->groups.cols, (long long)s->groups.side);
    REQUIRE(o->whiten == 0 || o->whiten == 1, PLUMB_ERROR_ARGUMENT,
            "whiten is %d: it must be 0 or 1", o->whiten);
    REQUIRE(o->folds >= 0 && (o->folds == 0 || s->groups.count % o->folds == 0),
            PLUMB_ERROR_ARGUMENT, "folds is %d: it must be 0 or a divisor of the %lld groups",
            o->folds, (long long)s->groups.count);
    o->most = o->most == 0 ? s->groups.side : o->most;
    s->groups.folds =
        o->method == PLUMB_ECHO_CROSS_VALIDATED && o->folds > 0 ? o->folds : s->groups.count;
    return PLUMB_OK;
}

static plumb_status plug_in(echo_spectrum *s)
{
    const echo_groups *g = &s->groups;
    double *group = NULL, squares = 0.0;
    PROPAGATE(memory_allocate(g->side * g->length, sizeof *group, &group));
    for (int64_t k = 0; k < g->count; k++) {
        echo_groups_fold(g, k, group);
        squares += echo_groups_distance(g, group, s->mean);
    }
    memory_free(&group);
    double count = (double)g->count, elements = (double)(g->side * g->length);
    double variance = squares / (count * (count - 1.0) * elements);
    for (int64_t i = 0; i < g->side; i++) {
        s->signals[i] = echo_law_signal(g->side, g->length, variance, s->svd.values[i]);
        double ratio = echo_law_ratio(g->side, g->length, variance, s->signals[i]);
        s->echoes[i] = echo_law_at(g->side, g->length, ratio);
    }
    return PLUMB_OK;
}

static void tell_nothing(echo_spectrum *s)
{
    for (int64_t i = 0; i < s->groups.side; i++) {
        s->signals[i] = NAN;
        s->echoes[i] = NAN;
    }
}

/* The decomposition of the mean comes last in cross-validation, which uses the same memory. A mean
 * of zero has no directions. */
static plumb_status judge(echo_spectrum *s)
{
    if (s->groups.folds < 2) {
        tell_nothing(s);
    } else if (s->options.method == PLUMB_ECHO_CROSS_VALIDATED) {
        PROPAGATE(
            echo_cross_validate(&s->groups, s->mean, &s->svd, s->signals, s->echoes, s->gains));
    }
    PROPAGATE(gram_svd_compute(&s->svd, s->mean));
    if (s->svd.values[0] == 0.0) {
        tell_nothing(s);
        return PLUMB_OK;
    }
    if (s->groups.folds < 2 || s->options.method == PLUMB_ECHO_CROSS_VALIDATED) {
        return PLUMB_OK;
    }
    return s->options.method == PLUMB_ECHO_PLUG_IN
               ? plug_in(s)
               : echo_reverb(&s->groups, &s->svd, s->mean, s->signals, s->echoes);
}

static plumb_status whiten(echo_spectrum *s)
{
    echo_whitening whitening = {0};
    if (s->options.whiten == 1) {
        PROPAGATE(whitening_create(&s->groups, &whitening));
        s->nothing = whitening.left == NULL;
        s->groups.whitening = whitening;
    }
    return PLUMB_OK;
}

static plumb_status compute(echo_spectrum *s)
{
    int64_t side = s->groups.side, length = s->groups.length;
    PROPAGATE(memory_allocate(side, sizeof(double), &s->signals));
    PROPAGATE(memory_allocate(side, sizeof(double), &s->echoes));
    PROPAGATE(memory_allocate(s->groups.folds, sizeof(double), &s->gains));
    PROPAGATE(whiten(s));
    if (s->nothing) {
        tell_nothing(s);
        return PLUMB_OK;
    }
    PROPAGATE(gram_svd_create(side, length, &s->svd));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &s->mean));
    echo_groups_mean(&s->groups, s->mean);
    return judge(s);
}

void echo_spectrum_free(echo_spectrum *spectrum)
{
    whitening_free(&spectrum->groups.whitening);
    gram_svd_free(&spectrum->svd);
    memory_free(&spectrum->mean);
    memory_free(&spectrum->signals);
    memory_free(&spectrum->echoes);
    memory_free(&spectrum->gains);
}

plumb_status echo_spectrum_create(int64_t rows, int64_t cols, int64_t count,
                                  const float *const *gradients, const plumb_echo_options *options,
                                  echo_spectrum *spectrum)
{
    *spectrum = (echo_spectrum){.nothing = false};
    PROPAGATE(echo_groups_init(rows, cols, count, gradients, &spectrum->groups));
    PROPAGATE(take_options(options, spectrum));
    plumb_status status = compute(spectrum);
    if (status != PLUMB_OK) {
        echo_spectrum_free(spectrum);
    }
    return status;
}

static void copy_leading(int64_t count, const double *from, double *to)
{
    if (to != NULL) {
        memcpy(to, from, (size_t)count * sizeof *to);
    }
}

plumb_status plumb_echo_spectrum(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups, const plumb_echo_options *options,
                                 double *observed, double *signals, double *echoes)
{
    echo_spectrum s;
    PROPAGATE(echo_spectrum_create(rows, cols, count, groups, options, &s));
    /* Without a noise to whiten, the observed values are as unknown as the rest. */
    copy_leading(s.options.most, s.nothing ? s.echoes : s.svd.values, observed);
    copy_leading(s.options.most, s.signals, signals);
    copy_leading(s.options.most, s.echoes, echoes);
    echo_spectrum_free(&s);
    return PLUMB_OK;
}
