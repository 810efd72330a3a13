/*
 * SOAP's bases: the eigenvectors of averages of g g' and g' g, block by block, which change every
 * root_interval updates from the second on. Where a factor has none yet, in the first update or
 * because its gradients were 0, its basis is the identity.
 */
#ifndef PLUMB_OPTIM_SOAP_BASIS_H
#define PLUMB_OPTIM_SOAP_BASIS_H

#include "optim/blocks.h"
#include "optim/optimizer.h"

/* States in double; averages and bases of both sides: SOAP_BASIS + PRODUCT_LEFT and so on. */
enum {
    SOAP_AVERAGE = 0,
    SOAP_BASIS = 2,
    SOAP_STANDING = 4, /* [blocks][sides], shampoo_decompose.h */
    SOAP_MATRIX_STATES = 5
};

typedef struct soap_bases {
    const optimizer_input *input;
    block_grid grid;
    double *memory;    /* all of the work space */
    double *change[2]; /* [n][n]: from the old basis of the block to the new, of each side */
    double *elements, *product, *result; /* [rows][cols] of a block */
    double *statistic, *overlap;         /* [n][n] */
    bool changed;                        /* whether `change` is anything but the identity */
} soap_bases;

/* Work space for the largest block. Errors: MEMORY; nothing to free then. */
plumb_status soap_bases_create(const optimizer_input *input, soap_bases *s);
void soap_bases_free(soap_bases *s);

/*
 * The new averages and bases of a block, and how the bases change. Errors: as shampoo_decompose,
 * MEMORY.
 */
plumb_status soap_bases_renew(soap_bases *s, const block *b);

/* A block of `from` (the whole matrix) in the new basis, into the same place of `to`; and back. */
void soap_bases_enter(const soap_bases *s, const block *b, const float *from, float *to);
void soap_bases_leave(const soap_bases *s, const block *b, const float *from, float *to);

/* A block of `from`, in the old basis, in the new one. Only where s->changed; else it is a copy. */
void soap_bases_move(const soap_bases *s, const block *b, const float *from, float *to);

#endif
