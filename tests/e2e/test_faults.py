# SPDX-License-Identifier: Apache-2.0
"""What the system itself does wrong, or what others do to the store's log: the real program under strace, which makes
system calls fail, and beside readers that do not end."""

import re
import socket
import sqlite3
import subprocess
import threading
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, Program, reason_of, wait_for

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=64,t=1,p=1"}
MIB = 1 << 20


@pytest.fixture
def release(tmp_path):
    """The release build, which strace and heavy writing do not slow down too much, with an administrator."""
    mote = Mote(tmp_path, RELEASE)
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    yield mote
    for program in mote.programs:
        if program.process.poll() is None:
            assert program.stop() == 0


def logged_in(program):
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    return client


# --- the store's log ---------------------------------------------------------------------------------------------


class Log:
    """The largest size that the write-ahead log has had."""

    def __init__(self, mote):
        self.path = mote.database.with_name("mote.db-wal")
        self.largest = 0

    def look(self):
        size = self.path.stat().st_size if self.path.exists() else 0
        self.largest = max(self.largest, size)
        return size


class Writing:
    """Makes users, some hundreds a commit; looks at the log meanwhile."""

    def __init__(self, client, log):
        self.client, self.log, self.count = client, log, 0

    def users(self):
        for _ in range(1000):
            name = f"w{self.count:07}"
            self.count += 1
            yield user_pb2.ImportUsersRequest(user=user_pb2.User(username=name, email=f"{name}@example.com", display_name="n" * 60))

    def run(self, seconds, until=1 << 40):
        end = time.monotonic() + seconds
        while self.log.look() < until and time.monotonic() < end:
            answer = self.client.user.ImportUsers(self.users(), metadata=self.client.metadata, timeout=60)
            assert answer.created_count == 1000, answer


def test_the_log_stays_small_beside_readers_that_always_read(release):
    """Lists that read thousands of rows, on both workers, always under way: each ends soon, so the log begins anew."""
    program = release.serve(**CHEAP)
    client, log, over, errors = logged_in(program), Log(release), threading.Event(), []
    writing = Writing(client, log)
    writing.run(1)

    def read():
        own = Clients(program)
        own.token = client.token
        request = user_pb2.ListUsersRequest(filter='email = "w*"', page_size=200, order_by="create_time desc")
        try:
            while not over.is_set():
                own.user.ListUsers(request, metadata=own.metadata, timeout=20)
        except grpc.RpcError as error:
            errors.append(error)
        own.channel.close()

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    writing.run(8)
    over.set()
    for reader in readers:
        reader.join()

    assert not errors
    assert log.largest < 32 * MIB, log.largest


def store_file(program, name):
    """mote_store_size_bytes of the database or the log."""
    import urllib.request

    text = urllib.request.urlopen(f"http://{program.admin}/metrics", timeout=10).read().decode()
    return float(re.search(rf'^mote_store_size_bytes{{file="{name}"}} (\S+)$', text, re.M).group(1))


def test_a_reader_of_another_program_that_does_not_end(release):
    """Its transaction keeps the log from beginning anew: that is told, and seen in the metrics; everything goes on, and the
    log is emptied once it has ended."""
    program = release.serve(**CHEAP)
    client, log = logged_in(program), Log(release)
    reader = sqlite3.connect(release.database)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM users").fetchone() == (1,)
    writing = Writing(client, log)
    writing.run(60, until=66 * MIB)
    assert log.look() >= 66 * MIB
    started = time.monotonic()
    for index in range(20):
        create = user_pb2.CreateUserRequest(user=user_pb2.User(username=f"one{index}"))
        assert client.user.CreateUser(create, metadata=client.metadata, timeout=20).user.id
    assert time.monotonic() - started < 4  # none waits for that reader, but one every 5 s
    assert store_file(program, "wal") >= 66 * MIB
    wait_for(lambda: program.events("store.log_grows"), what="the warning")
    assert len(program.events("store.log_grows")) == 1
    assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=10).user.username == "admin"
    assert reader.execute("SELECT count(*) FROM users").fetchone() == (1,)
    reader.close()
    wait_for(lambda: log.look() == 0, 30, "the log is emptied")
    assert program.stop() == 0
    assert release.run("store", "check").stdout == "ok\n"


# --- system calls that fail --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strace():
    """Where nobody may trace, as in some containers, these tests say nothing."""
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"strace: {tried.stderr.strip()}")


class Failing:
    """The system calls of a running program fail as `inject` says, until the end."""

    def __init__(self, program, *inject):
        options = [part for one in inject for part in ("-e", f"inject={one}")]
        calls = ",".join(sorted({name for one in inject for name in one.split(":")[0].split(",")}))
        self.trace = subprocess.Popen(["strace", "-f", "-p", str(program.process.pid), "-e", f"trace={calls}", *options],
                                      stderr=subprocess.PIPE, text=True)
        self.text, self.attached = "", threading.Event()
        self.reader = threading.Thread(target=self.read)

    def read(self):
        for line in self.trace.stderr:
            self.text += line
            if "attached" in line:
                self.attached.set()

    def __enter__(self):
        self.reader.start()
        assert self.attached.wait(20), self.text
        time.sleep(0.3)  # all threads
        return self

    def __exit__(self, *exception):
        self.trace.send_signal(2)
        self.trace.wait(20)
        self.reader.join(20)

    def count(self):
        return self.text.count("(INJECTED)")


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=20, **options)
    return reason_of(caught.value)[:2]


