/*
 * Plumb: averaged, then orthogonalised. The public interface of libplumb, written as its manual.
 *
 * A TOUR
 *
 * Plumb turns micro-batch gradients that are spread over MPI ranks into one optimizer step. Every
 * gradient goes to the *owner* of its parameter in one transposed reduction; the owner averages in
 * an order that depends on the batch alone, updates its optimizer state, and sends the new values
 * to everybody. The same samples give the same bits for every rank count and every owner map.
 *
 *     plumb *p;
 *     plumb_options options;
 *     plumb_options_init(&options, sizeof options);
 *     plumb_create(MPI_COMM_WORLD, &options, &p);
 *
 *     plumb_parameter_options muon;
 *     plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON);
 *     plumb_add_parameter(p, "layer.weight", 512, 256, weight, &muon, &id);
 *
 *     for (each step) {
 *         plumb_share(p, total, &first, &count);            which micro-batches are mine
 *         plumb_begin_step(p, total);
 *         for (m = first; m < first + count; m++) {
 *             ... compute the mean gradient of micro-batch m ...
 *             plumb_accumulate(p, id, m, gradient);         messages start as soon as they can
 *         }
 *         plumb_end_step(p, learning_rate, &report);        weight now holds the new values
 *     }
 *     plumb_destroy(&p);
 *
 * A whole program of this kind stands in docs/embedding.c.
 *
 * VOCABULARY
 *
 * micro-batch  the samples of one gradient evaluation. It has a global index 0..K-1 within the
 *              step, whichever rank computes it; K (`total` below) counts over all ranks.
 * group        K/G consecutive micro-batches, the unit of all statistics. G divides K.
 * owner        the rank that holds a parameter's optimizer state (or a slice of it).
 * coordinator  rank 0 of the communicator.
 *
 * RULES THAT HOLD FOR EVERY CALL
 *
 * - Every function returns a plumb_status and hands results back through trailing out-pointers,
 *   which are untouched when the call fails, unless a function says otherwise.
 * - "Collective" means: every rank of the handle's communicator calls it, in the same order. All
 *   other calls are local. A failure of a collective call is agreed: every rank gets the same
 *   status and the same message, even if the cause lies on one rank only.
 * - Matrices are dense, row-major, 32-bit floats: rows x cols, element (i, j) at i * cols + j.
 * - The library keeps the pointer `values` of plumb_add_parameter; it copies everything else.
 * - A handle may be used by one thread at a time; MPI needs MPI_THREAD_FUNNELED and all calls on
 *   a handle come from the thread that MPI calls its main one.
 * - The library never prints, never ends the process, never installs a signal handler, and calls
 *   neither MPI_Init nor MPI_Finalize. It talks through plumb_options.log and return values.
 *
 * BITS
 *
 * Parameters are equal to the last bit for every rank count, owner map, run, and message timing
 * as long as K, G, the options, the samples, and the BLAS kernel are the same and BLAS uses one
 * thread a rank (the exchange's own sums never depend on BLAS). PLUMB_EXCHANGE_ALLREDUCE gives up
 * that promise. On all ranks of one run the parameters are always equal.
 */
#ifndef PLUMB_H
#define PLUMB_H

/* The MPI 2 C++ bindings are gone since MPI 3 and warn under current compilers: leave them out. */
#if defined(__cplusplus) && !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1
#endif
#if defined(__cplusplus) && !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------
 * 1. Version, status, errors
 */

#define PLUMB_VERSION_MAJOR 0
#define PLUMB_VERSION_MINOR 1
#define PLUMB_VERSION_PATCH 0

/* The version of the library that is linked, which may differ from the header's. Local. */
void plumb_version(int *major, int *minor, int *patch);

typedef enum plumb_status {
    PLUMB_OK = 0,
    PLUMB_ERROR_ARGUMENT = 1,    /* an argument or option is outside its bounds */
    PLUMB_ERROR_ORDER = 2,       /* a call at a moment when it is not allowed */
    PLUMB_ERROR_MEMORY = 3,      /* no memory */
    PLUMB_ERROR_MPI = 4,         /* MPI reported an error; the message holds its text */
    PLUMB_ERROR_MISMATCH = 5,    /* ranks disagree: the message names rank and field */
    PLUMB_ERROR_NONFINITE = 6,   /* NaN or Inf: the message names parameter, rank, micro-batch */
    PLUMB_ERROR_COVERAGE = 7,    /* a micro-batch's gradient is missing or was given twice */
    PLUMB_ERROR_NUMERICAL = 8,   /* a factorisation failed */
    PLUMB_ERROR_UNSUPPORTED = 9, /* a combination of options that has no meaning */
    PLUMB_ERROR_INTERNAL = 10    /* a bug in Plumb: please report it with the message */
} plumb_status;

/* The status as text, such as "argument". Never NULL; static storage. Local. */
const char *plumb_status_name(plumb_status status);

typedef struct plumb plumb;

/*
 * What went wrong in the last call on `p` that failed, one line without a newline; "" if none.
 * With p == NULL: the same for this thread's last failure of a call that takes no handle or a
 * const one, or of plumb_create; ask for it right after that call, since later calls on handles
 * may overwrite it. Valid until the next call. Local.
 */
const char *plumb_error_message(const plumb *p);

/* ------------------------------------------------------------------------------------------
 * 2. Options of a handle
 */

typedef enum plumb_owners {
    PLUMB_OWNERS_RANK0 = 0,  /* the coordinator owns everything, streamed bucket by bucket */
    PLUMB_OWNERS_SHARDED = 1 /* owners balanced over all ranks by cost and bytes (default) */
} plumb_owners;

typedef enum plumb_exchange {
    PLUMB_EXCHANGE_TRANSPOSED = 0, /* canonical order, same bits for any rank count (default) */
    PLUMB_EXCHANGE_ALLREDUCE = 1   /* MPI_Allreduce of the mean; bits depend on the rank count */
} plumb_exchange;

/*
 * The average of the values after each step, beside the values themselves: where the noise of the
 * gradient limits a run, its held-out loss is the lower one (Polyak and Juditsky 1992). It takes 8
 * bytes a value on every rank.
 */
typedef enum plumb_average_weights {
    PLUMB_AVERAGE_NONE = 0,
    PLUMB_AVERAGE_EMA = 1, /* moving average, divided by the sum of its weights */
    PLUMB_AVERAGE_TAIL = 2 /* plain mean over all steps after the first average_from */
} plumb_average_weights;

/* What a handle measures of its gradients while it trains; see section 7. */
typedef enum plumb_diagnostics {
    PLUMB_DIAGNOSTICS_OFF = 0,
    PLUMB_DIAGNOSTICS_ECONOMY = 1, /* every step: norms, noise scale, plateau, by parameter */
    PLUMB_DIAGNOSTICS_FULL = 2     /* and every diagnostics_every steps from the groups' gradients:
                                      spectra, echo, bias and variance of orthogonalised updates.
                                      Such a step sends its gradients a second time, by groups */
} plumb_diagnostics;

typedef enum plumb_log_level {
    PLUMB_LOG_WARNING = 0, /* something the user should know, said once */
    PLUMB_LOG_INFO = 1,
    PLUMB_LOG_DEBUG = 2
} plumb_log_level;

/* Receives one line without a newline. Called on the coordinator only. */
typedef void (*plumb_log_function)(void *context, plumb_log_level level, const char *line);

typedef struct plumb_options {
    size_t size;             /* set by plumb_options_init */
    int version;             /* set by plumb_options_init */
    int groups;              /* G; 0: the largest divisor of K that is at most 8 (default) */
    plumb_owners owners;     /* default: PLUMB_OWNERS_SHARDED */
    plumb_exchange exchange; /* default: PLUMB_EXCHANGE_TRANSPOSED */
    double clip_norm;        /* largest norm of the mean gradient over all parameters; 0: off */
    double nominal_samples;  /* samples that weigh 1 (default 1), a whole number: a micro-batch of
                                 b samples weighs b / nominal_samples in the mean. Set it to the
                                 usual micro-batch size, so that usual micro-batches weigh
                                 exactly 1 and the mean is plain. */
    int64_t bucket_elements; /* aimed-at elements of one message; 0: chosen by the plan */
    int64_t chunk_elements;  /* most elements of one MPI call; 0: INT_MAX (default) */
    plumb_average_weights average_weights; /* an average of the values of steps; default none */
    double average_beta;                   /* EMA: fraction kept at each step; 0.99 */
    int64_t average_from; /* TAIL: steps that are done before the first that counts; 0 */
    int replica_check;    /* compare the parameters of all ranks by hash every that many
                                 steps; 0: never; default 100 */
    int shared_memory;    /* 1 (default): ranks of a node read each other's sums and values in
                                 a shared window; 0, and where none can be had: by messages. The
                                 bits are the same */
    int spread_panels;    /* 1 (default): the row panels of a large matrix may have different
                                 owners; 0: one owner has them all. The bits are the same */
    plumb_diagnostics diagnostics; /* what is measured beside the step; default off. The bits of the
                                      values are the same */
    int diagnostics_every;         /* FULL: every that many steps, the first included; 20 */
    double population;             /* samples of the data set, if a step draws without replacement;
                                      0 (default): endless. For diagnostics alone */
    plumb_log_function log;        /* default NULL: silent */
    void *log_context;             /* first argument of log */
    plumb_log_level log_level;
} plumb_options;

