/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as data: what protoc-gen-mote writes from a .proto, and what the registry, the dispatch and reflection
 * read. Everything is static and lives for ever.
 */
#ifndef MOTE_RPC_METHOD_H
#define MOTE_RPC_METHOD_H

#include <stddef.h>
#include <stdint.h>

#include "../base/linkage.h"
#include "../base/slice.h"
#include "../codec/codec.h"

MOTE_C_BEGIN

struct mote_call;

enum mote_call_kind {
    MOTE_CALL_UNARY,
    MOTE_CALL_CLIENT_STREAM,
    MOTE_CALL_SERVER_STREAM,
    MOTE_CALL_BIDI_STREAM,
};

/*
 * A handler. Unary and server-stream: called once, when the request is whole and the client has half-closed.
 * Client-stream and bidirectional: once for each message, then once with `request` NULL at the client's half-close.
 * `request` is valid until the call ends for the first two kinds, until the handler returns for the others.
 */
typedef void mote_handler_cb(struct mote_call *call, const void *request);

struct mote_method {
    const char *name; /* "GetUser" */
    const char *path; /* "/user.v1.UserService/GetUser" */
    enum mote_call_kind kind;
    const struct mote_message_type *request;
    const struct mote_message_type *response;
    uint32_t request_max; /* bytes of one request message; 0: the server's message_receive_max */
    mote_handler_cb *handler;
    /* Streams only: called in the handler's place for a message that breaks a bound of its fields, and the stream goes
     * on. NULL: such a message ends the call. */
    void (*refused)(struct mote_call *call);
    /* Called before each request message is decoded, for fields of FT_CALLBACK: `request`, zero so far, may be given
     * nanopb decode callbacks, which run before the handler; a field without one is skipped. `encoded` is the message
     * as it came, decompressed, valid until the handler runs. To refuse, here or in a callback, end the call: the
     * handler does not run then, nor what was set by mote_call_on_cancel. May be NULL. */
    void (*prepare)(struct mote_call *call, void *request, struct mote_slice encoded);
};

/* One .proto file for reflection. */
struct mote_proto_file {
    const char *name;             /* "user/v1/user.proto" */
    struct mote_slice descriptor; /* serialised FileDescriptorProto */
    const struct mote_proto_file *const *dependencies;
    size_t dependency_count;
    const char *const *symbols; /* sorted full names that it defines: services, methods, messages,
                                   fields, oneofs, enums, enum values, extensions */
    size_t symbol_count;
    const struct mote_proto_extension {
        const char *extendee; /* full name of the extended message */
        uint32_t number;
    } * extensions;
    size_t extension_count;
};

struct mote_service {
    const char *name;    /* "user.v1.UserService" */
    const char *package; /* "user.v1": the domain of the errors it makes */
    const struct mote_method *methods;
    size_t method_count;
    const struct mote_proto_file *file;
};

MOTE_C_END

#endif
