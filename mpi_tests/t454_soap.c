/*
 * SOAP against a plain reference in double; against AdamW in a basis that does not change, with
 * every correction; and what must not depend on the basis.
 * ranks: serial
 */
#include <math.h>

#include "support/matrix_problem.h"
#include "support/reference_shampoo.h"
#include "support/symmetric.h"

enum { ROWS = 6, COLS = 5, COUNT = ROWS * COLS, STEPS = 8, GROUPS = 4 };

static void begin(matrix_problem *p, int rows, int cols, int interval)
{
    matrix_problem_init(p, PLUMB_OPTIMIZER_SOAP, rows, cols);
    p->base.options.root_interval = interval;
    p->base.groups = GROUPS;
}

/* result = left (' if transposed) matrix right (' if the other is not). */
static void turn(int rows, int cols, bool back, const double *left, const double *matrix,
                 const double *right, double *result)
{
    double half[REFERENCE_SHAMPOO_COUNT] = {0};
    for (int i = 0; i < rows * cols; i++) {
        for (int k = 0; k < rows; k++) {
            double factor = back ? left[i / cols * rows + k] : left[k * rows + i / cols];
            half[i] += factor * matrix[k * cols + i % cols];
        }
    }
    for (int i = 0; i < rows * cols; i++) {
        result[i] = 0.0;
        for (int k = 0; k < cols; k++) {
            double factor = back ? right[i % cols * cols + k] : right[k * cols + i % cols];
            result[i] += half[i / cols * cols + k] * factor;
        }
    }
}

typedef struct reference {
    int updates;
    double values[COUNT], first[COUNT], second[COUNT];
    double averages[2][ROWS * ROWS], bases[2][ROWS * ROWS];
} reference;

/* New eigenvectors in the places of the old ones that they are nearest to, the largest first. */
static void arrange(int n, const double *values, const double *vectors, double *basis)
{
    bool placed[ROWS] = {false}, taken[ROWS] = {false};
    double old[ROWS * ROWS];
    memcpy(old, basis, (size_t)(n * n) * sizeof *old);
    for (int turns = 0; turns < n; turns++) {
        int largest = -1, place = -1;
        double best = -1.0, sign = 1.0;
        for (int j = 0; j < n; j++) {
            largest = !placed[j] && (largest < 0 || values[j] > values[largest]) ? j : largest;
        }
        for (int i = 0; i < n; i++) {
            double overlap = 0.0;
            for (int k = 0; k < n; k++) {
                overlap += old[k * n + i] * vectors[k * n + largest];
            }
            if (!taken[i] && fabs(overlap) > best) {
                best = fabs(overlap);
                place = i;
                sign = overlap < 0.0 ? -1.0 : 1.0;
            }
        }
        placed[largest] = taken[place] = true;
        for (int k = 0; k < n; k++) {
            basis[k * n + place] = sign * vectors[k * n + largest];
        }
    }
}

static void refresh(reference *r)
{
    double plain[COUNT], values[ROWS], vectors[ROWS * ROWS];
    turn(ROWS, COLS, true, r->bases[0], r->first, r->bases[1], plain);
    for (int side = 0; side < 2; side++) {
        int n = side == 0 ? ROWS : COLS;
        reference_eigen(n, r->averages[side], values, vectors);
        arrange(n, values, vectors, r->bases[side]);
    }
    turn(ROWS, COLS, false, r->bases[0], plain, r->bases[1], r->first);
}

static void reference_init(reference *r, const optimizer_problem *p)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < COUNT; i++) {
        r->values[i] = (double)p->values[i];
    }
    for (int i = 0; i < ROWS; i++) {
        r->bases[0][i * ROWS + i] = 1.0;
        if (i < COLS) {
            r->bases[1][i * COLS + i] = 1.0;
        }
    }
}

