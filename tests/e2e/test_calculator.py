# SPDX-License-Identifier: Apache-2.0
"""The four kinds of call on the example service, through grpcio: order, flow control, cancellation, limits."""

import concurrent.futures
import os
import time

import grpc
import pytest

import calculator_pb2
import calculator_pb2_grpc


@pytest.fixture
def stub(calculator):
    with calculator.channel(**{"grpc.max_receive_message_length": -1}) as channel:
        yield calculator_pb2_grpc.CalculatorStub(channel)


def test_unary(stub):
    assert stub.Add(calculator_pb2.AddRequest(a=40, b=2), timeout=5).sum == 42
    assert stub.Add(calculator_pb2.AddRequest(), timeout=5).sum == 0


def test_unary_refusal(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Add(calculator_pb2.AddRequest(a=2**63 - 1, b=1), timeout=5)
    assert caught.value.code() == grpc.StatusCode.OUT_OF_RANGE


@pytest.mark.thread
def test_server_stream(stub):
    numbers = [answer.number for answer in stub.Count(calculator_pb2.CountRequest(**{"from": 1, "to": 5000}), timeout=30)]
    assert numbers == list(range(1, 5001))


@pytest.mark.thread
def test_client_stream(stub):
    answer = stub.Sum((calculator_pb2.SumRequest(number=number) for number in range(5000)), timeout=30)
    assert (answer.sum, answer.count) == (sum(range(5000)), 5000)
    answer = stub.Sum(iter(()), timeout=5)
    assert (answer.sum, answer.count) == (0, 0)


@pytest.mark.thread
def test_bidirectional_in_lock_step(stub):
    import queue

    outgoing = queue.Queue()
    answers = stub.RunningTotal(iter(outgoing.get, None), timeout=30)
    total = 0
    for number in range(1, 200):
        outgoing.put(calculator_pb2.RunningTotalRequest(number=number))
        total += number
        assert next(answers).total == total
    outgoing.put(None)
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_large_answers_pass_the_windows_in_order(stub):
    request = calculator_pb2.CountRequest(**{"from": 1, "to": 300, "padding": 65536})
    numbers = [answer.number for answer in stub.Count(request, timeout=60) if len(answer.padding) == 65536]
    assert numbers == list(range(1, 301))


def resident_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_reader_that_stops_costs_bounded_memory(calculator, stub):
    stub.Add(calculator_pb2.AddRequest(), timeout=5)
    before = resident_kib(calculator.process)
    calls = [stub.Count(calculator_pb2.CountRequest(**{"from": 1, "to": 2**40, "padding": 65536}), timeout=20)
             for _ in range(20)]
    for call in calls:
        next(call)
    time.sleep(1.5)
    after = resident_kib(calculator.process)
    for call in calls:
        call.cancel()
    # 20 streams × (64 KiB of the stream's bound + one message), and the sanitizer's own overhead
    assert after - before < 20 * 1024, f"{before} KiB, then {after} KiB"
    assert stub.Add(calculator_pb2.AddRequest(a=1), timeout=5).sum == 1


def test_cancellation_in_the_middle(stub):
    for _ in range(20):
        call = stub.Count(calculator_pb2.CountRequest(**{"from": 1, "to": 2**40}), timeout=20)
        assert next(call).number == 1
        call.cancel()
    assert stub.Add(calculator_pb2.AddRequest(a=1), timeout=5).sum == 1


def test_deadline_of_a_stream(stub):
    with pytest.raises(grpc.RpcError) as caught:
        for _ in stub.Count(calculator_pb2.CountRequest(**{"from": 1, "to": 2**40}), timeout=0.3):
            pass
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("extra, code", [(0, None), (1, grpc.StatusCode.RESOURCE_EXHAUSTED)])
def test_message_at_the_bound_and_above(calculator, extra, code):
    """4 MiB is taken (unknown fields are skipped), one byte more is refused at the length prefix."""
    size = 4 * 1024 * 1024 + extra
    payload = b"\x7a" + encode_varint(size - 5) + os.urandom(1) * (size - 5)
    assert len(payload) == size
    with calculator.channel(**{"grpc.max_send_message_length": -1}) as channel:
        add = channel.unary_unary("/calculator.v1.Calculator/Add", request_serializer=lambda value: value,
                                  response_deserializer=calculator_pb2.AddResponse.FromString)
        if code is None:
            assert add(payload, timeout=30).sum == 0
        else:
            with pytest.raises(grpc.RpcError) as caught:
                add(payload, timeout=30)
            assert caught.value.code() == code


def encode_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value])).ljust(4, b"\x00") if len(out) < 3 else bytes(out + bytes([value]))


@pytest.mark.parametrize("payload", [b"\xff", b"\x08", b"\x0a\x05a", b"\x0b"])
def test_bytes_that_are_no_protobuf(calculator, payload):
    with calculator.channel() as channel:
        add = channel.unary_unary("/calculator.v1.Calculator/Add", request_serializer=lambda value: value,
                                  response_deserializer=lambda value: value)
        with pytest.raises(grpc.RpcError) as caught:
            add(payload, timeout=5)
        assert caught.value.code() == grpc.StatusCode.INTERNAL


@pytest.mark.thread
def test_streams_of_many_connections_at_once(calculator):
    def one(index):
        with calculator.channel(**{"grpc.use_local_subchannel_pool": 1}) as channel:
            local = calculator_pb2_grpc.CalculatorStub(channel)
            request = calculator_pb2.CountRequest(**{"from": 1, "to": 200, "padding": 1000})
            return [answer.number for answer in local.Count(request, timeout=60)] == list(range(1, 201))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(64)))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compression(calculator, compression):
    """Both ways, all kinds; the channel's own filter checks flag and encoding of what it gets."""
    with calculator.channel() as channel:
        stub = calculator_pb2_grpc.CalculatorStub(channel)
        numbers = [calculator_pb2.SumRequest(number=number) for number in range(1000)]
        assert stub.Add(calculator_pb2.AddRequest(a=40, b=2), compression=compression, timeout=5).sum == 42
        assert stub.Sum(iter(numbers), compression=compression, timeout=30).sum == sum(range(1000))
        request = calculator_pb2.CountRequest(**{"from": 1, "to": 50, "padding": 60000})
        call = stub.Count(request, compression=compression, timeout=30)
        assert [answer.number for answer in call] == list(range(1, 51))
        name = {grpc.Compression.Gzip: "gzip", grpc.Compression.Deflate: "deflate"}[compression]
        assert dict(call.initial_metadata()).get("grpc-encoding", name) == name
        totals = stub.RunningTotal((calculator_pb2.RunningTotalRequest(number=1) for _ in range(100)), compression=compression,
                                   timeout=30)
        assert [answer.total for answer in totals] == list(range(1, 101))
