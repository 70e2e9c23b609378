/* SPDX-License-Identifier: Apache-2.0 */
/* The names, texts and classes of the errors: three switches written by the one list, so that none can miss a row. */
#include "base/error.h"

const char *mote_error_name(int error)
{
    switch (error) {
#define X(name, number, class, text)                                                                                   \
    case name:                                                                                                         \
        return #name;
        MOTE_ERROR_MAP(X)
#undef X
    }
    return "unknown error";
}

const char *mote_error_text(int error)
{
    switch (error) {
#define X(name, number, class, text)                                                                                   \
    case name:                                                                                                         \
        return text;
        MOTE_ERROR_MAP(X)
#undef X
    }
    return "unknown error";
}

enum mote_error_class mote_error_classify(int error)
{
    switch (error) {
#define X(name, number, class, text)                                                                                   \
    case name:                                                                                                         \
        return MOTE_ERROR_CLASS_##class;
        MOTE_ERROR_MAP(X)
#undef X
    }
    return MOTE_ERROR_CLASS_fatal;
}