static void reference_step(reference *r, const optimizer_problem *p, double rate)
{
    const plumb_parameter_options *o = &p->options;
    double gradient[COUNT], turned[COUNT], direction[COUNT], back[COUNT];
    for (int i = 0; i < COUNT; i++) {
        gradient[i] = (double)p->gradient[i];
    }
    if (r->updates > 0 && (r->updates - 1) % o->root_interval == 0) {
        refresh(r);
    }
    for (int i = 0; i < ROWS * ROWS; i++) {
        double outer = 0.0, inner = 0.0;
        for (int k = 0; k < COLS; k++) {
            outer += gradient[i / ROWS * COLS + k] * gradient[i % ROWS * COLS + k];
        }
        for (int k = 0; k < ROWS && i < COLS * COLS; k++) {
            inner += gradient[k * COLS + i / COLS] * gradient[k * COLS + i % COLS];
        }
        r->averages[0][i] = o->beta2 * r->averages[0][i] + (1.0 - o->beta2) * outer;
        r->averages[1][i] = o->beta2 * r->averages[1][i] + (1.0 - o->beta2) * inner;
    }
    r->updates++;
    turn(ROWS, COLS, false, r->bases[0], gradient, r->bases[1], turned);
    for (int i = 0; i < COUNT; i++) {
        r->first[i] = o->beta1 * r->first[i] + (1.0 - o->beta1) * turned[i];
        r->second[i] = o->beta2 * r->second[i] + (1.0 - o->beta2) * turned[i] * turned[i];
        double mean = r->first[i] / (1.0 - pow(o->beta1, r->updates));
        double square = r->second[i] / (1.0 - pow(o->beta2, r->updates));
        direction[i] = mean / (sqrt(square) + o->epsilon);
    }
    turn(ROWS, COLS, true, r->bases[0], direction, r->bases[1], back);
    for (int i = 0; i < COUNT; i++) {
        r->values[i] = (1.0 - rate * o->weight_decay) * r->values[i] - rate * back[i];
    }
}

START_TEST(against_the_reference)
{
    for (int interval = 1; interval <= 3; interval++) {
        matrix_problem p;
        reference r;
        begin(&p, ROWS, COLS, interval);
        p.base.options.beta2 = 0.8;
        p.base.options.weight_decay = 0.1 * interval;
        reference_init(&r, &p.base);
        for (int t = 0; t < STEPS; t++) {
            double rate = 0.1 / (t + 1);
            problem_groups(&p.base, 0.5f);
            reference_step(&r, &p.base, rate);
            matrix_problem_step(&p, rate);
            for (int i = 0; i < COUNT; i++) {
                double error = fabs((double)p.base.values[i] - r.values[i]);
                ck_assert_msg(error < 2e-6, "interval %d step %d element %d: %g not %g", interval,
                              t, i, (double)p.base.values[i], r.values[i]);
            }
        }
        ck_assert_int_eq(p.base.counts.corrected, 0);
        matrix_problem_free(&p);
    }
}
END_TEST

static void turn_floats(bool back, const matrix_problem *p, const float *from, float *to)
{
    double read[COUNT], turned[COUNT];
    for (int i = 0; i < COUNT; i++) {
        read[i] = (double)from[i];
    }
    turn(ROWS, COLS, back, p->states[2], read, p->states[3], turned);
    for (int i = 0; i < COUNT; i++) {
        to[i] = (float)turned[i];
    }
}

/* The values and first moments of AdamW in SOAP's basis. */
static void enter_basis(const matrix_problem *p, optimizer_problem *adamw)
{
    turn_floats(false, p, adamw->values, adamw->values);
    for (int s = 0; s < optimizer_adamw.state_count(&adamw->options, adamw->groups); s++) {
        int group;
        const char *name = optimizer_adamw.state_name(&adamw->options, adamw->groups, s, &group);
        if (strcmp(name, "first_moment") == 0) {
            turn_floats(false, p, adamw->states[s], adamw->states[s]);
        }
    }
}

static void assert_same(const matrix_problem *p, const float *expected, int t)
{
    for (int i = 0; i < COUNT; i++) {
        ck_assert_msg(fabsf(p->base.values[i] - expected[i]) < 5e-5f,
                      "correction %d step %d element %d: %g not %g",
                      (int)p->base.options.correction, t, i, (double)p->base.values[i],
                      (double)expected[i]);
    }
}

