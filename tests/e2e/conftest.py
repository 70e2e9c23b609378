# SPDX-License-Identifier: Apache-2.0
"""The real program on real sockets: fixtures that start it, make accounts and clients, and end it."""

import base64
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MOTE_BUILD", ROOT / "build/asan"))
RELEASE = pathlib.Path(os.environ.get("MOTE_RELEASE", ROOT / "build/release"))
TOOLS = pathlib.Path(os.environ.get("MOTE_TOOLS", ROOT / "build/tools"))
GENERATED = ROOT / "build/e2e-python"

ADMIN_PASSWORD = "correct horse battery"


# A runner in the background may have these ignored, and programs would inherit that.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def generate_stubs():
    """Python stubs of mote's own .proto files, made anew for each run."""
    from grpc_tools import protoc

    GENERATED.mkdir(parents=True, exist_ok=True)
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    files = ["user/v1/user.proto", "auth/v1/auth.proto"]
    for folder, names in ((ROOT / "proto", files),
                          (ROOT / "tests/servers", ["calculator.proto", "guestbook.proto"])):
        status = protoc.main(["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={GENERATED}",
                              f"--grpc_python_out={GENERATED}", *names])
        assert status == 0, f"protoc failed for {names}"
    sys.path.insert(0, str(GENERATED))


generate_stubs()


class Program:
    """A server process: its log as parsed lines, its address, its end."""

    def __init__(self, command, environment, ready, pass_fds=()):
        self.command = list(map(str, command))
        self.process = subprocess.Popen(self.command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, pass_fds=pass_fds)
        self.address = None
        self.lines = []
        self.text = b""
        self._ready = ready
        self._event = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(stream,), daemon=True)
                         for stream in (self.process.stdout, self.process.stderr)]
        for thread in self._threads:
            thread.start()
        if not self._event.wait(30) or self.address is None:
            self.kill()
            raise AssertionError(f"{self.command} did not start:\n{self.text.decode(errors='replace')}")

    def _read(self, stream):
        for line in stream:
            self.text += line
            try:
                record = json.loads(line)
            except ValueError:
                record = {"text": line.decode(errors="replace").rstrip("\n")}
            self.lines.append(record)
            if self.address is None:
                self.address = self._ready(record)
                if self.address:
                    self._event.set()
        if stream is self.process.stderr:
            self._event.set()

    def channel(self, **options):
        options = {"grpc.enable_retries": 0, **options}
        return grpc.insecure_channel(self.address, options=list(options.items()))

    def stop(self, timeout=30):
        """A graceful stop; returns the exit code. Sanitizer reports come out in the text."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop:\n{self.text[-4000:].decode(errors='replace')}") from None
        for thread in self._threads:
            thread.join(5)
        self.check_sanitizers()
        return code

    def check_sanitizers(self):
        for mark in (b"AddressSanitizer", b"LeakSanitizer", b"runtime error:", b"ThreadSanitizer",
                     b"assertion failed"):
            assert mark not in self.text, self.text[-8000:].decode(errors="replace")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def admin(self):
        """The address of the admin port."""
        return self.events("admin.listening")[-1]["admin_address"]

    def events(self, name):
        return [line for line in self.lines if line.get("event") == name]


def sanitizer_environment():
    return {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=2",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
            "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1"}


class Mote:
    """A state folder and the program that serves it."""

    def __init__(self, folder, build=BUILD):
        self.folder = pathlib.Path(folder)
        self.program_path = build / "mote"
        self.secret = base64.b64encode(secrets.token_bytes(48)).decode()
        self.database = self.folder / "mote.db"
        self.programs = []

    def environment(self, **settings):
        base = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "STORE_URL": f"sqlite:{self.database}",
                **sanitizer_environment()}
        return {**base, **settings}

    def run(self, *arguments, input=None, timeout=60, check=True, **settings):
        result = subprocess.run([self.program_path, *map(str, arguments)], input=input, capture_output=True,
                                timeout=timeout, env=self.environment(**settings), text=True, check=False)
        if check:
            assert result.returncode == 0, result.stderr + result.stdout
        return result

    def create_user(self, username, password, role="USER", **settings):
        return self.run("user", "create", "--username", username, "--role", role, "--password-stdin",
                        input=password + "\n", **settings)

    def serve(self, *, through=(), pass_fds=(), **settings):
        """`through`: a command line that the server's own is put behind."""
        settings = {"JWT_SECRET": self.secret, "LISTEN": "127.0.0.1:0", "ADMIN_LISTEN": "127.0.0.1:0", "LOG_FORMAT": "json", "LOG_ACCESS": "all",
                    "REFLECTION": "on", "WORKERS": "2", "MAX_CONNECTIONS_PER_ADDRESS": "2000",
                    "PASSWORD_HASH": "argon2id:m=1024,t=1,p=1", **settings}
        program = Program([*through, self.program_path, "serve"], self.environment(**settings),
                          lambda record: record.get("address") if record.get("event") == "net.listening" else None,
                          pass_fds)
        self.programs.append(program)
        return program


