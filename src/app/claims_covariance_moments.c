/*
 * Means, norms and covariances of batches of independent samples, and of steps of SGD with them.
 * Batches are averaged by handles of the library; their updates at learning rate 1 are minus g_B.
 */
#include "app/claims_covariance.h"

#include <math.h>
#include <string.h>

#include "plumb.h"

enum { DIMENSIONS = 12, SIZES = 3, LARGEST = 16, REPETITIONS = 300, UNITS = 32, QUICK_UNITS = 4 };

static const int sizes[SIZES] = {1, 4, LARGEST};
static const double rate = 0.1;

/* Micro-batches of the largest batch, so that their sizes differ: 16 samples in all. */
static const double unequal[] = {1, 2, 1, 4, 3, 5};
enum { PARTS = 6 };

/* What one unit adds up, for each noise. */
enum {
    NORM,                   /* |g_B|^2, B = sizes */
    ALONG = NORM + SIZES,   /* <(g_B - G) (g_B - G)', Sigma> */
    SPREAD = ALONG + SIZES, /* |g_B - G|^2 */
    STEP = SPREAD + SIZES,  /* |rate g|^2 */
    DISTANCE,               /* sum over elements of |g_i - G_i| / sqrt(Sigma_ii) */
    SQUARE,                 /* likewise, squared */
    TRACE,                  /* estimates from two sizes of batch */
    SIGNAL,
    PART_TRACE, /* the same from unequal micro-batches */
    PART_SIGNAL,
    EIGENVALUES, /* sum of the eigenvalues over the trace */
    COUNT,       /* repetitions */
    WIDTH
};

typedef struct moments {
    double mix[DIMENSIONS * DIMENSIONS]; /* noise = mix z */
    double sigma[DIMENSIONS * DIMENSIONS];
    double gradient[DIMENSIONS];
    double trace, square, signal; /* tr Sigma, <Sigma, Sigma>, |G|^2 */
} moments;

static void make_problem(claims_noise noise, moments *m)
{
    *m = (moments){0};
    for (int i = 0; i < DIMENSIONS; i++) {
        m->gradient[i] = 0.3 + 0.1 * (i % 4);
        m->signal += m->gradient[i] * m->gradient[i];
        for (int j = 0; j < DIMENSIONS; j++) {
            double mixed = 2.5 / (1.0 + i) * (i == j ? 1.0 : 0.3 / (1.0 + j));
            m->mix[i * DIMENSIONS + j] = noise == CLAIMS_ISOTROPIC ? (double)(i == j) : mixed;
        }
    }
    for (int e = 0; e < DIMENSIONS * DIMENSIONS; e++) {
        int i = e / DIMENSIONS, j = e % DIMENSIONS;
        for (int k = 0; k < DIMENSIONS; k++) {
            m->sigma[e] += m->mix[i * DIMENSIONS + k] * m->mix[j * DIMENSIONS + k];
        }
        m->square += m->sigma[e] * m->sigma[e];
        m->trace += i == j ? m->sigma[e] : 0.0;
    }
}

static void draw(const moments *m, claims_key key, float *samples)
{
    for (int k = 0; k < LARGEST; k++) {
        double z[DIMENSIONS];
        key.micro_batch = (uint16_t)k;
        claims_normals(key, DIMENSIONS, z);
        for (int i = 0; i < DIMENSIONS; i++) {
            double value = m->gradient[i];
            for (int j = 0; j < DIMENSIONS; j++) {
                value += m->mix[i * DIMENSIONS + j] * z[j];
            }
            samples[k * DIMENSIONS + i] = (float)value;
        }
    }
}

