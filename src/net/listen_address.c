/* SPDX-License-Identifier: Apache-2.0 */
/* Items of LISTEN; see listen_address.h. The environment is read anew each time: nothing changes it while we start. */
#include "net/listen_address.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define FIRST_INHERITED 3 /* sd_listen_fds(3) */
#define INHERITED_MAX   64u
#define OPTION_MAX      64u /* bytes of a name or a number */

bool mote_listen_address_next(const char **rest, struct mote_slice *item)
{
    *rest += strspn(*rest, ",");
    *item = mote_slice(*rest, strcspn(*rest, ","));
    *rest += item->length;
    return item->length > 0;
}

/* --- inherited sockets ------------------------------------------------------------------------------------------- */

static bool variable_is(const char *name, uint64_t *value)
{
    const char *text = getenv(name);
    return text != NULL && mote_decimal_parse(value, mote_slice_text(text), INT32_MAX) == 0;
}

int mote_listen_address_inherited(struct mote_slice name, size_t index)
{
    uint64_t process, count;
    if (!variable_is("LISTEN_PID", &process) || process != (uint64_t)getpid() || !variable_is("LISTEN_FDS", &count)) {
        return -1;
    }
    const char *names = getenv("LISTEN_FDNAMES");
    names = names != NULL ? names : "";
    for (size_t i = 0; i < count && i < INHERITED_MAX; i++) {
        size_t length = strcspn(names, ":");
        if ((name.length == 0 || mote_slice_equals(name, mote_slice(names, length))) && index-- == 0) {
            return FIRST_INHERITED + (int)i;
        }
        names += length + (names[length] == ':');
    }
    return -1;
}

/* --- options of a unix socket's file ----------------------------------------------------------------------------- */

static bool parse_mode(uint32_t *out, const char *text)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    *out = (uint32_t)mode;
    return text[0] >= '0' && text[0] <= '7' && *end == '\0' && mode <= 0777;
}

static bool parse_owner(uint32_t *out, const char *text)
{
    uint64_t number;
    const struct passwd *user;
    if (mote_decimal_parse(&number, mote_slice_text(text), UINT32_MAX - 1) == 0) {
        *out = (uint32_t)number;
        return true;
    }
    user = getpwnam(text);
    *out = user != NULL ? user->pw_uid : 0;
    return user != NULL;
}

static bool parse_group(uint32_t *out, const char *text)
{
    uint64_t number;
    const struct group *group;
    if (mote_decimal_parse(&number, mote_slice_text(text), UINT32_MAX - 1) == 0) {
        *out = (uint32_t)number;
        return true;
    }
    group = getgrnam(text);
    *out = group != NULL ? group->gr_gid : 0;
    return group != NULL;
}

static int parse_option(struct mote_listen_address *out, struct mote_slice option, const char **problem)
{
    const struct {
        struct mote_slice name;
        bool (*parse)(uint32_t *out, const char *text);
        uint32_t *value;
        const char *problem;
    } rows[] = {
        {MOTE_SLICE_LITERAL("mode="), parse_mode, &out->mode, "the mode of a unix socket is octal, 0 to 0777"},
        {MOTE_SLICE_LITERAL("owner="), parse_owner, &out->owner, "there is no user of that name"},
        {MOTE_SLICE_LITERAL("group="), parse_group, &out->group, "there is no group of that name"},
    };
    char text[OPTION_MAX + 1] = "";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (mote_slice_starts_with(option, rows[i].name)) {
            size_t length = option.length - rows[i].name.length;
            memcpy(text, option.data + rows[i].name.length, length < OPTION_MAX ? length : OPTION_MAX);
            *problem = rows[i].problem;
            return length <= OPTION_MAX && rows[i].parse(rows[i].value, text) ? 0 : MOTE_EINVAL;
        }
    }
    *problem = "behind the ? of a unix socket stand mode=, owner= and group=, with & between them";
    return MOTE_EINVAL;
}

static int parse_options(struct mote_listen_address *out, struct mote_slice text, const char **problem)
{
    for (;;) {
        const uint8_t *end = text.length > 0 ? memchr(text.data, '&', text.length) : NULL;
        size_t length = end != NULL ? (size_t)(end - text.data) : text.length;
        int error = parse_option(out, mote_slice(text.data, length), problem);
        if (error != 0 || end == NULL) {
            return error;
        }
        text = mote_slice(end + 1, text.length - length - 1);
    }
}

/* --- both -------------------------------------------------------------------------------------------------------- */

int mote_listen_address_parse(struct mote_listen_address *out, struct mote_slice item, const char **problem)
{
    static const struct mote_slice inherited = MOTE_SLICE_LITERAL("systemd:");
    static const struct mote_slice path = MOTE_SLICE_LITERAL("unix:");
    const uint8_t *options = mote_slice_starts_with(item, path) ? memchr(item.data, '?', item.length) : NULL;
    *out = (struct mote_listen_address){
        .mode = MOTE_LISTEN_ADDRESS_KEEP, .owner = MOTE_LISTEN_ADDRESS_KEEP, .group = MOTE_LISTEN_ADDRESS_KEEP};
    if (mote_slice_starts_with(item, inherited)) {
        out->is_inherited = true;
        out->name = mote_slice(item.data + inherited.length, item.length - inherited.length);
        return 0;
    }
    size_t length = options != NULL ? (size_t)(options - item.data) : item.length;
    int error = mote_address_parse(&out->address, mote_slice(item.data, length), problem);
    if (error == 0 && options != NULL) {
        error = parse_options(out, mote_slice(options + 1, item.length - length - 1), problem);
    }
    return error;
}

bool mote_listen_address_is_local(const struct mote_listen_address *listen)
{
    struct mote_address address;
    int fd;
    if (!listen->is_inherited) {
        return mote_address_is_local(&listen->address);
    }
    for (size_t i = 0; (fd = mote_listen_address_inherited(listen->name, i)) >= 0; i++) {
        address.length = sizeof address.storage;
        /* What is no socket cannot be listened on: the start says so. */
        if (getsockname(fd, (struct sockaddr *)&address.storage, &address.length) == 0 &&
            !mote_address_is_local(&address)) {
            return false;
        }
    }
    return true;
}
