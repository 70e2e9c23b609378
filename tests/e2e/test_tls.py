# SPDX-License-Identifier: Apache-2.0
"""TLS as clients see it: who gets in, with what, and what happens when the files change."""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
from certificates import Identity
from conftest import wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc


class Files:
    def __init__(self, folder):
        self.authority = Identity(folder, "authority", authority=True)
        self.stranger = Identity(folder, "stranger", authority=True)
        self.server = Identity(folder, "server", issuer=self.authority, names=["one.example", "*.wild.example"])
        self.rsa = Identity(folder, "rsa", issuer=self.authority, names=["one.example"], rsa=True)
        self.other = Identity(folder, "other", issuer=self.authority, names=["two.example"])
        self.client = Identity(folder, "client", issuer=self.authority)
        self.bad_client = Identity(folder, "bad-client", issuer=self.stranger)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("certificates"))


def serve(mote, *identities, **settings):
    return mote.serve(TLS_CERT_FILE=",".join(str(each.certificate) for each in identities),
                      TLS_KEY_FILE=",".join(str(each.key) for each in identities), **settings)


def channel_to(program, files, name="one.example", client=None, authority=None):
    credentials = grpc.ssl_channel_credentials(
        (authority or files.authority).certificate.read_bytes(),
        client.key.read_bytes() if client else None, client.certificate.read_bytes() if client else None)
    return grpc.secure_channel(program.address, credentials,
                               [("grpc.ssl_target_name_override", name), ("grpc.enable_retries", 0)])


def check(channel, timeout=10):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout).status


def is_served(*arguments, **options):
    with channel_to(*arguments, **options) as channel:
        try:
            return check(channel, timeout=5) == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error
            return False


def raw_context(files, protocols=("h2",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.authority.certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def raw_connection(program, context, name="one.example", session=None):
    host, port = program.address.rsplit(":", 1)
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=10), server_hostname=name,
                               session=session)


def test_calls(mote, files):
    """Unary calls, large ones and streams, over both kinds of keys."""
    for identity in (files.server, files.rsa):
        program = serve(mote, identity)
        with channel_to(program, files) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            pending = [stub.Check.future(health_pb2.HealthCheckRequest(), timeout=30) for _ in range(500)]
            assert all(each.result().status == health_pb2.HealthCheckResponse.SERVING for each in pending)
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
            with pytest.raises(grpc.RpcError) as refused:  # over the bound of a message, in several records
                channel.unary_unary("/auth.v1.AuthService/Login")(b"\x1a\xff\xff\x03" + b"x" * 65535, timeout=10)
            assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert program.stop() == 0


def test_who_is_trusted(mote, files):
    program = serve(mote, files.server)
    assert is_served(program, files)
    assert is_served(program, files, name="a.wild.example")
    assert not is_served(program, files, name="nobody.example")
    assert not is_served(program, files, authority=files.stranger)


def test_names(mote, files):
    """Each name its own certificate, of each kind of key."""
    program = serve(mote, files.server, files.rsa, files.other)
    assert is_served(program, files, name="two.example")
    context = raw_context(files)
    for name, expected in (("one.example", "server"), ("two.example", "other"), ("a.wild.example", "server")):
        with raw_connection(program, context, name) as connection:
            assert connection.getpeercert()["subject"] == ((("commonName", expected),),)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    with raw_connection(program, context) as connection:
        assert connection.getpeercert()["subject"] == ((("commonName", "rsa"),),)


@pytest.mark.parametrize("choice", ["required", "optional"])
def test_client_certificates(mote, files, choice):
    program = serve(mote, files.server, TLS_CLIENT_CA_FILE=str(files.authority.certificate), TLS_CLIENT_AUTH=choice)
    assert is_served(program, files, client=files.client)
    assert is_served(program, files) == (choice == "optional")
    assert not is_served(program, files, client=files.bad_client)
    # handlers and interceptors know which machine it is: the log's does
    wait_for(lambda: len(program.events("rpc.finished")) == (2 if choice == "optional" else 1), what="the log's lines")
    assert [line.get("tls_subject") for line in program.events("rpc.finished")][:2] in (
        ["CN=client"], ["CN=client", None])
    line = program.events("rpc.finished")[0]
    assert re.match(r"TLSv1\.[23]/TLS[-0-9A-Z]+$", line["tls"]) and line["conn_id"] >= 1 and line["http2_stream"] == 1


