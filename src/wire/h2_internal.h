/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the HTTP/2 connection share; nobody else includes it.
 *
 *   h2.c            life of context and connection, receiving, sending, its end
 *   h2_block.c      header blocks received
 *   h2_callbacks.c  what nghttp2 tells while it parses and sends
 *   h2_events.c     the queue of events
 *   h2_memory.c     the allocator that nghttp2 gets
 *   h2_stream.c     streams: life, output, credit
 *   h2_timers.c     what may not last for ever
 *
 * How a connection ends: mote_h2_kill notes why, and nothing else; it is the one thing a callback may do besides
 * appending events. From then on nghttp2 is not called again. What is left of the frame that was being sent, and a
 * GOAWAY written by hand behind it, are the last output. (nghttp2_session_terminate_session is never used: from a
 * callback it makes nghttp2 1.52 and 1.64 abort at the next malformed frame.)
 */
#ifndef MOTE_WIRE_H2_INTERNAL_H
#define MOTE_WIRE_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/buffer.h"
#include "base/list.h"
#include "wire/h2.h"
#include "wire/h2_block.h"
#include "wire/meter.h"

#define MOTE_H2_TRAILERS_INLINE 3u
#define MOTE_H2_OUTPUT_INLINE   160u /* a small reply lies in its stream */
#define MOTE_H2_FRAME_HEADER    9u
#define MOTE_H2_FRAME_MAX       16384u /* our SETTINGS_MAX_FRAME_SIZE, and the most we send */
/* Fields of one header block that we send, and its bytes (names, values and 32 for each). */
#define MOTE_H2_SEND_FIELDS_MAX 128u
#define MOTE_H2_SEND_BLOCK_MAX  32768u
#define MOTE_H2_DEBUG_MAX       64u /* bytes of GOAWAY's debug data */
/* An empty SETTINGS frame and a GOAWAY. */
#define MOTE_H2_NOTICE_MAX (2 * MOTE_H2_FRAME_HEADER + 8 + MOTE_H2_DEBUG_MAX)
#define MOTE_H2_SWEEP_NS   (1 * MOTE_LIMITS_SECOND)
/* Output that the window allows only in crumbs waits so long for a larger window. */
#define MOTE_H2_CRUMB         512u
#define MOTE_H2_CRUMB_WAIT_NS 100000000u
/* Events of one connection: a read of MOTE_H2_RECV_MAX bytes has at most one for each frame. */
#define MOTE_H2_EVENTS_MAX (MOTE_H2_RECV_MAX / MOTE_H2_FRAME_HEADER + 1024u)
/* Blocks that nghttp2 freed after memory ran out, kept until its session is gone. */
#define MOTE_H2_HELD_MAX 16u
/* Free event nodes a context keeps. */
#define MOTE_H2_NODES_KEPT 256u

struct mote_h2_node {
    struct mote_h2_node *next;
    struct mote_event event;
    bool embedded; /* lives in its stream */
    bool queued;
};

struct mote_h2_context {
    const struct mote_limits *limits;
    struct mote_mem *mem;
    struct mote_timer_wheel *wheel;
    struct mote_counter *counters;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    nghttp2_mem nghttp2_mem;
    struct mote_h2_node *free_nodes;
    size_t free_node_count;
    size_t connections;
    struct mote_h2 *sending; /* nghttp2 is sending for it */
    bool starved;            /* … and memory ran out */
    bool holds;              /* starved, or something is held: releases are looked at */
    bool releases_plainly;   /* neither looked at nor wiped: a server is sending */
    size_t held_count;
    struct {
        struct mote_h2 *h2;
        void *pointer;
    } held[MOTE_H2_HELD_MAX];
};

/* Why no DATA is being sent although nghttp2 asked for it. */
enum mote_h2_deferral {
    MOTE_H2_NOT_DEFERRED,
    MOTE_H2_DEFERRED_EMPTY, /* nothing queued */
    MOTE_H2_DEFERRED_CRUMB, /* the window allows only a crumb */
};

