/*
 * Sophia and its corrections against plain references in double that share no formula with the
 * loops, for curvature of either sign, of none, and of any size; any cut into slices against the
 * whole, bit for bit.
 * ranks: serial
 */
#include <math.h>

#include "support/curvature_problem.h"

enum { COUNT = 899, STEPS = 7, MOST_GROUPS = 8 };

/* Check notes every assertion in a file: too slow for every element, unless it fails. */
#define assert_element(condition, ...)                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg(__VA_ARGS__);                                                             \
        }                                                                                          \
    } while (0)

/* One element's history: what every group has seen, and the variance of the mean curvature. */
typedef struct element {
    double first[MOST_GROUPS], curvature[MOST_GROUPS];
    double variance, newest_variance;
    double value;
    int bounded, unclipped;
} element;

/* One step at one element. */
typedef struct setting {
    const plumb_parameter_options *o;
    int groups, folds;
    bool due;
    double g[MOST_GROUPS], c[MOST_GROUPS];
} setting;

static double mean_of(int begin, int end, const double *values)
{
    double sum = 0.0;
    for (int i = begin; i < end; i++) {
        sum += values[i] / (end - begin);
    }
    return sum;
}

/* Of a mean: squared differences of all pairs. */
static double variance_of_mean(int begin, int end, const double *values)
{
    int n = end - begin;
    double sum = 0.0;
    for (int i = begin; i < end; i++) {
        for (int j = begin; j < end; j++) {
            sum += 0.5 * (values[i] - values[j]) * (values[i] - values[j]);
        }
    }
    return sum / n / (n * (n - 1.0));
}

/* Every group's averages move on, and with them all there is to know. */
static void follow(element *e, const setting *s)
{
    double b1 = s->o->beta1, b2 = s->o->beta2, n = s->groups;
    double candidates[MOST_GROUPS];
    double whole = mean_of(0, s->groups, e->curvature);
    for (int k = 0; k < s->groups; k++) {
        e->first[k] = b1 * e->first[k] + (1.0 - b1) * s->g[k];
        candidates[k] = b2 * whole + (1.0 - b2) * s->c[k];
    }
    if (s->due) {
        double added = n > 1 ? variance_of_mean(0, s->groups, s->c) : 0.0;
        e->variance = b2 * b2 * e->variance + (1.0 - b2) * (1.0 - b2) * added;
        e->newest_variance = n > 3 ? variance_of_mean(s->groups / 2, s->groups, candidates) : 0.0;
        for (int k = 0; k < s->groups; k++) {
            e->curvature[k] = b2 * e->curvature[k] + (1.0 - b2) * s->c[k];
        }
    }
}

static double denominator(const setting *s, double h)
{
    return fmax(s->o->rho * h, s->o->epsilon);
}

/* 1/p (1/(1 + V/h^2)), with h what p is rho times, and the bound where V is above h^2. */
static double safe_inverse(const setting *s, double h, double variance, int *bounded)
{
    double p = denominator(s, h), relative = s->o->rho * s->o->rho * variance / (p * p);
    *bounded = relative > 1.0 + 1e-5;
    return relative > 1.0 ? 0.5 / (s->o->rho * sqrt(variance)) : 1.0 / p / (1.0 + relative);
}

static double plain_direction(element *e, const setting *s)
{
    follow(e, s);
    return mean_of(0, s->groups, e->first) / denominator(s, mean_of(0, s->groups, e->curvature));
}

static double moment_direction(element *e, const setting *s)
{
    int bounded;
    follow(e, s);
    double h = mean_of(0, s->groups, e->curvature);
    double inverse = safe_inverse(s, h, e->variance, &bounded);
    e->bounded += bounded;
    return mean_of(0, s->groups, e->first) * inverse;
}

/* The mean over all groups but those of fold f. */
static double others(const setting *s, const double *values, int f)
{
    int size = s->groups / s->folds;
    double sum = 0.0;
    for (int k = 0; k < s->groups; k++) {
        sum += k / size == f ? 0.0 : values[k];
    }
    return sum / (s->groups - size);
}

static double leave_one_out_direction(element *e, const setting *s)
{
    int size = s->groups / s->folds, any = 0;
    double sum = 0.0, wider = (double)s->folds / (s->folds - 1);
    follow(e, s);
    for (int f = 0; f < s->folds; f++) {
        int bounded;
        double m = mean_of(f * size, (f + 1) * size, e->first);
        sum += m * safe_inverse(s, others(s, e->curvature, f), wider * e->variance, &bounded);
        any |= bounded;
    }
    e->bounded += any;
    return sum / s->folds;
}