def test_protocols(mote, files):
    """h2 or nothing (RFC 9113 §3.3): no data before that is agreed on."""
    program = serve(mote, files.server)
    for protocols in ((), ("http/1.1",), ("h2c",)):
        try:
            with raw_connection(program, raw_context(files, protocols)) as connection:
                assert connection.recv(100) == b""
        except (ssl.SSLError, ConnectionResetError):
            pass
    with raw_connection(program, raw_context(files, ("http/1.1", "h2"))) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.recv(9)[3] == 4  # SETTINGS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_versions_and_suites(mote, files):
    """TLS 1.2 with the suites that RFC 9113 allows; nothing older, nothing weaker."""
    program = serve(mote, files.server, files.rsa)
    good = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]

    def works(context):
        try:
            with raw_connection(program, context):
                return True
        except (ssl.SSLError, ConnectionResetError):
            return False

    context = raw_context(files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for suite in good:
        context.set_ciphers(suite)
        assert works(context), suite
    every = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    every.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    bad = [each["name"] for each in every.get_ciphers() if each["protocol"] != "TLSv1.3" and each["name"] not in good]
    assert len(bad) > 20
    context = raw_context(files)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(bad) + ":@SECLEVEL=0")  # all of them in one offer
    assert not works(context)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = raw_context(files)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        assert not works(context), version


def test_resumption(mote, files):
    """A session that comes back skips the certificate; where clients show theirs, there is no such short cut."""
    for settings, expected in (({}, True), ({"TLS_CLIENT_CA_FILE": str(files.authority.certificate)}, False)):
        program = serve(mote, files.server, **settings)
        context = raw_context(files)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(files.client.certificate, files.client.key)
        with raw_connection(program, context) as first:
            session = first.session
            assert not first.session_reused
        with raw_connection(program, context, session=session) as second:
            assert second.session_reused == expected
        assert program.stop() == 0


def test_plain_text_on_the_port(mote, files):
    program = serve(mote, files.server)
    host, port = program.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        answer = plain.recv(100)
        assert answer == b"" or answer[0] == 21  # an alert
    with pytest.raises(grpc.RpcError):
        check(program.channel(), timeout=2)
    assert is_served(program, files)


def test_tls_on_a_plain_port(mote, files):
    program = mote.serve()
    assert not is_served(program, files)
    with program.channel() as channel:
        assert check(channel) == health_pb2.HealthCheckResponse.SERVING


def test_slow_handshake(mote, files):
    """Who says nothing, or next to nothing, is gone after the preface's time; the others do not notice."""
    program = serve(mote, files.server)
    host, port = program.address.rsplit(":", 1)
    slow = [socket.create_connection((host, int(port))) for _ in range(100)]
    began = time.monotonic()
    for each in slow[:50]:
        each.sendall(b"\x16\x03\x01")
    assert is_served(program, files)
    for each in slow:
        each.settimeout(10)
        try:
            while each.recv(1000):
                pass
        except ConnectionResetError:
            pass
    assert 3 < time.monotonic() - began < 9
    assert is_served(program, files)


