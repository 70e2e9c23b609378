# SPDX-License-Identifier: Apache-2.0
"""The program itself: commands, options and exit codes, the store's lock and faults, shutdown, kill -9."""

import concurrent.futures
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of, wait_for

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}

# --- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, names", [
    ({"JWT_SECRET": ""}, ["JWT_SECRET"]),
    ({"JWT_SECRET": "short"}, ["JWT_SECRET"]),
    ({"JWT_SECRET": "x" * 31}, ["JWT_SECRET"]),
    ({"JWT_SECRET": "x" * 64}, ["JWT_SECRET"]),
    ({"WORKERS": "0", "LOG_LEVEL": "loud", "MAX_CONNECTIONS": "-1"}, ["WORKERS", "LOG_LEVEL", "MAX_CONNECTIONS"]),
    ({"JWT_ACCESS_EXPIRY": "15x"}, ["JWT_ACCESS_EXPIRY"]),
    ({"LISTEN": "0.0.0.0:0"}, ["LISTEN"]),
    ({"LISTEN": "nonsense"}, ["LISTEN"]),
    ({"TLS_CERT_FILE": "/nowhere"}, ["TLS_KEY_FILE"]),
    ({"STORE_URL": "redis://x"}, ["STORE_URL"]),
    ({"JWT_SECRET_FILE": "/nowhere"}, ["JWT_SECRET"]),
    ({"PASSWORD_HASH": "md5"}, ["PASSWORD_HASH"]),
])
def test_bad_values_are_named_all_at_once(mote, settings, names):
    result = mote.run("serve", check=False, **{"JWT_SECRET": mote.secret, "LISTEN": "127.0.0.1:0", **settings})
    assert result.returncode == 78, result.stderr
    for name in names:
        assert f"config: {name}" in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("config: ")]) == len(names)


def test_a_secret_is_never_printed(mote):
    result = mote.run("config", JWT_SECRET=mote.secret)
    assert mote.secret not in result.stdout and "redacted" in result.stdout


@pytest.mark.parametrize("arguments, code", [(["--help"], 0), (["version"], 0), (["--version"], 0), (["nothing"], 64),
                                             (["serve", "--nothing"], 64)])
def test_usage(mote, arguments, code):
    result = mote.run(*arguments, check=False, JWT_SECRET=mote.secret)
    assert result.returncode == code
    assert (result.stdout if code == 0 else result.stderr).strip()


@pytest.mark.parametrize("command, page", [("config", "configuration.md"), ("help", "commands.md")])
def test_a_page_is_what_the_table_says(mote, command, page):
    from conftest import ROOT

    text = (ROOT / "docs/reference" / page).read_text(encoding="utf-8")
    assert mote.run(command, "--reference").stdout == text


def test_secret_from_a_file_and_its_mode(mote, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(mote.secret + "\n")
    secret.chmod(0o600)
    program = mote.serve(JWT_SECRET_FILE=str(secret), JWT_SECRET="")
    assert program.stop() == 0
    secret.chmod(0o644)
    result = mote.run("serve", check=False, JWT_SECRET_FILE=str(secret), LISTEN="127.0.0.1:0")
    assert result.returncode == 78 and "config: JWT_SECRET" in result.stderr


def test_port_in_use(mote):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN=address)
    assert result.returncode == 75 and address in result.stderr
    program = mote.serve()
    result = subprocess.run([mote.program_path, "serve"], capture_output=True, text=True, check=False, timeout=30,
                            env=mote.environment(JWT_SECRET=mote.secret, LISTEN=program.address,
                                                 STORE_URL=f"sqlite:{mote.folder}/other.db"))
    assert result.returncode == 75


def test_unix_socket(mote):
    path = mote.folder / "s"
    program = mote.serve(LISTEN=f"unix:{path}")
    with grpc.insecure_channel(f"unix:{path}") as channel:
        assert Health(channel).check() == 1
    assert mote.run("healthcheck", "--addr", f"unix:{path}").returncode == 0
    assert program.stop() == 0


class Health:
    def __init__(self, channel):
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        self.pb = health_pb2
        self.stub = health_pb2_grpc.HealthStub(channel)

    def check(self, service=""):
        return self.stub.Check(self.pb.HealthCheckRequest(service=service), timeout=5).status


# --- commands ----------------------------------------------------------------------------------------------------


def test_user_create_and_login(mote):
    mote.create_user("ada", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    client = Clients(mote.serve())
    client.login("ada", ADMIN_PASSWORD)
    assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5).user.roles == [
        user_pb2.ROLE_ADMIN]


