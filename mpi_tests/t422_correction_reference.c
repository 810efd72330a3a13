/*
 * AdamW's corrections against plain references in double that share no formula with the loops, any
 * cut into slices against the whole, bit for bit, and gradients of any size.
 * ranks: serial
 */
#include <math.h>

#include "correct/correction.h"
#include "support/optimizer_problem.h"

enum { ROWS = 29, COLS = 31, COUNT = ROWS * COLS, STEPS = 6, MOST_GROUPS = 8 };

/* One element's history. */
typedef struct element {
    double first[MOST_GROUPS], second[MOST_GROUPS]; /* per fold; [0] without folds */
    double variance[MOST_GROUPS], covariance;
    double whole; /* second moment of all groups */
    double value;
    int clipped;
} element;

/* The setting of one step at one element. */
typedef struct setting {
    int groups, folds;
    double c, beta1, beta2, epsilon;
    double unbias1, unbias2;
    const double *g;
} setting;

static void follow(double *average, double beta, double sample)
{
    *average = beta * *average + (1.0 - beta) * sample;
}

static void follow_product(double *average, double left, double right, double sample)
{
    *average = left * right * *average + (1.0 - left) * (1.0 - right) * sample;
}

static double mean_of(int count, const double *values)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += values[i] / count;
    }
    return sum;
}

/* Mean of products of different groups plus c times the mean of half squared differences. */
static double second_moment(int count, const double *g, double c)
{
    double products = 0.0, differences = 0.0;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            products += i == j ? 0.0 : g[i] * g[j];
            differences += 0.5 * (g[i] - g[j]) * (g[i] - g[j]);
        }
    }
    return (products + c * differences) / (count * (count - 1));
}

/*
 * What `n` groups add to the variance of their second moment (by itself) or to its covariance (by
 * their gradients): what each moves it by, and a part that makes up for estimating the mean.
 */
static double plug_in(int n, const double *g, double c, int of_variance)
{
    double mean = mean_of(n, g), blend = fmax((c * n - 1.0) / (n - 1.0), 0.0);
    double influence[MOST_GROUPS], sum = 0.0, spread = 0.0;
    for (int k = 0; k < n; k++) {
        influence[k] = (1.0 - blend) * 2.0 * mean * g[k] + blend * g[k] * g[k];
        spread += (g[k] - mean) * (g[k] - mean) / (n - 1);
    }
    double average = mean_of(n, influence);
    for (int k = 0; k < n; k++) {
        double other = of_variance ? influence[k] - average : g[k] - mean;
        sum += (influence[k] - average) * other / (n * (n - 1));
    }
    double exact = 2.0 * c * c / n + 2.0 * (1.0 - c) * (1.0 - c) / (n * (n - 1));
    double expected = (4.0 + 2.0 * blend * blend * (n - 2)) / (n * n);
    double normal = spread * spread * (n - 1) / (n + 1) * (exact - expected);
    return of_variance ? sum + normal : sum;
}

static double curvature(double v, double epsilon)
{
    double d = sqrt(v) + epsilon;
    return 1.0 / (4.0 * pow(v, 1.5) * d * d) + 1.0 / (2.0 * v * pow(d, 3.0));
}

static double corrected_inverse(double v, double q, double epsilon)
{
    double f = 1.0 / (sqrt(v) + epsilon);
    return f / (1.0 + 0.5 * curvature(v, epsilon) * fmax(q, 0.0) / f);
}

static double clip(element *e, double change, double bound)
{
    e->clipped += fabs(change) > bound;
    return fmin(fmax(change, -bound), bound);
}

static double moment_direction(element *e, const setting *s)
{
    follow(&e->first[0], s->beta1, mean_of(s->groups, s->g));
    follow(&e->second[0], s->beta2, second_moment(s->groups, s->g, s->c));
    follow_product(&e->variance[0], s->beta2, s->beta2, plug_in(s->groups, s->g, s->c, 1));
    follow_product(&e->covariance, s->beta1, s->beta2, plug_in(s->groups, s->g, s->c, 0));
    double m = e->first[0] * s->unbias1, v = e->second[0] * s->unbias2;
    double q = fmax(e->variance[0], 0.0) * s->unbias2 * s->unbias2, d = sqrt(v) + s->epsilon;
    double slope = 0.5 / (sqrt(v) * d * d);
    /* half the second derivative of 1/(sqrt(v) d^2), over itself, by the product rule */
    double bend = 0.5 * q * (0.75 / (v * v) + 1.5 / (pow(v, 1.5) * d) + 1.5 / (v * d * d));
    double coupling = slope * e->covariance * s->unbias1 * s->unbias2 / (1.0 + bend);
    return m * corrected_inverse(v, q, s->epsilon) + clip(e, coupling, 0.5 * fabs(m) / d);
}

