/*
 * The whole fast polar factor: the panels of polar_panels.h one after the other in memory that is
 * allocated once, so that a batch of matrices uses it again. A wide matrix is the transpose of a
 * tall one and has no panels.
 */
#include "linalg/polar_fast.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/polar_blocks.h"
#include "linalg/polar_methods.h"
#include "linalg/positive_inverse.h"

/* One piece of memory: where it is large, the allocator returns pieces to the system at once, and
 * every call pays for their pages again. */
typedef struct polar_fast_work {
    polar_fast fast;
    int panels;
    float *block;   /* of polar_blocks, and the whole piece */
    float *grams;   /* side x side for every depth of the tree, over all below; [0] the sum */
    float *inverse; /* side x side */
    float *factor;  /* side x side: S */
    float *scratch;
} polar_fast_work;

/* Partial sums that a binary tree over so many panels holds at once. */
static int tree_depth(int panels)
{
    int depth = 1;
    while (1 << (depth - 1) < panels) {
        depth++;
    }
    return depth;
}

void polar_fast_work_free(polar_problem *problem)
{
    if (problem->fast_work != NULL) {
        memory_free(&problem->fast_work->block);
    }
    memory_free(&problem->fast_work);
}

/* Up to a cache line. */
static int64_t aligned(int64_t floats)
{
    return (floats + 15) / 16 * 16;
}

static plumb_status allocate_parts(const polar_blocks *blocks, polar_fast_work *w)
{
    int64_t block = aligned(polar_blocks_elements(blocks));
    int64_t exact_square = (int64_t)blocks->side * blocks->side, square = aligned(exact_square);
    int64_t scratch = positive_inverse_scratch(blocks->side);
    int64_t scale_scratch = polar_fast_scale_scratch(blocks->side);
    int64_t rest = 3 * square + (scratch > scale_scratch ? scratch : scale_scratch);
    int64_t sums = exact_square * tree_depth(w->panels);
    PROPAGATE(memory_allocate(block + (rest > sums ? rest : sums), sizeof(float), &w->block));
    w->grams = w->block + block;
    w->inverse = w->grams + square;
    w->factor = w->inverse + square;
    w->scratch = w->factor + square;
    return PLUMB_OK;
}

/* A delta of 0 is the default. */
static bool needs_double(const polar_problem *problem)
{
    return problem->delta > 0.0 && problem->delta < POLAR_PANELS_LEAST_DELTA;
}

plumb_status polar_fast_work_create(polar_problem *problem)
{
    polar_blocks blocks = polar_blocks_of(problem->rows, problem->cols, 0);
    polar_fast fast;
    if (needs_double(problem)) {
        return PLUMB_OK;
    }
    PROPAGATE(polar_fast_create(blocks.side, problem->delta, problem->steps, &fast));
    PROPAGATE(memory_zeroed(1, sizeof *problem->fast_work, &problem->fast_work));
    polar_fast_work *w = problem->fast_work;
    w->fast = fast;
    w->panels = polar_panel_count(problem->rows, problem->cols, VECTOR_BLOCK);
    plumb_status status = allocate_parts(&blocks, w);
    if (status != PLUMB_OK) {
        polar_fast_work_free(problem);
    }
    return status;
}

typedef struct panels {
    int count;
    int rows, cols;
    int exponent;
    const float *matrix;
    float *block;
} panels;

static polar_blocks panel_blocks(const panels *p, int panel, int64_t *offset)
{
    int64_t first = polar_panel_first(p->rows, p->cols, VECTOR_BLOCK, panel);
    int64_t end = polar_panel_first(p->rows, p->cols, VECTOR_BLOCK, panel + 1);
    *offset = first * p->cols;
    if (p->count == 1) {
        return polar_blocks_of(p->rows, p->cols, p->exponent);
    }
    return (polar_blocks){.longer = (int)(end - first), .side = p->cols, .exponent = p->exponent};
}

/* Lower triangle of gram = the sum over panels first .. first + count - 1 in canonical order: a
 * tree of c leaves splits at the largest power of two below c. The memory behind gram holds other
 * sums. */
static void sum_grams(const panels *p, int first, int count, float *gram)
{
    if (count == 1) {
        int64_t offset;
        polar_blocks blocks = panel_blocks(p, first, &offset);
        polar_blocks_gram(&blocks, p->matrix + offset, p->block, gram);
        return;
    }
    int left = 1;
    while (2 * left < count) {
        left *= 2;
    }
    int64_t square = (int64_t)p->cols * p->cols;
    sum_grams(p, first, left, gram);
    sum_grams(p, first + left, count - left, gram + square);
    positive_add_single(p->cols, 1.0f, gram + square, gram);
}

static plumb_status form_factor(const polar_fast_work *w)
{
    const polar_fast *fast = &w->fast;
    float scale = polar_fast_scale_in(fast->side, w->grams, w->scratch);
    polar_fast_begin_factor(fast, scale, w->factor);
    for (int pole = 0; pole < fast->fractions.poles; pole++) {
        if (!polar_fast_invert(fast, w->grams, scale, pole, w->inverse, w->scratch)) {
            return polar_fast_not_positive(pole);
        }
        positive_add_single(fast->side, polar_fast_weight(fast, scale, pole), w->inverse,
                            w->factor);
    }
    polar_fast_end_factor(fast, w->factor);
    return PLUMB_OK;
}

static plumb_status compute(const polar_problem *problem, const polar_fast_work *w)
{
    panels p = {.count = w->panels,
                .rows = problem->rows,
                .cols = problem->cols,
                .exponent = problem->prescale.exponent,
                .matrix = problem->matrix,
                .block = w->block};
    sum_grams(&p, 0, p.count, w->grams);
    positive_mirror_single(w->fast.side, w->grams);
    PROPAGATE(form_factor(w));
    for (int panel = 0; panel < p.count; panel++) {
        int64_t offset;
        polar_blocks blocks = panel_blocks(&p, panel, &offset);
        polar_blocks_apply(&blocks, problem->matrix + offset, w->factor, w->block,
                           problem->polar + offset);
    }
    return PLUMB_OK;
}

plumb_status polar_by_fast(const polar_problem *problem)
{
    if (needs_double(problem)) {
        polar_fast fast;
        int side = problem->rows < problem->cols ? problem->rows : problem->cols;
        PROPAGATE(polar_fast_create(side, problem->delta, problem->steps, &fast));
        return polar_by_fast_double(problem, &fast);
    }
    if (problem->fast_work != NULL) {
        return compute(problem, problem->fast_work);
    }
    polar_problem alone = *problem;
    PROPAGATE(polar_fast_work_create(&alone));
    plumb_status status = compute(&alone, alone.fast_work);
    polar_fast_work_free(&alone);
    return status;
}
