/*
 * Muon's corrections: what each keeps, and settings that cannot work, each refused by name.
 * ranks: serial
 */
#include <string.h>

#include "base/error.h"
#include "optim/optimizer.h"
#include "support/test.h"

static plumb_parameter_options options_of(plumb_correction correction)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_MUON), PLUMB_OK);
    o.correction = correction;
    o.polar = PLUMB_POLAR_SVD;
    return o;
}

static void assert_refused(plumb_status status, plumb_status expected, const char *part)
{
    ck_assert_int_eq(status, expected);
    ck_assert_msg(strstr(error_text(), part) != NULL, "\"%s\" is not in \"%s\"", part,
                  error_text());
}

static void assert_invalid(const plumb_parameter_options *o, plumb_status expected,
                           const char *part)
{
    assert_refused(optimizer_validate(o, 6, 4), expected, part);
}

START_TEST(wrong_options)
{
    plumb_parameter_options o = options_of(PLUMB_CORRECTION_SECOND_ORDER);
    o.polar = PLUMB_POLAR_NEWTON_SCHULZ;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "must be the SVD");
    o = options_of(PLUMB_CORRECTION_SECOND_ORDER);
    o.folds = 2;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "folds must be 0");
    o = options_of(PLUMB_CORRECTION_JACKKNIFE);
    o.noise_floor = 1.0;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "noise_floor must be 0");
    o = options_of(PLUMB_CORRECTION_JACKKNIFE);
    o.folds = 1;
    assert_invalid(&o, PLUMB_ERROR_ARGUMENT, "folds is 1");
    o = options_of(PLUMB_CORRECTION_JACKKNIFE);
    o.pipeline = PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "pipeline");
    o = options_of(PLUMB_CORRECTION_NONE);
    o.paper_support_clip = 1.0;
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "paper");
    o = options_of(PLUMB_CORRECTION_MOMENT);
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "moment");
    o = options_of(PLUMB_CORRECTION_WISHART);
    assert_invalid(&o, PLUMB_ERROR_UNSUPPORTED, "wishart");
}
END_TEST

START_TEST(wrong_groups)
{
    const optimizer_kind *kind = optimizer_find(PLUMB_OPTIMIZER_MUON);
    plumb_parameter_options o = options_of(PLUMB_CORRECTION_SECOND_ORDER);
    assert_refused(kind->validate_groups(&o, 1), PLUMB_ERROR_ARGUMENT, "second-order needs 2");
    o = options_of(PLUMB_CORRECTION_JACKKNIFE);
    assert_refused(kind->validate_groups(&o, 1), PLUMB_ERROR_ARGUMENT, "jackknife needs 2");
    o.folds = 3;
    assert_refused(kind->validate_groups(&o, 8), PLUMB_ERROR_ARGUMENT, "3 folds do not divide 8");
    ck_assert_int_eq(kind->validate_groups(&o, 6), PLUMB_OK);
    ck_assert(kind->wants_groups(&o));
    ck_assert_int_eq(kind->state_count(&o, 6), 3);
    int group = -7;
    ck_assert_str_eq(kind->state_name(&o, 6, 2, &group), "momentum");
    ck_assert_int_eq(group, 2);
    o = options_of(PLUMB_CORRECTION_NONE);
    ck_assert_int_eq(kind->validate_groups(&o, 1), PLUMB_OK);
    ck_assert(!kind->wants_groups(&o));
    ck_assert_int_eq(kind->state_count(&o, 6), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("muon options");
    test_add(suite, "wrong options", wrong_options);
    test_add(suite, "wrong groups", wrong_groups);
    return test_run(suite);
}
