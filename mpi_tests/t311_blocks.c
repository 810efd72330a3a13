/*
 * Blocks of floats from their makers to their readers: every reader has what the source made,
 * others are left alone, for one reader and many, in one message and in pieces, several at once,
 * again and again in the same room.
 *
 * ranks: 1 2 3 5
 */
#include <string.h>

#include "base/error.h"
#include "exchange/blocks.h"
#include "exchange/fault.h"
#include "exchange/transport.h"
#include "support/test.h"

enum { COUNT = 1003, BLOCKS = 7, MOST_RANKS = 8 };

typedef struct table {
    MPI_Comm communicator;
    int rank, size;
    int readers[BLOCKS][MOST_RANKS];
    block list[BLOCKS];
    float values[BLOCKS][COUNT];
} table;

static bool reads(const block *one, int rank)
{
    for (int i = 0; i < one->reader_count; i++) {
        if (one->readers[i] == rank) {
            return true;
        }
    }
    return false;
}

/* Block i comes from rank i, in turn, for the ranks that (i + rank) odd or i = 3 let in; all get
 * block 3, and nobody block 5. */
static void table_init(table *t)
{
    memset(t, 0, sizeof *t);
    test_all(transport_duplicate(MPI_COMM_WORLD, &t->communicator) == PLUMB_OK);
    MPI_Comm_rank(t->communicator, &t->rank);
    MPI_Comm_size(t->communicator, &t->size);
    for (int i = 0; i < BLOCKS; i++) {
        block *one = &t->list[i];
        *one = (block){t->values[i], i == 4 ? 2 : COUNT, i % t->size, 0, t->readers[i]};
        for (int rank = 0; rank < t->size; rank++) {
            if (i == 3 || (i != 5 && (i + rank) % 2 == 1)) {
                t->readers[i][one->reader_count++] = rank;
            }
        }
    }
}

static float expected(int turn, int i, int64_t e)
{
    return test_value((uint64_t)turn, (uint64_t)i, (uint64_t)e);
}

static void fill(table *t, int turn)
{
    for (int i = 0; i < BLOCKS; i++) {
        for (int e = 0; e < COUNT; e++) {
            bool mine = t->list[i].source == t->rank && e < t->list[i].count;
            t->values[i][e] = mine ? expected(turn, i, e) : -7.0f;
        }
    }
}

static bool arrived(const table *t, int turn)
{
    bool right = true;
    for (int i = 0; i < BLOCKS; i++) {
        bool has = t->list[i].source == t->rank || reads(&t->list[i], t->rank);
        for (int e = 0; e < COUNT; e++) {
            float value = has && e < t->list[i].count ? expected(turn, i, e) : -7.0f;
            right = right && t->values[i][e] == value;
        }
    }
    return right;
}

static plumb_status share(blocks *b, const table *t)
{
    for (int i = 0; i < BLOCKS; i++) {
        PROPAGATE(blocks_expect(b, &t->list[i]));
    }
    for (int i = 0; i < BLOCKS; i++) {
        PROPAGATE(blocks_offer(b, &t->list[i]));
    }
    return blocks_finish(b);
}

static int64_t messages(const blocks *b, const table *t)
{
    int64_t count = 0;
    for (int i = 0; i < BLOCKS; i++) {
        count += blocks_messages(b, &t->list[i]);
    }
    return count;
}

START_TEST(all_arrive)
{
    static const int64_t chunks[] = {0, 1, 100, COUNT};
    static table t;
    blocks b;
    table_init(&t);
    blocks_init(t.communicator, t.rank, chunks[_i], &b);
    test_all(blocks_reserve(&b, messages(&b, &t)) == PLUMB_OK);
    for (int turn = 0; turn < 3; turn++) {
        fill(&t, turn);
        test_all(share(&b, &t) == PLUMB_OK);
        test_all(arrived(&t, turn));
    }
    blocks_free(&b);
    transport_release(&t.communicator);
}
END_TEST

/* As many messages as were counted, to the byte. */
START_TEST(messages_are_counted)
{
    static table t;
    blocks b;
    table_init(&t);
    blocks_init(t.communicator, t.rank, 100, &b);
    int64_t sent = 0;
    for (int i = 0; i < BLOCKS; i++) {
        const block *one = &t.list[i];
        int others = one->reader_count - (reads(one, one->source) ? 1 : 0);
        sent += one->source == t.rank ? others * one->count * (int64_t)sizeof(float) : 0;
    }
    test_all(blocks_reserve(&b, messages(&b, &t)) == PLUMB_OK);
    fill(&t, 0);
    test_all(share(&b, &t) == PLUMB_OK);
    test_all(b.mail.account.bytes == sent);
    blocks_free(&b);
    transport_release(&t.communicator);
}
END_TEST

/* Room for one message less than there is: an error, not an overrun. */
START_TEST(too_little_room)
{
    float values[10] = {0};
    static const int readers[] = {1};
    block one = {values, 10, 0, 1, readers};
    blocks b;
    blocks_init(MPI_COMM_SELF, 0, 3, &b);
    ck_assert_int_eq(blocks_messages(&b, &one), 4);
    test_all(blocks_reserve(&b, 0) == PLUMB_OK);
    test_all(blocks_offer(&b, &one) == PLUMB_ERROR_INTERNAL);
    fault.fail_message_after = 1;
    test_all(blocks_offer(&b, &one) == PLUMB_ERROR_MPI);
    blocks_free(&b);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("blocks");
    TCase *cases = tcase_create("all arrive");
    tcase_add_loop_test(cases, all_arrive, 0, 4);
    suite_add_tcase(suite, cases);
    test_add(suite, "messages are counted", messages_are_counted);
    test_add(suite, "too little room", too_little_room);
    return test_run_mpi(suite, &argc, &argv);
}
