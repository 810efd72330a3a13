/*
 * Rational approximations of x^(-1/r): their error on a dense grid against what they say it is,
 * against coefficients found by another method (Lawson's iteration and Gauss-Newton) and against
 * the condition that makes them best, as many extrema of one size and alternating sign as there are
 * unknowns; what they refuse.
 *
 * ranks: serial
 */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "linalg/partial_fractions.h"
#include "support/test.h"

static const char *const path = "mpi_tests/data/inverse_root_coefficients.json";

enum { GRID = 20000 };

static double error_at(const partial_fractions *f, double power, double x)
{
    double sum = f->constant;
    for (int j = 0; j < f->poles; j++) {
        sum += f->weights[j] / (x + f->shifts[j]);
    }
    return sum * pow(x, power) - 1.0;
}

static double grid_point(double lowest, int i)
{
    return i == GRID ? 1.0 : exp(log(lowest) * (1.0 - (double)i / GRID));
}

static double largest_error(const partial_fractions *f, double power, double lowest)
{
    double largest = 0.0;
    for (int i = 0; i <= GRID; i++) {
        largest = fmax(largest, fabs(error_at(f, power, grid_point(lowest, i))));
    }
    return largest;
}

/* How often the error changes sign between places where it is at least `share` of its largest. */
static int alternations(const partial_fractions *f, double power, double lowest, double share)
{
    int count = 0, sign = 0;
    for (int i = 0; i <= GRID; i++) {
        double error = error_at(f, power, grid_point(lowest, i));
        int here = error > 0.0 ? 1 : -1;
        if (fabs(error) >= share * f->error && here != sign) {
            count++;
            sign = here;
        }
    }
    return count;
}

static void check_signs(const partial_fractions *f)
{
    ck_assert_double_gt(f->constant, 0.0);
    for (int j = 0; j < f->poles; j++) {
        ck_assert_double_gt(f->weights[j], 0.0);
        ck_assert_double_gt(f->shifts[j], j == 0 ? 0.0 : f->shifts[j - 1]);
    }
}

static void find(int root, double lowest, int poles, partial_fractions *f)
{
    plumb_status status = partial_fractions_root(root, lowest, poles, f);
    ck_assert_msg(status == PLUMB_OK, "%d, %g, %d: %s", root, lowest, poles, error_text());
}

static double number(const json_t *value)
{
    ck_assert_msg(json_is_number(value), "%s: not a number", path);
    return json_number_value(value);
}

/* Those of the table, as far as they are still good, and ours are no worse. */
START_TEST(table)
{
    json_t *all = json_load_file(path, 0, NULL);
    ck_assert_msg(all != NULL, "%s", path);
    const json_t *rows = json_object_get(all, "rows");
    ck_assert_uint_ge(json_array_size(rows), 9);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        double power = -number(json_object_get(row, "power"));
        double lowest = number(json_array_get(json_object_get(row, "interval"), 0));
        double expected = number(json_object_get(row, "max_relative_error"));
        partial_fractions f, known = {.poles = (int)number(json_object_get(row, "poles"))};
        known.constant = number(json_object_get(row, "c0"));
        for (int j = 0; j < known.poles; j++) {
            known.weights[j] = number(json_array_get(json_object_get(row, "a"), (size_t)j));
            known.shifts[j] = number(json_array_get(json_object_get(row, "d"), (size_t)j));
        }
        ck_assert_double_eq_tol(largest_error(&known, power, lowest) / expected, 1.0, 1e-3);
        find((int)lround(1.0 / power), lowest, known.poles, &f);
        double largest = largest_error(&f, power, lowest);
        ck_assert_double_le(largest, 1.001 * expected);
        ck_assert_double_ge(largest, 0.7 * expected);
        ck_assert_double_eq_tol(f.constant / known.constant, 1.0, 0.05);
        check_signs(&f);
    }
    json_decref(all);
}
END_TEST

static const double ends[] = {0.9, 0.3, 1e-2, 1e-3, 1.0 / 10301.0, 1e-5, 1e-7, 1e-10};

