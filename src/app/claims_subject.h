/*
 * What `plumb claims` measures, in subjects; a topic is a list of them. A subject's repetitions
 * come in units, each a function of (seed, unit) that any rank may compute; units are added in
 * order, so that the result does not depend on who computed what.
 *
 * How to write a subject of statements (topics orthogonal, echo, covariance):
 *
 *  1. run() does one unit's repetitions and adds what it measured to sums[width]: sums of whatever
 *     is linear in the repetitions (values, squares, products). Random numbers come from
 *     claims_normals with {.seed, .subject = self->number, .unit = unit, .step, .micro_batch} and
 *     nowhere else. It is called on any rank: no MPI but on MPI_COMM_SELF.
 *  2. evaluate() turns sums over `units` units into values[values]: the statistics themselves
 *     (norms, ratios, slopes). It is called with all units and with every unit left out; the
 *     leave-one-out jackknife over units gives each value its standard error and takes its
 *     first-order bias away (so squared norms of means come out unbiased).
 *  3. conclude() gets the estimates in the same order and says what they mean:
 *     claims_findings_begin(findings, &statement) for a claim - name, title, what the source says,
 *     what is right, and the reason to be shown if the source is found wrong - then
 *     claims_findings_check() for every number: who predicts it (CLAIMS_HEADLINE, DETAIL or
 *     CORRECTED), under which noise, the relation, predicted, and the estimate. The verdict
 *     follows from the checks; nothing else sets it. claims_findings_point() adds plot data. One
 *     subject may conclude several claims.
 *
 * Take 24 to 48 units, each well below a second, and about 4 quick units. report() belongs to
 * `plumb claims correction` alone, evaluate() and conclude() to all others.
 */
#ifndef APP_CLAIMS_SUBJECT_H
#define APP_CLAIMS_SUBJECT_H

#include "app/claims_findings.h"
#include "app/claims_table.h"
#include "app/failure.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct claims_subject claims_subject;

struct claims_subject {
    const char *name;    /* as --only spells it (several may share it), or the NAME to select it */
    int units;           /* of a full run */
    int quick_units;     /* of --quick */
    int64_t width;       /* doubles that a unit adds to */
    uint16_t number;     /* sets its random numbers apart */
    const void *setting; /* the subject's own */
    /* Adds one unit's repetitions to sums[width]. */
    void (*run)(const claims_subject *self, uint64_t seed, uint32_t unit, double *sums, failure *f);
    /* The rows of the table, from the sums over `units` units. */
    void (*report)(const claims_subject *self, const double *sums, int64_t units,
                   claims_table *table);
    int values; /* of evaluate */
    void (*evaluate)(const claims_subject *self, const double *sums, int64_t units, double *values);
    void (*conclude)(const claims_subject *self, const claims_estimate *estimates,
                     claims_findings *findings);
};

/* What can be asked for by one name. */
typedef struct claims_topic {
    const char *name;
    const claims_subject *const *subjects; /* NULL at the end */
} claims_topic;

/* All of them; subjects NULL at the end. Correction is the first, and stands for itself. */
extern const claims_topic claims_topics[];

/* claims_orthogonal.c, claims_echo.c, claims_covariance.c; each NULL at the end. */
extern const claims_subject *const claims_orthogonal_subjects[];
extern const claims_subject *const claims_echo_subjects[];
extern const claims_subject *const claims_covariance_subjects[];

extern const claims_subject claims_adamw, claims_curvature, claims_roots, claims_shampoo;

/* Mean and standard error of `count` independent values from their sum and sum of squares. */
claims_estimate claims_estimate_of(double sum, double squares, double count);

/*
 * The Frobenius norm of a mean of `count` independent matrices, without what their noise adds to
 * it, and that noise, from sums[elements + 1]: of every element, and then of all their squares.
 */
claims_estimate claims_norm_of(int64_t elements, const double *sums, double count);

/* Least squares of y on x, count of each: the slope, and in *intercept (may be NULL) y at x = 0. */
double claims_slope(int count, const double *x, const double *y, double *intercept);

#endif