static double jackknife_direction(element *e, const setting *s)
{
    double plain = plain_direction(e, s), sum = s->folds * plain;
    for (int f = 0; f < s->folds; f++) {
        double left_out = others(s, e->first, f) / denominator(s, others(s, e->curvature, f));
        sum -= (s->folds - 1.0) / s->folds * left_out;
    }
    e->bounded += fabs(sum - plain) > 0.5 * fabs(plain);
    return plain + fmin(fmax(sum - plain, -0.5 * fabs(plain)), 0.5 * fabs(plain));
}

static double paper_direction(element *e, const setting *s, bool crossed, bool corrected)
{
    int half = s->groups / 2;
    follow(e, s);
    double m = mean_of(0, crossed ? half : s->groups, e->first);
    double h = mean_of(crossed ? half : 0, s->groups, e->curvature);
    double p = s->o->rho * fmax(h, 0.0) + s->o->epsilon;
    double variance = corrected ? s->o->rho * s->o->rho * e->newest_variance : 0.0;
    double inverse = 1.0 / p - variance / (p * p * p);
    e->bounded += inverse < 0.0;
    return m * fmax(inverse, 0.0);
}

static double paper_cf_direction(element *e, const setting *s)
{
    return paper_direction(e, s, true, false);
}

static double paper_inv_direction(element *e, const setting *s)
{
    return paper_direction(e, s, false, true);
}

static double paper_full_direction(element *e, const setting *s)
{
    return paper_direction(e, s, true, true);
}

typedef double direction_function(element *e, const setting *s);

typedef struct mode {
    plumb_correction correction;
    direction_function *direction;
    int groups, folds;
} mode;

static const mode modes[] = {
    {PLUMB_CORRECTION_NONE, plain_direction, 8, 0},
    {PLUMB_CORRECTION_NONE, plain_direction, 1, 0},
    {PLUMB_CORRECTION_MOMENT, moment_direction, 8, 0},
    {PLUMB_CORRECTION_MOMENT, moment_direction, 5, 0},
    {PLUMB_CORRECTION_MOMENT, moment_direction, 2, 0},
    {PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 0},
    {PLUMB_CORRECTION_LOO, leave_one_out_direction, 8, 2},
    {PLUMB_CORRECTION_LOO, leave_one_out_direction, 6, 3},
    {PLUMB_CORRECTION_LOO, leave_one_out_direction, 2, 2},
    {PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 8, 0},
    {PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 8, 4},
    {PLUMB_CORRECTION_JACKKNIFE, jackknife_direction, 3, 3},
    {PLUMB_CORRECTION_PAPER_CF, paper_cf_direction, 8, 0},
    {PLUMB_CORRECTION_PAPER_CF, paper_cf_direction, 2, 0},
    {PLUMB_CORRECTION_PAPER_INV, paper_inv_direction, 8, 0},
    {PLUMB_CORRECTION_PAPER_FULL, paper_full_direction, 8, 0},
    {PLUMB_CORRECTION_PAPER_FULL, paper_full_direction, 4, 0},
    {PLUMB_CORRECTION_PAPER_PRE_EMA, paper_full_direction, 6, 0},
};
enum { MODES = sizeof modes / sizeof modes[0] };

static plumb_parameter_options options_of(const mode *m)
{
    plumb_parameter_options options;
    ck_assert_int_eq(plumb_parameter_options_init(&options, sizeof options, PLUMB_OPTIMIZER_SOPHIA),
                     PLUMB_OK);
    options.correction = m->correction;
    options.folds = m->folds;
    options.beta1 = 0.9;
    options.beta2 = 0.8;
    options.rho = 0.5;
    options.curvature_interval = 2;
    return options;
}

/* What curvature looks like. */
typedef enum shape {
    POSITIVE, /* as squares are */
    EITHER,   /* as Hutchinson's estimates are: some negative, some averages too */
    SPARSE,   /* one group alone has any, or none has */
    SHAPES
} shape;

