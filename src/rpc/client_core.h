/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What client.c and client_call.c share. A connection owns its h2 and its calls; a call is freed after its `ended`, but
 * not while one of its own callbacks is further up (`busy`).
 */
#ifndef MOTE_RPC_CLIENT_CORE_H
#define MOTE_RPC_CLIENT_CORE_H

#include "base/list.h"
#include "rpc/client.h"
#include "wire/h2.h"
#include "wire/message.h"

#define MOTE_CLIENT_SCRATCH 8192u
/* Fields of a request besides the metadata. */
#define MOTE_CLIENT_FIELDS 10u
/* Metadata fields of a call: with the others they fit into a default server's limit. */
#define MOTE_CLIENT_METADATA_MAX 54u

struct mote_client {
    const struct mote_limits *limits;
    struct mote_mem *mem;
    struct mote_timer_wheel *wheel;
    struct mote_h2_context *h2_context;
    size_t connections;
    uint8_t scratch[MOTE_CLIENT_SCRATCH];
};

struct mote_client_connection {
    struct mote_h2_owner h2_owner;
    struct mote_client *client;
    struct mote_h2 *h2;
    struct mote_client_owner *owner;
    struct mote_list calls;
    unsigned inside;
    bool lost;    /* being freed: what is open ends UNAVAILABLE */
    bool closing; /* no new calls */
    char authority[];
};

struct mote_client_call {
    struct mote_stream *stream; /* NULL once it is closed */
    struct mote_client_connection *connection;
    const struct mote_method *method;
    const struct mote_client_call_callbacks *callbacks;
    void *user;
    struct mote_list node;
    struct mote_timer timer;
    struct mote_deframer deframer;
    uint64_t messages;
    unsigned busy;
    bool half_closed;
    bool ended;
    bool compresses;        /* messages from now on */
    bool compressed;        /* the message last received was */
    uint8_t encoding;       /* of enum mote_encoding: of our messages, … */
    uint8_t their_encoding; /* … and of the server's; MOTE_ENCODING_COUNT: one we do not know */
    void *response;         /* of the method's type, in the call's block */
};

/* client.c: tells the owner unless someone who takes the output is further up; ends a connection that waited for its
 * last call. */
void mote_client_connection_notify(struct mote_client_connection *connection);
void mote_client_connection_call_ended(struct mote_client_connection *connection);

/* client_call.c */
void mote_client_call_take_event(struct mote_client_call *call, const struct mote_event *event);

#endif
