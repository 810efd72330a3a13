/*
 * The rows of `plumb bench step`; see bench_step.h. Shapes, rates and intervals are the library's
 * defaults; what a correction needs beside itself it gets, and so does the plain optimizer where
 * that changes its cost.
 */
#include "app/bench_step.h"

#define ROW(name, NAME, word, WORD)                                                                \
    .optimizer_name = name, .optimizer = PLUMB_OPTIMIZER_##NAME, .correction_name = word,          \
    .correction = PLUMB_CORRECTION_##WORD

const bench_step_case bench_step_cases[] = {
    {ROW("adamw", ADAMW, "moment", MOMENT), .goal = true},
    {ROW("adamw", ADAMW, "loo", LOO), .groups = 4, .goal = true},
    {ROW("adamw", ADAMW, "loo", LOO)},
    {ROW("adamw", ADAMW, "jackknife", JACKKNIFE), .noise_floor = 1.0},
    {ROW("adamw", ADAMW, "paper-cf", PAPER_CF)},
    {ROW("adamw", ADAMW, "paper-inv", PAPER_INV)},
    {ROW("adamw", ADAMW, "paper-full", PAPER_FULL)},
    {ROW("adamw", ADAMW, "paper-pre-ema", PAPER_PRE_EMA)},
    {ROW("adamw", ADAMW, "paper-loo", PAPER_LOO)},
    {ROW("adamw", ADAMW, "paper-loo-jensen", PAPER_LOO_JENSEN)},
    {ROW("adamw", ADAMW, "paper-sym", PAPER_SYM)},
    {ROW("sophia", SOPHIA, "moment", MOMENT)},
    {ROW("sophia", SOPHIA, "loo", LOO)},
    {ROW("shampoo", SHAMPOO, "wishart", WISHART), .goal = true},
    {ROW("shampoo", SHAMPOO, "second-order", SECOND_ORDER)},
    {ROW("shampoo", SHAMPOO, "jackknife", JACKKNIFE), .noise_floor = 1.0},
    {ROW("shampoo", SHAMPOO, "half-sample", HALF_SAMPLE), .noise_floor = 1.0},
    {ROW("soap", SOAP, "moment", MOMENT)},
    {ROW("muon", MUON, "second-order", SECOND_ORDER), .polar = PLUMB_POLAR_SVD},
    {ROW("muon", MUON, "jackknife", JACKKNIFE), .polar = PLUMB_POLAR_NEWTON_SCHULZ},
    {.optimizer_name = NULL},
};

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
