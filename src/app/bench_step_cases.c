/*
 * The rows of `plumb bench step`; see bench_step.h. Shapes, rates and intervals are the library's
 * defaults; what a correction needs beside itself it gets, and so does the plain optimizer where
 * that changes its cost.
 */
#include "app/bench_step.h"

const bench_step_case bench_step_cases[] = {
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_MOMENT, .goal = true},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW,
     .correction = PLUMB_CORRECTION_LOO,
     .groups = 4,
     .goal = true},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_LOO},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW,
     .correction = PLUMB_CORRECTION_JACKKNIFE,
     .noise_floor = 1.0},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_CF},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_INV},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_FULL},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_PRE_EMA},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_LOO},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_LOO_JENSEN},
    {.optimizer = PLUMB_OPTIMIZER_ADAMW, .correction = PLUMB_CORRECTION_PAPER_SYM},
    {.optimizer = PLUMB_OPTIMIZER_SOPHIA, .correction = PLUMB_CORRECTION_MOMENT},
    {.optimizer = PLUMB_OPTIMIZER_SOPHIA, .correction = PLUMB_CORRECTION_LOO},
    {.optimizer = PLUMB_OPTIMIZER_SHAMPOO, .correction = PLUMB_CORRECTION_WISHART, .goal = true},
    {.optimizer = PLUMB_OPTIMIZER_SHAMPOO, .correction = PLUMB_CORRECTION_SECOND_ORDER},
    {.optimizer = PLUMB_OPTIMIZER_SHAMPOO,
     .correction = PLUMB_CORRECTION_JACKKNIFE,
     .noise_floor = 1.0},
    {.optimizer = PLUMB_OPTIMIZER_SHAMPOO,
     .correction = PLUMB_CORRECTION_HALF_SAMPLE,
     .noise_floor = 1.0},
    {.optimizer = PLUMB_OPTIMIZER_SOAP, .correction = PLUMB_CORRECTION_MOMENT},
    {.optimizer = PLUMB_OPTIMIZER_MUON,
     .correction = PLUMB_CORRECTION_SECOND_ORDER,
     .polar = PLUMB_POLAR_SVD},
    {.optimizer = PLUMB_OPTIMIZER_MUON,
     .correction = PLUMB_CORRECTION_JACKKNIFE,
     .polar = PLUMB_POLAR_NEWTON_SCHULZ},
};

const int bench_step_case_count = sizeof bench_step_cases / sizeof bench_step_cases[0];

/* Optimizers that take hidden matrices only. */
static bool wants_matrices(plumb_optimizer optimizer)
{
    return optimizer == PLUMB_OPTIMIZER_MUON || optimizer == PLUMB_OPTIMIZER_SHAMPOO ||
           optimizer == PLUMB_OPTIMIZER_SOAP;
}

int bench_step_interval(const bench_step_case *c)
{
    plumb_parameter_options options;
    bench_step_parameter(c, false, WORKLOAD_MATRIX, &options);
    switch (c->optimizer) {
    case PLUMB_OPTIMIZER_SOPHIA:
        return options.curvature_interval;
    case PLUMB_OPTIMIZER_SHAMPOO:
    case PLUMB_OPTIMIZER_SOAP:
        return options.root_interval;
    default:
        return 1;
    }
}

void bench_step_parameter(const bench_step_case *c, bool corrected, workload_role role,
                          plumb_parameter_options *options)
{
    bool aside = wants_matrices(c->optimizer) && role != WORKLOAD_MATRIX;
    /* Of AdamW beside SOAP the same correction is asked, as train does it. */
    bool takes = corrected && (!aside || c->optimizer == PLUMB_OPTIMIZER_SOAP);
    plumb_parameter_options_init(options, sizeof *options,
                                 aside ? PLUMB_OPTIMIZER_ADAMW : c->optimizer);
    if (options->optimizer == PLUMB_OPTIMIZER_MUON) {
        options->polar = c->polar;
    }
    if (takes) {
        options->correction = c->correction;
        options->noise_floor = c->noise_floor;
    }
}
