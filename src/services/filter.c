/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the text; the first thing that is wrong ends it. */
#include "services/filter.h"

#include <string.h>

#include "security/jwt.h"
#include "services/rules.h"

#define PROBLEM_TIME     "must give create_time like \"2026-01-31T12:00:00Z\", in quotes"
#define PROBLEM_OPERATOR "must compare with '=', and create_time with '>=' or '<'"

enum operator{
    OPERATOR_NONE,
    OPERATOR_EQUAL,
    OPERATOR_FROM,
    OPERATOR_BEFORE,
};

struct parser {
    const char *at; /* what has not been read yet */
    struct mote_store_filter *filter;
    enum operator compared; /* of the present term */
};

/* --- words, operators, texts ------------------------------------------------------------------------------------- */

static bool take(struct parser *parser, const char *word)
{
    size_t length = strlen(word);
    bool is_there = strncmp(parser->at, word, length) == 0;
    parser->at += is_there ? length : 0;
    return is_there;
}

static bool skip_spaces(struct parser *parser)
{
    size_t spaces = strspn(parser->at, " ");
    parser->at += spaces;
    return spaces > 0;
}

/* Exactly this word: no letter behind it. */
static bool take_word(struct parser *parser, const char *word)
{
    size_t length = strspn(parser->at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
    return length == strlen(word) && take(parser, word);
}

static enum operator take_operator(struct parser *parser)
{
    skip_spaces(parser);
    enum operator found = take(parser, ">=") ? OPERATOR_FROM
    : take(parser, "=")                      ? OPERATOR_EQUAL
    : take(parser, "<")                      ? OPERATOR_BEFORE
                                             : OPERATOR_NONE;
    skip_spaces(parser);
    return found;
}

/* A text in quotes, without them and what escapes. `out` takes `size` bytes with the NUL. */
static const char *take_text(struct parser *parser, char *out, size_t size, enum mote_store_match *match)
{
    size_t length = 0;
    bool is_prefix = false;
    if (!take(parser, "\"")) {
        return "must give texts and times in double quotes";
    }
    while (!take(parser, "\"")) {
        bool is_escaped = parser->at[0] == '\\';
        parser->at += is_escaped ? 1 : 0;
        char c = *parser->at;
        if (c == '\0') {
            return "must end a text with a double quote";
        }
        if (is_escaped && c != '\\' && c != '"' && c != '*') {
            return "must have '\\', '\"' or '*' behind a '\\'";
        }
        if (is_prefix) {
            return "must have '*' at the end of a text only";
        }
        is_prefix = c == '*' && !is_escaped;
        parser->at++;
        if (is_prefix) {
            continue;
        }
        if (length == size - 1) {
            return "must not look for a text that is longer than any there can be";
        }
        out[length++] = c;
    }
    out[length] = '\0';
    *match = is_prefix ? MOTE_STORE_MATCH_PREFIX : MOTE_STORE_MATCH_EXACT;
    return length == 0 && !is_prefix ? "must not look for an empty text" : NULL;
}

/* --- terms ----------------------------------------------------------------------------------------------------- */

static const char *read_state(struct parser *parser)
{
    static const struct {
        const char *word;
        uint32_t state;
    } states[] = {
        {"ACTIVE", MOTE_USER_ACTIVE},
        {"LOCKED", user_v1_UserState_USER_STATE_LOCKED},
        {"DISABLED", MOTE_USER_DISABLED},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (take_word(parser, states[i].word)) {
            bool is_first = parser->filter->state == 0;
            parser->filter->state = states[i].state;
            return is_first ? NULL : "must ask for one state";
        }
    }
    return "must name the state ACTIVE, LOCKED or DISABLED";
}

static const char *read_role(struct parser *parser)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } roles[] = {{"USER", MOTE_ROLE_BIT_USER}, {"SERVICE", MOTE_ROLE_BIT_SERVICE}, {"ADMIN", MOTE_ROLE_BIT_ADMIN}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (take_word(parser, roles[i].word)) {
            parser->filter->roles |= roles[i].bit;
            return NULL;
        }
    }
    return "must name the role USER, SERVICE or ADMIN";
}