/* Members up to `trailers_out` start as zero; those behind them are filled in before they are read. */
struct mote_h2_stream {
    struct mote_stream public;
    struct mote_h2_block *headers;
    struct mote_h2_block *trailers; /* client: of the response */
    struct mote_h2_node *last_node; /* the last HEADERS, TRAILERS or DATA event while it is queued */
    struct mote_buffer output;
    nghttp2_nv *trailers_out_heap; /* one block: fields, then their bytes */
    size_t trailers_out_count;
    uint64_t stall_since_ns; /* output is queued and the windows are too small, since; 0: not */
    uint64_t stall_sent;     /* bytes sent since then */
    uint64_t crumb_since_ns; /* output waits for a window larger than a crumb; 0: not */
    size_t unconsumed;       /* bytes received and not yet returned as stream credit */
    enum mote_h2_deferral deferral;
    bool announced;    /* its HEADERS event was queued */
    bool requested;    /* client: its HEADERS were given to the transport */
    bool headers_done; /* the request's, or the final response's, header block has come */
    bool peer_ended;   /* END_STREAM has come */
    bool peer_reset;   /* RST_STREAM has come */
    bool faulty;       /* the peer's fault has been charged as a glitch */
    bool responded;    /* our header block was submitted */
    bool ending;       /* our end is queued: nothing more may be written */
    bool has_trailers; /* … with trailers */
    bool ended;        /* END_STREAM has been sent */
    bool reset;        /* mote_h2_reset was called: only CLOSED may follow */
    bool reset_at_end; /* … with NO_ERROR, once END_STREAM has been sent */
    bool reset_due;    /* to be reset when nghttp2 is done */
    bool writer_waits; /* a writer was told to wait */
    bool interleaved;  /* shares the connection with others frame by frame */
    bool closed;       /* nghttp2 has forgotten it */
    enum mote_h2_error reset_error;
    nghttp2_nv trailers_out[MOTE_H2_TRAILERS_INLINE];
    struct mote_list node; /* in the connection's streams */
    uint64_t created_ns;
    struct mote_h2_node headers_node;
    struct mote_h2_node data_node;
    struct mote_h2_node closed_node;
    struct mote_h2_derived derived;               /* room for `headers` */
    uint8_t output_inline[MOTE_H2_OUTPUT_INLINE]; /* for `output` */
};

/* A GOAWAY written by hand, to go between two frames of nghttp2's. */
struct mote_h2_notice {
    const char *debug; /* static; may be NULL */
    uint32_t last_stream_id;
    enum mote_h2_error error;
    bool behind_settings; /* ours must come first, and nghttp2 is not asked any more */
};

struct mote_h2 {
    struct mote_h2_context *context;
    struct mote_h2_owner *owner;
    enum mote_role role;
    nghttp2_session *session;
    struct mote_meter meter;
    struct mote_timer timer;
    uint64_t now_ns; /* of the call in progress */
    uint64_t since_ns;
    struct mote_list streams;
    size_t stream_count;            /* open ones */
    struct mote_h2_stream *current; /* the last one looked up */
    struct mote_h2_builder builder;
    struct mote_h2_block *templates[MOTE_H2_BLOCK_DISCARDED];
    struct mote_h2_stream *taken; /* its CLOSED event was taken last: to be freed */
    struct mote_h2_node *first;   /* the event queue */
    struct mote_h2_node *last;
    size_t event_count;
    size_t received;      /* body bytes of this read, for the connection's window */
    size_t queued;        /* body bytes of all streams not yet sent */
    size_t pending;       /* bytes the transport has not yet written */
    uint64_t taken_total; /* bytes of output handed out */
    uint64_t stall_since_ns;
    uint64_t stall_written; /* taken_total - pending then */
    uint64_t strikes;
    uint64_t strikes_since_ns;
    const uint8_t *rest; /* of a frame that did not fit: in nghttp2's buffer; NULL: of `notice_out` */
    size_t rest_length;
    bool rest_is_wiped; /* a secret may be in it: DATA, or the fields of a request. Behind the copy in `out` */
    uint8_t *out;       /* the caller's room, during mote_h2_send */
    size_t out_length;
    size_t out_capacity;
    struct mote_h2_notice notice;     /* if notice_waits */
    struct mote_h2_notice notice_out; /* the one that is being sent */
    bool notice_waits;
    size_t pings_sent;    /* not yet acknowledged */
    bool windows_changed; /* WINDOW_UPDATE or SETTINGS came: output may go on */
    size_t crumbs;        /* streams deferred because of one */
    size_t resets_due;    /* streams to be reset when nghttp2 is done */
    int failure;          /* MOTE_E* of a connection that was killed */
    enum mote_h2_error kill_error;
    const char *reason;
    bool killed;
    bool silent; /* killed without GOAWAY */
    bool buried; /* killed, its streams closed and its last words prepared */
    bool aborted;
    bool inside_block; /* we have sent HEADERS without END_HEADERS */
    bool sent_anything;
    bool settings_received;
    bool settings_acknowledged;
    const char *shutdown_debug;
    bool shutting_down;     /* the second step of a graceful shutdown was asked for … */
    bool shutdown_due;      /* … and its GOAWAY is not yet submitted */
    bool failed_by_nghttp2; /* it has sent a GOAWAY with an error … */
    uint32_t nghttp2_error; /* … namely this */
    bool left_badly;        /* the peer's GOAWAY was malformed: it goes in any case */
    bool output_blocked;    /* pending went over output_high and not yet under output_low */
    bool timer_is_short;    /* it runs for a crumb */
};

