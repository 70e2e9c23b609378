/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client role on a socket, for commands: connect, make calls one after the other, close. It blocks, on a loop of
 * its own.
 */
#ifndef MOTE_NET_DIAL_H
#define MOTE_NET_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../rpc/client.h"
#include "../rpc/method.h"
#include "../security/tls.h"
#include "../wire/fields.h"
#include "../wire/status.h"

MOTE_C_BEGIN

#define MOTE_DIAL_TEXT_MAX 256u

struct mote_dial;

struct mote_dial_result {
    enum mote_status status;
    char message[MOTE_DIAL_TEXT_MAX]; /* of a status other than OK, cut off */
};

/* "host:port", "[::1]:port" or "unix:/path". `tls`: a client's context, a reference is taken; NULL: in the clear.
 * `server_name` is what the server's certificate must be for; NULL: any that `tls` trusts. MOTE_ECONNECT,
 * MOTE_ETIMEOUT, MOTE_EINVAL with one line in `problem`. */
MOTE_MUST_CHECK int mote_dial_open(struct mote_dial **out, const char *address, struct mote_tls_context *tls,
                                   const char *server_name, uint64_t timeout_ns, char problem[MOTE_DIAL_TEXT_MAX]);
void mote_dial_close(struct mote_dial *dial);
/* A unary call. `response` is a struct of the method's response type, filled in when the status is OK. 0 whatever the
 * status is; MOTE_ENOMEM, MOTE_EIO otherwise. `metadata` as in mote_client_call_options. */
MOTE_MUST_CHECK int mote_dial_unary(struct mote_dial *dial, const struct mote_method *method, const void *request,
                                    void *response, const struct mote_field *metadata, size_t metadata_count,
                                    uint64_t timeout_ns, struct mote_dial_result *result);

MOTE_C_END

#endif
