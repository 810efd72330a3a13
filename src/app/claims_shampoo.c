/*
 * The bias of Shampoo's product L^-1/4 M R^-1/4, 6 x 5, from one step of twelve groups whose
 * gradients are a fixed matrix and normal noise; L and R are means of the groups' G G' and G' G
 * (noise floor 1) and M is the mean of the same groups. Matrix and noise are chosen such that the
 * expectations of L and R are diagonal, which loses nothing: all estimators turn with the bases.
 *
 * The first-order terms have expectation 0 and are subtracted:
 *
 *     L^-1/4 dM R^-1/4 + D(dL) M R^-1/4 + L^-1/4 M D(dR),   D(E)_ij = f[i,j] E_ij,
 *
 * f[i,j] the divided differences of x^-1/4. Biases are Frobenius norms of the mean error over that
 * of the target, the norm's own noise taken out.
 *
 * The predictions are of second order. The bias of the roots themselves, E T2(dL) M R^-1/4 and the
 * same of R, is what the corrections of single roots take away; what ties L, M and R to each other,
 *
 *     E [ D(dL) dM R^-1/4 + L^-1/4 dM D(dR) + D(dL) M D(dR) ],
 *
 * they leave. The two nearly cancel in the plain product.
 */
#include "app/claims_handle.h"
#include "app/claims_random.h"
#include "app/claims_subject.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, COLS = 5, GROUPS = 12, COUNT = ROWS * COLS, REPETITIONS = 500 };

/* What an estimator leaves of the bias, to second order. */
typedef enum shampoo_leaves { LEAVES_NOTHING, LEAVES_COUPLING, LEAVES_ALL, UNKNOWN } shampoo_leaves;

typedef struct shampoo_estimator {
    const char *name;
    plumb_correction correction;
    double noise_floor;
    shampoo_leaves leaves;
} shampoo_estimator;

/* The first has no optimizer of its own: at this noise floor it is formed here, of plain roots. */
static const shampoo_estimator estimators[] = {
    {"plain roots", PLUMB_CORRECTION_NONE, 1.0, LEAVES_ALL},
    {"jackknife", PLUMB_CORRECTION_JACKKNIFE, 1.0, LEAVES_NOTHING},
    {"half-sample", PLUMB_CORRECTION_HALF_SAMPLE, 1.0, LEAVES_NOTHING},
    {"second-order", PLUMB_CORRECTION_SECOND_ORDER, 1.0, LEAVES_COUPLING},
    {"wishart", PLUMB_CORRECTION_WISHART, 1.0, LEAVES_COUPLING},
    {"paper-diagonal", PLUMB_CORRECTION_PAPER_DIAGONAL, 0.0, UNKNOWN},
};

enum {
    PLAIN,
    ESTIMATORS = sizeof estimators / sizeof estimators[0],
    ENTRY = COUNT + 1, /* sums of the elements' errors, then of all their squares */
    WIDTH = ESTIMATORS * ENTRY
};

/* The fixed matrix has these on its diagonal; noise (i, j) has the deviation row_i col_j. */
static const double signal[COLS] = {1.5, 1.2, 0.9, 0.6, 0.3};
static const double row_noise[ROWS] = {1.0, 0.8, 1.2, 0.9, 1.1, 0.7};
static const double col_noise[COLS] = {0.5, 0.6, 0.7, 0.5, 0.4};

typedef struct shampoo_stream {
    claims_handle handles[ESTIMATORS];
    double left[ROWS], right[COLS];      /* expectations of L and R, diagonal */
    double target[COUNT], linear[COUNT]; /* ROWS x COLS */
    double normals[GROUPS * COUNT];
    float gradients[GROUPS * COUNT];
    double mean[COUNT];                         /* of the gradients */
    double left_samples[GROUPS * ROWS * ROWS];  /* G G' of each group */
    double right_samples[GROUPS * COLS * COLS]; /* G' G */
} shampoo_stream;

static double fixed(int i, int j)
{
    return i == j ? signal[j] : 0.0;
}

static double variance(int i, int j)
{
    double deviation = row_noise[i] * col_noise[j];
    return deviation * deviation;
}

/* f[x, y] of f = x^-1/4: with a = x^1/4, b = y^1/4, -1 / (a b (a^3 + a^2 b + a b^2 + b^3)). */
static double difference(double x, double y)
{
    double a = sqrt(sqrt(x)), b = sqrt(sqrt(y));
    return -1.0 / (a * b * (a + b) * (a * a + b * b));
}

static double inverse_root(double x)
{
    return 1.0 / sqrt(sqrt(x));
}

/* f[x, y, x]: (4 a^3 + 3 a^2 b + 2 a b^2 + b^3) / (a^2 b h(a, b)^2 h(a, a)), h as in difference. */
static double second_difference(double x, double y)
{
    double a = sqrt(sqrt(x)), b = sqrt(sqrt(y));
    double slope = difference(x, y);
    double sum = b * b * b + a * (2.0 * b * b + a * (3.0 * b + 4.0 * a));
    return slope * slope * b * sum / (4.0 * a * a * a);
}

