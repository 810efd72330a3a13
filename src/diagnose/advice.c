/*
 * From the measured size of noise and bias to words: what limits a run, and what to change. The
 * rules stand here and nowhere else, so that the program, its recordings and a caller of the
 * library say the same of the same numbers.
 *
 * The rules, B being the samples of a step and B_n the noise scale (McCandlish et al. 2018, arXiv
 * 1812.06162: at B = B_n a step is worth half of one without noise):
 *
 *   a number whose standard error is not smaller than itself is not known (a ratio is, if two of
 *   them leave it below 1);
 *   bias over variance known and above 1            bias limits
 *   else B below B_n / 4                            variance limits: a larger batch pays
 *        B above 4 B_n                              neither: returns have diminished
 *        between                                    neither: the batch is near its best trade
 *   else B_n unknown, but trace / signal at two errors in favour of a smaller B_n still above 4 B:
 *                                                   variance limits, and B_n has a lower bound
 *   else                                            unknown: not enough data
 *
 * Noise that is rounding, as of micro-batches that all have the same samples, is none: then B_n is
 * unknown, and the words say why.
 *
 * A verdict that two standard errors would change is called probable.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "plumb.h"
#include "base/error.h"

/* B_n / B above it: variance dominates; below its inverse: returns have diminished. */
static const double dominance = 4.0;

/* tr S / B over the signal: below it there is only the rounding of single precision. */
static const double least_noise = 1e-6;

/* What is known of one batch, and the words so far. */
typedef struct judgement {
    const plumb_advice_input *input;
    double scale, scale_error; /* B_n; NAN: not known */
    double least_scale;        /* lower bound of an unknown B_n; NAN: none */
    double bias, bias_error;   /* bias over variance of this pipeline's step; NAN: not known */
    plumb_limit limit;
    bool sure; /* two standard errors leave the verdict as it is */
    char *text;
    size_t size, used;
} judgement;

__attribute__((format(printf, 2, 3))) static void say(judgement *j, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(j->text + j->used, j->size - j->used, format, arguments);
    va_end(arguments);
    size_t room = j->size - j->used - 1;
    j->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room;
}

enum { NUMBER_SIZE = 48 };

/* With the digits that `scale` has at `digits` of its own, and without an exponent where people
 * would not write one. */
static const char *rounded(double value, double scale, int digits, char text[NUMBER_SIZE])
{
    if (!(fabs(scale) >= 1e-4 && fabs(value) < 1e9)) {
        snprintf(text, NUMBER_SIZE, "%.3g", value);
        return text;
    }
    int decimals = digits - 1 - (int)floor(log10(fabs(scale)));
    if (decimals > 0) {
        snprintf(text, NUMBER_SIZE, "%.*f", decimals, value);
    } else {
        double unit = pow(10.0, -decimals);
        snprintf(text, NUMBER_SIZE, "%.0f", round(value / unit) * unit);
    }
    return text;
}

static const char *number(double value, char text[NUMBER_SIZE])
{
    return rounded(value, value, 3, text);
}

/* To the second digit of its error. */
static void say_with_error(judgement *j, double value, double error)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE];
    double scale = error > 0.0 ? error : value;
    say(j, "%s ± %s", rounded(value, scale, 2, a), rounded(error, scale, 2, b));
}

/* Of samples or micro-batches; an estimate of many has three digits. */
static const char *count(double value, char text[NUMBER_SIZE])
{
    if (value >= 100.0) {
        return number(value, text);
    }
    snprintf(text, NUMBER_SIZE, "%.3g", value);
    return text;
}

static bool known(double value, double error)
{
    return isfinite(value) && isfinite(error) && error >= 0.0 && error < fabs(value);
}

