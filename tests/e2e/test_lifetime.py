# SPDX-License-Identifier: Apache-2.0
"""How long connections live (gRFC A8, A9), as a client sees it: the GOAWAYs, their texts, and calls that go on."""

import struct
import threading
import time

import grpc
import pytest
from conftest import wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc
from test_answers import Raw


def frames_until_the_end(raw):
    """(type, flags, stream, payload) of each frame until the server closes; the client answers SETTINGS and PINGs."""
    data = b""
    while True:
        part = raw.socket.recv(65536)
        if not part:
            return
        data += part
        while len(data) >= 9:
            length = int.from_bytes(data[:3], "big")
            if len(data) < 9 + length:
                break
            kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
            payload, data = data[9:9 + length], data[9 + length:]
            if kind in (4, 6) and not flags & 1:
                raw.frame(kind, 1, 0, payload if kind == 6 else b"")
            yield kind, flags, stream, payload


def goaways(raw):
    """(last stream, error, text) of each GOAWAY, once the server has closed."""
    return [struct.unpack(">II", payload[:8]) + (payload[8:].decode(),)
            for kind, _, _, payload in frames_until_the_end(raw) if kind == 7]


@pytest.mark.parametrize("settings, text", [
    ({"MAX_CONNECTION_IDLE": "1s"}, "max_idle"),
    ({"MAX_CONNECTION_AGE": "1s"}, "max_age"),
])
def test_an_end_in_peace(mote, settings, text):
    program = mote.serve(**settings)
    raw = Raw(program.address)
    began = time.monotonic()
    assert goaways(raw) == [(2**31 - 1, 0, text), (0, 0, text)]
    assert 0.8 < time.monotonic() - began < 4
    assert not program.events("net.connection_ended")
    assert program.stop() == 0


def test_the_text_of_a_graceful_stop(mote):
    program = mote.serve()
    raw = Raw(program.address)
    raw.frame(6, 0, 0, b"12345678")
    assert raw.socket.recv(65536)
    stopper = threading.Thread(target=program.stop)
    stopper.start()
    assert goaways(raw) == [(2**31 - 1, 0, "graceful_stop"), (0, 0, "graceful_stop")]
    stopper.join()


def test_a_peer_that_answers_no_ping(mote):
    """It is found out, though its connection looks open."""
    program = mote.serve(KEEPALIVE_TIME="1s", KEEPALIVE_TIMEOUT="1s")
    raw = Raw(program.address)
    raw.frame(4, 1, 0, b"")  # the acknowledgement of SETTINGS, and then nothing any more
    began = time.monotonic()
    kinds = []
    while True:
        data = raw.socket.recv(65536)
        if not data:
            break
        kinds.append(data)
    assert 1.5 < time.monotonic() - began < 5
    assert b"keepalive: no answer to a ping" in b"".join(kinds)
    wait_for(lambda: program.events("net.connection_ended"), what="the log says why")


def test_calls_do_not_notice(mote):
    """A client whose connections are ended every second, by age, sees none of its calls fail; a stream has its grace."""
    program = mote.serve(MAX_CONNECTION_AGE="1s", MAX_CONNECTION_AGE_GRACE="2s", KEEPALIVE_TIME="1s",
                         MAX_CONNECTION_IDLE="1s")
    with grpc.insecure_channel(program.address) as channel:  # with retries, as clients are by default
        stub = health_pb2_grpc.HealthStub(channel)
        until = time.monotonic() + 6
        count = 0
        while time.monotonic() < until:
            assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
            count += 1
            time.sleep(0.01)
        assert count > 100
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as cut:
            for _ in stub.Watch(health_pb2.HealthCheckRequest(), timeout=30):
                pass
        assert cut.value.code() == grpc.StatusCode.UNAVAILABLE
        assert 1.5 < time.monotonic() - began < 6
    assert program.stop() == 0


def test_the_longest_call(mote):
    """A request that never ends is answered at the server's bound, though its client would wait for ever."""
    program = mote.serve(MAX_CALL_DURATION="1s")
    never = threading.Event()
    with grpc.insecure_channel(program.address) as channel:
        check = channel.stream_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as ended:
            check(iter(lambda: never.wait() and b"", b""))
        assert (ended.value.code(), ended.value.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline exceeded")
        assert 0.9 < time.monotonic() - began < 4
        never.set()
    assert program.stop() == 0
