/*
 * Comparing the bits of miniature runs over rank counts and owner maps.
 */
#ifndef SUPPORT_INVARIANCE_H
#define SUPPORT_INVARIANCE_H

#include "support/miniature.h"

/* The hash of the run on one rank. Collective over MPI_COMM_WORLD, as all here. */
void invariance_reference(const miniature *m, char hash[33]);

/* Fails the test unless the run on `ranks` ranks has that hash. */
void invariance_expect_same(const miniature *m, int ranks, const char *hash, const char *what);

/* 1, 2, 3, 4, 5, 6 and 8 ranks with both owner maps against one rank. */
void invariance_expect(miniature *m, const char *what);

#endif
