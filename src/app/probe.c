/* SPDX-License-Identifier: Apache-2.0 */
/* `mote probe`: shows by real calls that a server answers — health, Login, GetUser — and prints what it said. Tokens
 * are never printed whole. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "app/user_print.h"
#include "auth/v1/auth.mote.h"
#include "base/clock.h"
#include "grpc/health/v1/health.mote.h"
#include "net/dial.h"
#include "security/password.h"
#include "security/secret.h"
#include "user/v1/user.mote.h"

#define TOKEN_SHOWN 12 /* characters: those of the header, the same in every token */

struct probe {
    uint64_t timeout_ns;
    struct mote_dial *dial;
};

/* Makes the call and tells how it went; false unless OK. */
static bool ask(struct probe *probe, const struct mote_method *method, const void *request, void *response,
                const struct mote_field *metadata, size_t metadata_count)
{
    struct mote_dial_result result;
    int error =
        mote_dial_unary(probe->dial, method, request, response, metadata, metadata_count, probe->timeout_ns, &result);
    printf("%s\n", method->path + 1);
    fflush(stdout);
    if (error != 0) {
        fprintf(stderr, "  failed: %s\n", mote_error_text(error));
        return false;
    }
    if (result.status != MOTE_STATUS_OK) {
        fprintf(stderr, "  %s: %s\n", mote_status_name(result.status), result.message);
        return false;
    }
    return true;
}

static bool ask_health(struct probe *probe)
{
    grpc_health_v1_HealthCheckRequest request = grpc_health_v1_HealthCheckRequest_init_zero;
    grpc_health_v1_HealthCheckResponse response = grpc_health_v1_HealthCheckResponse_init_zero;
    if (!ask(probe, &grpc_health_v1_Health_Check_method, &request, &response, NULL, 0)) {
        return false;
    }
    bool serving = response.status == grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING;
    printf("  status: %s\n", serving ? "SERVING" : "not SERVING");
    return serving;
}

static bool ask_login(struct probe *probe, const char *username, const char *password, auth_v1_LoginResponse *response)
{
    auth_v1_LoginRequest request = auth_v1_LoginRequest_init_zero;
    request.which_identifier = auth_v1_LoginRequest_username_tag;
    int name_length = snprintf(request.identifier.username, sizeof request.identifier.username, "%s", username);
    int password_length = snprintf(request.password, sizeof request.password, "%s", password);
    if (name_length < 0 || (size_t)name_length >= sizeof request.identifier.username || password_length < 0 ||
        (size_t)password_length >= sizeof request.password) {
        fprintf(stderr, "mote: the username or the password is longer than one can be\n");
        return false;
    }
    bool ok = ask(probe, &auth_v1_AuthService_Login_method, &request, response, NULL, 0);
    mote_secret_wipe(&request, sizeof request);
    if (!ok) {
        return false;
    }
    printf("  user_id: %s\n  session_id: %s\n", response->user_id, response->session_id);
    printf("  access_token: %.*s\xe2\x80\xa6 (%zu characters), expires in %llds\n", TOKEN_SHOWN,
           response->tokens.access_token, strlen(response->tokens.access_token),
           (long long)response->tokens.expires_in.seconds);
    return true;
}

static void print_user(const user_v1_User *user)
{
    char time[MOTE_TIME_TEXT_SIZE];
    printf("  id: %s\n  username: %s\n  roles:", user->id, user->username);
    for (pb_size_t i = 0; i < user->roles_count; i++) {
        printf(" %s", mote_user_print_role(user->roles[i]));
    }
    printf("\n");
    if (user->has_create_time &&
        mote_time_format(time, sizeof time, user->create_time.seconds * (int64_t)MOTE_NS_PER_SECOND, 0) > 0) {
        printf("  create_time: %s\n", time);
    }
}

static bool ask_user(struct probe *probe, const auth_v1_LoginResponse *login)
{
    user_v1_GetUserRequest request = {.id = "me"};
    user_v1_GetUserResponse response = user_v1_GetUserResponse_init_zero;
    char credentials[sizeof login->tokens.access_token + 8];
    int length = snprintf(credentials, sizeof credentials, "Bearer %s", login->tokens.access_token);
    const struct mote_field authorization = {.name = MOTE_SLICE_LITERAL("authorization"),
                                             .value = mote_slice(credentials, (size_t)length),
                                             .flags = MOTE_FIELD_SENSITIVE};
    bool ok = ask(probe, &user_v1_UserService_GetUser_method, &request, &response, &authorization, 1);
    mote_secret_wipe(credentials, sizeof credentials);
    if (ok) {
        print_user(&response.user);
    }
    return ok;
}

static bool ask_all(struct probe *probe, const char *username, const char *password)
{
    auth_v1_LoginResponse login = auth_v1_LoginResponse_init_zero;
    bool ok = ask_health(probe);
    if (ok && username != NULL) {
        ok = ask_login(probe, username, password, &login) && ask_user(probe, &login);
        mote_secret_wipe(&login, sizeof login);
    }
    return ok;
}

static int ask_server(struct probe *probe, const struct mote_command_call *call, const char *username,
                      const char *password)
{
    if (!mote_command_dial(&probe->dial, call, false, probe->timeout_ns)) {
        return MOTE_EXIT_FAILED;
    }
    bool ok = ask_all(probe, username, password);
    mote_dial_close(probe->dial);
    return ok ? MOTE_EXIT_OK : MOTE_EXIT_FAILED;
}

static bool read_password(const char *path, char password[MOTE_PASSWORD_MAX + 2])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "mote: cannot open %s: %m\n", path);
        return false;
    }
    int length = mote_command_read_secret(fd, path, password, MOTE_PASSWORD_MAX + 2);
    close(fd);
    return length >= 0;
}

enum { FLAG_USERNAME = MOTE_COMMAND_DIAL_FLAGS, FLAG_PASSWORD_FILE, FLAG_TIMEOUT };

static const struct mote_command_flag flags[] = {
    MOTE_COMMAND_DIAL_FLAG_ROWS,
    [FLAG_USERNAME] = {"--username", "NAME", NULL, "whom to log in; without it, only health is asked for"},
    [FLAG_PASSWORD_FILE] = {"--password-file", "FILE", NULL,
                            "where the password is; one line end behind it is dropped"},
    [FLAG_TIMEOUT] = {"--timeout", "DURATION", "10s", "for connecting and for each answer"},
};

static int run(const struct mote_command_call *call)
{
    char password[MOTE_PASSWORD_MAX + 2] = "";
    const char *username = call->values[FLAG_USERNAME];
    const char *path = call->values[FLAG_PASSWORD_FILE];
    struct probe probe = {.dial = NULL};
    if (!mote_command_parse_duration(&probe.timeout_ns, "--timeout", call->values[FLAG_TIMEOUT])) {
        return MOTE_EXIT_USAGE;
    }
    if ((username != NULL) != (path != NULL)) {
        fprintf(stderr, "mote: --username and --password-file belong together\n");
        return MOTE_EXIT_USAGE;
    }
    if (path != NULL && !read_password(path, password)) {
        return MOTE_EXIT_NO_INPUT;
    }
    int code = ask_server(&probe, call, username, password);
    mote_secret_wipe(password, sizeof password);
    return code;
}

const struct mote_command mote_command_probe = {
    .name = "probe",
    .meaning = "shows that a server answers: health, a login, who that is",
    .details = "Health, Login and GetUser of a running server; exit code 0 when all answered OK, otherwise 1.",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
