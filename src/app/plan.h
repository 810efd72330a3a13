/*
 * The cost model behind `plumb plan`: what a step is made of, what this machine takes for it, and
 * what follows for any number of ranks. docs/how-to/plan-a-run.md has every formula and its source.
 * Times are seconds, sizes bytes, rates per second.
 */
#ifndef APP_PLAN_H
#define APP_PLAN_H

#include "app/ranks.h"
#include "app/update_options.h"

#include <jansson.h>

typedef struct plan_options {
    update_options update;
    const char *shapes;    /* file, or NULL: gpt */
    const char *ranks;     /* list */
    const char *constants; /* file to read, or NULL: measure */
    const char *measure;   /* file to write, or NULL */
    const char *bench;     /* files of plumb bench --json, commas between, or NULL */
    const char *plot;      /* file of columns for scripts/plot-plan, or NULL */
    int64_t layers, width, heads, context, micro_batch_size;
    int64_t micro_batches, micro_batches_per_rank;
    int64_t ranks_per_node, cores_per_node;
    double network_bandwidth, network_latency; /* Gbit/s, microseconds; 0: constants */
    double gradient_seconds;                   /* a micro-batch; 0: from the constants */
    double overlap;
    bool json;
} plan_options;

typedef struct plan_shape {
    int64_t rows, cols;
    bool matrix;    /* updated by --optimizer where that leaves vectors to AdamW */
    bool by_groups; /* its owner needs every group's sum */
    bool spread;    /* may be updated in row panels */
    bool roots;     /* costs more than by element: polar factor or inverse roots */
} plan_shape;

typedef struct plan_model {
    plan_shape *shapes;
    int64_t count, capacity;
    int64_t elements;           /* of all parameters */
    int64_t by_groups_elements; /* of those whose owner does */
    int64_t blocks;             /* of 4096 elements: a double each in the agreement on norms */
    double flops;               /* of a micro-batch's gradient */
    double widest;              /* short side of the largest matrix */
} plan_model;

/* Of an update: seconds = constant + groups * by_group. */
typedef struct plan_cost {
    double constant, by_group;
} plan_cost;

typedef struct plan_constants {
    double gradient_rate;    /* flop/s of one rank's gradient pass */
    double product_rate;     /* flop/s of sgemm, one core */
    double memory_bandwidth; /* of a copy, one core */
    double node_bandwidth;   /* exchange bytes of all ranks of a node together */
    double node_latency;     /* of a round between ranks of a node */
    double network_bandwidth, network_latency;
    plan_cost element; /* an element, by-element optimizers */
    plan_cost product; /* rows * cols * short side */
    plan_cost cube;    /* short side cubed */
    int64_t cores;     /* of a node */
} plan_constants;

typedef struct plan_step {
    int64_t ranks, nodes, micro_batches;
    int groups;
    double gradient, first_leg, update, second_leg, agreement; /* seconds */
    double seconds;
    double imbalance;       /* most micro-batches of a rank over the mean */
    double exchange_bytes;  /* as plumb_report counts */
    double first_leg_ratio; /* 1: sums only */
} plan_step;

/* Reads the shapes, from a file or from the gpt's own. plan_model_free whatever it returns. */
int plan_model_make(const plan_options *o, plan_model *m, failure *f);
void plan_model_free(plan_model *m);

/* The file's constants must be of the same optimizer, polar method, weights and correction. */
int plan_constants_read(const plan_options *o, plan_constants *c, failure *f);
int plan_constants_write(const plan_options *o, const plan_constants *c, failure *f);
json_t *plan_constants_json(const plan_options *o, const plan_constants *c);

/* Measures, a few seconds. Collective. */
int plan_measure(const ranks *r, const plan_options *o, const plan_model *m, plan_constants *c,
                 failure *f);

/* The two parts of the work on one shape that --measure fits. */
void plan_features(const plan_options *o, int64_t rows, int64_t cols, double *product,
                   double *cube);

/* One step. `groups` divides its micro-batches. Returns f's code. */
int plan_predict(const plan_options *o, const plan_model *m, const plan_constants *c,
                 plumb_owners owners, int64_t rank_count, int groups, plan_step *step, failure *f);

/* The same with the group count that plan-a-run.md explains, unless --groups says one. */
int plan_choose(const plan_options *o, const plan_model *m, const plan_constants *c,
                plumb_owners owners, int64_t rank_count, plan_step *step, failure *f);

/* Micro-batches of a step: at least one a rank, a multiple of --groups. */
int64_t plan_micro_batches(const plan_options *o, int64_t rank_count);

int64_t plan_cores(const plan_options *o, const plan_constants *c); /* of a node */
int64_t plan_ranks_per_node(const plan_options *o, const plan_constants *c);

#endif
