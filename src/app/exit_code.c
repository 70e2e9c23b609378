/* SPDX-License-Identifier: Apache-2.0 */
/* See exit_code.h. */
#include "app/exit_code.h"

#include "base/error.h"

const struct mote_exit_description *mote_exit_code_describe(size_t index)
{
    static const struct mote_exit_description rows[] = {
#define X(constant, number, text) {constant, text},
        MOTE_EXIT_MAP(X)
#undef X
    };
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

enum mote_exit_code mote_exit_code_of_store(int error)
{
    static const struct {
        int error;
        enum mote_exit_code code;
    } rows[] = {
        {0, MOTE_EXIT_OK},
        {MOTE_EINVAL, MOTE_EXIT_CONFIG},
        {MOTE_EUNSUPPORTED, MOTE_EXIT_CONFIG},
        {MOTE_EBUSY, MOTE_EXIT_TEMPORARY},
        {MOTE_EVERSION, MOTE_EXIT_DATA},
        {MOTE_ECORRUPT, MOTE_EXIT_DATA},
        {MOTE_EEXISTS, MOTE_EXIT_DATA},
        {MOTE_ENOTFOUND, MOTE_EXIT_CANNOT_CREATE},
        {MOTE_EACCESS, MOTE_EXIT_CANNOT_CREATE},
        {MOTE_EREADONLY, MOTE_EXIT_IO},
        {MOTE_EIO, MOTE_EXIT_IO},
        {MOTE_EFULL, MOTE_EXIT_IO},
        {MOTE_ECONNECT, MOTE_EXIT_UNAVAILABLE},
        {MOTE_ENOMEM, MOTE_EXIT_OS},
        {MOTE_ERANDOM, MOTE_EXIT_OS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].error == error) {
            return rows[i].code;
        }
    }
    return MOTE_EXIT_SOFTWARE;
}

enum mote_exit_code mote_exit_code_of_runtime(int error)
{
    switch (error) {
    case 0:
        return MOTE_EXIT_OK;
    case MOTE_EINVAL:
        return MOTE_EXIT_CONFIG;
    case MOTE_EBUSY:
        return MOTE_EXIT_TEMPORARY;
    case MOTE_EACCESS:
        return MOTE_EXIT_NO_PERMISSION;
    case MOTE_ENOMEM:
    case MOTE_EIO:
    case MOTE_EAGAIN:
        return MOTE_EXIT_OS;
    default:
        return MOTE_EXIT_SOFTWARE;
    }
}
