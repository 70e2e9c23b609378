/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of connectrpc's conformance suite. Its runner says on standard input what is to be served, and is told on
 * standard output where that is: a message each, behind its length in four bytes, big endian. SIGTERM ends it.
 */
#include <mote/net/serve.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.mote.h"

#define MESSAGE_MAX 65536u
#define GRACE_NS    (2 * MOTE_LIMITS_SECOND)

static connectrpc_conformance_v1_ServerCompatRequest wanted;
static uint8_t message[MESSAGE_MAX];

static int read_wanted(void)
{
    uint8_t prefix[4];
    if (fread(prefix, 1, sizeof prefix, stdin) != sizeof prefix) {
        return MOTE_EIO;
    }
    const size_t length =
        (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 | (size_t)prefix[3];
    if (length > sizeof message) {
        return MOTE_ELIMIT;
    }
    if (fread(message, 1, length, stdin) != length) {
        return MOTE_EIO;
    }
    return mote_codec_decode(&connectrpc_conformance_v1_ServerCompatRequest_type, mote_slice(message, length), &wanted,
                             NULL);
}

static void tell_started(void *context, struct mote_runtime *runtime, struct mote_health *health)
{
    connectrpc_conformance_v1_ServerCompatResponse response = connectrpc_conformance_v1_ServerCompatResponse_init_zero;
    const char *address = mote_runtime_address(runtime, 0);
    const char *port = strrchr(address, ':');
    size_t length = 0;
    (void)context;
    (void)health;
    (void)snprintf(response.host, sizeof response.host, "%.*s", (int)(port - address), address);
    response.port = (uint32_t)strtoul(port + 1, NULL, 10);
    if (wanted.use_tls) {
        response.pem_cert.size = wanted.server_creds.cert.size;
        memcpy(response.pem_cert.bytes, wanted.server_creds.cert.bytes, response.pem_cert.size);
    }
    if (mote_codec_encode_into(&connectrpc_conformance_v1_ServerCompatResponse_type, &response, message, sizeof message,
                               &length) == 0) {
        const uint8_t prefix[4] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length};
        (void)fwrite(prefix, 1, sizeof prefix, stdout);
        (void)fwrite(message, 1, length, stdout);
    }
    fflush(stdout);
}

static int make_tls(struct mote_tls_context **out)
{
    const struct mote_tls_identity identity = {
        .certificate = {"server_creds.cert", {wanted.server_creds.cert.bytes, wanted.server_creds.cert.size}},
        .key = {"server_creds.key", {wanted.server_creds.key.bytes, wanted.server_creds.key.size}},
    };
    struct mote_tls_options options = {
        .identities = &identity,
        .identity_count = 1,
        .random = mote_random_system(),
        .mem = mote_mem_system(),
    };
    char problem[MOTE_TLS_PROBLEM_MAX];
    if (wanted.client_tls_cert.size != 0) {
        options.client_auth = MOTE_TLS_CLIENT_AUTH_REQUIRED;
        options.authorities =
            (struct mote_tls_pem){"client_tls_cert", {wanted.client_tls_cert.bytes, wanted.client_tls_cert.size}};
    }
    const int error = mote_tls_context_new(out, &options, problem);
    if (error != 0) {
        fprintf(stderr, "conformance-server: %s\n", problem);
    }
    return error;
}

int main(void)
{
    struct mote_limits limits;
    struct mote_serve_options options = {
        .name = "conformance-server",
        .services = {{.service = &connectrpc_conformance_v1_ConformanceService_service}},
        .server = {.limits = &limits},
        .runtime = {.listen = "127.0.0.1:0", .drain_grace_ns = GRACE_NS},
        .started = tell_started,
    };
    mote_limits_init(&limits);
    int error = read_wanted();
    if (error != 0) {
        fprintf(stderr, "conformance-server: standard input: %s\n", mote_error_text(error));
        return 1;
    }
    if (wanted.message_receive_limit != 0) {
        limits.message_receive_max = wanted.message_receive_limit;
    }
    if (wanted.use_tls) {
        error = make_tls(&options.runtime.tls);
    }
    if (error == 0) {
        error = mote_serve(&options);
    }
    mote_tls_context_unref(options.runtime.tls);
    return error == 0 ? 0 : 1;
}
