# SPDX-License-Identifier: Apache-2.0
"""User and auth services through Python's grpcio (C-core): methods, refusals with their details, concurrency."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import time
import uuid

import grpc
import pytest
from conftest import ADMIN_PASSWORD, reason_of
from google.protobuf import empty_pb2, field_mask_pb2

from auth.v1 import auth_pb2
from user.v1 import user_pb2

PASSWORD = "a good long password"


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20, **options)
    return caught.value


def unique(prefix="user"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def admin(clients):
    return clients("admin", ADMIN_PASSWORD)


@pytest.fixture
def new_user(admin):
    def make(roles=(), password=PASSWORD, **fields):
        user = user_pb2.User(username=fields.pop("username", unique()), roles=roles, **fields)
        request = user_pb2.CreateUserRequest(user=user, initial_password=password)
        return admin.user.CreateUser(request, metadata=admin.metadata, timeout=20).user

    return make


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


# --- the original contract ---------------------------------------------------------------------------------------


def test_health_check_of_the_user_service_is_public(clients):
    answer = clients().user.HealthCheck(empty_pb2.Empty(), timeout=5)
    assert answer.status == "SERVING"
    assert abs(answer.timestamp.ToSeconds() - time.time()) < 60


def test_missing_credentials(clients):
    error = refused(clients().user.GetUser, user_pb2.GetUserRequest(id="me"))
    assert error.details() == "missing credentials"
    assert reason_of(error)[:3] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING", "user.v1")


@pytest.mark.parametrize("value", ["Bearer nonsense", "Bearer a.b.c", "Basic YTpi", "Bearer", "nonsense"])
def test_invalid_token(clients, value):
    error = refused(clients().user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=(("authorization", value),))
    assert error.details() == "invalid token"
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


def test_a_bare_token_without_scheme_is_accepted(admin):
    metadata = (("authorization", admin.token),)
    assert admin.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=metadata, timeout=5).user.username == "admin"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_compared_without_case(admin, scheme):
    metadata = (("authorization", f"{scheme} {admin.token}"),)
    assert admin.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=metadata, timeout=5).user.username == "admin"


# --- login, tokens -----------------------------------------------------------------------------------------------


def test_login_gives_a_token_pair(admin, shared):
    answer = admin.login("admin", ADMIN_PASSWORD)
    tokens = answer.tokens
    assert tokens.token_type == "Bearer"
    assert len(tokens.refresh_token) == 43
    assert tokens.expires_in.seconds == 15 * 60
    header, payload, signature = tokens.access_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["iss"] == claims["aud"] == "mote"
    assert claims["sub"] == answer.user_id and claims["sid"] == answer.session_id
    assert claims["exp"] - claims["iat"] == 900 and claims["roles"] == ["ADMIN"]
    # JWT_SECRET itself signs: any HS256 library verifies it
    secret = base64.b64decode(shared[0].secret) if shared[0].secret.startswith("base64:") else shared[0].secret.encode()
    mac = hmac.new(secret, f"{header}.{payload}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64encode(mac).rstrip(b"=").decode() == signature


@pytest.mark.parametrize("request_fields", [{"username": "admin", "password": "wrong password"},
                                            {"username": "nobody-at-all", "password": "wrong password"},
                                            {"email": "nobody@example.com", "password": "wrong password"}])
def test_login_refuses_unknown_and_wrong_alike(clients, request_fields):
    error = refused(clients().auth.Login, auth_pb2.LoginRequest(**request_fields))
    assert reason_of(error)[:3] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID", "auth.v1")


def test_login_by_email_and_in_capitals(clients, new_user):
    email = f"{unique()}@Example.com"
    user = new_user(email=email)
    client = clients()
    request = auth_pb2.LoginRequest(email=email.upper(), password=PASSWORD)
    assert client.auth.Login(request, timeout=20).user_id == user.id
    assert client.login(user.username.upper(), PASSWORD).user_id == user.id


def test_refresh_rotates_and_repeats_within_the_grace(clients, new_user):
    client = clients()
    first = client.login(new_user().username, PASSWORD).tokens
    second = client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token), timeout=5).tokens
    assert second.refresh_token != first.refresh_token
    again = client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token), timeout=5).tokens
    assert again.refresh_token == second.refresh_token
    third = client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=second.refresh_token), timeout=5).tokens
    # the successor has been used: now the first is reuse, and the family ends
    error = refused(client.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token))
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_REUSED")
    error = refused(client.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=third.refresh_token))
    assert reason_of(error)[1] == "REFRESH_TOKEN_INVALID"
    error = refused(client.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=bearer(third.access_token))
    assert reason_of(error)[1] == "SESSION_REVOKED"


def test_64_refreshes_of_one_token_at_once_leave_one_family(clients, new_user):
    client = clients()
    token = client.login(new_user().username, PASSWORD).tokens.refresh_token
    request = auth_pb2.RefreshTokenRequest(refresh_token=token)
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: client.auth.RefreshToken(request, timeout=20).tokens.refresh_token, range(64)))
    assert len(set(answers)) == 1
    assert client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=answers[0]), timeout=5)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 2000])
def test_unknown_refresh_tokens(clients, token):
    error = refused(clients().auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=token))
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID")


def test_validate_token(clients, admin, new_user):
    owner = clients()
    user = new_user()
    owner.login(user.username, PASSWORD)
    request = auth_pb2.ValidateTokenRequest(access_token=owner.token)
    for caller in (owner, admin):
        answer = caller.auth.ValidateToken(request, metadata=caller.metadata, timeout=5)
        assert answer.active and answer.user_id == user.id and answer.username == user.username
        assert list(answer.roles) == [user_pb2.ROLE_USER]
    stranger = clients()
    stranger.login(new_user().username, PASSWORD)
    answer = stranger.auth.ValidateToken(request, metadata=stranger.metadata, timeout=5)
    assert not answer.active and answer.inactive_reason == auth_pb2.INACTIVE_REASON_INVALID and not answer.user_id
    answer = admin.auth.ValidateToken(auth_pb2.ValidateTokenRequest(access_token="a.b.c"), metadata=admin.metadata,
                                      timeout=5)
    assert not answer.active and answer.inactive_reason == auth_pb2.INACTIVE_REASON_INVALID
    request.required_role = user_pb2.ROLE_ADMIN
    answer = admin.auth.ValidateToken(request, metadata=admin.metadata, timeout=5)
    assert not answer.active and answer.inactive_reason == auth_pb2.INACTIVE_REASON_ROLE_MISSING


def test_logout_ends_the_access_token_at_once(clients, new_user):
    client = clients()
    client.login(new_user().username, PASSWORD)
    assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5)
    answer = client.auth.Logout(auth_pb2.LogoutRequest(), metadata=client.metadata, timeout=5)
    assert answer.revoked_session_count == 1
    for _ in range(4):  # whichever worker answers
        fresh = clients()
        error = refused(fresh.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=bearer(client.token))
        assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED")


def test_logout_of_others_and_of_all(clients, new_user):
    user = new_user()
    sessions = [clients() for _ in range(4)]
    for session in sessions:
        session.login(user.username, PASSWORD)
    others = auth_pb2.LogoutRequest(scope=auth_pb2.LOGOUT_SCOPE_OTHERS)
    assert sessions[0].auth.Logout(others, metadata=sessions[0].metadata, timeout=5).revoked_session_count == 3
    assert sessions[0].user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=sessions[0].metadata, timeout=5)
    refused(sessions[1].user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=sessions[1].metadata)
    everything = auth_pb2.LogoutRequest(scope=auth_pb2.LOGOUT_SCOPE_GLOBAL)
    assert sessions[0].auth.Logout(everything, metadata=sessions[0].metadata, timeout=5).revoked_session_count == 1
    refused(sessions[0].user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=sessions[0].metadata)


# --- users -------------------------------------------------------------------------------------------------------


def test_create_and_get(admin, new_user):
    user = new_user(email="Ada@Example.org", display_name="Ada Łovelace", username=unique("ada"))
    assert uuid.UUID(user.id).version == 7
    assert user.state == user_pb2.USER_STATE_ACTIVE and list(user.roles) == [user_pb2.ROLE_USER]
    read = admin.user.GetUser(user_pb2.GetUserRequest(id=user.id), metadata=admin.metadata, timeout=5).user
    assert read == user


@pytest.mark.parametrize("fields, reason", [({"username": "admin"}, "USERNAME_TAKEN"), ({"username": "ADMIN"}, "USERNAME_TAKEN")])
def test_taken_names(admin, fields, reason):
    request = user_pb2.CreateUserRequest(user=user_pb2.User(**fields), initial_password=PASSWORD)
    error = refused(admin.user.CreateUser, request, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.ALREADY_EXISTS, reason)


def test_taken_email(admin, new_user):
    email = f"{unique()}@example.com"
    new_user(email=email)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username=unique(), email=email.upper()),
                                         initial_password=PASSWORD)
    error = refused(admin.user.CreateUser, request, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


def test_every_violation_is_named_at_once(admin):
    user = user_pb2.User(username="9", email="nowhere", display_name="\u0007",
                         roles=[user_pb2.ROLE_USER, user_pb2.ROLE_USER])
    error = refused(admin.user.CreateUser, user_pb2.CreateUserRequest(user=user, initial_password="short"),
                    metadata=admin.metadata)
    code, reason, domain, fields = reason_of(error)
    assert (code, reason, domain) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "user.v1")
    assert {"user.username", "user.email", "user.display_name", "user.roles", "initial_password"} <= set(fields)


@pytest.mark.parametrize("field, value", [("username", "a" * 33), ("email", "a" * 255), ("display_name", "a" * 257)])
def test_values_over_their_bounds_are_named(admin, field, value):
    request = user_pb2.CreateUserRequest(user=user_pb2.User(**{"username": unique(), field: value}),
                                         initial_password=PASSWORD)
    code, reason, _, fields = reason_of(refused(admin.user.CreateUser, request, metadata=admin.metadata))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert fields == [f"user.{field}"]


def test_others_records_are_denied_whether_they_exist_or_not(clients, new_user):
    client = clients()
    me = new_user()
    client.login(me.username, PASSWORD)
    for other in (new_user().id, str(uuid.uuid4())):
        error = refused(client.user.GetUser, user_pb2.GetUserRequest(id=other), metadata=client.metadata)
        assert reason_of(error)[:2] == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert client.user.GetUser(user_pb2.GetUserRequest(id=me.id), metadata=client.metadata, timeout=5).user == \
        client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5).user


def test_absent_user_for_admin(admin):
    error = refused(admin.user.GetUser, user_pb2.GetUserRequest(id=str(uuid.uuid4())), metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


@pytest.mark.parametrize("bad", ["", "not-a-uuid", "x" * 64])
def test_malformed_ids(admin, bad):
    code, reason, _, fields = reason_of(refused(admin.user.GetUser, user_pb2.GetUserRequest(id=bad),
                                                metadata=admin.metadata))
    assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", ["id"])


def test_update_own_record(clients, new_user):
    client = clients()
    user = new_user(email=f"{unique()}@example.com")
    client.login(user.username, PASSWORD)
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=user.id, display_name="New name"),
                                         update_mask=field_mask_pb2.FieldMask(paths=["display_name"]))
    updated = client.user.UpdateUser(request, metadata=client.metadata, timeout=5).user
    assert updated.display_name == "New name" and updated.email == user.email and updated.etag != user.etag
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=user.id, roles=[user_pb2.ROLE_ADMIN]),
                                         update_mask=field_mask_pb2.FieldMask(paths=["roles"]))
    error = refused(client.user.UpdateUser, request, metadata=client.metadata)
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_role_change_makes_tokens_stale(clients, admin, new_user):
    client = clients()
    user = new_user()
    pair = client.login(user.username, PASSWORD).tokens
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=user.id, roles=[user_pb2.ROLE_SERVICE]),
                                         update_mask=field_mask_pb2.FieldMask(paths=["roles"]))
    admin.user.UpdateUser(request, metadata=admin.metadata, timeout=5)
    error = refused(client.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=client.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_STALE")
    renewed = client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=pair.refresh_token), timeout=5).tokens
    answer = client.user.ListUsers(user_pb2.ListUsersRequest(page_size=1), metadata=bearer(renewed.access_token), timeout=5)
    assert len(answer.users) == 1


def test_the_last_administrator_stays(admin):
    me = admin.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=admin.metadata, timeout=5).user
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=me.id, roles=[user_pb2.ROLE_USER]),
                                         update_mask=field_mask_pb2.FieldMask(paths=["roles"]))
    error = refused(admin.user.UpdateUser, request, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")


def test_pages_of_users(clients, admin, new_user):
    made = {new_user().id for _ in range(7)}
    for order in ("", "create_time", "create_time desc", "username", "username desc"):
        seen, token, rounds = [], "", 0
        while True:
            answer = admin.user.ListUsers(user_pb2.ListUsersRequest(page_size=3, page_token=token, order_by=order),
                                          metadata=admin.metadata, timeout=5)
            assert len(answer.users) <= 3
            seen += list(answer.users)
            token, rounds = answer.next_page_token, rounds + 1
            if not token:
                break
            assert rounds < 100
        assert made <= {user.id for user in seen}
        assert len(seen) == len({user.id for user in seen}) == answer.total_size
        key = (lambda user: user.username) if "username" in order else \
            (lambda user: (user.create_time.ToNanoseconds(), user.id))
        assert seen == sorted(seen, key=key, reverse="desc" in order)


def test_page_tokens_are_bound_to_their_request(admin, new_user):
    for _ in range(3):
        new_user()
    token = admin.user.ListUsers(user_pb2.ListUsersRequest(page_size=1), metadata=admin.metadata,
                                 timeout=5).next_page_token
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for request in (user_pb2.ListUsersRequest(page_size=1, page_token=token, order_by="username"),
                    user_pb2.ListUsersRequest(page_size=1, page_token=flipped),
                    user_pb2.ListUsersRequest(page_size=1, page_token="nonsense")):
        _, reason, _, fields = reason_of(refused(admin.user.ListUsers, request, metadata=admin.metadata))
        assert (reason, fields) == ("FIELD_INVALID", ["page_token"])
    # the page size may change
    assert len(admin.user.ListUsers(user_pb2.ListUsersRequest(page_size=2, page_token=token), metadata=admin.metadata,
                                    timeout=5).users) == 2


@pytest.mark.parametrize("fields, name", [({"page_size": -1}, "page_size"), ({"order_by": "email"}, "order_by")])
def test_list_refuses(admin, fields, name):
    _, reason, _, violated = reason_of(refused(admin.user.ListUsers, user_pb2.ListUsersRequest(**fields),
                                               metadata=admin.metadata))
    assert (reason, violated) == ("FIELD_INVALID", [name])


def test_listing_needs_a_role(clients, new_user):
    client = clients()
    client.login(new_user().username, PASSWORD)
    error = refused(client.user.ListUsers, user_pb2.ListUsersRequest(), metadata=client.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


def test_signup_is_closed(clients):
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username=unique()), initial_password=PASSWORD)
    error = refused(clients().user.CreateUser, request)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_open_signup(mote):
    from conftest import Clients

    program = mote.serve(SIGNUP="open")
    client = Clients(program)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="ada", roles=[user_pb2.ROLE_ADMIN]),
                                         initial_password=PASSWORD)
    assert list(client.user.CreateUser(request, timeout=20).user.roles) == [user_pb2.ROLE_USER]
    assert client.login("ada", PASSWORD)


# --- state and sessions -------------------------------------------------------------------------------------------


def get_me(client):
    return client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5).user


def test_a_disabled_user_is_out_at_once_and_back_when_enabled(clients, admin, new_user):
    user = new_user()
    sessions = [clients() for _ in range(3)]
    refresh_token = [session.login(user.username, PASSWORD).tokens.refresh_token for session in sessions][0]
    disable = user_pb2.DisableUserRequest(id=user.id, reason="left the company")
    answer = admin.user.DisableUser(disable, metadata=admin.metadata, timeout=5)
    assert answer.user.state == user_pb2.USER_STATE_DISABLED and answer.revoked_session_count == 3
    assert answer.user.etag != user.etag
    for session in sessions:  # whichever worker answers
        error = refused(clients().user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=session.metadata)
        assert reason_of(error)[:3] == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED", "user.v1")
    error = refused(sessions[0].auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=refresh_token))
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID")
    error = refused(sessions[0].auth.Login, auth_pb2.LoginRequest(username=user.username, password=PASSWORD))
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    error = refused(admin.user.DisableUser, disable, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "USER_STATE_CONFLICT")
    enable = user_pb2.EnableUserRequest(id=user.id)
    answer = admin.user.EnableUser(enable, metadata=admin.metadata, timeout=5)
    assert answer.user.state == user_pb2.USER_STATE_ACTIVE
    error = refused(admin.user.EnableUser, enable, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "USER_STATE_CONFLICT")
    refused(sessions[1].user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=sessions[1].metadata)
    sessions[1].login(user.username, PASSWORD)
    assert get_me(sessions[1]).id == user.id


def test_a_deleted_user_is_gone(clients, admin, new_user):
    user = new_user()
    client = clients()
    client.login(user.username, PASSWORD)
    request = user_pb2.DeleteUserRequest(id=user.id, etag="0" * 16)
    error = refused(admin.user.DeleteUser, request, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    request.etag = user.etag
    admin.user.DeleteUser(request, metadata=admin.metadata, timeout=5)
    error = refused(client.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=client.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED")
    error = refused(client.auth.Login, auth_pb2.LoginRequest(username=user.username, password=PASSWORD))
    assert reason_of(error)[1] == "CREDENTIALS_INVALID"
    error = refused(admin.user.DeleteUser, request, metadata=admin.metadata)
    assert reason_of(error)[:2] == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    request.allow_missing = True
    admin.user.DeleteUser(request, metadata=admin.metadata, timeout=5)
    new_user(username=user.username)


def test_users_delete_themselves_and_nobody_else(clients, new_user):
    client = clients()
    client.login(new_user().username, PASSWORD)
    for other in (new_user().id, str(uuid.uuid4())):
        error = refused(client.user.DeleteUser, user_pb2.DeleteUserRequest(id=other), metadata=client.metadata)
        assert reason_of(error)[:2] == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    client.user.DeleteUser(user_pb2.DeleteUserRequest(id="me"), metadata=client.metadata, timeout=5)
    refused(client.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=client.metadata)


def test_the_last_administrator_is_neither_disabled_nor_deleted(admin):
    me = get_me(admin)
    for error in (refused(admin.user.DisableUser, user_pb2.DisableUserRequest(id=me.id), metadata=admin.metadata),
                  refused(admin.user.DeleteUser, user_pb2.DeleteUserRequest(id="me"), metadata=admin.metadata)):
        assert reason_of(error)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")
    assert get_me(admin) == me


def test_sessions_by_pages_and_one_revoked(clients, admin, new_user):
    user = new_user()
    sessions = [clients() for _ in range(5)]
    ids = {session.login(user.username, PASSWORD).session_id for session in sessions}
    for caller in (sessions[0], admin):
        seen, token = [], ""
        while True:
            request = auth_pb2.ListSessionsRequest(user_id=user.id, page_size=2, page_token=token)
            answer = caller.auth.ListSessions(request, metadata=caller.metadata, timeout=5)
            seen += list(answer.sessions)
            token = answer.next_page_token
            if not token:
                break
        assert {session.id for session in seen} == ids and len(seen) == 5
        assert sum(session.current for session in seen) == (caller is not admin)
        assert all(session.user_agent.startswith("grpc-python") for session in seen)
        assert {session.peer_address for session in seen} == {"127.0.0.1"}
    stranger = clients()
    stranger.login(new_user().username, PASSWORD)
    victim = auth_pb2.RevokeSessionRequest(session_id=sorted(ids)[0])
    error = refused(stranger.auth.RevokeSession, victim, metadata=stranger.metadata)
    assert reason_of(error)[:3] == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND", "auth.v1")
    error = refused(stranger.auth.ListSessions, auth_pb2.ListSessionsRequest(user_id=user.id), metadata=stranger.metadata)
    assert reason_of(error)[1] == "PERMISSION_DENIED"
    admin.auth.RevokeSession(victim, metadata=admin.metadata, timeout=5)
    error = refused(admin.auth.RevokeSession, victim, metadata=admin.metadata)
    assert reason_of(error)[1] == "SESSION_NOT_FOUND"
    answer = admin.auth.ListSessions(auth_pb2.ListSessionsRequest(user_id=user.id), metadata=admin.metadata, timeout=5)
    assert {session.id for session in answer.sessions} == ids - {victim.session_id}


# --- many at once ------------------------------------------------------------------------------------------------


@pytest.mark.thread
def test_many_calls_at_once(clients, admin, new_user):
    ids = [new_user().id for _ in range(5)]

    def read(index):
        request = user_pb2.GetUserRequest(id=ids[index % len(ids)])
        return admin.user.GetUser(request, metadata=admin.metadata, timeout=30).user.id == request.id

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(read, range(2000)))


@pytest.mark.thread
def test_logins_at_once_are_ok_or_told_that_the_queue_is_full(shared, clients, new_user):
    user = new_user()

    def login(_):
        try:
            clients().login(user.username, PASSWORD)
            return "OK"
        except grpc.RpcError as error:
            return reason_of(error)[1]

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        outcomes = list(pool.map(login, range(64)))
    assert set(outcomes) <= {"OK", "HASH_QUEUE_FULL"} and outcomes.count("OK") >= 1


@pytest.mark.thread
def test_writes_at_once(admin, clients):
    def create(index):
        request = user_pb2.CreateUserRequest(user=user_pb2.User(username=unique("many")))
        return admin.user.CreateUser(request, metadata=admin.metadata, timeout=30).user.id

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(create, range(200)))
    assert len(set(ids)) == 200


@pytest.mark.thread
def test_cancellation_leaves_the_connection_usable(admin):
    for _ in range(50):
        future = admin.user.ListUsers.future(user_pb2.ListUsersRequest(page_size=200), metadata=admin.metadata)
        future.cancel()
    assert admin.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=admin.metadata, timeout=5)


def test_no_secret_is_in_the_log(shared, clients, new_user):
    client = clients()
    tokens = client.login(new_user().username, PASSWORD).tokens
    refused(client.auth.Login, auth_pb2.LoginRequest(username="admin", password="the wrong secret"))
    time.sleep(0.2)
    text = shared[1].text
    for secret in (PASSWORD, ADMIN_PASSWORD, "the wrong secret", tokens.refresh_token, tokens.access_token,
                   shared[0].secret):
        assert secret.encode() not in text
