/*
 * The covariance of gradients beside the Hessian, on a small perceptron while it is trained, on
 * drawn data or on images: their traces, largest eigenvalues and leading directions. The post's
 * last sections are empty; the papers that it names say that the two are alike (Jastrzebski et al.
 * 2017, arXiv 1711.04623; Thomas et al. 2019, arXiv 1906.07774).
 *
 * Of a piecewise linear network with softmax cross entropy, the Hessian and the Fisher matrix F
 * (labels drawn from the model) have equal diagonals: their difference is the network's second
 * derivatives, and the network is linear in every single parameter.
 *
 * On drawn data the Hessian's trace is summed up element by element. On images there are too many
 * elements: beside the leading eigenvalues, which are most of it, the rest is Hutchinson's
 * estimate, with probes that are orthogonal to their vectors.
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/claims_hessian.h"
#include "plumb.h"

enum {
    CHECKPOINTS = 4,
    MICRO_BATCHES = 4,
    SIZE = 4, /* samples of each */
    UNITS = 24,
    IMAGES_UNITS = 16,
    QUICK_UNITS = 2,
    PROBES = 128,
    PROBE_STEPS = 1 << 24, /* sets their random numbers apart from those of steps */
    MOST_DIRECTIONS = 255  /* labels are bytes */
};

static const int checkpoints[CHECKPOINTS] = {0, 40, 400, 6000};
static const double rate = 0.1, images_rate = 0.05;

enum { LOSS, NOISE, FISHER, LARGEST, OVERLAP, COUNT, WIDTH }; /* of a checkpoint */

typedef struct training {
    claims_perceptron model;
    claims_handle handle;
    claims_key key;
    int most;                  /* leading directions: one a class, but for their sum */
    float *gradients;          /* samples x length */
    int *samples;              /* all of them */
    double *noise, *curvature; /* most x length: leading directions */
    double *x, *y;             /* length */
} training;

static plumb_status multiply(void *context, int64_t length, const double *x, double *y)
{
    (void)length;
    claims_perceptron_hessian(context, x, y);
    return PLUMB_OK;
}

static double dot(int length, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < length; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static double exact_trace(training *t)
{
    double trace = 0.0;
    memset(t->x, 0, (size_t)t->model.length * sizeof *t->x);
    for (int i = 0; i < t->model.length; i++) {
        t->x[i] = 1.0;
        claims_perceptron_hessian(&t->model, t->x, t->y);
        trace += t->y[i];
        t->x[i] = 0.0;
    }
    return trace;
}

static double estimated_trace(training *t, const double *eigenvalues)
{
    int length = t->model.length;
    double trace = 0.0;
    for (int j = 0; j < t->most; j++) {
        trace += eigenvalues[j];
    }
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        claims_key key = t->key;
        key.step = PROBE_STEPS | probe;
        claims_normals(key, length, t->x);
        for (int i = 0; i < length; i++) {
            t->x[i] = t->x[i] < 0.0 ? -1.0 : 1.0;
        }
        for (int j = 0; j < t->most; j++) {
            const double *vector = t->curvature + j * length;
            double along = dot(length, t->x, vector);
            for (int i = 0; i < length; i++) {
                t->x[i] -= along * vector[i];
            }
        }
        claims_perceptron_hessian(&t->model, t->x, t->y);
        trace += dot(length, t->x, t->y) / PROBES;
    }
    return trace;
}

/* The share of the first span that lies in the second: 1 for equal ones. */
static double overlap_of(const training *t)
{
    int length = t->model.length;
    double sum = 0.0;
    for (int i = 0; i < t->most; i++) {
        for (int j = 0; j < t->most; j++) {
            double product = dot(length, t->noise + i * length, t->curvature + j * length);
            sum += product * product;
        }
    }
    return sum / t->most;
}