/* Or small enough to be below 1 for certain, whatever its sign. */
static bool ratio_known(double ratio, double error)
{
    return known(ratio, error) || (isfinite(ratio) && error >= 0.0 && ratio + 2.0 * error < 1.0);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The least noise scale that signal and trace leave possible, where they do not give one. */
static double least_scale(const plumb_noise *noise)
{
    double trace = noise->trace - 2.0 * noise->trace_error;
    double signal = larger(noise->signal, 0.0) + 2.0 * noise->signal_error;
    return isfinite(trace) && isfinite(signal) && trace > 0.0 && signal > 0.0 ? trace / signal
                                                                              : NAN;
}

/* Every micro-batch has the same gradient. */
static bool without_noise(const plumb_noise *noise)
{
    return noise->signal > 0.0 && noise->trace <= least_noise * noise->samples * noise->signal;
}

/* Measured, and zero: of zeros there is neither trace nor signal. */
static bool without_gradient(const plumb_noise *noise)
{
    return isfinite(noise->samples) && noise->squared_norm == 0.0 && !(noise->trace > 0.0) &&
           !(noise->signal > 0.0);
}

static void weigh(judgement *j)
{
    const plumb_noise *noise = &j->input->noise;
    const plumb_update_noise *update = &j->input->update;
    bool good = known(noise->scale, noise->scale_error) && noise->scale > 0.0 &&
                isfinite(noise->samples) && !without_noise(noise);
    j->scale = good ? noise->scale : NAN;
    j->scale_error = good ? noise->scale_error : NAN;
    j->least_scale = good ? NAN : least_scale(noise);
    j->bias = j->bias_error = NAN;
    /* The mean of orthogonalised groups keeps the bias of one group: n^2 times that of the
     * orthogonalised mean. */
    double n = (double)update->count;
    double factor = j->input->orthogonalises_first ? n * n : 1.0;
    if (isfinite(update->variance) &&
        ratio_known(factor * update->ratio, factor * update->ratio_error)) {
        j->bias = factor * update->ratio;
        j->bias_error = factor * update->ratio_error;
    }
}

static void decide(judgement *j)
{
    double batch = j->input->noise.samples;
    if (j->bias > 1.0) {
        j->limit = PLUMB_LIMIT_BIAS;
        j->sure = j->bias - 2.0 * j->bias_error > 1.0;
    } else if (j->scale > dominance * batch) {
        j->limit = PLUMB_LIMIT_VARIANCE;
        j->sure = j->scale - 2.0 * j->scale_error > dominance * batch;
    } else if (!isnan(j->scale)) {
        double error = 2.0 * j->scale_error;
        bool diminished = j->scale < batch / dominance;
        j->limit = PLUMB_LIMIT_NEITHER;
        j->sure = j->scale + error < (diminished ? batch / dominance : dominance * batch);
    } else if (j->least_scale > dominance * batch) {
        j->limit = PLUMB_LIMIT_VARIANCE;
        j->sure = true; /* the bound has its two errors in it */
    } else {
        j->limit = PLUMB_LIMIT_UNKNOWN;
    }
}

static void say_verdict(judgement *j)
{
    static const char *const verdicts[] = {"Not enough data to say what limits the run.",
                                           "imited by bias of the update.", "imited by variance.",
                                           "imited by neither bias nor variance."};
    if (j->limit == PLUMB_LIMIT_UNKNOWN) {
        say(j, "%s", verdicts[0]);
    } else {
        say(j, "%s%s", j->sure ? "L" : "Probably l", verdicts[j->limit]);
    }
}

/* The numbers behind it, with their errors. */
static void say_evidence(judgement *j)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE];
    const char *batch = count(j->input->noise.samples, a);
    if (!isnan(j->scale)) {
        say(j, " Returns diminish at a batch of ");
        say_with_error(j, j->scale, j->scale_error);
        say(j, " samples (the noise scale); a step has %s.", batch);
    } else if (!isnan(j->least_scale) && j->limit == PLUMB_LIMIT_VARIANCE) {
        say(j,
            " The signal is within its own noise: returns diminish at a batch of no less than %s "
            "samples; a step has %s.",
            number(j->least_scale, b), batch);
    } else if (isfinite(j->input->noise.samples)) {
        say(j, " The batch at which returns diminish is not available; a step has %s samples.",
            batch);
    }
    if (!isnan(j->bias)) {
        say(j, " Squared bias over variance of the orthogonalised update: ");
        say_with_error(j, j->bias, j->bias_error);
        say(j, ".");
    }
}

/* A step of so many samples needs so many micro-batches of the present size. */
static double micro_batches_for(const judgement *j, double samples)
{
    return ceil(samples / (j->input->noise.samples / (double)j->input->micro_batches));
}

