/*
 * The iteration that Newton-Schulz and Polar Express share: odd polynomials of degree five applied
 * to the singular values of a matrix by products alone. The methods differ in coefficients only.
 */
#ifndef PLUMB_LINALG_POLAR_QUINTIC_H
#define PLUMB_LINALG_POLAR_QUINTIC_H

#include "linalg/polar_methods.h"

/* x -> linear x + cubic x^3 + quintic x^5 */
typedef struct quintic {
    float linear, cubic, quintic;
} quintic;

/* The polynomial of step 0, 1, ... of a method. */
typedef quintic (*quintic_schedule)(int step);

/* How the symmetric products are formed: all of them, or one triangle where that is faster. */
typedef enum quintic_products {
    QUINTIC_FULL_PRODUCTS = 0,
    QUINTIC_HALF_PRODUCTS = 1
} quintic_products;

/*
 * polar = U p(S/|S|) V', where matrix = U S V', |S| is the Frobenius norm, and p is the
 * composition of the first problem->steps polynomials of the schedule. Errors: MEMORY.
 */
plumb_status polar_by_quintics(const polar_problem *problem, quintic_schedule schedule,
                               quintic_products products);

#endif
