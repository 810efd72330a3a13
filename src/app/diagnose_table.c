/*
 * What a diagnosis prints for people, in 100 columns: a row a parameter, then the total in words
 * and numbers, then the advice.
 */
#include "app/diagnosing.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { NAME_WIDTH = 24, LINE_WIDTH = 98 };

typedef struct cell {
    char text[32];
} cell;

static cell number(double value, int digits)
{
    cell c = {"-"};
    if (isfinite(value)) {
        snprintf(c.text, sizeof c.text, "%.*g", digits, value);
    }
    return c;
}

/* "1.5 +- 0.2 unit", or what a person reads where there is none. */
static void print_line(const char *what, double value, double error, const char *unit)
{
    printf("  %-38s", what);
    if (!isfinite(value)) {
        printf("not available\n");
        return;
    }
    printf("%.4g", value);
    if (isfinite(error)) {
        printf(" +- %.2g", error);
    }
    printf("%s%s\n", unit[0] != '\0' ? " " : "", unit);
}

/* The end of a long name tells more than its beginning. */
static void print_name(const char *name)
{
    size_t length = strlen(name);
    if (length > NAME_WIDTH) {
        printf("..%s", name + length - (NAME_WIDTH - 2));
    } else {
        printf("%-*s", NAME_WIDTH, name);
    }
}

static void print_heading(void)
{
    printf("%-*s %11s %9s %8s %7s %9s %9s %5s %9s\n", NAME_WIDTH, "", "", "noise", "", "",
           "nuclear", "bias /", "mean", "echo");
    printf("%-*s %11s %9s %8s %7s %9s %9s %5s %9s\n", NAME_WIDTH, "parameter", "shape", "scale",
           "+-", "plateau", "scale", "variance", "echo", "over 1/2");
}

static void print_row(const char *name, const char *shape, const finding *f)
{
    const double *v = f->values;
    char directions[32] = "-";
    if (isfinite(v[ECHO_DIRECTIONS])) {
        snprintf(directions, sizeof directions, "%.4g/%.4g", v[ECHO_DIRECTIONS],
                 v[ECHO_DIRECTIONS_OF]);
    }
    print_name(name);
    printf(" %11s %9s %8s %7s %9s %9s %5s %9s\n", shape, number(v[NOISE_SCALE], 4).text,
           number(v[NOISE_SCALE_ERROR], 2).text, number(v[NOISE_PLATEAU], 3).text,
           number(v[NUCLEAR_SCALE], 3).text, number(v[UPDATE_RATIO], 3).text,
           number(v[ECHO_MEAN], 2).text, directions);
}

static void print_parameter_row(const diagnosing *d, int index, const finding *f)
{
    const recorded_parameter *p = diagnosing_parameter(d, index);
    char shape[48];
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64, p->rows, p->cols);
    print_row(p->name, shape, f);
}

void diagnose_print_step(const diagnosing *d, int64_t step, int index, const finding *f)
{
    if (index == 0) {
        printf("step %" PRId64 "\n", step + 1);
        print_heading();
    }
    if (index >= 0) {
        print_parameter_row(d, index, f);
    } else {
        print_row("all", "", f);
        putchar('\n');
    }
}

static void print_wrapped(const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (column > 0 && column + 1 + length > LINE_WIDTH) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)length, text);
        text += length;
        text += strspn(text, " \n");
    }
    putchar('\n');
}

static void print_reasons(const diagnosing *d)
{
    int all = (int)d->total.mean.values[FINDING_REASONS];
    bool any = false;
    for (int i = 0; i < d->parameter_count; i++) {
        all |= (int)d->averages[i].mean.values[FINDING_REASONS];
    }
    for (int bit = 0; bit < REASON_COUNT; bit++) {
        if ((all & (1 << bit)) == 0) {
            continue;
        }
        if (!any) {
            printf("-: not available. Why, of all or some parameters or steps:\n");
            any = true;
        }
        printf("   %s\n", finding_reason_text(bit));
    }
}

static void print_list(const char *what, const double *values, int count)
{
    const int most = 6;
    printf("  %-38s", what);
    if (count == 0 || !isfinite(values[0])) {
        printf("not available\n");
        return;
    }
    for (int i = 0; i < count && i < most && isfinite(values[i]); i++) {
        printf("%s%.4g", i > 0 ? ", " : "", values[i]);
    }
    putchar('\n');
}

static void print_covariance(const diagnosing *d, const finding *f)
{
    const double *v = f->values;
    char text[64];
    print_line("trace of the covariance", v[NOISE_TRACE], v[NOISE_TRACE_ERROR], "a sample");
    print_line("squared norm of the gradient", v[NOISE_SIGNAL], v[NOISE_SIGNAL_ERROR], "");
    print_line("  of the mean, with its noise", v[NOISE_SQUARED_NORM], NAN, "");
    print_line("noise scale", v[NOISE_SCALE], v[NOISE_SCALE_ERROR], "samples");
    print_line("squared cosine of mean and gradient", v[NOISE_PLATEAU], NAN, "(plateau)");
    snprintf(text, sizeof text, "batch for the norm test, theta %g", d->options->theta);
    print_line(text, v[NORM_TEST], NAN, "samples");
    print_list("largest eigenvalues", f->eigenvalues, f->eigenvalue_count);
    print_list("  noise-reduced", f->reduced, f->eigenvalue_count);
    print_line("  share of the first in the trace", v[EIGENVALUE_SHARE], NAN, "");
}

