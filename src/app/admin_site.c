/* SPDX-License-Identifier: Apache-2.0 */
/* See admin_site.h. */
#include "app/admin_site.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"
#include "security/secret.h"

#define CREDENTIALS_MAX 1024u /* bytes of a header value that are looked at */

/* Two digests are compared: of the token's length nothing is told. */
static bool is_token(const char *token, struct mote_slice shown)
{
    uint8_t wanted[32];
    uint8_t given[32];
    mote_sha256(wanted, mote_slice_text(token));
    mote_sha256(given, shown);
    return mote_secret_equals(wanted, given, sizeof wanted);
}

static bool take_scheme(struct mote_slice *value, const char *scheme)
{
    const size_t length = strlen(scheme);
    if (value->length < length ||
        !mote_slice_equals_ignore_case(mote_slice(value->data, length), mote_slice(scheme, length))) {
        return false;
    }
    *value = mote_slice(value->data + length, value->length - length);
    return true;
}

static bool shows_token(const char *token, struct mote_slice value)
{
    uint8_t text[CREDENTIALS_MAX];
    size_t length = 0;
    if (value.length > CREDENTIALS_MAX) {
        return false;
    }
    if (take_scheme(&value, "Bearer ")) {
        return is_token(token, value);
    }
    if (!take_scheme(&value, "Basic ") || mote_base64_decode(text, &length, value, MOTE_BASE64_PADDED) != 0) {
        return false;
    }
    const uint8_t *colon = memchr(text, ':', length);
    const bool shows = colon != NULL && is_token(token, mote_slice(colon + 1, length - (size_t)(colon + 1 - text)));
    mote_secret_wipe(text, length);
    return shows;
}

static bool is_listed(const char *hosts, struct mote_slice name)
{
    while (hosts != NULL && *hosts != '\0') {
        const size_t length = strcspn(hosts, ",");
        if (mote_slice_equals_ignore_case(mote_slice(hosts, length), name)) {
            return true;
        }
        hosts += length + (hosts[length] == ',');
    }
    return false;
}

static bool is_own_host(const struct mote_admin_site *site, struct mote_slice host)
{
    const struct mote_slice name = mote_http1_host_name(host);
    char text[256] = "";
    uint8_t address[16];
    if (name.length == 0 || memchr(name.data, '.', name.length) == NULL) {
        return true; /* with a colon in it an IPv6 address, else a name of this network */
    }
    if (name.length < sizeof text) {
        memcpy(text, name.data, name.length);
    }
    static const struct mote_slice localhost = MOTE_SLICE_LITERAL(".localhost");
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1 ||
           (name.length > localhost.length &&
            mote_slice_equals_ignore_case(mote_slice(name.data + name.length - localhost.length, localhost.length),
                                          localhost)) ||
           is_listed(site->hosts, name);
}

int mote_admin_site_text(struct mote_admin_reply *reply, unsigned status, const char *body)
{
    reply->status = status;
    mote_buffer_clear(reply->body);
    return mote_buffer_append_format(reply->body, "%s\n", body != NULL ? body : mote_http1_reason(status));
}

static const struct mote_admin_route *find(const struct mote_admin_site *site, struct mote_slice path)
{
    for (size_t i = 0; i < site->route_count; i++) {
        if (mote_slice_equals_text(path, site->routes[i].path)) {
            return &site->routes[i];
        }
    }
    return NULL;
}

int mote_admin_site_answer(void *context, const struct mote_http1_request *request, struct mote_admin_reply *reply)
{
    const struct mote_admin_site *site = context;
    const struct mote_admin_route *route = find(site, request->path);
    const bool is_known = site->token != NULL && shows_token(site->token, request->authorization);
    if (!is_known && !is_own_host(site, request->host)) {
        return mote_admin_site_text(reply, 403, "This host name is not one of ADMIN_HOSTS.");
    }
    if (site->token != NULL && !is_known && (route == NULL || (route->flags & MOTE_ADMIN_OPEN) == 0)) {
        reply->extra = "WWW-Authenticate: Bearer, Basic realm=\"mote\"\r\n";
        return mote_admin_site_text(reply, 401, NULL);
    }
    if (route == NULL) {
        return mote_admin_site_text(reply, 404, NULL);
    }
    const bool is_put = mote_slice_equals_text(request->method, "PUT");
    if (is_put ? (route->flags & MOTE_ADMIN_PUT) == 0
               : !mote_slice_equals_text(request->method, "GET") && !mote_slice_equals_text(request->method, "HEAD")) {
        reply->extra = (route->flags & MOTE_ADMIN_PUT) != 0 ? "Allow: GET, HEAD, PUT\r\n" : "Allow: GET, HEAD\r\n";
        return mote_admin_site_text(reply, 405, NULL);
    }
    return route->answer(site->context, request, reply);
}
