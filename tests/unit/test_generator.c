/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protoc-gen-mote has written: the services of codec_test.proto as tables, and of the interfaces that mote serves
 * every method, field and number, which may never change once released, and every bound at max and max + 1.
 */
#include "codec_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/v1/auth.mote.h"
#include "google/rpc/error_details.mote.h"
#include "google/rpc/status.mote.h"
#include "grpc/health/v1/health.mote.h"
#include "grpc/reflection/v1/reflection.mote.h"
#include "grpc/reflection/v1alpha/reflection.mote.h"
#include "user/v1/user.mote.h"

/* --- services -------------------------------------------------------------------------------------------------- */

static const void *handler_request; /* of the last call */
static int handler_number;

static void note(int number, const void *request)
{
    handler_number = number;
    handler_request = request;
}

void codec_test_v1_kinds_unary(struct mote_call *call, const codec_test_v1_Inner *request)
{
    (void)call;
    note(1, request);
}

void codec_test_v1_kinds_client_stream(struct mote_call *call, const codec_test_v1_Inner *request)
{
    (void)call;
    note(2, request);
}

void codec_test_v1_kinds_server_stream(struct mote_call *call, const codec_test_v1_Bounded *request)
{
    (void)call;
    note(3, request);
}

void codec_test_v1_kinds_bidi_stream(struct mote_call *call, const codec_test_v1_Bounded *request)
{
    (void)call;
    note(4, request);
}

void codec_test_v1_http_gateway2_get_url(struct mote_call *call, const codec_test_v1_Inner *request)
{
    (void)call;
    note(5, request);
}

static void a_service_is_a_table(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *path;
        enum mote_call_kind kind;
        const struct mote_message_type *request, *response;
    } expected[] = {
        {"Unary", "/codec_test.v1.Kinds/Unary", MOTE_CALL_UNARY, &codec_test_v1_Inner_type,
         &codec_test_v1_Bounded_type},
        {"ClientStream", "/codec_test.v1.Kinds/ClientStream", MOTE_CALL_CLIENT_STREAM, &codec_test_v1_Inner_type,
         &codec_test_v1_Bounded_type},
        {"ServerStream", "/codec_test.v1.Kinds/ServerStream", MOTE_CALL_SERVER_STREAM, &codec_test_v1_Bounded_type,
         &codec_test_v1_Inner_type},
        {"BidiStream", "/codec_test.v1.Kinds/BidiStream", MOTE_CALL_BIDI_STREAM, &codec_test_v1_Bounded_type,
         &codec_test_v1_Inner_type},
    };
    const struct mote_service *service = &codec_test_v1_Kinds_service;
    assert_string_equal(service->name, "codec_test.v1.Kinds");
    assert_string_equal(service->package, "codec_test.v1");
    assert_ptr_equal(service->file, &codec_test_proto_file);
    assert_int_equal(service->method_count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        const struct mote_method *method = &service->methods[i];
        assert_string_equal(method->name, expected[i].name);
        assert_string_equal(method->path, expected[i].path);
        assert_int_equal(method->kind, expected[i].kind);
        assert_ptr_equal(method->request, expected[i].request);
        assert_ptr_equal(method->response, expected[i].response);
        assert_int_equal(method->request_max, 1234);
        method->handler(NULL, &expected[i]);
        assert_int_equal(handler_number, i + 1);
        assert_ptr_equal(handler_request, &expected[i]);
    }
    codec_test_v1_HTTPGateway2_service.methods[0].handler(NULL, NULL);
    assert_int_equal(handler_number, 5);
    assert_int_equal(codec_test_v1_NoMethods_service.method_count, 0);
}

static void a_client_has_methods_without_handlers(void **state)
{
    (void)state;
    const struct mote_method *method = &codec_test_v1_Kinds_ServerStream_method;
    assert_string_equal(method->path, "/codec_test.v1.Kinds/ServerStream");
    assert_int_equal(method->kind, MOTE_CALL_SERVER_STREAM);
    assert_ptr_equal(method->response, &codec_test_v1_Inner_type);
    assert_true(method->handler == NULL);
}

