/*
 * Zolotarev's coefficients in closed form: against a table from another program, and by what
 * defines them, which is 2 r + 2 points between lowest and 1 where the error has its largest size
 * with alternating signs.
 *
 * ranks: serial
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "linalg/partial_fractions.h"
#include "support/test.h"

static const char TABLE[] = "mpi_tests/data/zolotarev_coefficients.txt";

/* y (c + sum a_j / (y^2 + d_j)). */
static double value_at(const partial_fractions *f, double y)
{
    double sum = f->constant;
    for (int j = 0; j < f->poles; j++) {
        sum += f->weights[j] / (y * y + f->shifts[j]);
    }
    return y * sum;
}

static void compare(double found, double wanted, double tolerance)
{
    ck_assert_msg(fabs(found - wanted) <= tolerance * fabs(wanted), "%.17g, not %.17g", found,
                  wanted);
}

static void read_row(FILE *file, partial_fractions *row, double *lowest)
{
    *row = (partial_fractions){0};
    ck_assert_int_eq(
        fscanf(file, "%lf %d %lf %lf", lowest, &row->poles, &row->error, &row->constant), 4);
    for (int j = 0; j < row->poles; j++) {
        ck_assert_int_eq(fscanf(file, "%lf", &row->weights[j]), 1);
    }
    for (int j = 0; j < row->poles; j++) {
        ck_assert_int_eq(fscanf(file, "%lf", &row->shifts[j]), 1);
    }
}

/* The table's own search stopped at about 1e-11 for the smallest `lowest`. */
START_TEST(table)
{
    FILE *file = fopen(TABLE, "r");
    int rows = 0;
    int c;
    ck_assert_ptr_nonnull(file);
    while ((c = fgetc(file)) == '#') {
        ck_assert_int_ge(fscanf(file, "%*[^\n]"), 0);
        (void)fgetc(file);
    }
    for (; c != EOF; c = fgetc(file), rows++) {
        partial_fractions wanted, found;
        double lowest;
        ungetc(c, file);
        read_row(file, &wanted, &lowest);
        (void)fgetc(file);
        ck_assert_int_eq(partial_fractions_zolotarev(lowest, wanted.poles, &found), PLUMB_OK);
        compare(found.error, wanted.error, 1e-3);
        compare(found.constant, wanted.constant, 1e-10);
        for (int j = 0; j < wanted.poles; j++) {
            compare(found.weights[j], wanted.weights[j], 1e-10);
            compare(found.shifts[j], wanted.shifts[j], 1e-10);
        }
    }
    fclose(file);
    ck_assert_int_ge(rows, 11);
}
END_TEST

/* Extrema of y f(y^2) - 1 on a fine logarithmic grid with both ends: how many alternate at
 * `error`. */
static int alternations(const partial_fractions *f, double lowest, double *largest)
{
    enum { POINTS = 400000 };
    int count = 0;
    double sign = 0.0;
    *largest = 0.0;
    for (int i = 0; i <= POINTS; i++) {
        double error = value_at(f, pow(lowest, 1.0 - (double)i / POINTS)) - 1.0;
        *largest = fmax(*largest, fabs(error));
        if (fabs(error) > 0.999 * f->error && (sign == 0.0 || error * sign < 0.0)) {
            sign = error > 0.0 ? 1.0 : -1.0;
            count++;
        }
    }
    return count;
}

