/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options; see options.h. A new option is one row here (and its use). */
#ifndef MOTE_APP_OPTION_TABLE_H
#define MOTE_APP_OPTION_TABLE_H

#include "base/clock.h"

#define MOTE_OPTION_SECOND ((uint64_t)MOTE_NS_PER_SECOND)
#define MOTE_OPTION_MINUTE (60u * MOTE_OPTION_SECOND)
#define MOTE_OPTION_DAY    (86400u * MOTE_OPTION_SECOND)
#define MOTE_OPTION_MIB    1048576u
#define MOTE_OPTION_NEVER  (3650u * MOTE_OPTION_DAY)

/* X(group, "title") in the order of printing */
#define MOTE_OPTION_GROUP_MAP(X)                                                                                       \
    X(NETWORK, "Network")                                                                                              \
    X(PROCESS, "Process")                                                                                              \
    X(ACCOUNTS, "Accounts and tokens")                                                                                 \
    X(PASSWORDS, "Passwords")                                                                                          \
    X(STORE, "Store")                                                                                                  \
    X(LIMITS, "Limits")                                                                                                \
    X(SHUTDOWN, "Shutdown")                                                                                            \
    X(LOG, "Log")                                                                                                      \
    X(TLS, "TLS")                                                                                                      \
    X(TELEMETRY, "Admin port, metrics and traces")

