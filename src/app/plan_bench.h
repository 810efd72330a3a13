/*
 * Constants of the cost model from what `plumb bench ... --json` wrote: longer measurements than
 * plan's own, and those of a node and of the network beside each other.
 */
#ifndef APP_PLAN_BENCH_H
#define APP_PLAN_BENCH_H

#include "app/plan.h"

/*
 * Reads every file of `list`, names with commas between, and puts what it tells in the place of
 * the constants:
 *   bench gpt       gradient_flops_per_second, product_flops_per_second
 *   bench exchange  node_* if all ranks shared one, else network_*, from its smallest and its
 *                   largest size
 *   bench polar     product_seconds, cube_seconds, from all shapes of --polar's method
 * With a list of NULL it only makes an empty *sources. *sources is an array of {file, bench,
 * constants}; the caller's to release, NULL if there is no memory. USAGE: a bench that tells
 * nothing of these options, a constant from two files, another BLAS kernel than the other files'
 * or, without --constants, than this machine's. DATA: no such file, no bench, fields missing or
 * out of range.
 */
int plan_bench_read(const plan_options *o, const char *list, plan_constants *c, json_t **sources,
                    failure *f);

#endif
