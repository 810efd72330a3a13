/*
 * What `plumb claims correction` measures, in subjects. A subject's repetitions come in units,
 * each a function of (seed, unit) that any rank may compute; units are added in order, so that the
 * result does not depend on who computed what.
 */
#ifndef APP_CLAIMS_SUBJECT_H
#define APP_CLAIMS_SUBJECT_H

#include "app/claims_table.h"
#include "app/failure.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct claims_subject claims_subject;

struct claims_subject {
    const char *name;    /* as --only spells it; several may share it */
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
};

/* All of them, in the order of the table. NULL at the end. */
extern const claims_subject *const claims_subjects[];

extern const claims_subject claims_adamw, claims_curvature, claims_roots, claims_shampoo;

/* Mean and standard error of `count` independent values from their sum and sum of squares. */
typedef struct claims_estimate {
    double mean, error;
} claims_estimate;

claims_estimate claims_estimate_of(double sum, double squares, double count);

/*
 * The Frobenius norm of a mean of `count` independent matrices, without what their noise adds to
 * it, and that noise, from sums[elements + 1]: of every element, and then of all their squares.
 */
claims_estimate claims_norm_of(int64_t elements, const double *sums, double count);

#endif