static const struct mote_method *const served[] = {
    &user_v1_UserService_CreateUser_method,
    &user_v1_UserService_GetUser_method,
    &user_v1_UserService_UpdateUser_method,
    &user_v1_UserService_DeleteUser_method,
    &user_v1_UserService_ListUsers_method,
    &user_v1_UserService_DisableUser_method,
    &user_v1_UserService_EnableUser_method,
    &user_v1_UserService_WatchUsers_method,
    &user_v1_UserService_ImportUsers_method,
    &user_v1_UserService_HealthCheck_method,
    &auth_v1_AuthService_Login_method,
    &auth_v1_AuthService_RefreshToken_method,
    &auth_v1_AuthService_ValidateToken_method,
    &auth_v1_AuthService_Logout_method,
    &auth_v1_AuthService_RevokeToken_method,
    &auth_v1_AuthService_ListSessions_method,
    &auth_v1_AuthService_RevokeSession_method,
    &auth_v1_AuthService_ChangePassword_method,
    &auth_v1_AuthService_SetPassword_method,
    &grpc_health_v1_Health_Check_method,
    &grpc_health_v1_Health_List_method,
    &grpc_health_v1_Health_Watch_method,
    &grpc_reflection_v1_ServerReflection_ServerReflectionInfo_method,
    &grpc_reflection_v1alpha_ServerReflection_ServerReflectionInfo_method,
};

/* "path request response", "~" before what is a stream. */
static void served_methods_are_as_released(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "/user.v1.UserService/CreateUser user.v1.CreateUserRequest user.v1.CreateUserResponse",
        "/user.v1.UserService/GetUser user.v1.GetUserRequest user.v1.GetUserResponse",
        "/user.v1.UserService/UpdateUser user.v1.UpdateUserRequest user.v1.UpdateUserResponse",
        "/user.v1.UserService/DeleteUser user.v1.DeleteUserRequest user.v1.DeleteUserResponse",
        "/user.v1.UserService/ListUsers user.v1.ListUsersRequest user.v1.ListUsersResponse",
        "/user.v1.UserService/DisableUser user.v1.DisableUserRequest user.v1.DisableUserResponse",
        "/user.v1.UserService/EnableUser user.v1.EnableUserRequest user.v1.EnableUserResponse",
        "/user.v1.UserService/WatchUsers user.v1.WatchUsersRequest ~user.v1.WatchUsersResponse",
        "/user.v1.UserService/ImportUsers ~user.v1.ImportUsersRequest user.v1.ImportUsersResponse",
        "/user.v1.UserService/HealthCheck google.protobuf.Empty user.v1.HealthCheckResponse",
        "/auth.v1.AuthService/Login auth.v1.LoginRequest auth.v1.LoginResponse",
        "/auth.v1.AuthService/RefreshToken auth.v1.RefreshTokenRequest auth.v1.RefreshTokenResponse",
        "/auth.v1.AuthService/ValidateToken auth.v1.ValidateTokenRequest auth.v1.ValidateTokenResponse",
        "/auth.v1.AuthService/Logout auth.v1.LogoutRequest auth.v1.LogoutResponse",
        "/auth.v1.AuthService/RevokeToken auth.v1.RevokeTokenRequest auth.v1.RevokeTokenResponse",
        "/auth.v1.AuthService/ListSessions auth.v1.ListSessionsRequest auth.v1.ListSessionsResponse",
        "/auth.v1.AuthService/RevokeSession auth.v1.RevokeSessionRequest auth.v1.RevokeSessionResponse",
        "/auth.v1.AuthService/ChangePassword auth.v1.ChangePasswordRequest auth.v1.ChangePasswordResponse",
        "/auth.v1.AuthService/SetPassword auth.v1.SetPasswordRequest auth.v1.SetPasswordResponse",
        "/grpc.health.v1.Health/Check grpc.health.v1.HealthCheckRequest grpc.health.v1.HealthCheckResponse",
        "/grpc.health.v1.Health/List grpc.health.v1.HealthListRequest grpc.health.v1.HealthListResponse",
        "/grpc.health.v1.Health/Watch grpc.health.v1.HealthCheckRequest ~grpc.health.v1.HealthCheckResponse",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo "
        "~grpc.reflection.v1.ServerReflectionRequest ~grpc.reflection.v1.ServerReflectionResponse",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo "
        "~grpc.reflection.v1alpha.ServerReflectionRequest ~grpc.reflection.v1alpha.ServerReflectionResponse",
    };
    assert_int_equal(ARRAY_COUNT(served), ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(served); i++) {
        const struct mote_method *method = served[i];
        bool takes_stream = method->kind == MOTE_CALL_CLIENT_STREAM || method->kind == MOTE_CALL_BIDI_STREAM;
        bool gives_stream = method->kind == MOTE_CALL_SERVER_STREAM || method->kind == MOTE_CALL_BIDI_STREAM;
        char text[256];
        snprintf(text, sizeof(text), "%s %s%s %s%s", method->path, takes_stream ? "~" : "", method->request->name,
                 gives_stream ? "~" : "", method->response->name);
        assert_string_equal(text, expected[i]);
        assert_int_equal(method->request_max, 65536);
    }
}

