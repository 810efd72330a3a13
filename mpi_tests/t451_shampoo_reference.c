/*
 * Shampoo against a plain reference in double over several steps: shapes, exponents, damping,
 * intervals, grafting, bias correction, every correction at several noise floors; blocks against
 * matrices of their own.
 * ranks: serial
 */
#include <math.h>

#include "optim/blocks.h"
#include "support/matrix_problem.h"
#include "support/reference_shampoo.h"

enum { STEPS = 6, GROUPS = 8 };

static void begin(matrix_problem *p, int rows, int cols)
{
    matrix_problem_init(p, PLUMB_OPTIMIZER_SHAMPOO, rows, cols);
    p->base.groups = GROUPS;
    p->base.options.root_interval = 1;
    p->base.options.relative_damping = 1e-3;
    p->base.options.grafting = PLUMB_GRAFTING_NONE;
}

/* Runs both; the values may differ by `tolerance` of the largest update. */
static void expect_follows(matrix_problem *p, double tolerance)
{
    static reference_shampoo r;
    memset(&r, 0, sizeof r);
    r.rows = (int)p->base.rows;
    r.cols = (int)p->base.cols;
    r.groups = p->base.groups;
    r.options = p->base.options;
    ck_assert_msg(optimizer_validate(&p->base.options, p->base.rows, p->base.cols) == PLUMB_OK,
                  "%s", error_text());
    for (int i = 0; i < (int)p->base.count; i++) {
        r.values[i] = (double)p->base.values[i];
    }
    int64_t clipped = 0;
    for (int t = 0; t < STEPS; t++) {
        double rate = 0.1 / (t + 1), error = 0.0, largest = 0.0;
        problem_groups(&p->base, 0.5f);
        reference_shampoo_step(&r, rate, p->base.group_gradients);
        matrix_problem_step(p, rate);
        for (int i = 0; i < (int)p->base.count; i++) {
            error = fmax(error, fabs((double)p->base.values[i] - r.values[i]));
            largest = fmax(largest, fabs(r.values[i]));
        }
        ck_assert_msg(error <= tolerance * largest, "step %d: off by %g of %g", t, error, largest);
        clipped += r.clipped ? p->base.count : 0;
    }
    ck_assert_int_eq(p->base.counts.clipped, clipped);
    bool corrected = p->base.options.correction != PLUMB_CORRECTION_NONE;
    ck_assert_int_eq(p->base.counts.corrected, corrected ? STEPS * p->base.count : 0);
    ck_assert_int_eq(p->base.counts.roots_failed, 0);
    matrix_problem_free(p);
}

START_TEST(shapes)
{
    static const int sides[][2] = {{6, 5}, {5, 6}, {2, 9}, {9, 2}, {16, 16}, {3, 3}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        matrix_problem p;
        begin(&p, sides[i][0], sides[i][1]);
        expect_follows(&p, 3e-6);
    }
}
END_TEST

START_TEST(exponents_and_damping)
{
    static const double damping[][2] = {{1e-6, 0.0}, {0.5, 0.0}, {0.0, 0.1}, {0.1, 0.01}};
    for (int i = 0; i < 8; i++) {
        matrix_problem p;
        begin(&p, 6, 5);
        p.base.options.exponent = i < 4 ? 0.25 : 0.5;
        p.base.options.damping = damping[i % 4][0];
        p.base.options.relative_damping = damping[i % 4][1];
        p.base.options.weight_decay = 0.02 * i;
        expect_follows(&p, 1e-5);
    }
}
END_TEST

START_TEST(averages_and_intervals)
{
    for (int i = 0; i < 12; i++) {
        matrix_problem p;
        begin(&p, 5, 7);
        p.base.options.bias_correction = i % 2;
        p.base.options.root_interval = 1 + i % 3;
        p.base.options.beta1 = i % 4 == 0 ? 0.0 : 0.8;
        p.base.options.beta2 = i % 5 == 0 ? 0.0 : 0.9;
        expect_follows(&p, 1e-5);
    }
}
END_TEST

START_TEST(grafting)
{
    for (int i = 0; i < 4; i++) {
        matrix_problem p;
        begin(&p, 6, 5);
        p.base.options.grafting = i < 2 ? PLUMB_GRAFTING_ADAMW : PLUMB_GRAFTING_SGD;
        p.base.options.bias_correction = i % 2;
        p.base.options.root_interval = 2;
        expect_follows(&p, 3e-6);
    }
}
END_TEST

