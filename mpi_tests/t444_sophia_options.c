/*
 * The options of Sophia: defaults, combinations and groups that have no meaning, and what each
 * correction keeps and wants.
 * ranks: serial
 */
#include <stdio.h>
#include <string.h>

#include "optim/optimizer.h"
#include "support/test.h"

static plumb_parameter_options options_of(plumb_correction correction, int folds)
{
    plumb_parameter_options options;
    ck_assert_int_eq(plumb_parameter_options_init(&options, sizeof options, PLUMB_OPTIMIZER_SOPHIA),
                     PLUMB_OK);
    options.correction = correction;
    options.folds = folds;
    options.curvature_interval = 2;
    return options;
}

static void assert_refused(plumb_status status, plumb_status expected, const char *part)
{
    ck_assert_int_eq(status, expected);
    ck_assert_msg(strstr(plumb_error_message(NULL), part) != NULL, "\"%s\" lacks \"%s\"",
                  plumb_error_message(NULL), part);
}

static plumb_status validate(plumb_correction correction, void (*change)(plumb_parameter_options *))
{
    plumb_parameter_options options = options_of(correction, 0);
    change(&options);
    return optimizer_validate(&options, 4, 3);
}

static void with_nesterov(plumb_parameter_options *o)
{
    o->nesterov = 1;
}

static void with_noise_floor(plumb_parameter_options *o)
{
    o->noise_floor = 1.0;
}

static void with_pipeline(plumb_parameter_options *o)
{
    o->pipeline = PLUMB_PIPELINE_NORMALISED_WITH_NORM;
}

static void with_mixing(plumb_parameter_options *o)
{
    o->paper_mixing = 0.5;
}

static void with_support_clip(plumb_parameter_options *o)
{
    o->paper_support_clip = 4.0;
}

static void with_two_folds(plumb_parameter_options *o)
{
    o->folds = 2;
}

static void with_one_fold(plumb_parameter_options *o)
{
    o->folds = 1;
}

static void with_clip_of_zero(plumb_parameter_options *o)
{
    o->clip = 0.0;
}

static void with_nothing(plumb_parameter_options *o)
{
    (void)o;
}