static const struct {
    const struct mote_message_type *type;
    const char *fields;
} served_fields[] = {
    {&user_v1_User_type, "id=1 username=2 email=3 display_name=4 roles=5 state=6 create_time=7 update_time=8 "
                         "email_verified=9 etag=10 last_login_time=11 "},
    {&user_v1_CreateUserRequest_type, "user=1 initial_password=2 request_id=3 validate_only=4 "},
    {&user_v1_CreateUserResponse_type, "user=1 "},
    {&user_v1_GetUserRequest_type, "id=1 "},
    {&user_v1_GetUserResponse_type, "user=1 "},
    {&user_v1_UpdateUserRequest_type, "user=1 update_mask=2 validate_only=3 "},
    {&user_v1_UpdateUserResponse_type, "user=1 "},
    {&user_v1_DeleteUserRequest_type, "id=1 etag=2 allow_missing=3 "},
    {&user_v1_DeleteUserResponse_type, ""},
    {&user_v1_ListUsersRequest_type, "page_size=1 page_token=2 filter=3 order_by=4 "},
    {&user_v1_ListUsersResponse_type, "users=1 next_page_token=2 total_size=3 "},
    {&user_v1_DisableUserRequest_type, "id=1 reason=2 "},
    {&user_v1_DisableUserResponse_type, "user=1 revoked_session_count=2 "},
    {&user_v1_EnableUserRequest_type, "id=1 "},
    {&user_v1_EnableUserResponse_type, "user=1 "},
    {&user_v1_WatchUsersRequest_type, "resume_token=1 "},
    {&user_v1_WatchUsersResponse_type, "change_type=1 user=2 resume_token=3 "},
    {&user_v1_ImportUsersRequest_type, "user=1 initial_password=2 "},
    {&user_v1_ImportUsersResponse_type, "created_count=1 failures=2 failed_count=3 "},
    {&user_v1_ImportFailure_type, "index=1 code=2 reason=3 "},
    {&user_v1_HealthCheckResponse_type, "status=1 timestamp=2 "},
    {&auth_v1_TokenPair_type, "access_token=1 refresh_token=2 token_type=3 expires_in=4 refresh_expire_time=5 "},
    {&auth_v1_LoginRequest_type, "username=1 email=2 password=3 "},
    {&auth_v1_LoginResponse_type, "user_id=1 tokens=2 session_id=3 password_change_required=4 "},
    {&auth_v1_RefreshTokenRequest_type, "refresh_token=1 "},
    {&auth_v1_RefreshTokenResponse_type, "tokens=1 "},
    {&auth_v1_ValidateTokenRequest_type, "access_token=1 required_role=2 "},
    {&auth_v1_ValidateTokenResponse_type, "active=1 inactive_reason=2 user_id=3 username=4 roles=5 issue_time=6 "
                                          "expire_time=7 token_id=8 session_id=9 "},
    {&auth_v1_LogoutRequest_type, "scope=1 "},
    {&auth_v1_LogoutResponse_type, "revoked_session_count=1 "},
    {&auth_v1_RevokeTokenRequest_type, "token=1 token_type_hint=2 "},
    {&auth_v1_RevokeTokenResponse_type, ""},
    {&auth_v1_Session_type, "id=1 create_time=2 last_use_time=3 expire_time=4 user_agent=5 peer_address=6 current=7 "},
    {&auth_v1_ListSessionsRequest_type, "user_id=1 page_size=2 page_token=3 "},
    {&auth_v1_ListSessionsResponse_type, "sessions=1 next_page_token=2 "},
    {&auth_v1_RevokeSessionRequest_type, "session_id=1 "},
    {&auth_v1_RevokeSessionResponse_type, ""},
    {&auth_v1_ChangePasswordRequest_type, "current_password=1 new_password=2 keep_other_sessions=3 "},
    {&auth_v1_ChangePasswordResponse_type, "revoked_session_count=1 "},
    {&auth_v1_SetPasswordRequest_type, "user_id=1 new_password=2 require_change=3 "},
    {&auth_v1_SetPasswordResponse_type, "revoked_session_count=1 "},
    {&grpc_health_v1_HealthCheckRequest_type, "service=1 "},
    {&grpc_health_v1_HealthCheckResponse_type, "status=1 "},
    {&grpc_health_v1_HealthListRequest_type, ""},
    {&grpc_health_v1_HealthListResponse_type, "statuses=1 "},
    {&grpc_reflection_v1_ServerReflectionRequest_type,
     "host=1 file_by_filename=3 file_containing_symbol=4 file_containing_extension=5 "
     "all_extension_numbers_of_type=6 list_services=7 "},
    {&grpc_reflection_v1_ServerReflectionResponse_type,
     "valid_host=1 original_request=2 file_descriptor_response=4 all_extension_numbers_response=5 "
     "list_services_response=6 error_response=7 "},
    {&grpc_reflection_v1_ErrorResponse_type, "error_code=1 error_message=2 "},
    {&google_rpc_Status_type, "code=1 message=2 details=3 "},
    {&google_rpc_ErrorInfo_type, "reason=1 domain=2 metadata=3 "},
    {&google_rpc_BadRequest_type, "field_violations=1 "},
    {&google_rpc_BadRequest_FieldViolation_type, "field=1 description=2 "},
    {&google_rpc_RetryInfo_type, "retry_delay=1 "},
};

