/*
 * One `plumb diagnose`: what its parts share. diagnose.c deals parameters to ranks and steps
 * through the file, diagnose_parameter.c and diagnose_matrix.c measure one parameter in one step,
 * diagnose_average.c makes totals and averages of that, diagnose_table.c and diagnose_json.c tell.
 *
 * A finding is a row of doubles, so that ranks can hand it around and steps can be averaged by
 * rules in a table (diagnose_values.c). NaN: not available.
 */
#ifndef APP_DIAGNOSING_H
#define APP_DIAGNOSING_H

#include "app/diagnose_options.h"
#include "app/ranks.h"
#include "store/gradient_file.h"

#include <jansson.h>

typedef enum finding_value {
    NOISE_SQUARED_NORM,
    NOISE_SMALL_SQUARED_NORM,
    NOISE_TRACE,
    NOISE_TRACE_ERROR,
    NOISE_SIGNAL,
    NOISE_SIGNAL_ERROR,
    NOISE_SCALE,
    NOISE_SCALE_ERROR,
    NOISE_PLATEAU,
    NORM_TEST,        /* samples */
    EIGENVALUE_SHARE, /* of the trace, noise-reduced */
    VARIANCE_MEAN,    /* of one entry of the mean gradient, both estimators */
    VARIANCE_PAIRWISE,
    NUCLEAR_SCALE, /* samples */
    NUCLEAR_SCALE_ERROR,
    UPDATE_VARIANCE, /* as in plumb_update_noise */
    UPDATE_VARIANCE_ERROR,
    UPDATE_BIAS,
    UPDATE_BIAS_ERROR,
    UPDATE_NORMAL_SHARE,
    UPDATE_NORMAL_BIAS, /* that share of the bias */
    UPDATE_STEP_BIAS,
    UPDATE_STEP_VARIANCE,
    UPDATE_RATIO,
    UPDATE_RATIO_ERROR,
    UPDATE_STREAMED_RATIO,
    POLAR_BIAS,         /* squared norm of Ortho(mean)'s bias by the expansion, */
    POLAR_TANGENT,      /* of its tangent part, */
    ISOTROPIC_BIAS,     /* and as it would be in isotropic noise of the same variance; */
    ISOTROPIC_DISTANCE, /* there the expected squared distance, too */
    RICHARDSON,         /* |c| of bias c/m, m in samples; its noise is in it */
    RICHARDSON_ALONG,   /* <c, Ortho(mean)> / min(rows, cols): samples by which it shrinks */
    ECHO_MEAN,          /* over all directions */
    ECHO_MEAN_SQUARE,
    ECHO_DIRECTIONS, /* with an echo above 1/2 */
    ECHO_DIRECTIONS_OF,
    ECHO_THRESHOLD,
    ECHO_EDGE,
    ECHO_GROUP_VARIANCE, /* of one entry of one group, whitened if that is wanted */
    FINDING_REASONS,     /* bits: why something is not available */
    FINDING_VALUES
} finding_value;

typedef enum finding_reason {
    REASON_ONE_GROUP = 1,
    REASON_ZERO = 2,
    REASON_CONSTANT = 4,
    REASON_VECTOR = 8,
    REASON_LARGE = 16,
    REASON_UNEQUAL = 32,
    REASON_FEW = 64,
    REASON_NUMERICAL = 128,
    REASON_UNDETERMINED = 256,
    REASON_EXPANSION = 512,
    REASON_COUNT = 10
} finding_reason;

/* What is known of one singular direction of the mean gradient. */
typedef enum direction_value {
    DIRECTION_OBSERVED,    /* singular value */
    DIRECTION_SIGNAL,      /* estimated true one, by --echo-method */
    DIRECTION_ECHO,        /* likewise */
    DIRECTION_PLUG_SIGNAL, /* both by the exact law from the observed one */
    DIRECTION_PLUG_ECHO,
    DIRECTION_LAW,       /* exact law at `signal` */
    DIRECTION_STRENGTH,  /* signal^2 / (variance sqrt(rows cols)): 1 is the threshold */
    DIRECTION_FROBENIUS, /* shrinkers */
    DIRECTION_OPERATOR,
    DIRECTION_NUCLEAR,
    DIRECTION_HARD,
    DIRECTION_HELD_OUT_SIGNAL, /* of all groups but one, */
    DIRECTION_HELD_OUT_ECHO,   /* and what that one has left of it */
    DIRECTION_HELD_OUT_ERROR,
    DIRECTION_VALUES
} direction_value;

/* How a value of several steps becomes one; a sum over parameters is another matter. */
typedef enum averaging_rule {
    AVERAGE_MEAN,   /* of the steps that have it */
    AVERAGE_STRICT, /* of all steps, or not at all: to have it takes luck with the noise */
    AVERAGE_ERROR,  /* standard error of such a mean, steps taken as independent */
    AVERAGE_BITS,   /* any step's */
    AVERAGE_OWN     /* made anew from the other averages */
} averaging_rule;

/* How the values of several parameters become the total's. */
typedef enum total_rule {
    TOTAL_NONE, /* in another way, or not at all */
    TOTAL_SUM,
    TOTAL_ROOT,      /* of the sum of squares */
    TOTAL_DIRECTIONS /* mean, a parameter weighs as many as it has directions */
} total_rule;

typedef struct finding_entry {
    const char *name; /* in JSON, "section.name" */
    averaging_rule rule;
    total_rule total;
} finding_entry;

extern const finding_entry finding_entries[FINDING_VALUES];

/* A finding with its variable parts. `row` holds values[FINDING_VALUES], then the eigenvalues, the
 * directions and the Gram matrix, in finding_length places. */
