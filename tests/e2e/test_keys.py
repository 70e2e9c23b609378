# SPDX-License-Identifier: Apache-2.0
"""Tokens that are revoked, and keys that are rotated while the server runs."""

import base64
import json
import os
import re
import secrets
import signal
import threading
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of, wait_for

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}


@pytest.fixture
def admin(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    return mote


def reason_of_get(program, token):
    """What GetUser refuses the token for, on a connection of its own: with several workers, on any of them."""
    client = Clients(program)
    try:
        client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=(("authorization", f"Bearer {token}"),),
                            timeout=10)
        return None
    except grpc.RpcError as error:
        return reason_of(error)[1]
    finally:
        client.channel.close()


def revoke(program, token, hint=auth_pb2.TOKEN_TYPE_HINT_UNSPECIFIED):
    client = Clients(program)
    client.auth.RevokeToken(auth_pb2.RevokeTokenRequest(token=token, token_type_hint=hint), timeout=10)
    client.channel.close()


def test_a_revoked_token_stays_revoked(admin):
    server = admin.serve(WORKERS="2")
    first = Clients(server).login("admin", ADMIN_PASSWORD).tokens
    other = Clients(server).login("admin", ADMIN_PASSWORD).tokens
    assert [reason_of_get(server, first.access_token) for _ in range(8)] == [None] * 8  # verified tokens are cached
    revoke(server, first.access_token)
    revoke(server, "nonsense")
    assert [reason_of_get(server, first.access_token) for _ in range(8)] == ["TOKEN_REVOKED"] * 8
    revoke(server, other.refresh_token, auth_pb2.TOKEN_TYPE_HINT_ACCESS)
    assert server.stop() == 0
    server = admin.serve(WORKERS="2")
    assert reason_of_get(server, first.access_token) == "TOKEN_REVOKED"
    assert reason_of_get(server, other.access_token) == "SESSION_REVOKED"
    client = Clients(server)
    client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token), timeout=10)
    with pytest.raises(grpc.RpcError) as caught:
        client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=other.refresh_token), timeout=10)
    assert reason_of(caught.value)[1] == "REFRESH_TOKEN_INVALID"
    client.channel.close()


# --- key files -----------------------------------------------------------------------------------------------------


def secret():
    return base64.b64encode(secrets.token_bytes(36)).decode()


class KeyFile:
    def __init__(self, mote, *lines):
        self.path = mote.folder / "keys"
        self.write(*lines)

    def write(self, *lines, mode=0o600):
        aside = self.path.with_suffix(".new")
        aside.write_text("".join(f"{line}\n" for line in lines))
        aside.chmod(mode)
        os.replace(aside, self.path)

    def serve(self, mote, **settings):
        return mote.serve(JWT_SECRET="", JWT_SECRET_FILE=str(self.path), **settings)


def reload(program, event="keys.loaded"):
    before = len(program.events(event))
    program.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(program.events(event)) > before, what=event)
    return program.events(event)[-1]


def kid_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]


def login(program):
    client = Clients(program)
    tokens = client.login("admin", ADMIN_PASSWORD).tokens
    client.channel.close()
    return tokens


def refresh(program, token):
    client = Clients(program)
    try:
        return client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=token), timeout=10).tokens
    finally:
        client.channel.close()


def test_the_old_key_verifies_for_one_access_lifetime(admin):
    keys = KeyFile(admin, f"k1:{secret()}", f"k0:{secret()}")
    server = keys.serve(admin, JWT_ACCESS_EXPIRY="3s", JWT_LEEWAY="0s")
    first, unused = login(server), login(server)
    assert kid_of(first.access_token) == "k1"
    keys.write(f"k2:{secret()}")
    line = reload(server)
    assert line["signing"] == "k2" and line["verifying"] == "k1"
    second = login(server)
    assert kid_of(second.access_token) == "k2"
    for token in (first, second):
        assert [reason_of_get(server, token.access_token) for _ in range(6)] == [None] * 6
    # the old key still derives what comes after a refresh token, and so a lost answer can be given again
    rotated = refresh(server, first.refresh_token)
    assert kid_of(rotated.access_token) == "k2"
    assert refresh(server, first.refresh_token).refresh_token == rotated.refresh_token
    wait_for(lambda: server.events("keys.retired"), what="the old key's end")
    assert server.events("keys.retired")[-1]["verifying"] == ""
    assert set(reason_of_get(server, first.access_token) for _ in range(6)) <= {"TOKEN_INVALID"}
    # and without it a refresh token is as good as before
    again = refresh(server, unused.refresh_token)
    assert refresh(server, unused.refresh_token).refresh_token == again.refresh_token
    assert reason_of_get(server, again.access_token) is None
    assert server.stop() == 0