static double bounded(element *e, double corrected, double m, double v, double epsilon)
{
    double plain = m / (sqrt(v) + epsilon);
    return plain + clip(e, corrected - plain, 0.5 * fabs(plain));
}

/* The gradients inside or outside of a fold; returns how many. */
static int part_of(const setting *s, int fold, int inside, double *part)
{
    int size = s->groups / s->folds, count = 0;
    for (int k = 0; k < s->groups; k++) {
        if ((k / size == fold) == inside) {
            part[count++] = s->g[k];
        }
    }
    return count;
}

static double squares_of(int count, const double *g)
{
    double sum = 0.0;
    for (int k = 0; k < count; k++) {
        sum += g[k] * g[k] / count;
    }
    return sum;
}

/* One group alone has no spread: all groups' then, of a mean of squares. */
static void follow_others(element *e, const setting *s, int fold)
{
    double own[MOST_GROUPS], others[MOST_GROUPS];
    int size = part_of(s, fold, 1, own), n = part_of(s, fold, 0, others);
    follow(&e->first[fold], s->beta1, mean_of(size, own));
    follow(&e->second[fold], s->beta2,
           n > 1 ? second_moment(n, others, s->c) : others[0] * others[0]);
    follow_product(&e->variance[fold], s->beta2, s->beta2,
                   n > 1 ? plug_in(n, others, s->c, 1)
                         : s->groups * plug_in(s->groups, s->g, s->c, 1));
}

static double leave_one_out_direction(element *e, const setting *s)
{
    int n = s->folds;
    double sum = 0.0;
    follow(&e->whole, s->beta2, second_moment(s->groups, s->g, s->c));
    for (int f = 0; f < n; f++) {
        follow_others(e, s, f);
        double v = fmax(e->second[f], 0.25 * e->whole) * s->unbias2;
        double q = fmax(e->variance[f], 0.0) * s->unbias2 * s->unbias2;
        double inverse = 1.0 / (sqrt(v) + s->epsilon);
        double excess = 0.5 * curvature(v, s->epsilon) * q / inverse;
        sum += e->first[f] * s->unbias1 * inverse / (1.0 + excess + 3.0 * excess * excess) / n;
    }
    return bounded(e, sum, mean_of(n, e->first) * s->unbias1, e->whole * s->unbias2, s->epsilon);
}

static double jackknife_direction(element *e, const setting *s)
{
    int n = s->folds;
    for (int f = 0; f < n; f++) {
        double own[MOST_GROUPS];
        int size = part_of(s, f, 1, own);
        follow(&e->first[f], s->beta1, mean_of(size, own));
        follow(&e->second[f], s->beta2, squares_of(size, own));
    }
    double m = mean_of(n, e->first) * s->unbias1, v = mean_of(n, e->second) * s->unbias2;
    double sum = n * m / (sqrt(v) + s->epsilon);
    for (int k = 0; k < n; k++) {
        double first = 0.0, second = 0.0;
        for (int j = 0; j < n; j++) {
            first += j == k ? 0.0 : e->first[j] * s->unbias1 / (n - 1);
            second += j == k ? 0.0 : e->second[j] * s->unbias2 / (n - 1);
        }
        sum -= (n - 1.0) / n * first / (sqrt(second) + s->epsilon);
    }
    return bounded(e, sum, m, v, s->epsilon);
}

typedef double direction_function(element *e, const setting *s);

static void problem_of(optimizer_problem *p, plumb_correction correction, int groups, int folds,
                       double noise_floor)
{
    problem_init(p, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    p->options.correction = correction;
    p->options.noise_floor = noise_floor;
    p->options.folds = folds;
    p->groups = groups;
    ck_assert_int_eq(optimizer_validate(&p->options, ROWS, COLS), PLUMB_OK);
    const optimizer_kind *kind = optimizer_find(PLUMB_OPTIMIZER_ADAMW);
    ck_assert_int_eq(kind->validate_groups(&p->options, groups), PLUMB_OK);
    ck_assert_int_le(kind->state_count(&p->options, groups), PROBLEM_MOST_STATES);
}

static void step_reference(element *elements, const optimizer_problem *p,
                           direction_function *direction, double rate)
{
    const plumb_parameter_options *o = &p->options;
    double g[MOST_GROUPS], t = (double)(p->updates + 1);
    setting s = {.groups = p->groups,
                 .folds = o->folds > 0 ? o->folds : p->groups,
                 .c = o->noise_floor == 0.0 ? 1.0 / p->groups : o->noise_floor,
                 .beta1 = o->beta1,
                 .beta2 = o->beta2,
                 .epsilon = o->epsilon,
                 .unbias1 = 1.0 / (1.0 - pow(o->beta1, t)),
                 .unbias2 = 1.0 / (1.0 - pow(o->beta2, t)),
                 .g = g};
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < p->groups; k++) {
            g[k] = (double)p->group_gradients[k][i];
        }
        double u = direction(&elements[i], &s);
        elements[i].value -= rate * (o->weight_decay * elements[i].value + u);
    }
}

