/*
 * The covariance of gradients beside the Hessian, on a small perceptron while it is trained: their
 * traces, largest eigenvalues and leading directions. The post's last sections are empty; the
 * papers that it names say that the two are alike (Jastrzebski et al. 2017, arXiv 1711.04623;
 * Thomas et al. 2019, arXiv 1906.07774).
 *
 * Of a piecewise linear network with softmax cross entropy, the Hessian and the Fisher matrix F
 * (labels drawn from the model) have equal diagonals: their difference is the network's second
 * derivatives, and the network is linear in every single parameter.
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/claims_perceptron.h"
#include "plumb.h"

enum {
    CHECKPOINTS = 4,
    MOST = PERCEPTRON_CLASSES - 1, /* leading directions: one a class, but for their sum */
    MICRO_BATCHES = 4,
    SIZE = 4, /* samples of each */
    UNITS = 24,
    QUICK_UNITS = 2
};

static const int checkpoints[CHECKPOINTS] = {0, 40, 400, 6000};
static const double rate = 0.1;

enum { LOSS, NOISE, FISHER, LARGEST, OVERLAP, COUNT, WIDTH }; /* of a checkpoint */

typedef struct training {
    claims_perceptron model;
    claims_handle handle;
    float *gradients; /* PERCEPTRON_SAMPLES x PERCEPTRON_LENGTH */
} training;

static plumb_status multiply(void *context, int64_t length, const double *x, double *y)
{
    (void)length;
    claims_perceptron_hessian(context, x, y);
    return PLUMB_OK;
}

static double hessian_trace(claims_perceptron *model)
{
    double x[PERCEPTRON_LENGTH] = {0}, y[PERCEPTRON_LENGTH];
    double trace = 0.0;
    for (int i = 0; i < PERCEPTRON_LENGTH; i++) {
        x[i] = 1.0;
        claims_perceptron_hessian(model, x, y);
        trace += y[i];
        x[i] = 0.0;
    }
    return trace;
}

/* The share of the first span that lies in the second: 1 for equal ones. */
static double overlap_of(const double *first, const double *second)
{
    double sum = 0.0;
    for (int i = 0; i < MOST; i++) {
        for (int j = 0; j < MOST; j++) {
            double product = 0.0;
            for (int e = 0; e < PERCEPTRON_LENGTH; e++) {
                product += first[i * PERCEPTRON_LENGTH + e] * second[j * PERCEPTRON_LENGTH + e];
            }
            sum += product * product;
        }
    }
    return sum / MOST;
}

static plumb_status compare_directions(training *t, double *sums)
{
    double noise[MOST], curvature[MOST];
    double noise_vectors[MOST * PERCEPTRON_LENGTH], vectors[MOST * PERCEPTRON_LENGTH];
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        claims_perceptron_gradient(&t->model, 1, &s, t->gradients + s * PERCEPTRON_LENGTH);
    }
    plumb_status status =
        plumb_covariance_lanczos(MPI_COMM_SELF, PERCEPTRON_SAMPLES, PERCEPTRON_LENGTH, t->gradients,
                                 NULL, MOST, 1e-4, noise, NULL, noise_vectors);
    if (status == PLUMB_OK) { /* products in single precision: no sharper than that */
        status = plumb_lanczos(PERCEPTRON_LENGTH, multiply, &t->model, MOST, 0, 0, 1e-4, curvature,
                               NULL, vectors);
    }
    if (status == PLUMB_OK) {
        sums[LARGEST] += noise[0] / curvature[0];
        sums[OVERLAP] += overlap_of(noise_vectors, vectors);
    }
    return status;
}

static int add_checkpoint(training *t, double *sums, failure *f)
{
    float gradient[PERCEPTRON_LENGTH];
    int samples[PERCEPTRON_SAMPLES];
    double mean_square = 0.0;
    for (int s = 0; s < PERCEPTRON_SAMPLES; s++) {
        samples[s] = s;
    }
    sums[LOSS] += claims_perceptron_gradient(&t->model, PERCEPTRON_SAMPLES, samples, gradient);
    for (int i = 0; i < PERCEPTRON_LENGTH; i++) {
        mean_square += (double)gradient[i] * (double)gradient[i];
    }
    double curvature = hessian_trace(&t->model);
    sums[NOISE] += (claims_perceptron_squares(&t->model) - mean_square) / curvature;
    sums[FISHER] += claims_perceptron_fisher(&t->model) / curvature;
    sums[COUNT] += 1.0;
    return failure_from_library(f, compare_directions(t, sums), NULL);
}

