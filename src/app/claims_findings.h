/*
 * What `plumb claims` finds: claims of a source, and for each the checks that decide its verdict
 * and the points that are drawn. A check holds or fails by its measured number, its standard error
 * and nothing else; the verdict follows from the checks.
 */
#ifndef APP_CLAIMS_FINDINGS_H
#define APP_CLAIMS_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>

/* A mean or another statistic with its standard error. */
typedef struct claims_estimate {
    double mean, error;
} claims_estimate;

/* The words of one claim; each one line, for a reader who knows the source only. */
typedef struct claims_statement {
    const char *name;    /* such as "claim1" */
    const char *title;   /* what it is about */
    const char *source;  /* what the source says */
    const char *correct; /* what is right */
    const char *reason;  /* why the source's statement fails; shown if it does */
} claims_statement;

/* Whose number the predicted one is, and so what it means if the measurement disagrees. */
typedef enum claims_part {
    CLAIMS_HEADLINE, /* what the source concludes: fails: "false as stated" */
    CLAIMS_DETAIL,   /* its formula or its reason: fails: "holds as corrected" */
    CLAIMS_CORRECTED /* the correct statement: fails: "contradicted", a missed goal */
} claims_part;

typedef enum claims_noise { CLAIMS_ANY_NOISE, CLAIMS_ISOTROPIC, CLAIMS_ANISOTROPIC } claims_noise;

/* What `measured` must be to `predicted`, beyond four standard errors. */
typedef enum claims_relation {
    CLAIMS_EQUAL, /* |measured - predicted| <= 4 errors + slack */
    CLAIMS_ABOVE, /* measured > predicted + 4 errors */
    CLAIMS_BELOW  /* measured < predicted - 4 errors */
} claims_relation;

typedef struct claims_check {
    char name[72];
    int claim; /* its index */
    claims_part part;
    claims_noise noise;
    claims_relation relation;
    double predicted;
    claims_estimate measured;
    double slack;      /* known error of the prediction itself (its next order); 0 */
    double most_error; /* a larger standard error decides nothing. At first: a tenth of |predicted|
                          for EQUAL, none for others */
} claims_check;

/* A point of a plot: x is named by the plot. */
typedef struct claims_point {
    const char *plot, *curve; /* static */
    int claim;
    claims_noise noise;
    double x, predicted; /* predicted NAN: none */
    claims_estimate measured;
} claims_point;

typedef enum claims_outcome { CLAIMS_UNDECIDED, CLAIMS_FAILS, CLAIMS_HOLDS } claims_outcome;

typedef enum claims_verdict {
    CLAIMS_VERDICT_HOLDS,
    CLAIMS_VERDICT_CORRECTED,
    CLAIMS_VERDICT_FALSE,
    CLAIMS_VERDICT_UNDECIDED,   /* a standard error too large to tell */
    CLAIMS_VERDICT_CONTRADICTED /* the measurement contradicts the corrected statement as well */
} claims_verdict;

enum { CLAIMS_MOST = 48, CLAIMS_MOST_CHECKS = 512, CLAIMS_MOST_POINTS = 1024 };

typedef struct claims_findings {
    const claims_statement *claims[CLAIMS_MOST];
    const char *topics[CLAIMS_MOST];
    claims_check checks[CLAIMS_MOST_CHECKS];
    claims_point points[CLAIMS_MOST_POINTS];
    int count, check_count, point_count;
    const char *topic; /* of the claims that come next */
    bool judged;       /* false: too few repetitions for verdicts */
} claims_findings;

/* Begins a claim: checks and points that follow belong to it. `statement` must stay. */
void claims_findings_begin(claims_findings *findings, const claims_statement *statement);

/* Adds a check; *check of it may then be given slack and most_error. Never NULL. */
claims_check *claims_findings_check(claims_findings *findings, claims_part part, claims_noise noise,
                                    const char *name, claims_relation relation, double predicted,
                                    claims_estimate measured);

void claims_findings_point(claims_findings *findings, const char *plot, const char *curve,
                           claims_noise noise, double x, double predicted,
                           claims_estimate measured);

claims_outcome claims_check_outcome(const claims_check *check);

/* Of a claim, by the checks with that noise and those with any; ANY_NOISE: by all. */
claims_verdict claims_findings_verdict(const claims_findings *findings, int claim,
                                       claims_noise noise);

/* Claims, and those of them that are undecided or contradicted; 0 if not judged. */
int claims_findings_goals(const claims_findings *findings);
int claims_findings_missed(const claims_findings *findings);

void claims_findings_print(const claims_findings *findings);
/* {"verdicts": [...]}'s array. */
json_t *claims_findings_json(const claims_findings *findings);

/* For the printer. */
bool claims_findings_has_noise(const claims_findings *findings, int claim, claims_noise noise);

#endif