/* eigenvalues[most] of the Hessian. */
static plumb_status compare_directions(training *t, double *eigenvalues, double *sums)
{
    double noise[MOST_DIRECTIONS];
    int length = t->model.length;
    for (int s = 0; s < t->model.samples; s++) {
        claims_perceptron_gradient(&t->model, 1, &s, t->gradients + (int64_t)s * length);
    }
    plumb_status status =
        plumb_covariance_lanczos(MPI_COMM_SELF, t->model.samples, length, t->gradients, NULL,
                                 t->most, 1e-4, noise, NULL, t->noise);
    if (status == PLUMB_OK) { /* products in single precision: no sharper than that */
        status = plumb_lanczos(length, multiply, &t->model, t->most, 0, 0, 1e-4, eigenvalues, NULL,
                               t->curvature);
    }
    if (status == PLUMB_OK) {
        sums[LARGEST] += noise[0] / eigenvalues[0];
        sums[OVERLAP] += overlap_of(t);
    }
    return status;
}

static int add_checkpoint(training *t, bool exact, double *sums, failure *f)
{
    double eigenvalues[MOST_DIRECTIONS], mean_square = 0.0;
    float *gradient = t->gradients; /* before it holds those of samples */
    double loss = claims_perceptron_gradient(&t->model, t->model.samples, t->samples, gradient);
    for (int i = 0; i < t->model.length; i++) {
        mean_square += (double)gradient[i] * (double)gradient[i];
    }
    plumb_status status = compare_directions(t, eigenvalues, sums);
    if (failure_from_library(f, status, NULL) != EXIT_OK) {
        return f->code;
    }
    double curvature = exact ? exact_trace(t) : estimated_trace(t, eigenvalues);
    sums[LOSS] += loss;
    sums[NOISE] += (claims_perceptron_squares(&t->model) - mean_square) / curvature;
    sums[FISHER] += claims_perceptron_fisher(&t->model) / curvature;
    sums[COUNT] += 1.0;
    return f->code;
}

static int advance(training *t, claims_key key, failure *f)
{
    double draws[MICRO_BATCHES * SIZE];
    claims_normals(key, MICRO_BATCHES * SIZE, draws);
    for (int k = 0; k < MICRO_BATCHES; k++) {
        int samples[SIZE];
        for (int s = 0; s < SIZE; s++) { /* the normal distribution's share below the draw */
            double share = 0.5 * erfc(-draws[k * SIZE + s] / sqrt(2.0));
            int drawn = (int)(share * t->model.samples);
            samples[s] = drawn < t->model.samples ? drawn : t->model.samples - 1;
        }
        claims_perceptron_gradient(&t->model, SIZE, samples, t->gradients + k * t->model.length);
    }
    if (claims_handle_step(&t->handle, t->gradients, NULL, f) == EXIT_OK) {
        claims_perceptron_move(&t->model, t->handle.values);
    }
    return f->code;
}

static int begin(training *t, const claims_images *images, claims_key key, failure *f)
{
    plumb_parameter_options options;
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = 0.0;
    if (claims_perceptron_create_on(&t->model, images, key) != 0) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    size_t length = (size_t)t->model.length, samples = (size_t)t->model.samples;
    t->key = key;
    t->most = (int)t->model.widths[PERCEPTRON_LAYERS] - 1;
    t->gradients = malloc(samples * length * sizeof *t->gradients);
    t->samples = malloc(samples * sizeof *t->samples);
    t->noise = malloc((size_t)t->most * length * sizeof *t->noise);
    t->curvature = malloc((size_t)t->most * length * sizeof *t->curvature);
    t->x = malloc(length * sizeof *t->x);
    t->y = malloc(length * sizeof *t->y);
    if (t->gradients == NULL || t->samples == NULL || t->noise == NULL || t->curvature == NULL ||
        t->x == NULL || t->y == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    for (int s = 0; s < t->model.samples; s++) {
        t->samples[s] = s;
    }
    claims_handle_create(&t->handle, "perceptron", 1, 1, t->model.length, &options, f);
    t->handle.micro_batches = MICRO_BATCHES;
    t->handle.rate = images != NULL ? images_rate : rate;
    return f->code;
}

static void end(training *t)
{
    claims_handle_destroy(&t->handle);
    claims_perceptron_destroy(&t->model);
    free(t->gradients);
    free(t->samples);
    free(t->noise);
    free(t->curvature);
    free(t->x);
    free(t->y);
}

/* The subject's setting: images, or NULL. */
static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    training t = {.gradients = NULL};
    claims_key key = {.seed = seed, .subject = self->number, .unit = unit};
    begin(&t, self->setting, key, f);
    for (int c = 0, step = 0; c < CHECKPOINTS && f->code == EXIT_OK; c++) {
        for (; step < checkpoints[c] && f->code == EXIT_OK; step++) {
            key.step = (uint32_t)(1 + step);
            advance(&t, key, f);
        }
        if (f->code == EXIT_OK) {
            add_checkpoint(&t, self->setting == NULL, sums + c * WIDTH, f);
        }
    }
    end(&t);
}

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    (void)units;
    for (int i = 0; i < CHECKPOINTS * WIDTH; i++) {
        values[i] = sums[i] / sums[i / WIDTH * WIDTH + COUNT];
    }
}