static void expect_correction(plumb_correction correction, double noise_floor, int folds,
                              int variant)
{
    matrix_problem p;
    begin(&p, 6, 5);
    p.base.options.correction = correction;
    p.base.options.noise_floor = noise_floor;
    p.base.options.folds = folds;
    p.base.options.exponent = variant % 2 == 0 ? 0.25 : 0.5;
    p.base.options.bias_correction = variant / 2 % 2;
    p.base.options.root_interval = 1 + variant / 4 % 2;
    p.base.options.relative_damping = 0.05;
    p.base.options.beta2 = 0.7;
    p.base.groups = variant < 4 ? 8 : 4;
    expect_follows(&p, 1e-5);
}

START_TEST(corrections)
{
    for (int variant = 0; variant < 8; variant++) {
        static const double floors[] = {0.0, 0.25, 0.6, 1.0};
        for (int i = 0; i < 4; i++) {
            expect_correction(PLUMB_CORRECTION_WISHART, floors[i], 0, variant);
            expect_correction(PLUMB_CORRECTION_SECOND_ORDER, floors[i], 0, variant);
        }
        expect_correction(PLUMB_CORRECTION_JACKKNIFE, 1.0, 0, variant);
        expect_correction(PLUMB_CORRECTION_JACKKNIFE, 1.0, 2, variant);
        expect_correction(PLUMB_CORRECTION_JACKKNIFE, 1.0, 4, variant);
        expect_correction(PLUMB_CORRECTION_HALF_SAMPLE, 1.0, 0, variant);
        expect_correction(PLUMB_CORRECTION_PAPER_DIAGONAL, 0.0, 0, variant);
    }
}
END_TEST

/* One group that is a thousand times the others throws the jackknife off: the bound acts. */
START_TEST(bound_of_the_jackknife)
{
    matrix_problem p;
    begin(&p, 6, 5);
    p.base.options.correction = PLUMB_CORRECTION_JACKKNIFE;
    p.base.options.noise_floor = 1.0;
    for (int t = 0; t < 3; t++) {
        problem_groups(&p.base, 0.5f);
        for (int64_t i = 0; i < p.base.count; i++) {
            p.base.group_gradients[3][i] *= 1000.0f;
        }
        problem_mean(&p.base);
        matrix_problem_step(&p, 0.1);
        ck_assert_int_eq(p.base.counts.clipped, (t + 1) * p.base.count);
    }
    matrix_problem_free(&p);
}
END_TEST

START_TEST(grid_of_blocks)
{
    for (int64_t rows = 2; rows < 14; rows++) {
        block_grid grid = blocks_of(4, rows, 7);
        int64_t factors[2] = {0, 0}, elements = 0;
        for (int64_t i = 0; i < blocks_count(&grid); i++) {
            block b = blocks_at(&grid, i);
            ck_assert(b.rows >= 1 && b.rows <= 4 && b.cols >= 3 && b.cols <= 4);
            ck_assert_int_eq(b.factor[PRODUCT_LEFT], factors[0]);
            ck_assert_int_eq(b.factor[PRODUCT_RIGHT], factors[1]);
            factors[0] += b.rows * b.rows;
            factors[1] += b.cols * b.cols;
            elements += b.rows * b.cols;
        }
        ck_assert_int_eq(blocks_factors(&grid, PRODUCT_LEFT), factors[0]);
        ck_assert_int_eq(blocks_factors(&grid, PRODUCT_RIGHT), factors[1]);
        ck_assert_int_eq(elements, rows * 7);
        block last = blocks_at(&grid, blocks_count(&grid) - 1);
        ck_assert(last.first_row + last.rows == rows && last.first_col + last.cols == 7);
    }
}
END_TEST

/* A block of the large matrix's groups, as the problem of a matrix of its own. */
static void take_block(const matrix_problem *from, const block *b, matrix_problem *to)
{
    const optimizer_problem *large = &from->base;
    for (int64_t i = 0; i < b->rows; i++) {
        for (int64_t j = 0; j < b->cols; j++) {
            int64_t there = (b->first_row + i) * large->cols + b->first_col + j;
            for (int k = 0; k < large->groups; k++) {
                to->base.group_gradients[k][i * b->cols + j] = large->group_gradients[k][there];
            }
            to->base.gradient[i * b->cols + j] = large->gradient[there];
            if (to->base.updates == 0) {
                to->base.values[i * b->cols + j] = large->values[there];
            }
        }
    }
}