static void set_target(shampoo_stream *s)
{
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double square = fixed(i, j) * fixed(i, j) + variance(i, j);
            s->left[i] += square;
            s->right[j] += square;
        }
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            s->target[i * COLS + j] =
                inverse_root(s->left[i]) * fixed(i, j) * inverse_root(s->right[j]);
        }
    }
}

/* Variance of element (i, k) of one group's G G', or G' G: the sum runs along the other side. */
static double left_variance(int i, int k)
{
    double sum = 0.0;
    for (int c = 0; c < COLS; c++) {
        double own = fixed(i, c) * fixed(i, c), other = fixed(k, c) * fixed(k, c);
        sum += own * variance(k, c) + other * variance(i, c) + variance(i, c) * variance(k, c);
    }
    return i == k ? 2.0 * sum : sum;
}

static double right_variance(int i, int k)
{
    double sum = 0.0;
    for (int r = 0; r < ROWS; r++) {
        double own = fixed(r, i) * fixed(r, i), other = fixed(r, k) * fixed(r, k);
        sum += own * variance(r, k) + other * variance(r, i) + variance(r, i) * variance(r, k);
    }
    return i == k ? 2.0 * sum : sum;
}

/* Biases of diagonal element i; all others are 0. */
static double inversion_at(const shampoo_stream *s, int i)
{
    double left = 0.0, right = 0.0;
    for (int k = 0; k < ROWS; k++) {
        left += second_difference(s->left[i], s->left[k]) * left_variance(i, k) / GROUPS;
    }
    for (int k = 0; k < COLS; k++) {
        right += second_difference(s->right[i], s->right[k]) * right_variance(i, k) / GROUPS;
    }
    return signal[i] * (left * inverse_root(s->right[i]) + inverse_root(s->left[i]) * right);
}

static double coupling_at(const shampoo_stream *s, int i)
{
    double left = 0.0, right = 0.0, both = 0.0;
    for (int k = 0; k < ROWS; k++) {
        double twice = k == i ? 2.0 : 1.0;
        left += difference(s->left[i], s->left[k]) * twice * signal[i] * variance(k, i);
    }
    for (int k = 0; k < COLS; k++) {
        double twice = k == i ? 2.0 : 1.0;
        double covariance = signal[i] * signal[k] * (variance(k, i) + variance(i, k));
        covariance = k == i ? 2.0 * (covariance + variance(i, i) * variance(i, i)) : covariance;
        right += difference(s->right[i], s->right[k]) * twice * signal[i] * variance(i, k);
        both += difference(s->left[i], s->left[k]) * difference(s->right[k], s->right[i]) *
                signal[k] * covariance;
    }
    return (left * inverse_root(s->right[i]) + inverse_root(s->left[i]) * right + both) / GROUPS;
}

/* The Frobenius norm, NaN where there is no prediction. */
static double predict(const shampoo_stream *s, shampoo_leaves leaves)
{
    double squares = leaves == UNKNOWN ? NAN : 0.0;
    for (int i = 0; i < COLS; i++) {
        double bias = leaves == LEAVES_ALL ? inversion_at(s, i) : 0.0;
        bias += leaves == LEAVES_NOTHING ? 0.0 : coupling_at(s, i);
        squares += bias * bias;
    }
    return sqrt(squares);
}

static int open_handles(shampoo_stream *s, failure *f)
{
    for (int e = PLAIN + 1; e < ESTIMATORS; e++) {
        plumb_parameter_options options;
        claims_handle_options(PLUMB_OPTIMIZER_SHAMPOO, &options);
        options.beta1 = options.beta2 = 0.0;
        options.damping = options.relative_damping = 0.0;
        options.root_interval = 1;
        options.grafting = PLUMB_GRAFTING_NONE;
        options.correction = estimators[e].correction;
        options.noise_floor = estimators[e].noise_floor;
        claims_handle_create(&s->handles[e], estimators[e].name, GROUPS, ROWS, COLS, &options, f);
    }
    return f->code;
}

/* One group's outer products. */
static void form_products(const float *gradient, double *left, double *right)
{
    memset(left, 0, ROWS * ROWS * sizeof *left);
    memset(right, 0, COLS * COLS * sizeof *right);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double g = (double)gradient[i * COLS + j];
            for (int k = 0; k < ROWS; k++) {
                left[i * ROWS + k] += g * (double)gradient[k * COLS + j];
            }
            for (int k = 0; k < COLS; k++) {
                right[j * COLS + k] += g * (double)gradient[i * COLS + k];
            }
        }
    }
}

static void draw(shampoo_stream *s, claims_key key)
{
    claims_normals(key, GROUPS * COUNT, s->normals);
    memset(s->mean, 0, sizeof s->mean);
    for (int k = 0; k < GROUPS; k++) {
        float *gradient = s->gradients + k * COUNT;
        for (int i = 0; i < COUNT; i++) {
            double noise = row_noise[i / COLS] * col_noise[i % COLS] * s->normals[k * COUNT + i];
            gradient[i] = (float)(fixed(i / COLS, i % COLS) + noise);
            s->mean[i] += (double)gradient[i] / GROUPS;
        }
        form_products(gradient, s->left_samples + k * ROWS * ROWS,
                      s->right_samples + k * COLS * COLS);
    }
}