/*
 * Fills `options` with the defaults. `size` is sizeof(plumb_options) as the caller compiled it.
 * Local. Errors: ARGUMENT if options is NULL or size is not one this library knows.
 */
plumb_status plumb_options_init(plumb_options *options, size_t size);

/* ------------------------------------------------------------------------------------------
 * 3. Options of a parameter: optimizer, pipeline, polar factor
 */

typedef enum plumb_optimizer {
    PLUMB_OPTIMIZER_SGD = 0, /* momentum: v = beta1 v + g; x = x - rate (v or its Nesterov form) */
    PLUMB_OPTIMIZER_ADAMW = 1,   /* Loshchilov and Hutter 2019, as torch.optim.AdamW computes it */
    PLUMB_OPTIMIZER_MUON = 2,    /* momentum, polar factor, scale 0.2 sqrt(max(rows, cols)) */
    PLUMB_OPTIMIZER_SOPHIA = 3,  /* Liu et al. 2023 (arXiv 2305.14342): momentum over an average of
                                   the Hessian's diagonal, clipped element by element; needs
                                   plumb_accumulate_curvature every curvature_interval steps */
    PLUMB_OPTIMIZER_SHAMPOO = 4, /* Gupta et al. 2018: L^-p M R^-p of averages of G G', G' G. What
                                    has one row or one column is AdamW's, not corrected */
    PLUMB_OPTIMIZER_SOAP = 5,    /* Vyas et al. 2024 (arXiv 2409.11321): AdamW in the eigenbasis of
                                    Shampoo's L and R; one row or one column: AdamW, corrected */
    PLUMB_OPTIMIZER_NONE = 6     /* no update: the values become the mean gradient, clipped and
                                    orthogonalised as the other options say. For callers with an
                                    optimizer of their own; values may be NULL then */
} plumb_optimizer;

/*
 * What is averaged and when it is orthogonalised. G_g is group g's mean gradient with weight w_g,
 * Ortho(G) = U V' the polar factor, <.> the weighted mean over groups. "Update" is what the
 * optimizer then works with. Everything but the first acts per group before sending, needs all
 * groups' streams at the owner (G/P times the bytes of the first leg when G > P), and exists
 * because experiments compare them.
 *
 * Bias of the update direction, for n groups of anisotropic noise (docs/pipelines.md):
 *
 *  AVERAGE_THEN_ORTHOGONALISE   Ortho(<G_g>). O(1/n): the default and the thesis.
 *  ORTHOGONALISE_THEN_AVERAGE   <Ortho(G_g)>, nothing after it. O(1) in n: more groups never
 *                               remove it, larger groups do (as 1/m).
 *  DOUBLE_ORTHOGONALISE         Ortho(<Ortho(G_g)>). O(1): the part tangent to the orthogonal
 *                               frames survives; zero only for isotropic noise.
 *  NORMALISED_WITH_NORM         streams G_g/|G_g|_F and |G_g|_F; the owner multiplies them back.
 *                               The bias of the first, exact up to rounding.
 *  ORTHOGONALISED_WITH_NORM     streams Ortho(G_g) and |G_g|_F, the source's one-float form:
 *                               Ortho(<|G_g|_F Ortho(G_g)>). Right for vectors only; for
 *                               matrices of rank 2 and more the bias is O(1).
 *  ORTHOGONALISED_WITH_FACTOR   streams Ortho(G_g) and (G_g' G_g)^(1/2) of the short side: their
 *                               product is G_g again, the form that is right for matrices.
 *
 * With SGD, AdamW and NONE nothing is orthogonalised after the average, except by
 * DOUBLE_ORTHOGONALISE, which puts the polar factor of the average before the optimizer.
 */
typedef enum plumb_pipeline {
    PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE = 0,
    PLUMB_PIPELINE_ORTHOGONALISE_THEN_AVERAGE = 1,
    PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE = 2,
    PLUMB_PIPELINE_NORMALISED_WITH_NORM = 3,
    PLUMB_PIPELINE_ORTHOGONALISED_WITH_NORM = 4,
    PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR = 5
} plumb_pipeline;

typedef enum plumb_polar_method {
    PLUMB_POLAR_SVD = 0,           /* LAPACK's dgesdd in double: the reference */
    PLUMB_POLAR_NEWTON_SCHULZ = 1, /* Muon's five quintic steps as published: singular values
                                      land in about [0.7, 1.2], never on 1 */
    PLUMB_POLAR_POLAR_EXPRESS = 2, /* arXiv 2505.16932: the same cost a step, minimax per step */
    PLUMB_POLAR_FAST = 3,  /* G (G'G + d^2 I)^(-1/2), d = delta times the largest singular value, by
                             Zolotarev's rational function of the Gram matrix: singular values s
                             go to s/sqrt(s^2 + d^2) within a known band, in two to four products
                             of a Newton-Schulz iteration's five times three */
    PLUMB_POLAR_EXACT = 4, /* the same in two stages, the first in double: orthonormal to rounding
                              for condition numbers up to 1e7 */
    PLUMB_POLAR_NEWTON_SCHULZ_SYMMETRIC = 5 /* Newton-Schulz with half products where the result is
                                               symmetric: less work, other rounding */
} plumb_polar_method;

/*
 * Corrections of an update m P(v), P the inverse (root) of a second moment or curvature, from the
 * group gradients that the owner has anyway. The update is biased twice: gradient and
 * preconditioner come from the same samples (coupling), and the inverse of an unbiased estimate is
 * biased (inversion). The two have opposite signs and nearly cancel, so correct both or neither.
 * Sources: docs/corrections.md; the PAPER modes reproduce arXiv 2605.20756 as its reference
 * implementation computes it, for comparison: fold A is the first half of the groups (gradient),
 * fold B the second (preconditioner), and they change the target of the second moment (mean of
 * squares in place of square of the mean). All need at least two groups of equal samples; G must
 * then stay the same in all steps.
 *
 *  NONE             the optimizer as it is known
 *  MOMENT           AdamW, SOAP, Sophia. No folds: trackers of the variance of v and of the
 *                   covariance of m and v; the bounded second-order form. The default advice.
 *  LOO              AdamW, SOAP, Sophia. Cross-fit by persistent folds, leave-one-out unless
 *                   `folds` says otherwise: each fold owns its moments; its gradient meets the
 *                   preconditioner of the others, whose inverse is corrected.
 *  JACKKNIFE        F u - (F-1)/F sum of the updates that leave one of F folds out. AdamW, SOAP
 *                   (both need noise_floor 1), Sophia, Shampoo (the whole product), Muon. Stays
 *                   within half of the plain update; report.correction_clipped tells how often
 *                   that bound acts.
 *  PAPER_CF         AdamW, SOAP, Sophia: gradient from A, preconditioner from B
 *  PAPER_INV        standard moments, variance of the denominator over B: two groups in B
 *  PAPER_FULL       both
 *  PAPER_PRE_EMA    both, with the published second derivative before the moving average
 *  PAPER_LOO        AdamW, SOAP: leave-one-out with shared moments
 *  PAPER_LOO_JENSEN the same with the published Jensen term
 *  PAPER_SYM        AdamW, SOAP: mean of the updates with A and B in either role, from shared
 *                   moments, each inverse corrected as in PAPER_FULL
 *  SECOND_ORDER     Shampoo: the exact second-order term of the roots' expectation, from the
 *                   spread of the groups, in the form that stays positive definite. Muon: that of
 *                   the polar factor; needs PLUMB_POLAR_SVD.
 *  WISHART          Shampoo: the same term in closed form for normal gradients: no groups needed.
 *                   Both correct the roots alone; of the product JACKKNIFE and HALF_SAMPLE are
 *                   right (docs/corrections.md)
 *  HALF_SAMPLE      Shampoo: 2 u - (u_A + u_B) / 2, A and B halves of the groups
 *  PAPER_DIAGONAL   Shampoo: momentum from A, statistics from B, eigenvalues corrected one by one
 */
