# SPDX-License-Identifier: Apache-2.0
"""Channels of the client role on real sockets, while servers stop, start, go away and fall silent."""

import os
import queue
import signal
import socket
import subprocess
import threading
import time
from concurrent import futures

import grpc
import pytest
from certificates import Identity
from conftest import BUILD, Program, free_port, sanitizer_environment

PATIENCE = 20


def environment():
    return {"PATH": os.environ["PATH"], **sanitizer_environment()}


def address_of(record):
    return record["text"].split()[-1] if "listening on" in record.get("text", "") else None


class Client:
    """tests/servers/channel_client.c: what it says, by the name of the call."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BUILD / "channel-client", *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.said = {}
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _queue(self, name):
        with self.lock:
            return self.said.setdefault(name, queue.Queue())

    def _read(self):
        for line in self.process.stdout:
            name, _, text = line.rstrip("\n").partition(" ")
            self._queue(name).put(text)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self, name, seconds=PATIENCE):
        return self._queue(name).get(timeout=seconds)

    def hears_nothing(self, name, seconds):
        try:
            text = self._queue(name).get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError(f"{name}: {text}")

    def ask(self, line):
        self.tell(line)
        word, _, rest = line.partition(" ")
        return self.hear(rest.partition(" ")[0] or word)

    def close(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        errors = self.process.stderr.read()
        assert code == 0 and "Sanitizer" not in errors and "runtime error" not in errors, errors


@pytest.fixture
def make_client():
    clients = []

    def make(*arguments):
        clients.append(Client(*arguments))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def make_server():
    servers = []

    def make(port=0):
        servers.append(Program([BUILD / "calculator-server", "--listen", f"127.0.0.1:{port}"], environment(), address_of))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.mark.thread
def test_server_restarts(make_client, make_server):
    """What runs is lost with its server; the next call goes to the new one, on a new connection."""
    server = make_server()
    port = int(server.address.rsplit(":", 1)[1])
    client = make_client(server.address, "--backoff-ms", 100)
    assert client.ask("state") == "IDLE"
    assert client.ask("add a") == "OK 42"
    assert client.ask("state") == "READY"
    client.tell("open s")
    assert client.ask("send s") == "1"
    server.kill()
    assert client.hear("s").startswith("UNAVAILABLE")
    refused = client.ask("add b")
    assert refused == f"UNAVAILABLE cannot connect to 127.0.0.1:{port}: connection refused"
    client.tell("add c wait")
    client.hears_nothing("c", 0.5)
    make_server(port)
    assert client.hear("c") == "OK 42"
    assert client.ask("add d") == "OK 42"


def test_server_drains(make_client, make_server):
    """A server that goes away lets its calls finish, and new ones go to the next server, without one being lost."""
    server = make_server()
    port = int(server.address.rsplit(":", 1)[1])
    client = make_client(server.address, "--backoff-ms", 100)
    client.tell("open old")
    assert client.ask("send old") == "1"
    server.process.send_signal(signal.SIGTERM)
    make_server(port)
    for i in range(50):
        client.tell(f"add {i} wait")
    for i in range(50):
        assert client.hear(str(i)) == "OK 42"
    assert client.ask("send old") == "2"
    client.tell("finish old")
    assert client.hear("old") == "OK"
    assert server.process.wait(PATIENCE) == 0
    server.check_sanitizers()
    assert client.ask("add late") == "OK 42"


def test_calls_while_servers_come_and_go(make_client, make_server):
    """Two hundred calls over ten generations of a server: each is answered, none is left hanging."""
    server = make_server()
    port = int(server.address.rsplit(":", 1)[1])
    client = make_client(server.address, "--backoff-ms", 50)
    for generation in range(10):
        for i in range(20):
            client.tell(f"add {generation}.{i} wait 30000")
        assert server.stop() == 0
        server = make_server(port)
    for generation in range(10):
        for i in range(20):
            assert client.hear(f"{generation}.{i}") == "OK 42"


def test_more_calls_than_streams(make_client, make_server):
    """Streams over the server's limit wait for a place, or get another connection where that is wanted."""
    server = make_server()
    for connections in (1, 2):
        client = make_client(server.address, "--connections", connections)
        for i in range(100):
            client.tell(f"open {i}")
        assert client.ask("send 99") == "1"
        client.tell("add waits")
        if connections == 1:
            client.hears_nothing("waits", 0.5)
            client.tell("finish 50")
        assert client.hear("waits") == "OK 42"


def test_dead_address(make_client):
    """Nothing listens; then, an address that never answers: a deadline ends the wait and says for what."""
    port = free_port()
    client = make_client(f"127.0.0.1:{port}", "--backoff-ms", 60000)
    problem = f"cannot connect to 127.0.0.1:{port}: connection refused"
    assert client.ask("add a") == f"UNAVAILABLE {problem}"
    assert client.ask("state") == "TRANSIENT_FAILURE"
    assert client.ask("add b") == f"UNAVAILABLE {problem}"
    assert client.ask("add c wait 200") == f"DEADLINE_EXCEEDED deadline exceeded while waiting for a connection: {problem}"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = make_client(f"127.0.0.1:{silent.getsockname()[1]}")
        assert client.ask("add a 200") == "DEADLINE_EXCEEDED deadline exceeded while waiting for a connection"
        assert client.ask("state") == "CONNECTING"


