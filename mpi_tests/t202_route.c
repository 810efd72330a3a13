/*
 * Routes of all ranks of imagined machines, built one by one and held against each other: every
 * micro-batch reaches every owner exactly once, every receive has its send, and few messages.
 * ranks: serial
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/route.h"
#include "support/test.h"

enum { MOST_RANKS = 24 };

/* Ranks dealt over `nodes` hosts like cards: neighbours in line are no neighbours in rank. */
typedef struct machine {
    share_order order;
    int position_of[MOST_RANKS], rank_at[MOST_RANKS];
} machine;

static void machine_make(machine *m, int size, int nodes)
{
    int place = 0;
    for (int node = 0; node < nodes; node++) {
        for (int rank = node; rank < size; rank += nodes) {
            m->rank_at[place] = rank;
            m->position_of[rank] = place++;
        }
    }
    m->order = (share_order){size, 0, nodes, m->position_of, m->rank_at, NULL, false};
}

typedef struct routes {
    int size;
    route by_rank[MOST_RANKS];
} routes;

static void routes_make(const tree *t, machine *m, int owner, bool by_group, routes *all)
{
    all->size = m->order.size;
    for (int rank = 0; rank < all->size; rank++) {
        m->order.rank = rank;
        ck_assert_int_eq(route_build(t, &m->order, owner, by_group, &all->by_rank[rank]), PLUMB_OK);
    }
}

static void routes_free(routes *all)
{
    for (int rank = 0; rank < all->size; rank++) {
        route_free(&all->by_rank[rank]);
    }
}

/* The n-th part that `rank`'s list has from `source` to `holder`, or NULL. */
static const route_part *nth_part(const routes *all, int rank, int source, int holder, int n)
{
    const route *r = &all->by_rank[rank];
    for (int i = 0; i < r->part_count; i++) {
        if (r->parts[i].source == source && r->parts[i].holder == holder && n-- == 0) {
            return &r->parts[i];
        }
    }
    return NULL;
}

static const route_piece *nth_piece(const routes *all, int rank, int source, int n)
{
    const route *r = &all->by_rank[rank];
    for (int i = 0; i < r->piece_count; i++) {
        if (r->pieces[i].source == source && n-- == 0) {
            return &r->pieces[i];
        }
    }
    return NULL;
}

/* Messages of the same two ranks match in order: both lists must name the same sums in turn. */
static void expect_matching(const routes *all, int owner)
{
    for (int source = 0; source < all->size; source++) {
        for (int holder = 0; holder < all->size; holder++) {
            const route_part *sent;
            int n = 0;
            do {
                sent = nth_part(all, source, source, holder, n);
                const route_part *got = nth_part(all, holder, source, holder, n++);
                ck_assert((sent == NULL) == (got == NULL));
                ck_assert(sent == NULL || (sent->node == got->node && sent->group == got->group));
            } while (sent != NULL);
        }
        const route_piece *sent;
        int n = 0;
        do {
            sent = nth_piece(all, source, source, n);
            const route_piece *got = nth_piece(all, owner, source, n++);
            ck_assert((sent == NULL) == (got == NULL));
            ck_assert(sent == NULL || sent->node == got->node);
        } while (sent != NULL);
    }
}

/* What a source can form: its own micro-batches and the parts it holds for this owner. */
static void expect_formable(const tree *t, const machine *m, const routes *all,
                            const route_piece *piece)
{
    const tree_node *n = &t->nodes[piece->node];
    int size = m->order.size;
    for (int64_t k = n->first; k < n->last; k++) {
        int times = m->rank_at[share_position(t->micro_batches, size, k)] == piece->source;
        const route *r = &all->by_rank[piece->source];
        for (int i = 0; i < r->part_count; i++) {
            const tree_node *part = &t->nodes[r->parts[i].node];
            bool arrives =
                r->parts[i].holder == piece->source && r->parts[i].source != piece->source;
            times += arrives && k >= part->first && k < part->last;
        }
        ck_assert_int_eq(times, 1);
    }
}

static void expect_coverage(const tree *t, const machine *m, const routes *all, int owner,
                            bool by_group)
{
    const route *r = &all->by_rank[owner];
    int64_t next = 0;
    for (int i = 0; i < r->piece_count; i++) {
        const tree_node *n = &t->nodes[r->pieces[i].node];
        ck_assert_int_eq(n->first, next);
        next = n->last;
        expect_formable(t, m, all, &r->pieces[i]);
        ck_assert(!by_group || t->group_roots[n->group] == r->pieces[i].node);
    }
    ck_assert_int_eq(next, t->micro_batches);
    ck_assert(!by_group || r->piece_count == t->groups);
}