static void add_batch(const moments *m, int size, const float *update, double *sums)
{
    double error[DIMENSIONS];
    for (int i = 0; i < DIMENSIONS; i++) {
        double value = -(double)update[i];
        error[i] = value - m->gradient[i];
        sums[NORM + size] += value * value;
        sums[SPREAD + size] += error[i] * error[i];
        if (size == 0) {
            double relative = fabs(error[i]) / sqrt(m->sigma[i * DIMENSIONS + i]);
            sums[DISTANCE] += relative / DIMENSIONS;
            sums[SQUARE] += relative * relative / DIMENSIONS;
        }
    }
    for (int e = 0; e < DIMENSIONS * DIMENSIONS; e++) {
        sums[ALONG + size] += error[e / DIMENSIONS] * error[e % DIMENSIONS] * m->sigma[e];
    }
}

static plumb_status add_noise(int count, const double *samples, const float *const *vectors,
                              double *trace, double *signal, double *share)
{
    double gram[LARGEST * LARGEST] = {0}, values[LARGEST];
    plumb_noise noise = {.size = sizeof noise};
    plumb_status status = plumb_gram(count, DIMENSIONS, vectors, gram);
    if (status == PLUMB_OK) {
        status = plumb_noise_scale(count, samples, gram, 0.0, &noise);
    }
    if (status == PLUMB_OK) {
        status = plumb_covariance_spectrum(count, samples, gram, count - 1, values, NULL, NULL);
    }
    for (int j = 0; j < count - 1 && status == PLUMB_OK; j++) {
        *share += values[j] / noise.trace;
    }
    *trace += noise.trace;
    *signal += noise.signal;
    return status;
}

/* The samples as micro-batches of different sizes. */
static void form_parts(const float *samples, float *parts)
{
    int sample = 0;
    memset(parts, 0, PARTS * DIMENSIONS * sizeof *parts);
    for (int p = 0; p < PARTS; p++) {
        for (int s = 0; s < (int)unequal[p]; s++, sample++) {
            for (int i = 0; i < DIMENSIONS; i++) {
                parts[p * DIMENSIONS + i] += samples[sample * DIMENSIONS + i] / (float)unequal[p];
            }
        }
    }
}

static plumb_status add_estimates(const float *samples, double *sums)
{
    const float *vectors[LARGEST];
    float parts[PARTS * DIMENSIONS];
    double ignored = 0.0;
    for (int k = 0; k < LARGEST; k++) {
        vectors[k] = samples + k * DIMENSIONS;
    }
    plumb_status status =
        add_noise(LARGEST, NULL, vectors, &sums[TRACE], &sums[SIGNAL], &sums[EIGENVALUES]);
    form_parts(samples, parts);
    for (int k = 0; k < PARTS; k++) {
        vectors[k] = parts + k * DIMENSIONS;
    }
    return status == PLUMB_OK
               ? add_noise(PARTS, unequal, vectors, &sums[PART_TRACE], &sums[PART_SIGNAL], &ignored)
               : status;
}

static int add_repetition(const moments *m, claims_handle *handles, claims_key key, double *sums,
                          failure *f)
{
    float samples[LARGEST * DIMENSIONS];
    draw(m, key, samples);
    for (int size = 0; size < SIZES && f->code == EXIT_OK; size++) {
        if (claims_handle_step(&handles[size], samples, NULL, f) == EXIT_OK) {
            add_batch(m, size, handles[size].values, sums);
        }
    }
    handles[0].rate = rate;
    if (f->code == EXIT_OK && claims_handle_step(&handles[0], samples, NULL, f) == EXIT_OK) {
        for (int i = 0; i < DIMENSIONS; i++) {
            sums[STEP] += (double)handles[0].values[i] * (double)handles[0].values[i];
        }
    }
    handles[0].rate = 1.0;
    sums[COUNT] += 1.0;
    return f->code == EXIT_OK ? failure_from_library(f, add_estimates(samples, sums), NULL)
                              : f->code;
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    claims_handle handles[SIZES] = {{0}};
    plumb_parameter_options options;
    claims_handle_options(PLUMB_OPTIMIZER_SGD, &options);
    options.beta1 = 0.0;
    for (int size = 0; size < SIZES && f->code == EXIT_OK; size++) {
        claims_handle_create(&handles[size], "moments", 1, 1, DIMENSIONS, &options, f);
        handles[size].micro_batches = sizes[size];
    }
    for (int noise = 0; noise < 2; noise++) {
        moments m;
        make_problem(covariance_noises[noise], &m);
        for (int r = 0; r < REPETITIONS && f->code == EXIT_OK; r++) {
            claims_key key = {.seed = seed,
                              .subject = self->number,
                              .unit = unit,
                              .step = (uint32_t)(noise * REPETITIONS + r)};
            add_repetition(&m, handles, key, sums + noise * WIDTH, f);
        }
    }
    for (int size = 0; size < SIZES; size++) {
        claims_handle_destroy(&handles[size]);
    }
}