typedef enum plumb_correction {
    PLUMB_CORRECTION_NONE = 0,
    PLUMB_CORRECTION_MOMENT = 1,
    PLUMB_CORRECTION_LOO = 2,
    PLUMB_CORRECTION_JACKKNIFE = 3,
    PLUMB_CORRECTION_PAPER_CF = 4,
    PLUMB_CORRECTION_PAPER_INV = 5,
    PLUMB_CORRECTION_PAPER_FULL = 6,
    PLUMB_CORRECTION_PAPER_PRE_EMA = 7,
    PLUMB_CORRECTION_PAPER_LOO = 8,
    PLUMB_CORRECTION_PAPER_LOO_JENSEN = 9,
    PLUMB_CORRECTION_PAPER_SYM = 10,
    PLUMB_CORRECTION_SECOND_ORDER = 11,
    PLUMB_CORRECTION_WISHART = 12,
    PLUMB_CORRECTION_HALF_SAMPLE = 13,
    PLUMB_CORRECTION_PAPER_DIAGONAL = 14
} plumb_correction;

/* Whose norm a Shampoo update of a matrix takes over, its own giving the direction only. */
typedef enum plumb_grafting {
    PLUMB_GRAFTING_NONE = 0,
    PLUMB_GRAFTING_ADAMW = 1, /* the norm of AdamW's update with the same beta1, beta2, epsilon */
    PLUMB_GRAFTING_SGD = 2    /* the norm of the momentum */
} plumb_grafting;

/* How inverse roots of matrices are computed. */
typedef enum plumb_root_method {
    PLUMB_ROOT_EIGEN = 0,   /* eigenvalues in double: the reference, and what corrections need */
    PLUMB_ROOT_RATIONAL = 1 /* a sum of shifted inverses mostly in single precision:
                               several times faster; no corrections */
} plumb_root_method;

/* How the singular directions u_i v_i' of an orthogonalised update are weighted. */
typedef enum plumb_weights {
    PLUMB_WEIGHTS_NONE = 0, /* 1 each: the polar factor */
    PLUMB_WEIGHTS_ECHO = 1  /* their cross-validated echo: directions that the groups do not agree
                               on are left out. Needs two groups of equal samples and the default
                               pipeline; the polar factor is by SVD. docs/diagnostics.md */
} plumb_weights;

typedef struct plumb_parameter_options {
    size_t size;                 /* set by plumb_parameter_options_init */
    int version;                 /* set by plumb_parameter_options_init */
    plumb_optimizer optimizer;   /* set by plumb_parameter_options_init */
    plumb_pipeline pipeline;     /* default: average, then orthogonalise */
    plumb_polar_method polar;    /* default: Newton-Schulz */
    int polar_steps;             /* steps of the iterative methods, poles of FAST (up to 16); 0: the
                                    method's own number */
    double polar_delta;          /* FAST: delta, relative to the largest singular value, 1e-4 to 1;
                                    0: 1e-2 */
    double learning_rate_factor; /* times the rate of plumb_end_step; default 1 */
    double beta1;                /* momentum: SGD 0.9, AdamW 0.9, Muon 0.95, Sophia 0.965,
                                    Shampoo 0.9, SOAP 0.9 */
    double beta2;                /* of second moments: AdamW, Shampoo, SOAP 0.95, Sophia 0.99 */
    double epsilon;              /* AdamW, SOAP, Shampoo's grafting 1e-8, Sophia 1e-12 */
    double weight_decay;         /* decoupled: x = x (1 - rate weight_decay) first. SGD, NONE 0,
                                    all others 0.1 */
    int nesterov;                /* SGD 0, Muon 1 */
    plumb_correction correction; /* default none */
    double noise_floor;          /* with a correction of ours: c of the second moment's
                                    expectation mean^2 + c variance of a group's gradient; 0: 1/G,
                                    the square of the mean, the optimizers' own; 1: mean of
                                    squares. For Shampoo c G is the weight of the groups' scatter
                                    in L and R */
    int folds;                   /* LOO and JACKKNIFE: F, a divisor of G of 2 or more, each fold
                                    G/F consecutive groups; 0: G (leave-one-out). 2 with LOO is
                                    the symmetric two-fold. With LOO of AdamW and SOAP a fold's
                                    complement must have two groups, or noise_floor be 1: else
                                    the target would change */
    double paper_mixing;         /* PAPER_CF, PAPER_FULL, PAPER_PRE_EMA, PAPER_SYM of AdamW and
                                    SOAP: share w of v = (1-w) s_B + w g_A^2, 1 minus the
                                    paper's alpha, in [0, 1]; default 0 */
    double paper_support_clip;   /* the same and PAPER_INV: tau of the factor
                                    min(1, sqrt(tau (s_B + epsilon) / (g_A^2 + epsilon))) on every
                                    element of the update; 0: off (default) */
    double rho;                  /* Sophia: m / max(rho h, epsilon) is what is clipped; 0.05.
                                    h, with GAUSS_NEWTON_BARTLETT, is the curvature of the mean
                                    loss: the published rho times batch size times the square */
    double clip;                 /* Sophia: largest magnitude of an element's update; 1 */
    int curvature_interval;      /* Sophia: steps from curvature to curvature; 10. The same for
                                    all parameters of a handle that have one */
    double exponent;             /* Shampoo: p of L^-p M R^-p: 0.25 (default) or 0.5 */
    double damping;              /* Shampoo: added to every eigenvalue of L and R; 1e-12 */
    double relative_damping;     /* Shampoo: the same times the largest eigenvalue; 1e-6 */
    int root_interval;           /* Shampoo, SOAP: steps from one decomposition to the next; 10 */
    int root_failures;           /* Shampoo, SOAP: decompositions in a row that may fail, more
                                    damping and all, before NUMERICAL; until then the last good
                                    one serves; 3 */
    /* Shampoo: how roots are computed. RATIONAL: to a relative error of 6.5e-5 for eigenvalues
     * above the largest times relative_damping; only without a correction of the roots. Default
     * EIGEN. */
    plumb_root_method root_method;
    int64_t block_size;      /* Shampoo, SOAP: larger dimensions are cut into equal pieces of
                                    at most this, each block with an L and R of its own; 1024 */
    plumb_grafting grafting; /* Shampoo; default AdamW's */
    int bias_correction;     /* Shampoo: 1 (default): averages are divided by the sum of
                                    their weights, as AdamW's are; 0: not */
    plumb_weights weights;   /* Muon: of the singular directions of its update; default none */
    double cost_seconds;     /* of one update of the whole parameter on one rank as measured,
                                    for balancing owners; 0 (default): the library's own estimate.
                                    No result depends on it */
} plumb_parameter_options;

/* Fills `options` with the defaults of `optimizer`. Local. Errors: ARGUMENT. */
plumb_status plumb_parameter_options_init(plumb_parameter_options *options, size_t size,
                                          plumb_optimizer optimizer);

/* The bounds of a numeric option of either struct: lowest and highest value that is accepted. */
typedef struct plumb_bounds {
    double lowest;
    double highest;
    int lowest_excluded;  /* 1: the value must be above `lowest` */
    int highest_excluded; /* 1: the value must be below `highest` */
} plumb_bounds;

/*
 * Bounds of the option called `name` (the field's name, for example "beta2" or "groups"). Local.
 * Errors: ARGUMENT if no option has that name.
 */
plumb_status plumb_option_bounds(const char *name, plumb_bounds *bounds);

/* ------------------------------------------------------------------------------------------
 * 4. The handle and its parameters
 */

/*
 * Creates a handle on a duplicate of `communicator`, whose error handler it sets to
 * MPI_ERRORS_RETURN. The caller's communicator is not used again and may be freed.
 * Collective over `communicator`. MPI must be initialised. `options` may be NULL (defaults) and is
 * copied. On failure *p is NULL and plumb_error_message(NULL) tells why.
 * Errors: ARGUMENT, MEMORY, MPI. Options that differ between ranks are found, and named, by the
 * first plumb_begin_step (MISMATCH).
 */
plumb_status plumb_create(MPI_Comm communicator, const plumb_options *options, plumb **p);

/* The same for Fortran, with the integer handle of the communicator. Collective. */
plumb_status plumb_create_f(MPI_Fint communicator, const plumb_options *options, plumb **p);

/*
 * Frees the handle and everything it holds, and sets *p to NULL. A NULL handle is no error.
 * A step that was begun and not ended is dropped. Collective; after MPI_Finalize it only frees
 * memory.
 */
plumb_status plumb_destroy(plumb **p);