static void served_fields_are_as_released(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(served_fields); i++) {
        char text[512] = "";
        size_t length = 0;
        for (size_t j = 0; j < served_fields[i].type->rule_count; j++) {
            const struct mote_field_rule *rule = &served_fields[i].type->rules[j];
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s=%u ", rule->name, rule->number);
        }
        assert_string_equal(text, served_fields[i].fields);
    }
    assert_int_equal(user_v1_Role_ROLE_ADMIN, 3);
    assert_int_equal(user_v1_UserState_USER_STATE_DISABLED, 3);
    assert_int_equal(user_v1_ChangeType_CHANGE_TYPE_HEARTBEAT, 4);
    assert_int_equal(auth_v1_InactiveReason_INACTIVE_REASON_ROLE_MISSING, 5);
    assert_int_equal(auth_v1_LogoutScope_LOGOUT_SCOPE_GLOBAL, 3);
    assert_int_equal(auth_v1_TokenTypeHint_TOKEN_TYPE_HINT_REFRESH, 2);
    assert_int_equal(grpc_health_v1_HealthCheckResponse_ServingStatus_SERVICE_UNKNOWN, 3);
}

/* --- bounds ---------------------------------------------------------------------------------------------------- */

#define REQUEST_SIZE_MAX 16384u /* of a request's struct: it lies in the call's arena */
#define NESTING_MAX      4u

/* A field of a request, by the fields that lead to it. */
struct place {
    const struct mote_message_type *request;
    const struct mote_field_rule *fields[NESTING_MAX];
    size_t depth;
};

/* `content`, the bytes of a message at the place, put into the messages around it. */
static int decode_at(const struct place *place, const struct bytes *content)
{
    static uint64_t out[REQUEST_SIZE_MAX / sizeof(uint64_t)];
    struct bytes in = *content;
    for (size_t i = place->depth; i-- > 0;) {
        struct bytes outer = {.length = 0};
        put_message(&outer, place->fields[i]->number, &in);
        in = outer;
    }
    return mote_codec_decode(place->request, slice_of(&in), out, &failure);
}

static void assert_field_at_fault(const struct place *place, const struct mote_field_rule *rule, bool with_index)
{
    char path[MOTE_CODEC_PATH_MAX] = "";
    size_t length = 0;
    for (size_t i = 0; i < place->depth; i++) {
        length += (size_t)snprintf(path + length, sizeof(path) - length, "%s.", place->fields[i]->name);
    }
    snprintf(path + length, sizeof(path) - length, "%s%s", rule->name, with_index ? "[0]" : "");
    assert_int_equal(failure.count, 1);
    assert_string_equal(failure.violations[0].field, path);
}

