/*
 * One replay: everything its parts share. replay.c sets the parts up and takes them down,
 * replay_steps.c runs the recorded steps, replay_report.c tells what came out.
 */
#ifndef APP_REPLAYING_H
#define APP_REPLAYING_H

#include "app/ranks.h"
#include "app/replay_options.h"
#include "store/gradient_file.h"
#include "store/values_file.h"

#include <jansson.h>

typedef struct replaying {
    const replay_options *options;
    ranks ranks;
    gradient_file *recorded;
    values_file *out;
    plumb *plumb;
    int parameter_count;
    int *ids;         /* [parameter_count]: the library's ids */
    float **values;   /* [parameter_count][rows x cols] */
    float *curvature; /* of one micro-batch, room for the largest parameter; or NULL */
    bool weighted;    /* micro-batches differ in samples */
    json_t *steps;    /* at rank 0: what happened */
    int stop_signal;
    failure failure;
} replaying;

/* True for a matrix: what Muon and pipelines are meant for; vectors and scalars are not. */
bool replaying_is_matrix(const recorded_parameter *parameter);

/* Records what the store found wrong. Returns the failure's code. */
int replaying_note(replaying *r, const shared_error *e);

/* Runs all steps; r->failure and r->stop_signal tell how it ended. Collective. */
void replay_steps(replaying *r);

/* Rank 0, after step `step` (from 1; 0: before the first): a line of the table, an entry of the
 * JSON. `report` may be NULL. */
void replay_report_step(replaying *r, int64_t step, const plumb_report *report, const char *hash);

/* Rank 0, at the end. */
void replay_report_end(const replaying *r);

#endif
