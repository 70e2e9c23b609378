/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every metric of the server, but for the buckets: the enum, the exposition and docs/reference/metrics.md are made from
 * these lists. A new metric is a row here and the line that counts it.
 */
#ifndef MOTE_TELEMETRY_METRIC_TABLE_H
#define MOTE_TELEMETRY_METRIC_TABLE_H

/* A row for each error of HTTP/2 (RFC 9113 §7), in their order. */
#define MOTE_METRIC_ERRORS(X, id, name, label, help)                                                                   \
    X(id##_0, name, COUNTER, label, "NO_ERROR", help)                                                                  \
    X(id##_1, name, COUNTER, label, "PROTOCOL_ERROR", "")                                                              \
    X(id##_2, name, COUNTER, label, "INTERNAL_ERROR", "")                                                              \
    X(id##_3, name, COUNTER, label, "FLOW_CONTROL_ERROR", "")                                                          \
    X(id##_4, name, COUNTER, label, "SETTINGS_TIMEOUT", "")                                                            \
    X(id##_5, name, COUNTER, label, "STREAM_CLOSED", "")                                                               \
    X(id##_6, name, COUNTER, label, "FRAME_SIZE_ERROR", "")                                                            \
    X(id##_7, name, COUNTER, label, "REFUSED_STREAM", "")                                                              \
    X(id##_8, name, COUNTER, label, "CANCEL", "")                                                                      \
    X(id##_9, name, COUNTER, label, "COMPRESSION_ERROR", "")                                                           \
    X(id##_10, name, COUNTER, label, "CONNECT_ERROR", "")                                                              \
    X(id##_11, name, COUNTER, label, "ENHANCE_YOUR_CALM", "")                                                          \
    X(id##_12, name, COUNTER, label, "INADEQUATE_SECURITY", "")                                                        \
    X(id##_13, name, COUNTER, label, "HTTP_1_1_REQUIRED", "")                                                          \
    X(id##_14, name, COUNTER, label, "other", "")

/* X(ID, "name", TYPE, "label", "value", "help"): a series each. Rows of one name stand together, with the help at the
 * first. The value of a series is what the workers have counted and what the scrape adds (docs/operations.md). */
#define MOTE_METRIC_MAP(X)                                                                                             \
    X(CONNECTIONS, "mote_connections", GAUGE, "", "", "Connections of clients that are open.")                         \
    X(CONNECTIONS_TOTAL, "mote_connections_total", COUNTER, "", "", "Connections accepted.")                           \
    X(REFUSED_ADDRESS, "mote_connections_refused_total", COUNTER, "reason", "address",                                 \
      "Connections closed before a byte was read: too many from one address, no memory, or so many without a "         \
      "preface that the oldest had to go.")                                                                            \
    X(REFUSED_MEMORY, "mote_connections_refused_total", COUNTER, "reason", "memory", "")                               \
    X(REFUSED_SILENT, "mote_connections_refused_total", COUNTER, "reason", "silent", "")                               \
    X(PAUSED_FULL, "mote_listener_pauses_total", COUNTER, "reason", "connections_max",                                 \
      "Times that a listener stopped accepting for a moment: as many connections are open as may be, or there is no "  \
      "descriptor or memory for another.")                                                                             \
    X(PAUSED_ERROR, "mote_listener_pauses_total", COUNTER, "reason", "no_resources", "")                               \
    X(CONNECTIONS_MAX, "mote_connections_max", GAUGE, "", "", "Connections that may be open at a time.")               \
    X(RECEIVED_BYTES, "mote_network_received_bytes_total", COUNTER, "", "",                                            \
      "Bytes read from the sockets of clients, with TLS before they are decrypted.")                                   \
    X(SENT_BYTES, "mote_network_sent_bytes_total", COUNTER, "", "", "Bytes written to the sockets of clients.")        \
    X(HANDSHAKES_OK, "mote_tls_handshakes_total", COUNTER, "result", "ok", "TLS handshakes that ended.")               \
    X(HANDSHAKES_FAILED, "mote_tls_handshakes_total", COUNTER, "result", "failed", "")                                 \
    MOTE_METRIC_ERRORS(X, GOAWAY_SENT, "mote_http2_goaway_sent_total", "error", "GOAWAY frames sent, by their error.") \
    MOTE_METRIC_ERRORS(X, RESET_SENT, "mote_http2_rst_stream_total", "direction=\"sent\",error",                       \
                       "RST_STREAM frames, by their error.")                                                           \
    MOTE_METRIC_ERRORS(X, RESET_RECEIVED, "mote_http2_rst_stream_total", "direction=\"received\",error", "")           \
    X(VIOLATION_CONNECTION, "mote_http2_protocol_errors_total", COUNTER, "kind", "connection",                         \
      "Breaches of HTTP/2: those that ended a connection, and frames and header blocks that were not what they must "  \
      "be.")                                                                                                           \
    X(VIOLATION_FRAME, "mote_http2_protocol_errors_total", COUNTER, "kind", "frame", "")                               \
    X(VIOLATION_HEADERS, "mote_http2_protocol_errors_total", COUNTER, "kind", "headers", "")                           \
    X(CERTIFICATE_EXPIRY, "mote_tls_certificate_expiry_timestamp_seconds", GAUGE, "", "",                              \
      "When the first of the certificates in use expires, in seconds since 1970.")                                     \
    X(TOKEN_HITS, "mote_token_cache_lookups_total", COUNTER, "result", "hit",                                          \
      "Access tokens looked up in the workers' caches of verified ones.")                                              \
    X(TOKEN_MISSES, "mote_token_cache_lookups_total", COUNTER, "result", "miss", "")                                   \
    X(HASH_QUEUE, "mote_password_hash_queue_length", GAUGE, "", "", "Passwords that wait to be hashed.")               \
    X(HASHES, "mote_password_hashes_total", COUNTER, "", "", "Password hashes that were begun.")                       \
    X(STORE_HEALTHY, "mote_store_healthy", GAUGE, "", "", "1 while the store can be relied on.")                       \
    X(STORE_COMMITS, "mote_store_commits_total", COUNTER, "", "", "Transactions of the store's writer.")               \
    X(STORE_QUEUE, "mote_store_write_queue_length", GAUGE, "", "", "Writes that wait for the store's writer.")         \
    X(STORE_BYTES, "mote_store_size_bytes", GAUGE, "file", "database", "Size of the store's files.")                   \
    X(STORE_LOG_BYTES, "mote_store_size_bytes", GAUGE, "file", "wal", "")                                              \
    X(SPANS_EXPORTED, "mote_otlp_spans_exported_total", COUNTER, "", "", "Spans that the collector has taken.")        \
    X(SPANS_QUEUE_FULL, "mote_otlp_spans_dropped_total", COUNTER, "reason", "queue_full",                              \
      "Spans that never got to the collector.")                                                                        \
    X(SPANS_UNDELIVERED, "mote_otlp_spans_dropped_total", COUNTER, "reason", "export_failed", "")                      \
    X(SPANS_REJECTED, "mote_otlp_spans_dropped_total", COUNTER, "reason", "rejected", "")                              \
    X(SPANS_WAITING, "mote_otlp_spans_queue_length", GAUGE, "", "", "Spans that wait to be exported.")                 \
    X(LOG_DROPPED, "mote_log_lines_dropped_total", COUNTER, "", "", "Log lines that nobody took in time.")             \
    X(READY, "mote_ready", GAUGE, "", "", "1 while /readyz answers 200.")                                              \
    X(WORKERS, "mote_workers", GAUGE, "", "", "Threads that serve connections.")                                       \
    X(CPU_SECONDS, "process_cpu_seconds_total", COUNTER, "", "", "Total user and system CPU time spent in seconds.")   \
    X(OPEN_FDS, "process_open_fds", GAUGE, "", "", "Number of open file descriptors.")                                 \
    X(MAX_FDS, "process_max_fds", GAUGE, "", "", "Maximum number of open file descriptors.")                           \
    X(VIRTUAL_BYTES, "process_virtual_memory_bytes", GAUGE, "", "", "Virtual memory size in bytes.")                   \
    X(VIRTUAL_MAX_BYTES, "process_virtual_memory_max_bytes", GAUGE, "", "",                                            \
      "Maximum amount of virtual memory available in bytes.")                                                          \
    X(RESIDENT_BYTES, "process_resident_memory_bytes", GAUGE, "", "", "Resident memory size in bytes.")                \
    X(START_TIME, "process_start_time_seconds", GAUGE, "", "",                                                         \
      "Start time of the process since unix epoch in seconds.")                                                        \
    X(THREADS, "process_threads", GAUGE, "", "", "Number of OS threads in the process.")

/* X(ID, "name", "label", "help"): series by a text of the program, as many as have happened. */
#define MOTE_METRIC_TEXT_MAP(X)                                                                                        \
    X(CONNECTION_ENDS, "mote_connections_ended_total", "reason",                                                       \
      "Connections that the server ended, by the reason that the log gives too.")                                      \
    X(CALLS_ABORTED, "mote_calls_aborted_total", "reason",                                                             \
      "Calls that the server ended by itself, by what their clients were told: limits, deadlines, malformed "          \
      "requests.")                                                                                                     \
    X(FAILURES, "mote_failures_total", "reason", "Calls that a service refused, by the reason of their ErrorInfo.")    \
    X(AUTH_FAILURES, "mote_auth_failures_total", "reason",                                                             \
      "Calls that were answered UNAUTHENTICATED, by the reason of their ErrorInfo.")

/* X(ID, "name", TYPE, FLAVOR, "labels", "help"): series by method; the page names the labels. */
#define MOTE_METRIC_METHOD_MAP(X)                                                                                      \
    X(REQUESTS, "grpc_requests_total", COUNTER, REQUESTS, "code, method, service",                                     \
      "Finished calls; the same numbers as grpc_server_handled_total, kept for compatibility.")                        \
    X(STARTED, "grpc_server_started_total", COUNTER, PROMETHEUS, "grpc_method, grpc_service, grpc_type",               \
      "Total number of RPCs started on the server.")                                                                   \
    X(HANDLED, "grpc_server_handled_total", COUNTER, PROMETHEUS, "grpc_code, grpc_method, grpc_service, grpc_type",    \
      "Total number of RPCs completed on the server, regardless of success or failure.")                               \
    X(MESSAGES_RECEIVED, "grpc_server_msg_received_total", COUNTER, PROMETHEUS,                                        \
      "grpc_method, grpc_service, grpc_type", "Total number of RPC stream messages received on the server.")           \
    X(MESSAGES_SENT, "grpc_server_msg_sent_total", COUNTER, PROMETHEUS, "grpc_method, grpc_service, grpc_type",        \
      "Total number of gRPC stream messages sent by the server.")                                                      \
    X(HANDLING, "grpc_server_handling_seconds", HISTOGRAM, PROMETHEUS, "grpc_method, grpc_service, grpc_type",         \
      "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.")        \
    X(CALL_STARTED, "grpc_server_call_started_total", COUNTER, OTEL, "grpc_method",                                    \
      "RPCs started, including those that have not completed.")                                                        \
    X(CALL_DURATION, "grpc_server_call_duration_seconds", HISTOGRAM, OTEL, "grpc_method, grpc_status",                 \
      "Time an RPC took, from the server transport's point of view.")                                                  \
    X(CALL_SENT, "grpc_server_call_sent_total_compressed_message_size_bytes", HISTOGRAM, OTEL,                         \
      "grpc_method, grpc_status", "Bytes of all response messages of an RPC, compressed, without framing.")            \
    X(CALL_RECEIVED, "grpc_server_call_rcvd_total_compressed_message_size_bytes", HISTOGRAM, OTEL,                     \
      "grpc_method, grpc_status", "Bytes of all request messages of an RPC, compressed, without framing.")

/* X(ID, "name", "help"): histograms of the workers. */
#define MOTE_METRIC_HISTOGRAM_MAP(X)                                                                                   \
    X(LAG, "mote_event_loop_lag_seconds",                                                                              \
      "How late timers of the workers rang, to a millisecond: how long what came had to wait for its turn.")

/* X(upper bound in ns, "the same in seconds"): the bounds of client libraries, and four below them, because most calls
 * are answered in less than their first. */
#define MOTE_METRIC_BUCKET_MAP(X)                                                                                      \
    X(100000, "0.0001")                                                                                                \
    X(500000, "0.0005")                                                                                                \
    X(1000000, "0.001")                                                                                                \
    X(2500000, "0.0025")                                                                                               \
    X(5000000, "0.005")                                                                                                \
    X(10000000, "0.01")                                                                                                \
    X(25000000, "0.025")                                                                                               \
    X(50000000, "0.05")                                                                                                \
    X(100000000, "0.1")                                                                                                \
    X(250000000, "0.25")                                                                                               \
    X(500000000, "0.5")                                                                                                \
    X(1000000000, "1")                                                                                                 \
    X(2500000000, "2.5")                                                                                               \
    X(5000000000, "5")                                                                                                 \
    X(10000000000, "10")

/* The bounds of gRPC's own metrics (gRFC A66): seconds, and bytes. */
#define MOTE_METRIC_CALL_SECONDS_MAP(X)                                                                                \
    X(0, "0")                                                                                                          \
    X(10000, "1e-05")                                                                                                  \
    X(50000, "5e-05")                                                                                                  \
    X(100000, "0.0001")                                                                                                \
    X(300000, "0.0003")                                                                                                \
    X(600000, "0.0006")                                                                                                \
    X(800000, "0.0008")                                                                                                \
    X(1000000, "0.001")                                                                                                \
    X(2000000, "0.002")                                                                                                \
    X(3000000, "0.003")                                                                                                \
    X(4000000, "0.004")                                                                                                \
    X(5000000, "0.005")                                                                                                \
    X(6000000, "0.006")                                                                                                \
    X(8000000, "0.008")                                                                                                \
    X(10000000, "0.01")                                                                                                \
    X(13000000, "0.013")                                                                                               \
    X(16000000, "0.016")                                                                                               \
    X(20000000, "0.02")                                                                                                \
    X(25000000, "0.025")                                                                                               \
    X(30000000, "0.03")                                                                                                \
    X(40000000, "0.04")                                                                                                \
    X(50000000, "0.05")                                                                                                \
    X(65000000, "0.065")                                                                                               \
    X(80000000, "0.08")                                                                                                \
    X(100000000, "0.1")                                                                                                \
    X(130000000, "0.13")                                                                                               \
    X(160000000, "0.16")                                                                                               \
    X(200000000, "0.2")                                                                                                \
    X(250000000, "0.25")                                                                                               \
    X(300000000, "0.3")                                                                                                \
    X(400000000, "0.4")                                                                                                \
    X(500000000, "0.5")                                                                                                \
    X(650000000, "0.65")                                                                                               \
    X(800000000, "0.8")                                                                                                \
    X(1000000000, "1")                                                                                                 \
    X(2000000000, "2")                                                                                                 \
    X(5000000000, "5")                                                                                                 \
    X(10000000000, "10")                                                                                               \
    X(20000000000, "20")                                                                                               \
    X(50000000000, "50")                                                                                               \
    X(100000000000, "100")

#define MOTE_METRIC_CALL_BYTES_MAP(X)                                                                                  \
    X(0, "0")                                                                                                          \
    X(1024, "1024")                                                                                                    \
    X(2048, "2048")                                                                                                    \
    X(4096, "4096")                                                                                                    \
    X(16384, "16384")                                                                                                  \
    X(65536, "65536")                                                                                                  \
    X(262144, "262144")                                                                                                \
    X(1048576, "1.048576e+06")                                                                                         \
    X(4194304, "4.194304e+06")                                                                                         \
    X(16777216, "1.6777216e+07")                                                                                       \
    X(67108864, "6.7108864e+07")                                                                                       \
    X(268435456, "2.68435456e+08")                                                                                     \
    X(1073741824, "1.073741824e+09")                                                                                   \
    X(4294967296, "4.294967296e+09")

#endif
