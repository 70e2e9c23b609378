/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of calls share: a pair of server and bare client with two services, the calculator and one whose
 * methods are all handled by the test's own handler; and an observer that counts starts and ends.
 */
#ifndef MOTE_PAIR_CALL_FIXTURE_H
#define MOTE_PAIR_CALL_FIXTURE_H

#include "calculator.mote.h"
#include "pair/rpc_pair.h"

#define ADD           "/calculator.v1.Calculator/Add"
#define COUNT         "/calculator.v1.Calculator/Count"
#define SUM           "/calculator.v1.Calculator/Sum"
#define RUNNING_TOTAL "/calculator.v1.Calculator/RunningTotal"
/* Handled by fixture->handler; requests and responses are AddRequest and AddResponse. */
#define UNARY         "/test.v1.Test/Unary"
#define SERVER_STREAM "/test.v1.Test/ServerStream"
#define CLIENT_STREAM "/test.v1.Test/ClientStream"
#define BIDI          "/test.v1.Test/Bidi"
#define SMALL         "/test.v1.Test/Small"  /* unary; requests of at most 8 bytes */
#define ABSENT        "/test.v1.Test/Absent" /* unary; without a handler */
#define LARGE         "/test.v1.Test/Large"  /* unary; responses are CountResponse */
/* A client stream whose requests are CountResponse, prepared by fixture->prepare; responses are AddResponse. */
#define PREPARED "/test.v1.Test/Prepared"

/* What the log has of an answer's first block, behind the stream's number. */
#define HEADERS     " headers :status=200 content-type=application/grpc"
#define TWO_PLUS_40 "\x00\x00\x00\x00\x04\x08\x02\x10\x28"
#define SECOND      MOTE_LIMITS_SECOND

/* What the log stage saw. */
struct observed {
    unsigned started;
    unsigned ended;
    char method[64];
    struct mote_call_summary summary; /* of the last one */
};

struct call_fixture {
    struct mote_rpc_pair pair;
    struct observed observed;
    mote_handler_cb *handler;
    void (*prepare)(struct mote_call *call, void *request, struct mote_slice encoded);
    struct mote_call *call; /* the last one handled */
    unsigned handled;
    unsigned cancelled; /* by note_cancel */
    enum mote_status cancel_status;
    unsigned writable;
    int64_t got[16]; /* the messages of a request stream; INT64_MIN for its end */
    size_t got_count;
};

extern const struct mote_service call_fixture_service;

/* Both services and the observer; change limits, then connect. */
int call_fixture_prepare(struct call_fixture *fixture, struct mote_mem *mem);
/* The fixture that a call belongs to. */
struct call_fixture *call_fixture_of(struct mote_call *call);
/* Prepared and connected; NULL: out of memory. */
struct mote_rpc_pair *call_fixture_setup(struct call_fixture *fixture, mote_handler_cb *handler);

/* Pumps, and returns what the client got. */
const char *call_fixture_answer(struct mote_rpc_pair *pair);
/* A request with these bytes as its whole body (none: END_STREAM on HEADERS), and what the client got. */
const char *call_fixture_whole(struct mote_rpc_pair *pair, const char *path, const char *fields, const char *bytes,
                               size_t length);
/* A request with TWO_PLUS_40 as its whole body, taken in by the server; what the client got stays in the log. */
struct mote_stream *call_fixture_start(struct mote_rpc_pair *pair, const char *path, const char *fields);

/* Handlers and callbacks. */
void call_fixture_reply_42(struct mote_call *call, const void *request);
/* Takes a reference and notes cancellation. */
void call_fixture_hold(struct mote_call *call, const void *request);
/* A stream that goes on: notes cancellation and when it is writable. */
void call_fixture_hold_stream(struct mote_call *call, const void *request);
void call_fixture_note_cancel(struct mote_call *call, enum mote_status status);
/* Of a request stream: notes each message's `a` in fixture->got, pauses behind a 1, finishes at the end. */
void call_fixture_note_messages(struct mote_call *call, const void *request);

#endif
