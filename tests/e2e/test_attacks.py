# SPDX-License-Identifier: Apache-2.0
"""What hostile callers and bad luck do to the real program: tokens in odd places, uploads that nobody may send, answers
that are lost, rights that end while other workers are asked, a stop-watch on every login."""

import statistics
import time
import uuid

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, reason_of
from test_answers import Raw, message, status_of
from test_keys import KeyFile, reload, secret

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}
PASSWORD = "a good long password"
GET_USER = "/user.v1.UserService/GetUser"
ME = message(user_pb2.GetUserRequest(id="me").SerializeToString())


@pytest.fixture
def server(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    return mote.serve()


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20, **options)
    return reason_of(caught.value)[1]


def get_me(client):
    return client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=20)


# --- tokens ------------------------------------------------------------------------------------------------------


def test_where_a_token_counts_and_where_not(server):
    """The `authorization` field, once, with the scheme in any case or without one; no other place, no other form."""
    client = Clients(server)
    token = client.login("admin", ADMIN_PASSWORD).tokens.access_token
    client.channel.close()
    raw = Raw(server.address)
    good = [f"Bearer {token}", f"bearer {token}", f"BEARER {token}", token]
    bad = ["", "Bearer", f"Bearer  {token}", f"Bearer\t{token}", f"Bearer {token},b", f"Bearer {token} {token}",
           f"Basic {token}", f"Bearer:{token}", f"Bearer={token}", f'Bearer "{token}"', f"Token {token}", f"Bearer {token}.",
           f"Bearer {token}=", f"bearer{token}", f"{token},{token}", "Bearer a.b.c", "Bearer " + "a" * 2049, "Bearer " + "a.b." * 512]
    for value in good:
        assert status_of(raw.answer(raw.request(ME, GET_USER, extra=[("authorization", value)]))) == "0", value
    for value in bad:
        result = raw.answer(raw.request(ME, GET_USER, extra=[("authorization", value)]))
        assert status_of(result) == "16" and result["headers"]["grpc-message"] == "invalid token", value
    for value in (" ", "Bearer ", f" Bearer {token}", f"Bearer {token}\t", f"Bearer {token}\0", f"Bearer\n{token}"):
        assert raw.answer(raw.request(ME, GET_USER, extra=[("authorization", value)]))["reset"] == 1, value  # no field of HTTP/2
    places = [[("x-authorization", good[0])], [("cookie", f"authorization=Bearer {token}")], [("access_token", token)],
              [("authorization-bin", "AAAA")], [("proxy-authorization", good[0])], []]
    for extra in places:
        result = raw.answer(raw.request(ME, GET_USER, extra=extra))
        assert status_of(result) == "16" and result["headers"]["grpc-message"] == "missing credentials", extra
    twice = [("authorization", good[0]), ("authorization", good[0])]
    assert raw.answer(raw.request(ME, GET_USER, extra=twice))["headers"]["grpc-message"] == "invalid token"
    result = raw.answer(raw.request(ME, f"{GET_USER}?access_token={token}", extra=[("authorization", good[0])]))
    assert status_of(result) == "12"  # a path is the name of a method, and nothing else
    assert status_of(raw.answer(raw.request(ME, GET_USER, extra=[("authorization", good[0])]))) == "0"
    raw.close()