typedef struct finding {
    int eigenvalue_count; /* shown */
    int64_t direction_count;
    int64_t gram_count;  /* 0: none */
    double *values;      /* [FINDING_VALUES] */
    double *eigenvalues; /* [eigenvalue_count] */
    double *reduced;     /* [eigenvalue_count], noise-reduced */
    double *directions;  /* [direction_count][DIRECTION_VALUES] */
    double *gram;        /* [gram_count][gram_count] */
} finding;

int64_t finding_length(const finding *f);
/* Sets the pointers into row[finding_length]. */
void finding_place(finding *f, double *row);
/* All NaN, but the reasons and the Gram matrix 0. */
void finding_clear(finding *f);
void finding_add_reason(finding *f, finding_reason reason);
bool finding_has(const finding *f, finding_reason reason);
/* In words; bit 0 to REASON_COUNT - 1. */
const char *finding_reason_text(int bit);

/* A finding's own memory; false without. finding_free frees it. */
bool finding_allocate(finding *f);
void finding_free(finding *f);

typedef struct diagnosing diagnosing;

/* Means over steps. */
typedef struct finding_average {
    plumb_noise_average noise;
    plumb_noise last_noise;
    int64_t steps;
    int64_t spectrum_step; /* from 0: the directions are of that step; -1: none yet */
    int64_t counts[FINDING_VALUES];
    double trace_variance, signal_variance; /* sums of squared errors within steps */
    finding mean;                           /* sums until the end */
} finding_average;

/* All parameters of one step together. */
typedef struct finding_total {
    finding f;
    double *nuclear; /* [parameter_count]: the noise scales there are, for their median */
    int64_t nuclear_count;
    double weights[FINDING_VALUES];
    int64_t parameters, constant;
} finding_total;

struct diagnosing {
    const diagnose_options *options;
    ranks ranks;
    gradient_file *recorded;
    int *selected; /* [parameter_count]: the file's parameters that are looked at */
    int parameter_count;
    int64_t micro_batches;
    int64_t groups;
    double *samples; /* [groups]: of each group */
    double total_samples;
    bool equal;                    /* groups have equal samples */
    int64_t first_step, last_step; /* from 0, last included */
    int folds;
    /* Of what this rank measures. */
    float *memory; /* of --memory at most: all groups of a stretch or of a parameter */
    int64_t memory_elements;
    float *stretch;            /* [stretch_elements], one micro-batch */
    double *sums;              /* [stretch_elements] */
    finding_average *averages; /* [parameter_count] */
    finding_average total;
    finding_total step_total;
    json_t *steps; /* at rank 0 with --json */
    int stop_signal;
    failure failure;
};

enum {
    STRETCH_ELEMENTS = 1 << 20,
    GRAM_BLOCK = 4096,
    MOST_GROUPS = 4096,
    LONGEST_SHORT_SIDE = 4096
};

/* Collective; d->failure, agreed. diagnosing_take_down whatever it is. */
void diagnosing_set_up(diagnosing *d);
void diagnosing_take_down(diagnosing *d);

const recorded_parameter *diagnosing_parameter(const diagnosing *d, int index);

/* Shape of the finding of a parameter (index into selected), or of the total (-1). */
finding diagnosing_finding(const diagnosing *d, int index);

/* Whether all groups of a parameter fit into memory together. */
bool diagnosing_fits(const diagnosing *d, int index);

/* Measures one parameter in one step into `f`, which has its place. Local; d->failure. */
void diagnose_parameter(diagnosing *d, int index, int64_t step, finding *f);

/* From groups in memory, of a matrix that is neither a vector nor too large. */
void diagnose_matrix(diagnosing *d, const recorded_parameter *p, const float *const *groups,
                     finding *f);

/* Noise and eigenvalues from the Gram matrix. */
void diagnose_gram(diagnosing *d, finding *f);

bool finding_total_allocate(const diagnosing *d, finding_total *t);
void finding_total_clear(finding_total *t);
void finding_total_add(finding_total *t, const finding *f);
void finding_total_finish(diagnosing *d, finding_total *t);
void finding_total_free(finding_total *t);

bool finding_average_start(finding_average *a, finding shape);
void finding_average_add(diagnosing *d, finding_average *a, int64_t step, const finding *f);
void finding_average_finish(diagnosing *d, finding_average *a);
void finding_average_free(finding_average *a);

/* Between the values and the library's structs. */
void finding_set_noise(finding *f, const plumb_noise *noise);
/* NaN where the noise scale is undetermined. */
void finding_set_norm_test(diagnosing *d, finding *f, const plumb_noise *noise);
plumb_noise finding_noise(const diagnosing *d, const finding *f);
void finding_set_update(finding *f, const plumb_update_noise *update);
/* The normal share of a bias that is above twice its error; of less it would be a guess. So it
 * would be where groups' own frames are mostly noise: then the parts are larger than the whole. */
void finding_share_bias(finding *f);
plumb_update_noise finding_update(const diagnosing *d, const finding *f);

/* Advice and what a batch is worth, from the averages. */
typedef struct diagnose_conclusion {
    plumb_advice advice;
    plumb_batch_effect effect;
    double other_samples;
} diagnose_conclusion;
void diagnose_conclude(diagnosing *d, diagnose_conclusion *c);

/* Rank 0. A step's line of JSON gets its parameters first, then its number and total. */
void diagnose_json_add_parameter(const diagnosing *d, json_t *line, int index, const finding *f);
void diagnose_json_step(const diagnosing *d, json_t *line, int64_t step, const finding *total);
void diagnose_print_json(const diagnosing *d, const diagnose_conclusion *c);

/* Rank 0. index -1: the total, which ends the step. */
void diagnose_print_step(const diagnosing *d, int64_t step, int index, const finding *f);
void diagnose_print_table(const diagnosing *d, const diagnose_conclusion *c);

#endif
