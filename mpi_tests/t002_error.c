/*
 * Error texts: a typed status, one line of text that is cut and never overflows, one text a thread,
 * and the two macros that carry failures upwards.
 *
 * ranks: serial
 */
#include "base/error.h"

#include <pthread.h>
#include <string.h>

#include "support/test.h"

START_TEST(test_raise_formats)
{
    ck_assert_str_eq(error_text(), "");
    ck_assert_int_eq(error_raise(PLUMB_ERROR_MISMATCH, "rank %d: %s", 3, "cols"),
                     PLUMB_ERROR_MISMATCH);
    ck_assert_str_eq(error_text(), "rank 3: cols");
    ck_assert_int_eq(error_raise(PLUMB_ERROR_ORDER, "second"), PLUMB_ERROR_ORDER);
    ck_assert_str_eq(error_text(), "second");
}
END_TEST

START_TEST(test_long_text_is_cut)
{
    char text[4 * ERROR_MESSAGE_SIZE];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = (char)('a' + i % 26);
    }
    text[sizeof text - 1] = '\0';
    error_raise(PLUMB_ERROR_ARGUMENT, "%s", text);
    ck_assert_uint_eq(strlen(error_text()), ERROR_MESSAGE_SIZE - 1);
    ck_assert_int_eq(strncmp(error_text(), text, ERROR_MESSAGE_SIZE - 1), 0);
}
END_TEST

static plumb_status pass_on(plumb_status status, int *calls)
{
    PROPAGATE(((*calls)++, status));
    (*calls)++;
    return PLUMB_OK;
}

static plumb_status positive(int value)
{
    REQUIRE(value > 0, PLUMB_ERROR_ARGUMENT, "value %d is not positive", value);
    return PLUMB_OK;
}

START_TEST(test_macros)
{
    int calls = 0;
    ck_assert_int_eq(pass_on(PLUMB_ERROR_MPI, &calls), PLUMB_ERROR_MPI);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(pass_on(PLUMB_OK, &calls), PLUMB_OK);
    ck_assert_int_eq(calls, 3);
    ck_assert_int_eq(positive(1), PLUMB_OK);
    ck_assert_int_eq(positive(-4), PLUMB_ERROR_ARGUMENT);
    ck_assert_str_eq(error_text(), "value -4 is not positive");
}
END_TEST

static void *other_thread(void *found)
{
    bool *empty = found;
    *empty = error_text()[0] == '\0';
    error_raise(PLUMB_ERROR_MEMORY, "elsewhere");
    return NULL;
}

START_TEST(test_each_thread_has_its_text)
{
    error_raise(PLUMB_ERROR_COVERAGE, "here");
    bool empty = false;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &empty), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(empty);
    ck_assert_str_eq(error_text(), "here");
}
END_TEST

START_TEST(test_names)
{
    const char *names[PLUMB_ERROR_INTERNAL + 1];
    for (int i = 0; i <= PLUMB_ERROR_INTERNAL; i++) {
        names[i] = plumb_status_name((plumb_status)i);
        ck_assert_uint_gt(strlen(names[i]), 0);
        ck_assert_ptr_null(strchr(names[i], '\n'));
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(names[i], names[j]);
        }
    }
    ck_assert_str_eq(names[PLUMB_OK], "ok");
    ck_assert_str_eq(names[PLUMB_ERROR_ARGUMENT], "argument");
    ck_assert_str_eq(plumb_status_name((plumb_status)(PLUMB_ERROR_INTERNAL + 1)), "unknown status");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    test_add(suite, "raise", test_raise_formats);
    test_add(suite, "long text", test_long_text_is_cut);
    test_add(suite, "macros", test_macros);
    test_add(suite, "threads", test_each_thread_has_its_text);
    test_add(suite, "names", test_names);
    return test_run(suite);
}
