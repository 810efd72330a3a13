/*
 * What Shampoo's corrections do to the bias, against expectations that are known: the roots of
 * moving averages of normal gradients, and the whole product from one step's groups, where
 * gradient and roots share their noise.
 * ranks: serial
 * seconds: 900
 */
#include <math.h>

#include "support/matrix_problem.h"
#include "support/reference_shampoo.h"
#include "workload/random.h"

enum { ROWS = 6, COLS = 5, COUNT = ROWS * COLS };

static const double row_scales[ROWS] = {1.6, 1.2, 1.0, 0.7, 0.5, 0.3};
static const double col_scales[COLS] = {1.4, 1.1, 0.9, 0.6, 0.4};

typedef struct stream {
    double signal; /* size of the mean gradient; the noise has covariance rows x columns */
    double mean[COUNT];
    uint64_t seed, step;
} stream;

static stream stream_of(double signal, uint64_t seed)
{
    stream s = {.signal = signal, .seed = seed};
    for (int i = 0; i < COUNT; i++) {
        s.mean[i] = signal * random_normal(3, RANDOM_BATCH, 0, 0, (uint64_t)i);
    }
    return s;
}

static void next_groups(stream *s, optimizer_problem *p)
{
    for (int k = 0; k < p->groups; k++) {
        for (int i = 0; i < COUNT; i++) {
            double noise = random_normal(s->seed, RANDOM_BATCH, s->step, (uint64_t)k, (uint64_t)i);
            double scale = row_scales[i / COLS] * col_scales[i % COLS];
            p->group_gradients[k][i] = (float)(s->mean[i] + scale * noise);
        }
    }
    problem_mean(p);
    s->step++;
}

/* (E L)^(-1/4) or that of R, for the noise floor c. */
static void expected_root(const stream *s, int side, double c, double *root)
{
    int n = side == 0 ? ROWS : COLS, inner = side == 0 ? COLS : ROWS;
    const double *own = side == 0 ? row_scales : col_scales;
    const double *other = side == 0 ? col_scales : row_scales;
    double matrix[COUNT + ROWS] = {0}, values[ROWS], vectors[COUNT + ROWS], trace = 0.0;
    for (int k = 0; k < inner; k++) {
        trace += other[k] * other[k];
    }
    for (int i = 0; i < n * n; i++) {
        int a = i / n, b = i % n;
        matrix[i] = a == b ? c * trace * own[a] * own[a] : 0.0;
        for (int k = 0; k < inner; k++) {
            matrix[i] += side == 0 ? s->mean[a * COLS + k] * s->mean[b * COLS + k]
                                   : s->mean[k * COLS + a] * s->mean[k * COLS + b];
        }
    }
    reference_eigen(n, matrix, values, vectors);
    for (int i = 0; i < n * n; i++) {
        root[i] = 0.0;
        for (int k = 0; k < n; k++) {
            root[i] += vectors[i / n * n + k] * pow(values[k], -0.25) * vectors[i % n * n + k];
        }
    }
}

/* left M right */
static void multiply(const double *left, const double *matrix, const double *right, double *result)
{
    double half[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < ROWS; k++) {
            half[i] += left[i / COLS * ROWS + k] * matrix[k * COLS + i % COLS];
        }
    }
    for (int i = 0; i < COUNT; i++) {
        result[i] = 0.0;
        for (int k = 0; k < COLS; k++) {
            result[i] += half[i / COLS * COLS + k] * right[k * COLS + i % COLS];
        }
    }
}

