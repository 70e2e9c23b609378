# SPDX-License-Identifier: Apache-2.0
"""Sockets under pressure: no descriptors left, clients that say nothing or take nothing, a log that nobody reads."""

import os
import resource
import signal
import socket
import subprocess
import time
import zlib

import grpc
import pytest
from conftest import RELEASE, Mote, sanitizer_environment, wait_for

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def host_and_port(program):
    host, port = program.address.rsplit(":", 1)
    return host, int(port)


def descriptors(program):
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


def cpu_ticks(program):
    with open(f"/proc/{program.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def answers(mote, program, timeout="2s"):
    return mote.run("healthcheck", "--addr", program.address, "--timeout", timeout, check=False).returncode == 0


def test_no_descriptors_left(mote):
    """The process runs into its limit: it does not spin, serves who is connected, and goes on when there is room."""
    program = mote.serve()
    channel = program.channel()
    grpc.channel_ready_future(channel).result(10)
    free = 20
    resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (descriptors(program) + free, 4096))
    clients = [socket.create_connection(host_and_port(program)) for _ in range(3 * free)]
    wait_for(lambda: program.events("net.accept_failed"), what="the log says so")
    before = cpu_ticks(program)
    time.sleep(1)
    assert cpu_ticks(program) - before < 20
    # not readiness: the store, too, wants a descriptor now and then
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"\x0a\x08liveness", timeout=5) == b"\x08\x01"
    for client in clients:
        client.close()
    wait_for(lambda: answers(mote, program), what="room again")
    channel.close()
    assert program.stop() == 0


def resident_kib(program):
    with open(f"/proc/{program.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_crowd_leaves_no_memory_behind(tmp_path):
    """What a thousand connections have taken is the system's again soon after they have gone, and not only then free
    for the next thousand."""
    mote = Mote(tmp_path, RELEASE)
    program = mote.serve(WORKERS="1")
    assert answers(mote, program)
    before = resident_kib(program)
    clients = [socket.create_connection(host_and_port(program)) for _ in range(1500)]
    for client in clients:
        client.sendall(PREFACE + SETTINGS)
    for client in clients:
        assert client.recv(9)
    crowded = resident_kib(program)
    for client in clients:
        client.close()
    assert crowded - before > 10000
    wait_for(lambda: resident_kib(program) - before < (crowded - before) / 4, what="the memory is given back")
    assert answers(mote, program)
    assert program.stop() == 0


def test_silent_connections_do_not_keep_others_out(mote):
    """600 connections from many addresses that never send a preface; the next client is served at once."""
    program = mote.serve()
    clients = []
    for number in range(600):
        client = socket.socket()
        client.bind((f"127.0.1.{1 + number % 250}", 0))
        client.connect(host_and_port(program))
        clients.append(client)
    start = time.monotonic()
    assert answers(mote, program)
    assert time.monotonic() - start < 2
    assert descriptors(program) < 512 + 64
    wait_for(lambda: descriptors(program) < 64, 15, "silent ones are closed")
    for client in clients:
        client.close()
    assert program.stop() == 0


def test_goodbyes_are_read_though_the_client_goes_on_sending(mote):
    """Closing a socket with unread input resets it, and the peer never sees what was sent before."""
    program = mote.serve()
    for _ in range(20):
        with socket.create_connection(host_and_port(program)) as client:
            client.settimeout(5)
            client.sendall(PREFACE + SETTINGS + b"\0\0\7\6\0\0\0\0\0" + b"\0" * 7)  # a PING of seven bytes
            try:
                for _ in range(10):
                    client.sendall(b"x" * 1000)
            except OSError:
                pass
            received = b""
            while chunk := client.recv(65536):
                received += chunk
            assert b"\7\0\0\0\0\0" in received  # GOAWAY's type, flags and stream
    assert program.stop() == 0


@pytest.mark.slow
def test_a_client_that_takes_nothing_is_closed(calculator):
    """A reader with a closed TCP window costs bounded memory for 20 seconds, then nothing."""
    host, port = calculator.address.rsplit(":", 1)
    import h2.config
    import h2.connection
    import h2.settings

    socket.create_connection((host, int(port))).close()  # the first one makes libuv keep a spare descriptor
    time.sleep(0.5)
    without = descriptors(calculator)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, int(port)))
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
    connection.increment_flow_control_window(2**30)
    for number in range(50):
        stream = 1 + 2 * number
        connection.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":authority", "x"),
                                         (":path", "/calculator.v1.Calculator/Count"),
                                         ("content-type", "application/grpc"), ("te", "trailers")])
        body = b"\x10\xff\xff\xff\xff\x0f\x18\x80\x80\x04"  # to = 2^32-1, padding = 65536
        connection.send_data(stream, b"\0" + len(body).to_bytes(4, "big") + body, end_stream=True)
    client.sendall(connection.data_to_send())
    wait_for(lambda: descriptors(calculator) > without, 10, "the connection is accepted")
    wait_for(lambda: descriptors(calculator) <= without, 40, "the connection is closed")
    client.close()