/*
 * Registers a parameter of rows x cols floats. `values` (row-major) belongs to the caller, must
 * stay valid until plumb_destroy, holds the initial values, and is overwritten by every
 * successful step. All ranks register the same parameters in the same order with the same
 * values; the first plumb_begin_step checks names, shapes and options, and makes every rank's
 * values those of the coordinator if they differ (and says so in the log). After the first
 * plumb_begin_step no more can be added.
 * `name`: unique, not empty, at most 127 bytes, copied. `options` NULL: AdamW's defaults.
 * With PLUMB_OPTIMIZER_NONE the step writes `values` and nothing reads or compares them: they may
 * be memory in which the parameter's gradients are handed over, or NULL, on all ranks or none; the
 * mean gradient stays in the library's memory then (plumb_mean_gradient). What the caller makes of
 * it, initial weights included, is the caller's to keep equal on all ranks.
 * *id counts from 0 in order of registration. Every rank calls it; it does not communicate.
 * Errors: ARGUMENT, ORDER, MEMORY, UNSUPPORTED.
 */
plumb_status plumb_add_parameter(plumb *p, const char *name, int64_t rows, int64_t cols,
                                 float *values, const plumb_parameter_options *options, int *id);

/* ------------------------------------------------------------------------------------------
 * 5. One step
 */

/*
 * This rank's micro-batches of a step with `total` in all: first .. first + count - 1. Ranges are
 * contiguous, ordered by (node, rank within the node), and differ by at most one in length.
 * Local. Errors: ARGUMENT if total is smaller than the number of ranks or not divided by G.
 */
plumb_status plumb_share(plumb *p, int64_t total, int64_t *first, int64_t *count);

/*
 * Begins a step of `total` micro-batches. Collective. The first call makes the plan (owners,
 * buckets, routes) at the coordinator and sends it to all. `total` may change between steps.
 * Errors: ARGUMENT (G does not divide total, total smaller than the number of ranks), ORDER (a
 * step is open), MISMATCH (ranks disagree on total, options or parameters), MEMORY, MPI. On
 * failure no step is open.
 */
plumb_status plumb_begin_step(plumb *p, int64_t total);

/*
 * Says what one of this rank's micro-batches was made of. Optional; without it the micro-batch
 * has nominal_samples samples and no loss. If `samples` differs from nominal_samples, call it
 * before the micro-batch's first plumb_accumulate or plumb_accumulate_curvature. Local.
 *   samples    weight of the micro-batch in the mean: sum b_k g_k / sum b_k; a whole number from 1
 *              to 2^30
 *   loss_sum   sum over the samples of the loss (each sample's own mean over its tokens)
 *   norms      `count` norms, one a sample, of the whole per-sample gradient; copied; may be NULL
 *              with count 0. They ride in the step's agreement: plumb_sample_norms.
 * Errors: ARGUMENT (not this rank's micro-batch, samples not such a number), ORDER,
 * NONFINITE (loss or norms), MEMORY.
 */
plumb_status plumb_describe_micro_batch(plumb *p, int64_t micro_batch, double samples,
                                        double loss_sum, const float *norms, int64_t count);

/*
 * Memory of rows x cols floats in which the parameter's next gradient may be written, to be handed
 * to plumb_accumulate without a copy. The contents are undefined. Valid until the next
 * plumb_accumulate of the same parameter or the end of the step. Local.
 * Errors: ARGUMENT, ORDER (no step is open, or all gradients of the parameter are in), MEMORY.
 */
plumb_status plumb_gradient_buffer(plumb *p, int id, float **gradient);

/*
 * Hands over the *mean* gradient (over its samples, rows x cols) of one of this rank's
 * micro-batches. Micro-batches and parameters may come in any order; ascending micro-batches need
 * the least memory: log2(K/P) + 1 partial sums. Memory of the caller's own may be reused on
 * return; memory of plumb_gradient_buffer is the library's again: ask anew for the next gradient.
 * When the last one of a parameter is in, its messages start. Local: it never waits for another
 * rank.
 * A NaN or Inf is found here but reported by plumb_end_step, on all ranks. After any failure of
 * this call (and of the caller's own work) go on to plumb_end_step as the other ranks do: it
 * fails on all of them.
 * Errors: ARGUMENT, ORDER, COVERAGE (given twice), MEMORY, MPI.
 */
plumb_status plumb_accumulate(plumb *p, int id, int64_t micro_batch, const float *gradient);

/*
 * What an estimate of curvature is. All estimate the diagonal of the Hessian, or of its
 * Gauss-Newton part, of the mean loss.
 */
typedef enum plumb_curvature {
    PLUMB_CURVATURE_DIAGONAL = 0,              /* the estimate itself, whatever its source */
    PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT = 1, /* the micro-batch's mean gradient g with labels
                                                  drawn from the model (not the data's): the
                                                  library takes draws g^2 (Liu et al. 2023) */
    PLUMB_CURVATURE_HUTCHINSON = 2 /* z o (H z) for a probe z of random signs; negative elements
                                      are for the optimizer to deal with */
} plumb_curvature;

/*
 * *due = 1 if the open step needs curvature for some parameter: steps 0, k, 2k, ... counted from
 * the first, k the curvature_interval; else 0. Local. Errors: ARGUMENT, ORDER (no step is open).
 */
plumb_status plumb_curvature_due(plumb *p, int *due);

/*
 * Hands over an estimate (rows x cols, copied) of the curvature of one of this rank's
 * micro-batches, for a parameter whose optimizer uses it, in a step for which it is due; then
 * every micro-batch must have one. `draws`: independent label draws (tokens) behind a
 * GAUSS_NEWTON_BARTLETT gradient, a whole number from 1 to 2^52, ignored for the other kinds.
 * Estimates are averaged over micro-batches with the weights of gradients, which clip_norm leaves
 * alone, and travel the same way: for these parameters a step of curvature has twice the bytes on
 * the first leg, and with a correction all groups'. If the step fails, curvature is due again in
 * the next one. Local, as plumb_accumulate.
 * Errors: ARGUMENT (also: the parameter's optimizer uses no curvature), ORDER (not due in this
 * step), COVERAGE (given twice), MEMORY, MPI. NaN and Inf, also of what is squared: as
 * plumb_accumulate.
 */
plumb_status plumb_accumulate_curvature(plumb *p, int id, int64_t micro_batch, plumb_curvature kind,
                                        double draws, const float *estimate);

/*
 * Lets messages proceed; call it now and then during long computations. MPI libraries make little
 * progress on their own. Local. Errors: MPI.
 */
plumb_status plumb_progress(plumb *p);

/* What a step did. Equal on all ranks except where it says "this rank". */
typedef struct plumb_report {
    size_t size;               /* set by the caller to sizeof(plumb_report) before the call */
    int64_t step;              /* steps done, this one included */
    int64_t micro_batches;     /* K */
    int groups;                /* G */
    double samples;            /* sum of the micro-batches' samples */
    double loss;               /* sum of loss_sum / samples, before the update */
    double gradient_norm;      /* Frobenius norm of the mean gradient, all parameters together,
                                 before clipping; under a pipeline, of what the owners formed */
    double clip_factor;        /* 1 if not clipped */
    double correction_clipped; /* share of the elements of corrected parameters whose correction met
                                  its bound in this step */
    double unclipped;          /* share of the elements of Sophia's parameters whose update stayed
                                  within its clip; 1 without such */
    int64_t roots_failed;      /* decompositions of this step that failed at first, all owners */
    int64_t exchange_bytes;    /* sent, or read from another rank's memory, over all ranks, both
                                 legs, a full diagnosis's among them, agreements not counted */
    int64_t exchange_messages; /* the same in messages */
    int64_t panel_bytes;       /* sent between owners of one matrix's row panels, all ranks: not
                                  in exchange_bytes */
    int64_t wire_bytes;        /* those of exchange_bytes that went from host to host */
    double first_leg_ratio;    /* bytes of the first leg over those of a step that sums only */
    double exchange_seconds;   /* longest over ranks: in plumb_reduce and in sending values, waits
                                  included */
    double update_seconds;     /* longest over ranks: computing updates of what a rank owns */
    double diagnosis_seconds;  /* longest over ranks: from a full diagnosis's gradients to its
                                  numbers, waits included; without the way of the gradients, which
                                  is in exchange_seconds. 0 in a step without a full diagnosis */
    double overlap;            /* share of the first leg's bytes, without curvature's and those of
                                 a full diagnosis, that had arrived or left before plumb_reduce
                                 was called; mean over ranks; 1 if nothing crossed */
} plumb_report;

/* A stretch of a parameter and who owns it. */
typedef struct plumb_placement {
    int64_t parameter;    /* its id */
    int64_t first, count; /* elements */
    int64_t owner;        /* rank */
    double seconds;       /* of its update and its way to the owner and back, as estimated */
} plumb_placement;

