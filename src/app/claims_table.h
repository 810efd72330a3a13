/*
 * The table that `plumb claims` prints: predicted and measured, the standard error, and for some
 * rows a goal with its verdict. As text for people, as JSON for machines.
 */
#ifndef APP_CLAIMS_TABLE_H
#define APP_CLAIMS_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct claims_row {
    char name[64];         /* of the case, such as "adamw c=1 mu=0.1" */
    const char *estimator; /* static */
    double predicted;      /* NaN: no prediction */
    double measured, standard_error;
    /* Largest magnitude of `measured` and of its standard error; NaN: no goal. */
    double goal, error_goal;
} claims_row;

enum { CLAIMS_MOST_ROWS = 256 };

typedef struct claims_table {
    claims_row rows[CLAIMS_MOST_ROWS];
    int count;
    bool judged; /* false: too few repetitions for verdicts */
} claims_table;

/* Adds a row; *row of it without a goal may then be given one. Never NULL. */
claims_row *claims_table_add(claims_table *table, const char *name, const char *estimator,
                             double predicted, double measured, double standard_error);

/* Rows with a goal, and those of them that missed it. */
int claims_table_goals(const claims_table *table);
int claims_table_missed(const claims_table *table);

void claims_table_print(const claims_table *table);
json_t *claims_table_json(const claims_table *table);

#endif