/* Everything over what it is predicted to be, but distances and squares as they are. */
static void evaluate(const claims_subject *self, const double *sums, int64_t units, double *values)
{
    (void)self;
    (void)units;
    covariance_means(sums, WIDTH, COUNT, values);
    for (int noise = 0; noise < 2; noise++) {
        const double *s = sums + noise * WIDTH;
        double *v = values + noise * WIDTH;
        moments m;
        make_problem(covariance_noises[noise], &m);
        for (int size = 0; size < SIZES; size++) {
            v[NORM + size] /= m.signal + m.trace / sizes[size];
            v[ALONG + size] *= sizes[size] / m.square;
            v[SPREAD + size] *= sizes[size] / m.trace;
        }
        v[STEP] = s[STEP] / s[NORM];
        v[TRACE] /= m.trace;
        v[PART_TRACE] /= m.trace;
        v[SIGNAL] /= m.signal;
        v[PART_SIGNAL] /= m.signal;
    }
}

static const claims_statement norms = {
    .name = "norm",
    .title = "the squared norm of a batch's gradient",
    .source = "E|g_B|^2 = |G|^2 + tr(Sigma)/B, called the expected norm",
    .correct = "the same, of the squared norm: E|g_B| is not its square root",
    .reason = "the measured squared norms are others"};
static const claims_statement covariances = {.name = "batch",
                                             .title = "the covariance of a batch's gradient",
                                             .source = "Cov(g_B) = Sigma/B for independent samples",
                                             .correct = "the same",
                                             .reason = "the covariance falls otherwise"};
static const claims_statement steps = {
    .name = "step",
    .title = "the squared norm of a step",
    .source = "E|eta g|^2 = eta E|g|^2",
    .correct = "E|eta g|^2 = eta^2 E|g|^2, as the covariance's eta^2 right after it",
    .reason = "a slip: the square of the learning rate is missing"};
static const claims_statement square_roots = {
    .name = "root_rule",
    .title = "the covariance of a step, and the square-root rule",
    .source = "eta^2 Sigma/B: a batch k times as large and eta sqrt(k) leave it as it was",
    .correct = "the same",
    .reason = "the step's covariance changes"};
static const claims_statement distances = {
    .name = "distance",
    .title = "how far a sample is from the mean",
    .source = "on average a distance of sqrt(Sigma_ii) from G_i",
    .correct = "the root of the mean square is sqrt(Sigma_ii); the mean distance is smaller, "
               "sqrt(2/pi) of it for normal noise",
    .reason =
        "mean distance and standard deviation agree only where all distances are equal, as in "
        "the post's figure of four points"};
static const claims_statement traces = {
    .name = "trace",
    .title = "trace, eigenvalues, and the estimate from two sizes of batch",
    .source = "the trace is the sum of the eigenvalues; McCandlish et al.: estimate it from a "
              "large and a small batch",
    .correct = "the same, and with unequal micro-batches T = sum b_k |g_k - g|^2 / (K-1)",
    .reason = "the estimates are biased"};

