/*
 * Echo weights: a plain reference in double over several steps of Muon, planted signals in noise of
 * either kind against the weights an oracle would choose, gradients without noise, noise without a
 * signal, shape and scale, and settings that cannot work, each refused by name.
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "correct/echo_weights.h"
#include "support/gradient_noise.h"
#include "support/optimizer_problem.h"
#include "support/reference_linalg.h"

static double farthest(int64_t count, const float *a, const float *b)
{
    double largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double apart = fabs((double)a[i] - (double)b[i]);
        largest = apart <= largest ? largest : apart; /* NaN stays */
    }
    return largest;
}

/* ---- the plain reference ---- */

enum { SMALL_ROWS = 6, SMALL_COLS = 4, SMALL = SMALL_ROWS * SMALL_COLS, MOST_STEPS = 4 };

typedef struct history {
    int steps, groups;
    double gradient[MOST_STEPS][PROBLEM_MOST_GROUPS][SMALL];
} history;

static double weight_at(const history *h, const plumb_parameter_options *o, int t)
{
    double plain = (1.0 - o->beta1) * pow(o->beta1, h->steps - 1 - t);
    double newest = t == h->steps - 1 ? 1.0 - o->beta1 : 0.0;
    return o->nesterov ? o->beta1 * plain + newest : plain;
}

/* u with the newest step's mean over all groups but `left_out` (-1: none). */
static void momentum_without(const history *h, const plumb_parameter_options *o, int left_out,
                             float *u)
{
    double sum[SMALL] = {0.0};
    for (int t = 0; t < h->steps; t++) {
        bool all = left_out < 0 || t < h->steps - 1;
        for (int k = 0; k < h->groups; k++) {
            double share = weight_at(h, o, t) / (all ? h->groups : h->groups - 1);
            for (int i = 0; i < SMALL && (all || k != left_out); i++) {
                sum[i] += share * h->gradient[t][k][i];
            }
        }
    }
    for (int i = 0; i < SMALL; i++) {
        u[i] = (float)sum[i];
    }
}

