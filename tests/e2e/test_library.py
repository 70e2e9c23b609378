# SPDX-License-Identifier: Apache-2.0
"""docs/library.md, taken at its word: its files are built against an installed copy outside the tree, and served."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import grpc
import pytest

from conftest import RELEASE, ROOT, TOOLS, Program, sanitizer_environment, wait_for

PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")
# "`greeter.c`:" and then the block that is the file.
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
STRICT = "-O1 -Wall -Wextra -Wshadow -Wconversion -Werror"


def run(*command, cwd, timeout=300, **environment):
    result = subprocess.run(list(map(str, command)), cwd=cwd, env={**os.environ, **environment}, timeout=timeout,
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}:\n{result.stdout[-6000:]}{result.stderr[-6000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Installed by DESTDIR for /opt/mote, then moved: whatever is absolute in it fails."""
    folder = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", RELEASE, "--prefix", "/opt/mote", cwd=folder, DESTDIR=str(folder / "stage"))
    shutil.move(folder / "stage/opt/mote", folder / "moved here")
    return folder / "moved here"


def write_files(folder):
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def by_cmake(installed, tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("by_cmake"))
    run("cmake", "-S", ".", "-B", "build", cwd=folder, CMAKE_PREFIX_PATH=str(installed), CFLAGS=STRICT)
    run("cmake", "--build", "build", cwd=folder)
    return folder / "build/greeter"


@pytest.fixture(scope="module")
def pkg_config_path(installed):
    # pkg-config has no quotes around what it prints, so here the folder has no space in its name.
    plain = installed.parent / "plain"
    plain.symlink_to(installed)
    return str(next(plain.glob("lib*/**/mote.pc")).parent)


@pytest.fixture(scope="module")
def by_make(pkg_config_path, tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("by_make"))
    run("make", "greeter", cwd=folder, PKG_CONFIG_PATH=pkg_config_path, CFLAGS=STRICT)
    return folder / "greeter"


@pytest.fixture
def start():
    programs = []

    def make(path, *arguments):
        program = Program([path, "127.0.0.1:0", *arguments], {"PATH": os.environ["PATH"], **sanitizer_environment()},
                          lambda record: record["text"].split()[-1] if "listening on" in record.get("text", "") else None)
        programs.append(program)
        return program

    yield make
    for program in programs:
        if program.process.poll() is None:
            assert program.stop() == 0


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """Python's greeter_pb2 and greeter_pb2_grpc, of the page's .proto."""
    from grpc_tools import protoc

    folder = write_files(tmp_path_factory.mktemp("stubs"))
    assert protoc.main(["protoc", f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                        "greeter.proto"]) == 0
    sys.path.insert(0, str(folder))
    import greeter_pb2
    import greeter_pb2_grpc

    sys.path.remove(str(folder))
    return greeter_pb2, greeter_pb2_grpc


def test_page_is_whole():
    assert set(FILES) == {"greeter.proto", "greeter.options", "greeter.c", "CMakeLists.txt", "Makefile"}
    assert 0 < len(FILES["greeter.c"].splitlines()) < 80
    assert max(map(len, FILES["greeter.c"].splitlines())) <= 120


@pytest.mark.parametrize("way", ["by_cmake", "by_make"])
def test_calls_of_the_page(way, request, start, grpcurl):
    """Each command of the page, with what it prints there."""
    program = start(request.getfixturevalue(way))
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)
    assert len(commands) > 5
    for command, expected in commands:
        arguments = shlex.split(command.replace("127.0.0.1:50051", program.address))
        assert arguments[0] == "grpcurl"
        result = subprocess.run([TOOLS / "grpcurl", *arguments[1:]], capture_output=True, text=True, timeout=30,
                                check=False)
        printed = "".join(line.rstrip() + "\n" for line in (result.stdout + result.stderr).splitlines())
        assert printed == "".join(line.rstrip() + "\n" for line in expected.splitlines()), command
        assert (result.returncode == 0) == (not expected.startswith("ERROR")), command
    assert "/greeter.v1.Greeter/Greet INVALID_ARGUMENT" in program.text.decode()


def test_service(by_cmake, start, stubs):
    messages, services = stubs
    with start(by_cmake).channel() as channel:
        stub = services.GreeterStub(channel)
        answer, call = stub.Greet.with_call(messages.GreetRequest(name="Ada"), timeout=5)
        assert answer.text == "Hello, Ada!"
        assert dict(call.initial_metadata())["content-language"] == "en"

        numbers = [answer.number for answer in stub.CountDown(messages.CountDownRequest(**{"from": 5000}), timeout=30)]
        assert numbers == list(range(5000, -1, -1))

        names = [f"name {number}" for number in range(2000)]
        greetings = stub.GreetEach((messages.GreetRequest(name=name) for name in names), timeout=30)
        assert [greeting.text for greeting in greetings] == [f"Hello, {name}!" for name in names]


