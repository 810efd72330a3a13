/*
 * AdamW's corrections: what each keeps, and settings that cannot work, each refused by name.
 * ranks: serial
 */
#include <string.h>

#include "base/error.h"
#include "correct/correction.h"
#include "optim/optimizer.h"
#include "support/test.h"

static plumb_parameter_options options_of(plumb_optimizer optimizer, plumb_correction correction,
                                          double noise_floor)
{
    plumb_parameter_options options;
    ck_assert_int_eq(plumb_parameter_options_init(&options, sizeof options, optimizer), PLUMB_OK);
    options.correction = correction;
    options.noise_floor = noise_floor;
    return options;
}

static const optimizer_kind *adamw(void)
{
    return optimizer_find(PLUMB_OPTIMIZER_ADAMW);
}

static void assert_refused(plumb_status status, plumb_status expected, const char *part)
{
    ck_assert_int_eq(status, expected);
    ck_assert_msg(strstr(error_text(), part) != NULL, "\"%s\" is not in \"%s\"", part,
                  error_text());
}

/* The options without G. */
static void assert_invalid(plumb_correction correction, double noise_floor, plumb_status expected,
                           const char *part)
{
    plumb_parameter_options options = options_of(PLUMB_OPTIMIZER_ADAMW, correction, noise_floor);
    assert_refused(optimizer_validate(&options, 4, 3), expected, part);
}

/* The options with G. */
static void assert_wrong_groups(plumb_correction correction, double noise_floor, int groups,
                                const char *part)
{
    plumb_parameter_options options = options_of(PLUMB_OPTIMIZER_ADAMW, correction, noise_floor);
    ck_assert_int_eq(optimizer_validate(&options, 4, 3), PLUMB_OK);
    assert_refused(adamw()->validate_groups(&options, groups), PLUMB_ERROR_ARGUMENT, part);
}

START_TEST(wrong_combinations)
{
    assert_invalid(PLUMB_CORRECTION_NONE, 1.0, PLUMB_ERROR_UNSUPPORTED, "noise_floor");
    assert_invalid(PLUMB_CORRECTION_PAPER_CF, 1.0, PLUMB_ERROR_UNSUPPORTED, "paper-cf");
    assert_invalid(PLUMB_CORRECTION_PAPER_LOO_JENSEN, 0.5, PLUMB_ERROR_UNSUPPORTED,
                   "paper-loo-jensen");
    assert_invalid(PLUMB_CORRECTION_JACKKNIFE, 0.0, PLUMB_ERROR_ARGUMENT, "needs noise_floor 1");
    assert_invalid(PLUMB_CORRECTION_JACKKNIFE, 0.5, PLUMB_ERROR_ARGUMENT, "needs noise_floor 1");
    assert_invalid(PLUMB_CORRECTION_MOMENT, 1.5, PLUMB_ERROR_ARGUMENT, "noise_floor");
    assert_invalid(PLUMB_CORRECTION_MOMENT, -0.5, PLUMB_ERROR_ARGUMENT, "noise_floor");
    assert_invalid(PLUMB_CORRECTION_SECOND_ORDER, 0.0, PLUMB_ERROR_UNSUPPORTED, "second-order");
    assert_invalid(PLUMB_CORRECTION_PAPER_DIAGONAL, 0.0, PLUMB_ERROR_UNSUPPORTED, "paper-diagonal");
    assert_invalid((plumb_correction)15, 0.0, PLUMB_ERROR_ARGUMENT, "correction");
    assert_invalid((plumb_correction)-1, 0.0, PLUMB_ERROR_ARGUMENT, "correction");
}
END_TEST

/* One option beside a correction. */
static void assert_option(plumb_correction correction, int folds, double mixing,
                          double support_clip, plumb_status expected, const char *part)
{
    double noise_floor = correction == PLUMB_CORRECTION_JACKKNIFE ? 1.0 : 0.0;
    plumb_parameter_options options = options_of(PLUMB_OPTIMIZER_ADAMW, correction, noise_floor);
    options.folds = folds;
    options.paper_mixing = mixing;
    options.paper_support_clip = support_clip;
    plumb_status status = optimizer_validate(&options, 4, 3);
    if (expected != PLUMB_OK) {
        assert_refused(status, expected, part);
    }
    ck_assert_int_eq(status, expected);
}

static bool splits_in_halves(int correction)
{
    return (correction >= PLUMB_CORRECTION_PAPER_CF &&
            correction <= PLUMB_CORRECTION_PAPER_PRE_EMA) ||
           correction == PLUMB_CORRECTION_PAPER_SYM;
}

