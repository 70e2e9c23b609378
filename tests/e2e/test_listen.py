# SPDX-License-Identifier: Apache-2.0
"""What a server listens on: several addresses at once, files of unix sockets, sockets handed over by a service manager,
the address for probes, and what cannot be listened on."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import grpc
import pytest
from certificates import Identity
from conftest import wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING

# A service manager in small: the descriptors of its arguments become 3, 4, … (sd_listen_fds(3)), and what stands behind
# "--" is run.
HAND_OVER = """
import fcntl, os, sys
end = sys.argv.index("--")
fds = [int(fd) for fd in sys.argv[2:end]]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
if sys.argv[1]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[1]
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
"""


def addresses(program, count):
    wait_for(lambda: program.events("server.started"), what="it has started")
    found = [line["address"] for line in program.events("net.listening")]
    assert len(found) == count, found
    return found


def check(target, timeout=10, credentials=None):
    with (grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout).status


def serve_handed(mote, sockets, names="", **settings):
    fds = [each.fileno() for each in sockets]
    return mote.serve(through=[sys.executable, "-c", HAND_OVER, names, *fds, "--"], pass_fds=fds, **settings)


def listening(family, address):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    made.listen(100)
    return made


def refused(mote, code, text, **settings):
    """One line that says why, and the exit code."""
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LOG_FORMAT="logfmt", **settings)
    errors = [line for line in result.stderr.splitlines() if "level=error" in line or line.startswith("config:")]
    assert result.returncode == code, result.stderr
    assert len(errors) == 1 and text in errors[0], result.stderr


# --- several at once ---------------------------------------------------------------------------------------------


@pytest.mark.thread
def test_all_kinds_at_once(mote):
    """Each worker serves each of them."""
    name = f"mote-test-{os.getpid()}"
    program = mote.serve(LISTEN=f"127.0.0.1:0,[::1]:0,unix:{mote.folder}/s,unix-abstract:{name}", WORKERS="2")
    found = addresses(program, 4)
    assert found[0].startswith("127.0.0.1:") and found[1].startswith("[::1]:")
    assert found[2:] == [f"unix:{mote.folder}/s", f"unix-abstract:{name}"]
    for target in found:
        for _ in range(4):
            assert check(target) == SERVING
        assert mote.run("healthcheck", "--addr", target).returncode == 0
    assert program.stop() == 0
    assert not (mote.folder / "s").exists()


def test_both_families_on_one_port(mote):
    program = mote.serve(LISTEN="[::]:0", INSECURE="true")
    port = addresses(program, 1)[0].rsplit(":", 1)[1]
    assert check(f"127.0.0.1:{port}") == SERVING
    assert check(f"[::1]:{port}") == SERVING
    wait_for(lambda: len(program.events("rpc.finished")) == 2, what="both calls in the log")
    peers = {line["peer"].rsplit(":", 1)[0] for line in program.events("rpc.finished")}
    assert peers == {"127.0.0.1", "[::1]"}  # and not ::ffff:127.0.0.1


def test_addresses_that_cannot_be_had(mote, tmp_path):
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused(mote, 75, f"127.0.0.1:{port}: Address already in use; another program listens there",
                LISTEN=f"127.0.0.1:0,127.0.0.1:{port}")
    (tmp_path / "file").write_text("precious")
    refused(mote, 78, "file: File exists; it is not a socket", LISTEN=f"unix:{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "precious"
    refused(mote, 78, "No such file or directory", LISTEN=f"unix:{tmp_path}/missing/s")
    refused(mote, 78, "the name of a unix socket has 1 to 107 bytes", LISTEN="unix:/" + "x" * 107)
    refused(mote, 78, "the mode of a unix socket is octal", LISTEN="unix:/s?mode=rw")
    refused(mote, 78, "Cannot assign requested address", LISTEN="192.0.2.1:0", INSECURE="true")
    # the others are let go again, files and all
    refused(mote, 78, "No such file", LISTEN=f"unix:{tmp_path}/s,unix:{tmp_path}/missing/s")
    assert not (tmp_path / "s").exists()


# --- files of unix sockets ---------------------------------------------------------------------------------------


def test_rights_of_the_file(mote):
    path = mote.folder / "s"
    before = os.umask(0o077)  # as a hardened unit has it
    try:
        for options, mode in (("", 0o700), ("?mode=0660", 0o660), ("?mode=0606", 0o606), ("?mode=0", 0)):
            program = mote.serve(LISTEN=f"unix:{path}{options}")
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert program.stop() == 0
    finally:
        os.umask(before)
    if os.getuid() == 0:
        program = mote.serve(LISTEN=f"unix:{path}?owner=nobody&group=4242&mode=0640")
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 4242, 0o640)
        assert check(f"unix:{path}") == SERVING
        # mote's own commands find it by the environment of the server
        assert mote.run("healthcheck", LISTEN=f"unix:{path}?owner=nobody&mode=0640").returncode == 0


def test_left_over_and_living_sockets(mote, tmp_path):
    """A file that nobody listens on is replaced; one that somebody listens on is not."""
    path = mote.folder / "s"
    with listening(socket.AF_UNIX, str(path)) as other:
        refused(mote, 75, "Address already in use; another program listens there", LISTEN=f"unix:{path}")
        other.setblocking(False)
        other.accept()  # the question whether somebody is there
    assert path.exists()
    program = mote.serve(LISTEN=f"unix:{path}")
    assert check(f"unix:{path}") == SERVING
    # Somebody else's file in that place is not removed at the end.
    path.unlink()
    with listening(socket.AF_UNIX, str(path)):
        assert program.stop() == 0
        assert path.exists()


# --- sockets that were handed over -------------------------------------------------------------------------------


@pytest.mark.thread
def test_handed_over(mote):
    """Of every family, and on both workers; at the end they are still there, and their files."""
    path = mote.folder / "s"
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as v4, listening(socket.AF_INET6, ("::1", 0)) as v6, \
            listening(socket.AF_UNIX, str(path)) as unix:
        program = serve_handed(mote, [v4, v6, unix], LISTEN="systemd:")
        found = addresses(program, 3)
        assert found == [f"127.0.0.1:{v4.getsockname()[1]}", f"[::1]:{v6.getsockname()[1]}", f"unix:{path}"]
        for target in found:
            for _ in range(4):
                assert check(target) == SERVING
        assert program.stop() == 0
        assert path.exists()
        # Who comes meanwhile waits for the next server, and is not refused.
        with socket.create_connection(v4.getsockname()) as early:
            program = serve_handed(mote, [v4], LISTEN="systemd:")
            early.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            early.settimeout(10)
            assert early.recv(9)[3] == 4  # SETTINGS
        assert program.stop() == 0


def test_handed_over_by_name(mote):
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as one, listening(socket.AF_INET, ("127.0.0.1", 0)) as two, \
            listening(socket.AF_INET, ("127.0.0.1", 0)) as three:
        ports = [each.getsockname()[1] for each in (one, two, three)]
        program = serve_handed(mote, [one, two, three], "grpc:probe:grpc", LISTEN="systemd:grpc,127.0.0.1:0",
                               HEALTH_LISTEN="systemd:probe")
        found = addresses(program, 4)
        assert [found[0], found[1], found[3]] == [f"127.0.0.1:{ports[i]}" for i in (0, 2, 1)]
        for target in found:
            assert check(target) == SERVING
        assert program.stop() == 0
        program = serve_handed(mote, [one, two, three], "grpc:probe:other", LISTEN="systemd:other,systemd:")
        assert addresses(program, 3) == [f"127.0.0.1:{ports[i]}" for i in (2, 0, 1)]


def test_handed_over_to_the_network(mote):
    """The socket itself says whether it can be reached from elsewhere."""
    with listening(socket.AF_INET, ("0.0.0.0", 0)) as wide:
        fds = [wide.fileno()]
        result = subprocess.run([sys.executable, "-c", HAND_OVER, "", str(fds[0]), "--", mote.program_path, "serve"],
                                env=mote.environment(JWT_SECRET=mote.secret, LISTEN="systemd:"), pass_fds=fds,
                                capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode == 78 and "systemd: can be reached over the network" in result.stderr
        program = serve_handed(mote, [wide], LISTEN="systemd:", INSECURE="true", REFLECTION="auto")
        assert addresses(program, 1) == [f"0.0.0.0:{wide.getsockname()[1]}"]
        assert program.events("config.insecure")
        assert program.events("server.started")[0]["reflection"] is False


def test_nothing_handed_over(mote):
    refused(mote, 78, "no such socket was handed over", LISTEN="systemd:")
    refused(mote, 78, "no such socket was handed over", LISTEN="systemd:", LISTEN_PID="1", LISTEN_FDS="1")
    asked = mote.run("healthcheck", check=False, LISTEN="systemd:")
    assert asked.returncode == 1 and "want --addr" in asked.stderr
    with socket.socket() as deaf, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, \
            open("/dev/null", "rb") as file:
        for each in (deaf, datagrams):
            each.bind(("127.0.0.1", 0))
        for each, text in ((deaf, "Protocol wrong type"), (datagrams, "Protocol wrong type"),
                           (file, "Socket operation on non-socket")):
            result = subprocess.run([sys.executable, "-c", HAND_OVER, "", str(each.fileno()), "--", mote.program_path,
                                     "serve"], env=mote.environment(JWT_SECRET=mote.secret, LISTEN="systemd:"),
                                    pass_fds=[each.fileno()], capture_output=True, text=True, timeout=30, check=False)
            assert result.returncode == 78 and text in result.stderr, result.stderr
            assert "must be a listening stream socket" in result.stderr


def test_socket_activation(mote):
    """By systemd's own tool: it starts the server at the first connection, which is then answered."""
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        pytest.skip("systemd-socket-activate is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"JWT_SECRET": mote.secret, "LISTEN": "systemd:grpc", "LOG_FORMAT": "json"}
    environment = mote.environment(**settings)
    names = [f"--setenv={name}" for name in environment]
    with subprocess.Popen([activate, "-l", f"127.0.0.1:{port}", "--fdname=grpc", *names, mote.program_path, "serve"],
                          env=environment, stderr=subprocess.PIPE) as process:
        try:
            assert b"Listening on" in process.stderr.readline()
            assert check(f"127.0.0.1:{port}", timeout=20) == SERVING
        finally:
            process.terminate()
            text = process.stderr.read()
        assert process.wait(20) == 0, text
        assert b'"address":"127.0.0.1:%d"' % port in text


# --- the service manager is told -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_abstract", [False, True])
def test_service_manager_is_told(mote, is_abstract):
    """sd_notify(3): ready when it listens, not before; reloads; that it lives; that it ends."""
    name = f"@mote-notify-{os.getpid()}" if is_abstract else str(mote.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(10)

        def hear(expected):
            message = manager.recv(1000).decode()
            while message == "WATCHDOG=1" and expected != message:
                message = manager.recv(1000).decode()
            return message

        with listening(socket.AF_INET, ("127.0.0.1", 0)) as other:  # nothing is said of a start that fails
            refused(mote, 75, "Address already in use", LISTEN="127.0.0.1:%d" % other.getsockname()[1],
                    NOTIFY_SOCKET=name)
        program = mote.serve(NOTIFY_SOCKET=name, WATCHDOG_USEC="3000000", SHUTDOWN_DELAY="3s")
        assert hear("READY=1") == f"READY=1\nSTATUS=listening on {program.address}"
        assert check(program.address) == SERVING
        for _ in range(3):
            assert hear("WATCHDOG=1") == "WATCHDOG=1"
        before = time.monotonic_ns() // 1000
        program.process.send_signal(signal.SIGHUP)
        reloading = dict(line.split("=") for line in hear("RELOADING=1").split("\n"))
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert hear("READY=1") == "READY=1"
        program.process.terminate()
        assert hear("STOPPING=1").startswith("STOPPING=1\n")
        assert hear("WATCHDOG=1") == "WATCHDOG=1"  # not to be killed while calls may end
        assert program.process.wait(20) == 0
    # nobody there, or nonsense: nothing happens
    for wrong in (name, "relative", "@", "/" + "x" * 200):
        program = mote.serve(NOTIFY_SOCKET=wrong)
        assert program.stop() == 0


def test_watchdog_of_another_process(mote):
    path = str(mote.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(2.5)
        program = mote.serve(NOTIFY_SOCKET=path, WATCHDOG_USEC="3000000", WATCHDOG_PID="1")
        assert manager.recv(1000).startswith(b"READY=1")
        with pytest.raises(TimeoutError):
            manager.recv(1000)
        assert program.stop() == 0


@contextlib.contextmanager
def stopped(thread):
    """One thread of a process stands still, the others go on (ptrace(2))."""
    seize, interrupt, detach, wait_all = 0x4206, 0x4207, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)

    def trace(request):
        if libc.ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"ptrace {request:#x}")

    trace(seize)
    trace(interrupt)
    os.waitpid(thread, wait_all)
    try:
        yield
    finally:
        trace(detach)


def test_watchdog_sees_a_worker_that_is_stuck(mote):
    """Nothing is said while one of the workers does not come round, whatever the other does; then it goes on."""
    path = str(mote.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        program = mote.serve(NOTIFY_SOCKET=path, WATCHDOG_USEC="3000000", WORKERS="2")
        while manager.recv(1000) != b"WATCHDOG=1":
            pass
        threads = [int(entry.name) for entry in pathlib.Path(f"/proc/{program.process.pid}/task").iterdir()
                   if (entry / "comm").read_text(encoding="utf-8").strip() == "mote-worker"]
        assert len(threads) == 2
        for thread in threads:
            with stopped(thread):
                time.sleep(2.5)  # one look had begun before, and its answer was there
                manager.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        manager.recv(1000)
                manager.settimeout(2.5)
                with pytest.raises(TimeoutError):
                    manager.recv(1000)
            manager.settimeout(10)
            assert manager.recv(1000) == b"WATCHDOG=1"
        assert program.stop() == 0


# --- probes ------------------------------------------------------------------------------------------------------


def test_health_listener(mote, tmp_path):
    """Beside a main port that wants TLS and a certificate: health in the clear, and nothing else."""
    authority = Identity(tmp_path, "authority", authority=True)
    server = Identity(tmp_path, "server", issuer=authority, names=["one.example"])
    settings = {"TLS_CERT_FILE": str(server.certificate), "TLS_KEY_FILE": str(server.key),
                "TLS_CLIENT_CA_FILE": str(authority.certificate)}
    program = mote.serve(HEALTH_LISTEN="0.0.0.0:0", **settings)  # the network may ask: there is no secret in it
    assert not program.events("config.insecure")
    main, wide = addresses(program, 2)
    health = wide.replace("0.0.0.0", "127.0.0.1")
    assert check(health) == SERVING
    with grpc.insecure_channel(health) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="liveness"), timeout=10)
        assert next(watch).status == SERVING
        watch.cancel()
        for path, text in (("/auth.v1.AuthService/Login", "unknown service auth.v1.AuthService"),
                           ("/user.v1.UserService/GetUser", "unknown service user.v1.UserService"),
                           ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                            "unknown service grpc.reflection.v1.ServerReflection"),
                           ("/grpc.health.v1.HealthX/Check", "unknown service grpc.health.v1.HealthX"),
                           ("/grpc.health.v1.Health/Nothing",
                            "unknown method Nothing for service grpc.health.v1.Health")):
            with pytest.raises(grpc.RpcError) as answer:
                channel.unary_unary(path)(b"", timeout=10)
            assert (answer.value.code(), answer.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, text)
    with pytest.raises(grpc.RpcError):
        check(main, timeout=3)  # in the clear: no
    # The server's own environment is all that a probe of the container needs.
    own = {"LISTEN": main, "HEALTH_LISTEN": wide, **settings}
    assert mote.run("healthcheck", **own).returncode == 0
    assert mote.run("healthcheck", "--addr", main, check=False, **own).returncode == 1  # it has no certificate
    # In the shutdown's delay it says so.
    assert program.stop() == 0


