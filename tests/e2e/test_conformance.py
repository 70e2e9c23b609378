# SPDX-License-Identifier: Apache-2.0
"""connectrpc's conformance suite against tests/servers/conformance-server and -client, with all that gRPC has: identity,
gzip and deflate, in the clear, over TLS and with client certificates, a bound on messages; by the suite's own programs
and by grpc-go's. No case is allowed to fail."""

import os
import re
import subprocess

import pytest
from conftest import BUILD, sanitizer_environment

CASES = {"server": 747, "client": 857}

CONFIGURATION = """
features:
  versions: [HTTP_VERSION_2]
  protocols: [PROTOCOL_GRPC]
  codecs: [CODEC_PROTO]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP, COMPRESSION_DEFLATE]
  stream_types: [STREAM_TYPE_UNARY, STREAM_TYPE_CLIENT_STREAM, STREAM_TYPE_SERVER_STREAM,
                 STREAM_TYPE_HALF_DUPLEX_BIDI_STREAM, STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM]
  supports_h2c: true
  supports_tls: true
  supports_tls_client_certs: true
  supports_trailers: true
  supports_connect_get: false
  supports_message_receive_limit: true
"""


@pytest.mark.parametrize("mode", CASES)
def test_conformance(mode, go_tool, tmp_path, record_property):
    configuration = tmp_path / "conformance.yaml"
    configuration.write_text(CONFIGURATION, encoding="ascii")
    reports = tmp_path / "sanitizer"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for name, options in sanitizer_environment().items():
        environment[name] = f"{options}:log_path={reports}"
    result = subprocess.run([go_tool("connectconformance"), "--mode", mode, "--conf", configuration, "-v", "--",
                             BUILD / f"conformance-{mode}"], env=environment, capture_output=True, text=True, timeout=300,
                            check=False)
    output = result.stdout + result.stderr
    computed = re.search(r"Computed (\d+) test case permutation", output)
    passed = re.search(r"(\d+) passed, (\d+) failed", output)
    assert computed and passed, output[-8000:]
    record_property("conformance", f"{mode}: {passed[1]} of {computed[1]} cases passed, no exceptions")
    assert (int(computed[1]), int(passed[1]), int(passed[2])) == (CASES[mode], CASES[mode], 0), output[-8000:]
    assert result.returncode == 0
    assert not list(tmp_path.glob("sanitizer*")), [file.read_text() for file in tmp_path.glob("sanitizer*")]
