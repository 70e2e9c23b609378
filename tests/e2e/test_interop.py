# SPDX-License-Identifier: Apache-2.0
"""gRPC's interoperability cases: the clients of other implementations against tests/servers/interop-server, in the
clear and over TLS. What needs an account at Google, or a caching proxy, is left out."""

import os
import subprocess

import pytest
from certificates import Identity
from conftest import BUILD, Program, sanitizer_environment

NAME = "foo.test.google.fr"
SOAK_CALLS = 1000

CASES = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "custom_metadata",
         "status_code_and_message", "special_status_message", "unimplemented_method", "unimplemented_service",
         "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server"]
SOAK = ["rpc_soak", "channel_soak"]
ORCA = ["orca_per_rpc", "orca_oob"]

# Of the client: with it, load reports reach the case.
ORCA_CONFIG = '--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
SOAK_OPTIONS = [f"--soak_iterations={SOAK_CALLS}", "--soak_max_failures=0", "--soak_overall_timeout_seconds=300",
                "--soak_per_iteration_max_acceptable_latency_ms=10000", "--soak_min_time_ms_between_rpcs=0"]


def options_of(case):
    return SOAK_OPTIONS if case in SOAK else [ORCA_CONFIG] if case in ORCA else []


@pytest.fixture(scope="module", params=["plaintext", "TLS"])
def server(request, tmp_path_factory):
    command = [BUILD / "interop-server", "--port=0"]
    authority = None
    if request.param == "TLS":
        folder = tmp_path_factory.mktemp("interop")
        authority = Identity(folder, "authority", authority=True)
        identity = Identity(folder, "server", issuer=authority, names=["*.test.google.fr"])
        command += ["--use_tls", f"--tls_cert_file={identity.certificate}", f"--tls_key_file={identity.key}"]
    program = Program(command, {"PATH": os.environ["PATH"], **sanitizer_environment()},
                      lambda record: record["text"].split()[-1] if "listening on" in record.get("text", "") else None)
    host, port = program.address.rsplit(":", 1)
    program.options = [f"--server_host={host}", f"--server_port={port}"]
    program.authority = authority.certificate if authority else None
    yield program
    assert program.stop() == 0


def run(command, timeout=400):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES + SOAK + ORCA)
def test_go(server, go_tool, case):
    tls = ["--use_tls", "--use_test_ca", f"--ca_file={server.authority}", f"--server_host_override={NAME}"] \
        if server.authority else []
    run([go_tool("interop-client-go"), *server.options, *tls, f"--test_case={case}", *options_of(case)])
