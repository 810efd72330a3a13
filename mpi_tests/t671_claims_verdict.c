/*
 * Verdicts of plumb claims: what a check says at its limits, and what follows from checks that
 * fail, hold or decide nothing.
 * ranks: serial
 */
#include <math.h>

#include "app/claims_findings.h"
#include "support/test.h"

static const claims_statement statement = {"name", "title", "source", "correct", "reason"};
static const double infinite = INFINITY, none = NAN;

static claims_findings *start(void)
{
    static claims_findings findings;
    findings = (claims_findings){.judged = true, .topic = "topic"};
    claims_findings_begin(&findings, &statement);
    return &findings;
}

static claims_check *add(claims_findings *findings, claims_part part, double predicted, double mean,
                         double error)
{
    return claims_findings_check(findings, part, CLAIMS_ANY_NOISE, "check", CLAIMS_EQUAL, predicted,
                                 (claims_estimate){mean, error});
}

static claims_outcome outcome(claims_relation relation, double predicted, double mean, double error,
                              double slack)
{
    claims_check *check =
        claims_findings_check(start(), CLAIMS_DETAIL, CLAIMS_ANY_NOISE, "check", relation,
                              predicted, (claims_estimate){mean, error});
    check->slack = slack;
    return claims_check_outcome(check);
}

START_TEST(equal_allows_four_errors_and_the_slack)
{
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 1.039, 0.01, 0.0), CLAIMS_HOLDS);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 1.041, 0.01, 0.0), CLAIMS_FAILS);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 0.959, 0.01, 0.0), CLAIMS_FAILS);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 0.959, 0.01, 0.002), CLAIMS_HOLDS);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 0.0, 0.041, 0.01, 0.0), CLAIMS_FAILS);
}
END_TEST

START_TEST(above_and_below_need_four_errors)
{
    ck_assert_int_eq(outcome(CLAIMS_ABOVE, 0.0, 0.041, 0.01, 0.0), CLAIMS_HOLDS);
    ck_assert_int_eq(outcome(CLAIMS_ABOVE, 0.0, 0.039, 0.01, 0.0), CLAIMS_FAILS);
    ck_assert_int_eq(outcome(CLAIMS_BELOW, 0.0, -0.041, 0.01, 0.0), CLAIMS_HOLDS);
    ck_assert_int_eq(outcome(CLAIMS_BELOW, 0.0, -0.039, 0.01, 0.0), CLAIMS_FAILS);
}
END_TEST

START_TEST(large_errors_decide_nothing)
{
    /* Agreement within an error of a fifth of the prediction; disagreement is one all the same. */
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 1.1, 0.2, 0.0), CLAIMS_UNDECIDED);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 2.1, 0.2, 0.0), CLAIMS_FAILS);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, none, 0.0, 0.0), CLAIMS_UNDECIDED);
    ck_assert_int_eq(outcome(CLAIMS_ABOVE, 1.0, 2.0, none, 0.0), CLAIMS_UNDECIDED);
    ck_assert_int_eq(outcome(CLAIMS_EQUAL, 1.0, 2.0, infinite, 0.0), CLAIMS_UNDECIDED);
    claims_check *check = claims_findings_check(start(), CLAIMS_DETAIL, CLAIMS_ANY_NOISE, "check",
                                                CLAIMS_ABOVE, 0.0, (claims_estimate){0.1, 0.1});
    check->most_error = 0.01;
    ck_assert_int_eq(claims_check_outcome(check), CLAIMS_UNDECIDED);
    check->measured.mean = 0.5;
    ck_assert_int_eq(claims_check_outcome(check), CLAIMS_HOLDS);
}
END_TEST

/* The verdict of one claim whose headline, detail and corrected check measure these for 1. */
static claims_verdict verdict(double headline, double detail, double corrected)
{
    claims_findings *findings = start();
    add(findings, CLAIMS_HEADLINE, 1.0, headline, 0.01);
    add(findings, CLAIMS_DETAIL, 1.0, detail, 0.01);
    add(findings, CLAIMS_CORRECTED, 1.0, corrected, 0.01);
    return claims_findings_verdict(findings, 0, CLAIMS_ANY_NOISE);
}