static float curvature_value(shape s, int64_t step, int k, int i)
{
    uint64_t key = (uint64_t)step * MOST_GROUPS + (uint64_t)k;
    float own = test_value(11, key, (uint64_t)i), common = test_value(12, 0, (uint64_t)i);
    switch (s) {
    case POSITIVE:
        return (common + own) * (common + own);
    case EITHER:
        return common + 1.5f * own;
    case SPARSE:
    case SHAPES:
        break;
    }
    return i % 3 == 0 || k != (i + (int)step) % MOST_GROUPS ? 0.0f : own * own;
}

/* A step's gradients and curvature, `scale` times as large. */
static void draw(curvature_problem *p, shape s, float scale)
{
    for (int k = 0; k < p->groups; k++) {
        for (int i = 0; i < COUNT; i++) {
            uint64_t key = (uint64_t)p->updates * MOST_GROUPS + (uint64_t)k;
            p->gradients[k][i] =
                scale * 0.25f * (test_value(3, 0, (uint64_t)i) + test_value(4, key, (uint64_t)i));
            p->curvatures[k][i] = scale * curvature_value(s, p->updates, k, i);
        }
    }
    curvature_problem_means(p);
}

static double step_reference(element *e, const setting *s, direction_function *direction,
                             double rate)
{
    double u = direction(e, s), clip = s->o->clip;
    e->unclipped += fabs(u) <= clip;
    e->value -= rate * (s->o->weight_decay * e->value + fmin(fmax(u, -clip), clip));
    return u;
}

static void step_references(element *elements, const curvature_problem *p, const mode *m,
                            double rate)
{
    setting s = {.o = &p->options,
                 .groups = p->groups,
                 .folds = m->folds > 0 ? m->folds : p->groups,
                 .due = curvature_problem_due(p)};
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < p->groups; k++) {
            s.g[k] = (double)p->gradients[k][i];
            s.c[k] = (double)p->curvatures[k][i];
        }
        step_reference(&elements[i], &s, m->direction, rate);
    }
}

static void assert_counts(const curvature_problem *p, const element *elements)
{
    int64_t bounded = 0, unclipped = 0;
    for (int i = 0; i < COUNT; i++) {
        bounded += elements[i].bounded;
        unclipped += elements[i].unclipped;
    }
    bool corrected = p->options.correction != PLUMB_CORRECTION_NONE;
    ck_assert_int_eq(p->counts.clippable, STEPS * COUNT);
    ck_assert_int_eq(p->counts.unclipped, unclipped);
    ck_assert_int_eq(p->counts.corrected, corrected ? STEPS * COUNT : 0);
    ck_assert_int_eq(p->counts.clipped, bounded);
}

static void assert_follows(const mode *m, shape s, double epsilon, double clip)
{
    static element elements[COUNT];
    memset(elements, 0, sizeof elements);
    plumb_parameter_options options = options_of(m);
    options.epsilon = epsilon;
    options.clip = clip;
    curvature_problem p;
    curvature_problem_init(&p, &options, m->groups, COUNT);
    for (int i = 0; i < COUNT; i++) {
        p.values[i] = test_value(1, 0, (uint64_t)i);
        elements[i].value = (double)p.values[i];
    }
    for (int t = 0; t < STEPS; t++) {
        draw(&p, s, 1.0f);
        step_references(elements, &p, m, 0.02);
        curvature_problem_step(&p, 0.02);
        for (int i = 0; i < COUNT; i++) {
            assert_element(
                fabs((double)p.values[i] - elements[i].value) <= 1e-6,
                "correction %d G %d F %d shape %d epsilon %g clip %g step %d element %d: "
                "%.9g, not %.9g",
                (int)m->correction, m->groups, m->folds, (int)s, epsilon, clip, t, i,
                (double)p.values[i], elements[i].value);
        }
    }
    assert_counts(&p, elements);
    ck_assert_int_gt(p.counts.unclipped, 0);
    ck_assert_int_lt(p.counts.unclipped, STEPS * COUNT);
    curvature_problem_free(&p);
}

START_TEST(follows_reference)
{
    for (shape s = POSITIVE; s < SHAPES; s++) {
        assert_follows(&modes[_i], s, 1e-12, 1.0);
        assert_follows(&modes[_i], s, 0.03, 0.25);
    }
}
END_TEST

