/*
 * Recorded micro-batch gradients in an HDF5 file, as any framework can write them:
 *
 *     /parameters/NAME/gradients       [steps, K, rows, cols], or [K, rows, cols] for one step
 *         attribute samples            [K], optional: weight of each micro-batch in the mean
 *     /parameters/NAME/initial_values  [rows, cols], optional: zeros without it
 *     /parameters/NAME/curvature       shape of the gradients, for optimizers that need it:
 *                                      estimates of the Hessian's diagonal, used as they are
 *
 * All parameters have the same steps, K and samples. Values are floats of any width and byte
 * order, which HDF5 converts to 32 bits. Other links below NAME are left alone.
 *
 * Rank 0 examines the file by itself and tells the others what it holds, so that a wrong file is
 * one error on all ranks; then all open it for parallel reading, and each reads what it asks for.
 */
#ifndef STORE_GRADIENT_FILE_H
#define STORE_GRADIENT_FILE_H

#include "store/shared_error.h"

#include <stdbool.h>
#include <stdint.h>

enum { GRADIENT_FILE_NAME_SIZE = 128 };

typedef struct recorded_parameter {
    char name[GRADIENT_FILE_NAME_SIZE];
    int64_t rows, cols;
    int has_steps;          /* its gradients have the first dimension */
    int has_initial_values; /* else zeros */
} recorded_parameter;

typedef struct gradient_file gradient_file;

/*
 * Opens `path` for reading by all ranks of `communicator`, which must stay valid. With `curvature`
 * every parameter must have one; without, it is not looked at. Collective; errors are agreed. On
 * error *file is NULL.
 */
int gradient_file_open(gradient_file **file, MPI_Comm communicator, const char *path,
                       bool curvature, shared_error *e);

/* Collective. NULL is no error. */
void gradient_file_close(gradient_file **file);

int64_t gradient_file_steps(const gradient_file *file);
int64_t gradient_file_micro_batches(const gradient_file *file);
int gradient_file_parameter_count(const gradient_file *file);
const recorded_parameter *gradient_file_parameters(const gradient_file *file); /* by name */
const double *gradient_file_samples(const gradient_file *file); /* [K]; all 1 if not recorded */

/*
 * initial_values, which must be there, on every rank. Collective; errors are agreed.
 */
int gradient_file_read_initial_values(gradient_file *file, int parameter,
                                      float *values /* rows x cols */, shared_error *e);

/* The gradient of one micro-batch in one step. Local: ranks may read what and when they like. */
int gradient_file_read(gradient_file *file, int parameter, int64_t step, int64_t micro_batch,
                       float *gradient /* rows x cols */, shared_error *e);

/* A stretch of it: `count` elements from element `first` of the matrix in row-major order.
 * Local. */
int gradient_file_read_stretch(gradient_file *file, int parameter, int64_t step,
                               int64_t micro_batch, int64_t first, int64_t count,
                               float *gradient /* [count] */, shared_error *e);

/* Its curvature, from a file that was opened with it. Local. */
int gradient_file_read_curvature(gradient_file *file, int parameter, int64_t step,
                                 int64_t micro_batch, float *curvature /* rows x cols */,
                                 shared_error *e);

#endif
