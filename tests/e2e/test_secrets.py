# SPDX-License-Identifier: Apache-2.0
"""Where secrets must not be, looked at from outside: the process, the store's files, what answers and times tell."""

import base64
import re
import stat
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, reason_of
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}
PASSWORD = "a password nobody else has"


@pytest.fixture
def server(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    return mote.serve()


def test_the_environment_has_no_secret_any_more(mote, server):
    with open(f"/proc/{server.process.pid}/environ", "rb") as file:
        environment = file.read()
    assert b"STORE_URL=" in environment or b"LISTEN=" in environment  # it is the one that was given
    assert mote.secret.encode() not in environment
    with open(f"/proc/{server.process.pid}/cmdline", "rb") as file:
        assert mote.secret.encode() not in file.read()


def test_no_core_file_is_written(tmp_path):
    """Of the released program: AddressSanitizer forbids core files by itself."""
    program = Mote(tmp_path, RELEASE).serve()
    with open(f"/proc/{program.process.pid}/limits", encoding="ascii") as file:
        limits = file.read()
    assert program.stop() == 0
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M)


def test_the_stores_files_are_private_and_hold_hashes_only(mote, server):
    admin = Clients(server)
    first = admin.login("admin", ADMIN_PASSWORD).tokens
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="ada"), initial_password=PASSWORD)
    admin.user.CreateUser(request, metadata=admin.metadata, timeout=20)
    user = Clients(server)
    user.login("ada", PASSWORD)
    second = admin.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token), timeout=5).tokens
    files = sorted(mote.folder.glob("mote.db*"))
    assert {file.name for file in files} >= {"mote.db", "mote.db-wal", "mote.db.lock"}
    content = b""
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        content += file.read_bytes()
    assert b"ada" in content and b"$argon2id$" in content  # it is there, and not told in another way
    for token in (first, second):
        assert token.access_token.encode() not in content
        assert token.refresh_token.encode() not in content
        assert base64.urlsafe_b64decode(token.refresh_token + "=") not in content
    for secret in (ADMIN_PASSWORD, PASSWORD, mote.secret):
        assert secret.encode() not in content


def seconds_of(client, address, **fields):
    start = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        client.auth.Login(auth_pb2.LoginRequest(password="wrong password", **fields), timeout=30,
                          metadata=(("x-forwarded-for", address),))
    seconds = time.monotonic() - start
    return seconds, (*reason_of(caught.value), caught.value.details())


def test_a_refused_login_tells_nothing_by_its_answer_or_its_time(mote):
    """A hash of 64 MiB: whoever skips it, or computes two, is off by far more than the machine's mood. The least of
    several counts. Each attempt has an address of its own, so that none is throttled."""
    slow = {"PASSWORD_HASH": "argon2id:m=65536,t=2,p=1"}
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **slow)
    server = mote.serve(TRUSTED_PROXIES="127.0.0.1", **slow)
    admin = Clients(server)
    admin.login("admin", ADMIN_PASSWORD)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="no-password"))
    admin.user.CreateUser(request, metadata=admin.metadata, timeout=20)
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="disabled"), initial_password="wrong password")
    disabled = admin.user.CreateUser(request, metadata=admin.metadata, timeout=20).user
    admin.user.DisableUser(user_pb2.DisableUserRequest(id=disabled.id), metadata=admin.metadata, timeout=20)
    cases = {"wrong": {"username": "admin"}, "unknown": {"username": "nobody"}, "without": {"username": "no-password"},
             "email": {"email": "nobody@example.com"}, "disabled": {"username": "disabled"}}
    least = dict.fromkeys(cases, 1e9)
    answers = set()
    for attempt in range(6):
        for name, fields in cases.items():
            seconds, answer = seconds_of(admin, f"198.51.100.{attempt}", **fields)
            answers.add(repr(answer))
            least[name] = min(least[name], seconds)
    assert len(answers) == 1
    assert max(least.values()) < 1.5 * min(least.values()), least


def lists_services(program):
    with program.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        try:
            answer = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            return False
        return len(answer.list_services_response.service) > 0


@pytest.mark.parametrize("reflection, listen, listed", [("auto", "127.0.0.1:0", True), ("auto", "0.0.0.0:0", False),
                                                        ("on", "0.0.0.0:0", True), ("off", "127.0.0.1:0", False)])
def test_reflection_is_not_offered_to_the_network_unasked(mote, reflection, listen, listed):
    program = mote.serve(REFLECTION=reflection, LISTEN=listen, INSECURE="true")
    program.address = program.address.replace("0.0.0.0", "127.0.0.1")
    assert lists_services(program) == listed
    assert bool(program.events("config.insecure")) == (listen == "0.0.0.0:0")
