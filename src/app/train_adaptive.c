/*
 * A batch that follows the noise; see train_adaptive.h.
 */
#include "app/train_adaptive.h"
#include "app/train_diagnostics.h"

#include <math.h>

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static bool known(const plumb_noise *noise)
{
    return isfinite(noise->scale) && isfinite(noise->scale_error) &&
           noise->scale_error < noise->scale;
}

/* The least noise scale that two standard errors leave possible; NaN: nothing is known. */
static double least_scale(const plumb_noise *noise)
{
    double trace = noise->trace - 2.0 * noise->trace_error;
    double signal = larger(noise->signal, 0.0) + 2.0 * noise->signal_error;
    return isfinite(signal) && signal > 0.0 ? trace / signal : NAN;
}

int64_t adaptive_micro_batches(const adaptive_rule *rule, int64_t now, const plumb_noise *noise)
{
    double old = (double)now;
    double groups = (double)rule->groups;
    double wanted = (known(noise) ? noise->scale : least_scale(noise)) / rule->samples;
    if (isnan(wanted) || (!known(noise) && wanted <= old)) {
        return now;
    }
    wanted = smaller(larger(wanted, old / 2.0), old * 2.0);
    wanted = groups * round(wanted / groups);
    wanted = smaller(larger(wanted, (double)rule->lowest), (double)rule->highest);
    return wanted > 1.25 * old || wanted < 0.75 * old ? (int64_t)wanted : now;
}

double adaptive_rate_factor(adaptive_rate rate, int64_t now, int64_t first)
{
    double ratio = (double)now / (double)first;
    return rate == ADAPTIVE_RATE_LINEAR ? ratio : rate == ADAPTIVE_RATE_ROOT ? sqrt(ratio) : 1.0;
}

double train_adaptive_rate(const training *t)
{
    const train_options *o = t->options;
    return adaptive_rate_factor((adaptive_rate)o->adaptive_rate, t->micro_batches,
                                o->micro_batches);
}

void train_adaptive_step(training *t, int64_t step)
{
    const train_options *o = t->options;
    plumb_noise noise;
    if (o->adaptive_text == NULL || step % o->adaptive_every != 0 || step == o->steps ||
        !train_diagnostics_noise(t, &noise)) {
        return;
    }
    adaptive_rule rule = {.lowest = o->adaptive_lowest,
                          .highest = o->adaptive_highest,
                          .groups = train_options_groups(o),
                          .samples = (double)o->micro_batch_size};
    t->micro_batches = adaptive_micro_batches(&rule, t->micro_batches, &noise);
}
