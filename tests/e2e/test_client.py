# SPDX-License-Identifier: Apache-2.0
"""The client role on real sockets: gRPC's interoperability cases against grpc-go's server and against our own, in the
clear and over TLS."""

import os
import socket
import subprocess
import time

import pytest
from certificates import Identity
from conftest import BUILD, Program, free_port, sanitizer_environment

NAME = "foo.test.google.fr"
CASES = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "half_duplex", "empty_stream",
         "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
         "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
         "orca_per_rpc", "orca_oob", "rpc_soak", "channel_soak"]
# grpc-go's server has no compression.
COMPRESSED = ["client_compressed_unary", "server_compressed_unary", "client_compressed_streaming",
              "server_compressed_streaming"]
SOAK_CALLS = {"rpc_soak": 1000, "channel_soak": 200}


def environment():
    return {"PATH": os.environ["PATH"], **sanitizer_environment()}


def address_of(record):
    return record["text"].split()[-1] if "listening on" in record.get("text", "") else None


def wait_until_it_listens(port):
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def identities(request, tmp_path_factory):
    """The server's, and who signed it; neither in the clear."""
    if request.param == "plaintext":
        return None, None
    folder = tmp_path_factory.mktemp("client")
    authority = Identity(folder, "authority", authority=True)
    return Identity(folder, "server", issuer=authority, names=["*.test.google.fr"]), authority


@pytest.fixture(scope="module")
def own_server(identities):
    identity, _ = identities
    tls = ["--use_tls", f"--tls_cert_file={identity.certificate}", f"--tls_key_file={identity.key}"] if identity else []
    program = Program([BUILD / "interop-server", "--port=0", *tls], environment(), address_of)
    yield int(program.address.rsplit(":", 1)[1])
    assert program.stop() == 0


@pytest.fixture(scope="module")
def go_server(identities, go_tool):
    identity, _ = identities
    tls = ["-use_tls", f"-tls_cert_file={identity.certificate}", f"-tls_key_file={identity.key}"] if identity else []
    port = free_port()
    with subprocess.Popen([go_tool("interop-server-go"), f"-port={port}", *tls], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        wait_until_it_listens(port)
        yield port
        process.kill()


def run_case(port, identities, case):
    _, authority = identities
    tls = ["--use_tls", f"--ca_file={authority.certificate}", f"--server_host_override={NAME}"] if authority else []
    soak = [f"--soak_iterations={SOAK_CALLS.get(case, 0)}", "--soak_overall_timeout_seconds=300",
            "--soak_per_iteration_max_acceptable_latency_ms=10000"]
    result = subprocess.run([BUILD / "interop-client", "--server_host=127.0.0.1", f"--server_port={port}",
                             f"--test_case={case}", *tls, *soak], capture_output=True, text=True, timeout=400,
                            check=False, env=environment())
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES)
def test_interop_with_go(go_server, identities, case):
    run_case(go_server, identities, case)


@pytest.mark.parametrize("case", CASES + COMPRESSED)
def test_interop_with_own(own_server, identities, case):
    run_case(own_server, identities, case)