static inline struct mote_h2_stream *mote_h2_stream_of(struct mote_stream *stream)
{
    return MOTE_CONTAINER_OF(stream, struct mote_h2_stream, public);
}

/* h2.c */
/* Notes that the connection shall end, if nothing else was noted before; `debug` is static. From anywhere. */
void mote_h2_count(const struct mote_h2 *h2, enum mote_h2_counted kind, uint32_t error);
void mote_h2_kill(struct mote_h2 *h2, int failure, enum mote_h2_error error, const char *debug);
/* The same for what the meter says; MOTE_ELIMIT or MOTE_EPROTO. False when it says that all is well. */
bool mote_h2_judge(struct mote_h2 *h2, struct mote_meter_verdict verdict);
/* Outside of callbacks: after a kill closes the streams and prepares the last output. */
void mote_h2_bury(struct mote_h2 *h2);
/* Submits the resets that callbacks asked for. */
void mote_h2_submit_resets(struct mote_h2 *h2);

/* h2_callbacks.c */
MOTE_MUST_CHECK int mote_h2_callbacks_new(nghttp2_session_callbacks **out);

/* h2_events.c */
/* NULL when memory or the bound runs out; the connection is then killed. */
struct mote_event *mote_h2_events_append(struct mote_h2 *h2, struct mote_h2_stream *stream, enum mote_event_type type);
/* Cannot fail; once for each stream. */
void mote_h2_events_append_closed(struct mote_h2 *h2, struct mote_h2_stream *stream, uint32_t error, bool by_peer);
void mote_h2_events_clear(struct mote_h2 *h2);
void mote_h2_events_free_nodes(struct mote_h2_context *context);

/* h2_memory.c */
void mote_h2_memory_init(struct mote_h2_context *context);
/* Around nghttp2_session_mem_send; the second returns false when memory ran out. */
void mote_h2_memory_begin_send(struct mote_h2 *h2);
bool mote_h2_memory_end_send(struct mote_h2 *h2);
/* After nghttp2_session_del. */
void mote_h2_memory_release_held(struct mote_h2 *h2);

/* h2_stream.c */
struct mote_h2_stream *mote_h2_stream_new(struct mote_h2 *h2, int32_t id);
/* Releases everything; unlinks it. */
void mote_h2_stream_free(struct mote_h2_stream *stream);
/* nghttp2 is done with it: drops queued output, queues CLOSED if it was announced (and frees it if not). */
void mote_h2_stream_close(struct mote_h2_stream *stream, uint32_t error, bool by_peer);
void mote_h2_stream_drop_output(struct mote_h2_stream *stream);
/* Lets nghttp2 ask for DATA again. */
void mote_h2_stream_resume(struct mote_h2_stream *stream);
int mote_h2_stream_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length,
                             nghttp2_data_source *source, void *user_data);

/* h2_timers.c */
void mote_h2_timers_init(struct mote_h2 *h2);
/* Makes sure that the sweep comes while something can stall. */
void mote_h2_timers_watch(struct mote_h2 *h2);
void mote_h2_timers_stop(struct mote_h2 *h2);
/* Resumes output that waited for a larger window; `expired`: only where it has waited long enough. */
void mote_h2_timers_resume_crumbs(struct mote_h2 *h2, bool expired);

#endif