/*
 * The plan: every stretch of every parameter, in order of parameters and elements, the same on all
 * ranks. Fills list[0 .. capacity - 1] as far as there is something; *count is the number there
 * are. `list` may be NULL if capacity is 0. A matrix that is updated in row panels (Muon with
 * PLUMB_POLAR_FAST, a polar_delta of 0 or from 2.5e-3, the default pipeline and no correction;
 * rows >= cols, 2^20 elements and more) has a stretch for each panel. Owners are chosen by longest
 * processing time first, from the seconds; the sum over an owner's stretches is its estimated work.
 * Local, after the first plumb_begin_step. Errors: ARGUMENT, ORDER.
 */
plumb_status plumb_placements(const plumb *p, plumb_placement *list, int64_t capacity,
                              int64_t *count);

/*
 * Ends the step: delivers the gradients, averages, updates, and gives every rank the new values.
 * Collective, and atomic: if it fails on any rank for whatever reason, values and optimizer state
 * are what they were on every rank, the step is closed, and the run may go on with
 * plumb_begin_step. `report` may be NULL.
 * The exception is MPI itself: when a call of MPI fails on one rank, that rank gets MPI at once,
 * its values may partly be the new ones and its handle can only be destroyed, and the others may
 * wait for its messages for ever. MPI knows no better way out than to end the job (MPI_Abort).
 * After MISMATCH because replicas had drifted apart, the next plumb_begin_step gives every rank
 * the coordinator's values.
 * Errors: NONFINITE, COVERAGE, NUMERICAL, ORDER, MISMATCH, MEMORY, MPI.
 */
plumb_status plumb_end_step(plumb *p, double learning_rate, plumb_report *report);

/*
 * plumb_end_step in two halves: plumb_reduce delivers, averages and agrees (`report` has all but
 * what the update finds: its times, correction_clipped, unclipped and roots_failed), plumb_update
 * computes and sends the values. Between them a rank may look at the report to choose the learning
 * rate, which must be the same on all ranks. Both collective. If plumb_reduce fails the step is
 * closed, and plumb_update must not be called.
 */
plumb_status plumb_reduce(plumb *p, plumb_report *report);
plumb_status plumb_update(plumb *p, double learning_rate, plumb_report *report);

/*
 * The per-sample norms of the last successful plumb_reduce, of all ranks, in the order of
 * micro-batches; *count is 0 if nobody gave any. The memory belongs to the handle and is valid
 * until the next plumb_begin_step. Local. Errors: ARGUMENT.
 */
plumb_status plumb_sample_norms(const plumb *p, const float **norms, int64_t *count);

/*
 * What the last successful plumb_end_step or plumb_update made of the gradients of a parameter of
 * PLUMB_OPTIMIZER_NONE: their mean, clipped and orthogonalised as the options say, rows x cols.
 * Every rank has it, with the same bits for any rank count and owner map unless the exchange is
 * PLUMB_EXCHANGE_ALLREDUCE. The memory is the library's, or the parameter's values, and may be read until the next plumb_begin_step or
 * plumb_destroy; other ranks of the node may be reading it too. Local.
 * Errors: ARGUMENT (another optimizer), ORDER (no step, or the last one failed).
 */
plumb_status plumb_mean_gradient(const plumb *p, int id, const float **mean);

/*
 * The average of a parameter's values that plumb_options.average_weights asks for, rows x cols.
 * Every rank has it, with the same bits. Local.
 * Errors: ARGUMENT (PLUMB_OPTIMIZER_NONE too), ORDER (no average was asked for, or no step has
 * counted yet).
 */
plumb_status plumb_averaged_values(const plumb *p, int id, float *values);

/*
 * XXH3 128-bit hash, as 32 hexadecimal digits and a 0, of this rank's parameters: the 32-bit
 * floats in order of registration, without parameters of PLUMB_OPTIMIZER_NONE. Local.
 * Errors: ARGUMENT, ORDER (no parameters).
 */
plumb_status plumb_parameters_hash(const plumb *p, char hash[33]);

/* Compares that hash over all ranks. Collective. Errors: MISMATCH, naming the rank; MPI. */
plumb_status plumb_check_replicas(plumb *p);

/* ------------------------------------------------------------------------------------------
 * 6. Calls that need no handle
 */

/*
 * The mean of `total` vectors of `length` floats that are spread over the ranks of
 * `communicator`, in the canonical order, on every rank: the bits do not depend on the rank count.
 * This rank gives its plumb_average_share of them, one after the other: vectors[count][length].
 * samples[count], whole numbers, weighs them (NULL: all equal); mean[length] may not overlap
 * vectors.
 * Collective. Errors: ARGUMENT, MISMATCH, NONFINITE, MEMORY, MPI.
 */
plumb_status plumb_average(MPI_Comm communicator, int64_t total, int64_t length,
                           const float *vectors, const double *samples, float *mean);

/* Which of `total` vectors this rank gives to plumb_average. Collective. Errors: ARGUMENT, MPI. */
plumb_status plumb_average_share(MPI_Comm communicator, int64_t total, int64_t *first,
                                 int64_t *count);

typedef struct plumb_polar_options {
    size_t size;           /* sizeof(plumb_polar_options) */
    int steps;             /* iterative methods; 0: 5 for Newton-Schulz, 6 for Polar Express.
                              FAST: poles, up to 16; 0: as few as leave an error of at most 0.013
                              in the 2-norm */
    double rank_tolerance; /* SVD: singular values at most this times the largest count as zero;
                              0: the default, 3e-8. EXACT: the same, at least 1e-6; 0: none */
    double delta;          /* FAST: relative to the largest singular value, 1e-4 to 1; 0: 1e-2 */
} plumb_polar_options;

/*
 * The polar factor U V' of the thin singular value decomposition of `matrix` (rows x cols), or
 * its approximation by `method`, into `polar` (rows x cols; may be the same memory, or else must
 * not overlap). `options` may be NULL. Any shape with rows, cols >= 1. The result does not depend
 * on the matrix's scale (1e-30 to 1e30): it is scaled by a power of two first. Zero gives zero.
 * Rank-deficient input: SVD gives the partial isometry U_r V_r' over the singular values above the
 * tolerance; the iterative methods leave small singular values small. Local, deterministic.
 * Errors: ARGUMENT (SVD: also if both dimensions exceed 20,000, the limit of LAPACK's 32-bit
 * counts), NONFINITE (polar is untouched), MEMORY, NUMERICAL.
 * Sources: Higham, Functions of Matrices (2008), chapter 8; K. Jordan, Muon (2024);
 * Amsel et al., Polar Express (arXiv 2505.16932).
 */
plumb_status plumb_polar(plumb_polar_method method, int64_t rows, int64_t cols, const float *matrix,
                         float *polar, const plumb_polar_options *options);

/*
 * The polar factors of `count` matrices of one shape, one behind the other: matrices and polars
 * [count][rows][cols]. The same bits as plumb_polar one by one; faster for small ones. Local.
 * Errors: as plumb_polar, naming the matrix; polars is then undefined.
 */
plumb_status plumb_polar_batch(plumb_polar_method method, int64_t count, int64_t rows, int64_t cols,
                               const float *matrices, float *polars,
                               const plumb_polar_options *options);

typedef struct plumb_inverse_root_options {
    size_t size;              /* sizeof(plumb_inverse_root_options) */
    plumb_root_method method; /* default EIGEN */
    double condition; /* RATIONAL: the largest ratio of eigenvalues, damping included, for which the
                         error is bounded, 1 to 1e10; 0: 1e4 */
    double tolerance; /* RATIONAL: relative error asked for of each eigenvalue, rounding apart: as
                         many poles as that needs; 1e-6 to 0.1; 0: 6.5e-5, which leaves 5e-5 in
                         the Frobenius norm, rounding included */
    double damping;   /* added to every eigenvalue; default 0 */
    double relative_damping;     /* the same times the largest eigenvalue; default 0 */
    plumb_correction correction; /* NONE, SECOND_ORDER, WISHART, JACKKNIFE, HALF_SAMPLE,
                                    PAPER_DIAGONAL */
    double wishart_samples; /* WISHART: N, independent normal columns behind the mean; above 0 */
} plumb_inverse_root_options;

/*
 * The power -1/root, root 1, 2 or 4, of the mean of `count` symmetric matrices, equally weighted:
 * samples[count][n][n] in double, of which the lower triangles are read; result[n][n]. Corrected,
 * it estimates the power of the samples' expectation: the power of a mean of few samples is biased
 * upwards (docs/corrections.md; T2 and its Wishart form: second-order perturbation by divided
 * differences, Higham 2008, chapter 3). `options` may be NULL. Every correction but WISHART needs
 * two samples, HALF_SAMPLE an even number. Where a JACKKNIFE or HALF_SAMPLE is not positive
 * definite the answer is that of SECOND_ORDER. Local, deterministic.
 * Errors: ARGUMENT (RATIONAL: also what more than 16 poles would be needed for), NONFINITE, MEMORY,
 * NUMERICAL (an eigenvalue that is not positive, damping included; RATIONAL does not see one
 * between 0 and about the largest over -3 `condition`, and gives those below the largest over
 * `condition` a bounded power). On failure result is untouched.
 */