/* Parts come from the rank that has all of them, and only where a group lies on several ranks. */
static void expect_honest_parts(const tree *t, const machine *m, const routes *all)
{
    for (int rank = 0; rank < all->size; rank++) {
        const route *r = &all->by_rank[rank];
        for (int i = 0; i < r->part_count; i++) {
            const tree_node *n = &t->nodes[r->parts[i].node];
            for (int64_t k = n->first; k < n->last; k++) {
                int position = share_position(t->micro_batches, all->size, k);
                ck_assert_int_eq(m->rank_at[position], r->parts[i].source);
            }
            ck_assert_int_eq(n->group, r->parts[i].group);
            ck_assert_int_ne(r->parts[i].node, t->group_roots[n->group]);
        }
    }
}

static void expect_routes(int64_t micro_batches, int groups, int size, int nodes)
{
    tree t;
    machine m;
    ck_assert_int_eq(tree_build(micro_batches, groups, size, &t), PLUMB_OK);
    machine_make(&m, size, nodes);
    for (int owner = 0; owner < size; owner++) {
        for (int by_group = 0; by_group < 2; by_group++) {
            routes all;
            routes_make(&t, &m, owner, by_group, &all);
            expect_matching(&all, owner);
            expect_coverage(&t, &m, &all, owner, by_group);
            expect_honest_parts(&t, &m, &all);
            routes_free(&all);
        }
    }
    tree_free(&t);
}

START_TEST(delivered_once)
{
    static const struct {
        int64_t micro_batches;
        int groups;
    } shapes[] = {{8, 8}, {8, 2}, {8, 1}, {12, 3}, {12, 12}, {13, 1}, {21, 7}, {24, 4}, {30, 5}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int size = 1; size <= shapes[s].micro_batches && size <= 13; size++) {
            expect_routes(shapes[s].micro_batches, shapes[s].groups, size, 1);
            expect_routes(shapes[s].micro_batches, shapes[s].groups, size, size < 3 ? size : 3);
        }
    }
    expect_routes(24, 4, 24, 5);
}
END_TEST

/* Messages of hop 1 and 2 that leave `rank` for all owners together, one a distinct pair. */
static void count_partners(const tree *t, machine *m, int rank, bool by_group, int *partners,
                           int64_t *sent)
{
    bool part_to[MOST_RANKS] = {false};
    bool piece_to[MOST_RANKS] = {false};
    for (int owner = 0; owner < m->order.size; owner++) {
        route r;
        m->order.rank = rank;
        ck_assert_int_eq(route_build(t, &m->order, owner, by_group, &r), PLUMB_OK);
        for (int i = 0; i < r.part_count; i++) {
            if (r.parts[i].source == rank && r.parts[i].holder != rank) {
                part_to[r.parts[i].holder] = true;
                ++*sent;
            }
        }
        for (int i = 0; i < r.piece_count; i++) {
            if (r.pieces[i].source == rank && owner != rank) {
                piece_to[owner] = true;
                ++*sent;
            }
        }
        route_free(&r);
    }
    *partners = 0;
    for (int other = 0; other < m->order.size; other++) {
        *partners += part_to[other] + piece_to[other];
    }
}

/* P = q G ranks, one micro-batch each: q + G partners, and one slice sent to every other rank. */
START_TEST(a_grid_not_all_to_all)
{
    static const struct {
        int size, groups;
    } grids[] = {{4, 2}, {8, 2}, {8, 4}, {16, 4}, {24, 4}, {24, 6}, {12, 3}};
    for (size_t s = 0; s < sizeof grids / sizeof grids[0]; s++) {
        tree t;
        machine m;
        int size = grids[s].size;
        ck_assert_int_eq(tree_build(size, grids[s].groups, size, &t), PLUMB_OK);
        machine_make(&m, size, 2);
        for (int by_group = 0; by_group < 2; by_group++) {
            int64_t sent = 0;
            for (int rank = 0; rank < size; rank++) {
                int partners;
                count_partners(&t, &m, rank, by_group, &partners, &sent);
                ck_assert_int_le(partners, size / grids[s].groups + grids[s].groups);
            }
            ck_assert_int_eq(sent, (int64_t)size * (size - 1));
        }
        tree_free(&t);
    }
}
END_TEST

/* G > P: sums stay P - 1 pieces where shares are subtrees, streams are one a group. */
START_TEST(more_groups_than_ranks)
{
    tree t;
    machine m;
    ck_assert_int_eq(tree_build(16, 16, 4, &t), PLUMB_OK);
    machine_make(&m, 4, 1);
    m.order.rank = 2;
    route r;
    ck_assert_int_eq(route_build(&t, &m.order, 2, false, &r), PLUMB_OK);
    ck_assert_int_eq(r.piece_count, 4);
    route_free(&r);
    ck_assert_int_eq(route_build(&t, &m.order, 2, true, &r), PLUMB_OK);
    ck_assert_int_eq(r.piece_count, 16);
    ck_assert_int_eq(r.part_count, 0);
    route_free(&r);
    tree_free(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    test_add(suite, "delivered once", delivered_once);
    test_add(suite, "a grid, not all to all", a_grid_not_all_to_all);
    test_add(suite, "more groups than ranks", more_groups_than_ranks);
    return test_run(suite);
}