/* Negative estimates and single large ones meet the bound; squares that all groups share do not. */
START_TEST(bounds_act)
{
    const mode moment = {PLUMB_CORRECTION_MOMENT, moment_direction, 8, 0};
    plumb_parameter_options options = options_of(&moment);
    for (shape s = POSITIVE; s < SHAPES; s++) {
        curvature_problem p;
        curvature_problem_init(&p, &options, 8, COUNT);
        for (int t = 0; t < STEPS; t++) {
            draw(&p, s, 1.0f);
            curvature_problem_step(&p, 0.02);
        }
        ck_assert(s == EITHER ? p.counts.clipped > 0 : p.counts.clipped == 0);
        curvature_problem_free(&p);
    }
}
END_TEST

static void assert_equal_states(const curvature_problem *left, const curvature_problem *right)
{
    ck_assert_mem_eq(left->values, right->values, COUNT * sizeof(float));
    for (int s = 0; s < left->state_count; s++) {
        ck_assert_mem_eq(left->states[s], right->states[s], COUNT * sizeof(float));
    }
    ck_assert_mem_eq(&left->counts, &right->counts, sizeof left->counts);
}

START_TEST(slices_equal_the_whole)
{
    static const int64_t cuts[] = {0, 1, 2, 19, 64, 65, 330, 331, 700, COUNT};
    const mode *m = &modes[_i];
    plumb_parameter_options options = options_of(m);
    curvature_problem whole, sliced;
    curvature_problem_init(&whole, &options, m->groups, COUNT);
    curvature_problem_init(&sliced, &options, m->groups, COUNT);
    for (int t = 0; t < STEPS; t++) {
        draw(&whole, EITHER, 1.0f);
        draw(&sliced, EITHER, 1.0f);
        curvature_problem_step(&whole, 0.01);
        for (size_t s = 0; s + 1 < sizeof cuts / sizeof cuts[0]; s++) {
            ck_assert_int_eq(
                curvature_problem_update(&sliced, 0.01, cuts[s], cuts[s + 1] - cuts[s]), PLUMB_OK);
        }
        curvature_problem_commit(&sliced);
        assert_equal_states(&whole, &sliced);
    }
    curvature_problem_free(&whole);
    curvature_problem_free(&sliced);
}
END_TEST

/* The old arrays stay as they are, and every new state is written. */
START_TEST(old_state_stays)
{
    const mode *m = &modes[_i];
    plumb_parameter_options options = options_of(m);
    curvature_problem p, copy;
    curvature_problem_init(&p, &options, m->groups, COUNT);
    curvature_problem_init(&copy, &options, m->groups, COUNT);
    draw(&p, POSITIVE, 1.0f);
    draw(&copy, POSITIVE, 1.0f);
    curvature_problem_step(&p, 0.01);
    curvature_problem_step(&copy, 0.01);
    for (int s = 0; s < p.state_count; s++) {
        memset(p.new_states[s], 0xff, COUNT * sizeof(float));
    }
    ck_assert_int_eq(curvature_problem_update(&p, 0.01, 0, COUNT), PLUMB_OK);
    p.counts = copy.counts;
    assert_equal_states(&p, &copy);
    for (int s = 0; s < p.state_count; s++) {
        for (int i = 0; i < COUNT; i++) {
            assert_element(isfinite(p.new_states[s][i]), "state %d, element %d", s, i);
        }
    }
    curvature_problem_free(&p);
    curvature_problem_free(&copy);
}
END_TEST

START_TEST(nothing_moves_nothing)
{
    const mode *m = &modes[_i];
    plumb_parameter_options options = options_of(m);
    options.weight_decay = 0.0;
    options.epsilon = 1e-30;
    curvature_problem p;
    curvature_problem_init(&p, &options, m->groups, COUNT);
    for (int i = 0; i < COUNT; i++) {
        p.values[i] = test_value(1, 0, (uint64_t)i);
    }
    curvature_problem_step(&p, 0.1);
    curvature_problem_step(&p, 0.1);
    for (int i = 0; i < COUNT; i++) {
        assert_element(p.values[i] == test_value(1, 0, (uint64_t)i), "element %d moved", i);
    }
    ck_assert_int_eq(p.counts.clipped, 0);
    ck_assert_int_eq(p.counts.unclipped, 2 * COUNT);
    curvature_problem_free(&p);
}
END_TEST

static void run_scaled(curvature_problem *p, const mode *m, float scale)
{
    plumb_parameter_options options = options_of(m);
    options.epsilon = 1e-30;
    curvature_problem_init(p, &options, m->groups, COUNT);
    for (int t = 0; t < 3; t++) {
        draw(p, POSITIVE, scale);
        curvature_problem_step(p, 0.01);
    }
}