def test_a_log_that_nobody_reads_stops_nothing(mote):
    """Standard error is a pipe that is full: calls are answered as ever, and the end comes."""
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environment = mote.environment(JWT_SECRET=mote.secret, LISTEN=f"127.0.0.1:{port}", LOG_FORMAT="json", LOG_ACCESS="all",
                                   **sanitizer_environment())
    process = subprocess.Popen([mote.program_path, "serve"], env=environment, stderr=writing)
    os.close(writing)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(20)
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            slowest = 0.0
            for _ in range(1500):  # 600 KB of lines; pipe and ring take 128 KiB
                start = time.monotonic()
                assert check(b"", timeout=5) == b"\x08\x01"
                slowest = max(slowest, time.monotonic() - start)
            assert slowest < 1
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        os.close(reading)


# --- taking turns --------------------------------------------------------------------------------------------------


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header field that is not indexed, without Huffman coding."""
    def text(octets):
        if len(octets) < 127:
            return bytes([len(octets)]) + octets
        rest = len(octets) - 127
        return bytes([127]) + (bytes([rest & 127 | 128, rest >> 7]) if rest > 127 else bytes([rest])) + octets
    return b"\0" + text(name) + text(value)


def request(stream, path, more=()):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"test"), (b"te", b"trailers"),
              (b"content-type", b"application/grpc"), *more]
    return frame(1, 4, stream, b"".join(literal(*field) for field in fields)) + frame(0, 1, stream, b"\0" * 5)


def test_one_connection_is_read_in_turns_with_the_others(tmp_path):
    """Half a megabyte of one client lies in its socket's buffer, then comes a call of another: the second does not wait
    until all of the first has been worked off, but for the 64 KiB that a turn takes."""
    from conftest import RELEASE, Mote

    program = Mote(tmp_path, RELEASE).serve(WORKERS="1", LOG_ACCESS="all")
    busy, other = (socket.create_connection(host_and_port(program)) for _ in range(2))
    busy.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    for client in (busy, other):
        client.sendall(PREFACE + SETTINGS + frame(4, 1, 0, b""))
        assert client.recv(65536)
    padding = [(b"x-padding-%d" % number, b"x" * 1000) for number in range(6)]
    flood = b"".join(request(1 + 2 * number, b"/user.v1.UserService/HealthCheck", padding) for number in range(80))
    assert len(flood) > 7 * 65536
    program.process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    busy.settimeout(1)
    sent = 0
    try:
        while sent < len(flood):
            sent += busy.send(flood[sent:])
    except TimeoutError:
        pass
    other.sendall(request(1, b"/grpc.health.v1.Health/Check"))
    time.sleep(0.1)
    program.process.send_signal(signal.SIGCONT)
    busy.sendall(flood[sent:])
    wait_for(lambda: len(program.events("rpc.finished")) == 81, what="all calls are over")
    order = [line["rpc_method"] for line in program.events("rpc.finished")]
    assert sent > 4 * 65536, "the socket took too little"
    assert order.index("Check") <= 22, order.index("Check")  # 11 in 64 KiB, and a turn may come before
    for client in (busy, other):
        client.close()
    assert program.stop() == 0


def test_compressed_messages_take_turns_with_other_calls(calculator):
    """Four clients send 60 KiB each that become 60 MiB, each message within its bound: a call that comes behind them does
    not wait for all that, but for about one of the messages."""
    from test_answers import SUM, Raw, message, status_of

    bound = 4 << 20
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    plain = b"\x7a\xfb\xff\xff\x01" + bytes(bound - 5)  # an unknown field
    bomb = message(deflate.compress(plain) + deflate.flush(), 1)
    count = 65535 // len(bomb)
    assert count >= 15
    other, *busy = (Raw(calculator.address) for _ in range(5))
    assert all(client.works() for client in (other, *busy))
    calculator.process.send_signal(signal.SIGSTOP)
    try:
        for client in busy:
            client.sum = client.request(None, SUM, end=False, extra=[("grpc-encoding", "gzip")])
            for each in range(count):
                client.h2.send_data(client.sum, bomb, end_stream=each == count - 1)
                client.flush()
        stream = other.request(message(b"\x08\x28\x10\x02"))
    finally:
        calculator.process.send_signal(signal.SIGCONT)
    start = time.monotonic()
    other.socket.settimeout(60)
    assert other.answer(stream)["data"] == message(b"\x08\x2a")
    waited = time.monotonic() - start
    for client in busy:
        client.socket.settimeout(60)
        assert status_of(client.answer(client.sum)) == "0"
    total = time.monotonic() - start
    print(f"the call took {1000 * waited:.1f} ms of {1000 * total:.1f} ms")
    assert waited < total / 2, (waited, total)
    for client in (other, *busy):
        client.close()