@pytest.mark.parametrize("authorization, reason", [((), "missing credentials"), (("Bearer a.b.c",), "invalid token")])
def test_an_upload_without_a_good_token_is_cut_off(server, authorization, reason):
    """A megabyte for ImportUsers: answered at the headers, then the stream is reset, without error; of the body the
    server gives credit for no more than the stream had to begin with, and the connection is good for more."""
    client = Clients(server)
    token = client.login("admin", ADMIN_PASSWORD).tokens.access_token
    client.channel.close()
    raw = Raw(server.address)
    stream = raw.request(None, "/user.v1.UserService/ImportUsers", end=False,
                         extra=[("authorization", value) for value in authorization])
    sent = 0
    for _ in range(1024 * 1024 // 4096):
        size = min(4096, raw.h2.local_flow_control_window(stream))
        if size == 0:
            break
        raw.h2.send_data(stream, b"x" * size)
        raw.flush()
        sent += size
    result = raw.answer(stream)
    assert sent <= 65536
    assert result["ended"] or result["reset"] == 0
    assert result["trailers"] is None and result["data"] == b""
    assert result["headers"]["grpc-status"] == "16" and result["headers"]["grpc-message"] == reason
    if result["reset"] is None:
        result = raw.answer(stream)
        assert result["reset"] == 0  # NO_ERROR: the client may stop sending
    while raw.h2.outbound_flow_control_window < 9:  # the connection's credit comes back
        raw.h2.receive_data(raw.socket.recv(65536))
        raw.flush()
    assert status_of(raw.answer(raw.request(ME, GET_USER, extra=[("authorization", token)]))) == "0"
    raw.close()


def test_enum_values_that_nobody_knows(server):
    """Enums of proto3 are open: any number may come, and the field is named. A hint is one."""
    client = Clients(server)
    client.login("admin", ADMIN_PASSWORD)
    for number in (4, 77, 2**31 - 1, -1, -2**31):
        calls = [
            (client.user.CreateUser, user_pb2.CreateUserRequest(user=user_pb2.User(username="ada", roles=[number])), "user.roles"),
            (client.user.UpdateUser, user_pb2.UpdateUserRequest(user=user_pb2.User(id="me", roles=[1, number])), "user.roles"),
            (client.auth.ValidateToken, auth_pb2.ValidateTokenRequest(access_token=client.token, required_role=number), "required_role"),
            (client.auth.Logout, auth_pb2.LogoutRequest(scope=number), "scope"),
        ]
        for call, request, field in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call(request, metadata=client.metadata, timeout=20)
            code, reason, _, fields = reason_of(caught.value)
            assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"), (field, number)
            assert [name.split("[")[0] for name in fields] == [field], number
        if number >= 0:
            client.auth.RevokeToken(auth_pb2.RevokeTokenRequest(token="nonsense", token_type_hint=number), timeout=20)
    get_me(client)
    client.channel.close()


# --- rights that end ---------------------------------------------------------------------------------------------


def test_every_worker_knows_at_once(server):
    """Sixteen connections over two workers, each with the token in its cache: what ends it is known to the next call on
    each, without a wait."""
    admin = Clients(server)
    admin.login("admin", ADMIN_PASSWORD)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="ada"), initial_password=PASSWORD)
    ada = admin.user.CreateUser(request, metadata=admin.metadata, timeout=20).user
    # Channels of one address share a connection unless they are told not to.
    clients = [Clients(server) for _ in range(16)]
    for number, client in enumerate(clients):
        client.channel.close()
        clients[number] = client = Own(server, number)

    def all_say(reason):
        for client in clients:
            if reason is None:
                assert get_me(client).user.id == ada.id
            else:
                assert refused(client.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=client.metadata) == reason

    def log_in(password=PASSWORD):
        token = clients[0].login("ada", password).tokens.access_token
        for client in clients:
            client.token = token
        all_say(None)

    def update(*roles):
        change = user_pb2.UpdateUserRequest(user=user_pb2.User(id=ada.id, roles=roles))
        admin.user.UpdateUser(change, metadata=admin.metadata, timeout=20)

    acts = [
        (lambda: update(user_pb2.ROLE_SERVICE), "TOKEN_STALE"),
        (lambda: clients[5].auth.Logout(auth_pb2.LogoutRequest(), metadata=clients[5].metadata, timeout=20), "SESSION_REVOKED"),
        (lambda: clients[9].auth.RevokeToken(auth_pb2.RevokeTokenRequest(token=clients[9].token), timeout=20), "TOKEN_REVOKED"),
        (lambda: admin.auth.SetPassword(auth_pb2.SetPasswordRequest(user_id=ada.id, new_password=PASSWORD),
                                        metadata=admin.metadata, timeout=20), "SESSION_REVOKED"),
        (lambda: admin.user.DisableUser(user_pb2.DisableUserRequest(id=ada.id), metadata=admin.metadata, timeout=20),
         "SESSION_REVOKED"),
    ]
    for act, reason in acts:
        log_in()
        act()
        all_say(reason)
    # What the token may do: a role that was taken away is gone on each, and one that was given is there after a refresh.
    admin.user.EnableUser(user_pb2.EnableUserRequest(id=ada.id), metadata=admin.metadata, timeout=20)
    log_in()
    for client in clients:
        client.user.ListUsers(user_pb2.ListUsersRequest(page_size=1), metadata=client.metadata, timeout=20)
    update(user_pb2.ROLE_USER)
    for client in clients:
        assert refused(client.user.ListUsers, user_pb2.ListUsersRequest(), metadata=client.metadata) == "TOKEN_STALE"
    log_in()
    for client in clients:
        assert refused(client.user.ListUsers, user_pb2.ListUsersRequest(), metadata=client.metadata) == "PERMISSION_DENIED"
    for client in (admin, *clients):
        client.channel.close()


