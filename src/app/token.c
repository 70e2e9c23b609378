/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mote token mint`, `inspect` and `verify`: access tokens on a developer's or an administrator's desk. Tokens are
 * secrets: they are read from standard input only, because everybody can read command lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/exit_code.h"
#include "app/json_out.h"
#include "app/store_command.h"
#include "app/table.h"
#include "app/user_print.h"
#include "base/text.h"
#include "security/json_object.h"
#include "security/jwt.h"
#include "security/keyring.h"
#include "security/secret.h"

#define KEY_GROUPS (1u << MOTE_OPTION_GROUP_ACCOUNTS)

static const int64_t second = MOTE_NS_PER_SECOND;

static struct mote_jwt_policy policy_of(const struct mote_options *options)
{
    return (struct mote_jwt_policy){.issuer = options->jwt_issuer,
                                    .audience = options->jwt_audience,
                                    .leeway = (int64_t)options->jwt_leeway / second,
                                    .lifetime_max = (int64_t)options->jwt_access_expiry / second};
}

static int open_keyring(struct mote_keyring **out, const struct mote_options *options)
{
    const struct mote_slice text = mote_slice_text(options->jwt_secret);
    struct mote_keyring_problem problem;
    int error = options->origins[MOTE_OPTION_INDEX_JWT_SECRET].text != NULL
                    ? mote_keyring_read(out, mote_mem_system(), text, &problem)
                    : mote_keyring_new(out, mote_mem_system(), text);
    return mote_store_command_tell("JWT_SECRET", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

/* --- a token and its parts --------------------------------------------------------------------------------------- */

#define TEXT_SIZE (MOTE_JWT_LENGTH_MAX + 16u) /* with "Bearer " in front, and a line end */

struct token {
    char text[TEXT_SIZE];
    struct mote_slice whole;               /* without the scheme */
    struct mote_slice signing_input;       /* header and payload with the dot between them */
    char kid[MOTE_JWT_KID_MAX + 1];        /* of the header; "" = none */
    char issuer[MOTE_JWT_NAME_MAX + 1];    /* of the payload */
    char audience[MOTE_JWT_NAME_MAX + 1];  /* the same */
    uint8_t parts[2][MOTE_JWT_LENGTH_MAX]; /* header and payload decoded */
    size_t lengths[2];
};

/* Whether there are three parts of which the first two are base64url. */
static bool split(struct token *token)
{
    struct mote_slice rest = token->whole;
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *dot = memchr(rest.data, '.', rest.length);
        size_t length = dot != NULL ? (size_t)(dot - rest.data) : 0;
        if (length == 0 || mote_base64_decode(token->parts[i], &token->lengths[i], mote_slice(rest.data, length),
                                              MOTE_BASE64_URL_UNPADDED) != 0) {
            return false;
        }
        rest = mote_slice(dot + 1, rest.length - length - 1);
        token->signing_input = mote_slice(token->whole.data, (size_t)(dot - token->whole.data));
    }
    return memchr(rest.data, '.', rest.length) == NULL;
}

static int note_names(void *context, const char *name, const char *value)
{
    struct token *token = context;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } wanted[] = {{"kid", token->kid, sizeof token->kid},
                  {"iss", token->issuer, sizeof token->issuer},
                  {"aud", token->audience, sizeof token->audience}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strcmp(wanted[i].name, name) == 0) {
            snprintf(wanted[i].out, wanted[i].size, "%s", value);
        }
    }
    return 0;
}

/* 0, or the exit code with a line on standard error. */
static int read_token(struct token *token)
{
    static const struct mote_slice scheme = MOTE_SLICE_LITERAL("Bearer ");
    *token = (struct token){.kid = ""};
    int length = mote_command_read_secret(STDIN_FILENO, "the token", token->text, sizeof token->text);
    if (length < 0) {
        return MOTE_EXIT_DATA;
    }
    token->whole = mote_slice(token->text, (size_t)length);
    if (token->whole.length > scheme.length &&
        mote_slice_equals_ignore_case(mote_slice(token->text, scheme.length), scheme)) {
        token->whole = mote_slice(token->text + scheme.length, token->whole.length - scheme.length);
    }
    bool is_token = split(token);
    for (size_t i = 0; i < 2 && is_token; i++) {
        is_token = mote_json_object_each(mote_slice(token->parts[i], token->lengths[i]), note_names, token) == 0;
    }
    if (!is_token) {
        fprintf(stderr, "mote: that is no token: it has three parts with dots between them, of which the first two are "
                        "JSON objects in base64url\n");
        return MOTE_EXIT_DATA;
    }
    return MOTE_EXIT_OK;
}

/* --- for people -------------------------------------------------------------------------------------------------- */

/* "2026-01-31T23:59:59Z, 3 minutes ago" */
static void describe_time(char *out, size_t size, int64_t seconds, int64_t now)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    int64_t distance = seconds > now ? seconds - now : now - seconds;
    char time[MOTE_TIME_TEXT_SIZE] = "";
    size_t unit = 0;
    while (unit < 3 && distance < units[unit].seconds) {
        unit++;
    }
    int64_t count = distance / units[unit].seconds;
    mote_time_format(time, sizeof time, seconds * second, 0);
    snprintf(out, size, "%s, %s%" PRId64 " %s%s%s", time, seconds > now ? "in " : "", count, units[unit].name,
             count == 1 ? "" : "s", seconds > now ? "" : " ago");
}

/* Where the members of header and claims go. */
struct printing {
    struct mote_table table;
    struct mote_json_out json;
    bool is_json;
    int64_t now; /* seconds */
    int error;
};

static int print_member(void *context, const char *name, const char *value)
{
    static const char *const times[] = {"iat", "nbf", "exp"};
    struct printing *printing = context;
    uint64_t number = 0;
    bool is_number = mote_decimal_parse(&number, mote_slice_text(value), INT64_MAX / MOTE_NS_PER_SECOND) == 0;
    char time[96];
    const char *cells[] = {name, value};
    for (size_t i = 0; i < sizeof times / sizeof times[0] && is_number; i++) {
        if (strcmp(times[i], name) == 0) {
            describe_time(time, sizeof time, (int64_t)number, printing->now);
            cells[1] = time;
        }
    }
    if (!printing->is_json) {
        return mote_table_add(&printing->table, cells);
    }
    if (is_number) {
        mote_json_out_number(&printing->json, name, (int64_t)number);
    } else {
        mote_json_out_text(&printing->json, name, value);
    }
    return 0;
}

/* Header and claims of a token that read_token took. */
static int print_token(const struct token *token, bool is_json)
{
    static const char *const titles[] = {"FIELD", "VALUE"};
    struct printing printing = {.is_json = is_json, .now = mote_store_command_now() / second};
    int error = 0;
    if (is_json) {
        mote_json_out_begin(&printing.json, stdout);
    } else {
        error = mote_table_init(&printing.table, stdout, titles, 2);
    }
    for (size_t i = 0; i < 2 && error == 0; i++) {
        error = mote_json_object_each(mote_slice(token->parts[i], token->lengths[i]), print_member, &printing);
    }
    if (is_json) {
        mote_json_out_end(&printing.json);
    } else {
        mote_table_finish(&printing.table);
    }
    return mote_store_command_tell("token", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

static const struct mote_command_flag inspect_flags[] = {
    {"--json", NULL, NULL, "header and claims as one line of JSON"},
};

static int run_inspect(const struct mote_command_call *call)
{
    struct token token;
    int code = read_token(&token);
    if (code == MOTE_EXIT_OK) {
        code = print_token(&token, call->values[0] != NULL);
        fprintf(stderr, "NOT VERIFIED: anybody can have written this; see mote token verify\n");
    }
    mote_secret_wipe(&token, sizeof token);
    return code;
}

const struct mote_command mote_command_token_inspect = {
    .name = "token inspect",
    .meaning = "shows what an access token on standard input says, without a check",
    .details = "Needs no key. A token is a secret: it is never taken from the command line.",
    .flags = inspect_flags,
    .flag_count = sizeof inspect_flags / sizeof inspect_flags[0],
    .run = run_inspect,
};

/* --- verify ------------------------------------------------------------------------------------------------------ */

static bool key_is_known(const struct mote_keyring *keyring, const char *kid)
{
    const char *known;
    for (size_t i = 0; (known = mote_keyring_kid(keyring, i)) != NULL; i++) {
        if (strcmp(known, kid) == 0) {
            return true;
        }
    }
    return false;
}

static bool mac_fits(const struct token *token, const struct mote_keyring *keyring)
{
    uint8_t mac[32];
    char text[43];
    struct mote_slice signature = mote_slice(token->signing_input.data + token->signing_input.length + 1,
                                             token->whole.length - token->signing_input.length - 1);
    bool fits = mote_keyring_sign(keyring, mote_slice_text(token->kid), token->signing_input, mac) == 0;
    mote_base64_encode(text, mote_slice(mac, sizeof mac), MOTE_BASE64_URL_UNPADDED);
    fits = fits && signature.length == sizeof text && mote_secret_equals(text, signature.data, sizeof text);
    mote_secret_wipe(mac, sizeof mac);
    mote_secret_wipe(text, sizeof text);
    return fits;
}

/* The first rule, in the order of the verification, that a token breaks which was refused with MOTE_EAUTH. */
static const char *broken_rule(const struct token *token, const struct mote_keyring *keyring,
                               const struct mote_jwt_policy *policy)
{
    if (!key_is_known(keyring, token->kid)) {
        return "no key of JWT_SECRET has its kid";
    }
    if (!mac_fits(token, keyring)) {
        return "the signature is not that of its key";
    }
    if (strcmp(token->issuer, policy->issuer) != 0) {
        return "iss is not JWT_ISSUER";
    }
    if (strcmp(token->audience, policy->audience) != 0) {
        return "aud is not JWT_AUDIENCE";
    }
    return "the header is not exactly one that mote makes, or a claim is missing or of the wrong kind, or exp is more "
           "than "
           "JWT_ACCESS_EXPIRY after iat";
}

static int verify(const struct token *token, const struct mote_options *options, struct mote_keyring *keyring)
{
    struct mote_identity identity = {0};
    const struct mote_jwt_policy policy = policy_of(options);
    int64_t now = mote_store_command_now() / second;
    char time[96];
    int error = mote_jwt_verify(&identity, keyring, &policy, token->whole, now);
    if (error == 0) {
        describe_time(time, sizeof time, identity.expires_at, now);
        printf("valid: expires %s\n", time);
        fputs("Whether its session or user has ended is known to the server alone: ask ValidateToken.\n", stderr);
        return MOTE_EXIT_OK;
    }
    if (error == MOTE_EEXPIRED || error == MOTE_ENOTYET) {
        describe_time(time, sizeof time, error == MOTE_EEXPIRED ? identity.expires_at : identity.not_before, now);
        printf("not valid: %s %s\n", error == MOTE_EEXPIRED ? "expired" : "not valid before", time);
    } else {
        printf("not valid: %s\n", error == MOTE_EAUTH ? broken_rule(token, keyring, &policy) : mote_error_text(error));
    }
    return MOTE_EXIT_FAILED;
}

static int run_verify(const struct mote_command_call *call)
{
    struct mote_options options;
    struct token token;
    struct mote_keyring *keyring = NULL;
    int code = mote_command_load_options(&options, call);
    if (code == MOTE_EXIT_OK) {
        code = open_keyring(&keyring, &options);
    }
    if (code == MOTE_EXIT_OK) {
        code = read_token(&token) == MOTE_EXIT_OK ? verify(&token, &options, keyring) : MOTE_EXIT_FAILED;
        mote_secret_wipe(&token, sizeof token);
    }
    mote_keyring_free(keyring);
    mote_options_dispose(&options);
    return code;
}

const struct mote_command mote_command_token_verify = {
    .name = "token verify",
    .meaning = "checks an access token on standard input with the keys, and says which rule it breaks",
    .details =
        "Exit code 0 for a valid token, otherwise 1. Signature, claims and times are checked as the server does; "
        "sessions and users that have ended are not looked at.",
    .groups = KEY_GROUPS,
    .run = run_verify,
};

/* --- mint -------------------------------------------------------------------------------------------------------- */

enum { FLAG_USER, FLAG_USER_ID, FLAG_ROLE, FLAG_EXPIRES };

static const struct mote_command_flag mint_flags[] = {
    [FLAG_USER] = {"--user", "USER", NULL, "who of the store: a username, an email address or an id"},
    [FLAG_USER_ID] = {"--user-id", "UUID", NULL, "a user id, without a look at any store"},
    [FLAG_ROLE] = {"--role", "ROLES", NULL, "USER, SERVICE or ADMIN instead of the user's; with --user-id USER"},
    [FLAG_EXPIRES] = {"--expires", "DURATION", NULL,
                      "life of the token; without it JWT_ACCESS_EXPIRY, which is the most"},
};

/* A session that ends with the token. Its refresh token is nobody's: a hash of random bytes. */
static int begin_session(struct mote_store_command *store, struct mote_identity *identity,
                         const struct mote_keyring *keyring)
{
    struct mote_store_create_session create = {.write.kind = MOTE_STORE_CREATE_SESSION};
    const struct mote_random *random = mote_random_system();
    int64_t now = mote_store_command_now();
    memcpy(create.record.id, identity->session_id, sizeof create.record.id);
    memcpy(create.record.user_id, identity->user_id, sizeof create.record.user_id);
    create.record.create_time = now;
    create.record.last_use_time = now;
    create.record.expire_time = identity->expires_at * second;
    snprintf(create.record.user_agent, sizeof create.record.user_agent, "mote token mint");
    snprintf(create.refresh_kid, sizeof create.refresh_kid, "%s", mote_keyring_signing_kid(keyring));
    create.refresh_expire_time = now;
    create.user_epoch = identity->epoch;
    int error = random->fill(random->context, create.refresh_hash, sizeof create.refresh_hash);
    return error != 0 ? error
                      : mote_store_command_write(
                            store, &create.write,
                            mote_store_command_audit(MOTE_STORE_AUDIT_LOGIN, identity->user_id, "mote token mint"));
}

/* Fills in who it is for. 0, or the exit code with a line on standard error. */
static int find_subject(struct mote_identity *identity, struct mote_store_command *store,
                        const struct mote_command_call *call)
{
    const char *name = call->values[FLAG_USER];
    struct mote_user user;
    if (name == NULL) {
        if (mote_uuid_parse(identity->user_id, mote_slice_text(call->values[FLAG_USER_ID])) != 0) {
            fprintf(stderr, "mote: --user-id: want a UUID\n");
            return MOTE_EXIT_USAGE;
        }
        identity->epoch = 1;
        return MOTE_EXIT_OK;
    }
    int error = mote_store_command_find_user(store, name, &user);
    memcpy(identity->user_id, user.id, sizeof user.id);
    identity->roles = identity->roles != 0 ? identity->roles : user.roles;
    identity->epoch = user.epoch;
    identity->password_change_required = user.password_change_required;
    mote_secret_wipe(user.password_hash, sizeof user.password_hash);
    if (error == 0 && user.state != MOTE_USER_ACTIVE) {
        fprintf(stderr, "mote: %s: the user is disabled\n", name);
        return MOTE_EXIT_DATA;
    }
    return mote_store_command_tell(name, error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

static int issue(const struct mote_identity *identity, const struct mote_options *options,
                 const struct mote_keyring *keyring)
{
    char token[MOTE_JWT_LENGTH_MAX];
    size_t length = 0;
    const struct mote_jwt_policy policy = policy_of(options);
    int error = mote_jwt_issue(token, &length, keyring, &policy, identity);
    if (error == 0) {
        fwrite(token, 1, length, stdout);
        fputc('\n', stdout);
        fflush(stdout);
    }
    mote_secret_wipe(token, sizeof token);
    return error;
}

/* `identity` has its roles and its life. */
static int mint(struct mote_store_command *store, const struct mote_command_call *call, struct mote_identity *identity)
{
    struct mote_keyring *keyring;
    int64_t now = mote_store_command_now();
    identity->issued_at = now / second;
    identity->not_before = identity->issued_at;
    identity->expires_at += identity->issued_at;
    int code = find_subject(identity, store, call);
    identity->roles = identity->roles != 0 ? identity->roles : MOTE_ROLE_BIT_USER;
    if (code != MOTE_EXIT_OK || (code = open_keyring(&keyring, &store->options)) != MOTE_EXIT_OK) {
        return code;
    }
    int error = mote_store_command_new_id(identity->session_id, now);
    if (error == 0) {
        error = mote_store_command_new_id(identity->token_id, now);
    }
    if (error == 0 && store->store != NULL) {
        error = begin_session(store, identity, keyring);
    }
    if (error == 0) {
        error = issue(identity, &store->options, keyring);
    }
    mote_keyring_free(keyring);
    return mote_store_command_tell("token", error, MOTE_STORE_TAKEN_NONE, MOTE_STORE_CONFLICT_NONE);
}

static int read_life(int64_t *seconds, const struct mote_options *options, const char *text)
{
    uint64_t life = options->jwt_access_expiry;
    if (text != NULL && !mote_command_parse_duration(&life, "--expires", text)) {
        return MOTE_EXIT_USAGE;
    }
    *seconds = (int64_t)life / second;
    if (*seconds == 0 || life > options->jwt_access_expiry) {
        fprintf(stderr,
                "mote: --expires: must be from a second to JWT_ACCESS_EXPIRY; a server takes no longer token\n");
        return MOTE_EXIT_USAGE;
    }
    return MOTE_EXIT_OK;
}

static int run_mint(const struct mote_command_call *call)
{
    struct mote_store_command store;
    struct mote_identity identity = {0};
    user_v1_Role roles[MOTE_CONVERT_ROLES_MAX + 1];
    bool offline = call->values[FLAG_USER] == NULL;
    if (offline != (call->values[FLAG_USER_ID] != NULL)) {
        fprintf(stderr, "mote: want either --user or --user-id\n");
        return MOTE_EXIT_USAGE;
    }
    if (call->values[FLAG_ROLE] != NULL) {
        size_t count = mote_user_print_parse_roles(roles, call->values[FLAG_ROLE]);
        const char *refused = mote_rules_roles(&identity.roles, roles, count);
        if (refused != NULL) {
            fprintf(stderr, "mote: --role: %s\n", refused);
            return MOTE_EXIT_USAGE;
        }
    }
    int code = mote_store_command_open(&store, call, offline ? NULL : "auth.v1.AuthService/Login");
    if (code == MOTE_EXIT_OK) {
        code = read_life(&identity.expires_at, &store.options, call->values[FLAG_EXPIRES]);
    }
    if (code == MOTE_EXIT_OK) {
        code = mint(&store, call, &identity);
    }
    mote_store_command_close(&store);
    return code;
}

const struct mote_command mote_command_token_mint = {
    .name = "token mint",
    .meaning = "makes an access token, for development",
    .details =
        "--user begins a session that ends with the token, as a login would, and so needs the store, while no "
        "server runs on it. --user-id needs only the key, so it works beside a server: that takes such a token, for a "
        "server knows the sessions that have ended and not those that never were. But the session is in no list and "
        "cannot be revoked by its user, a user who is not in the store is not found, and a user whose roles or "
        "password changed lately is refused. Whoever can do this has the key, and with it every account.",
    .flags = mint_flags,
    .flag_count = sizeof mint_flags / sizeof mint_flags[0],
    .groups = KEY_GROUPS | MOTE_STORE_COMMAND_GROUPS,
    .run = run_mint,
};
