/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's connection and a peer that writes its frames by hand (peer.h): what the peer sends next is built in `in`,
 * what the server sent is looked at as text.
 */
#ifndef MOTE_PAIR_RAW_H
#define MOTE_PAIR_RAW_H

#include "pair/pair.h"
#include "pair/peer.h"

struct mote_raw {
    struct mote_pair pair;
    struct mote_buffer in;  /* what the peer sends next */
    struct mote_buffer out; /* what the server sent last */
    struct mote_buffer text;
    struct mote_stream *stream;       /* of the last HEADERS event; NULL when it was closed */
    const struct mote_fields *fields; /* of the same */
    size_t calls;                     /* HEADERS events */
    size_t resets_sent;               /* RST_STREAM frames of the server's */
    char goaway[128];                 /* its last GOAWAY, behind the word */
    void *user;                       /* the test's */
};

/* For cmocka, and to be called: *state is the struct mote_raw. The second fails when memory was leaked. */
int mote_raw_set_up(void **state);
int mote_raw_tear_down(void **state);
/* Connects; the preface is in `in`. */
void mote_raw_start(struct mote_raw *raw);
/* Connects: a connection in use, with nothing outstanding. */
void mote_raw_start_and_settle(struct mote_raw *raw);
/* Gives the server what was built. */
void mote_raw_feed(struct mote_raw *raw);
/* Takes what the server has to send, counts in it, and returns it as text, valid until the next call. */
const char *mote_raw_collect(struct mote_raw *raw);
/* Lets time pass, a tenth of a second at a time; the peer reads all. */
void mote_raw_pass(struct mote_raw *raw, uint64_t duration_ns);
/* The connection is over, and nothing of it is left. */
bool mote_raw_is_over(struct mote_raw *raw);
/* A reply of `length` bytes to the request that came last. */
void mote_raw_reply(struct mote_raw *raw, size_t length);
/* HEADERS of a request with one more field. */
void mote_raw_request_with(struct mote_buffer *out, uint32_t id, unsigned flags, const char *name, const char *value);

#endif
