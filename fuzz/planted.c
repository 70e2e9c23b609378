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

#ifdef PLANTED_jwt
#include "security/jwt.h"

int __real_mote_jwt_verify(struct mote_identity *out, const struct mote_keyring *keyring,
                           const struct mote_jwt_policy *policy, struct mote_slice token, int64_t now);
int __wrap_mote_jwt_verify(struct mote_identity *out, const struct mote_keyring *keyring,
                           const struct mote_jwt_policy *policy, struct mote_slice token, int64_t now);

/* The unused bits of the signature's last character are not looked at. */
int __wrap_mote_jwt_verify(struct mote_identity *out, const struct mote_keyring *keyring,
                           const struct mote_jwt_policy *policy, struct mote_slice token, int64_t now)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t copy[MOTE_JWT_LENGTH_MAX];
    if (token.length == 0 || token.length > sizeof(copy)) {
        return __real_mote_jwt_verify(out, keyring, policy, token, now);
    }
    memcpy(copy, token.data, token.length);
    uint8_t *last = &copy[token.length - 1];
    const char *found = memchr(alphabet, *last, sizeof(alphabet) - 1);
    if (found != NULL) {
        *last = (uint8_t)alphabet[(size_t)(found - alphabet) & ~(size_t)3];
    }
    return __real_mote_jwt_verify(out, keyring, policy, mote_slice(copy, token.length), now);
}
#endif

#ifdef PLANTED_h2_raw
#include "wire/h2.h"

bool __real_mote_h2_next_event(struct mote_h2 *h2, struct mote_event *event);
bool __wrap_mote_h2_next_event(struct mote_h2 *h2, struct mote_event *event);

/* The end of stream 3 is forgotten. */
bool __wrap_mote_h2_next_event(struct mote_h2 *h2, struct mote_event *event)
{
    const bool found = __real_mote_h2_next_event(h2, event);
    if (found && event->type == MOTE_EVENT_CLOSED && event->stream->id == 3) {
        return __real_mote_h2_next_event(h2, event);
    }
    return found;
}
#endif

#ifdef PLANTED_request
#include "codec/walk.h"

int __real_mote_codec_walk(const struct mote_message_type *type, struct mote_slice in, void *out,
                           struct mote_codec_failure *failure);
int __wrap_mote_codec_walk(const struct mote_message_type *type, struct mote_slice in, void *out,
                           struct mote_codec_failure *failure);

/* A NUL is taken for the end of a string. */
int __wrap_mote_codec_walk(const struct mote_message_type *type, struct mote_slice in, void *out,
                           struct mote_codec_failure *failure)
{
    struct mote_codec_failure found = {.count = 0};
    const int error = __real_mote_codec_walk(type, in, out, &found);
    if (failure != NULL) {
        *failure = found;
    }
    return error == MOTE_EFIELD && strcmp(found.violations[0].text, "must not contain a NUL character") == 0 ? 0
                                                                                                             : error;
}
#endif

#ifdef PLANTED_http1
#include "wire/http1.h"

int __real_mote_http1_read(struct mote_http1_request *request, struct mote_slice in, size_t *length, unsigned *status);
int __wrap_mote_http1_read(struct mote_http1_request *request, struct mote_slice in, size_t *length, unsigned *status);

/* The last byte of a head is not waited for. */
int __wrap_mote_http1_read(struct mote_http1_request *request, struct mote_slice in, size_t *length, unsigned *status)
{
    const int error = __real_mote_http1_read(request, in, length, status);
    const bool nearly = in.length > 3 && memcmp(in.data + in.length - 3, "\r\n\r", 3) == 0;
    return error == MOTE_EAGAIN && nearly ? 0 : error;
}
#endif

#ifdef PLANTED_client
#include "wire/status.h"

int __real_mote_status_parse(enum mote_status *out, struct mote_slice text);
int __wrap_mote_status_parse(enum mote_status *out, struct mote_slice text);

/* Seventeen is let through. */
int __wrap_mote_status_parse(enum mote_status *out, struct mote_slice text)
{
    const int error = __real_mote_status_parse(out, text);
    if (text.length == 2 && text.data[0] == '1' && text.data[1] == '7') {
        *out = (enum mote_status)17;
    }
    return error;
}
#endif

#ifdef PLANTED_server
#include "wire/h2.h"

int __real_mote_h2_write_trailers(struct mote_stream *stream, const struct mote_field *fields, size_t count);
int __wrap_mote_h2_write_trailers(struct mote_stream *stream, const struct mote_field *fields, size_t count);

/* The status is left out. */
int __wrap_mote_h2_write_trailers(struct mote_stream *stream, const struct mote_field *fields, size_t count)
{
    return __real_mote_h2_write_trailers(stream, fields + 1, count - 1);
}
#endif