INTERNAL = (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")


def test_without_randomness_there_is_no_token_and_no_id(release, strace):
    """What is made of random bytes is refused while the system has none; the rest goes on, and all of it afterwards."""
    program = release.serve(**CHEAP)
    client = Clients(program)
    tokens = client.login("admin", ADMIN_PASSWORD).tokens
    login = auth_pb2.LoginRequest(username="admin", password=ADMIN_PASSWORD)
    create = user_pb2.CreateUserRequest(user=user_pb2.User(username="alice"), initial_password="a long secret of hers")
    with Failing(program, "getrandom:error=EIO") as failing:
        assert refused(client.auth.Login, login) == INTERNAL
        assert refused(client.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token)) == INTERNAL
        assert refused(client.user.CreateUser, create, metadata=client.metadata) == INTERNAL
        assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=20).user.username == "admin"
        assert client.auth.ValidateToken(auth_pb2.ValidateTokenRequest(access_token=client.token), metadata=client.metadata,
                                         timeout=20).active
        assert failing.count() >= 3
    assert client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token), timeout=20)
    client.login("admin", ADMIN_PASSWORD)
    assert client.user.CreateUser(create, metadata=client.metadata, timeout=20).user.id
    sessions = client.auth.ListSessions(auth_pb2.ListSessionsRequest(user_id="me"), metadata=client.metadata, timeout=20).sessions
    assert len(sessions) == 2
    assert program.stop() == 0


@pytest.mark.parametrize("arguments", [("user", "create", "--username", "bob", "--password-stdin"),
                                       ("token", "mint", "--user", "admin"), ("serve",)])
def test_without_randomness_commands_end(release, strace, arguments):
    """An error, and nothing made."""
    before = release.run("user", "list", "--json").stdout
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=getrandom", "-e", "inject=getrandom:error=EIO:when=2+",
               str(release.program_path), *arguments]
    result = subprocess.run(command, input="a long secret of his\n", capture_output=True, text=True, timeout=60, check=False,
                            env=release.environment(JWT_SECRET=release.secret, LISTEN="127.0.0.1:0", ADMIN_LISTEN="off", **CHEAP))
    assert result.returncode == 71, result
    assert "." not in result.stdout, result.stdout  # neither a token nor an address
    assert release.run("user", "list", "--json").stdout == before


@pytest.mark.parametrize("inject", ["accept4:error=ECONNABORTED:when=1+2", "accept4:error=EINTR:when=1+2",
                                    "accept4:error=EAGAIN:when=1+2", "read:error=EINTR:when=1+3", "read:error=EAGAIN:when=1+3",
                                    "write,writev,sendmsg:error=EINTR:when=1+3", "writev,sendmsg:error=EAGAIN:when=1+3",
                                    "epoll_wait,epoll_pwait:error=EINTR:when=1+2"])
def test_interrupted_system_calls_are_made_again(release, strace, inject):
    """Connections are taken and calls answered, whatever of it had to be tried twice."""
    program = release.serve(**CHEAP)
    with Failing(program, inject) as failing:
        for _ in range(8):
            client = logged_in(program)
            for _ in range(4):
                request = user_pb2.GetUserRequest(id="me")
                assert client.user.GetUser(request, metadata=client.metadata, timeout=20).user.username == "admin"
            client.channel.close()
        count = failing.count()
    assert count > 0 or inject.startswith("writev,sendmsg"), failing.text[-2000:]  # of one buffer it is write
    assert program.process.poll() is None
    logged_in(program)
    assert program.stop() == 0


def test_signals_and_peers_that_went_away(release):
    """SIGPIPE ends nothing, nor do hundreds of SIGHUP under load; nor connections that are reset with answers on the way."""
    program = release.serve(**CHEAP)
    client = logged_in(program)
    over = threading.Event()

    def disturb():
        while not over.is_set():
            program.process.send_signal(13)
            program.process.send_signal(1)
            time.sleep(0.005)

    def reset():
        host, port = program.address.rsplit(":", 1)
        while not over.is_set():
            peer = socket.create_connection((host, int(port)))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x08\x06\0\0\0\0\0mote1234" * 50)
            peer.close()

    others = [threading.Thread(target=disturb), threading.Thread(target=reset)]
    for other in others:
        other.start()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        request = user_pb2.GetUserRequest(id="me")
        assert client.user.GetUser(request, metadata=client.metadata, timeout=20).user.username == "admin"
    over.set()
    for other in others:
        other.join()
    assert program.stop() == 0


def test_the_default_of_the_admin_port_may_be_taken(release):
    """Without ADMIN_LISTEN a taken address is only told of, and calls are served."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 9464))
            taken.listen()
        except OSError:
            pass  # by somebody else, which is as good
        environment = release.environment(JWT_SECRET=release.secret, LISTEN="127.0.0.1:0", LOG_FORMAT="json", **CHEAP)
        program = Program([release.program_path, "serve"], environment,
                          lambda record: record.get("address") if record.get("event") == "net.listening" else None)
        release.programs.append(program)
        assert program.events("admin.not_listening") and not program.events("admin.listening")
        logged_in(program)
        assert program.stop() == 0