START_TEST(equioscillation)
{
    static const struct {
        double lowest;
        int poles;
    } cases[] = {{1e-2, 1}, {1e-2, 3}, {0.5, 2}, {3e-3, 4}, {1e-5, 6}, {1e-8, 16}, {0.9e-7, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        partial_fractions f;
        double largest;
        double lowest = cases[i].lowest;
        int poles = cases[i].poles;
        ck_assert_int_eq(partial_fractions_zolotarev(lowest, poles, &f), PLUMB_OK);
        ck_assert_int_eq(f.poles, poles);
        ck_assert_msg(alternations(&f, lowest, &largest) == 2 * poles + 2, "%g, %d poles", lowest,
                      poles);
        compare(largest, f.error, 1e-6);
        for (int j = 0; j < poles; j++) {
            ck_assert(f.weights[j] > 0.0);
            ck_assert(f.shifts[j] > (j > 0 ? f.shifts[j - 1] : 0.0));
        }
    }
}
END_TEST

START_TEST(fewest_poles)
{
    partial_fractions f, fewer;
    for (double error = 0.5; error > 1e-7; error /= 7.0) {
        ck_assert_int_eq(partial_fractions_zolotarev_within(1e-3, error, &f), PLUMB_OK);
        ck_assert(f.error <= error);
        if (f.poles > 1) {
            ck_assert_int_eq(partial_fractions_zolotarev(1e-3, f.poles - 1, &fewer), PLUMB_OK);
            ck_assert(fewer.error > error);
        }
    }
    ck_assert_int_eq(partial_fractions_zolotarev_within(1e-8, 1e-12, &f), PLUMB_OK);
    ck_assert_int_eq(f.poles, PARTIAL_FRACTIONS_MOST);
}
END_TEST

/* Newton's: as many alternations as a function of even degree can have, and the pole at 0. */
START_TEST(newton)
{
    static const double lowest[] = {1e-5, 1.7e-4, 3e-2, 0.4, 0.96};
    for (size_t i = 0; i < sizeof lowest / sizeof *lowest; i++) {
        for (int steps = 1; steps <= 2; steps++) {
            partial_fractions f;
            double largest;
            ck_assert_int_eq(partial_fractions_newton(lowest[i], steps, &f), PLUMB_OK);
            ck_assert_int_eq(f.poles, steps);
            ck_assert(f.shifts[0] == 0.0);
            ck_assert_msg(alternations(&f, lowest[i], &largest) == 2 * steps + 1, "%g, %d steps",
                          lowest[i], steps);
            compare(largest, f.error, 1e-6);
        }
    }
}
END_TEST

START_TEST(same_bits_again)
{
    partial_fractions first, again;
    memset(&first, 0, sizeof first);
    memset(&again, 0, sizeof again);
    ck_assert_int_eq(partial_fractions_zolotarev(4e-3, 5, &first), PLUMB_OK);
    ck_assert_int_eq(partial_fractions_zolotarev(4e-3, 5, &again), PLUMB_OK);
    ck_assert(memcmp(first.weights, again.weights, sizeof first.weights) == 0);
    ck_assert(memcmp(first.shifts, again.shifts, sizeof first.shifts) == 0);
    ck_assert(first.constant == again.constant && first.error == again.error);
}
END_TEST

START_TEST(wrong_arguments)
{
    partial_fractions f;
    static const double bad[] = {0.0, 0.99e-8, 1.0, -0.5, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(partial_fractions_zolotarev(bad[i], 3, &f), PLUMB_ERROR_ARGUMENT);
        ck_assert_int_eq(partial_fractions_zolotarev_within(bad[i], 0.1, &f), PLUMB_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(partial_fractions_zolotarev(0.1, 0, &f), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_zolotarev(0.1, PARTIAL_FRACTIONS_MOST + 1, &f),
                     PLUMB_ERROR_ARGUMENT);
    static const double bad_for_newton[] = {0.0, 1.0, -0.5, NAN};
    for (size_t i = 0; i < sizeof bad_for_newton / sizeof *bad_for_newton; i++) {
        ck_assert_int_eq(partial_fractions_newton(bad_for_newton[i], 1, &f), PLUMB_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(partial_fractions_newton(0.1, 0, &f), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(partial_fractions_newton(0.1, 3, &f), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Zolotarev's coefficients");
    TCase *tcase = tcase_create("coefficients");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, table);
    tcase_add_test(tcase, equioscillation);
    tcase_add_test(tcase, fewest_poles);
    tcase_add_test(tcase, newton);
    tcase_add_test(tcase, same_bits_again);
    tcase_add_test(tcase, wrong_arguments);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