static void advise_variance(judgement *j)
{
    char a[NUMBER_SIZE], b[NUMBER_SIZE];
    bool bounded = isnan(j->scale);
    double wanted = micro_batches_for(j, bounded ? j->least_scale : j->scale);
    say(j,
        " A larger batch pays in steps, not in samples: steps fall almost in proportion up to "
        "%s%s micro-batches a step, now %s, which as many ranks can share.",
        bounded ? "at least " : "", count(wanted, a), count((double)j->input->micro_batches, b));
    if (j->input->micro_batches <= j->input->ranks) {
        say(j,
            " Every rank has one micro-batch: more of them need more ranks or more time a step.");
    }
    say(j,
        " With a larger batch the learning rate may rise, by up to its ratio (SGD) or the root of "
        "it (updates of fixed size). At this batch let the learning rate fall, or, at a constant "
        "one, average the weights.");
}

static void advise_bias(judgement *j)
{
    if (j->input->orthogonalises_first) {
        say(j, " More ranks or groups do not remove it: average first and orthogonalise then, or "
               "make groups larger: larger micro-batches, or fewer groups.");
    } else {
        say(j, " Twice the samples a step, by larger micro-batches or by more of them on more "
               "ranks, quarter the squared bias and halve the variance. Averaging weights does "
               "not help against bias.");
    }
}

/* Steps that twice the batch saves, as a share: 1 - (1 + B_n/2B) / (1 + B_n/B). */
static double saved_by_doubling(double scale, double batch)
{
    return 1.0 - (1.0 + scale / (2.0 * batch)) / (1.0 + scale / batch);
}

static void advise_neither(judgement *j)
{
    double batch = j->input->noise.samples;
    if (j->scale < batch / dominance) {
        double halved = 1.0 / (1.0 - saved_by_doubling(j->scale, batch / 2.0)) - 1.0;
        say(j,
            " Returns have diminished: half the samples a step would need only %.0f %% more "
            "steps. More ranks save time only by making a step shorter; for progress raise the "
            "learning "
            "rate or train a larger model.",
            100.0 * halved);
    } else {
        say(j,
            " The batch is near the noise scale: twice the batch would save %.0f %% of the steps "
            "and "
            "take %.0f %% more samples. At a constant learning rate averaging the weights pays "
            "late "
            "in the run.",
            100.0 * saved_by_doubling(j->scale, batch),
            100.0 * (1.0 - 2.0 * saved_by_doubling(j->scale, batch)));
    }
}

static void advise_unknown(judgement *j)
{
    if (j->input->micro_batches < 2) {
        say(j, " One micro-batch a step has no spread to measure: cut it into several.");
    } else if (without_gradient(&j->input->noise)) {
        say(j, " All gradients are zero: there is nothing to measure.");
    } else if (without_noise(&j->input->noise)) {
        say(j, " All micro-batches of a step have the same gradient: there is no noise to measure. "
               "Do they have samples of their own?");
    } else {
        say(j, " Measure over more steps, or with more micro-batches a step; errors are still as "
               "large as the values.");
    }
}

static plumb_status check(const plumb_advice_input *input, const plumb_advice *advice)
{
    REQUIRE(input != NULL && advice != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_advise: input or advice is NULL");
    REQUIRE(input->size == sizeof *input, PLUMB_ERROR_ARGUMENT,
            "plumb_advice_input: size is %zu, this library's is %zu", input->size, sizeof *input);
    REQUIRE(advice->size == sizeof *advice, PLUMB_ERROR_ARGUMENT,
            "plumb_advice: size is %zu, this library's is %zu", advice->size, sizeof *advice);
    REQUIRE(input->micro_batches >= 1 && input->groups >= 1 && input->ranks >= 1,
            PLUMB_ERROR_ARGUMENT,
            "plumb_advise: %" PRId64 " micro-batches, %d groups, %d ranks: each must be at least 1",
            input->micro_batches, input->groups, input->ranks);
    REQUIRE(isnan(input->noise.samples) ||
                (input->noise.samples > 0.0 && isfinite(input->noise.samples)),
            PLUMB_ERROR_ARGUMENT, "plumb_advise: a step of %g samples", input->noise.samples);
    return PLUMB_OK;
}

plumb_status plumb_advise(const plumb_advice_input *input, plumb_advice *advice)
{
    static void (*const advisers[])(judgement *) = {advise_unknown, advise_bias, advise_variance,
                                                    advise_neither};
    PROPAGATE(check(input, advice));
    judgement j = {.input = input, .text = advice->text, .size = sizeof advice->text};
    weigh(&j);
    decide(&j);
    say_verdict(&j);
    say_evidence(&j);
    advisers[j.limit](&j);
    advice->limit = j.limit;
    advice->samples = j.scale;
    advice->samples_error = j.scale_error;
    return PLUMB_OK;
}
