# SPDX-License-Identifier: Apache-2.0
"""Where secrets must not be, looked at from outside: the process, the store's files, what answers and times tell."""

import base64
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, reason_of
from google.protobuf import empty_pb2
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


def test_no_core_is_dumped(tmp_path):
    """Of the released program: AddressSanitizer forbids core files by itself."""
    mote = Mote(tmp_path, RELEASE)
    program = mote.serve()
    pid = program.process.pid
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        assert re.search(r"^Max core file size +0 +0 ", file.read(), re.M)
    # What a dumpable process has here belongs to its user: this is how one sees it from outside.
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    if os.getuid() != 0:
        with pytest.raises(PermissionError):
            open(f"/proc/{pid}/environ", "rb").close()
    os.kill(pid, signal.SIGQUIT)
    _, status = os.waitpid(pid, 0)
    program.process.returncode = -os.WTERMSIG(status)
    assert os.WTERMSIG(status) == signal.SIGQUIT and not os.WCOREDUMP(status)
    assert not list(tmp_path.glob("core*"))


class Secrets:
    """Every secret that a session of calls uses, and what was answered to it."""

    def __init__(self, mote):
        self.values = {"JWT_SECRET": mote.secret}
        self.answers = []

    def add(self, name, value):
        assert value not in self.values.values()
        self.values[name] = value
        return value

    def tokens(self, name, pair):
        self.add(f"access token {name}", pair.access_token)
        self.add(f"refresh token {name}", pair.refresh_token)
        return pair

    def refuse(self, call, *arguments, **options):
        with pytest.raises(grpc.RpcError) as caught:
            call(*arguments, timeout=20, **options)
        error = caught.value
        self.answers.append(repr((error.code(), error.details(), error.initial_metadata(), error.trailing_metadata())))

    def forms(self):
        """name → bytes, as it is and as a program might write it."""
        for name, value in self.values.items():
            text = value.encode()
            yield name, text
            yield f"{name} in base64", base64.b64encode(text)[:-4]
            yield f"{name} in hex", text.hex().encode()
            if name.startswith("refresh token"):
                raw = base64.urlsafe_b64decode(value + "=")
                yield from ((f"{name}, its bytes", raw), (f"{name}, its bytes in hex", raw.hex().encode()))
            elif name.startswith("access token"):
                yield f"{name}, its signature", text[-43:]
            elif name == "JWT_SECRET":
                yield f"{name}, its bytes", base64.b64decode(value)


