/*
 * IDX data sets: right ones, plain and compressed, and every way of being wrong, with the line
 * that names file, expectation and finding.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, truncate */

#include <math.h>
#include <sys/stat.h>

#include "support/idx_fixture.h"
#include "support/test.h"
#include "workload/mlp_images.h"

static void assert_right(const fixture *f)
{
    mlp_images images;
    char message[512] = "";
    ck_assert_msg(mlp_images_read(f->folder, &images, message, sizeof message) == 0, "%s", message);
    ck_assert_int_eq(images.train.count, FIXTURE_TRAIN);
    ck_assert_int_eq(images.test.count, FIXTURE_TEST);
    ck_assert_int_eq(images.pixels, FIXTURE_PIXELS);
    double sum = 0.0, squares = 0.0;
    float values[FIXTURE_PIXELS];
    uint8_t label;
    for (int image = 0; image < FIXTURE_TRAIN; image++) {
        mlp_images_fetch(&images, &images.train, image, values, &label);
        ck_assert_int_eq(label, fixture_label(0, image));
        for (int pixel = 0; pixel < FIXTURE_PIXELS; pixel++) {
            sum += (double)values[pixel];
            squares += (double)values[pixel] * (double)values[pixel];
        }
    }
    ck_assert_double_lt(fabs(sum), 1e-4);
    ck_assert_double_eq_tol(squares / (FIXTURE_TRAIN * FIXTURE_PIXELS), 1.0, 1e-6);
    mlp_images_fetch(&images, &images.test, 7, values, &label);
    ck_assert_int_eq(label, fixture_label(1, 7));
    ck_assert(values[3] == images.scaled[fixture_pixel(1, 7, 3)]);
    mlp_images_free(&images);
}

START_TEST(plain_and_compressed)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        fixture f;
        fixture_make(&f, compressed);
        assert_right(&f);
        fixture_remove(&f);
    }
}
END_TEST

/* Reading fails with one line that contains all three texts. Removes the fixture. */
static void assert_refused(fixture *f, const char *file, const char *expected, const char *found)
{
    mlp_images images;
    char message[512] = "";
    ck_assert_int_eq(mlp_images_read(f->folder, &images, message, sizeof message), 1);
    ck_assert_ptr_null(images.train.images.bytes);
    ck_assert_ptr_null(images.test.labels.bytes);
    const char *texts[] = {file, expected, found};
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(strstr(message, texts[i]) != NULL, "no \"%s\" in: %s", texts[i], message);
    }
    ck_assert_ptr_null(strchr(message, '\n'));
    fixture_remove(f);
}

START_TEST(missing)
{
    for (int i = 0; i < 4; i++) {
        fixture f;
        char path[256];
        fixture_make(&f, true);
        fixture_path(&f, fixture_names[i], true, path);
        ck_assert_int_eq(unlink(path), 0);
        assert_refused(&f, fixture_names[i], "No such file", f.folder);
    }
    fixture f;
    fixture_make(&f, false);
    mlp_images images;
    char message[512];
    ck_assert_int_eq(mlp_images_read("/nowhere/at/all", &images, message, sizeof message), 1);
    ck_assert_ptr_nonnull(strstr(message, "/nowhere/at/all/train-images-idx3-ubyte"));
    fixture_remove(&f);
}
END_TEST

START_TEST(truncated_plain)
{
    static const struct {
        long length;
        const char *expected, *found;
    } cases[] = {{0, "4 bytes of magic number expected", "0 found"},
                 {3, "4 bytes of magic number expected", "3 found"},
                 {10, "12 bytes of sizes expected", "6 found"},
                 {16, "800 bytes of data expected", "0 found"},
                 {815, "800 bytes of data expected", "799 found"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        char path[256];
        fixture_make(&f, false);
        fixture_path(&f, fixture_names[0], false, path);
        ck_assert_int_eq(truncate(path, cases[i].length), 0);
        assert_refused(&f, fixture_names[0], cases[i].expected, cases[i].found);
    }
}
END_TEST

START_TEST(truncated_and_damaged_gzip)
{
    fixture f;
    char path[256];
    fixture_make(&f, true);
    fixture_path(&f, fixture_names[0], true, path);
    ck_assert_int_eq(truncate(path, 150), 0);
    assert_refused(&f, fixture_names[0], "800 bytes of data expected", "unexpected end of file");

    /* A changed checksum, the eight bytes at the end: the data alone look right. */
    fixture_make(&f, true);
    fixture_path(&f, fixture_names[2], true, path);
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, -8, SEEK_END), 0);
    int byte = fgetc(file);
    ck_assert_int_eq(fseek(file, -8, SEEK_END), 0);
    ck_assert_int_ne(fputc(byte ^ 0x55, file), EOF);
    fclose(file);
    assert_refused(&f, fixture_names[2], "check", fixture_names[2]);
}
END_TEST

