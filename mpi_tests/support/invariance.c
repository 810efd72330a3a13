/*
 * Runs on some of the ranks, and the comparison of their hashes (invariance.h).
 */
#include "support/invariance.h"

#include <string.h>

#include "support/test.h"

static const int rank_counts[] = {1, 2, 3, 4, 5, 6, 8};
enum { RANK_COUNTS = sizeof rank_counts / sizeof rank_counts[0] };

void invariance_expect_same(const miniature *m, int ranks, const char *hash, const char *what)
{
    miniature_result result;
    miniature_run_on(ranks, m, &result);
    bool ok = result.status == PLUMB_OK && strcmp(result.hash, hash) == 0;
    ck_assert_msg(test_agree(ok),
                  "%s on %d ranks, K=%lld G=%d owners=%d optimizer=%d pipeline=%d correction=%d: "
                  "%s %s, not %s",
                  what, ranks, (long long)m->micro_batches, m->options.groups,
                  (int)m->options.owners, (int)m->optimizer, (int)m->pipeline, (int)m->correction,
                  result.message, result.hash, hash);
}

void invariance_reference(const miniature *m, char hash[33])
{
    miniature_result result;
    miniature_run_on(1, m, &result);
    ck_assert_msg(test_agree(result.status == PLUMB_OK), "reference: %s", result.message);
    memcpy(hash, result.hash, 33);
}

/* All rank counts and both maps against one rank. */
void invariance_expect(miniature *m, const char *what)
{
    char hash[33];
    invariance_reference(m, hash);
    for (int i = 0; i < RANK_COUNTS; i++) {
        m->options.owners = i % 2 == 0 ? PLUMB_OWNERS_SHARDED : PLUMB_OWNERS_RANK0;
        invariance_expect_same(m, rank_counts[i], hash, what);
        m->options.owners = i % 2 == 0 ? PLUMB_OWNERS_RANK0 : PLUMB_OWNERS_SHARDED;
        invariance_expect_same(m, rank_counts[i], hash, what);
    }
}
