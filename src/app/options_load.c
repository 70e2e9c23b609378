/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading options: gather what environment and flags say for each row, read the files of secrets, parse, check what
 * belongs together, and wipe the secrets from the environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/option_value.h"
#include "app/options.h"
#include "base/memory.h"
#include "security/secret.h"

#define FILE_MAX 65536u /* bytes of a file that holds a secret */

struct given {
    const char *text; /* borrows from environment or flags; NULL: not given */
    enum mote_option_source source;
    bool is_for_traces; /* by the name that wins */
};

struct loader {
    struct mote_options *out;
    const struct mote_option_sources *sources;
    struct mote_option_report *report;
    struct given values[MOTE_OPTION_INDEX_COUNT];
    struct given files[MOTE_OPTION_INDEX_COUNT]; /* NAME_FILE, of secrets */
};

/* --- gathering --------------------------------------------------------------------------------------------------- */

/* The value of "NAME=value", or with the suffix in between; NULL when it is another name. */
static const char *value_of(const char *entry, const char *name, const char *suffix)
{
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0) {
        return NULL;
    }
    size_t more = strlen(suffix);
    return strncmp(entry + length, suffix, more) == 0 && entry[length + more] == '=' ? entry + length + more + 1 : NULL;
}

#define OTLP        "OTEL_EXPORTER_OTLP_"
#define OTLP_TRACES "OTEL_EXPORTER_OTLP_TRACES_"

/* The same under the option's name, or where OpenTelemetry gives a setting for all signals another name for traces
 * alone, under that. */
static const char *option_value_of(const char *entry, const struct mote_option *option, const char *suffix,
                                   bool *is_for_traces)
{
    const size_t length = sizeof OTLP - 1;
    const char *value = value_of(entry, option->name, suffix);
    *is_for_traces = value == NULL && strncmp(option->name, OTLP, length) == 0 &&
                     strncmp(entry, OTLP_TRACES, sizeof OTLP_TRACES - 1) == 0;
    return *is_for_traces ? value_of(entry + sizeof OTLP_TRACES - 1, option->name + length, suffix) : value;
}

/* Takes a value, unless there is one by a name that wins. Empty means not set: that is how compose files and units
 * leave something out. */
static bool note_given(struct given *given, const char *text, bool is_for_traces)
{
    if (text == NULL || text[0] == '\0') {
        return false;
    }
    if (given->text == NULL || is_for_traces || !given->is_for_traces) {
        *given = (struct given){text, MOTE_OPTION_FROM_ENVIRONMENT, is_for_traces};
    }
    return true;
}

static void gather_environment(struct loader *loader)
{
    const struct mote_option *option;
    for (char **entry = loader->sources->environment; *entry != NULL; entry++) {
        for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
            bool is_for_traces;
            const char *value = option_value_of(*entry, option, "", &is_for_traces);
            if (!note_given(&loader->values[i], value, is_for_traces) && option->kind == MOTE_OPTION_SECRET) {
                value = option_value_of(*entry, option, "_FILE", &is_for_traces);
                (void)note_given(&loader->files[i], value, is_for_traces);
            }
        }
    }
}

/* The place where a flag's value goes; NULL for a flag that there is not. */
static struct given *find_flag(struct loader *loader, const char *flag, size_t length, bool *is_bool)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        char name[MOTE_OPTION_FLAG_MAX];
        mote_options_flag(name, option);
        size_t name_length = strlen(name);
        *is_bool = option->kind == MOTE_OPTION_BOOL;
        if (option->kind == MOTE_OPTION_SECRET) {
            if (length == name_length + 5 && strncmp(flag, name, name_length) == 0 &&
                strncmp(flag + name_length, "-file", 5) == 0) {
                return &loader->files[i];
            }
        } else if (length == name_length && strncmp(flag, name, length) == 0) {
            return &loader->values[i];
        }
    }
    return NULL;
}

static void gather_flags(struct loader *loader)
{
    for (size_t i = 0; i < loader->sources->flag_count; i++) {
        const char *flag = loader->sources->flags[i];
        size_t length = strcspn(flag, "=");
        bool is_bool = false;
        struct given *given = find_flag(loader, flag, length, &is_bool);
        if (given == NULL) {
            char name[MOTE_OPTION_FLAG_MAX]; /* without what stands behind it: it may be a secret */
            snprintf(name, sizeof name, "%.*s", (int)length, flag);
            mote_option_report_tell(loader->report, MOTE_OPTION_MISUSE, name,
                                    strncmp(flag, "--", 2) == 0 ? "there is no such flag" : "unexpected argument");
            return; /* what follows may be its value */
        }
        given->source = MOTE_OPTION_FROM_FLAG;
        if (flag[length] == '=') {
            given->text = flag + length + 1;
        } else if (is_bool) {
            given->text = "true";
        } else if (i + 1 < loader->sources->flag_count) {
            given->text = loader->sources->flags[++i];
        } else {
            mote_option_report_tell(loader->report, MOTE_OPTION_MISUSE, flag, "a value is missing behind it");
        }
    }
}

