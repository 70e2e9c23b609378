# SPDX-License-Identifier: Apache-2.0
"""gRPC's interoperability cases: the clients of other implementations against tests/servers/interop-server, in the
clear and over TLS. What needs an account at Google, or a caching proxy, is left out."""

import concurrent.futures
import contextlib
import os
import pathlib
import subprocess
import zipfile

import pytest
from certificates import Identity
from conftest import BUILD, ROOT, TOOLS, Program, sanitizer_environment

NAME = "foo.test.google.fr"
SOAK_CALLS = 1000

CASES = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "custom_metadata",
         "status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service",
         "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server"]
COMPRESSED = ["client_compressed_unary", "server_compressed_unary", "client_compressed_streaming",
              "server_compressed_streaming"]
SOAK = ["rpc_soak", "channel_soak"]
ORCA = ["orca_per_rpc", "orca_oob"]
ONLY_JAVA = ["very_large_request", "pick_first_unary"]
ONLY_CPP = ["half_duplex"]

# Of the client: with it, load reports reach the case.
ORCA_CONFIG = '--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
SOAK_OPTIONS = [f"--soak_iterations={SOAK_CALLS}", "--soak_max_failures=0", "--soak_overall_timeout_seconds=300",
                "--soak_per_iteration_max_acceptable_latency_ms=10000"]


def options_of(case):
    return SOAK_OPTIONS if case in SOAK else [ORCA_CONFIG] if case in ORCA else []


@contextlib.contextmanager
def serve(certificate=None, key=None):
    """The interop server, and a client's options to reach it."""
    tls = ["--use_tls", f"--tls_cert_file={certificate}", f"--tls_key_file={key}"] if certificate else []
    program = Program([BUILD / "interop-server", "--port=0", *tls], {"PATH": os.environ["PATH"], **sanitizer_environment()},
                      lambda record: record["text"].split()[-1] if "listening on" in record.get("text", "") else None)
    host, port = program.address.rsplit(":", 1)
    yield [f"--server_host={host}", f"--server_port={port}",
           *(["--use_tls=true", "--use_test_ca=true", f"--server_host_override={NAME}"] if tls else ["--use_tls=false"])]
    assert program.stop() == 0


def run(command, **environment):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=400, check=False,
                            env={**os.environ, **environment})
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-4000:]
    return output


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def go(request, go_tool, tmp_path_factory):
    """The command line of grpc-go's client, but for the case."""
    command = [go_tool("interop-client-go")]
    if request.param == "plaintext":
        with serve() as options:
            yield [*command, *options]
    else:
        folder = tmp_path_factory.mktemp("interop")
        authority = Identity(folder, "authority", authority=True)
        identity = Identity(folder, "server", issuer=authority, names=["*.test.google.fr"])
        with serve(identity.certificate, identity.key) as options:
            yield [*command, *options, f"--ca_file={authority.certificate}"]


@pytest.mark.parametrize("case", CASES + SOAK + ORCA + ["pick_first_unary"])
def test_go(go, case):
    run([*go, f"--test_case={case}", *options_of(case)])


@pytest.fixture(scope="module")
def java_jars():
    if os.environ.get("MOTE_NO_JAVA"):
        pytest.skip(os.environ["MOTE_NO_JAVA"])
    folder = TOOLS / "java"
    assert folder.exists(), f"{folder} is missing: tests/run fetches it"
    return folder


