/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The errors that functions of mote return: 0, or one of these negative numbers. One list gives the
 * enum, the name, the text and the class. They are not gRPC status codes and not HTTP/2 error codes;
 * wire/status.c is the only place where one kind becomes another.
 */
#ifndef MOTE_BASE_ERROR_H
#define MOTE_BASE_ERROR_H

#include "linkage.h"

MOTE_C_BEGIN

/* usage: the caller's mistake · peer: the other side's · system: the machine's · fatal: mote's own */
#define MOTE_ERROR_MAP(X)                                                                                              \
    X(MOTE_EINVAL, 1, usage, "invalid argument")                                                                       \
    X(MOTE_ENOMEM, 2, system, "out of memory")                                                                         \
    X(MOTE_ELIMIT, 3, peer, "over a limit")                                                                            \
    X(MOTE_EPROTO, 4, peer, "protocol violation")                                                                      \
    X(MOTE_EDECODE, 5, peer, "bytes cannot be decoded")                                                                \
    X(MOTE_EFIELD, 6, peer, "field value out of bounds")                                                               \
    X(MOTE_ECLOSED, 7, usage, "already closed")                                                                        \
    X(MOTE_EAGAIN, 8, system, "not now, try again")                                                                    \
    X(MOTE_ENOTFOUND, 9, usage, "not found")                                                                           \
    X(MOTE_EEXISTS, 10, usage, "already exists")                                                                       \
    X(MOTE_ECONFLICT, 11, usage, "in conflict with the present state")                                                 \
    X(MOTE_EAUTH, 12, peer, "not authentic")                                                                           \
    X(MOTE_EEXPIRED, 13, peer, "expired")                                                                              \
    X(MOTE_ENOTYET, 14, peer, "not valid yet")                                                                         \
    X(MOTE_ERANDOM, 15, system, "no random bytes from the system")                                                     \
    X(MOTE_EIO, 16, system, "input or output failed")                                                                  \
    X(MOTE_EFULL, 17, system, "storage is full")                                                                       \
    X(MOTE_EBUSY, 18, system, "in use by another")                                                                     \
    X(MOTE_ECORRUPT, 19, system, "stored data is corrupt")                                                             \
    X(MOTE_EVERSION, 20, system, "written by a newer version")                                                         \
    X(MOTE_EREADONLY, 21, system, "read-only")                                                                         \
    X(MOTE_EACCESS, 22, system, "permission refused by the system")                                                    \
    X(MOTE_ETIMEOUT, 23, peer, "time ran out")                                                                         \
    X(MOTE_ECANCELLED, 24, peer, "cancelled")                                                                          \
    X(MOTE_ECONNECT, 25, system, "cannot connect")                                                                     \
    X(MOTE_EUNSUPPORTED, 26, usage, "not supported by this build")                                                     \
    X(MOTE_EINTERNAL, 27, fatal, "internal error")

enum mote_error {
#define X(name, number, class, text) name = -number,
    MOTE_ERROR_MAP(X)
#undef X
};

enum mote_error_class {
    MOTE_ERROR_CLASS_usage,
    MOTE_ERROR_CLASS_peer,
    MOTE_ERROR_CLASS_system,
    MOTE_ERROR_CLASS_fatal,
};

/* Every fallible function carries this: its result must be looked at. */
#define MOTE_MUST_CHECK                        __attribute__((warn_unused_result))
#define MOTE_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))

/* "MOTE_EINVAL" for -1; "unknown error" for a number that is not in the list. Static strings. */
const char *mote_error_name(int error);
/* "invalid argument" for -1. Static strings. */
const char *mote_error_text(int error);
enum mote_error_class mote_error_classify(int error);

MOTE_C_END

#endif