static const char *read_username(struct parser *parser)
{
    struct mote_store_filter *filter = parser->filter;
    if (filter->username_match != MOTE_STORE_MATCH_ANY) {
        return "must ask for one username";
    }
    const char *problem = take_text(parser, filter->username, sizeof filter->username, &filter->username_match);
    if (problem == NULL) {
        mote_rules_lower_username(filter->username, filter->username);
    }
    return problem;
}

static const char *read_email(struct parser *parser)
{
    struct mote_store_filter *filter = parser->filter;
    if (filter->email_match != MOTE_STORE_MATCH_ANY) {
        return "must ask for one email";
    }
    const char *problem = take_text(parser, filter->email, sizeof filter->email, &filter->email_match);
    if (problem == NULL) {
        mote_rules_lower_username(filter->email, filter->email);
    }
    return problem;
}

static const char *read_create_time(struct parser *parser)
{
    char text[sizeof "2026-01-31T12:00:00.123456789+00:00"];
    enum mote_store_match match;
    struct mote_store_filter *filter = parser->filter;
    bool is_from = parser->compared == OPERATOR_FROM;
    int64_t *bound = is_from ? &filter->created_from : &filter->created_before;
    if (*bound != (is_from ? INT64_MIN : INT64_MAX)) {
        return "must have one '>=' and one '<' at most";
    }
    if (take_text(parser, text, sizeof text, &match) != NULL || match != MOTE_STORE_MATCH_EXACT ||
        !mote_time_parse(bound, text)) {
        return PROBLEM_TIME;
    }
    return NULL;
}

static const char *read_term(struct parser *parser)
{
    static const struct {
        const char *word;
        const char *(*read)(struct parser *parser);
    } fields[] = {
        {"state", read_state},
        {"role", read_role},
        {"username", read_username},
        {"email", read_email},
        {"create_time", read_create_time},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!take_word(parser, fields[i].word)) {
            continue;
        }
        parser->compared = take_operator(parser);
        bool is_time = fields[i].read == read_create_time;
        if (parser->compared == OPERATOR_NONE || is_time == (parser->compared == OPERATOR_EQUAL)) {
            return PROBLEM_OPERATOR;
        }
        return fields[i].read(parser);
    }
    return "must be about state, role, username, email or create_time";
}

const char *mote_filter_parse(struct mote_store_filter *out, const char *text)
{
    struct parser parser = {.at = text, .filter = out};
    *out = (struct mote_store_filter){.created_from = INT64_MIN, .created_before = INT64_MAX};
    skip_spaces(&parser);
    if (*parser.at == '\0') {
        return NULL;
    }
    out->is_set = true;
    for (unsigned terms = 1;; terms++) {
        const char *problem = terms > MOTE_FILTER_TERMS_MAX ? "must have at most 4 terms" : read_term(&parser);
        if (problem != NULL) {
            return problem;
        }
        bool is_apart = skip_spaces(&parser);
        if (*parser.at == '\0') {
            return NULL;
        }
        if (!is_apart || !take_word(&parser, "AND") || !skip_spaces(&parser)) {
            return "must join terms with ' AND '";
        }
    }
}

const char *mote_filter_parse_order(enum mote_store_order *order, bool *descending, const char *text)
{
    static const struct {
        const char *text;
        enum mote_store_order order;
        bool descending;
    } orders[] = {
        {"", MOTE_STORE_ORDER_CREATE_TIME, false},
        {"create_time", MOTE_STORE_ORDER_CREATE_TIME, false},
        {"create_time desc", MOTE_STORE_ORDER_CREATE_TIME, true},
        {"username", MOTE_STORE_ORDER_USERNAME, false},
        {"username desc", MOTE_STORE_ORDER_USERNAME, true},
    };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(orders[i].text, text) == 0) {
            *order = orders[i].order;
            *descending = orders[i].descending;
            return NULL;
        }
    }
    return "must be 'create_time' or 'username', either with ' desc' behind it";
}
