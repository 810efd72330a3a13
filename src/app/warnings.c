/*
 * Warnings over ranks; see warnings.h.
 */
#include "app/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool warnings_add(warnings *w, const char *line)
{
    char kept[WARNINGS_LENGTH];
    snprintf(kept, sizeof kept, "%s", line);
    for (int i = 0; i < w->count; i++) {
        if (strcmp(w->lines[i], kept) == 0) {
            return false;
        }
    }
    if (w->count == WARNINGS_MOST) {
        return false;
    }
    memcpy(w->lines[w->count++], kept, sizeof kept);
    return true;
}

static void say_new(warnings *mine, int rank, const warnings *theirs, warnings_say say,
                    void *context)
{
    for (int i = 0; i < theirs->count; i++) {
        if (warnings_add(mine, theirs->lines[i])) {
            char line[WARNINGS_LENGTH + 32];
            snprintf(line, sizeof line, "rank %d: %s", rank, theirs->lines[i]);
            say(context, line);
        }
    }
}

void warnings_gather(warnings *w, const ranks *r, warnings_say say, void *context)
{
    warnings *all = r->rank == 0 ? calloc((size_t)r->count, sizeof *all) : NULL;
    failure f = {0, ""};
    if (r->rank == 0 && all == NULL) {
        failure_set(&f, EXIT_LIBRARY, "no memory");
    }
    if (ranks_agree(r, &f) == EXIT_OK) {
        ranks_gather(r, w, sizeof *w, all);
        for (int i = 1; i < r->count && all != NULL; i++) {
            say_new(w, i, &all[i], say, context);
        }
    }
    free(all);
}
