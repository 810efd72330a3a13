/*
 * Texts and token shards as training data (see text.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/text.h"
#include "workload/data_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* Reads `count` bytes, less where the file ends before; how many, or -1 with an errno. */
static int64_t read_bytes(int descriptor, int64_t count, unsigned char *bytes)
{
    int64_t found = 0;
    while (found < count) {
        ssize_t got = read(descriptor, bytes + found, (size_t)(count - found));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return got < 0 ? -1 : found;
        }
        found += got > 0 ? got : 0;
    }
    return found;
}

/* Reads the file's `size` bytes. Returns 0 or an errno. */
static int read_all(int descriptor, int64_t size, text *result)
{
    unsigned char *bytes = malloc((size_t)size + 1);
    if (bytes == NULL) {
        return ENOMEM;
    }
    int64_t count = read_bytes(descriptor, size, bytes);
    if (count < 0) {
        int error = errno;
        free(bytes);
        return error;
    }
    *result = (text){.bytes = bytes, .count = count, .training = count - count / 10};
    return 0;
}

int text_read(const char *path, text *result, char *message, size_t message_size)
{
    *result = (text){0};
    int64_t size = 0;
    int descriptor = data_file_open(path, &size);
    int error = descriptor < 0 ? errno : read_all(descriptor, size, result);
    if (descriptor >= 0) {
        close(descriptor);
    }
    if (error != 0) {
        snprintf(message, message_size, "cannot read the text %s: %s", path,
                 data_file_reason(error));
        return 1;
    }
    if (result->count == 0) {
        snprintf(message, message_size, "the text %s is empty", path);
        text_free(result);
        return 1;
    }
    return 0;
}

/* Puts the held-out text behind the training text. */
static int append_text(text *to, text *held_out, char *message, size_t message_size)
{
    int64_t count = to->count + held_out->count;
    unsigned char *bytes = realloc(to->bytes, (size_t)count);
    if (bytes == NULL) {
        snprintf(message, message_size, "not enough memory for the held-out text");
        return 1;
    }
    memcpy(bytes + to->count, held_out->bytes, (size_t)held_out->count);
    to->bytes = bytes;
    to->training = to->count;
    to->count = count;
    return 0;
}

static int open_texts(const char *path, const char *held_out, text *result, char *message,
                      size_t message_size)
{
    if (text_read(path, result, message, message_size) != 0) {
        return 1;
    }
    if (held_out == NULL) {
        return 0;
    }
    text more;
    int failed = text_read(held_out, &more, message, message_size) != 0 ||
                 append_text(result, &more, message, message_size) != 0;
    text_free(&more);
    return failed;
}

static int open_shards(const char *path, const char *held_out, text *result, char *message,
                       size_t message_size)
{
    token_shards *shards = &result->shards;
    if (token_shards_open(shards, path, message, message_size) != 0) {
        return 1;
    }
    result->training = held_out != NULL ? shards->count : shards->count - shards->count / 10;
    if (held_out != NULL && token_shards_open(shards, held_out, message, message_size) != 0) {
        return 1;
    }
    result->count = shards->count;
    return 0;
}

/*
 * Looks at all tokens, unless the vocabulary is known and they are very many. A multiple of 128
 * leaves no product with a ragged end, and makes 50,304 of GPT-2's 50,257.
 */
static int settle_vocabulary(text *subject, int64_t vocabulary, char *message, size_t message_size)
{
    const int64_t most_checked = (int64_t)1 << 27;
    int64_t bound = vocabulary > 0 ? vocabulary : TOKEN_SHARDS_MOST_VOCABULARY;
    int64_t largest = TEXT_VOCABULARY - 1;
    bool looked = !text_has_bytes(subject) && (vocabulary == 0 || subject->count <= most_checked);
    if (looked && token_shards_largest(&subject->shards, bound, &largest, message, message_size)) {
        return 1;
    }
    subject->vocabulary = vocabulary > 0 ? vocabulary : (largest / 128 + 1) * 128;
    return 0;
}

int text_open(const char *path, const char *held_out, int64_t vocabulary, text *result,
              char *message, size_t message_size)
{
    *result = (text){0};
    bool shards = token_shards_named(path);
    if (held_out != NULL && token_shards_named(held_out) != shards) {
        snprintf(message, message_size,
                 "the data %s and the held-out data %s must both be texts or both token shards",
                 path, held_out);
        return 1;
    }
    int failed = shards ? open_shards(path, held_out, result, message, message_size)
                        : open_texts(path, held_out, result, message, message_size);
    if (failed || settle_vocabulary(result, vocabulary, message, message_size) != 0) {
        text_free(result);
        return 1;
    }
    return 0;
}

bool text_has_bytes(const text *subject)
{
    return subject->shards.shard_count == 0;
}

int64_t text_vocabulary(const text *subject)
{
    return subject->vocabulary > 0 ? subject->vocabulary : TEXT_VOCABULARY;
}

uint64_t text_hash(const text *subject)
{
    return text_has_bytes(subject) ? XXH3_64bits(subject->bytes, (size_t)subject->count)
                                   : token_shards_hash(&subject->shards);
}

int text_tokens(const text *subject, int64_t start, int64_t count, int32_t *tokens, char *message,
                size_t message_size)
{
    if (!text_has_bytes(subject)) {
        return token_shards_read(&subject->shards, start, count, text_vocabulary(subject), tokens,
                                 message, message_size);
    }
    for (int64_t i = 0; i < count; i++) {
        tokens[i] = subject->bytes[start + i];
    }
    return 0;
}

int text_check(const text *subject, const char *path, int64_t context, char *message,
               size_t message_size)
{
    if (text_sequences(subject, context) >= 1 && text_windows(subject, context) >= 1) {
        return 0;
    }
    snprintf(message, message_size,
             "the data %s is too short: of %lld %s the first %lld are for training and the last "
             "%lld held out, and each part must have --context + 1 = %lld",
             path, (long long)subject->count, text_has_bytes(subject) ? "bytes" : "tokens",
             (long long)subject->training, (long long)(subject->count - subject->training),
             (long long)context + 1);
    return 1;
}

int64_t text_sequences(const text *subject, int64_t context)
{
    return subject->training > context ? subject->training - context : 0;
}

int64_t text_windows(const text *subject, int64_t context)
{
    int64_t held_out = subject->count - subject->training;
    return held_out > context ? (held_out - 1) / context : 0;
}

int64_t text_window(const text *subject, int64_t context, int64_t window)
{
    return subject->training + window * context;
}

void text_free(text *subject)
{
    free(subject->bytes);
    token_shards_close(&subject->shards);
    *subject = (text){0};
}
