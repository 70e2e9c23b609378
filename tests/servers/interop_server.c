/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's interoperability test server, with the flags that all of them have; SIGTERM and SIGINT drain it.
 *
 *   interop-server --port=N [--use_tls --tls_cert_file=FILE --tls_key_file=FILE]     (port 0: any free one)
 */
#include <mote/net/serve.h>
#include <stdio.h>
#include <string.h>

#include "interop.mote.h"
#include "orca.mote.h"

#define MESSAGE_MAX 16777216u /* as in other servers of these tests: Java has a case of very large requests */

struct arguments {
    const char *port;
    const char *use_tls; /* "", "true": yes */
    const char *certificate;
    const char *key;
};

/* The value of "--name=value" or "--name value", which takes the next argument too; "" where there is none. NULL:
 * argv[*index] is something else. */
static const char *value_of(char **argv, int *index, const char *name)
{
    const size_t length = strlen(name);
    const char *rest = argv[*index] + length;
    if (strncmp(argv[*index], name, length) != 0 || (*rest != '=' && *rest != '\0')) {
        return NULL;
    }
    if (*rest == '=') {
        return rest + 1;
    }
    if (argv[*index + 1] == NULL || argv[*index + 1][0] == '-') {
        return rest;
    }
    ++*index;
    return argv[*index];
}

static bool parse(char **argv, struct arguments *out)
{
    struct {
        const char *name;
        const char **value;
    } const rows[] = {
        {"--port", &out->port},
        {"--use_tls", &out->use_tls},
        {"--tls_cert_file", &out->certificate},
        {"--tls_key_file", &out->key},
    };
    *out = (struct arguments){.port = "10000", .use_tls = "false"};
    for (int i = 1; argv[i] != NULL; i++) {
        const char *value = NULL;
        for (size_t row = 0; row < sizeof rows / sizeof rows[0] && value == NULL; row++) {
            value = value_of(argv, &i, rows[row].name);
            if (value != NULL) {
                *rows[row].value = value;
            }
        }
        if (value == NULL) {
            return false;
        }
    }
    return strcmp(out->use_tls, "false") == 0 || (out->certificate != NULL && out->key != NULL);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct mote_limits limits;
    char listen[64];
    (void)argc;
    if (!parse(argv, &arguments)) {
        fprintf(stderr, "usage: interop-server --port=N [--use_tls --tls_cert_file=FILE --tls_key_file=FILE]\n");
        return 64;
    }
    const bool secure = strcmp(arguments.use_tls, "false") != 0;
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%s", arguments.port);
    mote_limits_init(&limits);
    limits.connections_per_address_max = limits.connections_max; /* tests come from one address */
    limits.connections_unopened_max = limits.connections_max;
    limits.message_receive_max = limits.message_send_max = MESSAGE_MAX;
    limits.buffered_per_connection_max = 4 * MESSAGE_MAX;
    /* One worker, which keeps the load report. */
    const struct mote_serve_options options = {
        .name = "interop-server",
        .services = {{.service = &grpc_testing_TestService_service},
                     {.service = &xds_service_orca_v3_OpenRcaService_service}},
        .tls = {.certificates = secure ? arguments.certificate : NULL, .keys = secure ? arguments.key : NULL},
        .server = {.limits = &limits},
        .runtime = {.listen = listen},
    };
    return mote_serve(&options) == 0 ? 0 : 1;
}