@pytest.mark.parametrize("username, password", [("9", ADMIN_PASSWORD), ("ada", "short"), ("me", ADMIN_PASSWORD)])
def test_user_create_refuses(mote, username, password):
    result = mote.run("user", "create", "--username", username, "--role", "USER", "--password-stdin",
                      input=password + "\n", check=False)
    assert result.returncode == 64 or result.returncode == 65, result.returncode
    assert password not in result.stderr and result.stderr.strip()


def test_user_create_beside_a_server_says_so(mote):
    mote.serve()
    result = mote.run("user", "create", "--username", "ada", "--role", "USER", "--password-stdin",
                      input=ADMIN_PASSWORD + "\n", check=False)
    assert result.returncode == 75 and "server" in result.stderr


def test_healthcheck(mote):
    program = mote.serve()
    assert mote.run("healthcheck", "--addr", program.address).returncode == 0
    assert mote.run("healthcheck", "--addr", program.address, "--service", "nobody", check=False).returncode == 1
    program.stop()
    assert mote.run("healthcheck", "--addr", program.address, check=False).returncode == 1


def test_probe(mote, tmp_path):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve()
    secret = tmp_path / "password"
    secret.write_text(ADMIN_PASSWORD)
    secret.chmod(0o600)
    result = mote.run("probe", "--addr", program.address, "--username", "admin", "--password-file", secret)
    assert "SERVING" in result.stdout and "admin" in result.stdout and ADMIN_PASSWORD not in result.stdout
    secret.write_text("not the password")
    assert mote.run("probe", "--addr", program.address, "--username", "admin", "--password-file", secret,
                    check=False).returncode == 1


# --- shutdown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop_completes_calls(mote, number):
    mote.create_user("ada", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve(PASSWORD_HASH="argon2id:m=65536,t=4,p=1")
    outcomes = []

    def login():
        try:
            Clients(program).login("ada", ADMIN_PASSWORD)
            outcomes.append("OK")
        except grpc.RpcError as error:
            outcomes.append(error.code().name)

    threads = [threading.Thread(target=login) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.15)
    program.process.send_signal(number)
    for thread in threads:
        thread.join(30)
    assert program.process.wait(30) == 0
    program.stop()
    # those that had reached the server completed; one that had not is refused, never cut off
    assert "OK" in outcomes and set(outcomes) <= {"OK", "UNAVAILABLE"}


def test_watch_does_not_hold_the_drain(mote):
    program = mote.serve()
    with grpc.insecure_channel(program.address) as channel:
        health = Health(channel)
        watch = health.stub.Watch(health.pb.HealthCheckRequest(), timeout=30)
        assert next(watch).status == 1
        start = time.monotonic()
        program.process.send_signal(signal.SIGTERM)
        statuses = []
        with pytest.raises(grpc.RpcError) as caught:
            for answer in watch:
                statuses.append(answer.status)
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert program.process.wait(15) == 0
        assert time.monotonic() - start < 10
        assert 2 in statuses  # NOT_SERVING came first


def test_the_grace_period_ends(mote):
    program = mote.serve(SHUTDOWN_GRACE_PERIOD="1s")
    # a connection that opened a stream and never goes on
    import h2.config
    import h2.connection

    with socket.create_connection(program.address.rsplit(":", 1)) as raw:
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        client.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "x"),
                                (":path", "/grpc.health.v1.Health/Check"), ("content-type", "application/grpc")])
        raw.sendall(client.data_to_send())
        time.sleep(0.3)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(15) == 1
    program.stop()


def test_second_signal_ends_at_once(mote):
    program = mote.serve(SHUTDOWN_DELAY="20s")
    program.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    start = time.monotonic()
    program.process.send_signal(signal.SIGTERM)
    program.process.wait(10)
    assert time.monotonic() - start < 5


# --- the store's faults ------------------------------------------------------------------------------------------


def test_two_servers_do_not_open_one_store(mote):
    mote.serve()
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0")
    assert result.returncode == 75 and "lock" in result.stderr


@pytest.mark.parametrize("content, code", [(b"this is no database at all, only text" * 100, 65)])
def test_a_corrupt_store(mote, content, code):
    mote.database.write_bytes(content)
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0")
    assert result.returncode == code and str(mote.database) in result.stderr


def test_a_missing_folder(mote):
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0",
                      STORE_URL=f"sqlite:{mote.folder}/missing/mote.db")
    assert result.returncode == 73 and "missing" in result.stderr


def test_a_store_of_a_newer_version(mote):
    mote.create_user("ada", ADMIN_PASSWORD, **CHEAP)
    with sqlite3.connect(mote.database) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0")
    assert result.returncode == 65 and "newer" in result.stderr


