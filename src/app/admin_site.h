/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask the admin port what: routes as a table, and what stands before them.
 *
 * Host: a page in the operator's browser may be made to ask this port under a name of its own (DNS rebinding). Such a
 * name has a dot, so requests for a name with one are refused unless ADMIN_HOSTS has it; addresses, names without a dot
 * and localhost are taken. Token: with ADMIN_TOKEN everything but the probes wants it, as a Bearer token or as the
 * password of Basic authentication, which browsers ask for; who shows it may come by any name.
 */
#ifndef MOTE_APP_ADMIN_SITE_H
#define MOTE_APP_ADMIN_SITE_H

#include "net/admin.h"

enum {
    MOTE_ADMIN_OPEN = 1, /* without a token: for probes */
    MOTE_ADMIN_PUT = 2,  /* PUT too */
};

struct mote_admin_route {
    const char *path;
    unsigned flags;
    int (*answer)(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply);
};

struct mote_admin_site {
    const struct mote_admin_route *routes;
    size_t route_count;
    const char *token; /* NULL: none is wanted */
    const char *hosts; /* comma-separated names, NULL: none */
    void *context;     /* of the routes */
};

/* For struct mote_admin_options; `context` is the site. */
int mote_admin_site_answer(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply);
/* Answers with a line of text; `body` may be NULL for the words of the status. */
MOTE_MUST_CHECK int mote_admin_site_text(struct mote_admin_reply *reply, unsigned status, const char *body);

#endif