static void print_update(const finding *f)
{
    const double *v = f->values;
    print_line("noise scale by nuclear norms", v[NUCLEAR_SCALE], v[NUCLEAR_SCALE_ERROR], "samples");
    print_line("variance of one group's update", v[UPDATE_VARIANCE], v[UPDATE_VARIANCE_ERROR],
               "squared");
    print_line("bias of one group's update", v[UPDATE_BIAS], v[UPDATE_BIAS_ERROR], "squared");
    print_line("  share that only shrinks it", v[UPDATE_NORMAL_SHARE], NAN, "");
    print_line("bias / variance of the step", v[UPDATE_RATIO], v[UPDATE_RATIO_ERROR],
               "(above 1: bias limits)");
    print_line("  if updates were averaged", v[UPDATE_STREAMED_RATIO], NAN, "");
    print_line("bias of the step, by expansion", v[POLAR_BIAS], NAN, "squared");
    print_line("  of which a turn", v[POLAR_TANGENT], NAN, "squared");
    print_line("  if its noise were isotropic", v[ISOTROPIC_BIAS], NAN, "squared");
    print_line("Richardson coefficient along update", v[RICHARDSON_ALONG], NAN,
               "samples: c of c/samples");
}

static void print_echo(const finding *f)
{
    const double *v = f->values;
    print_line("mean echo of singular directions", v[ECHO_MEAN], NAN, "");
    print_line("directions with an echo above 1/2", v[ECHO_DIRECTIONS], NAN, "");
    print_line("  of", v[ECHO_DIRECTIONS_OF], NAN, "");
}

static void print_directions(const finding *f)
{
    printf("  %4s %10s %10s %6s %8s %8s %10s %10s %10s %10s\n", "", "singular", "true", "", "",
           "strength", "shrunk:", "", "", "");
    printf("  %4s %10s %10s %6s %8s %8s %10s %10s %10s %10s\n", "", "value", "one", "echo",
           "plug-in", "s2/s2min", "Frobenius", "operator", "nuclear", "hard");
    for (int64_t i = 0; i < f->direction_count; i++) {
        const double *v = f->directions + i * DIRECTION_VALUES;
        printf("  %4" PRId64 " %10s %10s %6s %8s %8s %10s %10s %10s %10s\n", i + 1,
               number(v[DIRECTION_OBSERVED], 4).text, number(v[DIRECTION_SIGNAL], 4).text,
               number(v[DIRECTION_ECHO], 3).text, number(v[DIRECTION_PLUG_ECHO], 3).text,
               number(v[DIRECTION_STRENGTH], 3).text, number(v[DIRECTION_FROBENIUS], 4).text,
               number(v[DIRECTION_OPERATOR], 4).text, number(v[DIRECTION_NUCLEAR], 4).text,
               number(v[DIRECTION_HARD], 4).text);
    }
}

static void print_layer(const diagnosing *d, int index)
{
    const finding_average *a = &d->averages[index];
    const finding *f = &a->mean;
    const double *v = f->values;
    printf("\n%s\n", diagnosing_parameter(d, index)->name);
    print_covariance(d, f);
    if (f->direction_count == 0) {
        return;
    }
    print_update(f);
    print_echo(f);
    print_line("noise variance of an entry, mean", v[VARIANCE_MEAN], NAN, "");
    print_line("  by pairs", v[VARIANCE_PAIRWISE], NAN, "");
    print_line("least singular value with an echo", v[ECHO_THRESHOLD], NAN, "");
    print_line("largest singular value of the noise", v[ECHO_EDGE], NAN, "");
    if (a->spectrum_step >= 0) {
        printf("  directions of step %" PRId64 "\n", a->spectrum_step + 1);
        print_directions(f);
    }
}

static void print_batch(const diagnosing *d, const diagnose_conclusion *c)
{
    const plumb_batch_effect *e = &c->effect;
    char text[80];
    printf("\nA batch of %g samples\n", d->total_samples);
    print_line("steps over the fewest possible", e->steps, NAN, "");
    print_line("samples over the fewest possible", e->examples, NAN, "");
    print_line("best SGD rate over its largest", e->rate, NAN, "");
    if (d->options->learning_rate > 0.0) {
        print_line("temperature", e->temperature, NAN, "(rate / samples / (1 - beta1))");
        snprintf(text, sizeof text, "rate at %g samples, linear rule", c->other_samples);
        print_line(text, e->linear_rate, NAN, "");
        print_line("  square root rule", e->square_root_rate, NAN, "");
    }
}

static void print_head(const diagnosing *d)
{
    printf("%s, recorded steps %" PRId64 " to %" PRId64 ": %" PRId64 " micro-batch%s a step",
           d->options->gradients, d->first_step + 1, d->last_step + 1, d->micro_batches,
           d->micro_batches == 1 ? "" : "es");
    if (d->groups != d->micro_batches) {
        printf(" in %" PRId64 " groups", d->groups);
    }
    printf(", %g samples\n\n", d->total_samples);
}

void diagnose_print_table(const diagnosing *d, const diagnose_conclusion *c)
{
    const finding *total = &d->total.mean;
    print_head(d);
    print_heading();
    for (int i = 0; i < d->parameter_count; i++) {
        print_parameter_row(d, i, &d->averages[i].mean);
    }
    print_row("all", "", total);
    print_reasons(d);
    for (int i = 0; i < d->parameter_count && d->options->layers; i++) {
        print_layer(d, i);
    }
    printf("\nAll parameters together\n");
    print_covariance(d, total);
    print_update(total);
    print_echo(total);
    print_batch(d, c);
    printf("\nAdvice\n");
    print_wrapped(c->advice.text);
}
