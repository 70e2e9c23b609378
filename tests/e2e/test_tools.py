# SPDX-License-Identifier: Apache-2.0
"""The tools that people point at a gRPC server, each driving the real program: ghz, buf curl, evans, grpcui. (grpcurl has
a file of its own.)"""

import http.cookiejar
import json
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote
from test_grpcurl import SERVICES, decode_stream

GHZ_CALLS = 100_000


def run(*command, check=True, input=None, timeout=120):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, input=input,
                            check=False)
    if check:
        assert result.returncode == 0, result.stderr + result.stdout
    return result


@pytest.fixture
def token(clients):
    client = clients("admin", ADMIN_PASSWORD)
    return f"Bearer {client.token}"


def test_ghz(go_tool, tmp_path, record_property):
    """A hundred thousand calls with a token, on ten connections, without an error; and none is cut off by a limit. The
    program as it is released: the sanitizers would be what is measured."""
    mote = Mote(tmp_path, RELEASE)
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(LOG_ACCESS="errors")
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    client.channel.close()
    report = json.loads(run(go_tool("ghz"), "--insecure", "--call", "user.v1.UserService.GetUser", "-d", '{"id": "me"}',
                            "-m", json.dumps({"authorization": f"Bearer {client.token}"}), "-n", GHZ_CALLS, "-c", 50,
                            "--connections", 10, "-O", "json", program.address, timeout=300).stdout)
    record_property("ghz", f"{report['count']} calls, {report['statusCodeDistribution']}, {report['rps']:.0f} a second")
    assert report["count"] == GHZ_CALLS and report["endReason"] == "normal"
    assert report["statusCodeDistribution"] == {"OK": GHZ_CALLS} and report["errorDistribution"] == {}
    assert program.stop() == 0


# --- buf curl ----------------------------------------------------------------------------------------------------


def buf_curl(address, method, *arguments, **options):
    return run(pathlib.Path(sys.executable).parent / "buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge",
               *arguments, f"http://{address}/{method}", **options)


def test_buf_curl(shared, token):
    address = shared[1].address
    methods = buf_curl(address, "", "--list-methods").stdout.split()
    assert {method.split("/")[0] for method in methods} == set(SERVICES)
    user = json.loads(buf_curl(address, "user.v1.UserService/GetUser", "-H", f"authorization: {token}", "-d",
                               '{"id": "me"}').stdout)["user"]
    assert user["username"] == "admin"
    refused = buf_curl(address, "user.v1.UserService/GetUser", "-d", '{"id": "me"}', check=False)
    assert refused.returncode == 16 * 8
    error = json.loads(refused.stderr)
    assert error["code"] == "unauthenticated" and error["details"][0]["type"] == "google.rpc.ErrorInfo"


def test_buf_curl_streams(calculator):
    def call(method, request):
        return decode_stream(buf_curl(calculator.address, f"calculator.v1.Calculator/{method}", "-d", request).stdout)

    assert call("Count", '{"from": 1, "to": 4}') == [{"number": str(number)} for number in range(1, 5)]
    assert call("Sum", '{"number": 1} {"number": 41}') == [{"sum": "42", "count": "2"}]
    assert call("RunningTotal", '{"number": 1} {"number": 2}') == [{"total": "1"}, {"total": "3"}]


# --- evans -------------------------------------------------------------------------------------------------------


@pytest.fixture
def evans(go_tool, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # it keeps a configuration there
    monkeypatch.chdir(tmp_path)

    def call(program, *arguments, headers=(), **options):
        host, port = program.address.rsplit(":", 1)
        options_of_headers = [each for header in headers for each in ("--header", header)]
        return run(go_tool("evans"), "--host", host, "--port", port, "--reflection", *options_of_headers, "cli",
                   *arguments, **options)

    return call


def test_evans(shared, evans, token):
    """It speaks the older reflection."""
    program = shared[1]
    assert evans(program, "list").stdout.split() == SERVICES
    assert "string display_name = 4;" in evans(program, "desc", "user.v1.User").stdout
    answer = evans(program, "call", "user.v1.UserService.GetUser", headers=[f"authorization={token}"],
                   input='{"id": "me"}')
    assert json.loads(answer.stdout)["user"]["roles"] == ["ROLE_ADMIN"]
    refused = evans(program, "call", "user.v1.UserService.GetUser", input='{"id": "me"}', check=False)
    assert refused.returncode == 1 and "code = Unauthenticated" in refused.stderr


def test_evans_streams(calculator, evans):
    def call(method, request):
        return decode_stream(evans(calculator, "call", f"calculator.v1.Calculator.{method}", input=request).stdout)

    assert call("Count", '{"from": 1, "to": 4}') == [{"number": str(number)} for number in range(1, 5)]
    assert call("Sum", '{"number": 1} {"number": 41}') == [{"sum": "42", "count": "2"}]
    assert call("RunningTotal", '{"number": 1} {"number": 2}') == [{"total": "1"}, {"total": "3"}]


# --- grpcui ------------------------------------------------------------------------------------------------------


@pytest.fixture
def grpcui(shared, go_tool):
    """grpcui in front of the program, as a browser sees it: get(path), post(path, data)."""
    process = subprocess.Popen([go_tool("grpcui"), "-plaintext", "-bind", "127.0.0.1", "-port", "0",
                                "-open-browser=false", shared[1].address], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    url = re.search(r"http://\S+", process.stdout.readline()).group()

    def get(path):
        with browser.open(url + path, timeout=20) as answer:
            return answer.read().decode(errors="replace")

    def post(path, data):
        headers = {"Content-Type": "application/json", **{"x-grpcui-csrf-token": each.value for each in jar}}
        with browser.open(urllib.request.Request(url + path, json.dumps(data).encode(), headers), timeout=20) as answer:
            return json.loads(answer.read())

    yield get, post
    process.terminate()
    process.communicate(timeout=10)


def test_grpcui(grpcui, token):
    """The page loads with all that it is made of, knows each service and message, and its form calls."""
    get, post = grpcui
    page = get("")
    for service in SERVICES:  # but reflection, which it does not show
        assert (f'"{service}"' in page) == ("reflection" not in service), service
    parts = re.findall(r'(?:src|href)="([^":]+\.(?:js|css|png))', page)
    assert len(parts) >= 4
    for part in parts:
        assert get(part)
    fields = json.loads(get("metadata?method=user.v1.UserService.UpdateUser"))["messageTypes"]["user.v1.User"]
    assert {"id", "username", "email", "roles"} <= {field["protoName"] for field in fields}
    called = post("invoke/user.v1.UserService.GetUser",
                  {"metadata": [{"name": "authorization", "value": token}], "data": [{"id": "me"}]})
    assert called["error"] is None and called["responses"][0]["message"]["user"]["username"] == "admin"
    refused = post("invoke/user.v1.UserService.GetUser", {"metadata": [], "data": [{"id": "me"}]})
    assert (refused["error"]["name"], refused["error"]["message"]) == ("Unauthenticated", "missing credentials")