static void assert_follows(plumb_correction correction, direction_function *direction, int groups,
                           int folds, double noise_floor, double epsilon, double tolerance)
{
    static element elements[COUNT];
    memset(elements, 0, sizeof elements);
    optimizer_problem p;
    problem_of(&p, correction, groups, folds, noise_floor);
    p.options.epsilon = epsilon;
    for (int i = 0; i < COUNT; i++) {
        elements[i].value = (double)p.values[i];
    }
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&p, 0.25f);
        step_reference(elements, &p, direction, 0.02);
        problem_step(&p, 0.02);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_msg(
                fabs((double)p.values[i] - elements[i].value) <= tolerance,
                "correction %d G %d F %d c %g epsilon %g step %d element %d: %.9g, not %.9g",
                (int)correction, groups, folds, noise_floor, epsilon, t, i, (double)p.values[i],
                elements[i].value);
        }
    }
    int64_t clipped = 0;
    for (int i = 0; i < COUNT; i++) {
        clipped += elements[i].clipped;
    }
    ck_assert_int_eq(p.counts.clipped, clipped);
    ck_assert_int_gt(clipped, 0);
    ck_assert_int_lt(clipped, STEPS * COUNT);
    problem_free(&p);
}

START_TEST(moment_follows_reference)
{
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 8, 0, 0.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 8, 0, 0.0, 0.05, 1e-6);
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 2, 0, 0.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 5, 0, 0.4, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 8, 0, 1.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_MOMENT, moment_direction, 4, 0, 1.0, 0.3, 1e-6);
}
END_TEST

/* With three groups their mean may be so small that rounding of the tracks shows. */
START_TEST(leave_one_out_follows_reference)
{
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 0, 0.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 4, 0, 0.0, 0.05, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 3, 0, 0.0, 1e-8, 1e-5);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 5, 0, 0.4, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 0, 1.0, 0.1, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 4, 0.0, 1e-8, 1e-5);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 2, 0.0, 1e-8, 1e-5);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 6, 2, 0.5, 0.05, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 6, 3, 0.3, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 4, 1.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_LOO, leave_one_out_direction, 2, 0, 1.0, 1e-8, 1e-6);
}
END_TEST

START_TEST(jackknife_follows_reference)
{
    assert_follows(PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 8, 0, 1.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 3, 0, 1.0, 0.1, 1e-6);
    assert_follows(PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 2, 0, 1.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 8, 4, 1.0, 1e-8, 1e-6);
    assert_follows(PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 8, 2, 1.0, 0.05, 1e-6);
}
END_TEST

static double noise_floor_for(plumb_correction correction)
{
    return correction == PLUMB_CORRECTION_JACKKNIFE ? 1.0 : 0.0;
}

static void assert_equal_states(const optimizer_problem *left, const optimizer_problem *right)
{
    ck_assert_mem_eq(left->values, right->values, COUNT * sizeof(float));
    for (int s = 0; s < PROBLEM_MOST_STATES; s++) {
        ck_assert_mem_eq(left->states[s], right->states[s], COUNT * sizeof(float));
    }
    ck_assert_int_eq(left->counts.clipped, right->counts.clipped);
}

START_TEST(slices_equal_the_whole)
{
    static const int64_t cuts[] = {0, 1, 2, 19, 64, 65, 330, 331, 700, COUNT};
    optimizer_problem whole, sliced;
    plumb_correction correction = (plumb_correction)_i;
    problem_of(&whole, correction, 8, 0, noise_floor_for(correction));
    problem_of(&sliced, correction, 8, 0, noise_floor_for(correction));
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&whole, 1.0f);
        problem_groups(&sliced, 1.0f);
        problem_step(&whole, 0.01);
        for (size_t s = 0; s + 1 < sizeof cuts / sizeof cuts[0]; s++) {
            ck_assert_int_eq(problem_update(&sliced, 0.01, cuts[s], cuts[s + 1] - cuts[s]),
                             PLUMB_OK);
        }
        problem_commit(&sliced);
        assert_equal_states(&whole, &sliced);
    }
    problem_free(&whole);
    problem_free(&sliced);
}
END_TEST