static void check_bounds_of_text(const struct place *place, const struct mote_field_rule *rule)
{
    char text[3000];
    memset(text, 'a', sizeof(text));
    assert_in_range(rule->max_length, 1, sizeof(text) - 1);
    for (uint32_t length = 0; length <= rule->max_length + 1; length++) {
        struct bytes content = {.length = 0};
        put_bytes(&content, rule->number, text, length);
        int error = decode_at(place, &content);
        assert_int_equal(error, length <= rule->max_length ? 0 : MOTE_EFIELD);
        if (error != 0) {
            assert_field_at_fault(place, rule, (rule->flags & MOTE_FIELD_REPEATED) != 0);
        }
    }
}

static void check_bounds_of_count(const struct place *place, const struct mote_field_rule *rule)
{
    struct bytes content = {.length = 0};
    assert_in_range(rule->max_count, 1, 100);
    for (uint32_t count = 1; count <= rule->max_count + 1; count++) {
        if (rule->wire_type == MOTE_WIRE_VARINT) {
            put_number(&content, rule->number, 1);
        } else {
            put_bytes(&content, rule->number, "", 0);
        }
        int error = decode_at(place, &content);
        assert_int_equal(error, count <= rule->max_count ? 0 : MOTE_EFIELD);
        if (error != 0) {
            assert_field_at_fault(place, rule, false);
        }
    }
}

static void check_bounds(struct place *place, const struct mote_message_type *type)
{
    for (size_t i = 0; i < type->rule_count; i++) {
        const struct mote_field_rule *rule = &type->rules[i];
        assert_int_equal(rule->flags & MOTE_FIELD_CALLBACK, 0);
        if (rule->wire_type == MOTE_WIRE_STRING || rule->wire_type == MOTE_WIRE_BYTES) {
            check_bounds_of_text(place, rule);
        }
        if ((rule->flags & MOTE_FIELD_REPEATED) != 0) {
            check_bounds_of_count(place, rule);
        } else if (rule->wire_type == MOTE_WIRE_MESSAGE) {
            assert_true(place->depth < NESTING_MAX);
            place->fields[place->depth++] = rule;
            check_bounds(place, rule->message);
            place->depth--;
        }
    }
}

/* Every string and list of every request, at every length up to one over its bound. */
static void served_requests_are_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(served); i++) {
        struct place place = {.request = served[i]->request};
        assert_in_range(place.request->size, 1, REQUEST_SIZE_MAX);
        check_bounds(&place, place.request);
    }
}

static void bounds_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const struct mote_message_type *type;
        const char *field;
        uint32_t max;
    } cases[] = {
        {&user_v1_User_type, "username", 32},
        {&user_v1_User_type, "email", 254},
        {&user_v1_User_type, "display_name", 256},
        {&user_v1_User_type, "roles", 4},
        {&user_v1_CreateUserRequest_type, "initial_password", 128},
        {&user_v1_DisableUserRequest_type, "reason", 256},
        {&user_v1_ImportUsersResponse_type, "failures", 32},
        {&auth_v1_LoginRequest_type, "username", 32},
        {&auth_v1_LoginRequest_type, "email", 254},
        {&auth_v1_LoginRequest_type, "password", 128},
        {&auth_v1_ValidateTokenRequest_type, "access_token", 2048},
        {&google_protobuf_FieldMask_type, "paths", 8},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct mote_field_rule *rule = cases[i].type->rules;
        while (rule->number != UINT32_MAX && strcmp(rule->name, cases[i].field) != 0) {
            rule++;
        }
        bool repeated = (rule->flags & MOTE_FIELD_REPEATED) != 0;
        assert_int_equal(repeated ? rule->max_count : rule->max_length, cases[i].max);
    }
}

/* --- files for reflection -------------------------------------------------------------------------------------- */

