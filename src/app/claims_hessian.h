/*
 * The subject that compares gradient noise with curvature, on images in place of drawn data.
 */
#ifndef APP_CLAIMS_HESSIAN_H
#define APP_CLAIMS_HESSIAN_H

#include "app/claims_perceptron.h"
#include "app/claims_subject.h"

/* `images` has to outlive it. */
claims_subject claims_hessian_on(const claims_images *images);

#endif