def test_a_full_disk(mote, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("cannot mount a small file system: " + mounted.stderr.decode().strip())
    try:
        url = f"sqlite:{folder}/mote.db"
        mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", STORE_URL=url, **CHEAP)
        program = mote.serve(STORE_URL=url)
        client = Clients(program)
        client.login("admin", ADMIN_PASSWORD)
        filler = folder / "filler"
        acknowledged = []
        error = None
        with open(filler, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 4096)
            except OSError:
                pass
        for index in range(3000):
            try:
                request = user_pb2.CreateUserRequest(user=user_pb2.User(username=f"full-{index}"))
                acknowledged.append(client.user.CreateUser(request, metadata=client.metadata, timeout=20).user.id)
            except grpc.RpcError as caught:
                error = caught
                break
        assert error is not None and reason_of(error)[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        # reads go on
        assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5)
        filler.unlink()

        def creates():
            try:
                request = user_pb2.CreateUserRequest(user=user_pb2.User(username=f"after-{random.random()}"[:20]))
                return client.user.CreateUser(request, metadata=client.metadata, timeout=5)
            except grpc.RpcError:
                return None

        wait_for(creates, 10, "writes succeed once there is room")
        for identifier in acknowledged:
            assert client.user.GetUser(user_pb2.GetUserRequest(id=identifier), metadata=client.metadata, timeout=5)
        assert program.stop() == 0
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def kill_rounds(mote, rounds):
    """Writers note what was acknowledged; the server is killed; everything noted must be there."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    acknowledged = {}
    for round_number in range(rounds):
        program = mote.serve()
        stop = threading.Event()

        def write(worker, program=program, round_number=round_number, stop=stop):
            client = Clients(program)
            try:
                client.login("admin", ADMIN_PASSWORD)
                index = 0
                while not stop.is_set():
                    name = f"k-{round_number}-{worker}-{index}"
                    request = user_pb2.CreateUserRequest(user=user_pb2.User(username=name))
                    answer = client.user.CreateUser(request, metadata=client.metadata, timeout=5)
                    acknowledged[answer.user.id] = name
                    index += 1
            except grpc.RpcError:
                pass
            finally:
                client.channel.close()

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.1, 0.6))
        program.process.kill()
        stop.set()
        for thread in threads:
            thread.join(10)
        program.process.wait()
    program = mote.serve()
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    for identifier, name in acknowledged.items():
        user = client.user.GetUser(user_pb2.GetUserRequest(id=identifier), metadata=client.metadata, timeout=5).user
        assert user.username == name
    assert program.stop() == 0
    with sqlite3.connect(mote.database) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    return len(acknowledged)


def test_kill_loses_no_acknowledged_write(mote):
    """Of many writers at once; tests/e2e/test_kill.py has all kinds of writes."""
    assert kill_rounds(mote, 5) > 20


# --- connections -------------------------------------------------------------------------------------------------


def test_connections_of_one_address_are_bounded(mote):
    program = mote.serve(MAX_CONNECTIONS_PER_ADDRESS="8")
    host, port = program.address.rsplit(":", 1)
    sockets = [socket.create_connection((host, port)) for _ in range(12)]
    time.sleep(0.5)
    closed = 0
    for connection in sockets:
        connection.settimeout(0.3)
        try:
            closed += connection.recv(65536) == b""
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed += 1
    assert closed == 4
    for connection in sockets:
        connection.close()
    wait_for(lambda: mote.run("healthcheck", "--addr", program.address, check=False).returncode == 0, 5,
             "room again after they have gone")


def test_few_file_descriptors(mote):
    """More clients than descriptors: those that are connected are served, the rest wait, nothing spins."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = {"MAX_CONNECTIONS": "20"}
    program = mote.serve(**settings)
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    host, port = program.address.rsplit(":", 1)
    sockets = [socket.create_connection((host, port)) for _ in range(60)]
    time.sleep(0.3)
    before = os.times()
    ticks = cpu_ticks(program.process.pid)
    time.sleep(1)
    assert cpu_ticks(program.process.pid) - ticks < 20, (before, soft, hard)
    assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5)
    for connection in sockets:
        connection.close()
    wait_for(lambda: mote.run("healthcheck", "--addr", program.address, check=False).returncode == 0, 10, "room again")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_garbage_is_closed_and_nobody_notices(mote):
    program = mote.serve()
    host, port = program.address.rsplit(":", 1)

    def throw(seed):
        generator = random.Random(seed)
        with socket.create_connection((host, port)) as connection:
            connection.settimeout(5)
            data = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", generator.randbytes(5000), b"\x16\x03\x01" + generator.randbytes(300),
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + generator.randbytes(300)][seed % 4]
            try:
                connection.sendall(data)
                while connection.recv(65536):
                    pass
                return True
            except ConnectionResetError:
                return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(throw, range(64))
        for _ in range(20):
            assert mote.run("healthcheck", "--addr", program.address).returncode == 0
        assert all(outcomes)