@pytest.fixture
def mote(tmp_path):
    """A fresh state folder; whatever it started is stopped at the end, and its sanitizers looked at."""
    instance = Mote(tmp_path)
    yield instance
    for program in instance.programs:
        if program.process.poll() is None:
            assert program.stop() in (0, 1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server for a whole module, with an administrator: (Mote, Program)."""
    instance = Mote(tmp_path_factory.mktemp("mote"))
    instance.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = instance.serve()
    yield instance, program
    if program.process.poll() is None:
        assert program.stop() in (0, 1)


@pytest.fixture(scope="module")
def calculator():
    """The calculator server of tests/servers."""
    program = Program([BUILD / "calculator-server", "--listen", "127.0.0.1:0"],
                      {"PATH": os.environ["PATH"], **sanitizer_environment()},
                      lambda record: record["text"].split()[-1] if "listening on" in record.get("text", "") else None)
    yield program
    assert program.stop() == 0


@pytest.fixture(scope="session")
def go_tool():
    """go_tool(name) is the path of a program of tests/run's GO_TOOLS."""
    if os.environ.get("MOTE_NO_TOOLS"):
        pytest.skip(os.environ["MOTE_NO_TOOLS"])

    def path(name):
        tool = TOOLS / name
        assert tool.exists(), f"{tool} is missing: tests/run builds it"
        return tool

    return path


@pytest.fixture(scope="session")
def grpcurl(go_tool):
    path = go_tool("grpcurl")

    def call(*arguments, check=True, timeout=30, input=None):
        result = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                                input=input, check=False)
        if check:
            assert result.returncode == 0, result.stderr + result.stdout
        return result

    return call


class Clients:
    """Generated stubs on a channel, with a token when there is one."""

    def __init__(self, program, token=None):
        from auth.v1 import auth_pb2_grpc
        from user.v1 import user_pb2_grpc

        self.channel = program.channel()
        self.auth = auth_pb2_grpc.AuthServiceStub(self.channel)
        self.user = user_pb2_grpc.UserServiceStub(self.channel)
        self.token = token

    @property
    def metadata(self):
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def login(self, username, password):
        from auth.v1 import auth_pb2

        response = self.auth.Login(auth_pb2.LoginRequest(username=username, password=password), timeout=20)
        self.token = response.tokens.access_token
        return response


@pytest.fixture
def clients(shared):
    made = []

    def make(username=None, password=None):
        client = Clients(shared[1])
        made.append(client)
        if username:
            client.login(username, password)
        return client

    yield make
    for client in made:
        client.channel.close()


def reason_of(error):
    """(code, reason, domain, violated fields) of a refusal, with its details decoded; exactly one ErrorInfo."""
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    infos, fields, retry = [], [], None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            infos.append(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields += [violation.field for violation in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
    assert len(infos) == 1, infos
    return error.code(), infos[0].reason, infos[0].domain, fields


def end(process, seconds=20):
    """SIGTERM to a tool that a test has started, and SIGKILL where that is not enough."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(count):
    """Ports of loopback that nothing had a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def free_port():
    return free_ports(1)[0]


def wait_for(condition, seconds=10, what="condition"):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")