@pytest.mark.parametrize("length, is_taken", [(64, True), (65, False)])
def test_bound_of_the_page(by_cmake, start, stubs, length, is_taken):
    messages, services = stubs
    with start(by_cmake).channel() as channel:
        stub = services.GreeterStub(channel)
        if is_taken:
            assert stub.Greet(messages.GreetRequest(name="a" * length), timeout=5).text == f"Hello, {'a' * length}!"
        else:
            with pytest.raises(grpc.RpcError) as caught:
                stub.Greet(messages.GreetRequest(name="a" * length), timeout=5)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_deadline_and_cancellation(by_cmake, start, stubs):
    messages, services = stubs
    program = start(by_cmake)
    with program.channel() as channel:
        stub = services.GreeterStub(channel)
        endless = messages.CountDownRequest(**{"from": 2**32 - 1})
        with pytest.raises(grpc.RpcError) as caught:
            for _ in stub.CountDown(endless, timeout=0.3):
                pass
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        call = stub.CountDown(endless, timeout=20)
        assert next(call).number == 2**32 - 1
        call.cancel()
        wait_for(lambda: b"CountDown CANCELLED" in program.text, what="the end of the cancelled call")


def test_end(by_cmake, start, stubs, grpcurl):
    """SIGTERM: health says NOT_SERVING to those who watch, the call in progress is answered, the exit is 0."""
    messages, services = stubs
    program = start(by_cmake)
    with program.channel() as channel, program.channel(**{"grpc.use_local_subchannel_pool": 1}) as other:
        watch = other.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=lambda value: value,
                                   response_deserializer=lambda value: value)(b"\n\x12greeter.v1.Greeter", timeout=20)
        assert next(watch) == b"\x08\x01"
        numbers = services.GreeterStub(channel).CountDown(messages.CountDownRequest(**{"from": 50000}), timeout=30)
        assert next(numbers).number == 50000
        program.process.send_signal(signal.SIGTERM)
        assert next(watch) == b"\x08\x02"
        assert [answer.number for answer in numbers][-1] == 0
    assert program.process.wait(20) == 0


def test_tls(by_cmake, start, tmp_path):
    """The switch of the page, and a certificate that is exchanged while it runs."""
    def make(name):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", tmp_path / f"{name}.key",
            "-out", tmp_path / f"{name}.crt", cwd=tmp_path)
        return (tmp_path / f"{name}.crt").read_bytes()

    first, second = make("first"), make("second")
    shutil.copy(tmp_path / "first.crt", tmp_path / "server.crt")
    shutil.copy(tmp_path / "first.key", tmp_path / "server.key")
    program = start(by_cmake, tmp_path / "server.crt", tmp_path / "server.key")

    def check(root, name):
        options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(program.address, grpc.ssl_channel_credentials(root), options) as channel:
            greet = channel.unary_unary("/greeter.v1.Greeter/Greet", request_serializer=lambda value: value,
                                        response_deserializer=lambda value: value)
            try:
                return b"Hello, A!" in greet(b"\n\x01A", timeout=5)
            except grpc.RpcError:
                return False

    assert check(first, "first")
    shutil.copy(tmp_path / "second.key", tmp_path / "server.key")
    shutil.copy(tmp_path / "second.crt", tmp_path / "server.crt")
    program.process.send_signal(signal.SIGHUP)
    wait_for(lambda: check(second, "second"), what="the new certificate")


def test_what_cannot_be(by_cmake, start, tmp_path):
    """One line says what is wrong, the exit is not 0."""
    program = start(by_cmake)
    for arguments, expected in (([program.address], "in use"), (["nowhere"], "nowhere"),
                                (["127.0.0.1:0", "/none.crt", "/none.key"], "/none.crt: cannot be opened")):
        result = subprocess.run([by_cmake, *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert result.returncode == 1
        assert result.stderr.startswith("greeter: ") and expected in result.stderr
        assert len(result.stderr.splitlines()) == 1 and not result.stdout


@pytest.mark.parametrize("compiler", [["gcc", "-std=c11", "-Wpedantic"], ["g++", "-std=c++17"]], ids=["C", "C++"])
def test_each_header_stands_alone(installed, compiler, tmp_path):
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]} on this machine")
    include = installed / "include"
    headers = sorted(path.relative_to(include) for path in include.rglob("*.h"))
    assert len(headers) > 30
    for header in headers:
        name = str(header).removeprefix("mote/proto/")
        text = tmp_path / ("one.c" if compiler[0] == "gcc" else "one.cc")
        text.write_text(f"#include <{name}>\nextern int not_empty;\n", encoding="utf-8")
        run(*compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", include, "-I", include / "mote/proto",
            "-I/usr/include/nanopb", text, cwd=tmp_path)


def test_archive_is_complete(pkg_config_path, tmp_path):
    """No part of it needs what is not in it or in the libraries that mote.pc names."""
    (tmp_path / "main.c").write_text("int main(void)\n{\n    return 0;\n}\n", encoding="utf-8")
    flags = run("pkg-config", "--static", "--libs", "mote", cwd=tmp_path, PKG_CONFIG_PATH=pkg_config_path).split()
    whole = ["-Wl,--whole-archive,-lmote,--no-whole-archive" if flag == "-lmote" else flag for flag in flags]
    run("gcc", "main.c", *whole, cwd=tmp_path)


def test_what_is_installed(installed):
    assert "mote " in run(installed / "bin/mote", "version", cwd=installed)
    assert (installed / "share/mote/proto/user/v1/user.proto").exists()
    for path in installed.rglob("*"):
        if path.suffix in (".h", ".cmake", ".pc", ".proto", ".options", ".csv"):
            assert str(ROOT) not in path.read_text(encoding="utf-8"), f"{path} names the source folder"