START_TEST(verdicts_follow_from_the_part_that_fails)
{
    ck_assert_int_eq(verdict(1.0, 1.0, 1.0), CLAIMS_VERDICT_HOLDS);
    ck_assert_int_eq(verdict(1.0, 2.0, 1.0), CLAIMS_VERDICT_CORRECTED);
    ck_assert_int_eq(verdict(2.0, 1.0, 1.0), CLAIMS_VERDICT_FALSE);
    ck_assert_int_eq(verdict(2.0, 2.0, 1.0), CLAIMS_VERDICT_FALSE);
    ck_assert_int_eq(verdict(1.0, 1.0, 2.0), CLAIMS_VERDICT_CONTRADICTED);
    ck_assert_int_eq(verdict(2.0, none, 1.0), CLAIMS_VERDICT_UNDECIDED);
    ck_assert_int_eq(verdict(1.0, none, 2.0), CLAIMS_VERDICT_CONTRADICTED);
}
END_TEST

START_TEST(noises_have_verdicts_of_their_own)
{
    claims_findings *findings = start();
    claims_estimate one = {1.0, 0.01};
    claims_findings_check(findings, CLAIMS_HEADLINE, CLAIMS_ISOTROPIC, "a", CLAIMS_EQUAL, 2.0, one);
    claims_findings_check(findings, CLAIMS_HEADLINE, CLAIMS_ANISOTROPIC, "b", CLAIMS_EQUAL, 1.0,
                          one);
    ck_assert_int_eq(claims_findings_verdict(findings, 0, CLAIMS_ISOTROPIC), CLAIMS_VERDICT_FALSE);
    ck_assert_int_eq(claims_findings_verdict(findings, 0, CLAIMS_ANISOTROPIC),
                     CLAIMS_VERDICT_HOLDS);
    ck_assert_int_eq(claims_findings_verdict(findings, 0, CLAIMS_ANY_NOISE), CLAIMS_VERDICT_FALSE);
    add(findings, CLAIMS_DETAIL, 2.0, 1.0, 0.01); /* concerns both */
    ck_assert_int_eq(claims_findings_verdict(findings, 0, CLAIMS_ANISOTROPIC),
                     CLAIMS_VERDICT_CORRECTED);
    ck_assert(claims_findings_has_noise(findings, 0, CLAIMS_ISOTROPIC));
}
END_TEST

START_TEST(no_check_decides_nothing)
{
    claims_findings *findings = start();
    ck_assert_int_eq(claims_findings_verdict(findings, 0, CLAIMS_ANY_NOISE),
                     CLAIMS_VERDICT_UNDECIDED);
}
END_TEST

START_TEST(goals_are_the_corrected_statements)
{
    claims_findings *findings = start();
    add(findings, CLAIMS_HEADLINE, 2.0, 1.0, 0.01);
    ck_assert_int_eq(claims_findings_goals(findings), 1);
    ck_assert_int_eq(claims_findings_missed(findings), 0); /* a false source is no missed goal */
    claims_findings_begin(findings, &statement);
    add(findings, CLAIMS_CORRECTED, 2.0, 1.0, 0.01);
    claims_findings_begin(findings, &statement);
    add(findings, CLAIMS_CORRECTED, 1.0, 1.0, 1.0);
    ck_assert_int_eq(claims_findings_goals(findings), 3);
    ck_assert_int_eq(claims_findings_missed(findings), 2);
    findings->judged = false;
    ck_assert_int_eq(claims_findings_goals(findings), 0);
    ck_assert_int_eq(claims_findings_missed(findings), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claims verdicts");
    test_add(suite, "equal allows four errors and the slack",
             equal_allows_four_errors_and_the_slack);
    test_add(suite, "above and below need four errors", above_and_below_need_four_errors);
    test_add(suite, "large errors decide nothing", large_errors_decide_nothing);
    test_add(suite, "verdicts follow from the part that fails",
             verdicts_follow_from_the_part_that_fails);
    test_add(suite, "noises have verdicts of their own", noises_have_verdicts_of_their_own);
    test_add(suite, "no check decides nothing", no_check_decides_nothing);
    test_add(suite, "goals are the corrected statements", goals_are_the_corrected_statements);
    return test_run(suite);
}