def java_identity(jars, folder):
    """The server's certificate and key that clients in Java and C++ know, from Java's archive."""
    with zipfile.ZipFile(next(jars.glob("grpc-testing-1*.jar"))) as archive:
        return [pathlib.Path(archive.extract(f"certs/server1.{kind}", folder)) for kind in ("pem", "key")]


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def java(request, java_jars, tmp_path_factory):
    """The command line of grpc-java's client, but for transport and case. Whom it trusts is in its own archive."""
    command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{java_jars}/*",
               "io.grpc.testing.integration.TestServiceClient"]
    files = java_identity(java_jars, tmp_path_factory.mktemp("java")) if request.param == "TLS" else []
    with serve(*files) as options:
        yield [*command, *options]


@pytest.mark.parametrize("transport", ["netty", "okhttp"])
def test_java(java, transport, record_property):
    """All cases, two at a time: most of each is the start of Java."""
    cases = CASES + COMPRESSED + ORCA + ONLY_JAVA + (SOAK if transport == "netty" else [])
    command = [*java, f"--use_okhttp={'true' if transport == 'okhttp' else 'false'}"]
    failed = {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {case: pool.submit(run, [*command, f"--test_case={case}", *options_of(case)]) for case in cases}
    for case, result in runs.items():
        if result.exception() is not None:
            failed[case] = str(result.exception())
        elif "Test completed" not in result.result():
            failed[case] = result.result()
    record_property("interop, Java", f"{len(cases) - len(failed)} of {len(cases)} cases passed over {transport}")
    assert not failed, failed


@contextlib.contextmanager
def served(request, tmp_path_factory):
    """The address of a server, in the clear or with TLS, and for TLS whom to trust and under which name."""
    files, trust = [], []
    if request.param == "TLS":
        folder = tmp_path_factory.mktemp("certificates")
        authority = Identity(folder, "authority", authority=True)
        identity = Identity(folder, "server", issuer=authority, names=["*.test.google.fr"])
        files, trust = [identity.certificate, identity.key], [authority.certificate, NAME]
    with serve(*files) as options:
        host, port = (option.split("=")[1] for option in options[:2])
        yield f"{host}:{port}", trust


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def node(request, tmp_path_factory):
    """The command line of the cases by grpc-js, but for the case, and what stands behind it."""
    if os.environ.get("MOTE_NO_NODE"):
        pytest.skip(os.environ["MOTE_NO_NODE"])
    modules = TOOLS / "node"
    assert modules.exists(), f"{modules} is missing: tests/run fetches it"
    with served(request, tmp_path_factory) as (address, trust):
        yield ["node", ROOT / "tests/tools/node/interop.js", modules, ROOT / "tests/servers/interop.proto", address], trust


@pytest.mark.parametrize("case", CASES + ["compressed_unary"])
def test_node(node, case):
    command, trust = node
    assert f"{case}: passed" in run([*command, case, *trust])


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def rust(request, tmp_path_factory):
    """The command line of the cases by tonic, but for the case, and what stands behind it."""
    if os.environ.get("MOTE_NO_RUST"):
        pytest.skip(os.environ["MOTE_NO_RUST"])
    program = TOOLS / "interop-client-rust"
    assert program.exists(), f"{program} is missing: tests/run builds it"
    with served(request, tmp_path_factory) as (address, trust):
        yield [program, address], trust


@pytest.mark.parametrize("case", CASES + COMPRESSED)
def test_rust(rust, case):
    command, trust = rust
    assert f"{case}: passed" in run([*command, case, *trust])


@pytest.fixture(scope="module")
def cpp_client():
    if os.environ.get("MOTE_NO_CPP"):
        pytest.skip(os.environ["MOTE_NO_CPP"])
    program = TOOLS / "interop-client-cpp"
    assert program.exists(), f"{program} is missing: tests/run builds it"
    return program


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def cpp(request, cpp_client, tmp_path_factory):
    """The command line of gRPC's C++ client, but for the case."""
    files = []
    if request.param == "TLS":
        files = java_identity(request.getfixturevalue("java_jars"), tmp_path_factory.mktemp("cpp"))
    with serve(*files) as options:
        yield [cpp_client, *options]


@pytest.mark.parametrize("case", CASES + COMPRESSED + SOAK + ONLY_CPP)
def test_cpp(cpp, case):
    output = run([*cpp, f"--test_case={case}", *options_of(case)], GRPC_VERBOSITY="debug")
    if case.startswith("client_compressed"):  # it gives up without a word where a server does not see the flag
        assert "probe succeeded" in output, output[-4000:]


@pytest.mark.parametrize("case", ["slow_consumer", "pick_first_unary"])
def test_cpp_in_the_clear(cpp_client, case):
    """The one takes most of a minute, the other has no TLS in this client."""
    with serve() as options:
        run([cpp_client, *options, f"--test_case={case}"])
