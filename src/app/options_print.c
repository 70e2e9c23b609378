/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options for people: help, effective values, the reference page. */
#include <string.h>

#include "app/exit_code.h"
#include "app/options.h"
#include "base/text.h"
#include "security/hmac.h"

#define HELP_WIDTH 96u

static const char *group_title(enum mote_option_group group)
{
    static const char *const titles[] = {
#define X(name, title) title,
        MOTE_OPTION_GROUP_MAP(X)
#undef X
    };
    return titles[group];
}

/* "4MiB", "a|b", "number", …: what stands behind a flag. */
static const char *value_name(const struct mote_option *option)
{
    switch (option->kind) {
    case MOTE_OPTION_TEXT:
        return "TEXT";
    case MOTE_OPTION_SECRET:
        return "FILE";
    case MOTE_OPTION_COUNT:
        return "NUMBER";
    case MOTE_OPTION_SIZE:
        return "SIZE";
    case MOTE_OPTION_DURATION:
        return "DURATION";
    case MOTE_OPTION_MINUTES:
        return "MINUTES";
    case MOTE_OPTION_MILLISECONDS:
        return "MILLISECONDS";
    case MOTE_OPTION_BOOL:
        return "BOOL";
    case MOTE_OPTION_CHOICE:
        return option->words;
    case MOTE_OPTION_UNBUILT:
        return "";
    }
    return "";
}

/* --- help -------------------------------------------------------------------------------------------------------- */

void mote_options_print_wrapped(FILE *out, const char *text, unsigned indent)
{
    unsigned column = 0;
    while (*text != '\0') {
        unsigned length = (unsigned)strcspn(text, " ");
        if (column > 0 && column + 1 + length > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0) {
            fprintf(out, "%*s", (int)indent, "");
            column = indent;
        } else {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)length, text);
        column += length;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', out);
}

static void print_option_help(FILE *out, const struct mote_option *option)
{
    char flag[MOTE_OPTION_FLAG_MAX];
    mote_options_flag(flag, option);
    if (option->kind == MOTE_OPTION_SECRET) {
        fprintf(out, "  %s-file FILE   (or %s[_FILE])\n", flag, option->name);
    } else if (option->kind == MOTE_OPTION_BOOL) {
        fprintf(out, "  %s[=BOOL]   (or %s)\n", flag, option->name);
    } else {
        fprintf(out, "  %s %s   (or %s)\n", flag, value_name(option), option->name);
    }
    mote_options_print_wrapped(out, option->help, 6);
    if (option->standard != NULL) {
        fprintf(out, "      Default: %s\n", option->standard);
    }
}

void mote_options_print_help(FILE *out, uint32_t groups)
{
    const struct mote_option *option;
    for (unsigned group = 0; group < MOTE_OPTION_GROUP_COUNT; group++) {
        bool titled = false;
        for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
            if (option->group != group || option->kind == MOTE_OPTION_UNBUILT || (groups & 1u << group) == 0) {
                continue;
            }
            if (!titled) {
                fprintf(out, "\n%s\n", group_title(option->group));
                titled = true;
            }
            print_option_help(out, option);
        }
    }
}

void mote_options_print_names(FILE *out, uint32_t groups)
{
    const struct mote_option *option;
    const char *comma = "";
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        if (option->kind != MOTE_OPTION_UNBUILT && (groups & 1u << option->group) != 0) {
            fprintf(out, "%s `%s`", comma, option->name);
            comma = ",";
        }
    }
}

/* --- effective values -------------------------------------------------------------------------------------------- */

/* Enough to see whether two machines have the same secret, too little to look for it. */
static void print_redacted(FILE *out, const char *secret)
{
    if (*secret == '\0') { /* wiped, once the server had no more use for it */
        fputs("<redacted>", out);
        return;
    }
    static const struct mote_slice label = MOTE_SLICE_LITERAL("mote config fingerprint");
    uint8_t digest[32];
    char hex[4];
    mote_hmac_derive(digest, label, mote_slice_text(secret), label);
    mote_hex_encode(hex, mote_slice(digest, 2));
    fprintf(out, "<redacted, %zu bytes, %.4s\xe2\x80\xa6>", strlen(secret), hex);
}

static void print_value(FILE *out, const struct mote_options *options, size_t index)
{
    const struct mote_option *option = mote_options_describe(index);
    const char *given = options->origins[index].text;
    if (option->kind == MOTE_OPTION_SECRET) {
        char *const *secret = (char *const *)(const void *)((const char *)options + option->offset);
        /* Paths of SQLite files hold no password, and are what one looks for here. */
        if (*secret == NULL || strncmp(*secret, "sqlite:", 7) == 0 || strcmp(*secret, "memory:") == 0) {
            fputs(*secret != NULL ? *secret : "", out);
        } else {
            print_redacted(out, *secret);
        }
    } else {
        fputs(given != NULL ? given : option->standard != NULL ? option->standard : "", out);
    }
}

void mote_options_print_values(FILE *out, const struct mote_options *options)
{
    static const char *const sources[] = {
        [MOTE_OPTION_FROM_DEFAULT] = "default",
        [MOTE_OPTION_FROM_ENVIRONMENT] = "env",
        [MOTE_OPTION_FROM_FILE] = "file",
        [MOTE_OPTION_FROM_FLAG] = "flag",
    };
    const struct mote_option *option;
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        if (option->kind != MOTE_OPTION_UNBUILT) {
            fprintf(out, "%s=", option->name);
            print_value(out, options, i);
            fprintf(out, "  # %s\n", sources[options->origins[i].source]);
        }
    }
}

