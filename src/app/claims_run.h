/*
 * The Monte Carlo of `plumb claims`: units are dealt to the ranks like cards. A rank's sums of a
 * unit are the unit's alone, all ranks get all of them, and they are added in the order of units:
 * the result is the same to the last bit for every number of ranks.
 */
#ifndef APP_CLAIMS_RUN_H
#define APP_CLAIMS_RUN_H

#include "app/claims_subject.h"
#include "app/progress.h"
#include "app/ranks.h"

enum { CLAIMS_MOST_SUBJECTS = 48 };

typedef struct claims_run {
    const ranks *ranks;
    uint64_t seed;
    bool quick;
    progress_mode progress_mode;
    const claims_subject *subjects[CLAIMS_MOST_SUBJECTS]; /* set by the caller, with `topics` */
    const char *topics[CLAIMS_MOST_SUBJECTS];
    int count;
    double *sums[CLAIMS_MOST_SUBJECTS]; /* [units][width], after claims_run_measure on every rank */
    /* While it runs. */
    progress progress;
    double start;
    int64_t dealt, done; /* units: given to any rank, and done by this one */
} claims_run;

/* Adds a subject; one that is there already is not added twice. */
void claims_run_add(claims_run *run, const char *topic, const claims_subject *subject);

/* All units of all subjects. Returns the code agreed over the ranks; claims_run_free is to be
 * called whatever it is. Collective. */
int claims_run_measure(claims_run *run, failure *f);

int claims_run_units(const claims_run *run, int subject);

/* The table of subjects that report, and the findings of those that conclude. */
void claims_run_report(const claims_run *run, claims_table *table);
void claims_run_conclude(const claims_run *run, claims_findings *findings, failure *f);

void claims_run_free(claims_run *run);

#endif
