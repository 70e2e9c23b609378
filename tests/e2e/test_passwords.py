# SPDX-License-Identifier: Apache-2.0
"""Passwords set, changed and guessed, with grpcio: what a client sees of it, trailers included."""

import concurrent.futures
import sqlite3
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of, wait_for
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from auth.v1 import auth_pb2
from user.v1 import user_pb2

PASSWORD = "a long enough password"
FRESH = "another long password"
CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}


def refused(call, request, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20, **options)
    return caught.value


def set_up(mote, **settings):
    """A server, a client of its administrator, and Ada's id."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve(**settings)
    admin = Clients(program)
    admin.login("admin", ADMIN_PASSWORD)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="ada"), initial_password=PASSWORD)
    return program, admin, admin.user.CreateUser(request, metadata=admin.metadata, timeout=20).user.id


def get_me(client):
    return client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=20)


def change(client, current, fresh, **fields):
    request = auth_pb2.ChangePasswordRequest(current_password=current, new_password=fresh, **fields)
    return client.auth.ChangePassword(request, metadata=client.metadata, timeout=20)


def guess(client, username, password="wrong password", address=None):
    """The refusal of a login."""
    metadata = (("x-forwarded-for", address),) if address else ()
    return refused(client.auth.Login, auth_pb2.LoginRequest(username=username, password=password), metadata=metadata)


def wait_of(error):
    """Seconds that a throttled login is told to wait; RetryInfo and the push-back trailer agree."""
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error)[1:] == ("LOGIN_THROTTLED", "auth.v1", [])
    retries = [detail for detail in rpc_status.from_call(error).details
               if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)]
    assert len(retries) == 1
    retry = error_details_pb2.RetryInfo()
    retries[0].Unpack(retry)
    milliseconds = retry.retry_delay.ToMilliseconds()
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == str(milliseconds)
    return milliseconds / 1000


def test_change_and_set(mote):
    program, admin, ada_id = set_up(mote)
    ada, other = Clients(program), Clients(program)
    ada.login("ada", PASSWORD)
    other.login("ada", PASSWORD)
    assert change(ada, PASSWORD, FRESH).revoked_session_count == 1
    assert get_me(ada).user.id == ada_id
    assert reason_of(refused(other.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=other.metadata))[1] == \
        "SESSION_REVOKED"
    assert reason_of(guess(other, "ada", PASSWORD))[1] == "CREDENTIALS_INVALID"
    request = auth_pb2.SetPasswordRequest(user_id=ada_id, new_password=PASSWORD, require_change=True)
    assert admin.auth.SetPassword(request, metadata=admin.metadata, timeout=20).revoked_session_count == 1
    assert reason_of(refused(ada.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=ada.metadata))[1] == \
        "SESSION_REVOKED"
    assert ada.login("ada", PASSWORD).password_change_required
    error = refused(ada.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=ada.metadata)
    assert reason_of(error)[:3] == (grpc.StatusCode.FAILED_PRECONDITION, "PASSWORD_CHANGE_REQUIRED", "user.v1")
    change(ada, PASSWORD, FRESH)
    assert get_me(ada).user.id == ada_id  # with the same token
    assert not ada.login("ada", FRESH).password_change_required
    rows = sqlite3.connect(f"file:{mote.database}?mode=ro", uri=True)
    actions = [row[0] for row in rows.execute("SELECT action FROM audit WHERE action LIKE '%Password' ORDER BY id")]
    assert actions == ["ChangePassword", "SetPassword", "ChangePassword"]
    assert program.stop() == 0


def test_other_settings_are_taken_up_at_login(mote):
    """From Argon2id to PBKDF2 and back: nobody is locked out, and a login makes the hash anew."""
    mote.create_user("ada", PASSWORD, **CHEAP)
    for setting, prefix in (("pbkdf2-sha256:i=1000", "$pbkdf2-sha256$i=1000$"),
                            ("argon2id:m=2048,t=1,p=1", "$argon2id$v=19$m=2048,t=1,p=1$")):
        program = mote.serve(PASSWORD_HASH=setting)
        client = Clients(program)
        assert reason_of(guess(client, "ada"))[1] == "CREDENTIALS_INVALID"
        client.login("ada", PASSWORD)
        rows = sqlite3.connect(f"file:{mote.database}?mode=ro", uri=True)
        wait_for(lambda: rows.execute("SELECT password_hash FROM users").fetchone()[0].startswith(prefix), what=prefix)
        client.login("ada", PASSWORD)
        get_me(client)
        rows.close()
        assert program.stop() == 0


@pytest.mark.parametrize("name", ["admin", "nobody-at-all"])
def test_an_account_from_one_address(mote, name):
    """Five failures, then a minute of quiet, for the right password too, and for names that do not exist."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve(TRUSTED_PROXIES="127.0.0.1")
    client = Clients(program)
    for _ in range(5):
        assert reason_of(guess(client, name.upper()))[1] == "CREDENTIALS_INVALID"
    begin = time.monotonic()
    first = wait_of(guess(client, name, ADMIN_PASSWORD))
    assert 55 < first <= 60
    time.sleep(0.3)
    later = wait_of(guess(client, name))
    assert later <= first - 0.3 and later >= first - (time.monotonic() - begin) - 0.1
    assert reason_of(guess(client, name, address="198.51.100.1"))[1] == "CREDENTIALS_INVALID"
    if name == "admin":
        request = auth_pb2.LoginRequest(username=name, password=ADMIN_PASSWORD)
        assert client.auth.Login(request, metadata=(("x-forwarded-for", "198.51.100.1"),), timeout=20).user_id
    assert program.stop() == 0