/* --- files ------------------------------------------------------------------------------------------------------- */

/* Places where the platform keeps secrets for one process: their mode says nothing. */
static bool is_platform_path(char *const *environment, const char *path)
{
    static const char secrets[] = "/run/secrets/";
    if (strstr(path, "/../") != NULL) {
        return false;
    }
    if (strncmp(path, secrets, sizeof secrets - 1) == 0) {
        return true;
    }
    for (char *const *entry = environment; *entry != NULL; entry++) {
        const char *folder = value_of(*entry, "CREDENTIALS_DIRECTORY", "");
        size_t length = folder != NULL ? strlen(folder) : 0;
        if (length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/') {
            return true;
        }
    }
    return false;
}

static bool is_read_only(int fd)
{
    struct statvfs status;
    return fstatvfs(fd, &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

/* Reads all of `fd`; the length, or -1. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, out + length, size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -1 : (ssize_t)length;
        }
        length += (size_t)got;
    }
    return (ssize_t)length;
}

/* The secret without one line end behind it, owned; NULL when a problem was told. */
static char *take_content(struct mote_option_report *report, const char *name, int fd, char room[FILE_MAX + 1])
{
    ssize_t got = read_all(fd, room, FILE_MAX + 1);
    if (got < 0) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "its file cannot be read: %s", strerror(errno));
        return NULL;
    }
    size_t length = (size_t)got;
    if (length > FILE_MAX) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "its file is longer than 64KiB");
        return NULL;
    }
    length -= length > 0 && room[length - 1] == '\n';
    length -= length > 0 && room[length - 1] == '\r';
    if (memchr(room, '\0', length) != NULL) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "its file has a NUL byte");
        return NULL;
    }
    char *text = mote_mem_copy_text(mote_mem_system(), room, length);
    if (text == NULL) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "out of memory");
    }
    return text;
}

char *mote_options_read_secret(const char *name, const char *path, char *const *environment,
                               struct mote_option_report *report)
{
    static char room[FILE_MAX + 1]; /* the main thread only */
    struct stat status;
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        mote_option_report_tell(report, errno == ENOENT ? MOTE_OPTION_FILE_MISSING : MOTE_OPTION_PROBLEM, name,
                                "its file %s cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fd, &status) == 0 && (status.st_mode & S_IROTH) != 0 && !is_platform_path(environment, path) &&
        !is_read_only(fd)) {
        mote_option_report_tell(report, MOTE_OPTION_PROBLEM, name, "its file %s can be read by everybody; chmod 600 it",
                                path);
    } else {
        text = take_content(report, name, fd, room);
        mote_secret_wipe(room, sizeof room);
    }
    close(fd);
    return text;
}

/* --- values ------------------------------------------------------------------------------------------------------ */

static void tell_range(struct loader *loader, const struct mote_option *option)
{
    char low[MOTE_OPTION_VALUE_TEXT_MAX];
    char high[MOTE_OPTION_VALUE_TEXT_MAX];
    const char *kind = "a number";
    const char *example = "";
    if (option->kind == MOTE_OPTION_SIZE) {
        mote_option_value_format_size(low, option->minimum);
        mote_option_value_format_size(high, option->maximum);
        kind = "a size";
        example = ", such as 4MiB";
    } else if (option->kind == MOTE_OPTION_COUNT) {
        snprintf(low, sizeof low, "%llu", (unsigned long long)option->minimum);
        snprintf(high, sizeof high, "%llu", (unsigned long long)option->maximum);
    } else {
        mote_option_value_format_duration(low, option->minimum);
        mote_option_value_format_duration(high, option->maximum);
        kind = option->kind == MOTE_OPTION_MINUTES        ? "minutes or a duration"
               : option->kind == MOTE_OPTION_MILLISECONDS ? "milliseconds or a duration"
                                                          : "a duration";
        example = ", such as 90s";
    }
    mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name, "want %s from %s to %s%s%s%s", kind, low,
                            high, example, option->words != NULL ? ", or " : "",
                            option->words != NULL ? option->words : "");
}

