# SPDX-License-Identifier: Apache-2.0
"""The real grpcurl: reflection, description, calls of every kind, metadata, deadlines, descriptor sets."""

import json
import subprocess

import pytest
from conftest import ADMIN_PASSWORD, GENERATED, ROOT


def target(program):
    return ("-plaintext", program.address)


SERVICES = ["auth.v1.AuthService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection", "user.v1.UserService"]


def test_list(shared, grpcurl):
    assert grpcurl("-plaintext", shared[1].address, "list").stdout.split() == SERVICES


def test_list_methods(shared, grpcurl):
    methods = grpcurl("-plaintext", shared[1].address, "list", "user.v1.UserService").stdout.split()
    assert methods == [f"user.v1.UserService.{name}" for name in sorted(
        ["CreateUser", "GetUser", "UpdateUser", "DeleteUser", "ListUsers", "DisableUser", "EnableUser", "WatchUsers",
         "ImportUsers", "HealthCheck"])]


@pytest.mark.parametrize("symbol", ["user.v1.UserService", "user.v1.UserService.GetUser", "user.v1.User", "user.v1.Role",
                                    "auth.v1.TokenPair", "grpc.health.v1.Health", "google.protobuf.Timestamp",
                                    "google.rpc.ErrorInfo", *SERVICES])
def test_describe(shared, grpcurl, symbol):
    output = grpcurl("-plaintext", shared[1].address, "describe", symbol).stdout
    assert symbol.split(".")[-1] in output


def test_describe_everything(shared, grpcurl):
    output = grpcurl("-plaintext", shared[1].address, "describe").stdout
    assert "rpc GetUser ( .user.v1.GetUserRequest ) returns ( .user.v1.GetUserResponse );" in output


def test_describe_unknown(shared, grpcurl):
    result = grpcurl("-plaintext", shared[1].address, "describe", "user.v1.Nothing", check=False)
    assert result.returncode != 0 and "Symbol not found" in result.stderr


def login(grpcurl, program):
    answer = grpcurl("-plaintext", "-d", json.dumps({"username": "admin", "password": ADMIN_PASSWORD}),
                     program.address, "auth.v1.AuthService/Login")
    return json.loads(answer.stdout)


def test_login_and_get_user(shared, grpcurl):
    tokens = login(grpcurl, shared[1])["tokens"]
    answer = grpcurl("-plaintext", "-H", f"authorization: Bearer {tokens['accessToken']}", "-d", '{"id":"me"}',
                     shared[1].address, "user.v1.UserService/GetUser")
    user = json.loads(answer.stdout)["user"]
    assert user["username"] == "admin" and user["roles"] == ["ROLE_ADMIN"]


def test_every_method_that_is_there(shared, grpcurl):
    tokens = login(grpcurl, shared[1])["tokens"]
    header = ("-H", f"authorization: Bearer {tokens['accessToken']}")

    def call(method, request):
        return json.loads(grpcurl("-plaintext", *header, "-d", json.dumps(request), shared[1].address, method).stdout)

    user = call("user.v1.UserService/CreateUser",
                {"user": {"username": "grpcurl-made"}, "initialPassword": "quite a long one"})["user"]
    assert call("user.v1.UserService/UpdateUser",
                {"user": {"id": user["id"], "displayName": "Made by grpcurl"}})["user"]["displayName"] == "Made by grpcurl"
    assert int(call("user.v1.UserService/ListUsers", {})["totalSize"]) >= 2
    assert call("user.v1.UserService/HealthCheck", {})["status"] == "SERVING"
    assert call("auth.v1.AuthService/ValidateToken", {"accessToken": tokens["accessToken"]})["active"]
    renewed = call("auth.v1.AuthService/RefreshToken", {"refreshToken": tokens["refreshToken"]})["tokens"]
    assert renewed["refreshToken"] != tokens["refreshToken"]
    assert call("auth.v1.AuthService/Logout", {})["revokedSessionCount"] == 1


def test_error_details_are_decoded(shared, grpcurl):
    result = grpcurl("-plaintext", "-v", "-d", '{"id":"me"}', shared[1].address, "user.v1.UserService/GetUser",
                     check=False)
    assert result.returncode == 64 + 16
    assert "missing credentials" in result.stderr
    assert "CREDENTIALS_MISSING" in result.stderr and "user.v1" in result.stderr


