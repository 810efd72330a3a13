/*
 * metrics.jsonl: one JSON object a line, one line an update. Every line is one write, so that
 * whatever ends the run leaves whole lines, and a line that did not fit is taken back.
 *
 * Line 0 is the untrained model, line t stands after update t. Numbers carry 17 significant
 * digits: two runs are equal if their deterministic fields are equal as text.
 */
#ifndef STORE_METRICS_H
#define STORE_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not a number: the field is left out (held_out_*, correction_clipped, unclipped, roots_failed,
 * diagnosis_seconds) or null (the others). */
typedef struct metrics_line {
    int64_t step;             /* updates done, skipped ones counted */
    bool trained;             /* false for line 0, which has no fields of an update */
    bool skipped;             /* NaN or Inf was found: nothing was updated */
    const char *reason;       /* why it was skipped */
    double loss;              /* mean over the K micro-batches before the update, nats per unit */
    double held_out_loss;     /* nats per token or image */
    double held_out_accuracy; /* fraction of right answers; models that classify */
    double held_out_loss_average, held_out_accuracy_average; /* of the averaged parameters */
    int64_t micro_batches;                                   /* K */
    double learning_rate;                                    /* of --optimizer */
    double gradient_norm;      /* of the mean gradient, before clipping */
    double clip_factor;        /* 1: not clipped */
    double correction_clipped; /* share of corrected elements whose correction met its bound */
    double unclipped;          /* share of Sophia's elements whose update stayed within its clip */
    double roots_failed;       /* decompositions that failed at first */
    double seconds;            /* since the start of training, evaluations included */
    double tokens_per_second;  /* of this step: all ranks' tokens (images) per second */
    double exchange_bytes;     /* sent by all ranks together in this step */
    double exchange_seconds;   /* longest over ranks */
    double update_seconds;     /* longest over ranks */
    double diagnosis_seconds;  /* longest over ranks; with full diagnostics */
    double overlap;            /* share of the first leg that was through before the end */
    json_t *diagnosis;         /* an object whose fields are added; NULL: none. The caller's */
    const char *parameters_hash; /* XXH3 128 bit, hexadecimal */
} metrics_line;

typedef struct metrics metrics;

/* Makes the file, which must not exist. 0, or 1 with a line in `message`. */
int metrics_open(metrics **m, const char *path, char *message, size_t message_size);

/* Appends a line. 0, or 1 with a line in `message`; the file then ends with the line before. */
int metrics_write(metrics *m, const metrics_line *line, char *message, size_t message_size);

/* Closes; *m becomes NULL. 0, or 1 with a line in `message` if the disk reported a late error. */
int metrics_close(metrics **m, char *message, size_t message_size);

#endif