/* Places of the singular values in descending order. */
static void order_of(const reference_svd *svd, int *order)
{
    for (int i = 0; i < svd->side; i++) {
        int at = i;
        for (; at > 0 && svd->values[order[at - 1]] < svd->values[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

static double along(const reference_svd *svd, int i, const double *x)
{
    double sum = 0.0;
    for (int r = 0; r < svd->rows; r++) {
        for (int c = 0; c < svd->cols; c++) {
            sum +=
                svd->left[r * svd->side + i] * x[r * svd->cols + c] * svd->right[c * svd->side + i];
        }
    }
    return sum;
}

static double spread_of(const history *h)
{
    double sum = 0.0;
    for (int i = 0; i < SMALL; i++) {
        double mean = 0.0, squares = 0.0;
        for (int k = 0; k < h->groups; k++) {
            mean += h->gradient[h->steps - 1][k][i] / h->groups;
        }
        for (int k = 0; k < h->groups; k++) {
            double apart = h->gradient[h->steps - 1][k][i] - mean;
            squares += apart * apart;
        }
        sum += squares / (h->groups - 1) / SMALL;
    }
    return sum;
}

/* Element j of the regression is the least, over beginnings up to j, of the largest, over ends from
 * j on, of the weighted means in between. */
static void isotonic(int count, const double *values, const double *weights, double *result)
{
    for (int j = 0; j < count; j++) {
        double best = INFINITY;
        for (int first = 0; first <= j; first++) {
            double largest = -INFINITY;
            for (int last = j; last < count; last++) {
                double sum = 0.0, weight = 0.0;
                for (int i = first; i <= last; i++) {
                    sum += weights[i] * values[i];
                    weight += weights[i];
                }
                largest = fmax(largest, sum / weight);
            }
            best = fmin(best, largest);
        }
        result[j] = best;
    }
}

static void reference_weights(const history *h, const plumb_parameter_options *o, double *weights)
{
    double a = weight_at(h, o, h->steps - 1), past = 0.0, k = h->groups;
    double observed[SMALL_COLS] = {0}, noise[SMALL_COLS] = {0}, share[SMALL_COLS];
    double flat[SMALL_COLS], squares[SMALL_COLS];
    for (int t = 0; t + 1 < h->steps; t++) {
        past += weight_at(h, o, t) * weight_at(h, o, t);
    }
    for (int g = 0; g < h->groups; g++) {
        float u[SMALL];
        double apart[SMALL];
        int order[SMALL_COLS];
        momentum_without(h, o, g, u);
        for (int i = 0; i < SMALL; i++) {
            apart[i] = 0.0;
            for (int other = 0; other < h->groups; other++) {
                double weight = other == g ? -1.0 : 1.0 / (k - 1.0);
                apart[i] += weight * h->gradient[h->steps - 1][other][i];
            }
        }
        reference_svd svd = reference_svd_compute(SMALL_ROWS, SMALL_COLS, u);
        order_of(&svd, order);
        for (int i = 0; i < SMALL_COLS; i++) {
            observed[i] += svd.values[order[i]] / k;
            noise[i] += along(&svd, order[i], apart) * (a + past * (k - 1.0) / (k * a)) / k;
        }
        reference_svd_free(&svd);
    }
    double variance = (a * a / (k - 1.0) + past / k) * spread_of(h);
    for (int i = 0; i < SMALL_COLS; i++) {
        share[i] = 1.0 - noise[i] / observed[i];
        squares[i] = observed[i] * observed[i];
    }
    isotonic(SMALL_COLS, share, squares, flat);
    for (int i = 0; i < SMALL_COLS; i++) {
        double r = fmin(fmax(flat[i], 0.0), 1.0), strength = r * observed[i];
        double product = strength * observed[i];
        double signal =
            sqrt(0.5 * (product + sqrt(product * product + 4.0 * SMALL * variance * variance)));
        weights[i] = signal > 0.0 ? strength / signal : 0.0;
    }
}

static void fill_groups(optimizer_problem *p, history *h, double noise)
{
    static const double values[] = {3.0, 1.6, 0.6, 0.2};
    float matrix[SMALL];
    double draw[GRADIENT_NOISE_MOST];
    reference_matrix(SMALL_ROWS, SMALL_COLS, values, 7, matrix);
    for (int k = 0; k < p->groups; k++) {
        uint64_t key = (uint64_t)p->updates * PROBLEM_MOST_GROUPS + (uint64_t)k;
        gradient_noise_matrix(SMALL_ROWS, SMALL_COLS, true, key, draw);
        gradient_noise_add(SMALL, matrix, noise, draw, p->group_gradients[k]);
        for (int i = 0; i < SMALL; i++) {
            h->gradient[h->steps][k][i] = (double)p->group_gradients[k][i];
        }
    }
    h->steps++;
    problem_mean(p);
}

START_TEST(reference)
{
    static history h;
    optimizer_problem p;
    memset(&h, 0, sizeof h);
    problem_init(&p, PLUMB_OPTIMIZER_MUON, SMALL_ROWS, SMALL_COLS);
    p.options.weights = PLUMB_WEIGHTS_ECHO;
    p.options.nesterov = _i;
    p.options.weight_decay = 0.0;
    p.options.beta1 = 0.8;
    p.groups = h.groups = 5;
    for (int step = 0; step < MOST_STEPS; step++) {
        float u[SMALL];
        double weights[SMALL_COLS], mapped[SMALL_COLS], expected[SMALL];
        int order[SMALL_COLS];
        fill_groups(&p, &h, 1.0);
        reference_weights(&h, &p.options, weights);
        momentum_without(&h, &p.options, -1, u);
        reference_svd svd = reference_svd_compute(SMALL_ROWS, SMALL_COLS, u);
        order_of(&svd, order);
        for (int i = 0; i < SMALL_COLS; i++) {
            mapped[order[i]] = weights[i];
        }
        reference_svd_rebuild(&svd, mapped, expected);
        reference_svd_free(&svd);
        ck_assert_int_eq(problem_update(&p, 1.0, 0, p.count), PLUMB_OK);
        for (int i = 0; i < SMALL; i++) {
            double change = (double)(p.values[i] - p.new_values[i]);
            ck_assert_double_eq_tol(change, 0.2 * sqrt(6.0) * expected[i], 2e-5);
        }
        ck_assert(weights[0] > 0.5 && weights[0] < 1.0 && weights[3] < 0.9 * weights[0]);
        problem_commit(&p);
    }
    problem_free(&p);
}
END_TEST

/* ---- planted signals ---- */

enum { ROWS = 40, COLS = 60, COUNT = ROWS * COLS, GROUPS = 8, RANK = 5 };

typedef struct planted {
    float groups[GROUPS][COUNT], mean[COUNT], momentum[COUNT], direction[COUNT], polar[COUNT];
    float signal[COUNT];
    float target[COUNT]; /* the polar factor of the signal, of rank RANK */
    double weights[ROWS];
} planted;

static planted *planted_make(double scale)
{
    double values[ROWS] = {0.0};
    planted *p = calloc(1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (int i = 0; i < RANK; i++) {
        values[i] = scale * (5.0 - 0.85 * i);
    }
    reference_matrix(ROWS, COLS, values, 21, p->signal);
    plumb_polar_options options = {.size = sizeof options, .rank_tolerance = 1e-3};
    if (scale > 0.0) {
        ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, p->signal, p->target, &options),
                         PLUMB_OK);
    }
    return p;
}

/* One step: groups of the signal and noise, whose size grows with row and column if `uneven`; the
 * mean has the noise variance 1/48, so that a singular value of 1 is at the threshold. */
static void planted_draw(planted *p, uint64_t step, bool uneven)
{
    double size = sqrt((double)GROUPS / sqrt((double)COUNT));
    memset(p->mean, 0, sizeof p->mean);
    for (int k = 0; k < GROUPS; k++) {
        for (int i = 0; i < COUNT; i++) {
            int from_top = i / COLS, from_left = i % COLS;
            double row = uneven ? 0.3 + 1.4 * from_top / (ROWS - 1.0) : 1.0;
            double col = uneven ? 0.3 + 1.4 * from_left / (COLS - 1.0) : 1.0;
            double noise = gradient_noise(step * GROUPS + (uint64_t)k, (uint64_t)i);
            p->groups[k][i] = p->signal[i] + (float)(size * row * col * noise);
            p->mean[i] += p->groups[k][i] / GROUPS;
        }
    }
}

static void planted_apply(planted *p, double newest, double squared)
{
    const float *groups[GROUPS];
    for (int k = 0; k < GROUPS; k++) {
        groups[k] = p->groups[k];
    }
    echo_weights problem = {ROWS, COLS, GROUPS, groups, p->mean, newest, squared};
    ck_assert_int_eq(plumb_polar(PLUMB_POLAR_SVD, ROWS, COLS, p->momentum, p->polar, NULL), 0);
    memcpy(p->direction, p->momentum, sizeof p->direction);
    ck_assert_int_eq(echo_weights_apply(&problem, p->direction, p->weights), PLUMB_OK);
    for (int i = 0; i < ROWS; i++) {
        ck_assert(p->weights[i] >= 0.0 && p->weights[i] <= 1.0);
        ck_assert(i == 0 || p->weights[i] <= p->weights[i - 1]);
    }
}

static double product_of(const float *a, const float *b)
{
    double sum = 0.0;
    for (int i = 0; i < COUNT; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static double cosine(const float *a, const float *b)
{
    return product_of(a, b) / sqrt(product_of(a, a) * product_of(b, b));
}

static double squared_distance(const float *a, const float *b)
{
    return product_of(a, a) - 2.0 * product_of(a, b) + product_of(b, b);
}

/* The nearest to the target of all U diag(w) V' of the momentum: |target|^2 minus the sum of
 * (u_i' target v_i)^2, with no weight below 0. Weights by order of the singular values. */
static double oracle(const planted *p, double *weights)
{
    double target[COUNT], distance = RANK;
    int order[ROWS];
    reference_svd svd = reference_svd_compute(ROWS, COLS, p->momentum);
    order_of(&svd, order);
    for (int i = 0; i < COUNT; i++) {
        target[i] = (double)p->target[i];
    }
    for (int i = 0; i < ROWS; i++) {
        weights[i] = fmax(along(&svd, order[i], target), 0.0);
        distance -= weights[i] * weights[i];
    }
    reference_svd_free(&svd);
    return distance;
}

static void assert_near_oracle(const planted *p, double most_excess)
{
    double weights[ROWS], best = oracle(p, weights);
    double reached = squared_distance(p->direction, p->target);
    ck_assert_msg(reached <= most_excess * best, "distance %.4f, the oracle's %.4f", reached, best);
    /* The weakest is near the threshold, where one draw's echo may be anything. */
    for (int i = 0; i < RANK - 1; i++) {
        ck_assert_msg(fabs(p->weights[i] - weights[i]) < 0.2,
                      "weight %d is %.3f, the oracle's %.3f", i, p->weights[i], weights[i]);
    }
    double echoed = cosine(p->direction, p->target), plain = cosine(p->polar, p->target);
    ck_assert_msg(echoed > 1.5 * plain, "cosine %.3f, without weights %.3f", echoed, plain);
}

/* The first step: u is the gradient itself. _i = 1: rows and columns of unequal noise. */
START_TEST(first_step)
{
    planted *p = planted_make(1.0);
    for (uint64_t draw = 0; draw < 4; draw++) {
        planted_draw(p, draw, _i == 1);
        memcpy(p->momentum, p->mean, sizeof p->momentum);
        planted_apply(p, 1.0, 1.0);
        assert_near_oracle(p, 1.25);
    }
    free(p);
}
END_TEST

/* A momentum over many steps, whose noise lies for the most part in the past. */
START_TEST(long_momentum)
{
    const double beta = 0.8;
    const int steps = 20;
    double squared = (1.0 - beta) / (1.0 + beta) * (1.0 - pow(beta, 2.0 * steps));
    planted *p = planted_make(sqrt(squared));
    for (int step = 0; step < steps; step++) {
        planted_draw(p, 100 + (uint64_t)step, _i == 1);
        for (int i = 0; i < COUNT; i++) {
            double moved = beta * (double)p->momentum[i] + (1.0 - beta) * (double)p->mean[i];
            p->momentum[i] = (float)moved;
        }
    }
    planted_apply(p, 1.0 - beta, squared);
    assert_near_oracle(p, 1.25);
    free(p);
}
END_TEST

START_TEST(noise_alone)
{
    planted *p = planted_make(0.0);
    planted_draw(p, 7, false);
    memcpy(p->momentum, p->mean, sizeof p->momentum);
    planted_apply(p, 1.0, 1.0);
    ck_assert_double_lt(product_of(p->direction, p->direction), 0.02 * ROWS);
    free(p);
}
END_TEST

/* Equal groups: nothing is taken for noise, even if the momentum points elsewhere. */
START_TEST(no_noise)
{
    optimizer_problem weighted, plain;
    optimizer_problem *both[] = {&weighted, &plain};
    for (int which = 0; which < 2; which++) {
        optimizer_problem *p = both[which];
        problem_init(p, PLUMB_OPTIMIZER_MUON, 9, 7);
        p->options.polar = PLUMB_POLAR_SVD;
        p->options.weights = which == 0 ? PLUMB_WEIGHTS_ECHO : PLUMB_WEIGHTS_NONE;
        p->groups = 4;
        for (int step = 0; step < 3; step++) {
            problem_gradient(p, step == 1 ? -1.0f : 1.0f);
            for (int k = 0; k < p->groups; k++) {
                memcpy(p->group_gradients[k], p->gradient, (size_t)p->count * sizeof(float));
            }
            problem_step(p, 0.1);
        }
    }
    ck_assert_double_lt(farthest(weighted.count, weighted.values, plain.values), 1e-5);
    problem_free(&weighted);
    problem_free(&plain);
}
END_TEST

/* ---- shape, scale, loss of rank ---- */

enum { MOST = GRADIENT_NOISE_MOST };

static void make_groups(int rows, int cols, float scale, float memory[4][MOST], float *mean)
{
    static const double values[] = {3.0, 2.0, 1.0, 0.5, 0.2};
    float matrix[MOST];
    double noise[MOST];
    reference_matrix(rows, cols, values, 3, matrix);
    memset(mean, 0, MOST * sizeof *mean);
    for (int k = 0; k < 4; k++) {
        gradient_noise_matrix(rows, cols, true, (uint64_t)k, noise);
        gradient_noise_add(rows * cols, matrix, 0.5, noise, memory[k]);
        for (int i = 0; i < rows * cols; i++) {
            memory[k][i] *= scale;
            mean[i] += memory[k][i] / 4.0f;
        }
    }
}

static plumb_status weigh(int rows, int cols, float memory[4][MOST], const float *mean,
                          float *direction)
{
    const float *groups[] = {memory[0], memory[1], memory[2], memory[3]};
    echo_weights problem = {rows, cols, 4, groups, mean, 1.0, 1.0};
    memcpy(direction, mean, (size_t)(rows * cols) * sizeof *mean);
    return echo_weights_apply(&problem, direction, NULL);
}

START_TEST(shape_and_scale)
{
    float memory[4][MOST], turned[4][MOST], mean[MOST], one[MOST], other[MOST], back[MOST];
    static const float scales[] = {1e-30f, 0x1p-100f, 1e30f};
    make_groups(8, 5, 1.0f, memory, mean);
    ck_assert_int_eq(weigh(8, 5, memory, mean, one), PLUMB_OK);
    for (int s = 0; s < 3; s++) {
        make_groups(8, 5, scales[s], memory, mean);
        ck_assert_int_eq(weigh(8, 5, memory, mean, other), PLUMB_OK);
        ck_assert_double_lt(farthest(40, one, other), 1e-5);
    }
    make_groups(8, 5, 1.0f, memory, mean);
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < 4; k++) {
            turned[k][i % 5 * 8 + i / 5] = memory[k][i];
        }
        back[i % 5 * 8 + i / 5] = mean[i];
    }
    memcpy(mean, back, sizeof back);
    ck_assert_int_eq(weigh(5, 8, turned, mean, other), PLUMB_OK);
    for (int i = 0; i < 40; i++) {
        ck_assert_double_eq_tol((double)other[i % 5 * 8 + i / 5], (double)one[i], 1e-6);
    }
}
END_TEST

START_TEST(lost_rank)
{
    float memory[4][MOST], mean[MOST], direction[MOST];
    memset(memory, 0, sizeof memory);
    memset(mean, 0, sizeof mean);
    ck_assert_int_eq(weigh(8, 5, memory, mean, direction), PLUMB_OK);
    for (int i = 0; i < 40; i++) {
        ck_assert(direction[i] == 0.0f);
    }
    make_groups(8, 5, 1.0f, memory, mean);
    for (int r = 0; r < 8; r++) {
        mean[r * 5 + 2] = 0.0f;
        for (int k = 0; k < 4; k++) {
            memory[k][r * 5 + 2] = 0.0f;
        }
    }
    ck_assert_int_eq(weigh(8, 5, memory, mean, direction), PLUMB_OK);
    for (int i = 0; i < 40; i++) {
        ck_assert(isfinite(direction[i]) && (i % 5 != 2 || fabsf(direction[i]) < 1e-6f));
    }
    memory[1][3] = NAN;
    ck_assert_int_ne(weigh(8, 5, memory, mean, direction), PLUMB_OK);
    int64_t allocations = -1;
    ck_assert_int_eq(plumb_memory_in_use(&allocations, NULL), PLUMB_OK);
    ck_assert_int_eq(allocations, 0);
}
END_TEST

/* ---- options ---- */

static void assert_invalid(const plumb_parameter_options *o, plumb_status expected,
                           const char *part)
{
    ck_assert_int_eq(optimizer_validate(o, 6, 4), expected);
    ck_assert_msg(strstr(error_text(), part) != NULL, "\"%s\" is not in \"%s\"", part,
                  error_text());
}

static plumb_parameter_options options_of(plumb_optimizer optimizer)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, optimizer), PLUMB_OK);
    o.weights = PLUMB_WEIGHTS_ECHO;
    return o;
}

