/*
 * Mapped files of tokens (see token_shards.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/token_shards.h"
#include "workload/data_file.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { HEADER_BYTES = 256 * 4, BLOCK = 4096, HASHED_PIECES = 64, HASHED_PIECE = 4096 };

static const struct {
    uint32_t magic, version;
    int bytes_per_token;
} formats[] = {{20240520, 1, 2}, {20240801, 7, 4}};

static uint32_t little_endian(const unsigned char *bytes, int count)
{
    uint32_t value = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    return count == 2 ? value : value | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

bool token_shards_named(const char *path)
{
    size_t length = strlen(path);
    if (length >= 4 && strcmp(path + length - 4, ".bin") == 0) {
        return true;
    }
    return is_folder(path) || (strpbrk(path, "*?[") != NULL && access(path, F_OK) != 0);
}

/* Bytes per token of the format that the header names, or 0. */
static int examine_format(const token_shard *shard, char *message, size_t message_size)
{
    uint32_t magic = little_endian(shard->memory, 4);
    uint32_t version = little_endian(shard->memory + 4, 4);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (magic == formats[i].magic && version == formats[i].version) {
            return formats[i].bytes_per_token;
        }
    }
    snprintf(message, message_size,
             "%s is no token shard: at byte 0 it has magic number %lu and version %lu, not %lu and "
             "%lu (GPT-2) or %lu and %lu (Llama 3)",
             shard->path, (unsigned long)magic, (unsigned long)version,
             (unsigned long)formats[0].magic, (unsigned long)formats[0].version,
             (unsigned long)formats[1].magic, (unsigned long)formats[1].version);
    return 0;
}

static int examine(token_shard *shard, char *message, size_t message_size)
{
    shard->bytes_per_token = examine_format(shard, message, message_size);
    if (shard->bytes_per_token == 0) {
        return 1;
    }
    shard->count = (int64_t)little_endian(shard->memory + 8, 4);
    int64_t expected = HEADER_BYTES + shard->count * shard->bytes_per_token;
    if (shard->count < 1 || shard->count > INT32_MAX) {
        snprintf(message, message_size, "the token shard %s has %lld tokens, says its header",
                 shard->path, (long long)shard->count);
        return 1;
    }
    if ((int64_t)shard->size != expected) {
        snprintf(message, message_size,
                 "the token shard %s %s: it has %zu bytes, and the %lld tokens of its header make "
                 "%lld",
                 shard->path, (int64_t)shard->size < expected ? "is truncated" : "is too long",
                 shard->size, (long long)shard->count, (long long)expected);
        return 1;
    }
    return 0;
}

/* Maps the file shard->path. Returns 0 or an errno. */
static int map(token_shard *shard)
{
    int64_t size = 0;
    int descriptor = data_file_open(shard->path, &size);
    if (descriptor < 0) {
        return errno;
    }
    int error = 0;
    shard->size = (size_t)size;
    if (size >= HEADER_BYTES) {
        void *memory = mmap(NULL, shard->size, PROT_READ, MAP_SHARED, descriptor, 0);
        error = memory == MAP_FAILED ? errno : 0;
        shard->memory = memory == MAP_FAILED ? NULL : memory;
    }
    close(descriptor);
    return error;
}

static int open_shard(token_shard *shard, char *message, size_t message_size)
{
    int error = map(shard);
    if (error != 0) {
        snprintf(message, message_size, "cannot read the token shard %s: %s", shard->path,
                 data_file_reason(error));
        return 1;
    }
    if (shard->memory == NULL) {
        snprintf(message, message_size,
                 "the token shard %s is truncated: it has %zu bytes, its header alone has %d",
                 shard->path, shard->size, HEADER_BYTES);
        return 1;
    }
    return examine(shard, message, message_size);
}