/* X(field, NAME, kind, default, words, minimum, maximum, group, "help") */
#define MOTE_OPTION_MAP(X)                                                                                             \
    X(listen, LISTEN, TEXT, "127.0.0.1:50051", NULL, 0, 1023, NETWORK,                                                 \
      "Where to listen: a comma-separated list of host:port, [ipv6]:port, unix:/path, unix-abstract:name and "         \
      "systemd: for sockets that the service manager hands over, systemd:NAME for those of that name. [::]:port "      \
      "takes "                                                                                                         \
      "IPv4 too; port 0 means any free one. unix:/path?mode=0660&owner=USER&group=GROUP sets the rights of the file, " \
      "which are those of the umask otherwise.")                                                                       \
    X(health_listen, HEALTH_LISTEN, TEXT, "off", NULL, 0, 1023, NETWORK,                                               \
      "More addresses, always without TLS, that serve grpc.health.v1 and nothing else: for probes that speak no TLS. " \
      "As in LISTEN; off: none. mote healthcheck asks there when it is set.")                                          \
    X(insecure, INSECURE, BOOL, "false", NULL, 0, 0, NETWORK,                                                          \
      "Allows LISTEN addresses other than loopback and unix sockets without TLS. Passwords and tokens then cross "     \
      "the network in the clear.")                                                                                     \
    X(reflection, REFLECTION, CHOICE, "auto", "auto|on|off", 0, 0, NETWORK,                                            \
      "gRPC server reflection; auto: on while every LISTEN address is loopback or a unix socket.")                     \
    X(trusted_proxies, TRUSTED_PROXIES, TEXT, NULL, NULL, 1, 4095, NETWORK,                                            \
      "Proxies whose x-forwarded-for is believed: a comma-separated list of addresses, networks such as 10.0.0.0/8 "   \
      "and unix: for the peers of unix sockets. The caller is the last entry that is none of them.")                   \
    X(workers, WORKERS, COUNT, "auto", "auto", 1, 64, PROCESS,                                                         \
      "Threads that serve connections; auto: the processors this process may use, by affinity and cgroup quota.")      \
    X(memory_budget, MEMORY_BUDGET, SIZE, "auto", "auto", 16u * MOTE_OPTION_MIB, 1ull << 50, PROCESS,                  \
      "Memory to reckon with; auto: the cgroup's limit, or the machine's memory. Request bytes that are buffered "     \
      "get a quarter of it, connections half.")                                                                        \
    X(tls_cert_file, TLS_CERT_FILE, TEXT, NULL, NULL, 1, 8191, TLS,                                                    \
      "Certificates in PEM form, the leaf first: a comma-separated list of up to 8 files. The first is for clients "   \
      "that name no server, or an unknown one; the others are found by the DNS names in them. With it all TCP "        \
      "addresses of LISTEN speak TLS, and only TLS. Changed files are read again by themselves, and on SIGHUP.")       \
    X(tls_key_file, TLS_KEY_FILE, TEXT, NULL, NULL, 1, 8191, TLS,                                                      \
      "The private keys of TLS_CERT_FILE, in the same order: RSA or EC, in PEM form.")                                 \
    X(tls_key_password, TLS_KEY_PASSWORD, SECRET, NULL, NULL, 1, 1024, TLS,                                            \
      "The password of private keys that are encrypted.")                                                              \
    X(tls_client_ca_file, TLS_CLIENT_CA_FILE, TEXT, NULL, NULL, 1, 1023, TLS,                                          \
      "Certificates of the authorities that clients' certificates must be signed by; with it clients are asked for "   \
      "one.")                                                                                                          \
    X(tls_client_auth, TLS_CLIENT_AUTH, CHOICE, "required", "required|optional", 0, 0, TLS,                            \
      "Whether clients must show a certificate; optional: one that is shown must be good.")                            \
    X(jwt_secret, JWT_SECRET, SECRET, NULL, NULL, 1, 8192, ACCOUNTS,                                                   \
      "Key that access tokens are signed with, at least 32 bytes; base64: in front of it is decoded. Required. Its "   \
      "file holds a key a line, alone or as kid:key: the first signs, up to 3 more verify. SIGHUP reads it again.")    \
    X(jwt_access_expiry, JWT_ACCESS_EXPIRY, MINUTES, "15", NULL, MOTE_OPTION_SECOND, MOTE_OPTION_DAY, ACCOUNTS,        \
      "Life of an access token: minutes, or a duration.")                                                              \
    X(jwt_refresh_expiry, JWT_REFRESH_EXPIRY, DURATION, "7d", NULL, MOTE_OPTION_SECOND, 30u * MOTE_OPTION_DAY,         \
      ACCOUNTS, "Life of a refresh token that is not used; a session ends after 30 days in any case.")                 \
    X(jwt_issuer, JWT_ISSUER, TEXT, "mote", NULL, 1, 256, ACCOUNTS, "The claim iss of tokens.")                        \
    X(jwt_audience, JWT_AUDIENCE, TEXT, "mote", NULL, 1, 256, ACCOUNTS, "The claim aud of tokens.")                    \
    X(jwt_leeway, JWT_LEEWAY, DURATION, "30s", NULL, 0, 5u * MOTE_OPTION_MINUTE, ACCOUNTS,                             \
      "How far clocks may differ when the times of a token are checked.")                                              \
    X(signup, SIGNUP, CHOICE, "closed", "closed|open", 0, 0, ACCOUNTS,                                                 \
      "open: anyone may create an account for themselves; closed: administrators create them.")                        \
    X(password_hash, PASSWORD_HASH, TEXT, "argon2id:m=19456,t=2,p=1", NULL, 1, 128, PASSWORDS,                         \
      "How passwords are hashed: argon2id with memory in KiB, iterations and lanes, or pbkdf2-sha256:i=600000 for "    \
      "machines without that memory. Hashes of other settings still fit; a login makes them anew.")                    \
    X(password_hash_concurrency, PASSWORD_HASH_CONCURRENCY, COUNT, "1", NULL, 1, 64, PASSWORDS,                        \
      "Passwords hashed at one time; each takes the memory above. 32 more wait, further ones are refused.")            \
    X(store_url, STORE_URL, SECRET, "sqlite:mote.db", NULL, 1, 4096, STORE,                                            \
      "Where accounts are kept: sqlite:PATH, or memory: for tests, gone at the end.")                                  \
    X(max_connections, MAX_CONNECTIONS, COUNT, "10000", NULL, 1, 1000000, LIMITS,                                      \
      "Connections at one time; further ones wait. Fewer where file descriptors or MEMORY_BUDGET do not allow them: "  \
      "the log says how many.")                                                                                        \
    X(max_connections_per_address, MAX_CONNECTIONS_PER_ADDRESS, COUNT, "256", NULL, 1, 1000000, LIMITS,                \
      "Connections at one time from one IPv4 address or IPv6 /64; further ones are closed.")                           \
    X(max_concurrent_streams, MAX_CONCURRENT_STREAMS, COUNT, "100", NULL, 1, 10000, LIMITS,                            \
      "Calls at one time on one connection.")                                                                          \
    X(max_call_duration, MAX_CALL_DURATION, DURATION, "off", "off", MOTE_OPTION_SECOND, MOTE_OPTION_DAY, LIMITS,       \
      "The longest that a call with one answer may take, whatever its client allows; then it is DEADLINE_EXCEEDED.")   \
    X(max_recv_message_size, MAX_RECV_MESSAGE_SIZE, SIZE, "4MiB", NULL, 1, 1ull << 30, LIMITS,                         \
      "A request message; a method may declare less, and mote's own declare 64KiB.")                                   \
    X(max_metadata_size, MAX_METADATA_SIZE, SIZE, "8KiB", NULL, 1024, 65536, LIMITS,                                   \
      "Metadata of a request, 32 bytes added for each field (RFC 9113 section 6.5.2).")                                \
    X(keepalive_time, KEEPALIVE_TIME, DURATION, "60s", "off", MOTE_OPTION_SECOND, MOTE_OPTION_NEVER, LIMITS,           \
      "Silence after which the server pings a connection, to find dead peers (gRFC A9).")                              \
    X(keepalive_timeout, KEEPALIVE_TIMEOUT, DURATION, "20s", NULL, MOTE_OPTION_SECOND, MOTE_OPTION_DAY, LIMITS,        \
      "How long that ping may go unanswered; then the connection is closed.")                                          \
    X(max_connection_idle, MAX_CONNECTION_IDLE, DURATION, "5m", "off", MOTE_OPTION_SECOND, MOTE_OPTION_NEVER, LIMITS,  \
      "Time without a call after which a connection is ended gracefully (gRFC A9).")                                   \
    X(max_connection_age, MAX_CONNECTION_AGE, DURATION, "off", "off", MOTE_OPTION_SECOND, MOTE_OPTION_NEVER, LIMITS,   \
      "Age at which a connection is ended gracefully, give or take a tenth (gRFC A9). Behind a balancer of "           \
      "connections, 30m lets new servers get their share.")                                                            \
    X(max_connection_age_grace, MAX_CONNECTION_AGE_GRACE, DURATION, "30s", "off", MOTE_OPTION_SECOND,                  \
      MOTE_OPTION_NEVER, LIMITS, "How long its calls may then go on; then they are cut off.")                          \
    X(keepalive_min_time, KEEPALIVE_MIN_TIME, DURATION, "5m", NULL, 0, MOTE_OPTION_DAY, LIMITS,                        \
      "Clients whose pings come closer together than this are sent away (gRFC A8).")                                   \
    X(keepalive_permit_without_calls, KEEPALIVE_PERMIT_WITHOUT_CALLS, BOOL, "false", NULL, 0, 0, LIMITS,               \
      "Allows clients' pings while no call is in progress (gRFC A8).")                                                 \
    X(shutdown_grace_period, SHUTDOWN_GRACE_PERIOD, DURATION, "25s", NULL, 0, MOTE_OPTION_DAY, SHUTDOWN,               \
      "After SIGTERM or SIGINT, how long calls in progress may take to end; then they are cut off.")                   \
    X(shutdown_delay, SHUTDOWN_DELAY, DURATION, "0s", NULL, 0, MOTE_OPTION_DAY, SHUTDOWN,                              \
      "Before that, how long to go on serving while health says NOT_SERVING.")                                         \
    X(log_level, LOG_LEVEL, CHOICE, "info", "debug|info|warn|error", 0, 0, LOG,                                        \
      "Lines below it are not written. SIGUSR1 moves it one step towards debug, SIGUSR2 one towards error.")           \
    X(log_format, LOG_FORMAT, CHOICE, "auto", "auto|json|logfmt|text", 0, 0, LOG,                                      \
      "auto: text on a terminal and in the journal, JSON everywhere else.")                                            \
    X(log_access, LOG_ACCESS, CHOICE, "errors", "off|errors|all", 0, 0, LOG,                                           \
      "A line for each finished call: none, those that did not end OK and slow ones, or all.")                         \
    X(log_sample_ok, LOG_SAMPLE_OK, COUNT, "1", NULL, 1, 1000000000, LOG,                                              \
      "With LOG_ACCESS=all: one line for so many calls that ended OK.")                                                \
    X(log_user_id, LOG_USER_ID, BOOL, "false", NULL, 0, 0, LOG, "Puts the caller's user id into these lines.")         \
    X(admin_listen, ADMIN_LISTEN, TEXT, "127.0.0.1:9464", NULL, 1, 1023, TELEMETRY,                                    \
      "Where the admin port listens, with metrics, probes and the status: an address as in LISTEN, or off. When the "  \
      "default is taken by another program there is no admin port, and the log says so.")                              \
    X(admin_token, ADMIN_TOKEN, SECRET, NULL, NULL, 16, 1024, TELEMETRY,                                               \
      "What the admin port wants, but for the probes /livez, /readyz and /healthz: authorization: Bearer and this, "   \
      "or this as the password of Basic authentication.")                                                              \
    X(admin_hosts, ADMIN_HOSTS, TEXT, NULL, NULL, 1, 4095, TELEMETRY,                                                  \
      "Names that the admin port may be asked by beside addresses, localhost and names without a dot: a "              \
      "comma-separated list. Others are refused, so that no web page can reach it through a name of its own (DNS "     \
      "rebinding).")                                                                                                   \
    X(admin_configz, ADMIN_CONFIGZ, BOOL, "false", NULL, 0, 0, TELEMETRY,                                              \
      "Shows the settings at /configz of the admin port, secrets masked.")                                             \
    X(metrics_flavor, METRICS_FLAVOR, TEXT, "requests,grpc-prometheus", NULL, 1, 256, TELEMETRY,                       \
      "Names that calls are counted under, a comma-separated list: requests (grpc_requests_total), grpc-prometheus "   \
      "(grpc_server_started_total and its like), otel (grpc_server_call_duration_seconds and its like); or off.")      \
    X(metrics_preregister, METRICS_PREREGISTER, CHOICE, "ok", "ok|all|none", 0, 0, TELEMETRY,                          \
      "Which series of a method are there before its first call: those of OK, those of every code, or none.")          \
    X(otel_sdk_disabled, OTEL_SDK_DISABLED, BOOL, "false", NULL, 0, 0, TELEMETRY,                                      \
      "No traces, whatever the settings below say.")                                                                   \
    X(otel_traces_exporter, OTEL_TRACES_EXPORTER, CHOICE, "auto", "auto|otlp|none", 0, 0, TELEMETRY,                   \
      "Where spans go; auto: to the collector, when its endpoint is set.")                                             \
    X(otel_exporter_otlp_endpoint, OTEL_EXPORTER_OTLP_ENDPOINT, TEXT, NULL, NULL, 1, 255, TELEMETRY,                   \
      "The collector, by OTLP over gRPC: http://host:port, or https:// for TLS. http://localhost:4317 when only the "  \
      "exporter is set. This and all OTEL_EXPORTER_OTLP_ settings below may also be called OTEL_EXPORTER_OTLP_TRACES_" \
      ", which wins.")                                                                                                 \
    X(otel_exporter_otlp_insecure, OTEL_EXPORTER_OTLP_INSECURE, BOOL, "false", NULL, 0, 0, TELEMETRY,                  \
      "Whether an endpoint without http:// or https:// is spoken to without TLS.")                                     \
    X(otel_exporter_otlp_certificate, OTEL_EXPORTER_OTLP_CERTIFICATE, TEXT, NULL, NULL, 1, 4095, TELEMETRY,            \
      "Who may sign the collector's certificate, in PEM form; those of the system otherwise.")                         \
    X(otel_exporter_otlp_client_certificate, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, TEXT, NULL, NULL, 1, 4095,         \
      TELEMETRY, "What is shown to a collector that asks who is there, in PEM form.")                                  \
    X(otel_exporter_otlp_client_key, OTEL_EXPORTER_OTLP_CLIENT_KEY, TEXT, NULL, NULL, 1, 4095, TELEMETRY,              \
      "Its private key; without it the certificate's file has it.")                                                    \
    X(otel_exporter_otlp_headers, OTEL_EXPORTER_OTLP_HEADERS, SECRET, NULL, NULL, 1, 4095, TELEMETRY,                  \
      "Metadata of each export: name=value,name=value, with %20 and so on in values.")                                 \
    X(otel_exporter_otlp_timeout, OTEL_EXPORTER_OTLP_TIMEOUT, MILLISECONDS, "10s", NULL, 0, MOTE_OPTION_DAY,           \
      TELEMETRY, "The deadline of an export; 0: none.")                                                                \
    X(otel_exporter_otlp_compression, OTEL_EXPORTER_OTLP_COMPRESSION, CHOICE, "none", "none|gzip", 0, 0, TELEMETRY,    \
      "Whether exports are compressed.")                                                                               \
    X(otel_service_name, OTEL_SERVICE_NAME, TEXT, NULL, NULL, 1, 255, TELEMETRY,                                       \
      "The service's name in traces; without it that of OTEL_RESOURCE_ATTRIBUTES, or mote.")                           \
    X(otel_resource_attributes, OTEL_RESOURCE_ATTRIBUTES, TEXT, NULL, NULL, 1, 4095, TELEMETRY,                        \
      "What is told of this server with its spans: name=value,name=value.")                                            \
    X(otel_traces_sampler, OTEL_TRACES_SAMPLER, TEXT, "parentbased_always_on", NULL, 1, 32, TELEMETRY,                 \
      "Which calls have a span: always_on, always_off, traceidratio, or, for those whose callers have not decided "    \
      "it, "                                                                                                           \
      "parentbased_always_on, parentbased_always_off, parentbased_traceidratio.")                                      \
    X(otel_traces_sampler_arg, OTEL_TRACES_SAMPLER_ARG, TEXT, "1", NULL, 1, 32, TELEMETRY,                             \
      "The part of all traces that traceidratio takes, 0 to 1.")                                                       \
    X(trace_trust_incoming, TRACE_TRUST_INCOMING, BOOL, "true", NULL, 0, 0, TELEMETRY,                                 \
      "Whether callers' traces are continued. false, for servers that anybody can reach: each call begins a trace of " \
      "its own, with a link to its caller's, and no caller decides what is sampled.")                                  \
    X(otel_propagators, OTEL_PROPAGATORS, TEXT, "tracecontext,baggage", NULL, 1, 255, TELEMETRY,                       \
      "How callers tell of their traces: a comma-separated list of tracecontext and baggage, of which only the first " \
      "is looked at, or none.")                                                                                        \
    X(otel_attribute_value_length_limit, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT, COUNT, "255", NULL, 1, UINT32_MAX,         \
      TELEMETRY, "Bytes of an attribute's value; longer ones are cut off, at 255 in any case.")                        \
    X(otel_span_attribute_count_limit, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, COUNT, "128", NULL, 0, UINT32_MAX, TELEMETRY,  \
      "Attributes of a span; further ones are left out.")                                                              \
    X(otel_span_event_count_limit, OTEL_SPAN_EVENT_COUNT_LIMIT, COUNT, "128", NULL, 0, UINT32_MAX, TELEMETRY,          \
      "Messages of a call that its span has an event for, 16 in any case; 0: none.")                                   \
    X(otel_bsp_schedule_delay, OTEL_BSP_SCHEDULE_DELAY, MILLISECONDS, "5s", NULL, MOTE_NS_PER_MS, MOTE_OPTION_DAY,     \
      TELEMETRY, "How long spans wait for others to be sent with.")                                                    \
    X(otel_bsp_export_timeout, OTEL_BSP_EXPORT_TIMEOUT, MILLISECONDS, "30s", NULL, 0, MOTE_OPTION_DAY, TELEMETRY,      \
      "How long the last ones may take at the end.")                                                                   \
    X(otel_bsp_max_queue_size, OTEL_BSP_MAX_QUEUE_SIZE, COUNT, "2048", NULL, 1, 65536, TELEMETRY,                      \
      "Spans that wait at most, in 512 KiB; further ones are dropped.")                                                \
    X(otel_bsp_max_export_batch_size, OTEL_BSP_MAX_EXPORT_BATCH_SIZE, COUNT, "512", NULL, 1, 65536, TELEMETRY,         \
      "Spans in one export at most; not more than the queue has.")

/* Known, but their part is not built yet. X(NAME, the only value it may have or NULL, group, "help") */
#define MOTE_OPTION_UNBUILT_MAP(X)                                                                                     \
    X(OTEL_EXPORTER_OTLP_PROTOCOL, "grpc", TELEMETRY, "How spans are sent.")                                           \
    X(OTEL_CONFIG_FILE, NULL, TELEMETRY, "Configuration in a file.")

#endif
