/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calculator as a program: what another author's server looks like, written against the public headers only.
 *
 *   calculator-server [--listen 127.0.0.1:0] [--workers N]
 */
#include <mote/net/serve.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calculator.mote.h"

static bool parse(int argc, char **argv, struct mote_runtime_options *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0) {
            options->listen = argv[i + 1];
        } else if (strcmp(argv[i], "--workers") == 0) {
            options->workers = strtoul(argv[i + 1], NULL, 10);
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && options->workers >= 1 && options->workers <= MOTE_RUNTIME_WORKERS_MAX;
}

int main(int argc, char **argv)
{
    struct mote_limits limits;
    struct mote_serve_options options = {.name = "calculator-server",
                                         .services = {{.service = &calculator_v1_Calculator_service}},
                                         .server = {.limits = &limits},
                                         .runtime = {.listen = "127.0.0.1:50052", .workers = 1}};
    if (!parse(argc, argv, &options.runtime)) {
        fprintf(stderr, "usage: calculator-server [--listen ADDRESS] [--workers N]\n");
        return 64;
    }
    mote_limits_init(&limits);
    limits.connections_per_address_max = limits.connections_max; /* tests come from one address */
    limits.connections_unopened_max = limits.connections_max;
    return mote_serve(&options) == 0 ? 0 : 1;
}