/* --- the reference page ------------------------------------------------------------------------------------------ */

/* In a table's cell a vertical line ends the cell. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            fputc('\\', out);
        }
        fputc(*text, out);
    }
}

static void print_reference_row(FILE *out, const struct mote_option *option)
{
    char flag[MOTE_OPTION_FLAG_MAX];
    mote_options_flag(flag, option);
    if (option->kind == MOTE_OPTION_SECRET) {
        fprintf(out, "| `%s`, `%s_FILE` | `%s-file` | ", option->name, option->name, flag);
    } else {
        fprintf(out, "| `%s` | `%s` | ", option->name, flag);
    }
    if (option->kind == MOTE_OPTION_CHOICE) {
        fputc('`', out);
        print_cell(out, option->words);
        fputc('`', out);
    } else {
        static const char *const kinds[] = {
            [MOTE_OPTION_TEXT] = "text",         [MOTE_OPTION_SECRET] = "secret",
            [MOTE_OPTION_COUNT] = "number",      [MOTE_OPTION_SIZE] = "size",
            [MOTE_OPTION_DURATION] = "duration", [MOTE_OPTION_MINUTES] = "minutes or duration",
            [MOTE_OPTION_BOOL] = "boolean",      [MOTE_OPTION_MILLISECONDS] = "milliseconds or duration",
        };
        fprintf(out, "%s%s%s%s", kinds[option->kind], option->words != NULL ? " or `" : "",
                option->words != NULL ? option->words : "", option->words != NULL ? "`" : "");
    }
    if (option->standard != NULL) {
        fprintf(out, " | `%s` | ", option->standard);
    } else {
        fputs(" | | ", out);
    }
    print_cell(out, option->help);
    fputs(" |\n", out);
}

static void print_reference_groups(FILE *out)
{
    const struct mote_option *option;
    for (unsigned group = 0; group < MOTE_OPTION_GROUP_COUNT; group++) {
        bool titled = false;
        for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
            if (option->group != group || option->kind == MOTE_OPTION_UNBUILT) {
                continue;
            }
            if (!titled) {
                fprintf(out, "\n## %s\n\n| variable | flag | value | default | meaning |\n|---|---|---|---|---|\n",
                        group_title(option->group));
                titled = true;
            }
            print_reference_row(out, option);
        }
    }
}

static void print_reference_unbuilt(FILE *out)
{
    const struct mote_option *option;
    fputs("\n## Not built yet\n\n"
          "These names are taken. Until their part is built, setting one ends the start with exit code 78, so that "
          "nobody\n"
          "relies on what is not there; the value in the second column is what mote does anyway, and is accepted.\n\n"
          "| variable | accepted | meaning |\n|---|---|---|\n",
          out);
    for (size_t i = 0; (option = mote_options_describe(i)) != NULL; i++) {
        if (option->kind == MOTE_OPTION_UNBUILT) {
            fprintf(out, "| `%s` | %s%s%s | %s |\n", option->name, option->words != NULL ? "`" : "",
                    option->words != NULL ? option->words : "", option->words != NULL ? "`" : "", option->help);
        }
    }
}

void mote_options_print_reference(FILE *out)
{
    const struct mote_exit_description *row;
    fputs(
        "<!-- Written by `mote config --reference`. Do not edit: change src/app/option_table.h. -->\n"
        "# Configuration\n\n"
        "Settings come from, each overriding the one before: the default, an environment variable, a command-line "
        "flag.\n"
        "There is no configuration file. `mote config` prints the effective values and where each came from, `mote "
        "config\n"
        "--check` only what is wrong. All problems are reported in one run, one line each, and end the start with exit "
        "code\n"
        "78 before a socket is opened.\n\n"
        "* Durations: `500ms`, `30s`, `15m`, `24h`, `7d`, also together (`1h30m`). A bare number is refused, but for\n"
        "  `JWT_ACCESS_EXPIRY`, where it means minutes.\n"
        "* Sizes: `64KiB`, `4MiB`, `1GiB`; a bare number is bytes.\n"
        "* Booleans: `true`/`false`, `yes`/`no`, `on`/`off`, `1`/`0`.\n"
        "* An empty variable is one that is not set.\n"
        "* Secrets have no flag, because everybody can read command lines. Their file (`NAME_FILE`) is read at start; "
        "one "
        "line\n"
        "  end behind the secret is dropped. It must not be readable by everybody, unless it lies under "
        "`/run/secrets`, in\n"
        "  `$CREDENTIALS_DIRECTORY` or on a read-only file system. Setting a secret both ways is an error. What came "
        "from the\n"
        "  environment is wiped there once it is read.\n"
        "* A variable that looks like one of these but is none is warned of.\n",
        out);
    print_reference_groups(out);
    print_reference_unbuilt(out);
    fputs("\n## Exit codes\n\n| code | meaning |\n|---|---|\n", out);
    for (size_t i = 0; (row = mote_exit_code_describe(i)) != NULL; i++) {
        fprintf(out, "| %d | %s |\n", (int)row->code, row->meaning);
    }
}
