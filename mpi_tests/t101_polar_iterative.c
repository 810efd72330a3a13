/*
 * Newton-Schulz and Polar Express against their own scalar maps: G = U S V' has to become
 * U p(S/|S|) V', by full and by half products, where p is composed in double from coefficients that
 * this file states for itself.
 *
 * ranks: serial
 */
#include <math.h>
#include <stdlib.h>

#include "plumb.h"
#include "support/reference_linalg.h"
#include "support/test.h"

static double muon_map(double x, int steps)
{
    for (int step = 0; step < steps; step++) {
        x = 3.4445 * x - 4.7750 * pow(x, 3) + 2.0315 * pow(x, 5);
    }
    return x;
}

static double express_map(double x, int steps)
{
    static const double table[7][3] = {
        {8.28721201814563, -23.595886519098837, 17.300387312530933},
        {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
        {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
        {3.3184196573706015, -2.488488024314874, 0.51004894012372},
        {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
        {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
        {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
    };
    for (int step = 0; step < steps; step++) {
        if (step < 7) {
            double y = x / 1.01;
            x = table[step][0] * y + table[step][1] * pow(y, 3) + table[step][2] * pow(y, 5);
        } else {
            x = (15.0 * x - 10.0 * pow(x, 3) + 3.0 * pow(x, 5)) / 8.0;
        }
    }
    return x;
}

/* The largest distance of plumb_polar's result from U p(S/|S|) V'; steps 0: the default. */
static double distance_from_map(plumb_polar_method method, int rows, int cols, const float *matrix,
                                int steps)
{
    bool muon = method != PLUMB_POLAR_POLAR_EXPRESS;
    int taken = steps > 0 ? steps : muon ? 5 : 6;
    plumb_polar_options options = {.size = sizeof options, .steps = steps};
    int64_t count = (int64_t)rows * cols;
    float *polar = reference_floats(count);
    double *expected = reference_doubles(count);
    reference_svd svd = reference_svd_compute(rows, cols, matrix);
    double *mapped = reference_doubles(svd.side);
    for (int i = 0; i < svd.side; i++) {
        double x = svd.values[i] / reference_svd_norm(&svd);
        mapped[i] = muon ? muon_map(x, taken) : express_map(x, taken);
    }
    reference_svd_rebuild(&svd, mapped, expected);
    plumb_status status = plumb_polar(method, rows, cols, matrix, polar, &options);
    double distance = reference_distance(count, polar, expected);
    reference_svd_free(&svd);
    free(mapped);
    free(expected);
    free(polar);
    return status == PLUMB_OK ? distance : INFINITY;
}

static const plumb_polar_method methods[] = {PLUMB_POLAR_NEWTON_SCHULZ, PLUMB_POLAR_POLAR_EXPRESS,
                                             PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC};
enum { METHODS = sizeof methods / sizeof *methods };

static const int shapes[][2] = {{1, 1},    {1, 9},   {9, 1},     {2, 2},    {8, 5},
                                {5, 8},    {32, 32}, {65, 31},   {31, 65},  {200, 60},
                                {60, 200}, {96, 96}, {150, 130}, {130, 150}};

/* Above what single-precision rounding was seen to do, the first steps' slopes included. */
static const double TOLERANCE = 2e-5;

START_TEST(every_shape)
{
    const int *shape = shapes[_i / METHODS];
    int64_t count = (int64_t)shape[0] * shape[1];
    float *matrix = reference_floats(count);
    for (int64_t k = 0; k < count; k++) {
        matrix[k] = test_value(23, (uint64_t)k, (uint64_t)_i);
    }
    double distance = distance_from_map(methods[_i % METHODS], shape[0], shape[1], matrix, 0);
    ck_assert_msg(distance < TOLERANCE, "method %d, %d x %d: %g", (int)methods[_i % METHODS],
                  shape[0], shape[1], distance);
    free(matrix);
}
END_TEST

/* One step alone, the default, and beyond the end of the coefficients' table. */
START_TEST(every_step_count)
{
    enum { ROWS = 40, COLS = 24 };
    float matrix[ROWS * COLS];
    for (int i = 0; i < ROWS * COLS; i++) {
        matrix[i] = test_value(29, (uint64_t)i, 0);
    }
    for (int steps = 1; steps <= 12; steps++) {
        double distance = distance_from_map(methods[_i], ROWS, COLS, matrix, steps);
        ck_assert_msg(distance < TOLERANCE, "%d steps: %g", steps, distance);
    }
}
END_TEST

/* The table's last entry and its limit, which begins one step later, differ by 3e-6 at 1. */
START_TEST(end_of_the_table)
{
    static const float matrix[1] = {-5.0f};
    for (int steps = 7; steps <= 8; steps++) {
        double distance = distance_from_map(PLUMB_POLAR_POLAR_EXPRESS, 1, 1, matrix, steps);
        ck_assert_msg(distance < 1e-6, "%d steps: %g", steps, distance);
    }
}
END_TEST

/* Singular values over five decades, the smallest far below what the iterations can lift. */
START_TEST(wide_spectrum)
{
    enum { ROWS = 48, COLS = 64 };
    static float matrix[ROWS * COLS];
    double values[ROWS];
    for (int i = 0; i < ROWS; i++) {
        values[i] = pow(10.0, -5.0 * i / (ROWS - 1));
    }
    reference_matrix(ROWS, COLS, values, 31, matrix);
    double distance = distance_from_map(methods[_i], ROWS, COLS, matrix, 0);
    ck_assert_msg(distance < TOLERANCE, "%g", distance);
}
END_TEST

/*
 * Rank 3 of 20: null singular values stay small, as the interface says; rounding of 6e-8 grows by
 * the slope at zero, about 480 for Newton-Schulz and 1,800 for Polar Express.
 */
START_TEST(rank_deficient)
{
    enum { ROWS = 30, COLS = 20 };
    float matrix[ROWS * COLS];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            matrix[i * COLS + j] = 0.0f;
            for (int k = 0; k < 3; k++) {
                matrix[i * COLS + j] += test_integer(1, (uint64_t)i, (uint64_t)k, 9) *
                                        test_integer(2, (uint64_t)j, (uint64_t)k, 9);
            }
        }
    }
    double distance = distance_from_map(methods[_i], ROWS, COLS, matrix, 0);
    ck_assert_msg(distance < 1e-4, "%g", distance);
}
END_TEST

/*
 * The bands that the header and the sources promise, seen in the singular values of the result for
 * inputs with sigma/|G|_F from `lowest` upwards.
 */
static void check_band(plumb_polar_method method, int steps, double lowest, double low, double high)
{
    enum { SIDE = 30 };
    static float matrix[SIDE * SIDE];
    static float polar[SIDE * SIDE];
    double values[SIDE];
    for (int i = 0; i < SIDE; i++) {
        values[i] = 0.9 * pow(lowest / 0.9 * 1.1, (double)i / (SIDE - 1));
    }
    reference_matrix(SIDE, SIDE, values, 37, matrix);
    plumb_polar_options options = {.size = sizeof options, .steps = steps};
    ck_assert(plumb_polar(method, SIDE, SIDE, matrix, polar, &options) == PLUMB_OK);
    reference_svd svd = reference_svd_compute(SIDE, SIDE, polar);
    for (int i = 0; i < SIDE; i++) {
        ck_assert_msg(svd.values[i] >= low && svd.values[i] <= high, "method %d, %d steps: %g",
                      (int)method, steps, svd.values[i]);
    }
    reference_svd_free(&svd);
}

START_TEST(bands)
{
    check_band(PLUMB_POLAR_NEWTON_SCHULZ, 0, 2e-2, 0.68, 1.14);
    check_band(PLUMB_POLAR_POLAR_EXPRESS, 5, 2e-3, 0.845, 1.125);
    check_band(PLUMB_POLAR_POLAR_EXPRESS, 0, 2e-3, 0.994, 1.002);
    check_band(PLUMB_POLAR_POLAR_EXPRESS, 8, 2e-3, 1.0 - 1e-5, 1.0 + 1e-5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iterative polar factors");
    TCase *tcase = tcase_create("scalar maps");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, every_shape, 0, METHODS * (int)(sizeof shapes / sizeof *shapes));
    tcase_add_loop_test(tcase, every_step_count, 0, METHODS);
    tcase_add_test(tcase, end_of_the_table);
    tcase_add_loop_test(tcase, wide_spectrum, 0, METHODS);
    tcase_add_loop_test(tcase, rank_deficient, 0, METHODS);
    tcase_add_test(tcase, bands);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
