# SPDX-License-Identifier: Apache-2.0
"""Traces in OpenTelemetry's own collector, which writes what it takes as lines of JSON."""

import json
import subprocess

import grpc
import pytest
from certificates import Identity
from conftest import end, free_port, wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """The collector with its receiver, in the clear or with TLS, and a file behind it."""

    def __init__(self, program, folder, tls=None):
        self.address = f"localhost:{free_port()}"
        self.spans_path = folder / "spans.jsonl"
        self.log_path = folder / "collector.log"
        receiver = {"endpoint": self.address}
        if tls:
            receiver["tls"] = {name: str(path) for name, path in tls.items()}
        configuration = {
            "receivers": {"otlp": {"protocols": {"grpc": receiver}}},
            "exporters": {"file": {"path": str(self.spans_path), "flush_interval": "50ms"}},
            "service": {"telemetry": {"metrics": {"level": "none"}},
                        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}}},
        }
        path = folder / "collector.yaml"  # JSON is YAML
        path.write_text(json.dumps(configuration), encoding="utf-8")
        with open(self.log_path, "wb") as out:
            self.process = subprocess.Popen([program, "--config", path], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)
        wait_for(lambda: "Everything is ready" in self.log_path.read_text(encoding="utf-8"), seconds=30,
                 what="the collector")

    def spans(self):
        """[(resource attributes, scope, span)] of all that came in whole."""
        found = []
        text = self.spans_path.read_text(encoding="utf-8") if self.spans_path.exists() else ""
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            for resource in json.loads(line)["resourceSpans"]:
                attributes = {item["key"]: next(iter(item["value"].values()))
                              for item in resource["resource"]["attributes"]}
                found += [(attributes, scope["scope"], span) for scope in resource["scopeSpans"]
                          for span in scope["spans"]]
        return found


@pytest.fixture
def collector(go_tool, tmp_path):
    started = []

    def start(**options):
        started.append(Collector(go_tool("otelcol"), tmp_path, **options))
        return started[-1]

    yield start
    for one in started:
        end(one.process)


def call(program, *, tracestate=None):
    metadata = [("traceparent", f"00-{TRACE}-{PARENT}-01")] + ([("tracestate", tracestate)] if tracestate else [])
    with program.channel() as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10, metadata=metadata)
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/no.such.Service/Method", bytes, bytes)(b"", timeout=10, metadata=metadata)


def check_spans(found):
    by_name = {span["name"]: (resource, scope, span) for resource, scope, span in found}
    resource, scope, span = by_name["grpc.health.v1.Health/Check"]
    assert resource["service.name"] == "accounts" and resource["deployment.environment.name"] == "test"
    assert scope["name"] == "mote"
    assert (span["traceId"], span["parentSpanId"]) == (TRACE, PARENT)
    assert span["kind"] == 2  # server
    assert span.get("status", {}) == {}
    assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
    _, _, failed = by_name["grpc"]
    assert failed["status"]["code"] == 2  # error
    attributes = {item["key"]: next(iter(item["value"].values())) for item in failed["attributes"]}
    assert attributes["rpc.response.status_code"] == "UNIMPLEMENTED"
    assert len({span["spanId"] for _, _, span in found}) == len(found)


def settings(collector, scheme="http"):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{scheme}://{collector.address}", "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_SERVICE_NAME": "accounts", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}


def test_spans_come_in(mote, collector):
    receiver = collector()
    program = mote.serve(**settings(receiver))
    call(program, tracestate="vendor=value")
    wait_for(lambda: len(receiver.spans()) >= 2, seconds=30, what="two spans")
    check_spans(receiver.spans())
    assert {span["traceState"] for _, _, span in receiver.spans()} == {"vendor=value"}


def test_the_last_spans_come_in_at_the_end(mote, collector):
    receiver = collector()
    program = mote.serve(**{**settings(receiver), "OTEL_BSP_SCHEDULE_DELAY": "60000"})
    call(program)
    assert receiver.spans() == []
    assert program.stop() == 0
    wait_for(lambda: len(receiver.spans()) == 2, seconds=30, what="two spans")


def test_tls_and_gzip(mote, collector, tmp_path):
    """The collector wants a certificate of the authority's, too."""
    authority = Identity(tmp_path, "authority", authority=True)
    server = Identity(tmp_path, "collector", issuer=authority, names=["localhost"])
    client = Identity(tmp_path, "exporter", issuer=authority)
    receiver = collector(tls={"cert_file": server.certificate, "key_file": server.key,
                              "client_ca_file": authority.certificate})
    program = mote.serve(**settings(receiver, "https"), OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
                         OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority.certificate),
                         OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(client.certificate),
                         OTEL_EXPORTER_OTLP_CLIENT_KEY=str(client.key))
    call(program)
    wait_for(lambda: len(receiver.spans()) >= 2, seconds=30, what="two spans")
    check_spans(receiver.spans())
