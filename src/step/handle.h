/*
 * The handle: what a `plumb` consists of. The story of a step runs through
 *
 *     begin.c (plan, open) -> gradients.c (micro-batches come in) -> reduce.c (deliver, agree)
 *                          -> update.c (compute, agree, commit, publish)
 */
#ifndef PLUMB_STEP_HANDLE_H
#define PLUMB_STEP_HANDLE_H

#include "base/error.h"
#include "exchange/exchange.h"
#include "optim/optimizer.h"

enum { PARAMETER_NAME_SIZE = 128 };

typedef struct parameter {
    char name[PARAMETER_NAME_SIZE];
    int64_t rows, cols;
    float *values; /* the caller's, rows x cols; NULL: its mean gradient stays with the exchange */
    plumb_parameter_options options;
    const optimizer_kind *kind;
    int64_t curvature_index; /* among the parameters that use curvature; -1: it uses none */
} parameter;

/* False if its values are the step's result alone, which no rank keeps for the next step. */
static inline bool parameter_has_values(const parameter *one)
{
    return !one->kind->keeps_gradient;
}

/* What plumb_describe_micro_batch said, and whether gradients of it have come. */
typedef struct description {
    double samples, loss_sum;
    bool touched;
    int64_t norm_count;
    float *norms;
} description;

/* A stretch of one parameter in one bucket. Every rank lists all slices, in order of flat space. */
typedef struct slice {
    int64_t parameter, bucket;
    int64_t first, count; /* elements of the parameter */
    int64_t offset;       /* of its first element in flat space */
    int64_t block;        /* number of its first block of squares among its owner's */
    int64_t blocks;
    /* Owner only: [0] and [1] take turns as the state and the state to come. */
    int state_count;
    float **states[2]; /* [state_count][count] */
    int matrix_state_count;
    int64_t *matrix_state_sizes; /* [matrix_state_count] doubles */
    double **matrix_states[2];   /* [matrix_state_count][its size] */
    /* Where its curvature lies: bucket, or -1, and elements from the bucket's first. */
    int64_t curvature_bucket, curvature_offset;
} slice;

/* The agreement of a step: what every rank brings, in doubles. See reduce.c. */
typedef struct gathering {
    int64_t micro_batches; /* K that it is for; 0: none */
    int ranks;
    int *counts, *displacements; /* by rank */
    double *mine, *all;
} gathering;

typedef enum handle_phase {
    HANDLE_IDLE,
    HANDLE_OPEN,    /* between plumb_begin_step and plumb_reduce */
    HANDLE_REDUCED, /* between plumb_reduce and plumb_update */
    HANDLE_BROKEN   /* MPI failed */
} handle_phase;

struct plumb {
    plumb_options options;
    exchange *exchange;
    exchange *curvature;             /* NULL if no parameter uses any */
    int curvature_interval;          /* 0: likewise */
    struct diagnostics *diagnostics; /* NULL: off */
    handle_phase phase;
    bool planned;
    bool drifted;  /* replicas were found to differ: the next step begins with equal ones */
    int64_t steps; /* committed */
    bool
        means_here; /* plumb_mean_gradient: the last step was committed, and none has begun since */

    int64_t parameter_count, parameter_capacity;
    parameter *parameters;

    int64_t slice_count;
    slice *slices;
    int current;                      /* which of slice.states is the state */
    bool wants_groups;                /* some parameter's update needs every group's gradient */
    int state_groups;                 /* G that the states are for */
    const float **groups_of_slice;    /* [state_groups] room to list a slice's groups */
    const float **curvature_of_slice; /* the same for its curvature */
    bool counting;                    /* some optimizer counts what the report tells */
    optimizer_counts counts;          /* of this rank's updates in this step */
    float *scratch;                   /* for optimizers that need it */
    float **places; /* [buckets]: where in the caller's memory a bucket's values may arrive */
    float *stretch; /* [SLICES_STRETCH]: new values before they take the place of the gradient */
    int *blocks_of; /* [ranks] blocks of squares of what a rank owns */
    struct panels *panels; /* of parameters updated in panels; NULL: there are none */

    /* The step that is open. */
    int64_t micro_batches; /* K */
    int groups;            /* G */
    int64_t first, count;  /* this rank's micro-batches */
    gathering gathering;
    int64_t described;         /* capacity of descriptions */
    description *descriptions; /* [count] */
    plumb_status failure;      /* of this rank's own gradients, with its message */
    char failure_text[ERROR_MESSAGE_SIZE];

    /* What plumb_reduce found. */
    double divisor;   /* sum of weights */
    double *averages; /* of the values, one parameter after the other; NULL: not asked for */
    int64_t averaged; /* steps that count in them */
    plumb_report report;
    float *sample_norms;
    int64_t sample_norm_count;

    char message[ERROR_MESSAGE_SIZE];
};

/* Copies the message of a failure to the handle; MPI failures break it. Returns `status`. */
plumb_status handle_result(plumb *p, plumb_status status);

/* ORDER unless the handle is in `phase`; `call` is named. */
plumb_status handle_expect(const plumb *p, handle_phase phase, const char *call);

/* ARGUMENT if p is NULL. */
plumb_status handle_given(const plumb *p);

/* One line to the coordinator's log, if it wants that level: what all ranks know. */
void handle_log(const plumb *p, plumb_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A failure of work on one parameter, its message with name and rank in front. */
plumb_status handle_named(const plumb *p, const parameter *one, plumb_status status);

/* Names `id`'s parameter, or ARGUMENT. */
plumb_status handle_parameter(const plumb *p, int id, const parameter **found);

#endif