plumb_status plumb_inverse_root(int root, int64_t n, int64_t count, const double *samples,
                                double *result, const plumb_inverse_root_options *options);

typedef enum plumb_schedule_shape {
    PLUMB_SCHEDULE_CONSTANT = 0,
    PLUMB_SCHEDULE_COSINE = 1 /* half a cosine from peak to floor (Loshchilov, Hutter 2017) */
} plumb_schedule_shape;

typedef struct plumb_schedule {
    size_t size; /* sizeof(plumb_schedule) */
    plumb_schedule_shape shape;
    double peak;           /* rate after the warm-up */
    double floor_fraction; /* rate at the end, as a fraction of peak; cosine only */
    int64_t warm_up;       /* steps of linear warm-up: step t of them has peak (t+1)/warm_up */
    int64_t steps;         /* steps in all */
} plumb_schedule;

/* The learning rate of step 0 .. steps-1 (later steps keep the last one's). Local. ARGUMENT. */
plumb_status plumb_schedule_rate(const plumb_schedule *schedule, int64_t step, double *rate);

/*
 * Compares `text`, lines of "field = value", over the ranks: a helper for programs that want to be
 * sure that all ranks were started alike. Collective. Errors: MISMATCH; plumb_error_message(NULL)
 * then names the first differing line and the rank; MPI, MEMORY.
 */
plumb_status plumb_compare_setup(MPI_Comm communicator, const char *text);

/* What the library found on this machine. Strings are static or cut to fit. */
typedef struct plumb_environment {
    size_t size;               /* set by the caller to sizeof(plumb_environment) */
    char blas_library[64];     /* such as "OpenBLAS 0.3.21", or "unknown" */
    char blas_kernel[32];      /* the kernel in use, such as "SkylakeX", or "unknown" */
    char blas_kernel_best[32]; /* the OPENBLAS_CORETYPE that fits this CPU; "" if in use or n/a */
    int blas_threads;          /* threads a rank; 0 if unknown */
    char vector_unit[16];      /* "avx512", "avx2" or "sse2": the CPU's */
} plumb_environment;

/*
 * Looks at BLAS and CPU. Needs no MPI and may be called before MPI_Init, so that a program can set
 * OPENBLAS_CORETYPE and start itself again. Local. Errors: ARGUMENT.
 */
plumb_status plumb_inspect_environment(plumb_environment *environment);

/*
 * What the library holds at this moment, in all handles together: nothing after the last
 * plumb_destroy. This rank's part of memory that it shares with the other ranks of its node is
 * counted, theirs is not. Local. Either pointer may be NULL.
 */
plumb_status plumb_memory_in_use(int64_t *allocations, int64_t *bytes);

/* ------------------------------------------------------------------------------------------
 * 7. Diagnostics: is a step limited by bias, by variance, or by neither?
 *
 * A quantity that the data cannot give (one group, zero gradients, a signal within its own noise)
 * is NAN here and "not available" in words; it is never guessed. Samples are independent draws;
 * Sigma is the covariance of one sample's gradient, S its unbiased estimate from a finite data set
 * (divisor N-1). Formulas and what they rest on: docs/diagnostics.md.
 */

/*
 * gram[count][count] += the inner products of `count` vectors of `length` floats, in double, over
 * fixed blocks of 4096 elements: stretches of a longer vector that begin at multiples of 4096, and
 * the layers of a model, add up. The caller sets gram to zero first. Local, deterministic.
 * Errors: ARGUMENT, NONFINITE, MEMORY; gram is untouched then.
 */
plumb_status plumb_gram(int64_t count, int64_t length, const float *const *vectors, double *gram);

/* The size of the noise in a mean gradient. */
typedef struct plumb_noise {
    size_t size;               /* set by the caller to sizeof(plumb_noise) */
    int64_t count;             /* gradients behind it: micro-batches or groups */
    double samples;            /* B, theirs together */
    double squared_norm;       /* |mean|^2 */
    double small_squared_norm; /* sum b_k |g_k|^2 / B: that of one of them */
    double trace;              /* tr S, unbiased whatever the b_k; needs no correction for a finite
                                   population */
    double trace_error;        /* standard errors: leave-one-out jackknife; NAN without a Gram
                                   matrix or below three gradients */
    double signal;             /* |true gradient|^2, unbiased: |mean|^2 - (1 - B/N) tr S / B; may
                                   be negative */
    double signal_error;
    double scale; /* tr S / |true gradient|^2, in samples (McCandlish et al. 2018,
                                   arXiv 1812.06162: the simple noise scale); NAN: undetermined,
                                   the signal is not above twice its error */
    double scale_error;
    double plateau; /* 1 / (1 + scale (1 - B/N) / B): the squared cosine of the mean
                                   with the true gradient, from norms alone */
} plumb_noise;

/*
 * From the Gram matrix of `count` gradients, the means of samples[k] samples each (NULL: 1 each).
 * population: N of a data set that is sampled without replacement; 0: endless. Local.
 * Errors: ARGUMENT, NONFINITE. One gradient: all but the norms are NAN, which is no error; two:
 * the standard errors are, and scale only where the signal is not positive.
 */
plumb_status plumb_noise_scale(int64_t count, const double *samples, const double *gram,
                               double population, plumb_noise *noise);

/*
 * The same from the squared norms of the gradients and of their mean sum b_k g_k / B, without the
 * standard errors (scale is then NAN only where the signal is not positive). With two sizes of
 * batch, McCandlish's pair of estimates: the same numbers. Local. Errors: ARGUMENT, NONFINITE.
 */
plumb_status plumb_noise_from_norms(int64_t count, const double *samples,
                                    const double *squared_norms, double mean_squared_norm,
                                    double population, plumb_noise *noise);

/* Moving averages of trace and signal over steps, each for itself: the mean of their ratios would
 * be biased upwards. Steps weigh equally, whatever the size of their gradients: each is taken over
 * its small_squared_norm. */
typedef struct plumb_noise_average {
    size_t size; /* set by plumb_noise_average_init; all members are the library's */
    double beta; /* fraction kept at each step */
    int64_t steps;
    double weight, squared_weight, norm;
    double trace, signal, trace_squares, signal_squares, products;
} plumb_noise_average;

/* Local. Errors: ARGUMENT (beta outside [0, 1)). */
plumb_status plumb_noise_average_init(plumb_noise_average *average, size_t size, double beta);
/* A step whose trace or signal is NAN, or whose gradients are zero, is left out. Local.
 * ARGUMENT. */
plumb_status plumb_noise_average_add(plumb_noise_average *average, const plumb_noise *noise);
/* trace and signal at the average small_squared_norm, scale, and their errors, from the spread over
 * the steps taken as independent; count, samples and the norms are those of `last`. Local. Errors:
 * ARGUMENT. */
plumb_status plumb_noise_average_result(const plumb_noise_average *average, const plumb_noise *last,
                                        plumb_noise *noise);

/* What a batch of `samples` is worth at noise scale B_n (McCandlish et al., eq. 2.6, 2.11). */
typedef struct plumb_batch_effect {
    size_t size;
    double steps;            /* steps over the fewest possible: 1 + B_n/B */
    double examples;         /* samples over the fewest possible: 1 + B/B_n */
    double rate;             /* best learning rate of SGD over its largest: 1 / (1 + B_n/B) */
    double temperature;      /* rate (1 - B/N) / (B (1 - beta1)) */
    double linear_rate;      /* learning rate at `other_samples` by the linear rule, */
    double square_root_rate; /* and by the square root's, which keeps the step's covariance */
} plumb_batch_effect;

/* Local. Errors: ARGUMENT. noise_scale NAN: the first three are NAN. */
plumb_status plumb_batch_effects(double samples, double noise_scale, double learning_rate,
                                 double beta1, double population, double other_samples,
                                 plumb_batch_effect *effect);

/* The batch at which |g|^2 error falls to theta^2 |G|^2 (the norm test, Byrd et al. 2012), in
 * samples; NAN if undetermined. Local. Errors: ARGUMENT. */
plumb_status plumb_norm_test(const plumb_noise *noise, double theta, double *samples);

