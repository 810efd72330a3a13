/*
 * From checks to verdicts; see claims_findings.h.
 */
#include "app/claims_findings.h"

#include <math.h>
#include <stdio.h>

static const double errors_allowed = 4.0;

void claims_findings_begin(claims_findings *findings, const claims_statement *statement)
{
    int index = findings->count < CLAIMS_MOST ? findings->count++ : CLAIMS_MOST - 1;
    findings->claims[index] = statement;
    findings->topics[index] = findings->topic;
}

claims_check *claims_findings_check(claims_findings *findings, claims_part part, claims_noise noise,
                                    const char *name, claims_relation relation, double predicted,
                                    claims_estimate measured)
{
    int last = findings->check_count < CLAIMS_MOST_CHECKS ? findings->check_count++
                                                          : CLAIMS_MOST_CHECKS - 1;
    claims_check *check = &findings->checks[last];
    bool by_size = relation == CLAIMS_EQUAL && predicted != 0.0;
    *check = (claims_check){.claim = findings->count - 1,
                            .part = part,
                            .noise = noise,
                            .relation = relation,
                            .predicted = predicted,
                            .measured = measured,
                            .most_error = by_size ? 0.1 * fabs(predicted) : INFINITY};
    snprintf(check->name, sizeof check->name, "%s", name);
    return check;
}

void claims_findings_point(claims_findings *findings, const char *plot, const char *curve,
                           claims_noise noise, double x, double predicted, claims_estimate measured)
{
    int last = findings->point_count < CLAIMS_MOST_POINTS ? findings->point_count++
                                                          : CLAIMS_MOST_POINTS - 1;
    findings->points[last] = (claims_point){.plot = plot,
                                            .curve = curve,
                                            .claim = findings->count - 1,
                                            .noise = noise,
                                            .x = x,
                                            .predicted = predicted,
                                            .measured = measured};
}

/* Whether the measured number is where the relation wants it. NaN is nowhere. */
static bool agrees(const claims_check *check)
{
    double difference = check->measured.mean - check->predicted;
    double margin = errors_allowed * check->measured.error;
    switch (check->relation) {
    case CLAIMS_ABOVE:
        return difference > margin;
    case CLAIMS_BELOW:
        return difference < -margin;
    case CLAIMS_EQUAL:
    default:
        return fabs(difference) <= margin + check->slack;
    }
}

/* Agreement because of a large error says nothing; disagreement in spite of one does. */
static bool decides(const claims_check *check)
{
    if (!isfinite(check->measured.mean) || !isfinite(check->measured.error)) {
        return false;
    }
    bool sharp = check->measured.error <= check->most_error;
    return sharp || agrees(check) != (check->relation == CLAIMS_EQUAL);
}

claims_outcome claims_check_outcome(const claims_check *check)
{
    if (!decides(check)) {
        return CLAIMS_UNDECIDED;
    }
    return agrees(check) ? CLAIMS_HOLDS : CLAIMS_FAILS;
}

static claims_verdict verdict_of(const claims_check *check)
{
    static const claims_verdict failing[] = {[CLAIMS_HEADLINE] = CLAIMS_VERDICT_FALSE,
                                             [CLAIMS_DETAIL] = CLAIMS_VERDICT_CORRECTED,
                                             [CLAIMS_CORRECTED] = CLAIMS_VERDICT_CONTRADICTED};
    claims_outcome outcome = claims_check_outcome(check);
    if (outcome == CLAIMS_UNDECIDED) {
        return CLAIMS_VERDICT_UNDECIDED;
    }
    return outcome == CLAIMS_HOLDS ? CLAIMS_VERDICT_HOLDS : failing[check->part];
}

static bool concerns(const claims_check *check, int claim, claims_noise noise)
{
    bool fits = noise == CLAIMS_ANY_NOISE || check->noise == CLAIMS_ANY_NOISE;
    return check->claim == claim && (fits || check->noise == noise);
}

/* The verdicts are in the order of their weight: the largest of all checks is the claim's. Without
 * any check nothing is decided. */
claims_verdict claims_findings_verdict(const claims_findings *findings, int claim,
                                       claims_noise noise)
{
    claims_verdict verdict = CLAIMS_VERDICT_HOLDS;
    bool checked = false;
    for (int i = 0; i < findings->check_count; i++) {
        const claims_check *check = &findings->checks[i];
        if (concerns(check, claim, noise)) {
            checked = true;
            verdict = verdict_of(check) > verdict ? verdict_of(check) : verdict;
        }
    }
    return checked ? verdict : CLAIMS_VERDICT_UNDECIDED;
}

bool claims_findings_has_noise(const claims_findings *findings, int claim, claims_noise noise)
{
    for (int i = 0; i < findings->check_count; i++) {
        if (findings->checks[i].claim == claim && findings->checks[i].noise == noise) {
            return true;
        }
    }
    return false;
}

int claims_findings_goals(const claims_findings *findings)
{
    return findings->judged ? findings->count : 0;
}

int claims_findings_missed(const claims_findings *findings)
{
    int missed = 0;
    for (int claim = 0; claim < claims_findings_goals(findings); claim++) {
        missed +=
            claims_findings_verdict(findings, claim, CLAIMS_ANY_NOISE) >= CLAIMS_VERDICT_UNDECIDED;
    }
    return missed;
}
