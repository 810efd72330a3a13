/*
 * Training data as one sequence of tokens: the bytes of a text, or the tokens of shards. The first
 * nine tenths are to train on, the last tenth is held out and cut into windows; or the held-out
 * part has files of its own.
 */
#ifndef WORKLOAD_TEXT_H
#define WORKLOAD_TEXT_H

#include "workload/token_shards.h"

#include <stddef.h>
#include <stdint.h>

typedef struct text {
    unsigned char *bytes; /* [count]; NULL if the tokens are in shards */
    int64_t count;        /* tokens: a text's are its bytes */
    int64_t training;     /* tokens [0, training) are for training, the others held out */
    token_shards shards;  /* none for a text */
    int64_t vocabulary;   /* above every token that may occur; 0: TEXT_VOCABULARY */
} text;

enum { TEXT_VOCABULARY = 256 };

/* Reads a whole regular file, any bytes. Returns 0, or 1 with a line in `message` that names the
 * file. */
int text_read(const char *path, text *result, char *message, size_t message_size);

/*
 * Opens shards, if token_shards_named says that `path` means them, or else reads the text.
 * `held_out`: the same kind of data, all of it held out, and all of `path` is then for training;
 * NULL: the last tenth is. `vocabulary` 0: 256 for a text, for shards the number after the largest
 * token rounded up to a multiple of 128, for which all of them are read. Else shards are read as a
 * whole up to 128 million tokens, so that a wrong one is found now; more are looked at only where
 * they are needed. Returns 0, or 1 as above.
 */
int text_open(const char *path, const char *held_out, int64_t vocabulary, text *result,
              char *message, size_t message_size);

/* Whether the tokens are bytes of a text. */
bool text_has_bytes(const text *subject);

int64_t text_vocabulary(const text *subject);

/* Equal data, equal hashes. */
uint64_t text_hash(const text *subject);

/*
 * tokens[count] from `start` on. Returns 0, or 1 with a line in `message` that names file and
 * position of a token that the vocabulary does not have.
 */
int text_tokens(const text *subject, int64_t start, int64_t count, int32_t *tokens, char *message,
                size_t message_size);

/* 1, with a line in `message` that names the file and its sizes, unless both parts have at least
 * context + 1 tokens. */
int text_check(const text *subject, const char *path, int64_t context, char *message,
               size_t message_size);

/* Number of training sequences, one for each start: context + 1 tokens from [0, training). */
int64_t text_sequences(const text *subject, int64_t context);

/*
 * Held-out windows of context + 1 tokens, `context` apart: each predicts the `context` tokens after
 * its first, so that none is predicted twice and only the rest of a window is left over. Where the
 * window starts.
 */
int64_t text_windows(const text *subject, int64_t context);
int64_t text_window(const text *subject, int64_t context, int64_t window);

void text_free(text *subject);

#endif
