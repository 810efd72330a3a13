/*
 * The model itself: seconds by phase for a number of ranks; see docs/how-to/plan-a-run.md.
 */
#include "app/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* As the library cuts: src/linalg/polar_panels.c and src/step/plan.c. */
enum {
    MOST_PANELS = 8,
    PANEL_ELEMENTS = 1 << 19,
    SMALLEST_SLICE = 16 << 10,
    LARGEST_SLICE = 1 << 20,
    SLICES_PER_OWNER = 4,
    MOST_SLICES = 8192,
    FLOAT_BYTES = 4
};

typedef struct jobs {
    double *seconds; /* of a job */
    int64_t count, capacity;
    int64_t messages; /* a rank's in one leg, at most */
} jobs;

static int add_jobs(jobs *list, int64_t count, double seconds, failure *f)
{
    if (list->count + count > list->capacity) {
        int64_t capacity = 2 * list->capacity + count + 64;
        double *larger = realloc(list->seconds, (size_t)capacity * sizeof *larger);
        if (larger == NULL) {
            return failure_set(f, EXIT_LIBRARY, "no memory");
        }
        list->seconds = larger;
        list->capacity = capacity;
    }
    for (int64_t i = 0; i < count; i++) {
        list->seconds[list->count++] = seconds;
    }
    return f->code;
}

static double cost(plan_cost c, bool by_groups, int groups)
{
    return by_groups ? c.constant + groups * c.by_group : c.constant;
}

void plan_features(const plan_options *o, int64_t rows, int64_t cols, double *product, double *cube)
{
    double m = (double)rows;
    double n = (double)cols;
    double side = fmin(m, n);
    bool both_sides = o->update.optimizer != PLUMB_OPTIMIZER_MUON;
    *product = both_sides ? m * n * (m + n) : m * n * side;
    *cube = both_sides ? m * m * m + n * n * n : side * side * side;
}

static double shape_seconds(const plan_options *o, const plan_constants *c, const plan_shape *s,
                            int groups)
{
    if (!s->roots) {
        return cost(c->element, s->by_groups, groups) * (double)(s->rows * s->cols);
    }
    double product, cube;
    plan_features(o, s->rows, s->cols, &product, &cube);
    return cost(c->product, s->by_groups, groups) * product +
           cost(c->cube, s->by_groups, groups) * cube;
}

static int64_t panels_of(const plan_shape *s)
{
    if (!s->spread || !s->roots || s->rows < s->cols) {
        return 1;
    }
    int64_t by_elements = s->rows * s->cols / PANEL_ELEMENTS;
    int64_t by_rows = 2 * s->rows / s->cols;
    int64_t count = by_elements < by_rows ? by_elements : by_rows;
    count = count > MOST_PANELS ? MOST_PANELS : count;
    return count < 1 ? 1 : count;
}

static int64_t slice_elements(const plan_model *m, int64_t rank_count)
{
    int64_t slice = m->elements / (rank_count * SLICES_PER_OWNER);
    slice = slice < SMALLEST_SLICE ? SMALLEST_SLICE : slice;
    slice = slice > LARGEST_SLICE ? LARGEST_SLICE : slice;
    return slice < m->elements / MOST_SLICES ? m->elements / MOST_SLICES : slice;
}

static int list_jobs(const plan_options *o, const plan_model *m, const plan_constants *c,
                     int64_t rank_count, int groups, jobs *list, failure *f)
{
    int64_t slice = slice_elements(m, rank_count);
    for (int64_t i = 0; i < m->count && f->code == EXIT_OK; i++) {
        const plan_shape *s = &m->shapes[i];
        int64_t elements = s->rows * s->cols;
        int64_t pieces = s->roots ? panels_of(s) : (elements + slice - 1) / slice;
        double seconds = shape_seconds(o, c, s, groups);
        /* A panel repeats nothing but what all of them wait for: the poles, at most one each. */
        add_jobs(list, pieces, seconds / (double)pieces, f);
        list->messages += 1 + elements / slice;
    }
    return f->code;
}