static double relative_distance(int count, const double *a, const double *b)
{
    double distance = 0.0, norm = 0.0;
    for (int i = 0; i < count; i++) {
        distance += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(distance / norm);
}

static void begin(matrix_problem *p, plumb_correction correction, double noise_floor, int groups)
{
    matrix_problem_init(p, PLUMB_OPTIMIZER_SHAMPOO, ROWS, COLS);
    p->base.groups = groups;
    p->base.options.correction = correction;
    p->base.options.noise_floor = noise_floor;
    p->base.options.grafting = PLUMB_GRAFTING_NONE;
    p->base.options.weight_decay = 0.0;
    p->base.options.damping = 0.0;
    p->base.options.relative_damping = 1e-9;
    p->base.options.root_interval = 1;
    p->base.options.beta1 = 0.0;
}

/* |mean of the left root - (E L)^(-1/4)| over its norm, averages of a stationary stream. */
static double root_bias(plumb_correction correction, double noise_floor, int groups, double beta2,
                        double signal)
{
    enum { STEPS = 4000, SETTLE = 60 };
    matrix_problem p;
    stream s = stream_of(signal, 11);
    double expected[ROWS * ROWS], mean[ROWS * ROWS] = {0};
    begin(&p, correction, noise_floor, groups);
    p.base.options.beta2 = beta2;
    for (int t = 0; t < STEPS + SETTLE; t++) {
        next_groups(&s, &p.base);
        matrix_problem_step(&p, 0.1);
        const double *root = matrix_problem_state(&p, "left_root", -1);
        for (int i = 0; i < ROWS * ROWS && t >= SETTLE; i++) {
            mean[i] += root[i] / STEPS;
        }
    }
    ck_assert_int_eq(p.base.counts.roots_failed, 0);
    matrix_problem_free(&p);
    expected_root(&s, 0, noise_floor == 0.0 ? 1.0 / groups : noise_floor, expected);
    return relative_distance(ROWS * ROWS, mean, expected);
}

/* Without a mean gradient both corrections know what to do. */
START_TEST(roots_of_noise)
{
    double plain = root_bias(PLUMB_CORRECTION_NONE, 0.0, 8, 0.7, 0.0);
    double wishart = root_bias(PLUMB_CORRECTION_WISHART, 0.0, 8, 0.7, 0.0);
    double second = root_bias(PLUMB_CORRECTION_SECOND_ORDER, 0.0, 8, 0.7, 0.0);
    double pair = root_bias(PLUMB_CORRECTION_SECOND_ORDER, 0.0, 2, 0.7, 0.0);
    ck_assert_msg(plain > 0.05, "plain %g", plain);
    ck_assert_msg(wishart < 0.25 * plain, "wishart %g, plain %g", wishart, plain);
    ck_assert_msg(second < 0.25 * plain, "second order %g, plain %g", second, plain);
    ck_assert_msg(pair < 0.3 * plain, "second order of two groups %g, plain %g", pair, plain);
}
END_TEST

/* At c = 1 the jackknife leaves the root of the whole as it is: the plain one. */
START_TEST(roots_of_mean_squares)
{
    double plain = root_bias(PLUMB_CORRECTION_HALF_SAMPLE, 1.0, 8, 0.5, 0.0);
    double wishart = root_bias(PLUMB_CORRECTION_WISHART, 1.0, 8, 0.5, 0.0);
    double second = root_bias(PLUMB_CORRECTION_SECOND_ORDER, 1.0, 8, 0.5, 0.0);
    ck_assert_msg(plain > 0.01, "plain %g", plain);
    ck_assert_msg(wishart < 0.3 * plain, "wishart %g, plain %g", wishart, plain);
    ck_assert_msg(second < 0.3 * plain, "second order %g, plain %g", second, plain);
}
END_TEST

/* With one, normal gradients of mean 0 are the wrong picture, and the groups know better. */
START_TEST(roots_with_a_mean)
{
    double plain = root_bias(PLUMB_CORRECTION_NONE, 0.0, 8, 0.7, 0.5);
    double second = root_bias(PLUMB_CORRECTION_SECOND_ORDER, 0.0, 8, 0.7, 0.5);
    ck_assert_msg(plain > 0.03, "plain %g", plain);
    ck_assert_msg(second < 0.4 * plain, "second order %g, plain %g", second, plain);
}
END_TEST

typedef struct product_bias {
    double plain, corrected;
} product_bias;

/* Of the product, plain and as the optimizer has it: one step's groups for everything, c = 1. */
static product_bias bias_of_product(plumb_correction correction, int groups)
{
    enum { STEPS = 8000 };
    matrix_problem p;
    stream s = stream_of(1.0, 12);
    double left[ROWS * ROWS], right[COLS * COLS], expected[COUNT], one[COUNT], gradient[COUNT];
    double plain[COUNT] = {0}, corrected[COUNT] = {0};
    expected_root(&s, 0, 1.0, left);
    expected_root(&s, 1, 1.0, right);
    multiply(left, s.mean, right, expected);
    begin(&p, correction, 1.0, groups);
    p.base.options.beta2 = 0.0;
    for (int t = 0; t < STEPS; t++) {
        next_groups(&s, &p.base);
        memset(p.base.values, 0, COUNT * sizeof *p.base.values);
        matrix_problem_step(&p, 1.0);
        for (int i = 0; i < COUNT; i++) {
            gradient[i] = (double)p.base.gradient[i];
        }
        multiply(matrix_problem_state(&p, "left_root", -1), gradient,
                 matrix_problem_state(&p, "right_root", -1), one);
        for (int i = 0; i < COUNT; i++) {
            plain[i] += one[i] / STEPS;
            corrected[i] -= (double)p.base.values[i] / STEPS;
        }
    }
    matrix_problem_free(&p);
    return (product_bias){relative_distance(COUNT, plain, expected),
                          relative_distance(COUNT, corrected, expected)};
}

/*
 * Plain, coupling and inversion nearly cancel; correcting the roots alone lays the coupling bare;
 * the jackknife of the product removes both. (Standard error of each: about .004 and .003.)
 */
START_TEST(products)
{
    static const int groups[] = {6, 12};
    for (int i = 0; i < 2; i++) {
        product_bias whole = bias_of_product(PLUMB_CORRECTION_JACKKNIFE, groups[i]);
        product_bias half = bias_of_product(PLUMB_CORRECTION_HALF_SAMPLE, groups[i]);
        product_bias roots = bias_of_product(PLUMB_CORRECTION_SECOND_ORDER, groups[i]);
        ck_assert_msg(whole.plain > 0.008 && whole.plain < 0.022, "plain %g", whole.plain);
        ck_assert_msg(whole.corrected < 0.4 * whole.plain, "jackknife %g, plain %g",
                      whole.corrected, whole.plain);
        ck_assert_msg(half.corrected < 0.5 * half.plain, "half-sample %g, plain %g", half.corrected,
                      half.plain);
        ck_assert_msg(roots.corrected > 1.5 * whole.plain, "roots alone %g, plain %g",
                      roots.corrected, whole.plain);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bias of shampoo");
    test_add(suite, "roots of noise", roots_of_noise);
    test_add(suite, "roots of mean squares", roots_of_mean_squares);
    test_add(suite, "roots with a mean", roots_with_a_mean);
    test_add(suite, "products", products);
    return test_run(suite);
}