static int parse_number(const struct mote_option *option, struct mote_slice text, uint64_t *number)
{
    int error = MOTE_EINVAL;
    if (option->words != NULL && mote_slice_equals_text(text, option->words)) {
        *number = 0;
        return 0;
    }
    if (option->kind == MOTE_OPTION_COUNT) {
        error = mote_option_value_count(number, text);
    } else if (option->kind == MOTE_OPTION_SIZE) {
        error = mote_option_value_size(number, text);
    } else {
        const uint64_t bare = option->kind == MOTE_OPTION_MINUTES        ? MOTE_OPTION_MINUTE
                              : option->kind == MOTE_OPTION_MILLISECONDS ? MOTE_NS_PER_MS
                                                                         : 0;
        error = mote_option_value_duration(number, text, bare);
    }
    return error == 0 && (*number < option->minimum || *number > option->maximum) ? MOTE_ELIMIT : error;
}

static int set_number(struct loader *loader, const struct mote_option *option, const char *text)
{
    uint64_t number;
    if (parse_number(option, mote_slice_text(text), &number) != 0) {
        tell_range(loader, option);
        return 0;
    }
    memcpy((char *)loader->out + option->offset, &number, sizeof number);
    return 0;
}

static int set_text(struct loader *loader, const struct mote_option *option, const char *text)
{
    size_t length = strlen(text);
    if (length < option->minimum || length > option->maximum) {
        mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name, "want %llu to %llu bytes",
                                (unsigned long long)option->minimum, (unsigned long long)option->maximum);
        return 0;
    }
    char *copy = mote_mem_copy_text(mote_mem_system(), text, length);
    memcpy((char *)loader->out + option->offset, &copy, sizeof copy);
    return copy != NULL ? 0 : MOTE_ENOMEM;
}

static void set_bool(struct loader *loader, const struct mote_option *option, const char *text)
{
    bool value;
    if (mote_option_value_bool(&value, mote_slice_text(text)) != 0) {
        mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name, "want true or false");
        return;
    }
    memcpy((char *)loader->out + option->offset, &value, sizeof value);
}

static void set_choice(struct loader *loader, const struct mote_option *option, const char *text)
{
    unsigned value;
    if (mote_option_value_choice(&value, mote_slice_text(text), option->words) != 0) {
        mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name, "want one of %s", option->words);
        return;
    }
    memcpy((char *)loader->out + option->offset, &value, sizeof value);
}

static void refuse_unbuilt(struct loader *loader, const struct mote_option *option, const char *text)
{
    if (option->words != NULL && mote_slice_equals_ignore_case(mote_slice_text(text), mote_slice_text(option->words))) {
        return;
    }
    mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name,
                            "this part of mote is not built yet; leave it unset%s%s",
                            option->words != NULL ? " or " : "", option->words != NULL ? option->words : "");
}

