/*
 * Means of integer gradients through the public interface, equal to a plain loop's to the last
 * bit: every owner map, message size, weight, shape and order; and what the report says of them.
 * ranks: 1 2 3 4 5 8
 */
#include "exchange/fault.h"
#include "support/exact_run.h"
#include "support/test.h"

static void expect_exact(const exact_run *r)
{
    test_all(exact_run_holds(MPI_COMM_WORLD, r, NULL));
}

START_TEST(owner_maps_and_groups)
{
    static const struct {
        int64_t total;
        int groups;
    } shapes[] = {{8, 0}, {8, 1}, {8, 8}, {9, 3}, {12, 4}, {13, 1}, {10, 5}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        exact_run r;
        exact_run_init(&r);
        r.steps = 2;
        r.totals[0] = r.totals[1] = shapes[i].total;
        r.options.groups = shapes[i].groups;
        r.options.owners = i % 2 == 0 ? PLUMB_OWNERS_SHARDED : PLUMB_OWNERS_RANK0;
        expect_exact(&r);
        r.options.owners = i % 2 == 0 ? PLUMB_OWNERS_RANK0 : PLUMB_OWNERS_SHARDED;
        r.unequal_samples = true;
        expect_exact(&r);
    }
}
END_TEST

START_TEST(weights)
{
    static const double nominal[] = {1.0, 4.0, 2.0, 64.0};
    for (size_t i = 0; i < sizeof nominal / sizeof nominal[0]; i++) {
        exact_run r;
        exact_run_init(&r);
        r.options.nominal_samples = nominal[i];
        expect_exact(&r);
        r.unequal_samples = true;
        r.own_memory = i % 2 == 0;
        r.descending = i % 2 == 1;
        expect_exact(&r);
    }
}
END_TEST

START_TEST(message_sizes)
{
    exact_run r;
    exact_run_init(&r);
    r.unequal_samples = true;
    r.options.bucket_elements = 4096;
    r.options.chunk_elements = 100;
    expect_exact(&r);
    r.options.chunk_elements = 4095;
    r.options.owners = PLUMB_OWNERS_RANK0;
    expect_exact(&r);
    fault.window_bytes = 1;
    r.descending = true;
    r.steps = 2;
    expect_exact(&r);
    r.options.owners = PLUMB_OWNERS_SHARDED;
    expect_exact(&r);
    fault.window_bytes = 0;
    r.options.bucket_elements = 1 << 24;
    r.options.chunk_elements = 0;
    expect_exact(&r);
}
END_TEST

START_TEST(allreduce)
{
    exact_run r;
    exact_run_init(&r);
    r.options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    r.unequal_samples = true;
    r.norms = true;
    r.steps = 3;
    r.totals[1] = 11;
    expect_exact(&r);
    r.options.chunk_elements = 1000;
    r.options.bucket_elements = 4096;
    r.options.owners = PLUMB_OWNERS_RANK0;
    r.descending = true;
    expect_exact(&r);
}
END_TEST

START_TEST(clipping)
{
    exact_run r;
    exact_run_init(&r);
    r.options.clip_norm = 1000.0;
    r.steps = 2;
    expect_exact(&r);
    r.options.clip_norm = 1e9;
    r.unequal_samples = true;
    expect_exact(&r);
    r.options.clip_norm = 0.125;
    expect_exact(&r);
}
END_TEST

START_TEST(per_sample_norms)
{
    exact_run r;
    exact_run_init(&r);
    r.norms = true;
    r.steps = EXACT_STEPS;
    r.totals[1] = 9;
    r.totals[2] = 12;
    expect_exact(&r);
    r.options.owners = PLUMB_OWNERS_RANK0;
    r.descending = true;
    expect_exact(&r);
}
END_TEST

START_TEST(changing_totals)
{
    exact_run r;
    exact_run_init(&r);
    r.steps = EXACT_STEPS;
    r.totals[0] = 8;
    r.totals[1] = 24;
    r.totals[2] = 9;
    r.totals[3] = 24;
    r.unequal_samples = true;
    expect_exact(&r);
    r.options.owners = PLUMB_OWNERS_RANK0;
    fault.window_bytes = 1;
    expect_exact(&r);
    fault.window_bytes = 0;
}
END_TEST

/* Messages arrive early and late, while lanes are free and while they are not. */
START_TEST(uneven_pace)
{
    for (int i = 0; i < 4; i++) {
        exact_run r;
        exact_run_init(&r);
        r.steps = 3;
        r.totals[1] = 13;
        r.uneven_pace = true;
        r.unequal_samples = true;
        r.descending = i % 2 == 1;
        r.options.owners = i < 2 ? PLUMB_OWNERS_SHARDED : PLUMB_OWNERS_RANK0;
        r.options.bucket_elements = 4096;
        fault.window_bytes = i % 2 == 0 ? 1 : 40000;
        expect_exact(&r);
        fault.window_bytes = 0;
    }
}
END_TEST

START_TEST(nothing_is_left)
{
    int64_t allocations = -1;
    int64_t bytes = -1;
    test_all(plumb_memory_in_use(&allocations, &bytes) == PLUMB_OK);
    test_all(allocations == 0 && bytes == 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("exact sums");
    test_add(suite, "owner maps and groups", owner_maps_and_groups);
    test_add(suite, "weights", weights);
    test_add(suite, "message sizes", message_sizes);
    test_add(suite, "allreduce", allreduce);
    test_add(suite, "clipping", clipping);
    test_add(suite, "per-sample norms", per_sample_norms);
    test_add(suite, "changing totals", changing_totals);
    test_add(suite, "uneven pace", uneven_pace);
    test_add(suite, "nothing is left", nothing_is_left);
    return test_run_mpi(suite, &argc, &argv);
}