static int longest_first(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Adds to the least load of a heap whose root it is, and restores the heap. */
static void load_least(double *heap, int64_t count, double seconds)
{
    double load = heap[0] + seconds;
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        child += child + 1 < count && heap[child + 1] < heap[child];
        if (heap[child] >= load) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = load;
}

/* Longest processing time first (Graham 1969): the largest load. */
static double makespan(jobs *list, int64_t rank_count, failure *f)
{
    int64_t used = rank_count < list->count ? rank_count : list->count;
    if (list->count == 0) {
        return 0.0;
    }
    double *heap = calloc((size_t)used, sizeof *heap);
    double largest = 0.0;
    if (heap == NULL) {
        failure_set(f, EXIT_LIBRARY, "no memory");
        return 0.0;
    }
    qsort(list->seconds, (size_t)list->count, sizeof *list->seconds, longest_first);
    for (int64_t i = 0; i < list->count; i++) {
        load_least(heap, used, list->seconds[i]);
    }
    for (int64_t i = 0; i < used; i++) {
        largest = fmax(largest, heap[i]);
    }
    free(heap);
    return largest;
}

int64_t plan_micro_batches(const plan_options *o, int64_t rank_count)
{
    if (o->micro_batches_per_rank > 0) {
        return o->micro_batches_per_rank * rank_count;
    }
    int64_t unit = o->update.groups > 0 ? o->update.groups : 1;
    int64_t least = (rank_count + unit - 1) / unit * unit;
    return o->micro_batches > least ? o->micro_batches : least;
}

int64_t plan_cores(const plan_options *o, const plan_constants *c)
{
    return o->cores_per_node > 0 ? o->cores_per_node : c->cores;
}

int64_t plan_ranks_per_node(const plan_options *o, const plan_constants *c)
{
    return o->ranks_per_node > 0 ? o->ranks_per_node : plan_cores(o, c);
}

/* What the two legs and the agreement are computed from. */
typedef struct links {
    double bytes;  /* of the values */
    double first;  /* the same times what the first leg carries per rank, over plain sums */
    double levels; /* of a binary tree over the nodes */
    double rounds; /* the same over a node's ranks */
    double nodes, local;
    double network_bandwidth, network_latency;
} links;

static void set_first_leg(const plan_options *o, const plan_constants *c, const links *k,
                          plumb_owners owners, double messages, plan_step *s)
{
    double others = k->nodes - 1.0;
    double in_node = k->local > 1.0 ? k->first * (k->local - 1.0) : 0.0;
    double rate = owners == PLUMB_OWNERS_RANK0 ? c->memory_bandwidth : c->node_bandwidth;
    rate = fmin(rate, c->node_bandwidth);
    double crossing =
        owners == PLUMB_OWNERS_RANK0 ? k->first * others : k->first * others / k->nodes;
    s->first_leg = in_node / rate + crossing / k->network_bandwidth;
    if (s->ranks > 1) {
        s->first_leg += c->node_latency;
    }
    if (k->nodes > 1.0) {
        double sent = messages * fmin(others, 1.0) / k->local;
        s->first_leg += k->network_latency + sent * c->node_latency;
    }
    s->first_leg *= 1.0 - o->overlap;
}

static void set_second_leg(const plan_constants *c, const links *k, plumb_owners owners,
                           double messages, plan_step *s)
{
    double in_node = k->local > 1.0 ? k->bytes * (k->local - 1.0) : 0.0;
    double crossing = owners == PLUMB_OWNERS_RANK0 ? k->bytes * k->levels
                                                   : k->bytes * (k->nodes - 1.0) / k->nodes;
    s->second_leg = in_node / c->node_bandwidth + crossing / k->network_bandwidth +
                    k->levels * k->network_latency + k->rounds * c->node_latency;
    if (k->nodes > 1.0) {
        s->second_leg += messages / k->local * c->node_latency;
    }
}

/* Three small collectives: checks, the gathered norms, failures. */
static void set_agreement(const plan_model *m, const plan_constants *c, const links *k,
                          plan_step *s)
{
    double bytes = 8.0 * (double)m->blocks;
    s->agreement = 3.0 * (k->levels * k->network_latency + k->rounds * c->node_latency) +
                   bytes * (k->nodes - 1.0) / k->nodes / k->network_bandwidth;
    if (k->local > 1.0) {
        s->agreement += bytes * (k->local - 1.0) / c->node_bandwidth;
    }
}

/* Groups that a rank holds a part of, over one: what by-group streams cost more. */
static double stream_ratio(int groups, int64_t rank_count)
{
    double ratio = (double)groups / (double)rank_count;
    return ratio < 1.0 ? 1.0 : ratio;
}

static links make_links(const plan_options *o, const plan_model *m, const plan_constants *c,
                        const plan_step *s, int64_t per_node)
{
    links k = {.bytes = FLOAT_BYTES * (double)m->elements};
    double by_group = (double)m->by_groups_elements / (double)m->elements;
    double ratio = stream_ratio(s->groups, s->ranks);
    k.first = k.bytes * (1.0 + by_group * (ratio - 1.0));
    k.nodes = (double)s->nodes;
    k.local = (double)(s->ranks < per_node ? s->ranks : per_node);
    k.levels = s->nodes > 1 ? ceil(log2(k.nodes)) : 0.0;
    k.rounds = k.local > 1.0 ? ceil(log2(k.local)) : 0.0;
    k.network_bandwidth =
        o->network_bandwidth > 0.0 ? o->network_bandwidth * 1e9 / 8.0 : c->network_bandwidth;
    k.network_latency = o->network_latency > 0.0 ? o->network_latency * 1e-6 : c->network_latency;
    return k;
}

static void set_gradient(const plan_options *o, const plan_model *m, const plan_constants *c,
                         double slowdown, plan_step *s)
{
    double one = o->gradient_seconds > 0.0 ? o->gradient_seconds : m->flops / c->gradient_rate;
    int64_t most = (s->micro_batches + s->ranks - 1) / s->ranks;
    s->gradient = (double)most * one * slowdown;
    s->imbalance = (double)most * (double)s->ranks / (double)s->micro_batches;
}

int plan_predict(const plan_options *o, const plan_model *m, const plan_constants *c,
                 plumb_owners owners, int64_t rank_count, int groups, plan_step *step, failure *f)
{
    if (rank_count < 1) {
        return failure_set(f, EXIT_USAGE, "a step needs a rank");
    }
    int64_t cores = plan_cores(o, c), per_node = plan_ranks_per_node(o, c);
    *step = (plan_step){.ranks = rank_count,
                        .nodes = (rank_count + per_node - 1) / per_node,
                        .micro_batches = plan_micro_batches(o, rank_count),
                        .groups = groups};
    jobs list = {.count = 0};
    links k = make_links(o, m, c, step, per_node);
    double busy = fmax(1.0, k.local / (double)cores);
    set_gradient(o, m, c, busy, step);
    if (list_jobs(o, m, c, rank_count, groups, &list, f) == EXIT_OK) {
        int64_t owner_count = owners == PLUMB_OWNERS_RANK0 ? 1 : rank_count;
        double working = fmin(k.local, (double)owner_count) / (double)cores;
        step->update = makespan(&list, owner_count, f) * fmax(1.0, working);
        set_agreement(m, c, &k, step);
        if (rank_count > 1) {
            double messages = (double)list.messages;
            set_first_leg(o, c, &k, owners, messages, step);
            set_second_leg(c, &k, owners, messages, step);
        }
    }
    free(list.seconds);
    step->first_leg_ratio = k.first / k.bytes;
    step->exchange_bytes = (double)(rank_count - 1) * (k.first + k.bytes);
    step->seconds =
        step->gradient + step->first_leg + step->update + step->second_leg + step->agreement;
    return f->code;
}

/* Groups cost nothing where owners need sums alone: the library's default then. */
static int default_groups(int64_t total)
{
    int groups = 1;
    for (int g = 2; g <= 8; g++) {
        groups = total % g == 0 ? g : groups;
    }
    return groups;
}

/* What the library takes: leave-one-out leaves two at least, halves are of equal size. */
static bool can_correct(int correction, int groups)
{
    bool halves =
        correction == PLUMB_CORRECTION_HALF_SAMPLE ||
        (correction >= PLUMB_CORRECTION_PAPER_CF && correction <= PLUMB_CORRECTION_PAPER_SYM);
    bool enough = groups >= 3 || correction != PLUMB_CORRECTION_LOO;
    return enough && (!halves || groups % 2 == 0);
}

/* The most groups (the best statistics) that cost at most one per cent more than the fastest. */
static int choose_groups(const plan_options *o, const plan_model *m, const plan_constants *c,
                         plumb_owners owners, int64_t rank_count, plan_step *step, failure *f)
{
    int64_t total = plan_micro_batches(o, rank_count);
    int64_t most = total < 64 ? total : 64;
    double fastest = INFINITY;
    for (int pass = 0; pass < 2; pass++) {
        for (int g = 2; g <= most && f->code == EXIT_OK; g++) {
            plan_step one = {0};
            if (total % g != 0 || !can_correct(o->update.correction, g) ||
                plan_predict(o, m, c, owners, rank_count, g, &one, f) != EXIT_OK) {
                continue;
            }
            fastest = fmin(fastest, one.seconds);
            if (pass == 1 && one.seconds <= 1.01 * fastest) {
                *step = one;
            }
        }
    }
    if (f->code == EXIT_OK && isinf(fastest)) {
        failure_set(f, EXIT_USAGE,
                    "the correction or the echo weights need more groups than %" PRId64
                    " micro-batches have",
                    total);
    }
    return f->code;
}

int plan_choose(const plan_options *o, const plan_model *m, const plan_constants *c,
                plumb_owners owners, int64_t rank_count, plan_step *step, failure *f)
{
    int64_t total = plan_micro_batches(o, rank_count);
    if (o->update.groups > 0) {
        if (total % o->update.groups != 0) {
            return failure_set(f, EXIT_USAGE,
                               "--groups %" PRId64 " does not divide the %" PRId64
                               " micro-batches of %" PRId64 " ranks",
                               o->update.groups, total, rank_count);
        }
        return plan_predict(o, m, c, owners, rank_count, (int)o->update.groups, step, f);
    }
    if (m->by_groups_elements > 0) {
        return choose_groups(o, m, c, owners, rank_count, step, f);
    }
    return plan_predict(o, m, c, owners, rank_count, default_groups(total), step, f);
}
