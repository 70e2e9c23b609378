/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong answers, one for each target, put between the target and its layer by the linker (--wrap): a target whose
 * invariants do not notice is worth nothing. Built with PLANTED_<target>; a test holds when the replay of the seeds
 * fails (fuzz.<target>.planted).
 */
#include "fuzz.h"

#ifdef PLANTED_deframe
#include "wire/message.h"

int __real_mote_deframer_next(struct mote_deframer *deframer, struct mote_slice *input, struct mote_message *message,
                              bool *ready);
int __wrap_mote_deframer_next(struct mote_deframer *deframer, struct mote_slice *input, struct mote_message *message,
                              bool *ready);

/* Lengths read as signed bytes. */
int __wrap_mote_deframer_next(struct mote_deframer *deframer, struct mote_slice *input, struct mote_message *message,
                              bool *ready)
{
    const int error = __real_mote_deframer_next(deframer, input, message, ready);
    if (error == 0 && *ready && message->body.length == 128) {
        message->body.length = 127;
    }
    return error;
}
#endif

#ifdef PLANTED_metadata
#include "wire/timeout.h"

int __real_mote_timeout_parse(uint64_t *out_ns, struct mote_slice text);
int __wrap_mote_timeout_parse(uint64_t *out_ns, struct mote_slice text);

/* A ninth digit is let through. */
int __wrap_mote_timeout_parse(uint64_t *out_ns, struct mote_slice text)
{
    const bool nine = text.length == 10 && text.data[9] == 'S';
    const struct mote_slice read = nine ? mote_slice(text.data + 1, text.length - 1) : text;
    return __real_mote_timeout_parse(out_ns, read);
}
#endif