/*
 * The noise scale of steps that orthogonalise: such a step gains with the nuclear norm |G|_* of the
 * true gradient and loses with that of its error, so the batch at which both are equal is
 * (sqrt(B) E |g - G|_* / |G|_*)^2, with the noise of the mean g of all B samples: for few samples
 * sqrt(b) E |g_b - G|_* still grows with b. From groups[count] of rows x cols, the means of
 * samples[k] samples each (NULL: 1). |G|_* is free of bias to second order in the noise; of higher
 * order, the scale is 1 % too small at B/10, 15 % at B, and above B a lower bound.
 * NAN: fewer than two groups, or a cross-validated signal not above 3 of its errors; the error also
 * with two groups, and it may be NULL. Local. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status plumb_nuclear_noise_scale(int64_t rows, int64_t cols, int64_t count,
                                       const double *samples, const float *const *groups,
                                       double *scale, double *error);

/*
 * The largest `most` eigenvalues of the per-sample covariance from the Gram matrix of `count`
 * gradients: eigenvalues[most] as they are, reduced[most] by noise reduction (Yata and Aoshima
 * 2012: a sample of few vectors in many dimensions inflates each by about trace/(count-1)), and
 * coefficients[most][count] of the eigenvectors: vector j is sum_k coefficients[j][k] g_k, of
 * norm 1. Any pointer may be NULL. Entries there is nothing for are NAN (vectors: 0). Local.
 * Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status plumb_covariance_spectrum(int64_t count, const double *samples, const double *gram,
                                       int64_t most, double *eigenvalues, double *reduced,
                                       double *coefficients);

/* y = A x for a symmetric A; on a communicator every rank gets the same x and must give the same
 * y. Not PLUMB_OK: the iteration ends with that status. */
typedef plumb_status (*plumb_symmetric_operator)(void *context, int64_t length, const double *x,
                                                 double *y);

/*
 * The `most` largest (or, `magnitude` 1, largest in magnitude) eigenvalues of a symmetric operator
 * by Lanczos iteration with full reorthogonalisation, from a fixed start; residuals[j] =
 * |A v - lambda v|, vectors[most][length] may be NULL. steps: 0: as many as `tolerance` (relative
 * to the largest) asks for, up to 10 most + 100; else at most that many. Any result may be NULL. A
 * multiple eigenvalue may be found only once. Local, deterministic.
 * Errors: ARGUMENT, MEMORY, NONFINITE, NUMERICAL (not converged: results are those so far).
 */
plumb_status plumb_lanczos(int64_t length, plumb_symmetric_operator apply, void *context,
                           int64_t most, int magnitude, int64_t steps, double tolerance,
                           double *eigenvalues, double *residuals, double *vectors);

/*
 * The same of the covariance of many gradients, spread over the ranks: this rank gives `count` of
 * `total`, no fewer than ranks, by plumb_average_share(total): vectors[count][length].
 * samples[count] or NULL. Equal bits for every number of ranks. One gradient: NAN. Collective.
 * Errors: ARGUMENT, MISMATCH, NONFINITE, MEMORY, MPI, NUMERICAL.
 */
plumb_status plumb_covariance_lanczos(MPI_Comm communicator, int64_t total, int64_t length,
                                      const float *vectors, const double *samples, int64_t most,
                                      double tolerance, double *eigenvalues, double *residuals,
                                      double *eigenvectors);

/*
 * Bias and variance of an orthogonalised update. Z_k = Ortho(G_k) of one group, n groups. Squared
 * Frobenius norms. Divided by min(rows, cols) they are shares of the update's own.
 */
typedef struct plumb_update_noise {
    size_t size;           /* set by the caller to sizeof(plumb_update_noise) */
    int64_t count;         /* n groups */
    double variance;       /* of one Z_k: sum |Z_k - mean Z|^2 / (n-1) */
    double variance_error; /* standard errors: jackknife over groups or pairs, three at least */
    double bias;           /* |E Z_k - Ortho(E G)|^2 of one group, from pairs of groups: unbiased,
                              may be negative; NAN below four groups */
    double bias_error;
    double normal_share;  /* part of the bias that only shrinks the update: re-orthogonalising
                              removes it; the rest is a turn. An estimate, which may lie
                              outside 0 to 1. NAN where bias is not above rounding */
    double step_bias;     /* of Ortho(mean G), which is the step: bias / n^2, to first order */
    double step_variance; /* variance / n */
    double ratio;         /* step_bias / step_variance: above 1 bias limits; NAN where variance is
                              rounding, below 1e-12 of the update's square */
    double ratio_error;
    double streamed_ratio; /* the same for the mean of the Z_k: n bias / variance */
} plumb_update_noise;

/*
 * From n groups of equal samples, groups[count] of rows x cols. Pairs j of consecutive groups give
 * D_j = (Z_2j-1 + Z_2j)/2 - Ortho((G_2j-1 + G_2j)/2), in which the first-order noise cancels, and
 * bias = 4 (|sum D|^2 - sum |D|^2) / (J (J-1)): by half the samples the bias is half. `options` may
 * be NULL; a method that is not convergent (NEWTON_SCHULZ) measures its own error too. Local.
 * Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL. One group: NAN.
 */
plumb_status plumb_update_bias(plumb_polar_method method, int64_t rows, int64_t cols, int64_t count,
                               const float *const *groups, const plumb_polar_options *options,
                               plumb_update_noise *noise);

/*
 * The second-order bias of Ortho(mean of the groups) itself, by the expansion of
 * docs/corrections.md with the groups' spread: bias[rows][cols] (NULL: not wanted), its squared
 * norm, and that of its tangent part (a turn), the rest being normal to the orthogonal frames (a
 * shrinkage). Local. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL. Rank-deficient mean, one
 * group: NAN.
 */
plumb_status plumb_polar_bias(int64_t rows, int64_t cols, int64_t count, const float *const *groups,
                              double *bias, double *squared_norm, double *tangent);

/*
 * The closed form for independent entries of equal variance: with singular values s[min(rows,cols)]
 * all positive, E Ortho - U V' = -U diag(bias) V', bias_i = variance ((longer - shorter)/(2 s_i^2)
 * + sum_k 1/(s_i + s_k)^2, k != i), and *error the expected squared distance. Local. ARGUMENT.
 */
plumb_status plumb_isotropic_polar_bias(int64_t rows, int64_t cols, const double *singular_values,
                                        double variance, double *bias, double *error);

/*
 * Richardson extrapolation: from means of updates at batch m and 2m, result = 2 fine - coarse, and
 * coefficient = 2m (coarse - fine), the c of bias c/m (either may be NULL). Not an isometry. Local.
 * Errors: ARGUMENT, NONFINITE.
 */
plumb_status plumb_richardson(int64_t length, double batch, const float *coarse, const float *fine,
                              double *result, double *coefficient);

/*
 * Spectral echo: how much of a singular direction of the true gradient is left in the measured one,
 * <u, u_hat> <v, v_hat>. For a true singular value s in noise of independent entries of variance
 * sigma^2 (of the matrix whose decomposition is taken), exact for large matrices (Benaych-Georges
 * and Nadakuditi 2012). Below the threshold nothing is left.
 */
typedef struct plumb_echo {
    size_t size;
    double threshold;   /* least s with an echo: sigma (rows cols)^(1/4) */
    double edge;        /* largest singular value of the noise alone */
    double observed;    /* s_hat */
    double left, right; /* squared cosines of u and v */
    double echo;
} plumb_echo;

/* Local. Errors: ARGUMENT. */
plumb_status plumb_echo_law(int64_t rows, int64_t cols, double variance, double signal,
                            plumb_echo *echo);

/* The s behind an observed singular value; 0 at and below the edge. Local. Errors: ARGUMENT. */
plumb_status plumb_echo_signal(int64_t rows, int64_t cols, double variance, double observed,
                               double *signal);

typedef enum plumb_echo_form {
    PLUMB_ECHO_EXACT = 0,     /* plumb_echo_law's */
    PLUMB_ECHO_HILL_TAIL = 1, /* 1/(1 + tau^2/s^2), tau^2 = sigma^2 (m + n)/2: right for large s */
    PLUMB_ECHO_HILL_HALF = 2, /* tau^2 so that echo 1/2 is in the right place */
    PLUMB_ECHO_HILL_EDGE = 3, /* tau^2 = sigma^2 (sqrt m + sqrt n)^2, the source's proxy */
    PLUMB_ECHO_SIMPLE = 4     /* (1 - m n sigma^4/s^4) / (1 + (m + n) sigma^2/(2 s^2)): exact for
                                 square matrices, within 0.05 to 16:1 */
} plumb_echo_form;

/* The echo of s by a form. Local. Errors: ARGUMENT. */
plumb_status plumb_echo_value(plumb_echo_form form, int64_t rows, int64_t cols, double variance,
                              double signal, double *echo);

