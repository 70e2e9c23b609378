# SPDX-License-Identifier: Apache-2.0
"""Builds gRPC's interop client in C++ from the distribution's source package, against its packaged libraries.

Only the client's own files are compiled, not gRPC: what they take from its test tools is replaced by STUB.
"""

import concurrent.futures
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "fuzz"))
import libraries  # noqa: E402

SOURCES = """
test/cpp/interop/client.cc test/cpp/interop/client_helper.cc test/cpp/interop/interop_client.cc
test/cpp/util/create_test_channel.cc test/cpp/util/test_credentials_provider.cc test/cpp/util/test_config_cc.cc
test/core/security/oauth2_utils.cc test/core/util/histogram.cc
test/core/end2end/data/server1_cert.cc test/core/end2end/data/server1_key.cc test/core/end2end/data/test_root_cert.cc
""".split()
PROTOS = [f"src/proto/grpc/testing/{name}.proto" for name in ("empty", "messages", "test")]
STUB = """
#include "test/core/util/test_config.h"
namespace grpc { namespace testing {
TestEnvironment::TestEnvironment(int *, char **) {}
TestEnvironment::~TestEnvironment() {}
} }
"""


def build(program, folder):
    """Leaves the client at `program`; `folder` is for what is needed to make it. Raises libraries.Failed."""
    folder.mkdir(parents=True, exist_ok=True)
    package = libraries.output("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}", "libgrpc++-dev")
    source = libraries.fetch([tuple(package.split())], folder)["grpc"]
    for part in ("gen", "objects"):
        (source / part).mkdir()
    (source / "stub.cc").write_text(STUB, encoding="ascii")
    plugin = libraries.output("sh", "-c", "command -v grpc_cpp_plugin").strip()
    libraries.run(["protoc", "-I.", "--cpp_out=gen", "--grpc_out=generate_mock_code=true:gen",
                   f"--plugin=protoc-gen-grpc={plugin}", *PROTOS], folder / "protoc.log", cwd=source)
    generated = [str(file.relative_to(source)) for file in source.glob("gen/**/*.cc")]
    objects = {name: "objects/" + name.replace("/", "_") + ".o" for name in [*SOURCES, *generated, "stub.cc"]}

    def compile_one(name):
        libraries.run(["g++", "-std=c++17", "-w", "-I.", "-Iinclude", "-Igen", "-c", name, "-o", objects[name]],
                      folder / (objects[name].replace("/", "-") + ".log"), cwd=source)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, objects))
    linked = libraries.output("pkg-config", "--libs", "grpc++", "grpc", "protobuf", "absl_flags", "absl_flags_parse")
    libraries.run(["g++", *objects.values(), *linked.split(), "-lgpr", "-o", program.resolve()], folder / "link.log",
                  cwd=source)
    shutil.rmtree(folder)