@pytest.mark.thread
def test_unknown_host(make_client):
    client = make_client("no-such-host.invalid:443")
    assert client.ask("add a") == "UNAVAILABLE cannot connect to no-such-host.invalid:443: the host is not known"
    client.tell("add b wait")


@pytest.mark.thread
def test_other_address_of_a_name(make_client, make_server):
    """"localhost" has two addresses mostly, and the server is on one of them."""
    server = make_server()
    client = make_client(f"localhost:{server.address.rsplit(':', 1)[1]}")
    assert client.ask("add a") == "OK 42"


def test_no_http2(make_client):
    """Something else listens there."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        client = make_client(f"127.0.0.1:{other.getsockname()[1]}")
        client.tell("add a")
        peer, _ = other.accept()
        peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        assert client.hear("a").endswith(": the server does not speak HTTP/2 as it should")
        peer.close()
        time.sleep(0.1)
        client = make_client(f"127.0.0.1:{other.getsockname()[1]}")
        client.tell("add a")
        peer, _ = other.accept()
        peer.close()
        assert client.hear("a").startswith("UNAVAILABLE cannot connect to ")


def test_silent_server(make_client, make_server):
    """A stopped process answers no ping: the connection is given up, and with it its calls."""
    server = make_server()
    client = make_client(server.address, "--keepalive-ms", 500)
    client.tell("open s")
    assert client.ask("send s") == "1"
    server.process.send_signal(signal.SIGSTOP)
    try:
        assert client.hear("s") == "UNAVAILABLE keepalive: no answer to a ping"
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert client.ask("add a") == "OK 42"


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """The interop server over TLS, its authority and another one."""
    folder = tmp_path_factory.mktemp("channel")
    authority = Identity(folder, "authority", authority=True)
    stranger = Identity(folder, "stranger", authority=True)
    identity = Identity(folder, "server", issuer=authority, names=["one.example"])
    program = Program([BUILD / "interop-server", "--port=0", "--use_tls", f"--tls_cert_file={identity.certificate}",
                       f"--tls_key_file={identity.key}"], environment(), address_of)
    yield program.address, authority.certificate, stranger.certificate
    assert program.stop() == 0


def test_tls(make_client, secure):
    """The right server, one of another name, one that nobody vouches for, one without TLS."""
    address, authority, stranger = secure
    client = make_client(address, "--ca", authority, "--name", "one.example")
    assert client.ask("add a").startswith("UNIMPLEMENTED")  # it is another service: but it has answered
    for arguments in (["--ca", authority, "--name", "other.example"], ["--ca", stranger, "--name", "one.example"]):
        client = make_client(address, *arguments)
        answer = client.ask("add a")
        assert answer.startswith(f"UNAVAILABLE cannot connect to {address}: TLS: "), answer
        assert "ertificate" in answer, answer


def test_tls_with_a_plain_server(make_client, make_server, secure):
    _, authority, _ = secure
    server = make_server()
    client = make_client(server.address, "--ca", authority, "--name", "one.example")
    assert client.ask("add a").startswith(f"UNAVAILABLE cannot connect to {server.address}: TLS: ")


class AnswersAll(grpc.GenericRpcHandler):
    """AddResponse{sum: 42} to anything; whom the caller's certificate is for is kept."""

    def __init__(self):
        self.callers = []

    def service(self, details):
        def answer(_, context):
            self.callers.append(context.auth_context().get("x509_common_name"))
            return b"\x08\x2a"
        return grpc.unary_unary_rpc_method_handler(answer)


def test_client_certificate(make_client, tmp_path):
    """A server of gRPC's C core that wants to know who is there: the certificate is shown, and none or a stranger's is
    refused."""
    authority = Identity(tmp_path, "authority", authority=True)
    server, known = (Identity(tmp_path, name, issuer=authority, names=["one.example"]) for name in ("server", "known"))
    unknown = Identity(tmp_path, "unknown")
    handler = AnswersAll()
    with futures.ThreadPoolExecutor(1) as pool:
        program = grpc.server(pool, handlers=[handler])
        port = program.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
            [(server.key.read_bytes(), server.certificate.read_bytes())], authority.certificate.read_bytes(), True))
        program.start()
        trust = [f"127.0.0.1:{port}", "--ca", authority.certificate, "--name", "one.example"]
        client = make_client(*trust, "--cert", known.certificate, "--key", known.key)
        assert client.ask("add a") == "OK 42"
        for shown in ([], ["--cert", unknown.certificate, "--key", unknown.key]):
            client = make_client(*trust, *shown)
            assert client.ask("add a").startswith("UNAVAILABLE cannot connect to ")
        program.stop(0).wait()
    assert handler.callers == [[b"known"]]
