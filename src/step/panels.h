/*
 * Row panels: a large matrix's fast polar factor (linalg/polar_panels.h) formed by the owners of
 * its panels together. All such matrices go through the phases at the same time,
 *
 *     directions -> exponents to all -> Gram matrices to all -> pole inverses to all -> new values
 *
 * where "all" are a matrix's participants, the owners of its panels; poles are dealt over them. The
 * Gram matrices are added in the canonical tree's order, the poles in theirs: one owner alone makes
 * the same calls in the same order, and the bits are the same.
 *
 * A rank that fails on the way goes through all phases nevertheless, and its blocks say that they
 * hold nothing: nobody waits for ever, and nobody fails by another's failure.
 */
#ifndef PLUMB_STEP_PANELS_H
#define PLUMB_STEP_PANELS_H

#include "exchange/blocks.h"
#include "linalg/polar_panels.h"
#include "step/handle.h"

/* Panels of the parameter, each with a bucket and an owner of its own; 1: it has none. */
int panels_count(const parameter *one);

/* The first element of a panel; for panel = panels_count the end. */
int64_t panels_first(const parameter *one, int panel);

/* One after the other and owned by one rank, a subtree of the canonical tree over the panels. */
typedef struct panel_span {
    int first, count, owner;
} panel_span;

/* What is sent of lower triangles by rows: side (side + 1) / 2 floats and the mark of a failure. */
typedef struct panel_matrix {
    int64_t parameter, first_slice;
    int panels;
    int number; /* among all matrices in panels: where its poles begin to be dealt */
    int round;  /* matrices of a round share the memory with those of the others */
    int participant_count, span_count;
    int participants[POLAR_MOST_PANELS]; /* ranks, ascending */
    panel_span spans[POLAR_MOST_PANELS];
    polar_fast fast;
    /* In its round's memory. */
    float *exponents; /* [participant_count][2] */
    float *grams;     /* [span_count][packed] */
    float *poles;     /* [poles][packed] */
    float *square;    /* side x side: the Gram matrix, then S */
    /* In this step. */
    bool lost; /* somebody failed: nothing of it is computed any more */
    bool zero; /* the polar factor of zero is zero */
    int exponent;
    float scale;
} panel_matrix;

typedef struct panels {
    blocks blocks;
    int rank;
    int64_t bytes;          /* that one step sends, over all ranks */
    int64_t matrix_count;   /* in which this rank takes part */
    panel_matrix *matrices; /* in order of rounds */
    float *memory;          /* of the largest round */
    float *square;          /* side x side of the largest side */
    float *packed;          /* some of its triangles: partial sums of a subtree */
    plumb_status failure;   /* this rank's first in this step */
    double learning_rate;   /* of this step */
} panels;

/* Most floats that the matrices of one round have together, unless one alone needs more. The same
 * on all ranks; only tests change it. */
extern int64_t panels_round_floats;

/* Floats of one lower triangle and its mark. */
int64_t panels_packed(int side);

/* For the layout that the exchange has and the slices in it. MEMORY. */
plumb_status panels_make(plumb *p);
void panels_free(plumb *p);

/*
 * New values and states of this rank's panels. With `mine`, a failure of this rank so far, it only
 * takes part in what is sent. *mine becomes this rank's failure. Collective. MPI.
 */
plumb_status panels_update(plumb *p, double learning_rate, plumb_status *mine);

#endif