START_TEST(options_of_other_corrections)
{
    const plumb_status no = PLUMB_ERROR_UNSUPPORTED;
    for (int c = PLUMB_CORRECTION_NONE; c <= PLUMB_CORRECTION_PAPER_SYM; c++) {
        plumb_correction correction = (plumb_correction)c;
        bool has_folds = c == PLUMB_CORRECTION_LOO || c == PLUMB_CORRECTION_JACKKNIFE;
        bool halves = splits_in_halves(c), mixes = halves && c != PLUMB_CORRECTION_PAPER_INV;
        assert_option(correction, 2, 0.0, 0.0, has_folds ? PLUMB_OK : no, "folds");
        assert_option(correction, 0, 0.5, 0.0, mixes ? PLUMB_OK : no, "paper_mixing");
        assert_option(correction, 0, 0.0, 4.0, halves ? PLUMB_OK : no, "paper_support_clip");
    }
    assert_option(PLUMB_CORRECTION_LOO, 1, 0.0, 0.0, PLUMB_ERROR_ARGUMENT, "folds is 1");
    assert_option(PLUMB_CORRECTION_LOO, -1, 0.0, 0.0, PLUMB_ERROR_ARGUMENT, "folds");
    assert_option(PLUMB_CORRECTION_PAPER_CF, 0, 1.5, 0.0, PLUMB_ERROR_ARGUMENT, "paper_mixing");
    assert_option(PLUMB_CORRECTION_PAPER_CF, 0, 0.0, -1.0, PLUMB_ERROR_ARGUMENT,
                  "paper_support_clip");
}
END_TEST

START_TEST(wrong_folds)
{
    plumb_parameter_options options = options_of(PLUMB_OPTIMIZER_ADAMW, PLUMB_CORRECTION_LOO, 0.0);
    options.folds = 3;
    ck_assert_int_eq(adamw()->validate_groups(&options, 6), PLUMB_OK);
    assert_refused(adamw()->validate_groups(&options, 8), PLUMB_ERROR_ARGUMENT,
                   "3 folds do not divide 8 groups");
    options.folds = 8;
    assert_refused(adamw()->validate_groups(&options, 4), PLUMB_ERROR_ARGUMENT,
                   "8 folds do not divide 4 groups");
    options.folds = 2;
    ck_assert_int_eq(adamw()->validate_groups(&options, 4), PLUMB_OK);
    assert_refused(adamw()->validate_groups(&options, 2), PLUMB_ERROR_ARGUMENT,
                   "with 2 groups leaves 1, and the target of the second moment would change");
    options.noise_floor = 1.0;
    ck_assert_int_eq(adamw()->validate_groups(&options, 2), PLUMB_OK);
    options.correction = PLUMB_CORRECTION_JACKKNIFE;
    ck_assert_int_eq(adamw()->validate_groups(&options, 2), PLUMB_OK);
    options.folds = 3;
    assert_refused(adamw()->validate_groups(&options, 8), PLUMB_ERROR_ARGUMENT, "3 folds");
}
END_TEST

START_TEST(other_optimizers)
{
    static const plumb_optimizer others[] = {PLUMB_OPTIMIZER_SGD, PLUMB_OPTIMIZER_MUON};
    for (int i = 0; i < 2; i++) {
        plumb_parameter_options options = options_of(others[i], PLUMB_CORRECTION_MOMENT, 0.0);
        assert_refused(optimizer_validate(&options, 4, 3), PLUMB_ERROR_UNSUPPORTED, "correction");
        options = options_of(others[i], PLUMB_CORRECTION_NONE, 1.0);
        assert_refused(optimizer_validate(&options, 4, 3), PLUMB_ERROR_UNSUPPORTED, "noise_floor");
    }
}
END_TEST

/* What belongs to a correction is refused without one, by every optimizer. */
START_TEST(options_without_a_correction)
{
    for (int i = PLUMB_OPTIMIZER_SGD; i <= PLUMB_OPTIMIZER_SOAP; i++) {
        const plumb_parameter_options plain =
            options_of((plumb_optimizer)i, PLUMB_CORRECTION_NONE, 0.0);
        plumb_parameter_options options = plain;
        ck_assert_int_eq(optimizer_validate(&options, 4, 3), PLUMB_OK);
        options.folds = 2;
        assert_refused(optimizer_validate(&options, 4, 3), PLUMB_ERROR_UNSUPPORTED, "folds");
        options = plain;
        options.paper_mixing = 0.5;
        assert_refused(optimizer_validate(&options, 4, 3), PLUMB_ERROR_UNSUPPORTED, "paper_mixing");
        options = plain;
        options.paper_support_clip = 1.0;
        assert_refused(optimizer_validate(&options, 4, 3), PLUMB_ERROR_UNSUPPORTED,
                       "paper_support_clip");
    }
}
END_TEST

START_TEST(other_pipelines)
{
    for (int i = 0; i <= PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; i++) {
        plumb_parameter_options options =
            options_of(PLUMB_OPTIMIZER_ADAMW, PLUMB_CORRECTION_LOO, 0.0);
        options.pipeline = (plumb_pipeline)i;
        plumb_status status = optimizer_validate(&options, 4, 3);
        if (i == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE) {
            ck_assert_int_eq(status, PLUMB_OK);
        } else {
            assert_refused(status, PLUMB_ERROR_UNSUPPORTED, "pipeline");
        }
    }
}
END_TEST