/* Powers of two scale every average exactly, so the direction keeps its bits. */
START_TEST(any_size)
{
    static const float scales[] = {0x1p-44f, 0x1p-30f, 0x1p40f, 0x1p90f};
    curvature_problem one;
    run_scaled(&one, &modes[_i], 1.0f);
    ck_assert_int_gt(one.counts.unclipped, 0);
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
        curvature_problem scaled;
        run_scaled(&scaled, &modes[_i], scales[s]);
        ck_assert_mem_eq(one.values, scaled.values, COUNT * sizeof(float));
        ck_assert_mem_eq(&one.counts, &scaled.counts, sizeof one.counts);
        curvature_problem_free(&scaled);
    }
    curvature_problem_free(&one);
}
END_TEST

/* The largest and smallest floats, together: finite values that move by the clip at most. */
START_TEST(extremes_stay_finite)
{
    static const float extremes[] = {0.0f, -0.0f, 1e-45f, 1e-38f, -1e-38f,
                                     1.0f, -1.0f, 1e38f,  -1e38f};
    enum { EXTREMES = sizeof extremes / sizeof extremes[0] };
    const mode *m = &modes[_i];
    plumb_parameter_options options = options_of(m);
    options.epsilon = 1e-30;
    options.weight_decay = 0.0;
    curvature_problem p;
    curvature_problem_init(&p, &options, m->groups, COUNT);
    for (int t = 0; t < STEPS; t++) {
        for (int k = 0; k < p.groups; k++) {
            for (int i = 0; i < COUNT; i++) {
                p.gradients[k][i] = extremes[(i / EXTREMES + k * t) % EXTREMES];
                p.curvatures[k][i] = extremes[(i + k * (i / 100) + t) % EXTREMES];
            }
        }
        curvature_problem_means(&p);
        curvature_problem_step(&p, 0.5);
        for (int i = 0; i < COUNT; i++) {
            assert_element(fabsf(p.values[i]) <= 0.5f * (float)(t + 1), "element %d: %g", i,
                           (double)p.values[i]);
        }
    }
    curvature_problem_free(&p);
}
END_TEST

/* Groups that agree leave nothing to correct. */
START_TEST(equal_groups_need_no_correction)
{
    const mode *m = &modes[_i];
    const mode none = {PLUMB_CORRECTION_NONE, plain_direction, 1, 0};
    plumb_parameter_options options = options_of(m), plain_options = options_of(&none);
    curvature_problem p, plain;
    curvature_problem_init(&p, &options, m->groups, COUNT);
    curvature_problem_init(&plain, &plain_options, 1, COUNT);
    for (int t = 0; t < STEPS; t++) {
        draw(&plain, POSITIVE, 1.0f);
        for (int k = 0; k < p.groups; k++) {
            memcpy(p.gradients[k], plain.gradients[0], COUNT * sizeof(float));
            memcpy(p.curvatures[k], plain.curvatures[0], COUNT * sizeof(float));
        }
        curvature_problem_means(&p);
        curvature_problem_step(&p, 0.01);
        curvature_problem_step(&plain, 0.01);
        for (int i = 0; i < COUNT; i++) {
            assert_element(fabsf(p.values[i] - plain.values[i]) <= 1e-6f, "element %d: %g, %g", i,
                           (double)p.values[i], (double)plain.values[i]);
        }
    }
    ck_assert_int_eq(p.counts.clipped, 0);
    curvature_problem_free(&p);
    curvature_problem_free(&plain);
}
END_TEST

static void add_for_all(Suite *suite, const char *name, const TTest *test)
{
    TCase *cases = tcase_create(name);
    tcase_add_loop_test(cases, test, 0, MODES);
    suite_add_tcase(suite, cases);
}

int main(void)
{
    Suite *suite = suite_create("sophia references");
    add_for_all(suite, "follows its reference", follows_reference);
    test_add(suite, "bounds act", bounds_act);
    add_for_all(suite, "slices equal the whole", slices_equal_the_whole);
    add_for_all(suite, "old state stays", old_state_stays);
    add_for_all(suite, "nothing moves nothing", nothing_moves_nothing);
    add_for_all(suite, "any size", any_size);
    add_for_all(suite, "extremes stay finite", extremes_stay_finite);
    add_for_all(suite, "equal groups need no correction", equal_groups_need_no_correction);
    return test_run(suite);
}
