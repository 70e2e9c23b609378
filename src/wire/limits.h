/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bound on what a peer can make the server do, in one table: field, default, unit, and the attack it
 * stops. The struct, the defaults and the page in docs/ are made from it. Times are nanoseconds in the struct.
 */
#ifndef MOTE_WIRE_LIMITS_H
#define MOTE_WIRE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/linkage.h"

MOTE_C_BEGIN

#define MOTE_LIMITS_SECOND 1000000000ull

/* X(field, default, unit, "what it stops") — unit is one of ns, bytes, count, per_second */
#define MOTE_LIMITS_MAP(X)                                                                                             \
    X(preface_timeout, 5 * MOTE_LIMITS_SECOND, ns, "connections that never finish preface and first SETTINGS")         \
    X(settings_ack_timeout, 10 * MOTE_LIMITS_SECOND, ns, "a peer that never acknowledges SETTINGS")                    \
    X(header_block_timeout, 5 * MOTE_LIMITS_SECOND, ns, "header blocks that trickle in")                               \
    X(request_stall_timeout, 10 * MOTE_LIMITS_SECOND, ns, "unary requests that make no progress")                      \
    X(request_min_rate, 4096, per_second, "unary requests that trickle, after the stall timeout, in bytes a second")   \
    X(stream_idle_timeout, 300 * MOTE_LIMITS_SECOND, ns, "streaming calls whose client says nothing")                  \
    X(call_duration_max, 0, ns, "calls with one answer, whatever deadline their clients sent; 0: no bound")            \
    X(concurrent_streams_max, 100, count, "too many streams on a connection")                                          \
    X(handlers_per_connection_max, 100, count, "rapid reset: handlers that outlive their streams")                     \
    X(handlers_max, 1000, count, "handlers in flight, of all connections of the process")                              \
    X(watches_max, 20000, count, "open server streams, of all connections of the process")                             \
    X(metadata_size_soft, 8192, bytes, "large metadata: answered RESOURCE_EXHAUSTED")                                  \
    X(metadata_count_soft, 64, count, "many fields: answered RESOURCE_EXHAUSTED")                                      \
    X(metadata_size_hard, 16384, bytes, "large metadata: the stream is reset")                                         \
    X(metadata_count_hard, 128, count, "many fields: the stream is reset")                                             \
    X(metadata_size_kill, 65536, bytes, "HPACK bombs: the connection is closed")                                       \
    X(metadata_count_kill, 512, count, "HPACK bombs of empty fields: the connection is closed")                        \
    X(path_length_max, 256, bytes, "endless paths")                                                                    \
    X(message_receive_max, 4194304, bytes, "large messages, refused at their length prefix")                           \
    X(message_send_max, 4194304, bytes, "replies without bound")                                                       \
    X(buffered_per_connection_max, 8388608, bytes, "request bytes buffered for incomplete messages")                   \
    X(buffered_max, 67108864, bytes, "request bytes buffered, of all connections of the process")                      \
    X(output_frames_max, 1000, count, "control replies queued for a peer that does not read")                          \
    X(output_high, 262144, bytes, "output queued: reading stops above it")                                             \
    X(output_low, 65536, bytes, "output queued: reading starts again below it")                                        \
    X(output_stall_timeout, 20 * MOTE_LIMITS_SECOND, ns, "a peer that takes no output")                                \
    X(stream_output_high, 65536, bytes, "a stream's reply buffered: its handler is told to wait above it")             \
    X(response_stall_timeout, 30 * MOTE_LIMITS_SECOND, ns, "a zero window that pins a reply")                          \
    X(response_stall_strikes, 3, count, "a connection that stalls replies again and again, within a minute")           \
    X(response_min_rate, 1024, per_second, "output drained by the drop: over a stall timeout, in bytes a second")      \
    X(glitch_burst, 500, count, "ignored and useless frames, provoked resets")                                         \
    X(glitch_rate, 100, per_second, "the same, as they refill")                                                        \
    X(settings_burst, 10, count, "SETTINGS floods")                                                                    \
    X(settings_rate, 1, per_second, "the same, as they refill")                                                        \
    X(ping_burst, 100, count, "PING floods; each HEADERS or DATA frame sent earns one more")                           \
    X(ping_rate, 10, per_second, "the same, as they refill")                                                           \
    X(window_updates_per_data, 10, count, "WINDOW_UPDATE floods: allowed for each DATA frame sent")                    \
    X(resets_burst, 5000, count, "resets received")                                                                    \
    X(resets_rate, 1000, per_second, "the same, as they refill")                                                       \
    X(cancelled_window, 500, count, "rapid reset: the last so many calls are looked at")                               \
    X(cancelled_max, 250, count, "rapid reset: so many of them cancelled before an answer closes the connection")      \
    X(stream_id_max, 0x60000000, count, "stream identifiers running out: a graceful GOAWAY")                           \
    X(connections_max, 10000, count, "too many connections")                                                           \
    X(connections_per_address_max, 256, count, "too many connections from one address (or IPv6 /64)")                  \
    X(health_connections_max, 64, count,                                                                               \
      "the same where only health is served: probes are answered when all is taken")                                   \
    X(health_connections_per_address_max, 16, count, "the same there, of one address")                                 \
    X(connections_unopened_max, 512, count, "too many connections before their preface")                               \
    X(handshakes_per_second, 120, per_second, "TLS handshakes of one worker: they cost milliseconds of CPU each")      \
    X(read_per_turn, 65536, bytes, "one connection that keeps the loop for itself")                                    \
    X(decompressed_per_turn, 65536, bytes,                                                                             \
      "small messages that become large ones: over that, those that follow wait for the next turn")                    \
    X(connection_idle, 300 * MOTE_LIMITS_SECOND, ns, "connections without a call: a graceful GOAWAY; 0: never")        \
    X(connection_age, 0, ns, "old connections, give or take a tenth: a graceful GOAWAY (gRFC A9); 0: never")           \
    X(connection_age_grace, 30 * MOTE_LIMITS_SECOND, ns, "calls of old connections: cut off after that")               \
    X(keepalive_time, 60 * MOTE_LIMITS_SECOND, ns, "dead peers: the server pings after so much silence; 0: never")     \
    X(keepalive_timeout, 20 * MOTE_LIMITS_SECOND, ns, "dead peers: how long the ping may go unanswered")               \
    X(keepalive_min_time, 300 * MOTE_LIMITS_SECOND, ns, "clients' pings: closer together is a strike (gRFC A8)")       \
    X(keepalive_without_calls, 0, count, "1 allows clients' pings without a call in progress (gRFC A8)")               \
    X(keepalive_strikes, 2, count, "so many pings too early end the connection with too_many_pings")

struct mote_limits {
#define X(field, value, unit, text) uint64_t field;
    MOTE_LIMITS_MAP(X)
#undef X
};

/* Fills in every default. */
void mote_limits_init(struct mote_limits *limits);

struct mote_limit_description {
    const char *name;
    uint64_t standard;
    const char *unit;
    const char *stops;
};

/* The table as data, for documentation: row `index`, or NULL past the end. Static. */
const struct mote_limit_description *mote_limits_describe(size_t index);

MOTE_C_END

#endif
