/*
 * Tokens in the files that llm.c's data scripts write: a header of 256 little-endian 32-bit
 * integers (magic number, version, number of tokens), then the tokens.
 *     magic 20240520, version 1: 16 bits a token (GPT-2)
 *     magic 20240801, version 7: 32 bits a token (Llama 3)
 * The files are mapped, so that a process reads what it touches and no more, however large they
 * are. Several files are one sequence of tokens, in order of their names.
 */
#ifndef WORKLOAD_TOKEN_SHARDS_H
#define WORKLOAD_TOKEN_SHARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Vocabularies have at most so many tokens. */
#define TOKEN_SHARDS_MOST_VOCABULARY ((int64_t)1 << 20)

typedef struct token_shard {
    char *path;
    unsigned char *memory; /* the whole file, mapped */
    size_t size;           /* bytes of it */
    int bytes_per_token;   /* 2 or 4 */
    int64_t first, count;  /* its tokens are [first, first + count) of all */
} token_shard;

typedef struct token_shards {
    token_shard *shards; /* [shard_count] */
    int shard_count;
    int64_t count; /* tokens of all */
} token_shards;

/* Whether `path` means shards: it ends in .bin, or is a folder, or a pattern that is no file. */
bool token_shards_named(const char *path);

/*
 * Appends the shards that `path` names to `result`, which starts as {0}: one file, all *.bin of a
 * folder, or a pattern of glob(7), in order of their names. Returns 0, or 1 with a line in
 * `message` that names the file; `result` is then still to be closed.
 */
int token_shards_open(token_shards *result, const char *path, char *message, size_t message_size);

/*
 * tokens[count] from token `start` on, all below `vocabulary`. Returns 0, or 1 with a line in
 * `message` that names file and position of the first that is not.
 */
int token_shards_read(const token_shards *subject, int64_t start, int64_t count, int64_t vocabulary,
                      int32_t *tokens, char *message, size_t message_size);

/* The largest token, of all below `vocabulary`: reads everything. Returns and refuses as
 * token_shards_read does. */
int token_shards_largest(const token_shards *subject, int64_t vocabulary, int64_t *largest,
                         char *message, size_t message_size);

/* XXH3 of the shards' sizes and of 64 pieces of each: equal data, equal hashes, read in no time. */
uint64_t token_shards_hash(const token_shards *subject);

void token_shards_close(token_shards *subject);

#endif
