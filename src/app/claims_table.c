/*
 * Rows and verdicts; see claims_table.h. All numbers are fractions of the target; the text shows
 * them in percent.
 */
#include "app/claims_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

claims_row *claims_table_add(claims_table *table, const char *name, const char *estimator,
                             double predicted, double measured, double standard_error)
{
    int last = table->count < CLAIMS_MOST_ROWS ? table->count++ : CLAIMS_MOST_ROWS - 1;
    claims_row *row = &table->rows[last];
    *row = (claims_row){.estimator = estimator,
                        .predicted = predicted,
                        .measured = measured,
                        .standard_error = standard_error,
                        .goal = NAN,
                        .error_goal = NAN};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static bool has_goal(const claims_table *table, const claims_row *row)
{
    return table->judged && !isnan(row->goal);
}

static bool bias_met(const claims_row *row)
{
    return fabs(row->measured) <= row->goal;
}

static bool error_met(const claims_row *row)
{
    return row->standard_error <= row->error_goal;
}

int claims_table_goals(const claims_table *table)
{
    int goals = 0;
    for (int i = 0; i < table->count; i++) {
        goals += has_goal(table, &table->rows[i]);
    }
    return goals;
}

int claims_table_missed(const claims_table *table)
{
    int missed = 0;
    for (int i = 0; i < table->count; i++) {
        const claims_row *row = &table->rows[i];
        missed += has_goal(table, row) && !(bias_met(row) && error_met(row));
    }
    return missed;
}

static void print_percent(double fraction)
{
    if (isnan(fraction)) {
        printf(" %10s", "-");
    } else {
        printf(" %+10.4f", 100.0 * fraction);
    }
}

static void print_verdict(const claims_table *table, const claims_row *row)
{
    if (!has_goal(table, row)) {
        printf("reported\n");
    } else if (bias_met(row) && error_met(row)) {
        printf("met\n");
    } else if (bias_met(row)) {
        printf("MISSED: standard error %.4f, allowed %.4f\n", 100.0 * row->standard_error,
               100.0 * row->error_goal);
    } else {
        printf("MISSED: bias %.4f, allowed %.4f\n", 100.0 * fabs(row->measured), 100.0 * row->goal);
    }
}

void claims_table_print(const claims_table *table)
{
    printf("%-38s %-22s %10s %10s %9s %9s  %s\n", "case (numbers in percent)", "estimator",
           "predicted", "measured", "std.err.", "goal +-", "verdict");
    for (int i = 0; i < table->count; i++) {
        const claims_row *row = &table->rows[i];
        bool repeated = i > 0 && strcmp(row->name, table->rows[i - 1].name) == 0;
        printf("%-38s %-22s", repeated ? "" : row->name, row->estimator);
        print_percent(row->predicted);
        print_percent(row->measured);
        printf(" %9.4f", 100.0 * row->standard_error);
        if (isnan(row->goal)) {
            printf(" %9s  ", "-");
        } else {
            printf(" %9.4f  ", 100.0 * row->goal);
        }
        print_verdict(table, row);
    }
}

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static const char *verdict_of(const claims_table *table, const claims_row *row)
{
    if (!has_goal(table, row)) {
        return "reported";
    }
    return bias_met(row) && error_met(row) ? "met" : "missed";
}

json_t *claims_table_json(const claims_table *table)
{
    json_t *rows = json_array();
    for (int i = 0; i < table->count; i++) {
        const claims_row *row = &table->rows[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "case",
                                              row->name, "estimator", row->estimator, "predicted",
                                              number_or_null(row->predicted), "measured",
                                              number_or_null(row->measured), "standard_error",
                                              number_or_null(row->standard_error), "goal",
                                              number_or_null(row->goal), "standard_error_goal",
                                              number_or_null(row->error_goal), "verdict",
                                              verdict_of(table, row)));
    }
    return rows;
}