/* change[n][n]: the first-order change of the root for the error of the mean of `samples`. */
static void root_change(int n, const double *samples, const double *expected, double *change)
{
    for (int i = 0; i < n * n; i++) {
        double sum = i % n == i / n ? -expected[i / n] : 0.0;
        for (int k = 0; k < GROUPS; k++) {
            sum += samples[k * n * n + i] / GROUPS;
        }
        change[i] = difference(expected[i / n], expected[i % n]) * sum;
    }
}

static void form_linear(shampoo_stream *s)
{
    double left[ROWS * ROWS], right[COLS * COLS];
    root_change(ROWS, s->left_samples, s->left, left);
    root_change(COLS, s->right_samples, s->right, right);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double error = s->mean[i * COLS + j] - fixed(i, j);
            double sum = inverse_root(s->left[i]) * error * inverse_root(s->right[j]);
            sum += left[i * ROWS + j] * signal[j] * inverse_root(s->right[j]);
            sum += i < COLS ? inverse_root(s->left[i]) * signal[i] * right[i * COLS + j] : 0.0;
            s->linear[i * COLS + j] = sum;
        }
    }
}

static void add_errors(const shampoo_stream *s, const double *update, double *entry)
{
    for (int i = 0; i < COUNT; i++) {
        double error = update[i] - s->target[i] - s->linear[i];
        entry[i] += error;
        entry[COUNT] += error * error;
    }
}

/* left[ROWS][ROWS] mean[ROWS][COLS] right[COLS][COLS] */
static void multiply(const double *left, const double *mean, const double *right, double *product)
{
    for (int i = 0; i < ROWS; i++) {
        double half[COLS] = {0.0};
        for (int k = 0; k < ROWS; k++) {
            for (int j = 0; j < COLS; j++) {
                half[j] += left[i * ROWS + k] * mean[k * COLS + j];
            }
        }
        for (int j = 0; j < COLS; j++) {
            product[i * COLS + j] = 0.0;
            for (int k = 0; k < COLS; k++) {
                product[i * COLS + j] += half[k] * right[k * COLS + j];
            }
        }
    }
}

static void add_plain(const shampoo_stream *s, double *entry, failure *f)
{
    double left[ROWS * ROWS], right[COLS * COLS], update[COUNT];
    plumb_status status = plumb_inverse_root(4, ROWS, GROUPS, s->left_samples, left, NULL);
    if (status == PLUMB_OK) {
        status = plumb_inverse_root(4, COLS, GROUPS, s->right_samples, right, NULL);
    }
    if (failure_from_library(f, status, NULL) == EXIT_OK) {
        multiply(left, s->mean, right, update);
        add_errors(s, update, entry);
    }
}

static void add_handle(shampoo_stream *s, int e, double *entry, failure *f)
{
    double update[COUNT];
    if (claims_handle_step(&s->handles[e], s->gradients, NULL, f) == EXIT_OK) {
        for (int i = 0; i < COUNT; i++) {
            update[i] = -(double)s->handles[e].values[i];
        }
        add_errors(s, update, entry);
    }
}

static void run(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f)
{
    shampoo_stream s;
    memset(&s, 0, sizeof s);
    set_target(&s);
    open_handles(&s, f);
    claims_key key = {.seed = seed, .subject = self->number, .unit = unit};
    for (int i = 0; i < REPETITIONS && f->code == EXIT_OK; i++) {
        key.step = (uint32_t)i;
        draw(&s, key);
        form_linear(&s);
        add_plain(&s, sums, f);
        for (int e = PLAIN + 1; e < ESTIMATORS && f->code == EXIT_OK; e++) {
            add_handle(&s, e, sums + e * ENTRY, f);
        }
    }
    for (int e = PLAIN + 1; e < ESTIMATORS; e++) {
        claims_handle_destroy(&s.handles[e]);
    }
}

static void report(const claims_subject *self, const double *sums, int64_t units,
                   claims_table *table)
{
    (void)self;
    shampoo_stream s;
    memset(&s, 0, sizeof s);
    set_target(&s);
    double squares = 0.0;
    for (int i = 0; i < COUNT; i++) {
        squares += s.target[i] * s.target[i];
    }
    for (int e = 0; e < ESTIMATORS; e++) {
        claims_estimate bias =
            claims_norm_of(COUNT, sums + e * ENTRY, (double)(units * REPETITIONS));
        claims_table_add(table, "shampoo 6 x 5, G=12, one step", estimators[e].name,
                         predict(&s, estimators[e].leaves) / sqrt(squares),
                         bias.mean / sqrt(squares), bias.error / sqrt(squares));
    }
}

const claims_subject claims_shampoo = {.name = "shampoo",
                                       .units = 24,
                                       .quick_units = 2,
                                       .width = WIDTH,
                                       .number = 4,
                                       .run = run,
                                       .report = report};
