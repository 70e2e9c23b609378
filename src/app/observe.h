/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator sees of the running server: the metrics, and the pages of the admin port. It only reads, but for the
 * log's level. What it needs of other parts is borrowed until close.
 */
#ifndef MOTE_APP_OBSERVE_H
#define MOTE_APP_OBSERVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "app/admin_site.h"
#include "app/effective.h"
#include "app/log_sink.h"
#include "app/options.h"
#include "rpc/server.h"
#include "security/password.h"
#include "store/store.h"
#include "telemetry/metrics.h"

#define MOTE_OBSERVE_HISTORY       150u /* samples: five minutes */
#define MOTE_OBSERVE_HISTORY_EVERY 2    /* seconds */

struct mote_observe_sample {
    int64_t at; /* wall time, seconds; 0: none yet */
    uint64_t calls, server_errors, connections;
};

struct mote_observe {
    /* The owner's, set before open. */
    const struct mote_options *options;
    const struct mote_effective *effective;
    struct mote_log_sink *sink;
    struct mote_store *store;
    struct mote_password_pool *passwords;
    const struct mote_tracer *tracer;   /* NULL: none */
    const atomic_bool *serving;         /* false once the end has begun */
    atomic_bool listening;              /* the workers have started */
    _Atomic int64_t certificate_expiry; /* seconds since 1970; INT64_MAX: no TLS */
    /* Own. */
    int64_t started; /* wall time, seconds */
    struct mote_metrics *metrics;
    struct mote_metric_method *methods;
    size_t method_count;
    pthread_mutex_t lock; /* of the two below */
    struct mote_observe_sample history[MOTE_OBSERVE_HISTORY];
    size_t sampled; /* ever */
    struct mote_admin_site site;
    struct mote_admin *admin; /* NULL: ADMIN_LISTEN=off */
};

/* Makes the metrics: everything that is served has been registered. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_observe_open(struct mote_observe *observe, const struct mote_server *server);
/* Opens the admin port. As mote_admin_start. Where the address is the default's and somebody else's, that is logged and
 * there is no admin port: nobody has asked for it. */
MOTE_MUST_CHECK int mote_observe_listen(struct mote_observe *observe, char problem[MOTE_RUNTIME_PROBLEM_MAX]);
/* Works on a zeroed struct. */
void mote_observe_close(struct mote_observe *observe);

/* metrics_values.c: what the scrape itself finds out, added to what the workers have counted. */
void mote_observe_values(const struct mote_observe *observe, double values[MOTE_METRIC_COUNT]);
/* Takes a sample when it is time for one; to be called each second or so, by one thread. */
void mote_observe_tick(struct mote_observe *observe);
/* status.c: /statusz.json, and the page that shows it. */
void mote_observe_print_status(FILE *out, void *observe);
struct mote_slice mote_observe_page(void);
bool mote_observe_is_ready(const struct mote_observe *observe);

#endif