/* SOAP begins as AdamW, and goes on as AdamW in the first gradient's basis, if that is kept. */
static void expect_adamw_inside(plumb_correction correction, double noise_floor, int folds)
{
    matrix_problem p;
    optimizer_problem adamw;
    begin(&p, ROWS, COLS, 1000);
    problem_init(&adamw, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
    p.base.options.correction = correction;
    p.base.options.noise_floor = noise_floor;
    p.base.options.folds = folds;
    p.base.options.weight_decay = 0.0;
    p.base.options.epsilon = 1e-3;
    adamw.options = p.base.options;
    adamw.options.optimizer = PLUMB_OPTIMIZER_ADAMW;
    adamw.groups = correction == PLUMB_CORRECTION_NONE ? 0 : GROUPS;
    for (int t = 0; t < STEPS; t++) {
        float expected[COUNT];
        problem_groups(&p.base, 0.5f);
        matrix_problem_step(&p, 0.1);
        if (t == 1) {
            enter_basis(&p, &adamw);
        }
        turn_floats(false, &p, p.base.gradient, adamw.gradient);
        for (int k = 0; k < GROUPS; k++) {
            turn_floats(false, &p, p.base.group_gradients[k], adamw.group_gradients[k]);
        }
        problem_step(&adamw, 0.1);
        turn_floats(true, &p, adamw.values, expected);
        assert_same(&p, expected, t);
    }
    ck_assert_int_eq(p.base.counts.corrected, adamw.counts.corrected);
    matrix_problem_free(&p);
    problem_free(&adamw);
}

START_TEST(adamw_inside)
{
    unsigned known = optimizer_find(PLUMB_OPTIMIZER_SOAP)->corrections;
    expect_adamw_inside(PLUMB_CORRECTION_NONE, 0.0, 0);
    for (int c = 1; c < 32; c++) {
        if ((known >> c & 1U) != 0) {
            bool floor = c == (int)PLUMB_CORRECTION_JACKKNIFE;
            expect_adamw_inside((plumb_correction)c, floor ? 1.0 : 0.0, 0);
        }
    }
    expect_adamw_inside(PLUMB_CORRECTION_MOMENT, 1.0, 0);
    expect_adamw_inside(PLUMB_CORRECTION_LOO, 0.0, 2);
}
END_TEST

/* Gradients on the diagonal have the identity for their basis, as all of a block of 1 x 1 has. */
START_TEST(identity)
{
    for (int small = 0; small < 2; small++) {
        matrix_problem p;
        optimizer_problem adamw;
        begin(&p, ROWS, COLS, 2);
        p.base.options.block_size = small ? 1 : 1024;
        problem_init(&adamw, PLUMB_OPTIMIZER_ADAMW, ROWS, COLS);
        for (int t = 0; t < STEPS; t++) {
            problem_gradient(&p.base, 0.5f);
            for (int i = 0; i < COUNT; i++) {
                bool kept = small || i / COLS == i % COLS;
                p.base.gradient[i] = kept ? p.base.gradient[i] : 0.0f;
                adamw.gradient[i] = p.base.gradient[i];
            }
            matrix_problem_step(&p, 0.1);
            problem_step(&adamw, 0.1);
            for (int i = 0; i < COUNT; i++) {
                ck_assert_msg(fabsf(p.base.values[i] - adamw.values[i]) < 1e-6f,
                              "step %d element %d: %g not %g", t, i, (double)p.base.values[i],
                              (double)adamw.values[i]);
            }
        }
        matrix_problem_free(&p);
        problem_free(&adamw);
    }
}
END_TEST

/*
 * Gradients U g V' of values U x V' keep them so: SOAP does not see the basis, once it has one of
 * its own. The first step, which it takes as AdamW, has the rate 0 and leaves nothing in second
 * moments.
 */
START_TEST(change_of_basis)
{
    static const plumb_correction corrections[] = {PLUMB_CORRECTION_NONE, PLUMB_CORRECTION_MOMENT,
                                                   PLUMB_CORRECTION_LOO};
    for (int c = 0; c < 3; c++) {
        matrix_problem p, turned;
        double left[ROWS * ROWS], right[COLS * COLS];
        symmetric_basis(ROWS, 5, left);
        symmetric_basis(COLS, 6, right);
        begin(&p, ROWS, COLS, 2);
        begin(&turned, ROWS, COLS, 2);
        p.base.options.correction = turned.base.options.correction = corrections[c];
        p.base.options.beta2 = turned.base.options.beta2 = 0.0;
        memset(p.base.values, 0, COUNT * sizeof(float));
        memset(turned.base.values, 0, COUNT * sizeof(float));
        for (int t = 0; t < STEPS; t++) {
            double read[COUNT], result[COUNT];
            problem_groups(&p.base, 0.5f);
            for (int k = 0; k < GROUPS; k++) {
                for (int i = 0; i < COUNT; i++) {
                    read[i] = (double)p.base.group_gradients[k][i];
                }
                turn(ROWS, COLS, true, left, read, right, result);
                for (int i = 0; i < COUNT; i++) {
                    turned.base.group_gradients[k][i] = (float)result[i];
                }
            }
            problem_mean(&turned.base);
            matrix_problem_step(&p, t == 0 ? 0.0 : 0.1);
            matrix_problem_step(&turned, t == 0 ? 0.0 : 0.1);
            for (int i = 0; i < COUNT; i++) {
                read[i] = (double)p.base.values[i];
            }
            turn(ROWS, COLS, true, left, read, right, result);
            for (int i = 0; i < COUNT; i++) {
                double error = fabs((double)turned.base.values[i] - result[i]);
                ck_assert_msg(error < 1e-4, "correction %d step %d element %d: %g not %g",
                              (int)corrections[c], t, i, (double)turned.base.values[i], result[i]);
            }
        }
        matrix_problem_free(&p);
        matrix_problem_free(&turned);
    }
}
END_TEST

/* The gradients hardly turn: every vector of a basis stays in its place, with its sign. */
START_TEST(places_and_signs)
{
    matrix_problem p;
    double before[2][ROWS * ROWS];
    begin(&p, ROWS, COLS, 1);
    for (int t = 0; t < 4 * STEPS; t++) {
        problem_gradient(&p.base, 0.01f);
        for (int i = 0; i < ROWS; i++) {
            float size = (float)((i * 2 + t / 3) % 7 + 1); /* their order changes */
            for (int j = 0; j < COLS; j++) {
                p.base.gradient[i * COLS + j] += i == j ? (t % 2 == 0 ? size : -size) : 0.0f;
            }
        }
        matrix_problem_step(&p, 0.1);
        for (int side = 0; side < 2; side++) {
            int n = side == 0 ? ROWS : COLS;
            const double *now = p.states[2 + side];
            for (int i = 0; i < n && t > 0; i++) {
                double overlap = 0.0;
                for (int k = 0; k < n; k++) {
                    overlap += before[side][k * n + i] * now[k * n + i];
                }
                ck_assert_msg(overlap > 0.3, "step %d side %d vector %d: %g", t, side, i, overlap);
            }
            memcpy(before[side], now, (size_t)(n * n) * sizeof *now);
        }
    }
    matrix_problem_free(&p);
}
END_TEST

/* One row or column: AdamW to the bit, with its correction. */
START_TEST(vectors)
{
    matrix_problem p;
    optimizer_problem adamw;
    begin(&p, 1, 9, 1);
    problem_init(&adamw, PLUMB_OPTIMIZER_ADAMW, 1, 9);
    adamw.groups = GROUPS;
    adamw.options.correction = p.base.options.correction = PLUMB_CORRECTION_MOMENT;
    for (int t = 0; t < STEPS; t++) {
        problem_groups(&p.base, 0.5f);
        problem_groups(&adamw, 0.5f);
        matrix_problem_step(&p, 0.1);
        problem_step(&adamw, 0.1);
        ck_assert_mem_eq(p.base.values, adamw.values, (size_t)adamw.count * sizeof(float));
    }
    ck_assert_int_eq(p.matrix_states, 0);
    ck_assert_int_eq(p.base.counts.corrected, STEPS * 9);
    matrix_problem_free(&p);
    problem_free(&adamw);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soap");
    test_add(suite, "against the reference", against_the_reference);
    test_add(suite, "adamw inside", adamw_inside);
    test_add(suite, "identity", identity);
    test_add(suite, "change of basis", change_of_basis);
    test_add(suite, "places and signs", places_and_signs);
    test_add(suite, "vectors", vectors);
    return test_run(suite);
}
