# SPDX-License-Identifier: Apache-2.0
"""Any bytes as any request: the seeds of the fuzz target, sent to the real program by an administrator. The answer is
judged by Python's protobuf: what is no protobuf is INTERNAL, what is out of bounds is INVALID_ARGUMENT with the field's
name, and whatever a service refuses has exactly one ErrorInfo."""

import importlib.util

import grpc
import pytest
from conftest import ADMIN_PASSWORD, ROOT, Clients, reason_of
from google.protobuf import empty_pb2, message

from auth.v1 import auth_pb2
from user.v1 import user_pb2

UNDECODED = "the request cannot be decoded"
# What nanopb refuses and other protobufs take: a field in another wire type than its own, and groups.
NARROWER = ("_as_number", "_as_text", "_as_fixed32", "_as_fixed64", "_group", "wire_3", "wire_3_behind")


def seeds():
    spec = importlib.util.spec_from_file_location("seeds", ROOT / "fuzz/seeds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, content in module.TARGETS["request"]():
        yield name.split("_", 1)[0], name, content[1:]


def method_of(name):
    for file in (user_pb2.DESCRIPTOR, auth_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            if name in service.methods_by_name:
                return service.methods_by_name[name]
    raise KeyError(name)


def call(client, method, body, metadata):
    """None for an answer, or the error."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        if method.client_streaming:
            reply = client.channel.stream_unary(path)(iter([body]), metadata=metadata, timeout=20)
            # A field over its bound, or bad text in one, is the result of its row.
            return [failure.reason for failure in user_pb2.ImportUsersResponse.FromString(reply).failures] or None
        elif method.server_streaming:
            stream = client.channel.unary_stream(path)(body, metadata=metadata, timeout=20)
            next(stream)
            stream.cancel()
        else:
            client.channel.unary_unary(path)(body, metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        return error
    return None


def is_protobuf(method, body):
    """Whether Python can read it, and whether only a text is at fault."""
    kind = {"google.protobuf.Empty": empty_pb2.Empty}.get(method.input_type.full_name)
    kind = kind or getattr(user_pb2 if method.input_type.full_name.startswith("user") else auth_pb2, method.input_type.name)
    try:
        kind.FromString(body)
    except (message.DecodeError, UnicodeDecodeError):
        return False
    return True


def judge(method, name, body, error):
    """What is wrong with the answer, or None."""
    readable = is_protobuf(method, body)
    if error is None:
        return None if readable else "taken, and is no protobuf"
    if isinstance(error, list):
        return None if error[0] in ("FIELD_INVALID", "USERNAME_TAKEN", "EMAIL_TAKEN") else f"the row is {error}"
    if error.details() == UNDECODED:
        if error.code() != grpc.StatusCode.INTERNAL:
            return f"undecoded, and {error.code()}"
        return None if not readable or name.endswith(NARROWER) else "not taken, and is protobuf"
    if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED,
                        grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
        return f"{error.code()} {error.details()}"
    code, reason, domain, fields = reason_of(error)  # asserts that there is one ErrorInfo
    if domain != method.containing_service.file.package:
        return f"the domain is {domain}"
    if code == grpc.StatusCode.INVALID_ARGUMENT and reason == "FIELD_INVALID" and not fields:
        return "no field is named"
    if not readable and not fields:
        return f"{reason}, and is no protobuf"
    return None


def test_every_method(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(TRUSTED_PROXIES="127.0.0.1")
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    problems, answered, named = [], {}, set()
    for name, seed, body in seeds():
        method = method_of(name)
        # An address that fails to log in is held up: it is not the administrator's.
        metadata = (*client.metadata, ("x-forwarded-for", f"198.51.100.{len(answered) % 250}"))
        error = call(client, method, body, metadata)
        problem = judge(method, seed, body, error)
        problems += [f"{seed}: {problem}"] if problem else []
        refused = isinstance(error, grpc.RpcError)
        answered.setdefault(method.full_name, set()).add(error.code() if refused else grpc.StatusCode.OK)
        if refused and error.details() != UNDECODED:
            named.update((name, field) for field in reason_of(error)[3])
        if name == "Logout" and error is None:
            client.login("admin", ADMIN_PASSWORD)
    assert not problems, "\n".join(problems)
    assert len(answered) == 19 and all(grpc.StatusCode.INTERNAL in codes for codes in answered.values())
    assert {("GetUser", "id"), ("CreateUser", "user.roles"), ("Login", "password"), ("RevokeToken", "token"),
            ("CreateUser", "validate_only"), ("Logout", "scope"), ("RevokeToken", "token_type_hint"), ("ValidateToken", "required_role")} <= named
    client.channel.close()
    assert program.stop() == 0


@pytest.mark.parametrize("size, code", [(65536, grpc.StatusCode.INVALID_ARGUMENT), (65537, grpc.StatusCode.RESOURCE_EXHAUSTED)])
def test_message_bound(mote, size, code):
    """64 KiB of every method's request, as fields that nobody knows; one byte more is refused at its length prefix."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve()
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    body = b"\xa2\x38" + varint(size - 5) + b"x" * (size - 5)
    assert len(body) == size
    for file in (user_pb2.DESCRIPTOR, auth_pb2.DESCRIPTOR):
        for service in file.services_by_name.values():
            for method in service.methods:
                if method.name == "Logout" and code == grpc.StatusCode.INVALID_ARGUMENT:
                    continue  # nothing to object to: it would end the session
                error = call(client, method, body, client.metadata)
                if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
                    assert error is not None and error.code() == code, (method.name, error)
                else:
                    answer = error.code() if isinstance(error, grpc.RpcError) else None
                    assert answer not in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL), method.name
    client.channel.close()
    assert program.stop() == 0


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