/* Without grafting, which joins them, blocks know nothing of each other. */
static void expect_blocks(plumb_correction correction, double noise_floor)
{
    matrix_problem p, parts[12];
    begin(&p, 11, 7);
    p.base.options.block_size = 3;
    p.base.options.correction = correction;
    p.base.options.noise_floor = noise_floor;
    p.base.options.root_interval = 2;
    block_grid grid = blocks_of(3, 11, 7);
    ck_assert_int_eq(blocks_count(&grid), 12);
    for (int i = 0; i < 12; i++) {
        block b = blocks_at(&grid, i);
        begin(&parts[i], (int)b.rows, (int)b.cols);
        parts[i].base.options = p.base.options;
    }
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&p.base, 0.5f);
        for (int i = 0; i < 12; i++) {
            block b = blocks_at(&grid, i);
            take_block(&p, &b, &parts[i]);
        }
        matrix_problem_step(&p, 0.1);
        for (int i = 0; i < 12; i++) {
            block b = blocks_at(&grid, i);
            matrix_problem_step(&parts[i], 0.1);
            for (int64_t k = 0; k < b.rows * b.cols; k++) {
                int64_t there = (b.first_row + k / b.cols) * p.base.cols + b.first_col + k % b.cols;
                ck_assert_msg(p.base.values[there] == parts[i].base.values[k],
                              "step %d block %d element %lld", t, i, (long long)k);
            }
        }
    }
    for (int i = 0; i < 12; i++) {
        matrix_problem_free(&parts[i]);
    }
    matrix_problem_free(&p);
}

START_TEST(blocks)
{
    expect_blocks(PLUMB_CORRECTION_NONE, 0.0);
    expect_blocks(PLUMB_CORRECTION_SECOND_ORDER, 0.5);
    expect_blocks(PLUMB_CORRECTION_WISHART, 0.0);
    expect_blocks(PLUMB_CORRECTION_JACKKNIFE, 1.0);
    expect_blocks(PLUMB_CORRECTION_PAPER_DIAGONAL, 0.0);
}
END_TEST

/* Parameters of one row or column are AdamW's, to the bit, whatever the correction. */
START_TEST(vectors)
{
    for (int i = 0; i < 6; i++) {
        matrix_problem p;
        optimizer_problem adamw;
        int rows = i % 3 == 0 ? 1 : i % 3 == 1 ? 9 : 1, cols = i % 3 == 0 ? 9 : 1;
        begin(&p, rows, cols);
        problem_init(&adamw, PLUMB_OPTIMIZER_ADAMW, rows, cols);
        p.base.options.correction = i < 3 ? PLUMB_CORRECTION_NONE : PLUMB_CORRECTION_SECOND_ORDER;
        p.base.options.noise_floor = i < 3 ? 0.0 : 0.5;
        for (int t = 0; t < STEPS; t++) {
            problem_groups(&p.base, 0.5f);
            memcpy(adamw.gradient, p.base.gradient, (size_t)adamw.count * sizeof(float));
            matrix_problem_step(&p, 0.1);
            problem_step(&adamw, 0.1);
            ck_assert_mem_eq(p.base.values, adamw.values, (size_t)adamw.count * sizeof(float));
        }
        ck_assert_int_eq(p.matrix_states, 0);
        ck_assert_int_eq(p.base.counts.corrected, 0);
        matrix_problem_free(&p);
        problem_free(&adamw);
    }
}
END_TEST

/* Powers of two pass through roots of fourth powers: grafted updates have the same bits. */
START_TEST(scale)
{
    for (int i = -1; i <= 1; i += 2) {
        matrix_problem p, scaled;
        begin(&p, 6, 5);
        begin(&scaled, 6, 5);
        p.base.options.damping = scaled.base.options.damping = 0.0;
        float factor = i < 0 ? 0x1p-60f : 0x1p60f;
        for (int t = 0; t < STEPS; t++) {
            problem_groups(&p.base, 0.5f);
            problem_groups(&scaled.base, 0.5f);
            for (int64_t k = 0; k < p.base.count; k++) {
                scaled.base.gradient[k] *= factor;
            }
            matrix_problem_step(&p, 0.1);
            matrix_problem_step(&scaled, 0.1);
            ck_assert_mem_eq(p.base.values, scaled.base.values,
                             (size_t)p.base.count * sizeof(float));
        }
        matrix_problem_free(&p);
        matrix_problem_free(&scaled);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shampoo against a reference");
    test_add(suite, "shapes", shapes);
    test_add(suite, "exponents and damping", exponents_and_damping);
    test_add(suite, "averages and intervals", averages_and_intervals);
    test_add(suite, "grafting", grafting);
    test_add(suite, "corrections", corrections);
    test_add(suite, "bound of the jackknife", bound_of_the_jackknife);
    test_add(suite, "grid", grid_of_blocks);
    test_add(suite, "blocks", blocks);
    test_add(suite, "vectors", vectors);
    test_add(suite, "scale", scale);
    return test_run(suite);
}