/* Also where the error is all but rounding. */
START_TEST(equal_oscillations)
{
    double lowest = ends[_i];
    int found = 0;
    for (int root = 2; root <= 4; root += 2) {
        for (int poles = 1; poles <= PARTIAL_FRACTIONS_MOST; poles++) {
            partial_fractions f;
            plumb_status status = partial_fractions_root(root, lowest, poles, &f);
            if (status != PLUMB_OK) {
                ck_assert_int_eq(status, PLUMB_ERROR_NUMERICAL);
                ck_assert(root == 4 && strstr(error_text(), "make use of") != NULL);
                break;
            }
            if (f.error < 1e-11) {
                break;
            }
            found++;
            ck_assert_int_eq(f.poles, poles);
            check_signs(&f);
            double interval = root == 4 ? fmin(lowest, 0.5) : lowest;
            double largest = largest_error(&f, 1.0 / root, interval);
            ck_assert_double_eq_tol(largest / f.error, 1.0, 1e-3 + 1e-14 / f.error);
            ck_assert_int_eq(alternations(&f, 1.0 / root, interval, 0.98), 2 * poles + 2);
        }
    }
    ck_assert_int_ge(found, lowest > 0.5 ? 4 : 8);
}
END_TEST

START_TEST(first_root)
{
    partial_fractions f;
    find(1, 1e-4, 7, &f);
    ck_assert(f.poles == 1 && f.constant == 0.0 && f.weights[0] == 1.0 && f.shifts[0] == 0.0);
    ck_assert(f.error == 0.0);
    ck_assert_int_eq(partial_fractions_root_within(1, 1e-4, 1e-6, &f), PLUMB_OK);
    ck_assert(f.poles == 1 && f.weights[0] == 1.0);
}
END_TEST

START_TEST(second_root_is_zolotarev)
{
    partial_fractions f, zolotarev;
    find(2, 1e-6, 5, &f);
    ck_assert_int_eq(partial_fractions_zolotarev(1e-3, 5, &zolotarev), PLUMB_OK);
    ck_assert_double_eq(f.constant, zolotarev.constant);
    ck_assert_double_eq(f.shifts[4], zolotarev.shifts[4]);
}
END_TEST

/* Enough and no more. */
START_TEST(fewest_poles)
{
    static const double errors[] = {0.1, 1e-3, 6.5e-5, 5e-5, 1e-6, 1e-9};
    double lowest = ends[_i];
    for (int root = 2; root <= 4; root += 2) {
        for (int e = 0; e < 6; e++) {
            partial_fractions f, fewer;
            ck_assert_int_eq(partial_fractions_root_within(root, lowest, errors[e], &f), PLUMB_OK);
            ck_assert(f.error <= errors[e] || f.poles == PARTIAL_FRACTIONS_MOST);
            if (f.poles > 1) {
                find(root, lowest, f.poles - 1, &fewer);
                ck_assert_double_gt(fewer.error, errors[e]);
            }
        }
    }
}
END_TEST

START_TEST(same_bits)
{
    partial_fractions one, two;
    memset(&one, 0, sizeof one);
    memset(&two, 1, sizeof two);
    find(4, 1e-4, 6, &one);
    find(4, 1e-4, 6, &two);
    ck_assert_int_eq(one.poles, two.poles);
    ck_assert(one.constant == two.constant && one.error == two.error);
    ck_assert_mem_eq(one.weights, two.weights, 6 * sizeof one.weights[0]);
    ck_assert_mem_eq(one.shifts, two.shifts, 6 * sizeof one.shifts[0]);
}
END_TEST

START_TEST(refusals)
{
    static const double lowest[] = {0.0, 1e-11, 1.0, 2.0, -1.0, NAN};
    static const int roots[] = {-4, 0, 3, 5, 8};
    partial_fractions f;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(partial_fractions_root(4, lowest[i], 3, &f), PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(partial_fractions_root_within(4, lowest[i], 0.1, &f),
                         PLUMB_ERROR_ARGUMENT);
    }
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(partial_fractions_root(roots[i], 0.1, 3, &f), PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(partial_fractions_root_within(roots[i], 0.1, 0.1, &f),
                         PLUMB_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(partial_fractions_root(4, 0.1, 0, &f), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_root(4, 0.1, PARTIAL_FRACTIONS_MOST + 1, &f),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_root_within(4, 0.1, 1e-10, &f), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_root_within(4, 0.1, NAN, &f), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_root(4, 0.1, 16, &f), PLUMB_ERROR_NUMERICAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rational functions for inverse roots");
    test_add(suite, "table", table);
    test_add(suite, "first root", first_root);
    test_add(suite, "second root is Zolotarev's", second_root_is_zolotarev);
    test_add(suite, "same bits", same_bits);
    test_add(suite, "refusals", refusals);
    TCase *loops = tcase_create("intervals");
    int count = (int)(sizeof ends / sizeof ends[0]);
    tcase_add_loop_test(loops, equal_oscillations, 0, count);
    tcase_add_loop_test(loops, fewest_poles, 0, count);
    suite_add_tcase(suite, loops);
    return test_run(suite);
}
