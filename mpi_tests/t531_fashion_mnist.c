/*
 * The real Fashion-MNIST files, where they are installed: numbers of images, and the scale of the
 * pixels against the published one.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* access */

#include <stdio.h>
#include <unistd.h>

#include "support/test.h"
#include "workload/mlp_images.h"

enum { SKIPPED = 77 };

static const char folder[] = "/usr/share/datasets/fashion-mnist";

/* Mean and deviation of the training pixels are published as 0.2860 and 0.3530. */
START_TEST(reads_the_files)
{
    mlp_images images;
    char message[512] = "";
    ck_assert_msg(mlp_images_read(folder, &images, message, sizeof message) == 0, "%s", message);
    ck_assert_int_eq(images.train.count, 60000);
    ck_assert_int_eq(images.test.count, 10000);
    ck_assert_int_eq(images.pixels, 28 * 28);
    ck_assert_double_eq_tol((double)images.scaled[0], -0.2860 / 0.3530, 2e-4);
    ck_assert_double_eq_tol((double)images.scaled[255], (1.0 - 0.2860) / 0.3530, 5e-4);
    mlp_images_free(&images);
}
END_TEST

/* Each of the ten classes has a tenth of either set. */
START_TEST(classes_are_balanced)
{
    mlp_images images;
    char message[512] = "";
    ck_assert_msg(mlp_images_read(folder, &images, message, sizeof message) == 0, "%s", message);
    const mlp_image_set *sets[] = {&images.train, &images.test};
    for (int s = 0; s < 2; s++) {
        int64_t counts[MLP_CLASSES] = {0};
        for (int64_t i = 0; i < sets[s]->count; i++) {
            counts[sets[s]->labels.bytes[i]]++;
        }
        for (int label = 0; label < MLP_CLASSES; label++) {
            ck_assert_int_eq(counts[label], sets[s]->count / MLP_CLASSES);
        }
    }
    mlp_images_free(&images);
}
END_TEST

int main(void)
{
    if (access(folder, R_OK) != 0) {
        printf("there is no %s\n", folder);
        return SKIPPED;
    }
    Suite *suite = suite_create("Fashion-MNIST");
    test_add(suite, "reads the files", reads_the_files);
    test_add(suite, "classes are balanced", classes_are_balanced);
    return test_run(suite);
}