#define WORDS                                                                                      \
    .name = "hessian",                                                                             \
    .source = "(the sections are empty; of the papers they name: Sigma is like the Hessian H)",    \
    .correct = "they share leading directions. In size H is like the Fisher matrix, labels drawn " \
               "from the model, and Sigma is like it only while predicted probabilities are "      \
               "right",                                                                            \
    .reason = "Sigma is larger before anything is learnt, and smaller once labels are known by "   \
              "heart"

static const claims_statement statement = {
    WORDS, .title = "noise and curvature of a perceptron while it is trained"};
static const claims_statement images_statement = {
    WORDS, .title = "noise and curvature of a perceptron while it is trained on images"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    const claims_images *images = self->setting;
    int most = (images != NULL ? images->classes : PERCEPTRON_CLASSES) - 1;
    int length = images != NULL ? PERCEPTRON_IMAGES_HIDDEN * (images->inputs + 1) +
                                      images->classes * (PERCEPTRON_IMAGES_HIDDEN + 1)
                                : PERCEPTRON_LENGTH;
    claims_findings_begin(findings, images != NULL ? &images_statement : &statement);
    for (int c = 0; c < CHECKPOINTS; c++) {
        const claims_estimate *e = estimates + c * WIDTH;
        char name[72];
        snprintf(name, sizeof name, "overlap of %d leading directions, step %d", most,
                 checkpoints[c]);
        claims_findings_check(findings, CLAIMS_HEADLINE, CLAIMS_ANY_NOISE, name, CLAIMS_ABOVE,
                              10.0 * most / length, e[OVERLAP]);
        snprintf(name, sizeof name, "tr(Sigma)/tr(H), step %d", checkpoints[c]);
        claims_findings_check(findings, CLAIMS_DETAIL, CLAIMS_ANY_NOISE, name, CLAIMS_EQUAL, 1.0,
                              e[NOISE]);
        snprintf(name, sizeof name, "tr(F)/tr(H), step %d", checkpoints[c]);
        claims_findings_check(findings, CLAIMS_CORRECTED, CLAIMS_ANY_NOISE, name, CLAIMS_EQUAL, 1.0,
                              e[FISHER])
            ->slack = 1e-4; /* single precision */
        claims_findings_point(findings, "curvature", "tr(Sigma)/tr(H)", CLAIMS_ANY_NOISE,
                              checkpoints[c], NAN, e[NOISE]);
        claims_findings_point(findings, "curvature", "largest eigenvalue of Sigma over H's",
                              CLAIMS_ANY_NOISE, checkpoints[c], NAN, e[LARGEST]);
        claims_findings_point(findings, "curvature", "overlap of leading directions",
                              CLAIMS_ANY_NOISE, checkpoints[c], NAN, e[OVERLAP]);
        claims_findings_point(findings, "curvature", "loss", CLAIMS_ANY_NOISE, checkpoints[c], NAN,
                              e[LOSS]);
    }
}

const claims_subject claims_hessian = {.name = "hessian",
                                       .units = UNITS,
                                       .quick_units = QUICK_UNITS,
                                       .width = CHECKPOINTS * WIDTH,
                                       .number = 35,
                                       .run = run,
                                       .values = CHECKPOINTS * WIDTH,
                                       .evaluate = evaluate,
                                       .conclude = conclude};

claims_subject claims_hessian_on(const claims_images *images)
{
    claims_subject subject = claims_hessian;
    subject.setting = images;
    subject.units = IMAGES_UNITS;
    return subject;
}
