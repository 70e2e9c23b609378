/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options as data, and what is done with a row. */
#include "app/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "app/option_value.h"
#include "base/memory.h"
#include "security/secret.h"

const struct mote_option *mote_options_describe(size_t index)
{
    static const struct mote_option rows[] = {
#define X(field, name, kind, standard, words, minimum, maximum, group, help)                                           \
    {#name,                                                                                                            \
     MOTE_OPTION_##kind,                                                                                               \
     standard,                                                                                                         \
     words,                                                                                                            \
     (minimum),                                                                                                        \
     (maximum),                                                                                                        \
     MOTE_OPTION_GROUP_##group,                                                                                        \
     help,                                                                                                             \
     offsetof(struct mote_options, field)},
        MOTE_OPTION_MAP(X)
#undef X
#define X(name, accepted, group, help)                                                                                 \
    {#name, MOTE_OPTION_UNBUILT, NULL, accepted, 0, 0, MOTE_OPTION_GROUP_##group, help, 0},
            MOTE_OPTION_UNBUILT_MAP(X)
#undef X
    };
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

void mote_options_flag(char out[MOTE_OPTION_FLAG_MAX], const struct mote_option *option)
{
    size_t length = 2;
    memcpy(out, "--", length);
    for (const char *at = option->name; *at != '\0' && length < MOTE_OPTION_FLAG_MAX - 1; at++) {
        out[length++] = *at == '_' ? '-' : (char)tolower((unsigned char)*at);
    }
    out[length] = '\0';
}

const struct mote_option *mote_options_nearest(const char *name)
{
    const struct mote_option *nearest = NULL;
    size_t least = SIZE_MAX;
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        size_t distance = mote_option_value_distance(name, option->name);
        if (distance < least) {
            least = distance;
            nearest = option;
        }
    }
    return least <= strlen(name) / 2 ? nearest : NULL;
}

void mote_options_dispose(struct mote_options *options)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        if (option->kind == MOTE_OPTION_TEXT || option->kind == MOTE_OPTION_SECRET) {
            char **text = (char **)(void *)((char *)options + option->offset);
            if (*text != NULL) {
                mote_secret_wipe(*text, strlen(*text));
            }
            mote_mem_release(mote_mem_system(), *text);
            *text = NULL;
        }
        mote_mem_release(mote_mem_system(), options->origins[i].text);
        options->origins[i].text = NULL;
    }
}

/* Marks the option of this name as refused; false when it was before. */
static bool refuse(struct mote_option_report *report, const char *name)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        if (strcmp(option->name, name) == 0) {
            bool was_refused = report->refused[i];
            report->refused[i] = true;
            return !was_refused;
        }
    }
    return true;
}

void mote_option_report_tell(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                             const char *format, ...)
{
    char text[MOTE_OPTION_PROBLEM_MAX];
    va_list arguments;
    if ((severity == MOTE_OPTION_PROBLEM || severity == MOTE_OPTION_FILE_MISSING) && !refuse(report, name)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report->warnings += severity == MOTE_OPTION_WARNING;
    report->problems += severity == MOTE_OPTION_PROBLEM || severity == MOTE_OPTION_FILE_MISSING;
    report->missing_files += severity == MOTE_OPTION_FILE_MISSING;
    report->misuses += severity == MOTE_OPTION_MISUSE;
    report->tell(report, severity, name, text);
}