START_TEST(old_state_stays)
{
    optimizer_problem p, copy;
    plumb_correction correction = (plumb_correction)_i;
    problem_of(&p, correction, 4, 0, noise_floor_for(correction));
    problem_of(&copy, correction, 4, 0, noise_floor_for(correction));
    problem_groups(&p, 1.0f);
    problem_groups(&copy, 1.0f);
    problem_step(&p, 0.01);
    problem_step(&copy, 0.01);
    problem_groups(&p, 1.0f);
    ck_assert_int_eq(problem_update(&p, 0.01, 0, COUNT), PLUMB_OK);
    p.counts.clipped = copy.counts.clipped;
    assert_equal_states(&p, &copy);
    ck_assert_mem_ne(p.values, p.new_values, COUNT * sizeof(float));
    problem_free(&p);
    problem_free(&copy);
}
END_TEST

START_TEST(nothing_moves_nothing)
{
    optimizer_problem p;
    plumb_correction correction = (plumb_correction)_i;
    problem_of(&p, correction, 4, 0, noise_floor_for(correction));
    p.options.weight_decay = 0.0;
    p.options.epsilon = 1e-30;
    problem_step(&p, 0.1);
    problem_step(&p, 0.1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(p.values[i] == test_value(1, 0, (uint64_t)i));
    }
    ck_assert_int_eq(p.counts.clipped, 0);
    problem_free(&p);
}
END_TEST

/* Three steps from zero values on gradients `scale` times as large. */
static void run_scaled(optimizer_problem *p, plumb_correction correction, float scale)
{
    problem_of(p, correction, 8, 0, noise_floor_for(correction));
    p->options.epsilon = 1e-30;
    memset(p->values, 0, COUNT * sizeof(float));
    for (int t = 0; t < 3; t++) {
        problem_groups(p, scale);
        problem_step(p, 0.01);
    }
}

/* Powers of two scale every average exactly, so the direction keeps its bits. */
START_TEST(gradients_of_any_size)
{
    static const float scales[] = {0x1p-44f, 0x1p-30f, 0x1p20f, 0x1p50f};
    plumb_correction correction = (plumb_correction)_i;
    optimizer_problem one;
    run_scaled(&one, correction, 1.0f);
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
        optimizer_problem scaled;
        run_scaled(&scaled, correction, scales[s]);
        ck_assert_mem_eq(one.values, scaled.values, COUNT * sizeof(float));
        ck_assert_int_eq(one.counts.clipped, scaled.counts.clipped);
        problem_free(&scaled);
    }
    problem_free(&one);
}
END_TEST

/* Groups that agree leave nothing to correct: the update is AdamW's own. */
START_TEST(equal_groups_need_no_correction)
{
    optimizer_problem plain, corrected;
    plumb_correction correction = (plumb_correction)_i;
    problem_of(&corrected, correction, 4, 0, noise_floor_for(correction));
    problem_init(&plain, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    for (int t = 0; t < STEPS; t++) {
        problem_gradient(&plain, 1.0f);
        memcpy(corrected.gradient, plain.gradient, COUNT * sizeof(float));
        for (int k = 0; k < 4; k++) {
            memcpy(corrected.group_gradients[k], plain.gradient, COUNT * sizeof(float));
        }
        problem_step(&plain, 0.01);
        problem_step(&corrected, 0.01);
        for (int i = 0; i < COUNT; i++) {
            ck_assert_float_eq_tol(plain.values[i], corrected.values[i], 1e-6f);
        }
    }
    ck_assert_int_eq(corrected.counts.clipped, 0);
    problem_free(&plain);
    problem_free(&corrected);
}
END_TEST

static void add_for_all(Suite *suite, const char *name, const TTest *test)
{
    TCase *cases = tcase_create(name);
    tcase_add_loop_test(cases, test, PLUMB_CORRECTION_MOMENT, PLUMB_CORRECTION_PAPER_SYM + 1);
    suite_add_tcase(suite, cases);
}

int main(void)
{
    Suite *suite = suite_create("correction references");
    test_add(suite, "moment follows its reference", moment_follows_reference);
    test_add(suite, "leave-one-out follows its reference", leave_one_out_follows_reference);
    test_add(suite, "jackknife follows its reference", jackknife_follows_reference);
    add_for_all(suite, "slices equal the whole", slices_equal_the_whole);
    add_for_all(suite, "old state stays", old_state_stays);
    add_for_all(suite, "nothing moves nothing", nothing_moves_nothing);
    add_for_all(suite, "gradients of any size", gradients_of_any_size);
    add_for_all(suite, "equal groups need no correction", equal_groups_need_no_correction);
    return test_run(suite);
}
