/*
 * The byte-level GPT once more, in double and with plain loops: what the fast one has to agree
 * with. It shares no code with it, only the order and the shapes of the parameters.
 */
#ifndef SUPPORT_REFERENCE_GPT_H
#define SUPPORT_REFERENCE_GPT_H

typedef struct reference_gpt {
    int layers, width, heads, context;
} reference_gpt;

/* Number of parameters, and elements of one. */
int reference_gpt_parameters(const reference_gpt *shape);
int reference_gpt_size(const reference_gpt *shape, int parameter);

/*
 * Mean loss in nats per token of the `length` <= context predictions in bytes[length + 1]. If
 * `gradients` is not NULL, weight times the loss's gradient is added to it; if `logits` is not
 * NULL, it receives length x 256. values[parameter][element], gradients likewise.
 */
double reference_gpt_loss(const reference_gpt *shape, double *const *values, int length,
                          const unsigned char *bytes, double weight, double *const *gradients,
                          double *logits);

#endif
