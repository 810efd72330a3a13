/*
 * What a handle measures of its gradients beside the step, and keeps for plumb_diagnose.
 *
 * Every step: the squared norms of all micro-batches' gradients, taken as they come in, which go
 * with the agreement of the step (reduce.c). In steps for which a full diagnosis is due the same
 * gradients go through an exchange of their own, by groups, to owners of whole parameters; what
 * those find goes to all ranks. The step's own sums are never touched.
 *
 *     diagnostics.c            the life of all that, norms, and what callers read
 *     diagnostics_exchange.c   the second exchange
 *     diagnostics_full.c       what owners find, and how it gets to all ranks
 *     diagnostics_measure.c    what there is to find in one parameter's groups
 */
#ifndef PLUMB_STEP_DIAGNOSTICS_H
#define PLUMB_STEP_DIAGNOSTICS_H

#include "step/handle.h"

enum {
    DIAGNOSTICS_MOST_GROUPS = 32,         /* more are taken together */
    DIAGNOSTICS_MOST_SIDE = 1024,         /* the shorter one's, of what is decomposed */
    DIAGNOSTICS_MOST_ELEMENTS = 16 << 20, /* likewise */
    DIAGNOSTICS_SPECTRA = 3               /* observed, signals, echoes */
};

/* What owners found in one full diagnosis, of all parameters: records of doubles by rank. */
typedef struct diagnostics_findings {
    int groups;                  /* that it is for; 0: none */
    int *counts, *displacements; /* by rank */
    int64_t *places;             /* [parameters] where a parameter's record begins in `all` */
    double *mine, *all;
    const float **means; /* [groups] room to list a parameter's */
    double *gram;        /* [groups][groups] room for one */
    double *gram_of_all; /* of all parameters together */
} diagnostics_findings;

typedef struct diagnostics {
    plumb_diagnosis *results; /* [parameters + 1]; the last is of all together */
    int64_t *spectrum_places; /* [parameters + 1] where a matrix's spectra begin */
    double *spectra;          /* of each matrix: observed, signals, echoes */
    double *room;             /* [parameters] */
    bool told;                /* of something that is not available */
    plumb_status trouble;     /* in this step; `culprit` is its parameter, or -1 */
    int64_t culprit;

    /* The open step. Squared norms of gradients: */
    int64_t micro_batches; /* K that there is memory for */
    double *mine;          /* [this rank's micro-batches][parameters] */
    double *samples;       /* [K] */
    double *norms;         /* [parameters + 1][K] */
    double *mean_squares;  /* [parameters], of the sum of weighted gradients */

    /* Full. */
    exchange *exchange; /* NULL unless asked for */
    int groups;         /* of its step */
    double *weights;    /* [groups] */
    double *group_samples;
    diagnostics_findings findings;
} diagnostics;

/* After the plan. Collective. MEMORY, MPI. */
plumb_status diagnostics_set_up(plumb *p);
void diagnostics_free(plumb *p);

/* Is a full one due in the step after p->steps? */
bool diagnostics_due(const plumb *p);

/* The step's memory, and the receives of a due one; as for curvature.h. MEMORY, MPI. */
plumb_status diagnostics_prepare(plumb *p);
plumb_status diagnostics_provide(plumb *p);
plumb_status diagnostics_open(plumb *p);

/* A micro-batch's samples, before its first gradient; a gradient, before the step itself takes it
 * (and perhaps its memory). MEMORY, MPI. */
void diagnostics_weigh(plumb *p, int64_t micro_batch, double samples);
plumb_status diagnostics_accumulate(plumb *p, int id, int64_t micro_batch, const float *gradient);

/* Zeros for what is missing; delivery; what this rank's work failed with. */
plumb_status diagnostics_complete(plumb *p);
plumb_status diagnostics_progress(plumb *p);
plumb_status diagnostics_deliver(plumb *p);
plumb_status diagnostics_failure(const plumb *p);

/* Doubles that a micro-batch adds to the agreement, and those of one of this rank's. */
int diagnostics_width(const plumb *p);
void diagnostics_give_line(const plumb *p, int64_t micro_batch, double *line);

/* Out of the agreement: a micro-batch's samples and line; squares of a parameter's summed gradient,
 * which add up. */
void diagnostics_take_line(plumb *p, int64_t micro_batch, double samples, const double *line);
void diagnostics_take_squares(plumb *p, int64_t index, double squares);

/*
 * After the agreement: measures, and replaces the last diagnosis. What cannot be computed is NAN
 * and no failure. Collective. MEMORY, MPI.
 */
plumb_status diagnostics_measure(plumb *p);

/* ---- Among the files of this part ---- */

/* Makes the second exchange, of whole parameters. Collective. MEMORY, MPI. */
plumb_status diagnostics_exchange_make(plumb *p);

int diagnostics_owner(const plumb *p, int64_t id);

/* Lists the means of the groups of `id` at its owner, in place of their sums: once a step. */
void diagnostics_group_means(plumb *p, int64_t id, const float **means);

/* True if the parameter is a matrix that is decomposed. */
bool diagnostics_decomposes(const parameter *one);

/* Samples and weights of the groups, from those of the micro-batches. */
void diagnostics_weigh_groups(plumb *p);

/* Memory for the findings, once the groups are known. MEMORY. */
plumb_status diagnostics_findings_make(plumb *p);
void diagnostics_findings_free(diagnostics_findings *f);

/* Measures what this rank owns and brings it to all. Collective. MEMORY, MPI. */
plumb_status diagnostics_find(plumb *p, double *eigenvalue);

/* Writes the findings into the results. `eigenvalue` is that of all parameters together. */
void diagnostics_publish(plumb *p, double eigenvalue);

/* Remembers why something is not available. */
void diagnostics_trouble(diagnostics *d, int64_t index, plumb_status status);

/* Nothing known. */
plumb_noise diagnostics_no_noise(void);
plumb_update_noise diagnostics_no_update(void);

/* A parameter's record: this, then the lower triangle of its Gram matrix by rows, then its
 * spectra. */
enum {
    RECORD_STATUS, /* of what failed first, or PLUMB_OK */
    RECORD_EIGENVALUE,
    RECORD_NUCLEAR,
    RECORD_UPDATE, /* the doubles of a plumb_update_noise in their order */
    UPDATE_NUMBERS = 10,
    RECORD_SIZE = RECORD_UPDATE + UPDATE_NUMBERS
};

/* The record of one parameter from findings.means. MEMORY. */
plumb_status diagnostics_measure_parameter(const plumb *p, const parameter *one, double *record);

#endif
