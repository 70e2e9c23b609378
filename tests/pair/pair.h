/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and a server connection of the library, pumped in memory under a clock that only tests move. Every event is
 * written to a log of its end, one line each; a callback may answer it. Memory comes from a failing allocator, so that
 * leaks are seen. Knows nothing of the test framework.
 */
#ifndef MOTE_PAIR_PAIR_H
#define MOTE_PAIR_PAIR_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/timer_wheel.h"
#include "support/failing_mem.h"
#include "wire/h2.h"

#define MOTE_PAIR_START_NS (1000 * MOTE_LIMITS_SECOND)

struct mote_pair;
struct mote_end;
typedef void mote_end_event_cb(struct mote_end *end, const struct mote_event *event);

struct mote_end {
    struct mote_h2_owner owner;
    struct mote_pair *pair;
    struct mote_h2 *h2;
    mote_end_event_cb *on_event; /* may be NULL */
    void *user;                  /* the test's */
    struct mote_buffer inbox;    /* bytes on their way to it */
    struct mote_buffer log;      /* its events as text */
    struct mote_buffer body;     /* all DATA received */
    size_t attention_count;
    int error;     /* what mote_h2_recv returned */
    bool consumes; /* returns stream credit at once */
};

struct mote_pair {
    struct mote_failing_mem mem;
    struct mote_limits limits;
    struct mote_timer_wheel wheel;
    struct mote_h2_context *context;
    struct mote_end client;
    struct mote_end server;
    uint64_t now_ns;
    size_t chunk; /* bytes of one send and one receive */
};

/* MOTE_ENOMEM. Change limits afterwards at will, before mote_pair_connect. */
MOTE_MUST_CHECK int mote_pair_init(struct mote_pair *pair);
/* The same with memory from elsewhere. */
MOTE_MUST_CHECK int mote_pair_init_with(struct mote_pair *pair, struct mote_mem *mem);
/* Makes both connections. */
MOTE_MUST_CHECK int mote_pair_connect(struct mote_pair *pair);
/* Makes the server's alone, for a peer that writes its frames by hand. */
MOTE_MUST_CHECK int mote_pair_connect_server(struct mote_pair *pair);
/* Frees everything; returns the number of blocks leaked. */
size_t mote_pair_dispose(struct mote_pair *pair);
/* Moves bytes and events until both ends are quiet. */
void mote_pair_pump(struct mote_pair *pair);
/* Lets time pass, a tenth of a second at a time, pumping. */
void mote_pair_pass(struct mote_pair *pair, uint64_t duration_ns);

/* One end alone: takes its events into the log. */
void mote_end_drain(struct mote_end *end);
/* Gives it bytes, in pieces of pair->chunk, and drains. */
void mote_end_feed(struct mote_end *end, struct mote_slice bytes);
/* Appends all it has to send to `out`. */
void mote_end_collect(struct mote_end *end, struct mote_buffer *out);
/* The log so far as text, valid until its next event; the log is then empty. */
const char *mote_end_take_log(struct mote_end *end);

/* {name, value} as a field that is copied. */
struct mote_field mote_pair_field(const char *name, const char *value);
/* A request for `path` with the fields a gRPC client sends. */
struct mote_stream *mote_pair_request(struct mote_pair *pair, const char *path, bool end_stream);
/* :status 200 and content-type; grpc-status: 0. */
MOTE_MUST_CHECK int mote_pair_respond(struct mote_stream *stream);
MOTE_MUST_CHECK int mote_pair_write_ok(struct mote_stream *stream);

#endif
