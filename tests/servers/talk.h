/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a test waits for, and what came of them; what goes wrong ends the program. */
#ifndef MOTE_TESTS_SERVERS_TALK_H
#define MOTE_TESTS_SERVERS_TALK_H

#include <mote/net/channel.h>

#include "interop.mote.h"
#include "orca.mote.h"

#define TALK_PATIENCE_NS (60 * MOTE_LIMITS_SECOND)
#define TALK_GOT_MAX     16u
/* One call, and what came of it. */
struct talk {
    struct mote_client_call *call; /* NULL once it has ended */
    bool news;                     /* something came: whoever waits looks again */
    bool ended;
    enum mote_status status;
    char message[1024];
    size_t got_count;
    size_t taken;
    struct {
        int32_t size; /* of the payload */
        bool compressed;
    } got[TALK_GOT_MAX];
    int32_t size; /* of the payload being decoded, or what the response says */
    char initial[64];
    uint8_t trailing[8];
    size_t trailing_length;
    xds_data_orca_v3_OrcaLoadReport report;
};

/* What talks run on. */
extern struct mote_loop *talk_loop;
extern struct mote_channel *talk_channel;
extern const char *talk_name; /* of the case, in messages */

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void must(int error, const char *what);

/* `size` is borrowed until the message is encoded. */
grpc_testing_Payload payload_of(int32_t *size);

/* For the methods that answer with SimpleResponse, StreamingOutputCallResponse, StreamingInputCallResponse, load
 * reports, and others. */
extern const struct mote_client_call_callbacks talk_simple, talk_output, talk_input, talk_reports, talk_plain;

/* A timeout of 0 stands for TALK_PATIENCE_NS. */
void talk_begin(struct talk *talk, struct mote_client_call_options options);
/* Nothing after the end. */
void talk_send(struct talk *talk, const void *request);
void talk_half_close(struct talk *talk);
void talk_wait(struct talk *talk);
/* The next message has a payload of that size. */
void talk_expect(struct talk *talk, int32_t size);
void talk_expect_compressed(struct talk *talk, int32_t size, bool compressed);
/* No more messages, and that status. */
void talk_expect_end(struct talk *talk, enum mote_status status);

#endif
