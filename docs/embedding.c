/*
 * libplumb in a training loop of one's own: micro-batches on all ranks fit y = W x + b, Muon moves
 * the matrix and AdamW the vector. The last line is the same for every number of ranks.
 *   mpicc embedding.c $(pkg-config --cflags --libs plumb) -o embedding && mpirun -np 2 embedding
 */
#include <plumb.h>
#include <stdio.h>

enum { ROWS = 24, COLS = 16, SAMPLES = 8, MICRO_BATCHES = 12, STEPS = 300 };

/* Collective calls fail alike on all ranks; after a local failure MPI_Abort ends the others. */
#define CHECK(call) ((call) == PLUMB_OK ? (void)0 : fail(p, #call))
static void fail(const plumb *p, const char *call)
{
    fprintf(stderr, "%s: %s\n", call, plumb_error_message(p));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Uniform in [-1, 1), a function of its key alone: the rank count changes no sample. */
static float uniform(int64_t key)
{
    uint64_t x = ((uint64_t)key + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return (float)(x >> 40) / 8388608.0f - 1.0f;
}

/* Adds the mean gradient of micro-batch `index` of all steps to zeros; returns its loss sum. */
static double micro_batch(int64_t index, const float *w, const float *b, float *dw, float *db)
{
    double loss = 0.0;
    for (int64_t s = index * SAMPLES; s < (index + 1) * SAMPLES; s++) {
        for (int i = 0; i < ROWS; i++) {
            float error = b[i] - uniform(-1 - i); /* true W and b: negative keys */
            for (int j = 0; j < COLS; j++) {
                error += (w[i * COLS + j] - uniform(-99 - i * COLS - j)) * uniform(s * COLS + j);
            }
            for (int j = 0; j < COLS; j++) {
                dw[i * COLS + j] += error * uniform(s * COLS + j) / SAMPLES;
            }
            db[i] += error / SAMPLES;
            loss += 0.5 * (double)error * (double)error;
        }
    }
    return loss;
}

int main(int argc, char **argv)
{
    plumb *p = NULL;
    plumb_parameter_options muon; /* b keeps the defaults: AdamW */
    plumb_report report = {.size = sizeof report};
    static float w[ROWS * COLS], b[ROWS];
    char hash[33];
    int id_w, id_b, rank;
    MPI_Init(&argc, &argv);
    CHECK(plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON));
    CHECK(plumb_create(MPI_COMM_WORLD, NULL, &p));
    CHECK(plumb_add_parameter(p, "w", ROWS, COLS, w, &muon, &id_w));
    CHECK(plumb_add_parameter(p, "b", 1, ROWS, b, NULL, &id_b));
    for (int64_t step = 0, first, count; step < STEPS; step++) {
        CHECK(plumb_share(p, MICRO_BATCHES, &first, &count));
        CHECK(plumb_begin_step(p, MICRO_BATCHES));
        for (int64_t m = first; m < first + count; m++) {
            float dw[ROWS * COLS] = {0}, db[ROWS] = {0};
            double loss = micro_batch(step * MICRO_BATCHES + m, w, b, dw, db);
            CHECK(plumb_describe_micro_batch(p, m, SAMPLES, loss, NULL, 0));
            CHECK(plumb_accumulate(p, id_w, m, dw));
            CHECK(plumb_accumulate(p, id_b, m, db));
        }
        CHECK(plumb_end_step(p, 0.05 * (double)(STEPS - step) / STEPS, &report));
    }
    CHECK(plumb_parameters_hash(p, hash));
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) {
        printf("loss %.6f, parameters %s\n", report.loss, hash);
    }
    CHECK(plumb_destroy(&p));
    return MPI_Finalize();
}