def use_everything(mote, server, secrets):
    """Calls every method that takes a secret, with good ones and with bad ones."""
    admin, user, other = Clients(server), Clients(server), Clients(server)
    secrets.add("password of the administrator", ADMIN_PASSWORD)
    secrets.tokens("of the administrator", admin.login("admin", ADMIN_PASSWORD).tokens)
    first = secrets.add("first password", "gruff-penguin-71-alpha")
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username="ada"), initial_password=first)
    ada = admin.user.CreateUser(request, metadata=admin.metadata, timeout=20).user
    secrets.refuse(admin.user.CreateUser, request, metadata=admin.metadata)
    request.user.username, request.initial_password = "1", secrets.add("password of nobody", "mellow-otter-72-beta" + "y" * 60)
    secrets.refuse(admin.user.CreateUser, request, metadata=admin.metadata)
    request.initial_password = secrets.add("password over its bound", "brisk-badger-73-gamma" + "z" * 120)
    secrets.refuse(admin.user.CreateUser, request, metadata=admin.metadata)
    pair = secrets.tokens("1", user.login("ada", first).tokens)
    refresh = auth_pb2.RefreshTokenRequest(refresh_token=pair.refresh_token)
    pair = secrets.tokens("2", user.auth.RefreshToken(refresh, timeout=20).tokens)
    user.token = pair.access_token
    second = secrets.add("second password", "lofty-heron-74-delta")
    wrong = secrets.add("wrong password", "dusty-falcon-75-epsilon")
    change = auth_pb2.ChangePasswordRequest(current_password=first, new_password=second)
    user.auth.ChangePassword(change, metadata=user.metadata, timeout=20)
    change.current_password = wrong
    secrets.refuse(user.auth.ChangePassword, change, metadata=user.metadata)
    secrets.refuse(user.auth.Login, auth_pb2.LoginRequest(username="ada", password=wrong))
    secrets.refuse(user.auth.Login, auth_pb2.LoginRequest(username="nobody", password=wrong))
    validation = auth_pb2.ValidateTokenRequest(access_token=pair.access_token)
    assert user.auth.ValidateToken(validation, metadata=user.metadata, timeout=20).active
    spare = secrets.tokens("3", other.login("ada", second).tokens)
    other.auth.RevokeToken(auth_pb2.RevokeTokenRequest(token=spare.access_token), timeout=20)
    secrets.refuse(other.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=other.metadata)
    other.auth.RevokeToken(auth_pb2.RevokeTokenRequest(token=spare.refresh_token), timeout=20)
    secrets.refuse(other.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=spare.refresh_token))
    third = secrets.add("third password", "vivid-walrus-76-zeta")
    admin.auth.SetPassword(auth_pb2.SetPasswordRequest(user_id=ada.id, new_password=third), metadata=admin.metadata, timeout=20)
    secrets.refuse(user.user.GetUser, user_pb2.GetUserRequest(id="me"), metadata=user.metadata)
    imported = user_pb2.ImportUsersRequest(user=user_pb2.User(username="bob"),
                                           initial_password=secrets.add("imported password", "plush-lemur-77-eta"))
    assert admin.user.ImportUsers(iter([imported]), metadata=admin.metadata, timeout=20).created_count == 1
    for client in (admin, user, other):
        client.channel.close()


def test_no_secret_is_in_anything_that_was_written(mote):
    """The log at its most talkative, the answers, the process's arguments and environment, every file."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    server = mote.serve(LOG_LEVEL="debug", LOG_ACCESS="all")
    secrets = Secrets(mote)
    use_everything(mote, server, secrets)
    written = {"an answer": "\n".join(secrets.answers).encode()}
    for name in ("environ", "cmdline"):
        with open(f"/proc/{server.process.pid}/{name}", "rb") as file:
            written[name] = file.read()
    for path in mote.folder.rglob("*"):
        if path.is_file():
            written[path.name] = path.read_bytes()
    assert server.stop() == 0
    written["the log"] = server.text
    for path in mote.folder.rglob("*"):
        if path.is_file():
            written[f"{path.name} at the end"] = path.read_bytes()
    assert len(server.events("rpc.finished")) >= 20 and b"ada" in written["mote.db at the end"] and len(secrets.answers) >= 8
    found = [f"{name} in {where}" for name, value in secrets.forms() for where, content in written.items() if value in content]
    assert not found, found


def memory_of(pid):
    """What the process can write to, region by region."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if rights.startswith("rw"):
                memory.seek(int(start, 16))
                try:
                    yield memory.read(int(end, 16) - int(start, 16))
                except OSError:  # one that goes away while it is read
                    pass