START_TEST(wrong_options)
{
    const optimizer_kind *kind = optimizer_find(PLUMB_OPTIMIZER_MUON);
    plumb_parameter_options o = options_of(PLUMB_OPTIMIZER_MUON);
    ck_assert_int_eq(optimizer_validate(&o, 6, 4), PLUMB_OK);
    ck_assert(optimizer_wants_groups(&o));
    ck_assert_int_eq(kind->validate_groups(&o, 2), PLUMB_OK);
    ck_assert_int_eq(kind->validate_groups(&o, 1), PLUMB_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error_text(), "at least 2"));
    ck_assert_int_eq(kind->state_count(&o, 8), 1);
    o.polar = PLUMB_POLAR_FAST;
    ck_assert_int_eq(kind->panels->count(&o, 4096, 4096), 1);
    o.weights = PLUMB_WEIGHTS_NONE;
    ck_assert_int_gt(kind->panels->count(&o, 4096, 4096), 1);
    ck_assert(!optimizer_wants_groups(&o));
    o = options_of(PLUMB_OPTIMIZER_MUON);
    o.pipeline = PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "pipeline must be the default");
    o = options_of(PLUMB_OPTIMIZER_MUON);
    o.correction = PLUMB_CORRECTION_JACKKNIFE;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "choose one");
    o = options_of(PLUMB_OPTIMIZER_MUON);
    o.weights = (plumb_weights)2;
    assert_invalid(&o, PLUMB_ERROR_ARGUMENT, "weights is 2");
    for (int other = 0; other <= (int)PLUMB_OPTIMIZER_SOAP; other++) {
        o = options_of((plumb_optimizer)other);
        if (other != (int)PLUMB_OPTIMIZER_MUON) {
            assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "Muon's");
        }
    }
    o = options_of(PLUMB_OPTIMIZER_MUON);
    ck_assert_double_gt(kind->cost(&o, 8, 256, 512, 256 * 512),
                        kind->cost(&o, 2, 256, 512, 256 * 512));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("echo weights");
    TCase *cases = tcase_create("loops");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, reference, 0, 2);
    tcase_add_loop_test(cases, first_step, 0, 2);
    tcase_add_loop_test(cases, long_momentum, 0, 2);
    suite_add_tcase(suite, cases);
    test_add(suite, "noise alone", noise_alone);
    test_add(suite, "no noise", no_noise);
    test_add(suite, "shape and scale", shape_and_scale);
    test_add(suite, "lost rank", lost_rank);
    test_add(suite, "wrong options", wrong_options);
    return test_run(suite);
}