static int append(token_shards *to, const char *path, char *message, size_t message_size)
{
    size_t count = (size_t)to->shard_count + 1;
    token_shard *shards = realloc(to->shards, count * sizeof *shards);
    char *own_path = strdup(path);
    if (shards != NULL) {
        to->shards = shards;
    }
    if (shards == NULL || own_path == NULL) {
        free(own_path);
        snprintf(message, message_size, "not enough memory for the token shard %s", path);
        return 1;
    }
    token_shard *shard = &to->shards[to->shard_count++];
    *shard = (token_shard){.path = own_path, .first = to->count};
    if (open_shard(shard, message, message_size) != 0) {
        return 1;
    }
    to->count += shard->count;
    return 0;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The files of a pattern, in an order that no locale changes. */
static int append_pattern(token_shards *to, const char *pattern, const char *path, char *message,
                          size_t message_size)
{
    glob_t found;
    int result = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (result != 0) {
        snprintf(message, message_size, "%s %s: %s", is_folder(path) ? "the directory" : "the data",
                 path,
                 result == GLOB_NOMATCH ? "no token shard (*.bin) is there" : "cannot be searched");
        return 1;
    }
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
    int failed = 0;
    for (size_t i = 0; i < found.gl_pathc && !failed; i++) {
        failed = append(to, found.gl_pathv[i], message, message_size);
    }
    globfree(&found);
    return failed;
}

/* All *.bin of a folder; what its name has of glob's signs stands for itself. */
static int append_folder(token_shards *to, const char *path, char *message, size_t message_size)
{
    static const char every[] = "/*.bin";
    char *pattern = malloc(2 * strlen(path) + sizeof every);
    if (pattern == NULL) {
        snprintf(message, message_size, "not enough memory for the token shards of %s", path);
        return 1;
    }
    size_t length = 0;
    for (const char *c = path; *c != '\0'; c++) {
        if (strchr("*?[]\\", *c) != NULL) {
            pattern[length++] = '\\';
        }
        pattern[length++] = *c;
    }
    memcpy(pattern + length, every, sizeof every);
    int failed = append_pattern(to, pattern, path, message, message_size);
    free(pattern);
    return failed;
}

int token_shards_open(token_shards *result, const char *path, char *message, size_t message_size)
{
    if (is_folder(path)) {
        return append_folder(result, path, message, message_size);
    }
    if (strpbrk(path, "*?[") != NULL && access(path, F_OK) != 0) {
        return append_pattern(result, path, path, message, message_size);
    }
    return append(result, path, message, message_size);
}

/* tokens[count] of one shard from its token `at` on; the first not below `vocabulary`, or -1. */
static int64_t read_shard(const token_shard *shard, int64_t at, int64_t count, int64_t vocabulary,
                          int32_t *tokens)
{
    const unsigned char *bytes = shard->memory + HEADER_BYTES + at * shard->bytes_per_token;
    int width = shard->bytes_per_token;
    for (int64_t i = 0; i < count; i++) {
        uint32_t token = little_endian(bytes + i * width, width);
        if ((int64_t)token >= vocabulary) {
            return at + i;
        }
        tokens[i] = (int32_t)token;
    }
    return -1;
}

static int refuse_token(const token_shard *shard, int64_t at, int64_t vocabulary, char *message,
                        size_t message_size)
{
    int64_t byte = HEADER_BYTES + at * shard->bytes_per_token;
    uint32_t token = little_endian(shard->memory + byte, shard->bytes_per_token);
    snprintf(message, message_size,
             "the token shard %s: token number %lld, at byte %lld, is %lu, which a vocabulary of "
             "%lld does not have",
             shard->path, (long long)at, (long long)byte, (unsigned long)token,
             (long long)vocabulary);
    return 1;
}

/* The last shard that starts at `position` or before. */
static const token_shard *find_shard(const token_shards *subject, int64_t position)
{
    int low = 0;
    int high = subject->shard_count - 1;
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        if (subject->shards[middle].first <= position) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return &subject->shards[low];
}

int token_shards_read(const token_shards *subject, int64_t start, int64_t count, int64_t vocabulary,
                      int32_t *tokens, char *message, size_t message_size)
{
    const token_shard *shard = find_shard(subject, start);
    while (count > 0) {
        int64_t at = start - shard->first;
        int64_t here = shard->count - at < count ? shard->count - at : count;
        int64_t wrong = read_shard(shard, at, here, vocabulary, tokens);
        if (wrong >= 0) {
            return refuse_token(shard, wrong, vocabulary, message, message_size);
        }
        start += here;
        count -= here;
        tokens += here;
        shard++;
    }
    return 0;
}

int token_shards_largest(const token_shards *subject, int64_t vocabulary, int64_t *largest,
                         char *message, size_t message_size)
{
    int32_t tokens[BLOCK];
    int32_t most = 0;
    for (int64_t start = 0; start < subject->count; start += BLOCK) {
        int64_t count = subject->count - start < BLOCK ? subject->count - start : BLOCK;
        if (token_shards_read(subject, start, count, vocabulary, tokens, message, message_size) !=
            0) {
            return 1;
        }
        for (int64_t i = 0; i < count; i++) {
            most = tokens[i] > most ? tokens[i] : most;
        }
    }
    *largest = most;
    return 0;
}

/* Chains hashes: each piece's seed is the hash of what came before. */
static uint64_t hash_shard(const token_shard *shard, uint64_t seed)
{
    size_t size = shard->size;
    uint64_t hash = XXH3_64bits_withSeed(&size, sizeof size, seed);
    if (size <= (size_t)HASHED_PIECES * HASHED_PIECE) {
        return XXH3_64bits_withSeed(shard->memory, size, hash);
    }
    size_t distance = (size - HASHED_PIECE) / (HASHED_PIECES - 1);
    for (size_t i = 0; i < HASHED_PIECES; i++) {
        hash = XXH3_64bits_withSeed(shard->memory + i * distance, HASHED_PIECE, hash);
    }
    return hash;
}

uint64_t token_shards_hash(const token_shards *subject)
{
    uint64_t hash = 0;
    for (int i = 0; i < subject->shard_count; i++) {
        hash = hash_shard(&subject->shards[i], hash);
    }
    return hash;
}

void token_shards_close(token_shards *subject)
{
    for (int i = 0; i < subject->shard_count; i++) {
        if (subject->shards[i].memory != NULL) {
            munmap(subject->shards[i].memory, subject->shards[i].size);
        }
        free(subject->shards[i].path);
    }
    free(subject->shards);
    *subject = (token_shards){0};
}
