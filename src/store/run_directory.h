/*
 * The folder of a run. It is made, never reused: what another run has written is never touched.
 * Whole files appear under their name at once or not at all (a temporary name, then rename).
 */
#ifndef STORE_RUN_DIRECTORY_H
#define STORE_RUN_DIRECTORY_H

#include <jansson.h>
#include <stddef.h>

typedef struct run_directory {
    char path[2048];
} run_directory;

/*
 * Makes the folder `requested`, which must not exist, or, if it is NULL, the first free one of
 * runs/STEM-1, runs/STEM-2, ... in the current folder. Missing parents are made.
 * 0, or 1 with a line in `message`.
 */
int run_directory_create(run_directory *directory, const char *requested, const char *stem,
                         char *message, size_t message_size);

/* path/name into `path`. 0, or 1 if it does not fit. */
int run_directory_file(const run_directory *directory, const char *name, char *path, size_t size);

/* Writes `value` as name, in one go. 0, or 1 with a line in `message`. */
int run_directory_write(const run_directory *directory, const char *name, const json_t *value,
                        char *message, size_t message_size);

#endif