def test_passwords_and_refresh_tokens_are_wiped_from_memory(tmp_path):
    """Of the released program, for AddressSanitizer keeps what was freed. What a connection was last told lies in no
    buffer, in no struct and on no stack when its calls are over; access tokens stay in the cache of verified ones."""
    mote = Mote(tmp_path, RELEASE)
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    # Libraries that bind their functions at the first call save the vector registers on the stack while they do, with
    # what was copied last in them. Bound at the start they do not.
    server = mote.serve(LOG_LEVEL="debug", LD_BIND_NOW="1")
    secrets = Secrets(mote)
    use_everything(mote, server, secrets)
    client = Clients(server)  # what a worker must wipe at the end of a turn it has done once it turns again
    client.user.HealthCheck(empty_pb2.Empty(), timeout=20)
    try:
        content = b"|".join(memory_of(server.process.pid))
    except PermissionError:
        pytest.skip("the memory of another process cannot be read here, which is the better protection")
    assert b"ada" in content
    found = [name for name, value in secrets.forms()
             if name.startswith(("first", "second", "third", "wrong", "imported", "password", "refresh")) and value in content]
    client.channel.close()
    assert server.stop() == 0
    assert not found, found


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_import_wipes_its_passwords_from_memory(tmp_path, form):
    """While it runs: of lines read before, and of one that is refused, nothing is left."""
    # Long, so that what is read behind them does not fall into the same places; looked for by their ends, because the
    # beginning of freed memory is written over anyway.
    ends = ["plush-lemur-78-theta", "plush-lemur-79-\u00efota", "plush-lemur-80-kappa"]
    secrets = ["filling " * 12 + end for end in ends]
    if form == "json":
        lines = [json.dumps({"username": f"user{i}", "initialPassword": text}) for i, text in enumerate(secrets)]
        lines[2] = lines[2][:-1]  # no JSON
        dull = [json.dumps({"username": f"dull{i:05}", "displayName": "x" * 60}) for i in range(4000)]
    else:
        lines = ["username,initial_password", *(f"user{i},{text}" for i, text in enumerate(secrets))]
        lines[3] += ",1"  # a cell too many
        dull = [f'dull{i:05},""' for i in range(20000)]
    mote = Mote(tmp_path, RELEASE)
    process = subprocess.Popen([mote.program_path, "user", "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=mote.environment(LD_BIND_NOW="1", **CHEAP))
    try:
        process.stdin.write("\n".join([*lines, *dull, ""]).encode())
        process.stdin.flush()
        deadline = time.monotonic() + 60
        content, waits = b"", 0
        while waits < 3:  # asleep in the read of what does not come, with all of the above done
            assert time.monotonic() < deadline
            time.sleep(0.1)
            blocked = pathlib.Path(f"/proc/{process.pid}/syscall").read_text(encoding="ascii").startswith("0 0x0 ")
            waits = waits + 1 if blocked else 0
        content = b"|".join(memory_of(process.pid))
    except PermissionError:
        pytest.skip("the memory of another process cannot be read here, which is the better protection")
    finally:
        output, _ = process.communicate(timeout=60)
    assert f"created {len(dull) + 2} users, refused 1".encode() in output, output
    assert b"dull0" in content and not [text for text in ends if text.encode() in content]


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


def seconds_of(program, client, address, **fields):
    """What the attempt cost the server's threads: what a caller waits beside that is the machine's mood."""
    def spent():
        tasks = pathlib.Path(f"/proc/{program.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    start = spent()
    with pytest.raises(grpc.RpcError) as caught:
        client.auth.Login(auth_pb2.LoginRequest(password="wrong password", **fields), timeout=30,
                          metadata=(("x-forwarded-for", address),))
    return spent() - start, (*reason_of(caught.value), caught.value.details())


@pytest.mark.parametrize("configured", ["argon2id:m=65536,t=2,p=1", "pbkdf2-sha256:i=1000"])
def test_a_refused_login_tells_nothing_by_its_answer_or_its_time(mote, configured):
    """Hashes of 64 MiB: whoever skips one, or computes two, or one of the settings that are configured by now, is off by
    far more than the machine's mood. The least of several counts. Each attempt has an address of its own, so that none
    is throttled."""
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
    admin.channel.close()
    assert server.stop() == 0
    server = mote.serve(TRUSTED_PROXIES="127.0.0.1", PASSWORD_HASH=configured)
    admin = Clients(server)
    cases = {"wrong": {"username": "admin"}, "unknown": {"username": "nobody"}, "without": {"username": "no-password"},
             "email": {"email": "nobody@example.com"}, "disabled": {"username": "disabled"}}
    least = dict.fromkeys(cases, 1e9)
    answers = set()
    for attempt in range(6):
        for name, fields in cases.items():
            seconds, answer = seconds_of(server, admin, f"198.51.100.{attempt}", **fields)
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