static int set_value(struct loader *loader, const struct mote_option *option, const char *text)
{
    switch (option->kind) {
    case MOTE_OPTION_TEXT:
    case MOTE_OPTION_SECRET:
        return set_text(loader, option, text);
    case MOTE_OPTION_COUNT:
    case MOTE_OPTION_SIZE:
    case MOTE_OPTION_DURATION:
    case MOTE_OPTION_MINUTES:
    case MOTE_OPTION_MILLISECONDS:
        return set_number(loader, option, text);
    case MOTE_OPTION_BOOL:
        set_bool(loader, option, text);
        return 0;
    case MOTE_OPTION_CHOICE:
        set_choice(loader, option, text);
        return 0;
    case MOTE_OPTION_UNBUILT:
        refuse_unbuilt(loader, option, text);
        return 0;
    }
    return MOTE_EINTERNAL;
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* The default first: a bad value is told, and what is checked later still has something to look at. */
static int set_default(struct loader *loader, const struct mote_option *option)
{
    return option->standard != NULL ? set_value(loader, option, option->standard) : 0;
}

static int replace_value(struct loader *loader, size_t index, const char *text, enum mote_option_source source)
{
    const struct mote_option *option = mote_options_describe(index);
    if (option->kind == MOTE_OPTION_TEXT || option->kind == MOTE_OPTION_SECRET) {
        char **old = (char **)(void *)((char *)loader->out + option->offset);
        mote_mem_release(mote_mem_system(), *old);
        *old = NULL;
    }
    loader->out->origins[index].source = source;
    if (option->kind != MOTE_OPTION_SECRET) {
        loader->out->origins[index].text = mote_mem_copy_text(mote_mem_system(), text, strlen(text));
        if (loader->out->origins[index].text == NULL) {
            return MOTE_ENOMEM;
        }
    }
    return set_value(loader, option, text);
}

static int load_secret(struct loader *loader, size_t index)
{
    const struct mote_option *option = mote_options_describe(index);
    const struct given *value = &loader->values[index];
    const struct given *file = &loader->files[index];
    if (file->text == NULL) {
        return value->text != NULL ? replace_value(loader, index, value->text, value->source) : 0;
    }
    if (value->text != NULL && value->source == file->source) {
        mote_option_report_tell(loader->report, MOTE_OPTION_PROBLEM, option->name, "%s and %s_FILE are both set",
                                option->name, option->name);
        return 0;
    }
    char *text = mote_options_read_secret(option->name, file->text, loader->sources->environment, loader->report);
    if (text == NULL) {
        return 0;
    }
    int error = replace_value(loader, index, text, MOTE_OPTION_FROM_FILE);
    char *path = mote_mem_copy_text(mote_mem_system(), file->text, strlen(file->text));
    loader->out->origins[index].text = path;
    error = error == 0 && path == NULL ? MOTE_ENOMEM : error;
    mote_secret_wipe(text, strlen(text));
    mote_mem_release(mote_mem_system(), text);
    return error;
}

static int load_rows(struct loader *loader)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        const struct given *value = &loader->values[i];
        int error = set_default(loader, option);
        if (error == 0 && (loader->sources->groups & 1u << option->group) != 0) {
            if (option->kind == MOTE_OPTION_SECRET) {
                error = load_secret(loader, i);
            } else if (value->text != NULL) {
                error = replace_value(loader, i, value->text, value->source);
            }
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* --- the environment afterwards ---------------------------------------------------------------------------------- */

/* Variables that look like ours and are not: most likely a slip of the pen. */
static void warn_of_typos(const struct loader *loader)
{
    static const char *const prefixes[] = {"JWT_",      "TLS_",      "MAX_",   "KEEPALIVE_", "METRICS_",
                                           "PASSWORD_", "SHUTDOWN_", "STORE_", "LOG_",       "OTEL_"};
    for (char **entry = loader->sources->environment; *entry != NULL; entry++) {
        char name[64];
        size_t length = strcspn(*entry, "=");
        bool is_ours = false;
        bool is_known = length >= sizeof name;
        const struct mote_option *option;
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            is_ours = is_ours || strncmp(*entry, prefixes[i], strlen(prefixes[i])) == 0;
        }
        for (size_t i = 0; is_ours && (option = mote_options_describe(i)) != NULL; i++) {
            bool is_for_traces;
            is_known = is_known || option_value_of(*entry, option, "", &is_for_traces) != NULL ||
                       (option->kind == MOTE_OPTION_SECRET &&
                        option_value_of(*entry, option, "_FILE", &is_for_traces) != NULL);
        }
        if (is_ours && !is_known) {
            memcpy(name, *entry, length);
            name[length] = '\0';
            option = mote_options_nearest(name);
            mote_option_report_tell(loader->report, MOTE_OPTION_WARNING, name, "there is no such setting%s%s",
                                    option != NULL ? "; did you mean " : "", option != NULL ? option->name : "");
        }
    }
}

static void wipe_secrets(char **environment)
{
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        char **keep = environment;
        if (option->kind != MOTE_OPTION_SECRET) {
            continue;
        }
        for (char **entry = environment; *entry != NULL; entry++) {
            bool is_for_traces;
            char *value = (char *)(uintptr_t)option_value_of(*entry, option, "", &is_for_traces);
            if (value != NULL) {
                mote_secret_wipe(value, strlen(value));
            } else {
                *keep++ = *entry;
            }
        }
        *keep = NULL;
    }
}

int mote_options_load(struct mote_options *out, const struct mote_option_sources *sources,
                      struct mote_option_report *report)
{
    struct loader loader = {.out = out, .sources = sources, .report = report};
    memset(out, 0, sizeof *out);
    gather_environment(&loader);
    gather_flags(&loader);
    int error = load_rows(&loader);
    if (error == 0) {
        mote_options_check(out, sources->groups, report);
        warn_of_typos(&loader);
    }
    wipe_secrets(sources->environment);
    if (error != 0) {
        return error;
    }
    return report->problems > 0 || report->misuses > 0 ? MOTE_EINVAL : 0;
}