def test_an_address(mote):
    """One password tried on many names: 30 a minute. An IPv6 network is one address; others are not held up."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve(TRUSTED_PROXIES="127.0.0.1")
    client = Clients(program)
    for index in range(30):
        assert reason_of(guess(client, f"name{index}", address=f"2001:db8::{index:x}"))[1] == "CREDENTIALS_INVALID"
    assert 0 < wait_of(guess(client, "admin", address="2001:db8:0:0:ffff::1")) <= 60
    assert reason_of(guess(client, "admin", address="2001:db8:0:1::1"))[1] == "CREDENTIALS_INVALID"
    assert client.login("admin", ADMIN_PASSWORD)
    assert program.stop() == 0


def test_an_account_from_everywhere(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve(TRUSTED_PROXIES="127.0.0.1")
    client = Clients(program)
    for index in range(100):
        assert reason_of(guess(client, "admin", address=f"198.51.100.{index // 4}"))[1] == "CREDENTIALS_INVALID"
    assert 3300 < wait_of(guess(client, "admin", ADMIN_PASSWORD, address="203.0.113.1")) <= 3600
    assert program.stop() == 0


@pytest.mark.thread
def test_guesses_at_once_are_no_way_around(mote):
    """Of 24 guesses under way together five are told that they are wrong; the right one among the rest is not told."""
    program, admin, _ = set_up(mote, PASSWORD_HASH="argon2id:m=2048,t=1,p=1", PASSWORD_HASH_CONCURRENCY="2")
    clients = [Clients(program) for _ in range(24)]

    def attempt(index):
        try:
            clients[index].login("ada", PASSWORD if index == 23 else f"guess number {index}")
            return "OK"
        except grpc.RpcError as error:
            return reason_of(error)[1]

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        outcomes = list(pool.map(attempt, range(24)))
    assert set(outcomes) <= {"CREDENTIALS_INVALID", "LOGIN_THROTTLED", "OK"}, outcomes
    # Where the right one came first, it set the count back.
    assert outcomes.count("CREDENTIALS_INVALID") <= (9 if "OK" in outcomes else 5), outcomes
    assert outcomes.count("LOGIN_THROTTLED") >= 14, outcomes
    get_me(admin)
    assert program.stop() == 0


def test_wrong_current_password_counts_as_a_failed_login(mote):
    program, _, _ = set_up(mote)
    ada = Clients(program)
    ada.login("ada", PASSWORD)
    request = auth_pb2.ChangePasswordRequest(current_password="wrong password", new_password=FRESH)
    for _ in range(5):
        error = refused(ada.auth.ChangePassword, request, metadata=ada.metadata)
        assert reason_of(error)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "CURRENT_PASSWORD_INVALID")
    wait_of(refused(ada.auth.ChangePassword, request, metadata=ada.metadata))
    wait_of(guess(ada, "ada", PASSWORD))
    get_me(ada)
    assert program.stop() == 0
