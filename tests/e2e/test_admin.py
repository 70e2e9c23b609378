# SPDX-License-Identifier: Apache-2.0
"""The admin port with real HTTP clients, metrics after real calls, and who misbehaves there."""

import gzip
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, wait_for


def ask(program, path, method="GET", **headers):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection(program.admin, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def samples(program):
    """{series: value}, labels in the order in which they stand there."""
    status, _, body = ask(program, "/metrics")
    assert status == 200
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in body.decode().splitlines() if not line.startswith("#")}


def raw(program, data, seconds=10):
    """What comes back for these bytes until the server closes."""
    host, port = program.admin.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as client:
        client.sendall(data)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    return answer


def test_probes(mote):
    program = mote.serve()
    for path in ("/livez", "/healthz", "/readyz"):
        assert ask(program, path)[::2] == (200, b"ok\n")
    assert ask(program, "/readyz?verbose")[2] == b"[+] listening\n[+] serving\n[+] store\nok\n"
    assert ask(program, "/livez", "HEAD")[::2] == (200, b"")
    assert json.loads(ask(program, "/version")[2])["version"]
    assert ask(program, "/nowhere")[0] == 404
    status, headers, _ = ask(program, "/livez", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(program, "/metrics", Host="evil.example")[0] == 403


def test_readiness_follows_the_end(mote):
    """From the first signal on /readyz is 503 with its reason, and /livez still ok."""
    program = mote.serve(SHUTDOWN_DELAY="3s")
    program.process.send_signal(signal.SIGTERM)
    wait_for(lambda: ask(program, "/readyz")[0] == 503, what="not ready")
    assert b"[-] serving: shutting down" in ask(program, "/readyz")[2]
    assert ask(program, "/livez")[0] == 200
    assert program.stop() == 0


def test_token_and_names(mote):
    program = mote.serve(ADMIN_TOKEN="a token of 16 by", ADMIN_HOSTS="mote.example")
    assert ask(program, "/livez")[0] == 200
    status, headers, _ = ask(program, "/metrics")
    assert status == 401 and "Bearer" in headers["WWW-Authenticate"]
    assert ask(program, "/metrics", Authorization="Bearer a token of 16 bz")[0] == 401
    assert ask(program, "/metrics", Authorization="Bearer a token of 16 by")[0] == 200
    assert ask(program, "/livez", Host="mote.example")[0] == 200
    assert ask(program, "/livez", Host="other.example")[0] == 403
    assert b"a token of 16 by" not in program.text


def test_settings_are_shown_only_when_asked_for_and_never_secrets(mote):
    program = mote.serve()
    assert ask(program, "/configz")[0] == 404
    program.stop()
    program = mote.serve(ADMIN_CONFIGZ="on", ADMIN_TOKEN="a token of 16 by")
    status, _, body = ask(program, "/configz", Authorization="Bearer a token of 16 by")
    assert status == 200 and b"ADMIN_CONFIGZ=on  # env" in body and b"JWT_SECRET=<redacted" in body
    assert mote.secret.encode() not in body and b"a token of 16 by" not in body


def test_log_level(mote):
    program = mote.serve()
    assert ask(program, "/loglevel")[2] == b"info\n"
    assert ask(program, "/loglevel?error", "PUT")[::2] == (200, b"error\n")
    assert ask(program, "/loglevel?debug", "PUT")[2] == b"debug\n"
    assert ask(program, "/loglevel")[2] == b"debug\n"
    assert ask(program, "/loglevel?loud", "PUT")[0] == 400
    wait_for(lambda: [line["to"] for line in program.events("log.level_changed")] == ["error", "debug"], what="both lines")


def test_formats(mote):
    from prometheus_client.openmetrics import parser as openmetrics
    from prometheus_client.parser import text_string_to_metric_families

    program = mote.serve()
    status, headers, body = ask(program, "/metrics")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = [family.name for family in text_string_to_metric_families(body.decode())]
    assert {"grpc_requests", "grpc_server_started", "grpc_server_handling_seconds", "mote_connections",
            "process_cpu_seconds", "mote_build_info"} <= set(families)
    accept = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5"
    status, headers, body = ask(program, "/metrics", Accept=accept, Accept_Encoding="gzip")
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert headers["Content-Encoding"] == "gzip" and len(body) < 8192
    assert len(list(openmetrics.text_string_to_metric_families(gzip.decompress(body).decode()))) == len(families)
    status, headers, _ = ask(program, "/metrics", Accept="text/plain, application/openmetrics-text;q=0.5")
    assert headers["Content-Type"].startswith("text/plain")


def test_the_page_of_metrics_names_all(mote):
    """docs/reference/metrics.md has a row for every family that is exposed."""
    from conftest import ROOT

    page = (ROOT / "docs/reference/metrics.md").read_text()
    body = ask(mote.serve(), "/metrics")[2].decode()
    for name in re.findall(r"^# TYPE (\S+)", body, re.M):
        assert name == "mote_build_info" or f"| `{name}` |" in page, name


def test_calls_are_counted_once(mote):
    """Each call that is started is ended once: also those that are refused, cancelled, over their deadline, unknown, malformed,
    or lost with their connection."""
    from auth.v1 import auth_pb2, auth_pb2_grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from user.v1 import user_pb2, user_pb2_grpc

    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(LOG_ACCESS="off")
    channel = program.channel()
    health = health_pb2_grpc.HealthStub(channel)
    for _ in range(5):
        health.Check(health_pb2.HealthCheckRequest())
    with pytest.raises(grpc.RpcError):
        auth_pb2_grpc.AuthServiceStub(channel).Login(auth_pb2.LoginRequest(username="admin", password="wrong"))
    with pytest.raises(grpc.RpcError):
        user_pb2_grpc.UserServiceStub(channel).GetUser(user_pb2.GetUserRequest())
    for path in ("/no.Such/Method", "/user.v1.UserService/NoSuch", "/%s" % ("x" * 300)):
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(path)(b"")
    watch = health.Watch(health_pb2.HealthCheckRequest())
    next(watch)
    running = samples(program)
    watch.cancel()
    lost = program.channel(**{"grpc.use_local_subchannel_pool": 1})
    next(health_pb2_grpc.HealthStub(lost).Watch(health_pb2.HealthCheckRequest()))
    lost.close()

    def open_calls():
        now = samples(program)
        return (sum(value for name, value in now.items() if name.startswith("grpc_server_started_total"))
                - sum(value for name, value in now.items() if name.startswith("grpc_server_handled_total")))

    wait_for(lambda: open_calls() == 0, what="no open calls")
    found = samples(program)

    def of(name, method, service="grpc.health.v1.Health", kind="unary", code=None):
        code = f'grpc_code="{code}",' if code else ""
        return f'{name}{{{code}grpc_method="{method}",grpc_service="{service}",grpc_type="{kind}"}}'

    assert running[of("grpc_server_started_total", "Watch", kind="server_stream")] == 1
    assert of("grpc_server_handled_total", "Watch", kind="server_stream", code="Canceled") not in running
    assert found[of("grpc_server_handled_total", "Watch", kind="server_stream", code="Canceled")] == 2
    assert found[of("grpc_server_msg_sent_total", "Watch", kind="server_stream")] == 2
    assert found[of("grpc_server_handled_total", "Check", code="OK")] == 5
    assert found[of("grpc_server_msg_received_total", "Check")] == 5
    assert found['grpc_requests_total{code="OK",method="Check",service="grpc.health.v1.Health"}'] == 5
    assert found['grpc_requests_total{code="Unauthenticated",method="Login",service="auth.v1.AuthService"}'] == 1
    assert found['grpc_requests_total{code="Unimplemented",method="other",service="other"}'] >= 2
    assert found['mote_auth_failures_total{reason="CREDENTIALS_INVALID"}'] == 1
    assert found['mote_auth_failures_total{reason="CREDENTIALS_MISSING"}'] == 1
    assert found["mote_password_hashes_total"] >= 1
    assert found["mote_connections_total"] >= 2 and found["mote_network_received_bytes_total"] > 100
    assert not [name for name in found if "NoSuch" in name or "xxx" in name]
    # A call that is answered as it is read takes time too.
    seconds = found[of("grpc_server_handling_seconds_sum", "Check")]
    assert 0 < seconds < 5 and found[of("grpc_server_handling_seconds_count", "Check")] == 5
    channel.close()


def test_status(mote):
    """The figures as JSON; methods that were called with their quantiles."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    program = mote.serve()
    with program.channel() as channel:
        for _ in range(20):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/user.v1.UserService/GetUser")(b"")
        with pytest.raises(grpc.RpcError):
            channel.stream_unary("/auth.v1.AuthService/Login")(iter(()))
    status, headers, body = ask(program, "/statusz.json")
    found = json.loads(body)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert found["state"] == "serving" and found["ready"] is True and found["store_healthy"] == 1
    assert found["connections_total"] >= 1 and abs(found["now"] - time.time()) < 5 and found["started"] <= found["now"]
    methods = {method["method"]: method for method in found["methods"]}
    assert set(methods) == {"Check", "GetUser", "Login"} and found["failures"] == {"CREDENTIALS_MISSING": 1}
    assert found["calls_aborted"] == {"no request message": 1}
    check = methods["Check"]
    assert (check["started"], check["handled"], check["ok"], check["server_errors"]) == (20, 20, 20, 0)
    assert 0 < check["p50"] <= check["p90"] <= check["p99"] < 10
    wait_for(lambda: [row[1] for row in json.loads(ask(program, "/statusz.json")[2])["history"]][-1:] == [22],
             what="a sample with all calls")
    history = json.loads(ask(program, "/statusz.json")[2])["history"]
    assert history == sorted(history) and history[-1][2] == 1


def test_the_page_needs_nothing_else(mote):
    program = mote.serve()
    status, headers, body = ask(program, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(rb"(?:src|href|url)\s*[=(]", body)


def test_the_page_in_a_browser(mote, tmp_path):
    """What a person sees after a few seconds, in Chromium: the state, a method that was called, a failure that was counted."""
    if shutil.which("chromium") is None:
        pytest.skip("no chromium")
    program = mote.serve()
    with program.channel() as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/user.v1.UserService/GetUser")(b"")
    result = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                             f"--user-data-dir={tmp_path}", "--dump-dom", f"http://{program.admin}/"],
                            capture_output=True, text=True, timeout=120, check=False)
    assert '<span id="state" class="ready">ready</span>' in result.stdout, result.stderr[-2000:]
    assert "user.v1.UserService/GetUser" in result.stdout and "CREDENTIALS_MISSING" in result.stdout
    assert result.stdout.count("<polyline") == 3


BAD = [
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET /" + b"a" * 3000, 414),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 40, 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 9000, 431),
    (b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 413),
    (b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
]


def test_bad_requests(mote):
    program = mote.serve()
    for data, status in BAD:
        answer = raw(program, data)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (data[:40], answer[:80])
        assert b"Connection: close\r\n" in answer
    assert ask(program, "/livez")[0] == 200


def test_pipelining_and_its_bound(mote):
    program = mote.serve()
    get = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    close = get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert raw(program, get * 7 + close).count(b" 200 OK") == 8
    answer = raw(program, get * 9)
    assert answer.count(b" 200 OK") == 8 and b"HTTP/1.1 400 " in answer


def test_clients_that_do_not_read_or_send(mote):
    """Forty scrapes that nobody reads and forty connections that say nothing: the next one is answered, memory stays bounded."""
    program = mote.serve()
    host, port = program.admin.rsplit(":", 1)
    held = []
    for index in range(80):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect((host, int(port)))
        if index % 2:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held.append(client)
    for client in held:
        client.close()
    wait_for(lambda: ask(program, "/livez")[0] == 200, what="an answer")
    assert samples(program)["process_open_fds"] < 64


def test_a_head_that_trickles_is_given_up(mote):
    program = mote.serve()
    host, port = program.admin.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as client:
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - started < 15:
                client.sendall(b"G")
                time.sleep(0.25)
        assert 3 < time.monotonic() - started < 10


def test_a_taken_address(mote, tmp_path_factory):
    """One that was asked for is an error; the default's is only told of."""
    from conftest import Mote

    first = mote.serve()
    other = Mote(tmp_path_factory.mktemp("other"))
    result = other.run("serve", check=False, JWT_SECRET=other.secret, LISTEN="127.0.0.1:0", ADMIN_LISTEN=first.admin)
    assert result.returncode == 75 and first.admin in result.stderr