START_TEST(wrong_options)
{
    static const struct {
        plumb_correction correction;
        void (*change)(plumb_parameter_options *);
        plumb_status status;
        const char *part;
    } wrong[] = {
        {PLUMB_CORRECTION_NONE, with_nesterov, PLUMB_ERROR_UNSUPPORTED, "nesterov"},
        {PLUMB_CORRECTION_NONE, with_noise_floor, PLUMB_ERROR_UNSUPPORTED, "noise_floor"},
        {PLUMB_CORRECTION_MOMENT, with_noise_floor, PLUMB_ERROR_UNSUPPORTED, "noise_floor"},
        {PLUMB_CORRECTION_NONE, with_pipeline, PLUMB_ERROR_UNSUPPORTED, "pipeline"},
        {PLUMB_CORRECTION_LOO, with_pipeline, PLUMB_ERROR_UNSUPPORTED, "pipeline"},
        {PLUMB_CORRECTION_PAPER_FULL, with_mixing, PLUMB_ERROR_UNSUPPORTED, "paper_mixing"},
        {PLUMB_CORRECTION_PAPER_CF, with_support_clip, PLUMB_ERROR_UNSUPPORTED, "support_clip"},
        {PLUMB_CORRECTION_NONE, with_two_folds, PLUMB_ERROR_UNSUPPORTED, "folds"},
        {PLUMB_CORRECTION_MOMENT, with_two_folds, PLUMB_ERROR_UNSUPPORTED, "folds"},
        {PLUMB_CORRECTION_PAPER_INV, with_two_folds, PLUMB_ERROR_UNSUPPORTED, "folds"},
        {PLUMB_CORRECTION_LOO, with_one_fold, PLUMB_ERROR_ARGUMENT, "folds is 1"},
        {PLUMB_CORRECTION_NONE, with_clip_of_zero, PLUMB_ERROR_ARGUMENT, "clip"},
        {PLUMB_CORRECTION_PAPER_LOO, with_nothing, PLUMB_ERROR_UNSUPPORTED, "paper-loo"},
        {PLUMB_CORRECTION_PAPER_SYM, with_nothing, PLUMB_ERROR_UNSUPPORTED, "paper-sym"},
        {PLUMB_CORRECTION_WISHART, with_nothing, PLUMB_ERROR_UNSUPPORTED, "wishart"},
        {PLUMB_CORRECTION_JACKKNIFE, with_two_folds, PLUMB_OK, ""},
        {PLUMB_CORRECTION_LOO, with_two_folds, PLUMB_OK, ""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused(validate(wrong[i].correction, wrong[i].change), wrong[i].status,
                       wrong[i].part);
    }
}
END_TEST

static void assert_groups(plumb_correction correction, int folds, int groups, const char *part)
{
    plumb_parameter_options options = options_of(correction, folds);
    plumb_status status = optimizer_sophia.validate_groups(&options, groups);
    assert_refused(status, part[0] == '\0' ? PLUMB_OK : PLUMB_ERROR_ARGUMENT, part);
}

START_TEST(wrong_groups)
{
    for (int c = PLUMB_CORRECTION_MOMENT; c <= PLUMB_CORRECTION_PAPER_PRE_EMA; c++) {
        assert_groups((plumb_correction)c, 0, 1, "there is 1");
    }
    assert_groups(PLUMB_CORRECTION_NONE, 0, 1, "");
    assert_groups(PLUMB_CORRECTION_LOO, 3, 8, "3 folds do not divide 8 groups");
    assert_groups(PLUMB_CORRECTION_JACKKNIFE, 4, 2, "4 folds do not divide 2 groups");
    assert_groups(PLUMB_CORRECTION_LOO, 2, 2, "");
    assert_groups(PLUMB_CORRECTION_PAPER_CF, 0, 5, "two halves");
    assert_groups(PLUMB_CORRECTION_PAPER_INV, 0, 7, "two halves");
    assert_groups(PLUMB_CORRECTION_PAPER_FULL, 0, 2, "needs 4 groups or more");
    assert_groups(PLUMB_CORRECTION_PAPER_PRE_EMA, 0, 9, "two halves");
}
END_TEST

typedef struct expected_states {
    plumb_correction correction;
    int groups, folds;
    const char *states; /* name, and group unless it belongs to all */
    bool gradients, curvatures;
} expected_states;

static const expected_states expected[] = {
    {PLUMB_CORRECTION_NONE, 8, 0, " first_moment curvature", false, false},
    {PLUMB_CORRECTION_MOMENT, 8, 0, " first_moment curvature curvature_deviation", false, true},
    {PLUMB_CORRECTION_LOO, 8, 2,
     " curvature_deviation first_moment:0 first_moment:1 curvature:0 curvature:1", true, true},
    {PLUMB_CORRECTION_JACKKNIFE, 2, 0, " first_moment:0 first_moment:1 curvature:0 curvature:1",
     true, true},
    {PLUMB_CORRECTION_PAPER_CF, 8, 0, " first_moment curvature", true, true},
    {PLUMB_CORRECTION_PAPER_INV, 8, 0, " first_moment curvature curvature_deviation", false, true},
    {PLUMB_CORRECTION_PAPER_FULL, 8, 0, " first_moment curvature curvature_deviation", true, true},
    {PLUMB_CORRECTION_PAPER_PRE_EMA, 8, 0, " first_moment curvature curvature_deviation", true,
     true},
};

static void describe_states(const plumb_parameter_options *options, int groups, char *text,
                            size_t size)
{
    size_t used = 0;
    for (int s = 0; s < optimizer_sophia.state_count(options, groups); s++) {
        int group = -7;
        const char *name = optimizer_sophia.state_name(options, groups, s, &group);
        used += (size_t)snprintf(text + used, size - used, " %s", name);
        used += group < 0 ? 0 : (size_t)snprintf(text + used, size - used, ":%d", group);
        ck_assert_int_ge(group, -1);
        ck_assert_uint_lt(used, size);
    }
}

START_TEST(states_and_wants)
{
    const expected_states *e = &expected[_i];
    char text[256];
    plumb_parameter_options options = options_of(e->correction, e->folds);
    describe_states(&options, e->groups, text, sizeof text);
    ck_assert_str_eq(text, e->states);
    ck_assert_int_eq(optimizer_wants_groups(&options), e->gradients);
    ck_assert_int_eq(optimizer_wants_curvature_groups(&options), e->curvatures);
    ck_assert_int_eq(optimizer_curvature_interval(&options), 2);
    ck_assert_double_gt(optimizer_sophia.cost(&options, e->groups, 4, 4, 16), 0.0);
}
END_TEST

START_TEST(defaults)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_SOPHIA), PLUMB_OK);
    ck_assert_double_eq(o.beta1, 0.965);
    ck_assert_double_eq(o.beta2, 0.99);
    ck_assert_double_eq(o.epsilon, 1e-12);
    ck_assert_double_eq(o.weight_decay, 0.1);
    ck_assert_double_eq(o.rho, 0.05);
    ck_assert_double_eq(o.clip, 1.0);
    ck_assert_int_eq(o.curvature_interval, 10);
    ck_assert_int_eq(o.correction, PLUMB_CORRECTION_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sophia options");
    test_add(suite, "wrong options", wrong_options);
    test_add(suite, "wrong groups", wrong_groups);
    TCase *cases = tcase_create("states and wants");
    tcase_add_loop_test(cases, states_and_wants, 0, (int)(sizeof expected / sizeof expected[0]));
    suite_add_tcase(suite, cases);
    test_add(suite, "defaults", defaults);
    return test_run(suite);
}