START_TEST(wrong_magic)
{
    fixture f;
    uint8_t bytes[32] = {0};
    fixture_make(&f, false);
    fixture_put(bytes, 0, 0x801);
    fixture_write(&f, fixture_names[0], false, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[0], "0x00000803 expected", "0x00000801 found");
    fixture_make(&f, true);
    fixture_put(bytes, 0, 0xd01);
    fixture_write(&f, fixture_names[3], true, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[3], "0x00000801 expected", "0x00000d01 found");
}
END_TEST

START_TEST(wrong_sizes)
{
    fixture f;
    uint8_t bytes[16];
    fixture_make(&f, false);
    fixture_put(bytes, fixture_put(bytes, fixture_put(bytes, fixture_put(bytes, 0, 0x803), 2), 0),
                3);
    fixture_write(&f, fixture_names[0], false, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[0], "size 0", "dimension 1");
    fixture_make(&f, false);
    for (size_t at = 4; at < 16; at += 4) {
        fixture_put(bytes, at, UINT32_MAX);
    }
    fixture_write(&f, fixture_names[0], false, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[0], "size 4294967295", "dimension 1");
}
END_TEST

START_TEST(mismatched_counts)
{
    fixture f;
    fixture_make(&f, false);
    fixture_write_labels(&f, 0, FIXTURE_TRAIN - 1, false);
    assert_refused(&f, fixture_names[1], "40 labels expected", "39 found");
    fixture_make(&f, true);
    fixture_write_labels(&f, 1, FIXTURE_TEST + 2, true);
    assert_refused(&f, fixture_names[3], "13 labels expected", "15 found");
    fixture_make(&f, true);
    fixture_write_images(&f, 1, FIXTURE_TEST, FIXTURE_ROWS + 1, true);
    assert_refused(&f, fixture_names[2], "4 x 5 expected", "5 x 5 found");
}
END_TEST

START_TEST(longer_than_said)
{
    fixture f;
    fixture_make(&f, false);
    uint8_t bytes[8 + FIXTURE_TEST + 1] = {0};
    fixture_put(bytes, fixture_put(bytes, 0, 0x801), FIXTURE_TEST);
    fixture_write(&f, fixture_names[3], false, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[3], "13 bytes of data expected", "more found");
}
END_TEST

START_TEST(label_out_of_range)
{
    fixture f;
    fixture_make(&f, false);
    uint8_t bytes[8 + FIXTURE_TEST] = {0};
    fixture_put(bytes, fixture_put(bytes, 0, 0x801), FIXTURE_TEST);
    bytes[8 + 4] = 10;
    fixture_write(&f, fixture_names[3], false, bytes, sizeof bytes);
    assert_refused(&f, fixture_names[3], "label 10 at 4", "below 10");
}
END_TEST

/* A pipe that nobody writes to: opening it must not wait. */
START_TEST(no_regular_file)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        fixture f;
        char path[256];
        fixture_make(&f, compressed);
        fixture_path(&f, fixture_names[1], compressed, path);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        assert_refused(&f, path, "not a regular file", fixture_names[1]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("IDX files");
    test_add(suite, "plain and compressed", plain_and_compressed);
    test_add(suite, "missing", missing);
    test_add(suite, "truncated, plain", truncated_plain);
    test_add(suite, "truncated and damaged gzip", truncated_and_damaged_gzip);
    test_add(suite, "wrong magic number", wrong_magic);
    test_add(suite, "wrong sizes", wrong_sizes);
    test_add(suite, "mismatched counts", mismatched_counts);
    test_add(suite, "longer than said", longer_than_said);
    test_add(suite, "label out of range", label_out_of_range);
    test_add(suite, "no regular file", no_regular_file);
    return test_run(suite);
}