START_TEST(wrong_groups)
{
    for (int c = PLUMB_CORRECTION_MOMENT; c <= PLUMB_CORRECTION_PAPER_SYM; c++) {
        double noise_floor = c == PLUMB_CORRECTION_JACKKNIFE ? 1.0 : 0.0;
        assert_wrong_groups((plumb_correction)c, noise_floor, 1, "there is 1");
    }
    assert_wrong_groups(PLUMB_CORRECTION_LOO, 0.0, 2, "pass noise_floor 1");
    assert_wrong_groups(PLUMB_CORRECTION_LOO, 0.5, 2, "pass noise_floor 1");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_SYM, 0.0, 2, "needs 4 groups or more");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_SYM, 0.0, 5, "two halves");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_CF, 0.0, 5, "two halves");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_INV, 0.0, 7, "two halves");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_FULL, 0.0, 2, "needs 4 groups or more");
    assert_wrong_groups(PLUMB_CORRECTION_PAPER_PRE_EMA, 0.0, 9, "two halves");
    assert_wrong_groups(PLUMB_CORRECTION_MOMENT, 0.2, 4, "below 1/4");
    assert_wrong_groups(PLUMB_CORRECTION_LOO, 0.1, 8, "below 1/8");
}
END_TEST

typedef struct expected_states {
    plumb_correction correction;
    int least_groups;
    double noise_floor;
    const char *last; /* name of the last of the states ... */
    int last_group;   /* ... and its group or fold, with six groups */
    int of_six;       /* number of states then */
    int folds;
} expected_states;

static const expected_states expected[] = {
    {PLUMB_CORRECTION_NONE, 1, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_MOMENT, 2, 0, "moment_covariance_root", -1, 4, 0},
    {PLUMB_CORRECTION_LOO, 3, 0, "second_moment_deviation", 5, 19, 0},
    {PLUMB_CORRECTION_LOO, 3, 0, "second_moment_deviation", 2, 10, 3},
    {PLUMB_CORRECTION_LOO, 4, 0, "second_moment_deviation", 1, 7, 2},
    {PLUMB_CORRECTION_LOO, 2, 1, "second_moment_deviation", 5, 19, 0},
    {PLUMB_CORRECTION_JACKKNIFE, 2, 1, "second_moment", 5, 12, 0},
    {PLUMB_CORRECTION_JACKKNIFE, 2, 1, "second_moment", 1, 4, 2},
    {PLUMB_CORRECTION_PAPER_CF, 2, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_INV, 4, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_FULL, 4, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_PRE_EMA, 4, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_LOO, 2, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_LOO_JENSEN, 2, 0, "second_moment", -1, 2, 0},
    {PLUMB_CORRECTION_PAPER_SYM, 4, 0, "second_moment", -1, 2, 0},
};

START_TEST(states)
{
    const expected_states *e = &expected[_i];
    plumb_parameter_options options =
        options_of(PLUMB_OPTIMIZER_ADAMW, e->correction, e->noise_floor);
    options.folds = e->folds;
    ck_assert_int_eq(optimizer_validate(&options, 4, 3), PLUMB_OK);
    ck_assert_int_eq(adamw()->validate_groups(&options, e->least_groups), PLUMB_OK);
    ck_assert_int_eq(adamw()->validate_groups(&options, 6), PLUMB_OK);
    ck_assert_int_eq(adamw()->wants_groups(&options), e->correction != PLUMB_CORRECTION_NONE);
    ck_assert_int_eq(adamw()->state_count(&options, 6), e->of_six);
    int group = -7;
    ck_assert_str_eq(adamw()->state_name(&options, 6, e->of_six - 1, &group), e->last);
    ck_assert_int_eq(group, e->last_group);
}
END_TEST

/* No two states of a correction share name and group. */
START_TEST(states_are_told_apart)
{
    const expected_states *e = &expected[_i];
    plumb_parameter_options options =
        options_of(PLUMB_OPTIMIZER_ADAMW, e->correction, e->noise_floor);
    options.folds = e->folds;
    for (int i = 0; i < e->of_six; i++) {
        for (int j = 0; j < i; j++) {
            int left, right;
            const char *name = adamw()->state_name(&options, 6, i, &left);
            const char *other = adamw()->state_name(&options, 6, j, &right);
            ck_assert(left != right || strcmp(name, other) != 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("correction options");
    test_add(suite, "wrong combinations", wrong_combinations);
    test_add(suite, "options of other corrections", options_of_other_corrections);
    test_add(suite, "wrong folds", wrong_folds);
    test_add(suite, "other optimizers", other_optimizers);
    test_add(suite, "options without a correction", options_without_a_correction);
    test_add(suite, "other pipelines", other_pipelines);
    test_add(suite, "wrong groups", wrong_groups);
    TCase *cases = tcase_create("states");
    int count = (int)(sizeof expected / sizeof expected[0]);
    tcase_add_loop_test(cases, states, 0, count);
    tcase_add_loop_test(cases, states_are_told_apart, 0, count);
    suite_add_tcase(suite, cases);
    return test_run(suite);
}