class Own(Clients):
    """On a connection of its own."""

    def __init__(self, program, number):
        self.number = number
        super().__init__(self.Wrapped(program, number))

    class Wrapped:
        def __init__(self, program, number):
            self.program, self.number = program, number

        def channel(self):
            return self.program.channel(**{"grpc.use_local_subchannel_pool": 1, "test.number": self.number})


# --- answers that are lost -----------------------------------------------------------------------------------------


def create(client, metadata=None, **fields):
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username=fields.pop("username", "ada"), **fields.pop("user", {})),
                                         initial_password=PASSWORD, **fields)
    return client.user.CreateUser(request, metadata=client.metadata if metadata is None else metadata, timeout=20).user


def test_a_creation_whose_answer_was_lost(mote):
    """Killed as soon as the write is there, and asked again by the same request id: there is one user, and it is told.
    Also when the signing key is another by then; other content is refused."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    first, second = secret(), secret()
    keys = KeyFile(mote, f"one:{first}")
    server = keys.serve(mote)
    client = Clients(server)
    client.login("admin", ADMIN_PASSWORD)
    identifier = str(uuid.uuid4())
    under_way = client.user.CreateUser.future(
        user_pb2.CreateUserRequest(user=user_pb2.User(username="ada"), initial_password=PASSWORD, request_id=identifier),
        metadata=client.metadata, timeout=20)
    under_way.result()  # acknowledged; that the client never saw it is the test's word
    server.process.kill()
    server.process.wait()
    client.channel.close()
    server = keys.serve(mote)
    client = Clients(server)
    client.login("admin", ADMIN_PASSWORD)
    user = create(client, request_id=identifier)
    assert create(client, request_id=identifier, username="ADA") == user
    keys.write(f"two:{second}", f"one:{first}")
    reload(server)
    client.login("admin", ADMIN_PASSWORD)
    assert create(client, request_id=identifier) == user
    for other in ({"username": "bob"}, {"user": {"display_name": "Ada"}}, {"user": {"roles": [user_pb2.ROLE_ADMIN]}}):
        with pytest.raises(grpc.RpcError) as caught:
            create(client, request_id=identifier, **other)
        assert reason_of(caught.value)[1::2] == ("FIELD_INVALID", ["request_id"])
    # Who may not create is told that, whatever the id; another administrator has ids of their own.
    other = create(client, username="second", user={"roles": [user_pb2.ROLE_ADMIN]})
    assert other.id != user.id
    second_admin = Clients(server)
    second_admin.login("second", PASSWORD)
    with pytest.raises(grpc.RpcError) as caught:
        create(second_admin, request_id=identifier)
    assert reason_of(caught.value)[1] == "USERNAME_TAKEN"
    change = user_pb2.UpdateUserRequest(user=user_pb2.User(id=other.id, roles=[user_pb2.ROLE_USER]))
    client.user.UpdateUser(change, metadata=client.metadata, timeout=20)
    second_admin.login("second", PASSWORD)
    with pytest.raises(grpc.RpcError) as caught:
        create(second_admin, request_id=identifier)
    assert reason_of(caught.value)[1] == "PERMISSION_DENIED"
    for each in (client, second_admin):
        each.channel.close()
    assert server.stop() == 0


def test_sign_ups_whose_answers_were_lost(mote):
    """Callers without a name: the same request id and content is the same person, other content is not."""
    server = mote.serve(SIGNUP="open")
    client, other = Clients(server), Clients(server)
    identifier = str(uuid.uuid4())
    user = create(client, request_id=identifier)
    assert create(other, request_id=identifier) == user
    for fields in ({"username": "bob"}, {"user": {"email": "ada@example.org"}}):
        with pytest.raises(grpc.RpcError) as caught:
            create(other, request_id=identifier, **fields)
        assert reason_of(caught.value)[1::2] == ("FIELD_INVALID", ["request_id"])
    # With credentials it is somebody else's id, and roles that are ignored are no other content.
    client.login("ada", PASSWORD)
    with pytest.raises(grpc.RpcError) as caught:
        create(client, request_id=identifier)
    assert reason_of(caught.value)[1] == "USERNAME_TAKEN"
    assert create(other, request_id=identifier, user={"roles": [user_pb2.ROLE_ADMIN]}).id == user.id
    for each in (client, other):
        each.channel.close()
    assert server.stop() == 0


# --- a stop-watch ------------------------------------------------------------------------------------------------


def mann_whitney(first, second):
    """How likely two samples of one kind differ as much as these, by the normal approximation."""
    ordered = sorted((value, which) for which, sample in enumerate((first, second)) for value in sample)
    ranks = sum(rank for rank, (_, which) in enumerate(ordered, 1) if which == 0)
    n, m = len(first), len(second)
    deviation = abs(ranks - n * (n + m + 1) / 2) / (n * m * (n + m + 1) / 12) ** 0.5
    return 2 * (1 - statistics.NormalDist().cdf(deviation))


def test_the_statistics_see_a_difference():
    alike = [1 + number * 37 % 100 / 1000 for number in range(200)]
    assert mann_whitney(alike, [value + 0.0001 for value in alike]) > 0.01
    assert mann_whitney(alike, [value + 0.02 for value in alike]) < 0.01


@pytest.mark.slow
def test_200_logins_of_each_kind_take_as_long(tmp_path):
    """Of the released program, with the usual hash. Up to three tries: a machine that does other things makes noise,
    but a difference of kind would be there each time."""
    mote = Mote(tmp_path, RELEASE)
    usual = {"PASSWORD_HASH": "argon2id:m=19456,t=2,p=1"}
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **usual)
    server = mote.serve(TRUSTED_PROXIES="127.0.0.1", **usual)
    client = Clients(server)
    client.login("admin", ADMIN_PASSWORD)
    results = []
    for attempt in range(3):
        for number in range(4):
            create(client, username=f"known-{attempt}-{number}")
        samples = {"known": [], "other": []}
        for number in range(200):
            for name, sample in sorted(samples.items(), reverse=number % 2 == 0):
                # Of an account 50 failures, from each address one: nothing is throttled.
                request = auth_pb2.LoginRequest(username=f"{name}-{attempt}-{number // 50}", password="wrong password")
                start = time.perf_counter()
                with pytest.raises(grpc.RpcError) as caught:
                    client.auth.Login(request, timeout=30, metadata=(("x-forwarded-for", f"198.51.{attempt}.{number + 1}"),))
                sample.append(time.perf_counter() - start)
                assert reason_of(caught.value)[1] == "CREDENTIALS_INVALID"
        medians = [statistics.median(sample) for sample in samples.values()]
        results.append((max(medians) / min(medians), mann_whitney(*samples.values())))
        if results[-1][0] < 1.05 and results[-1][1] > 0.01:
            break
    else:
        raise AssertionError(results)
    client.channel.close()
    assert server.stop() == 0