def test_health(shared, grpcurl):
    assert json.loads(grpcurl("-plaintext", shared[1].address, "grpc.health.v1.Health/Check").stdout) == {
        "status": "SERVING"}
    for service in ("user.v1.UserService", "auth.v1.AuthService"):
        answer = grpcurl("-plaintext", "-d", json.dumps({"service": service}), shared[1].address,
                         "grpc.health.v1.Health/Check")
        assert json.loads(answer.stdout) == {"status": "SERVING"}
    result = grpcurl("-plaintext", "-d", '{"service":"nobody"}', shared[1].address, "grpc.health.v1.Health/Check",
                     check=False)
    assert result.returncode == 64 + 5
    assert "SERVING" in grpcurl("-plaintext", shared[1].address, "grpc.health.v1.Health/List").stdout


def test_health_watch_ends_at_its_deadline(shared, grpcurl):
    result = grpcurl("-plaintext", "-max-time", "1", shared[1].address, "grpc.health.v1.Health/Watch", check=False)
    assert '"SERVING"' in result.stdout
    assert result.returncode == 64 + 4


def test_unknown_method_and_service(shared, grpcurl, tmp_path):
    proto = tmp_path / "unknown.proto"
    proto.write_text('syntax = "proto3"; package user.v1; message M {} '
                     'service UserService { rpc Nothing(M) returns (M); } service Nobody { rpc Nothing(M) returns (M); }')
    for method, text in (("user.v1.UserService/Nothing", "unknown method Nothing for service user.v1.UserService"),
                         ("user.v1.Nobody/Nothing", "unknown service user.v1.Nobody")):
        result = grpcurl("-plaintext", "-import-path", tmp_path, "-proto", "unknown.proto", shared[1].address, method,
                         check=False)
        assert result.returncode == 64 + 12 and text in result.stderr


def test_descriptor_set_instead_of_reflection(mote, grpcurl, tmp_path):
    program = mote.serve(REFLECTION="off")
    result = grpcurl("-plaintext", program.address, "list", check=False)
    assert result.returncode != 0 and "does not support the reflection API" in result.stderr
    descriptors = tmp_path / "set.binpb"
    subprocess.run(["protoc", f"-I{ROOT / 'proto'}", "--include_imports", f"--descriptor_set_out={descriptors}",
                    "user/v1/user.proto"], check=True)
    answer = grpcurl("-plaintext", "-protoset", descriptors, program.address, "user.v1.UserService/HealthCheck")
    assert json.loads(answer.stdout)["status"] == "SERVING"


# --- the calculator: four kinds of call --------------------------------------------------------------------------


def test_calculator_reflection(calculator, grpcurl):
    assert "calculator.v1.Calculator" in grpcurl("-plaintext", calculator.address, "list").stdout.split()


def decode_stream(text):
    decoder, values, position = json.JSONDecoder(), [], 0
    text = text.strip()
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        values.append(value)
        while position < len(text) and text[position].isspace():
            position += 1
    return values


def test_calculator_streams_in_each_direction(calculator, grpcurl):
    def call(method, request):
        return decode_stream(grpcurl("-plaintext", "-d", request, calculator.address,
                                     f"calculator.v1.Calculator/{method}").stdout)

    assert call("Add", '{"a": 40, "b": 2}') == [{"sum": "42"}]
    assert call("Count", '{"from": 3, "to": 6}') == [{"number": str(number)} for number in range(3, 7)]
    assert call("Sum", '{"number": 1} {"number": 2} {"number": 39}') == [{"sum": "42", "count": "3"}]
    assert call("RunningTotal", '{"number": 1} {"number": 2} {"number": 3}') == [
        {"total": "1"}, {"total": "3"}, {"total": "6"}]


def test_metadata_and_binary_metadata_are_taken(calculator, grpcurl):
    answer = grpcurl("-plaintext", "-H", "x-text: some words", "-H", "x-bytes-bin: AAECAw==", "-d", '{"a": 1, "b": 1}',
                     calculator.address, "calculator.v1.Calculator/Add")
    assert json.loads(answer.stdout) == {"sum": "2"}
    result = grpcurl("-plaintext", "-H", "x-bytes-bin: !!!", "-d", '{"a": 1, "b": 1}', calculator.address,
                     "calculator.v1.Calculator/Add", check=False)
    assert result.returncode in (0, 64 + 13)  # grpcurl encodes what is no base64; the raw case is in test_answers


def test_a_deadline(calculator, grpcurl):
    result = grpcurl("-plaintext", "-max-time", "0.5", "-d", '{"from": 1, "to": 9000000000000, "padding": 60000}',
                     calculator.address, "calculator.v1.Calculator/Count", check=False)
    assert result.returncode == 64 + 4
