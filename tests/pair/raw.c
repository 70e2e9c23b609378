/* SPDX-License-Identifier: Apache-2.0 */
/* See raw.h. */
#include "pair/raw.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

static void must(int error)
{
    mote_assert(error == 0);
}

static void on_event(struct mote_end *end, const struct mote_event *event)
{
    struct mote_raw *raw = end->user;
    if (event->type == MOTE_EVENT_HEADERS) {
        raw->stream = event->stream;
        raw->fields = event->u.fields;
        raw->calls++;
    }
    if (event->type == MOTE_EVENT_CLOSED && raw->stream == event->stream) {
        raw->stream = NULL;
        raw->fields = NULL;
    }
}

int mote_raw_set_up(void **state)
{
    struct mote_raw *raw = calloc(1, sizeof *raw);
    if (raw == NULL || mote_pair_init(&raw->pair) != 0) {
        return -1;
    }
    mote_buffer_init(&raw->in, mote_mem_system(), 0);
    mote_buffer_init(&raw->out, mote_mem_system(), 0);
    mote_buffer_init(&raw->text, mote_mem_system(), 0);
    raw->pair.server.user = raw;
    raw->pair.server.on_event = on_event;
    *state = raw;
    return 0;
}

int mote_raw_tear_down(void **state)
{
    struct mote_raw *raw = *state;
    mote_buffer_dispose(&raw->in);
    mote_buffer_dispose(&raw->out);
    mote_buffer_dispose(&raw->text);
    const size_t leaked = mote_pair_dispose(&raw->pair);
    free(raw);
    return leaked == 0 ? 0 : -1;
}

void mote_raw_start(struct mote_raw *raw)
{
    must(mote_pair_connect_server(&raw->pair));
    mote_peer_preface(&raw->in);
}

/* Gives the server what was built. */
void mote_raw_feed(struct mote_raw *raw)
{
    struct mote_buffer in = raw->in;
    mote_buffer_init(&raw->in, mote_mem_system(), 0);
    mote_end_feed(&raw->pair.server, mote_buffer_slice(&in));
    mote_buffer_dispose(&in);
}

/* Takes what the server has to send; notes GOAWAY and counts RST_STREAM. Returns it as text. */
const char *mote_raw_collect(struct mote_raw *raw)
{
    mote_buffer_clear(&raw->out);
    mote_buffer_clear(&raw->text);
    mote_end_collect(&raw->pair.server, &raw->out);
    mote_peer_describe(&raw->text, mote_buffer_slice(&raw->out));
    must(mote_buffer_append(&raw->text, "", 1));
    const char *text = (const char *)mote_buffer_slice(&raw->text).data;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "RST_STREAM", 10) == 0) {
            raw->resets_sent++;
        }
        if (strncmp(line, "GOAWAY ", 7) == 0) {
            snprintf(raw->goaway, sizeof raw->goaway, "%.*s", (int)(strchr(line, '\n') - line - 7), line + 7);
        }
    }
    return text;
}

/* A connection in use, with nothing outstanding. */
void mote_raw_start_and_settle(struct mote_raw *raw)
{
    mote_raw_start(raw);
    mote_peer_settings_ack(&raw->in);
    mote_raw_feed(raw);
    mote_assert(strcmp(mote_raw_collect(raw), "SETTINGS\nSETTINGS ack\n") == 0);
}

/* Lets time pass, a tenth of a second at a time; the peer reads all. */
void mote_raw_pass(struct mote_raw *raw, uint64_t duration_ns)
{
    const uint64_t until = raw->pair.now_ns + duration_ns;
    while (raw->pair.now_ns < until) {
        raw->pair.now_ns += MOTE_LIMITS_SECOND / 10;
        mote_timer_wheel_advance(&raw->pair.wheel, raw->pair.now_ns);
        (void)mote_raw_collect(raw);
    }
}

bool mote_raw_is_over(struct mote_raw *raw)
{
    const struct mote_h2 *h2 = raw->pair.server.h2;
    (void)mote_raw_collect(raw);
    return mote_h2_is_over(h2) && !mote_h2_wants_write(h2) && mote_h2_stream_count(h2) == 0 &&
           (mote_h2_end_reason(h2) == NULL || !mote_h2_wants_read(h2));
}

/* A reply of `length` bytes to the request that came last. */
void mote_raw_reply(struct mote_raw *raw, size_t length)
{
    uint8_t *body = calloc(1, length);
    mote_assert(body != NULL);
    must(mote_pair_respond(raw->stream));
    must(mote_h2_write(raw->stream, mote_slice_text(""), mote_slice(body, length)));
    must(mote_pair_write_ok(raw->stream));
    free(body);
}

void mote_raw_request_with(struct mote_buffer *out, uint32_t id, unsigned flags, const char *name, const char *value)
{
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    mote_peer_request_fields(&block);
    mote_peer_field(&block, name, value);
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS | flags, id, mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
}