typedef enum plumb_shrinker {
    PLUMB_SHRINK_FROBENIUS = 0, /* optimal singular values for that loss (Gavish, Donoho 2017) */
    PLUMB_SHRINK_OPERATOR = 1,  /* s where rows = cols, else less (Leeb 2020, arXiv 2005.11807) */
    PLUMB_SHRINK_NUCLEAR = 2,
    PLUMB_SHRINK_HARD = 3 /* keep or drop at the optimal threshold (Gavish, Donoho 2014) */
} plumb_shrinker;

/* What an observed singular value should be replaced by. Local. Errors: ARGUMENT. */
plumb_status plumb_shrink(plumb_shrinker shrinker, int64_t rows, int64_t cols, double variance,
                          double observed, double *shrunk);

typedef enum plumb_variance_estimate {
    PLUMB_VARIANCE_MEAN = 0,    /* squared deviations from the mean */
    PLUMB_VARIANCE_PAIRWISE = 1 /* squared differences of consecutive gradients: no mean needed */
} plumb_variance_estimate;

/* Variance of one entry of the mean of the `count` vectors. Local. Errors: ARGUMENT, NONFINITE. */
plumb_status plumb_noise_variance(plumb_variance_estimate kind, int64_t count, int64_t length,
                                  const float *const *vectors, double *variance);

/*
 * The sigma^2 whose exact law fits the measured echoes of known signals best in least squares, and
 * its standard error from the residuals (NULL: not wanted; one signal: NAN). Both NAN where any
 * large sigma^2 would do as well: no signals, or nothing left of them. Local. Errors: ARGUMENT.
 */
plumb_status plumb_echo_fit(int64_t rows, int64_t cols, int64_t count, const double *signals,
                            const double *echoes, double *variance, double *error);

typedef enum plumb_echo_method {
    PLUMB_ECHO_CROSS_VALIDATED = 0, /* singular directions of all groups but one, met by the one:
                                       no model of the noise (default) */
    PLUMB_ECHO_PLUG_IN = 1,         /* the exact law with the groups' variance */
    PLUMB_ECHO_REVERB = 2           /* overlaps between the groups' own directions, with the
                                       corrected denominator; says nothing of weak directions */
} plumb_echo_method;

typedef struct plumb_echo_options {
    size_t size; /* sizeof(plumb_echo_options) */
    plumb_echo_method method;
    int64_t most; /* leading directions that are wanted; 0: all of min(rows, cols) */
    int whiten;   /* 1: of gradients whose rows and columns are scaled so that the noise has equal
                     variance in all rows and in all columns. Default 0 */
    int folds;    /* CROSS_VALIDATED: a divisor of the groups; 0: one a group */
} plumb_echo_options;

/*
 * Echo of the leading singular directions of the mean of groups[count] (rows x cols, equal
 * samples): observed[most] singular values of the mean, signals[most] estimated true ones,
 * echoes[most] in [0, 1], non-increasing. Any of the three may be NULL. `options` may be NULL.
 * Local. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL. One group or fold, or a mean of zero:
 * signals and echoes are NAN. REVERB: from the first direction on that single groups keep less than
 * half of, too. whiten without noise: all three. Observed values below about 1e-6 of the largest
 * are 0, and so are their echoes.
 */
plumb_status plumb_echo_spectrum(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups, const plumb_echo_options *options,
                                 double *observed, double *signals, double *echoes);

/*
 * sum w_i u_i v_i' over the singular directions of the mean, w_i their echoes: of all weightings
 * the one nearest to the true polar factor. result[rows][cols]. What is NAN or not among `most`
 * weighs nothing. Local. Errors: as above; one group or fold, whiten: ARGUMENT.
 */
plumb_status plumb_echo_polar(int64_t rows, int64_t cols, int64_t count, const float *const *groups,
                              const plumb_echo_options *options, float *result);

/*
 * The echo as measured, with no model of the noise: of the singular directions of the mean of all
 * groups but one (a stand-in for the true gradient: it takes some ten groups or more) in that one
 * group, averaged over the groups. variance: of an entry of one group; signals[most]: singular
 * values of the stand-in, corrected for its own noise, 0 where they are within it; echoes[most]:
 * <u, u_hat> <v, v_hat> with the nearest direction of the group, so that two noises of d directions
 * meet by some parts in d; errors[most]: standard errors. To be held against plumb_echo_value at
 * that variance. Of `options` most, whiten and folds count (a fold of several groups counts as one
 * group); whiten 2: by the inverse roots of the noise's whole covariances of rows and of columns,
 * which takes many more groups than the longer side over the shorter one. Any result may be NULL.
 * Gradients of zero: signals, echoes and errors are NAN.
 * Local. Errors: ARGUMENT, NONFINITE, MEMORY, NUMERICAL.
 */
plumb_status plumb_echo_held_out(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups, const plumb_echo_options *options,
                                 double *variance, double *signals, double *echoes, double *errors);

/*
 * What a handle found out (plumb_options.diagnostics), over one parameter or all of them together.
 * Equal on all ranks, and equal bits for every rank count and owner map (under
 * PLUMB_EXCHANGE_ALLREDUCE `noise` depends on the rank count). What cannot be computed is NAN, is
 * said once in the log, and never fails a step; only a lack of memory does.
 * - `noise` is NAN, but for small_squared_norm, where the pipeline forms no mean of the gradients:
 *   under all but the first and NORMALISED_WITH_NORM. The rest is of the gradients themselves.
 * - More than 32 groups are taken together to the largest divisor of G that is at most 32.
 * - update, nuclear_scale and echo are NAN for matrices of a shorter side above 1024 or of more
 *   than 2^24 elements; update and echo also where groups differ in their number of samples.
 * - Of all together: Gram matrices and what follows from them add up over parameters. update sums
 *   over the matrices that have one, errors in quadrature; normal_share is weighted with the bias.
 */
typedef struct plumb_diagnosis {
    size_t size;               /* set by the caller to sizeof(plumb_diagnosis) */
    int64_t step;              /* the step that it was taken in, even if its update failed
                                  afterwards; 0: none yet, the rest is NAN */
    int64_t full_step;         /* likewise, of all from `groups` on */
    plumb_noise noise;         /* over micro-batches, of that step */
    plumb_noise groups;        /* FULL: over groups, with jackknife errors */
    double eigenvalue;         /* FULL: largest of the per-sample covariance, noise-reduced */
    double eigenvalue_share;   /* FULL: of the trace */
    plumb_update_noise update; /* FULL, matrices: of the orthogonalised update; of all: sums */
    double nuclear_scale;      /* FULL, matrices: plumb_nuclear_noise_scale; of all: the median */
    double echo;               /* FULL, matrices: mean echo of the directions, weight 1 each; the
                                     squared length of an echo-weighted polar factor, per direction,
                                     is the mean of its square */
    int64_t directions;        /* FULL: singular directions with an echo above 1/2, */
    int64_t directions_of;     /* of so many */
} plumb_diagnosis;

/* id: of a parameter, or -1: all together. After a successful plumb_reduce. Local.
 * Errors: ARGUMENT, ORDER (diagnostics are off). */
plumb_status plumb_diagnose(const plumb *p, int id, plumb_diagnosis *diagnosis);

/*
 * The echo spectrum of a matrix at the last full diagnosis: the arrays have `capacity` places
 * (NULL: not wanted), *count is how many directions there are; 0: none, or not a matrix. Local.
 * Errors: ARGUMENT, ORDER.
 */
plumb_status plumb_diagnose_spectrum(const plumb *p, int id, int64_t capacity, double *observed,
                                     double *signals, double *echoes, int64_t *count);

typedef enum plumb_limit {
    PLUMB_LIMIT_UNKNOWN = 0, /* not enough data */
    PLUMB_LIMIT_BIAS = 1,
    PLUMB_LIMIT_VARIANCE = 2,
    PLUMB_LIMIT_NEITHER = 3
} plumb_limit;

typedef struct plumb_advice_input {
    size_t size;
    plumb_noise noise;         /* averaged over steps; samples: of one step */
    plumb_update_noise update; /* of orthogonalising steps; variance NAN: there are none */
    int64_t micro_batches;     /* of a step */
    int groups;
    int ranks;
    int orthogonalises_first; /* 1: the pipeline averages orthogonalised gradients */
} plumb_advice_input;

typedef struct plumb_advice {
    size_t size;
    plumb_limit limit;
    double samples;       /* batch at which returns diminish: the noise scale; NAN: unknown */
    double samples_error; /* standard error */
    char text[1024];      /* in words, with error bars: what limits, and what to change */
} plumb_advice;

/* Local, no numbers but those it was given. Errors: ARGUMENT. */
plumb_status plumb_advise(const plumb_advice_input *input, plumb_advice *advice);

#ifdef __cplusplus
}
#endif

#endif /* PLUMB_H */