static const struct mote_proto_file *const files[] = {
    &codec_test_proto_file,
    &user_v1_user_proto_file,
    &auth_v1_auth_proto_file,
    &grpc_health_v1_health_proto_file,
    &grpc_reflection_v1_reflection_proto_file,
    &grpc_reflection_v1alpha_reflection_proto_file,
    &google_rpc_status_proto_file,
    &google_rpc_error_details_proto_file,
    &google_protobuf_any_proto_file,
    &google_protobuf_duration_proto_file,
    &google_protobuf_empty_proto_file,
    &google_protobuf_field_mask_proto_file,
    &google_protobuf_timestamp_proto_file,
};

static bool contains(const struct mote_proto_file *file, const char *text)
{
    return memmem(file->descriptor.data, file->descriptor.length, text, strlen(text)) != NULL;
}

static bool defines(const struct mote_proto_file *file, const char *symbol)
{
    for (size_t i = 0; i < file->symbol_count; i++) {
        if (strcmp(file->symbols[i], symbol) == 0) {
            return true;
        }
    }
    return false;
}

static void a_descriptor_begins_with_the_files_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct bytes expected = {.length = 0};
        put_text(&expected, 1, files[i]->name);
        assert_true(mote_slice_starts_with(files[i]->descriptor, slice_of(&expected)));
        for (size_t j = 0; j < files[i]->dependency_count; j++) {
            assert_true(contains(files[i], files[i]->dependencies[j]->name));
        }
    }
    assert_int_equal(auth_v1_auth_proto_file.dependency_count, 3);
    assert_ptr_equal(auth_v1_auth_proto_file.dependencies[2], &user_v1_user_proto_file);
    assert_int_equal(grpc_health_v1_health_proto_file.dependency_count, 0);
}

static void a_descriptor_has_json_names_and_no_comments(void **state)
{
    (void)state;
    assert_true(contains(&user_v1_user_proto_file, "displayName"));
    assert_true(contains(&google_rpc_error_details_proto_file, "fieldViolations"));
    assert_true(contains(&codec_test_proto_file, "_maybe")); /* the oneof that stands for `optional` */
    assert_false(contains(&user_v1_user_proto_file, "control characters"));
}

static void symbols_are_sorted_and_defined_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        for (size_t j = 0; j < files[i]->symbol_count; j++) {
            if (j > 0) {
                assert_true(strcmp(files[i]->symbols[j - 1], files[i]->symbols[j]) < 0);
            }
            for (size_t k = i + 1; k < ARRAY_COUNT(files); k++) {
                assert_false(defines(files[k], files[i]->symbols[j]));
            }
        }
    }
}

static void symbols_of_every_kind_are_there(void **state)
{
    (void)state;
    static const char *const symbols[] = {
        "codec_test.v1.Kinds",
        "codec_test.v1.Kinds.Unary",
        "codec_test.v1.HTTPGateway2.GetURL",
        "codec_test.v1.NoMethods",
        "codec_test.v1.Bounded",
        "codec_test.v1.Bounded.text",
        "codec_test.v1.Bounded.choice",
        "codec_test.v1.Bounded.left",
        "codec_test.v1.Unbounded.ByNameEntry",
        "codec_test.v1.Unbounded.ByNameEntry.key",
        "codec_test.v1.Color",
        "codec_test.v1.COLOR_RED",
    };
    for (size_t i = 0; i < ARRAY_COUNT(symbols); i++) {
        assert_true(defines(&codec_test_proto_file, symbols[i]));
    }
    assert_false(defines(&codec_test_proto_file, "codec_test.v1.Color.COLOR_RED"));
    assert_false(defines(&codec_test_proto_file, "codec_test.v1"));
    assert_true(defines(&grpc_health_v1_health_proto_file, "grpc.health.v1.HealthCheckResponse.SERVING"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_is_a_table),
        cmocka_unit_test(a_client_has_methods_without_handlers),
        cmocka_unit_test(served_methods_are_as_released),
        cmocka_unit_test(served_fields_are_as_released),
        cmocka_unit_test(served_requests_are_bounded),
        cmocka_unit_test(bounds_are_those_of_the_reference),
        cmocka_unit_test(a_descriptor_begins_with_the_files_name),
        cmocka_unit_test(a_descriptor_has_json_names_and_no_comments),
        cmocka_unit_test(symbols_are_sorted_and_defined_once),
        cmocka_unit_test(symbols_of_every_kind_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
