/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the text; the first thing that is wrong ends it. */
#include "services/filter.h"

#include <string.h>

#include "security/jwt.h"
#include "services/rules.h"

#define YEAR_FIRST       1678u /* those whose nanoseconds fit; times before and after lie beyond every user */
#define YEAR_LAST        2261u
#define SECONDS_A_DAY    86400
#define FRACTION_DIGITS  9
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

/* --- times ----------------------------------------------------------------------------------------------------- */

/* `count` digits, and `behind` behind them (unless that is NUL). */
static bool take_number(const char **at, size_t count, char behind, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(**at - '0');
    }
    if (behind != '\0') {
        return *(*at)++ == behind;
    }
    return true;
}

/* Days from 1970-01-01, by the calendar of today; years are counted from March, so that a leap day is a year's last. */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    int64_t from_march = month > 2 ? year : (int64_t)year - 1;
    int64_t months = month > 2 ? month - 3 : month + 9;
    return from_march * 365 + from_march / 4 - from_march / 100 + from_march / 400 + (months * 153 + 2) / 5 + day - 1 -
           719468;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && is_leap ? 1u : 0u);
}

/* ".5", with at least one digit and at most nine; nothing is no fraction. */
static bool take_fraction(const char **at, int64_t *nanoseconds)
{
    *nanoseconds = 0;
    if (**at != '.') {
        return true;
    }
    (*at)++;
    int digits = 0;
    for (; **at >= '0' && **at <= '9' && digits < FRACTION_DIGITS; digits++, (*at)++) {
        *nanoseconds = *nanoseconds * 10 + (**at - '0');
    }
    for (int i = digits; i < FRACTION_DIGITS; i++) {
        *nanoseconds *= 10;
    }
    return digits > 0;
}

/* "Z" or "+02:00" */
static bool take_zone(const char **at, int64_t *seconds)
{
    char sign = *(*at)++;
    unsigned hours = 0;
    unsigned minutes = 0;
    *seconds = 0;
    if (sign == 'Z' || sign == 'z') {
        return true;
    }
    if ((sign != '+' && sign != '-') || !take_number(at, 2, ':', &hours) || !take_number(at, 2, '\0', &minutes) ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (int64_t)(hours * 3600 + minutes * 60) * (sign == '+' ? 1 : -1);
    return true;
}

/* RFC 3339 §5.6. A leap second is the first of the next minute. */
static bool read_time(const char *text, int64_t *wall_ns)
{
    unsigned year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second;
    int64_t nanoseconds;
    int64_t zone;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, '\0', &day) || (*text != 'T' && *text != 't')) {
        return false;
    }
    text++;
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute) ||
        !take_number(&text, 2, '\0', &second) || !take_fraction(&text, &nanoseconds) || !take_zone(&text, &zone) ||
        *text != '\0' || !is_date(year, month, day) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    if (year < YEAR_FIRST || year > YEAR_LAST) {
        *wall_ns = year < YEAR_FIRST ? INT64_MIN + 1 : INT64_MAX - 1;
        return true;
    }
    int64_t seconds = days_of(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - zone;
    *wall_ns = seconds * (int64_t)MOTE_NS_PER_SECOND + nanoseconds;
    return true;
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
        !read_time(text, bound)) {
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