@pytest.mark.thread
def test_health_listener_tells_of_the_end(mote):
    program = mote.serve(HEALTH_LISTEN=f"127.0.0.1:0,unix:{mote.folder}/h", SHUTDOWN_DELAY="2s")
    targets = addresses(program, 3)
    assert [check(target) for target in targets] == [SERVING] * 3
    program.process.terminate()
    wait_for(lambda: check(targets[1]) == health_pb2.HealthCheckResponse.NOT_SERVING, 2, "NOT_SERVING")
    assert check(targets[2]) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert program.stop() == 0


def test_health_listener_of_a_full_server(mote):
    """Who takes all places does not have the server restarted; and of the places for probes, nobody has all."""
    program = mote.serve(HEALTH_LISTEN="127.0.0.1:0", MAX_CONNECTIONS="10")
    main, health = (tuple(target.rsplit(":", 1)) for target in addresses(program, 2))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    taken = [socket.create_connection(main) for _ in range(20)]
    assert check(":".join(health)) == SERVING
    probes = []

    def is_taken(source):
        probe = socket.create_connection(health, source_address=(source, 0))
        probes.append(probe)
        probe.settimeout(10)
        try:
            probe.sendall(preface)
            return probe.recv(9) != b""
        except ConnectionResetError:
            return False

    assert [is_taken("127.0.0.2") for _ in range(17)] == [True] * 16 + [False]
    assert all(is_taken(f"127.0.0.{number}") for number in (3, 4) for _ in range(16))
    assert check(":".join(health)) == SERVING
    for each in taken + probes:
        each.close()
    wait_for(lambda: mote.run("healthcheck", "--addr", ":".join(main), check=False).returncode == 0, what="room again")


def test_health_listener_in_use(mote):
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused(mote, 75, f"127.0.0.1:{port}: Address already in use", LISTEN="127.0.0.1:0",
                HEALTH_LISTEN=f"127.0.0.1:{port}")