static int advance(training *t, claims_key key, failure *f)
{
    float gradients[MICRO_BATCHES * PERCEPTRON_LENGTH];
    double draws[MICRO_BATCHES * SIZE];
    claims_normals(key, MICRO_BATCHES * SIZE, draws);
    for (int k = 0; k < MICRO_BATCHES; k++) {
        int samples[SIZE];
        for (int s = 0; s < SIZE; s++) { /* the normal distribution's share below the draw */
            double share = 0.5 * erfc(-draws[k * SIZE + s] / sqrt(2.0));
            int drawn = (int)(share * PERCEPTRON_SAMPLES);
            samples[s] = drawn < PERCEPTRON_SAMPLES ? drawn : PERCEPTRON_SAMPLES - 1;
        }
        claims_perceptron_gradient(&t->model, SIZE, samples, gradients + k * PERCEPTRON_LENGTH);
    }
    if (claims_handle_step(&t->handle, gradients, NULL, f) == EXIT_OK) {
        claims_perceptron_move(&t->model, t->handle.values);
    }
    return f->code;
}

static int begin(training *t, claims_key key, failure *f)
{
    plumb_parameter_options options;
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = 0.0;
    t->gradients = malloc((size_t)PERCEPTRON_SAMPLES * PERCEPTRON_LENGTH * sizeof(float));
    if (claims_perceptron_create(&t->model, key) != 0 || t->gradients == NULL) {
        return failure_set(f, EXIT_LIBRARY, "no memory");
    }
    claims_handle_create(&t->handle, "perceptron", 1, 1, PERCEPTRON_LENGTH, &options, f);
    t->handle.micro_batches = MICRO_BATCHES;
    t->handle.rate = rate;
    return f->code;
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    training t = {.gradients = NULL};
    claims_key key = {.seed = seed, .subject = self->number, .unit = unit};
    begin(&t, key, f);
    for (int c = 0, step = 0; c < CHECKPOINTS && f->code == EXIT_OK; c++) {
        for (; step < checkpoints[c] && f->code == EXIT_OK; step++) {
            key.step = (uint32_t)(1 + step);
            advance(&t, key, f);
        }
        if (f->code == EXIT_OK) {
            add_checkpoint(&t, sums + c * WIDTH, f);
        }
    }
    claims_handle_destroy(&t.handle);
    claims_perceptron_destroy(&t.model);
    free(t.gradients);
}

static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    (void)units;
    for (int i = 0; i < CHECKPOINTS * WIDTH; i++) {
        values[i] = sums[i] / sums[i / WIDTH * WIDTH + COUNT];
    }
}

static const claims_statement statement = {
    .name = "hessian",
    .title = "noise and curvature of a perceptron while it is trained",
    .source = "(the sections are empty; of the papers they name: Sigma is like the Hessian H)",
    .correct = "they share leading directions. In size H is like the Fisher matrix, labels drawn "
               "from the model, and Sigma is like it only while predicted probabilities are right",
    .reason = "Sigma is larger before anything is learnt, and smaller once labels are known by "
              "heart"};

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    claims_findings_begin(findings, &statement);
    for (int c = 0; c < CHECKPOINTS; c++) {
        const claims_estimate *e = estimates + c * WIDTH;
        char name[72];
        snprintf(name, sizeof name, "overlap of %d leading directions, step %d", MOST,
                 checkpoints[c]);
        claims_findings_check(findings, CLAIMS_HEADLINE, CLAIMS_ANY_NOISE, name, CLAIMS_ABOVE,
                              10.0 * MOST / PERCEPTRON_LENGTH, e[OVERLAP]);
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
