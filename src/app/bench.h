/*
 * What the benches of `plumb bench` share: options, goals with their verdicts, and how rows become
 * text and JSON. Each bench has a file of its own, named after it.
 */
#ifndef APP_BENCH_H
#define APP_BENCH_H

#include "app/command.h"
#include "app/progress.h"
#include "workload/quartiles.h"

#include <jansson.h>

/* Entries of a table whose options are a `type` with fields bool json, int progress, double
 * seconds. */
#define BENCH_JSON(type)                                                                           \
    {                                                                                              \
        .name = "json", .kind = OPTION_FLAG, .offset = offsetof(type, json),                       \
        .help = "Print JSON in place of the table."                                                \
    }
#define BENCH_PROGRESS(type)                                                                       \
    {                                                                                              \
        .name = "progress", .kind = OPTION_CHOICE, .offset = offsetof(type, progress),             \
        .initial = "auto", .choices = progress_modes,                                              \
        .help = "On standard error. auto: if rank 0's standard error is a terminal."               \
    }
#define BENCH_SECONDS(type, default_seconds, text)                                                 \
    {                                                                                              \
        .name = "seconds", .kind = OPTION_REAL, .offset = offsetof(type, seconds), .unit = "S",    \
        .initial = (default_seconds), .lowest = 0.0, .highest = 36000, .help = (text)              \
    }
#define BENCH_INTEGER(type, word, field, word_unit, default_value, least, most, text)              \
    {                                                                                              \
        .name = (word), .kind = OPTION_INTEGER, .offset = offsetof(type, field),                   \
        .unit = (word_unit), .initial = (default_value), .lowest = (least), .highest = (most),     \
        .help = (text)                                                                             \
    }
#define BENCH_DATA(type)                                                                           \
    {                                                                                              \
        .name = "data", .kind = OPTION_TEXT, .offset = offsetof(type, data), .unit = "PATH",       \
        .initial_note = "random bytes", .help = "The text, any file."                              \
    }
/* The gpt's shape, of a type with fields layers, width, heads, context, micro_batch_size. */
#define BENCH_MODEL(type, default_width, default_context)                                          \
    BENCH_INTEGER(type, "layers", layers, "N", "4", 1, 1000, "Transformer blocks."),               \
        BENCH_INTEGER(type, "width", width, "N", default_width, 1, 65536,                          \
                      "Of the residual stream."),                                                  \
        BENCH_INTEGER(type, "heads", heads, "N", "4", 1, 65536,                                    \
                      "Attention heads; must divide the width."),                                  \
        BENCH_INTEGER(type, "context", context, "TOKENS", default_context, 1, 65536,               \
                      "Length of a sequence."),                                                    \
        BENCH_INTEGER(type, "micro-batch-size", micro_batch_size, "N", "8", 1, 65536,              \
                      "Sequences of a micro-batch.")

/* A goal and what was measured for it. */
typedef struct bench_goal {
    char name[96];
    double measured, lower, upper; /* the quartiles are NaN where there are none */
    double bound;
    bool at_least; /* else at most */
} bench_goal;

enum { BENCH_MOST_GOALS = 256 };

typedef struct bench_goals {
    bench_goal goals[BENCH_MOST_GOALS];
    int count;
} bench_goals;

/* NaN is never met. */
void bench_goals_most(bench_goals *g, const char *name, quartiles measured, double bound);
void bench_goals_least(bench_goals *g, const char *name, quartiles measured, double bound);

/* A number without quartiles. */
quartiles bench_number(double value);

bool bench_goal_met(const bench_goal *goal);
void bench_goals_print(const bench_goals *g);
json_t *bench_goals_json(const bench_goals *g);

/* "N of M goals missed" with EXIT_GOAL, the same on all ranks: the goals are rank 0's. */
void bench_goals_judge(const ranks *r, const bench_goals *g, failure *f);

/* A number, or null where there is none. */
json_t *bench_number_json(double value);

/* Adds NAME, NAME_lower_quartile and NAME_upper_quartile. */
void bench_quartiles_json(json_t *object, const char *name, quartiles q);

/* Prints `object` and frees it. */
void bench_print_json(json_t *object);

/* Waits until all ranks are here without using a core: others measure meanwhile. Collective. */
void bench_wait_idle(const ranks *r);

/* `count` numbers: the largest over the ranks of each, on every rank. Collective. */
void bench_largest(const ranks *r, double *values, int64_t count);

/* True on every rank if all ranks share one node. Collective. */
bool bench_one_node(const ranks *r);

/* The benches. argv[0] is the first argument after the bench's name. */
int bench_gpt_command(int argc, char **argv, char **all_arguments);
int bench_step_command(int argc, char **argv, char **all_arguments);
int bench_scaling_command(int argc, char **argv, char **all_arguments);
int bench_exchange_command(int argc, char **argv, char **all_arguments);
int bench_polar_command(int argc, char **argv, char **all_arguments);
int bench_root_command(int argc, char **argv, char **all_arguments);
int bench_diagnostics_command(int argc, char **argv, char **all_arguments);

#endif