def test_many_handshakes(mote, files):
    """More than the server lets in at once: they wait for their turn, and calls go on meanwhile."""
    program = serve(mote, files.server, WORKERS="1")
    context = raw_context(files)
    results = []

    def shake():
        try:
            with raw_connection(program, context) as connection:
                results.append(connection.recv(9)[3] == 4)
        except OSError as error:
            results.append(error)

    with channel_to(program, files) as channel:
        assert check(channel) == health_pb2.HealthCheckResponse.SERVING
        threads = [threading.Thread(target=shake) for _ in range(100)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert check(channel, timeout=5) == health_pb2.HealthCheckResponse.SERVING
        for thread in threads:
            thread.join()
    assert results == [True] * 100


class Load:
    """Calls without a pause on fresh connections until it is left."""

    def __init__(self, program, files):
        self.program, self.files = program, files
        self.done, self.failed = 0, []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over.is_set():
            try:
                with channel_to(self.program, self.files) as channel:
                    check(channel)
                self.done += 1
            except grpc.RpcError as error:
                self.failed.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.is_over.set()
        self.thread.join()


def serial_of(program, files):
    with raw_connection(program, raw_context(files)) as connection:
        return connection.getpeercert()["serialNumber"]


def test_new_certificates(mote, files, tmp_path):
    """Changed files are taken by themselves and on SIGHUP; open connections live on; no call fails."""
    live = Identity(tmp_path, "live", issuer=files.authority, names=["one.example"])
    program = serve(mote, live)
    with channel_to(program, files) as old, Load(program, files) as load:
        assert check(old) == health_pb2.HealthCheckResponse.SERVING
        for count in range(1, 6):
            before = serial_of(program, files)
            fresh = Identity(tmp_path, f"fresh{count}", issuer=files.authority, names=["one.example"])
            shutil.move(fresh.key, live.key)
            shutil.move(fresh.certificate, live.certificate)
            if count % 2:
                program.process.send_signal(signal.SIGHUP)
            wait_for(lambda: serial_of(program, files) != before, what="the new certificate")
        assert check(old) == health_pb2.HealthCheckResponse.SERVING
    assert load.done > 10 and load.failed == []


def test_bad_new_certificates(mote, files, tmp_path):
    """A file that cannot be used is told of once, and what was there goes on."""
    live = Identity(tmp_path, "live", issuer=files.authority, names=["one.example"])
    good = live.certificate.read_bytes()
    program = serve(mote, live)
    before = serial_of(program, files)
    for count, content in enumerate((b"", good[:100], files.other.certificate.read_bytes()), 1):
        live.certificate.write_bytes(content)
        wait_for(lambda: len(program.events("tls.reload_failed")) >= count, what="the log says so")
        assert serial_of(program, files) == before
    assert "live.key: the key is not the one of the certificate in" in program.events("tls.reload_failed")[-1]["err"]
    live.certificate.write_bytes(good)
    wait_for(lambda: program.events("tls.reloaded"), what="the good one is taken again")


def test_bad_files_at_start(mote, files, tmp_path):
    encrypted = Identity(tmp_path, "encrypted", password="sesame")
    empty = tmp_path / "empty.pem"
    empty.touch()
    cases = [
        ({"TLS_CERT_FILE": files.server.certificate}, 78, "TLS_KEY_FILE: want as many files as TLS_CERT_FILE has"),
        ({"TLS_KEY_FILE": files.server.key}, 78, "TLS_KEY_FILE: want as many files as TLS_CERT_FILE has"),
        ({"TLS_CLIENT_CA_FILE": files.authority.certificate}, 78, "TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE"),
        ({"TLS_CERT_FILE": tmp_path / "missing.pem", "TLS_KEY_FILE": files.server.key}, 66, "missing.pem"),
        ({"TLS_CERT_FILE": empty, "TLS_KEY_FILE": files.server.key}, 78, "empty.pem: the file is empty"),
        ({"TLS_CERT_FILE": files.server.key, "TLS_KEY_FILE": files.server.key}, 78, "holds a private key"),
        ({"TLS_CERT_FILE": files.server.certificate, "TLS_KEY_FILE": files.rsa.key}, 78, "the key is not the one"),
        ({"TLS_CERT_FILE": encrypted.certificate, "TLS_KEY_FILE": encrypted.key}, 78, "no password is given"),
        ({"TLS_CERT_FILE": encrypted.certificate, "TLS_KEY_FILE": encrypted.key, "TLS_KEY_PASSWORD": "wrong"}, 78,
         "the password"),  # one time in 256 a wrong one looks right until the key is read
        ({"TLS_CERT_FILE": files.server.certificate, "TLS_KEY_FILE": files.server.key,
          "TLS_CLIENT_CA_FILE": empty}, 78, "empty.pem: the file is empty"),
    ]
    for settings, code, text in cases:
        settings = {name: str(value) for name, value in settings.items()}
        result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0", **settings)
        assert result.returncode == code, (settings, result.stderr)
        assert text in result.stderr, (settings, result.stderr)
        assert "sesame" not in result.stderr and "wrong" not in result.stderr
    program = mote.serve(TLS_CERT_FILE=str(encrypted.certificate), TLS_KEY_FILE=str(encrypted.key),
                         TLS_KEY_PASSWORD="sesame")
    assert program.stop() == 0


def test_addresses_of_a_network_need_no_insecure(mote, files):
    """Where it is set all the same, as in the image, nothing is said of a clear that is not there."""
    for insecure in ("false", "true"):
        program = serve(mote, files.server, LISTEN="0.0.0.0:0", INSECURE=insecure)
        assert not program.events("config.insecure")
        assert program.stop() == 0


def test_renegotiation_is_refused(mote, files):
    """Again and again asked for, it ends the connection (RFC 9113 §9.2.1)."""
    program = serve(mote, files.server)
    result = subprocess.run(["openssl", "s_client", "-connect", program.address, "-alpn", "h2", "-tls1_2"],
                            input=b"R\nR\nR\nR\nR\nR\nQ\n", capture_output=True, timeout=30, check=False)
    assert b"RENEGOTIATING" in result.stdout + result.stderr
    assert b"no renegotiation" in (result.stdout + result.stderr).lower() or result.returncode != 0
    assert is_served(program, files)


def test_healthcheck(mote, files, tmp_path):
    """Beside the server, with its environment, it needs no flags; from elsewhere, an authority and a name."""
    program = serve(mote, files.server)

    def ask(*arguments, **settings):
        return mote.run("healthcheck", "--timeout", "5s", *arguments, check=False, **settings)

    own = {"LISTEN": program.address, "TLS_CERT_FILE": str(files.server.certificate)}
    assert ask(**own).returncode == 0
    refused = ask(**{**own, "TLS_CERT_FILE": str(files.other.certificate)})
    assert refused.returncode == 1 and "the peer's certificate is not trusted" in refused.stderr
    remote = ["--addr", program.address, "--tls-ca", files.authority.certificate]
    assert ask(*remote, "--tls-name", "one.example").returncode == 0
    assert ask(*remote, "--tls-name", "two.example").returncode == 1
    assert ask(*remote).returncode == 1  # the certificate is not for 127.0.0.1
    assert "cannot be opened" in ask("--addr", program.address, "--tls-ca", tmp_path / "missing").stderr
    in_the_clear = ask("--addr", program.address)
    assert in_the_clear.returncode == 1


def test_commands_show_a_certificate(mote, files, tmp_path):
    """To a server that wants one; what is wrong with the files is said with the file's name."""
    program = serve(mote, files.server, TLS_CLIENT_CA_FILE=str(files.authority.certificate))
    client, stranger, encrypted = files.client, files.bad_client, Identity(tmp_path, "encrypted", password="sesame")
    both, empty, text = (tmp_path / name for name in ("both.pem", "empty.pem", "text.pem"))
    both.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    empty.touch()
    text.write_text("no PEM", encoding="ascii")
    missing = tmp_path / "missing.pem"

    def ask(certificate=None, key=None, command="healthcheck", name="one.example"):
        flags = [["--tls-cert", certificate] if certificate else [], ["--tls-key", key] if key else []]
        return mote.run(command, "--addr", program.address, "--tls-ca", files.authority.certificate, "--tls-name", name,
                        *flags[0], *flags[1], check=False)

    for command in ("healthcheck", "probe"):
        assert ask(client.certificate, client.key, command).returncode == 0
        assert ask(both, None, command).returncode == 0
        assert ask(None, None, command).returncode == 1
        assert ask(stranger.certificate, stranger.key, command).returncode == 1
    for certificate, key, problem in (
            (client.certificate, stranger.key, f"{stranger.key}: the key is not the one of the certificate in "
                                               f"{client.certificate}"),
            (client.certificate, None, f"{client.certificate}: holds a certificate, not a private key"),
            (None, client.key, f"{client.key}: a key, but no certificate is given"),
            (client.key, client.key, f"{client.key}: holds a private key, not a certificate"),
            (client.certificate, client.certificate, f"{client.certificate}: holds a certificate, not a private key"),
            (empty, client.key, f"{empty}: the file is empty"),
            (client.certificate, empty, f"{empty}: the file is empty"),
            (text, client.key, f"{text}: no certificate in PEM form in it"),
            (client.certificate, text, f"{text}: no private key in PEM form in it"),
            (missing, client.key, f"{missing}: cannot be opened: No such file or directory"),
            (client.certificate, missing, f"{missing}: cannot be opened: No such file or directory"),
            (encrypted.certificate, encrypted.key, f"{encrypted.key}: the key is encrypted, and no password is given")):
        result = ask(certificate, key)
        assert result.returncode == 1 and result.stderr == f"healthcheck: {problem}\n", result.stderr
    alone = mote.run("healthcheck", "--addr", program.address, "--tls-cert", client.certificate, check=False)
    assert alone.returncode == 1 and "want --tls-ca" in alone.stderr