static void check(claims_findings *findings, claims_noise noise, const char *name, double predicted,
                  claims_estimate measured)
{
    claims_check *added = claims_findings_check(findings, CLAIMS_HEADLINE, noise, name,
                                                CLAIMS_EQUAL, predicted, measured);
    added->slack = 1e-6; /* rounding of single precision */
}

static void conclude_batches(claims_findings *findings, const claims_estimate *estimates)
{
    static const char *const norm_names[SIZES] = {"E|g_B|^2 over prediction, B = 1", "B = 4",
                                                  "B = 16"};
    static const char *const names[SIZES] = {"B Cov(g_B) over Sigma along Sigma, B = 1", "B = 4",
                                             "B = 16"};
    claims_findings_begin(findings, &norms);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *e = estimates + noise * WIDTH;
        for (int size = 0; size < SIZES; size++) {
            check(findings, covariance_noises[noise], norm_names[size], 1.0, e[NORM + size]);
        }
    }
    claims_findings_begin(findings, &covariances);
    for (int noise = 0; noise < 2; noise++) {
        const claims_estimate *e = estimates + noise * WIDTH;
        for (int size = 0; size < SIZES; size++) {
            check(findings, covariance_noises[noise], names[size], 1.0, e[ALONG + size]);
        }
    }
}

static void conclude_steps(claims_findings *findings, const claims_estimate *estimates)
{
    claims_findings_begin(findings, &steps);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        claims_estimate ratio = estimates[noise * WIDTH + STEP];
        check(findings, kind, "E|eta g|^2 / E|g|^2, eta = 0.1", rate, ratio);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "the same", CLAIMS_EQUAL,
                              rate * rate, ratio)
            ->slack = 1e-6;
    }
    claims_findings_begin(findings, &square_roots);
    for (int noise = 0; noise < 2; noise++) {
        /* eta^2 k times the covariance of k times the batch: SPREAD is that over tr Sigma. */
        check(findings, covariance_noises[noise], "step's variance at 16 B, 4 eta over Sigma eta^2",
              1.0, estimates[noise * WIDTH + SPREAD + SIZES - 1]);
    }
}

static void conclude(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings)
{
    (void)self;
    conclude_batches(findings, estimates);
    conclude_steps(findings, estimates);
    claims_findings_begin(findings, &distances);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *e = estimates + noise * WIDTH;
        check(findings, kind, "mean distance over sqrt(Sigma_ii)", 1.0, e[DISTANCE]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "the same", CLAIMS_EQUAL,
                              sqrt(2.0 / 3.14159265358979), e[DISTANCE]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "mean square over Sigma_ii",
                              CLAIMS_EQUAL, 1.0, e[SQUARE]);
    }
    claims_findings_begin(findings, &traces);
    for (int noise = 0; noise < 2; noise++) {
        claims_noise kind = covariance_noises[noise];
        const claims_estimate *e = estimates + noise * WIDTH;
        check(findings, kind, "sum of eigenvalues over trace", 1.0, e[EIGENVALUES]);
        check(findings, kind, "trace from B = 1 and B = 16 over tr(Sigma)", 1.0, e[TRACE]);
        check(findings, kind, "squared gradient from both over |G|^2", 1.0, e[SIGNAL]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind, "trace, unequal micro-batches",
                              CLAIMS_EQUAL, 1.0, e[PART_TRACE]);
        claims_findings_check(findings, CLAIMS_CORRECTED, kind,
                              "squared gradient, unequal micro-batches", CLAIMS_EQUAL, 1.0,
                              e[PART_SIGNAL]);
    }
}

const claims_subject claims_moments = {.name = "moments",
                                       .units = UNITS,
                                       .quick_units = QUICK_UNITS,
                                       .width = 2 * WIDTH,
                                       .number = 31,
                                       .run = run,
                                       .values = 2 * WIDTH,
                                       .evaluate = evaluate,
                                       .conclude = conclude};