def test_a_key_that_is_taken_out_and_did_not_sign_is_gone(admin):
    first, second = f"k1:{secret()}", f"k2:{secret()}"
    keys = KeyFile(admin, first)
    server = keys.serve(admin)
    token = login(server).access_token
    keys.write(second, first)
    reload(server)
    assert [reason_of_get(server, token) for _ in range(6)] == [None] * 6
    keys.write(second)
    reload(server)
    assert [reason_of_get(server, token) for _ in range(6)] == ["TOKEN_INVALID"] * 6
    assert server.stop() == 0


def test_rotation_fails_no_call(admin):
    lines = [f"k{i}:{secret()}" for i in range(6)]
    keys = KeyFile(admin, lines[0])
    server = keys.serve(admin, WORKERS="2", MAX_RECV_MESSAGE_SIZE="64KiB")
    over = threading.Event()
    failures, calls, kids = [], [0], set()

    def load():
        tokens = login(server)
        while not over.is_set():
            try:
                tokens = refresh(server, tokens.refresh_token)
                kids.add(kid_of(tokens.access_token))
                for _ in range(4):  # each on a connection of its own, so on any worker
                    reason = reason_of_get(server, tokens.access_token)
                    failures.extend([reason] if reason else [])
                    calls[0] += 1
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for count in range(1, 6):
        time.sleep(0.4)
        keys.write(lines[count], lines[count - 1]) if count % 2 else keys.write(lines[count])
        reload(server)
    time.sleep(0.4)
    over.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures[:3]
    assert calls[0] > 50 and kids >= {"k0", "k5"}
    assert server.stop() == 0


@pytest.mark.parametrize("mode, text", [
    (0o600, "k2:cut off while it was writ"), (0o600, ""), (0o600, "# nothing"), (0o600, "k2:" + "x" * 40),
    (0o644, "k2:" + secret()), (0o600, "\n".join(f"k{i}:{secret()}" for i in range(5)))])
def test_a_bad_file_changes_nothing(admin, mode, text):
    keys = KeyFile(admin, f"k1:{secret()}")
    server = keys.serve(admin, WORKERS="1")
    token = login(server).access_token
    keys.write(text, mode=mode)
    line = reload(server, "keys.not_loaded")
    assert line["level"] in ("ERROR", "error")
    assert str(keys.path) in line["err"]
    assert reason_of_get(server, token) is None
    assert kid_of(login(server).access_token) == "k1"
    for secret_part in re.findall(r"k\d:(\S+)", text):
        assert secret_part.encode() not in server.text
    os.remove(keys.path)
    assert "cannot be opened" in reload(server, "keys.not_loaded")["err"]
    assert kid_of(login(server).access_token) == "k1"
    assert server.stop() == 0


def test_sighup_without_a_file(admin):
    server = admin.serve(LOG_LEVEL="info")
    server.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: server.events("log.level_changed"), what="the level")
    assert "JWT_SECRET_FILE" in reload(server, "keys.not_loaded").get("msg", "JWT_SECRET_FILE")
    assert server.events("config.reload")
    assert reason_of_get(server, login(server).access_token) is None
    assert server.stop() == 0


def test_a_file_that_is_wrong_at_start(mote):
    keys = KeyFile(mote, f"k1:{secret()}", "k0:short")
    result = mote.run("serve", check=False, JWT_SECRET_FILE=str(keys.path))
    assert result.returncode == 78
    assert f"config: JWT_SECRET: {keys.path} line 2: too short (5 bytes, need at least 32)" in result.stderr
