# SPDX-License-Identifier: Apache-2.0
"""docs/answers.md over a real socket: each malformed request gets exactly its answer, and the connection stays usable."""

import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
import pytest

ADD = "/calculator.v1.Calculator/Add"
COUNT = "/calculator.v1.Calculator/Count"
SUM = "/calculator.v1.Calculator/Sum"


def message(body=b"", flag=0):
    return struct.pack(">BI", flag, len(body)) + body


class Raw:
    """An HTTP/2 client that checks nothing of what it sends."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(10)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.next_stream = 1
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def close(self):
        self.socket.close()

    def request(self, body=message(), path=ADD, end=True, method="POST", headers=None, content_type="application/grpc",
                extra=()):
        stream = self.next_stream
        self.next_stream += 2
        fields = headers if headers is not None else [
            (":method", method), (":scheme", "http"), (":authority", "x"), (":path", path), ("te", "trailers"),
            *([("content-type", content_type)] if content_type is not None else []), *extra]
        if body is None:
            self.h2.send_headers(stream, fields, end_stream=end)
        else:
            self.h2.send_headers(stream, fields)
            self.h2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def frame(self, kind, flags, stream, payload):
        """A frame past the library, which keeps to the rules."""
        self.socket.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def answer(self, stream):
        """{"headers", "trailers", "data", "reset", "ended", "goaway"} once the stream is over."""
        result = {"headers": None, "trailers": None, "data": b"", "reset": None, "ended": False, "goaway": None}
        while True:
            data = self.socket.recv(65536)
            if not data:
                result["closed"] = True
                return result
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ConnectionTerminated):
                    result["goaway"] = int(event.error_code)
                    return result
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    result["headers"] = dict(event.headers)
                elif isinstance(event, h2.events.TrailersReceived):
                    result["trailers"] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    result["data"] += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamReset):
                    result["reset"] = int(event.error_code)
                    return result
                elif isinstance(event, h2.events.StreamEnded):
                    result["ended"] = True
            self.flush()
            if result["ended"]:
                return result

    def works(self):
        result = self.answer(self.request(message(b"\x08\x28\x10\x02")))
        return result["data"] == message(b"\x08\x2a") and result["trailers"] == {"grpc-status": "0"}


@pytest.fixture
def raw(calculator):
    connection = Raw(calculator.address)
    yield connection
    connection.close()


def status_of(result):
    return (result["trailers"] or result["headers"]).get("grpc-status")


def test_the_usual_request(raw):
    result = raw.answer(raw.request(message(b"\x08\x28\x10\x02")))
    assert result["headers"] == {":status": "200", "content-type": "application/grpc"}
    assert result["data"] == message(b"\x08\x2a")
    assert result["trailers"] == {"grpc-status": "0"}


def test_proto_subtype_is_echoed(raw):
    result = raw.answer(raw.request(content_type="application/grpc+proto"))
    assert result["headers"]["content-type"] == "application/grpc+proto" and status_of(result) == "0"


TRAILERS_ONLY = [
    ("content-type +json", {"content_type": "application/grpc+json"}, "12"),
    ("malformed timeout", {"extra": [("grpc-timeout", "1")]}, "13"),
    ("nine digits", {"extra": [("grpc-timeout", "100000000S")]}, "13"),
    ("two timeouts", {"extra": [("grpc-timeout", "1S"), ("grpc-timeout", "1S")]}, "13"),
    ("expired timeout", {"extra": [("grpc-timeout", "0n")]}, "4"),
    ("bad binary metadata", {"extra": [("x-bin", "!!!")]}, "13"),
    ("unknown encoding", {"extra": [("grpc-encoding", "foo")]}, "12"),
    ("unknown service", {"path": "/calculator.v1.Nobody/Add"}, "12"),
    ("unknown method", {"path": "/calculator.v1.Calculator/Nothing"}, "12"),
    ("lower case", {"path": "/calculator.v1.calculator/add"}, "12"),
    ("query", {"path": ADD + "?x"}, "12"),
    ("path without method", {"path": "/calculator.v1.Calculator"}, "12"),
    ("path with a third part", {"path": ADD + "/"}, "12"),
    ("path of a slash", {"path": "/"}, "12"),
    ("long path", {"path": "/" + "a" * 300 + "/b"}, "12"),
    ("metadata over 8 KiB", {"extra": [("x-large", "a" * 9000)]}, "8"),
    ("more than 64 fields", {"extra": [(f"x-{number}", "a") for number in range(70)]}, "8"),
]


@pytest.mark.parametrize("name, arguments, status", TRAILERS_ONLY, ids=[row[0] for row in TRAILERS_ONLY])
def test_trailers_only(raw, name, arguments, status):
    for end in (True, False):
        stream = raw.request(end=end, **arguments)
        result = raw.answer(stream)
        assert result["headers"][":status"] == "200" and result["headers"]["grpc-status"] == status, (name, result)
        assert result["data"] == b"" and result["trailers"] is None and result["ended"]
        # an answer before the client's half-close is followed by RST_STREAM(NO_ERROR), and only then
        assert result["reset"] in ((None,) if end else (None, 0))
    assert raw.works()


def test_unknown_encoding_names_what_is_known(raw):
    result = raw.answer(raw.request(extra=[("grpc-encoding", "foo")]))
    assert "identity" in result["headers"]["grpc-accept-encoding"]


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json", "application/grpcfoo", "application/grpc-web", None])
def test_foreign_content_type(raw, content_type):
    result = raw.answer(raw.request(content_type=content_type))
    assert result["headers"][":status"] == "415" and "grpc-status" not in result["headers"]
    assert raw.works()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_foreign_method(raw, method):
    result = raw.answer(raw.request(method=method))
    assert result["headers"][":status"] == "405" and result["headers"]["grpc-status"] == "13"
    assert raw.works()


MESSAGES = [
    ("no message", None, "12"),
    ("empty DATA", b"", "12"),
    ("two messages", message() + message(), "12"),
    ("cut in the prefix", message()[:3], "13"),
    ("cut in the body", message(b"\x08\x01")[:6], "13"),
    ("flag 2", message(b"", 2), "13"),
    ("compressed without an encoding", message(b"\x08\x01", 1), "13"),
    ("no protobuf", message(b"\xff"), "13"),
    ("over the bound", struct.pack(">BI", 0, 4 * 1024 * 1024 + 1), "8"),
    ("length with its top bit set", struct.pack(">BI", 0, 0xFFFFFFFF), "8"),
]


@pytest.mark.parametrize("name, body, status", MESSAGES, ids=[row[0] for row in MESSAGES])
def test_messages(raw, name, body, status):
    for path in (ADD, COUNT):
        result = raw.answer(raw.request(body, path=path))
        assert status_of(result) == status, (name, result)
    assert raw.works()


def test_a_message_over_the_bound_is_answered_at_its_prefix(raw):
    """Without waiting for the body, and without half-close."""
    start = time.monotonic()
    result = raw.answer(raw.request(struct.pack(">BI", 0, 4 * 1024 * 1024 + 1), end=False))
    assert status_of(result) == "8" and time.monotonic() - start < 2
    assert raw.works()


def test_every_split_of_a_request(calculator):
    connection = Raw(calculator.address)
    body = message(b"\x08\x28\x10\x02")
    for cut in range(len(body) + 1):
        stream = connection.next_stream
        connection.next_stream += 2
        connection.h2.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", ADD),
                                            ("content-type", "application/grpc"), ("te", "trailers")])
        connection.h2.send_data(stream, body[:cut])
        connection.flush()
        connection.h2.send_data(stream, body[cut:], end_stream=True)
        connection.flush()
        assert connection.answer(stream)["data"] == message(b"\x08\x2a")
    connection.close()


def test_hop_by_hop_fields_reset_the_stream(raw):
    result = raw.answer(raw.request(extra=[("connection", "x")]))
    assert result["reset"] == 1
    assert raw.works()


def test_missing_te_is_accepted(raw):
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", ADD), ("content-type", "application/grpc")]
    assert status_of(raw.answer(raw.request(headers=fields))) == "0"


def test_authority_wins_over_host(raw):
    assert status_of(raw.answer(raw.request(extra=[("host", "other")]))) == "0"


def test_a_request_without_end_is_answered_when_it_stalls(raw):
    raw.socket.settimeout(20)
    start = time.monotonic()
    result = raw.answer(raw.request(message()[:3], end=False))
    assert status_of(result) == "4" and 5 < time.monotonic() - start < 16
    assert raw.works()


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def test_streams_over_the_limit_end_the_connection(calculator):
    connection = Raw(calculator.address)
    assert connection.works()
    fields = b"".join(literal(*field) for field in (
        (":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", SUM), ("content-type", "application/grpc")))
    for number in range(101):
        connection.frame(1, 4, connection.next_stream + 2 * number, fields)
    data = b""
    while b"\x07" not in data[3:4]:
        received = connection.socket.recv(65536)
        if not received:
            break
        data = received
        position = 0
        while position + 9 <= len(data) and data[position + 3] != 7:
            position += 9 + int.from_bytes(data[position:position + 3], "big")
        data = data[position:]
    assert data[3] == 7 and int.from_bytes(data[13:17], "big") == 1, "GOAWAY PROTOCOL_ERROR"
    connection.close()
