/*
 * Findings as text for people and as JSON for machines; see claims_findings.h.
 */
#include "app/claims_findings.h"

#include <math.h>
#include <stdio.h>

static const char *const part_names[] = {"source: conclusion", "source: detail", "correct"};
static const char *const part_words[] = {"headline", "detail", "corrected"};
static const char *const noise_names[] = {"any", "isotropic", "anisotropic"};
static const char *const relation_signs[] = {"", ">", "<"};
static const char *const relation_words[] = {"equal", "above", "below"};
static const char *const outcome_names[] = {"undecided", "fails", "holds"};
static const char *const verdict_names[] = {"holds", "holds as corrected", "false as stated",
                                            "undecided", "contradicted by the measurement"};

static void print_check(const claims_findings *findings, const claims_check *check)
{
    char predicted[32];
    snprintf(predicted, sizeof predicted, "%s%.4g", relation_signs[check->relation],
             check->predicted);
    printf("    %-50s %-11s %-18s %10s %11.5g %9.2g  %s\n", check->name,
           check->noise == CLAIMS_ANY_NOISE ? "" : noise_names[check->noise],
           part_names[check->part], predicted, check->measured.mean, check->measured.error,
           findings->judged ? outcome_names[claims_check_outcome(check)] : "not judged");
}

static void print_verdict(const claims_findings *findings, int claim)
{
    if (!findings->judged) {
        printf("    not judged: a quick run\n\n");
        return;
    }
    claims_verdict isotropic = claims_findings_verdict(findings, claim, CLAIMS_ISOTROPIC);
    claims_verdict anisotropic = claims_findings_verdict(findings, claim, CLAIMS_ANISOTROPIC);
    claims_verdict all = claims_findings_verdict(findings, claim, CLAIMS_ANY_NOISE);
    bool both = claims_findings_has_noise(findings, claim, CLAIMS_ISOTROPIC) &&
                claims_findings_has_noise(findings, claim, CLAIMS_ANISOTROPIC);
    if (both && isotropic != anisotropic) {
        printf("    VERDICT  isotropic noise: %s; anisotropic noise: %s", verdict_names[isotropic],
               verdict_names[anisotropic]);
    } else {
        printf("    VERDICT  %s", verdict_names[all]);
    }
    printf("%s%s\n\n", all == CLAIMS_VERDICT_HOLDS ? "" : ": ",
           all == CLAIMS_VERDICT_HOLDS ? "" : findings->claims[claim]->reason);
}

static void print_claim(const claims_findings *findings, int claim)
{
    const claims_statement *statement = findings->claims[claim];
    printf("%s %s: %s\n    source   %s\n    correct  %s\n", findings->topics[claim],
           statement->name, statement->title, statement->source, statement->correct);
    printf("    %-50s %-11s %-18s %10s %11s %9s\n", "quantity", "noise", "predicted by",
           "predicted", "measured", "std.err.");
    for (int i = 0; i < findings->check_count; i++) {
        if (findings->checks[i].claim == claim) {
            print_check(findings, &findings->checks[i]);
        }
    }
    print_verdict(findings, claim);
}

void claims_findings_print(const claims_findings *findings)
{
    for (int claim = 0; claim < findings->count; claim++) {
        print_claim(findings, claim);
    }
    if (!findings->judged) {
        return;
    }
    printf("%-12s %-12s %-32s %s\n", "topic", "claim", "verdict", "about");
    for (int claim = 0; claim < findings->count; claim++) {
        printf("%-12s %-12s %-32s %s\n", findings->topics[claim], findings->claims[claim]->name,
               verdict_names[claims_findings_verdict(findings, claim, CLAIMS_ANY_NOISE)],
               findings->claims[claim]->title);
    }
}

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *checks_json(const claims_findings *findings, int claim)
{
    json_t *list = json_array();
    for (int i = 0; i < findings->check_count; i++) {
        const claims_check *check = &findings->checks[i];
        if (check->claim != claim) {
            continue;
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s}", "quantity",
                            check->name, "predicted_by", part_words[check->part], "noise",
                            noise_names[check->noise], "relation", relation_words[check->relation],
                            "predicted", number_or_null(check->predicted), "measured",
                            number_or_null(check->measured.mean), "standard_error",
                            number_or_null(check->measured.error), "slack",
                            number_or_null(check->slack), "outcome",
                            findings->judged ? outcome_names[claims_check_outcome(check)]
                                             : "not judged"));
    }
    return list;
}

static json_t *points_json(const claims_findings *findings, int claim)
{
    json_t *list = json_array();
    for (int i = 0; i < findings->point_count; i++) {
        const claims_point *point = &findings->points[i];
        if (point->claim == claim) {
            json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "plot", point->plot, "curve",
                          point->curve, "noise", noise_names[point->noise], "x",
                          number_or_null(point->x), "predicted", number_or_null(point->predicted),
                          "measured", number_or_null(point->measured.mean), "standard_error",
                          number_or_null(point->measured.error)));
        }
    }
    return list;
}

/* The verdict under one noise; null where no check is of that noise, or nothing is judged. */
static json_t *verdict_json(const claims_findings *findings, int claim, claims_noise noise)
{
    bool any = noise == CLAIMS_ANY_NOISE || claims_findings_has_noise(findings, claim, noise);
    return findings->judged && any
               ? json_string(verdict_names[claims_findings_verdict(findings, claim, noise)])
               : json_null();
}

json_t *claims_findings_json(const claims_findings *findings)
{
    json_t *list = json_array();
    for (int claim = 0; claim < findings->count; claim++) {
        const claims_statement *statement = findings->claims[claim];
        json_t *object =
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "topic", findings->topics[claim], "claim",
                      statement->name, "title", statement->title, "source", statement->source,
                      "correct", statement->correct, "reason", statement->reason);
        json_object_set_new(object, "verdict", verdict_json(findings, claim, CLAIMS_ANY_NOISE));
        json_object_set_new(object, "verdict_isotropic",
                            verdict_json(findings, claim, CLAIMS_ISOTROPIC));
        json_object_set_new(object, "verdict_anisotropic",
                            verdict_json(findings, claim, CLAIMS_ANISOTROPIC));
        json_object_set_new(object, "checks", checks_json(findings, claim));
        json_object_set_new(object, "points", points_json(findings, claim));
        json_array_append_new(list, object);
    }
    return list;
}
