# SPDX-License-Identifier: Apache-2.0
"""Traces as a collector gets them: real exports over gRPC, read with OpenTelemetry's own messages."""

import concurrent.futures
import socket
import threading
import time
import urllib.request

import grpc
import pytest
from certificates import Identity
from conftest import Clients
from conftest import wait_for as wait
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def wait_for(condition, what):
    wait(condition, seconds=60, what=what)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what it is sent; answers as `answer` says, which gets the context and the number of the export."""

    def __init__(self, address="127.0.0.1:0", credentials=None, answer=None):
        self.exports = []
        self.metadata = []
        self.answer = answer or (lambda context, number: trace_service_pb2.ExportTraceServiceResponse())
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        port = (self.server.add_secure_port(address, credentials) if credentials
                else self.server.add_insecure_port(address))
        self.address = f"127.0.0.1:{port}"
        self.server.start()

    def Export(self, request, context):
        self.exports.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        return self.answer(context, len(self.exports))

    def spans(self):
        return [span for export in self.exports for resource in export.resource_spans
                for scope in resource.scope_spans for span in scope.spans]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.server.stop(None).wait()


def serve(mote, endpoint, **settings):
    return mote.serve(**{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50", **settings})


def check(program, metadata=(), service=""):
    with program.channel() as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10,
                                                         metadata=metadata)


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def one_span(collector):
    wait_for(lambda: collector.spans(), what="a span at the collector")
    assert len(collector.spans()) == 1
    return collector.spans()[0]


def test_a_callers_trace_goes_on(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
                        OTEL_SERVICE_NAME="accounts", OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20secret")
        before = time.time_ns()
        check(program, [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", "vendor=1")])
        span = one_span(collector)
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert len(span.span_id) == 8 and span.span_id.hex() != PARENT
        assert (span.name, span.kind, span.trace_state) == ("grpc.health.v1.Health/Check", 2, "vendor=1")
        assert before - 10**9 < span.start_time_unix_nano <= span.end_time_unix_nano < time.time_ns() + 10**9
        assert span.flags == 0x301 and span.status.code == 0
        host, port = program.address.rsplit(":", 1)
        got = attributes(span.attributes)
        assert got.pop("network.peer.port") > 0
        assert got == {"rpc.system.name": "grpc", "rpc.method": "grpc.health.v1.Health/Check",
                       "rpc.response.status_code": "OK", "server.address": host, "server.port": int(port),
                       "network.peer.address": "127.0.0.1"}
        resource = collector.exports[0].resource_spans[0]
        told = attributes(resource.resource.attributes)
        assert told["service.name"] == "accounts" and told["deployment.environment.name"] == "test"
        assert told["process.pid"] == program.process.pid and told["telemetry.sdk.language"] == "c"
        assert len(told["service.instance.id"]) == 36 and told["host.name"] and told["service.version"]
        assert resource.scope_spans[0].scope.name == "mote"
        assert resource.scope_spans[0].schema_url.startswith("https://opentelemetry.io/schemas/")
        assert collector.metadata[0]["x-key"] == "a secret"
        assert collector.metadata[0]["user-agent"].startswith("mote/")
        assert "OTel-OTLP-Exporter-C/" in collector.metadata[0]["user-agent"]
        wait_for(lambda: program.events("rpc.finished"), what="the line of the call")
        line = program.events("rpc.finished")[0]
        assert (line["trace_id"], line["span_id"], line["trace_flags"]) == (TRACE, span.span_id.hex(), "01")
        assert program.stop() == 0
        assert b"a secret" not in program.text


def test_a_trace_begins_here(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}")
        for bad in ("00-" + "0" * 32 + f"-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", "x"):
            check(program, [("traceparent", bad), ("tracestate", "vendor=1")])
        wait_for(lambda: len(collector.spans()) == 3, what="three spans")
        assert len({span.trace_id for span in collector.spans()}) == 3
        for span in collector.spans():
            assert not span.parent_span_id and not span.trace_state and span.flags == 0x103


def test_a_trace_that_is_not_trusted_is_linked(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", TRACE_TRUST_INCOMING="false")
        check(program, [("traceparent", f"00-{TRACE}-{PARENT}-00")])
        span = one_span(collector)
        assert span.trace_id.hex() != TRACE and not span.parent_span_id
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [(TRACE, PARENT)]


def test_limits_and_propagators(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_SPAN_EVENT_COUNT_LIMIT="0", OTEL_PROPAGATORS="none",
                        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="2", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="6",
                        OTEL_METRICS_EXPORTER="otlp")
        check(program, [("traceparent", f"00-{TRACE}-{PARENT}-00")])
        span = one_span(collector)
        assert span.trace_id.hex() != TRACE and not span.parent_span_id and not span.links
        assert attributes(span.attributes) == {"rpc.system.name": "grpc", "rpc.method": "grpc.h"}
        assert (span.dropped_attributes_count, span.dropped_events_count, len(span.events)) == (5, 2, 0)
        assert program.stop() == 0
        assert b"OTEL_METRICS_EXPORTER: there is no such setting" in program.text


def test_failed_calls(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}")
        with pytest.raises(grpc.RpcError):
            check(program, service="no such service")
        with program.channel() as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary("/no.such.Service/Method", bytes, bytes)(b"", timeout=10)
        wait_for(lambda: len(collector.spans()) == 2, what="two spans")
        known, unknown = collector.spans()
        assert attributes(known.attributes)["rpc.response.status_code"] == "NOT_FOUND" and known.status.code == 0
        assert unknown.name == "grpc" and unknown.status.code == 2
        got = attributes(unknown.attributes)
        assert (got["rpc.method"], got["rpc.method_original"]) == ("_OTHER", "no.such.Service/Method")
        assert got["rpc.response.status_code"] == got["error.type"] == "UNIMPLEMENTED"
        assert unknown.status.message == "unknown service no.such.Service"


@pytest.mark.thread
def test_many_spans_of_two_workers(mote):
    """Full batches, calls with spans below them, metrics of the queue, and the end in the middle of it: all at once."""
    mote.create_user("ada", "correct horse battery", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="64", LOG_ACCESS="off")

        def work(number):
            clients = Clients(program)
            if number == 0:
                clients.login("ada", "correct horse battery")
            stub = health_pb2_grpc.HealthStub(clients.channel)
            for _ in range(20):
                pending = [stub.Check.future(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(20)]
                assert all(one.result() for one in pending)
            with urllib.request.urlopen(f"http://{program.admin}/metrics", timeout=60) as answer:
                assert b"mote_otlp_spans_exported_total" in answer.read()
            clients.channel.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, number) for number in range(8)]:
                done.result()
        assert program.stop() == 0
        lost = sum(line["spans"] for line in program.events("trace.lost"))
        assert len(collector.spans()) + lost == 8 * 400 + 4
        assert len({span.span_id for span in collector.spans()}) == len(collector.spans())


def test_what_a_call_waits_for(mote):
    """Reads, password hashes and writes are spans below the call's; what has a queue says when it had waited there."""
    mote.create_user("ada", "correct horse battery", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}")
        client = Clients(program)
        client.login("ada", "correct horse battery")
        wait_for(lambda: len(collector.spans()) == 4, what="four spans")
        spans = {span.name: span for span in collector.spans()}
        call = spans["auth.v1.AuthService/Login"]
        read = spans["get_user"]
        assert (read.trace_id, read.parent_span_id, read.kind, len(read.events)) == (call.trace_id, call.span_id, 3, 0)
        assert attributes(read.attributes) == {"db.system.name": "sqlite", "db.operation.name": "get_user"}
        assert call.start_time_unix_nano <= read.start_time_unix_nano <= read.end_time_unix_nano
        for name, kind in (("verify_password", 1), ("create_session", 3)):
            span = spans[name]
            assert (span.trace_id, span.parent_span_id, span.kind) == (call.trace_id, call.span_id, kind)
            assert span.flags == 0x103 and span.status.code == 0
            assert [event.name for event in span.events] == ["begun"]
            assert (call.start_time_unix_nano <= span.start_time_unix_nano <= span.events[0].time_unix_nano
                    <= span.end_time_unix_nano <= call.end_time_unix_nano + 10**6)
        assert spans["verify_password"].end_time_unix_nano <= spans["create_session"].start_time_unix_nano + 10**6
        assert attributes(spans["create_session"].attributes) == {"db.system.name": "sqlite",
                                                                  "db.operation.name": "create_session"}
        assert not spans["verify_password"].attributes
        # A wrong password is no error of the hashing's.
        with pytest.raises(grpc.RpcError):
            client.login("ada", "wrong")
        wait_for(lambda: len(collector.spans()) == 7, what="three more spans")
        assert {span.name: span.status.code for span in collector.spans()[4:]} == {
            "get_user": 0, "verify_password": 0, "auth.v1.AuthService/Login": 0}
        client.channel.close()
        assert program.stop() == 0
        assert b"correct horse" not in b"".join(export.SerializeToString() for export in collector.exports)


def test_a_list_that_takes_turns(mote):
    """One with a filter is read by slices, in turns of their own; its span is as long as all of that."""
    from user.v1 import user_pb2

    mote.create_user("admin", "correct horse battery", "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}")
        client = Clients(program)
        client.login("admin", "correct horse battery")
        pending = [client.user.ListUsers.future(user_pb2.ListUsersRequest(filter='username = "nobody*"'), timeout=20,
                                                metadata=client.metadata) for _ in range(8)]
        assert all(not one.result().users for one in pending)
        wait_for(lambda: len(collector.spans()) == 4 + 16, what="a span and one below it of each")
        spans = collector.spans()
        calls = {span.span_id for span in spans if span.name == "user.v1.UserService/ListUsers"}
        assert {span.parent_span_id for span in spans if span.name == "list_users"} == calls and len(calls) == 8
        client.channel.close()


def test_messages_are_events(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}")
        check(program, service="user.v1.UserService")
        span = one_span(collector)
        assert [(event.name, attributes(event.attributes)) for event in span.events] == [
            ("rpc.message", {"rpc.message.type": "RECEIVED", "rpc.message.id": 1, "rpc.message.uncompressed_size": 21}),
            ("rpc.message", {"rpc.message.type": "SENT", "rpc.message.id": 1, "rpc.message.uncompressed_size": 2})]
        assert all(span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano for event in span.events)
        assert span.dropped_events_count == 0


@pytest.mark.parametrize("sampler, argument, spans", [
    ("always_off", "1", (0, 0)), ("traceidratio", "0.5", (350, 650)), ("parentbased_traceidratio", "0", (0, 0)),
])
def test_samplers(mote, sampler, argument, spans):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_TRACES_SAMPLER=sampler,
                        OTEL_TRACES_SAMPLER_ARG=argument, LOG_ACCESS="off")
        with program.channel() as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for _ in range(1000):
                stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert program.stop() == 0
        assert spans[0] <= len(collector.spans()) <= spans[1]


def test_the_last_spans_are_sent_at_the_end(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_BSP_SCHEDULE_DELAY="1h",
                        OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
        for _ in range(3):
            check(program)
        assert program.stop() == 0
        assert len(collector.exports) == 1 and len(collector.spans()) == 3
        assert not program.events("trace.lost")


def test_a_full_batch_does_not_wait(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_BSP_SCHEDULE_DELAY="1h",
                        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10")
        with program.channel() as channel:
            for _ in range(25):
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        wait_for(lambda: len(collector.spans()) >= 20, what="two batches")
        assert [len(export.resource_spans[0].scope_spans[0].spans) for export in collector.exports] == [10, 10]


def test_over_tls(mote, tmp_path):
    authority = Identity(tmp_path, "authority", authority=True)
    identity = Identity(tmp_path, "collector", issuer=authority, names=["localhost"])
    credentials = grpc.ssl_server_credentials([(identity.key.read_bytes(), identity.certificate.read_bytes())])
    with Collector("127.0.0.1:0", credentials) as collector:
        endpoint = "https://localhost:" + collector.address.rsplit(":", 1)[1]
        program = serve(mote, endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority.certificate))
        check(program)
        one_span(collector)
        assert program.stop() == 0


def test_a_collector_that_asks_who_is_there(mote, tmp_path):
    """The settings for traces alone win over those for all signals."""
    authority = Identity(tmp_path, "authority", authority=True)
    identity = Identity(tmp_path, "collector", issuer=authority, names=["localhost"])
    client = Identity(tmp_path, "client", issuer=authority)
    credentials = grpc.ssl_server_credentials([(identity.key.read_bytes(), identity.certificate.read_bytes())],
                                              authority.certificate.read_bytes(), require_client_auth=True)
    with Collector("127.0.0.1:0", credentials) as collector:
        endpoint = "https://localhost:" + collector.address.rsplit(":", 1)[1]
        program = serve(mote, "https://nobody.invalid:1", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint,
                        OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=str(authority.certificate),
                        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(client.certificate),
                        OTEL_EXPORTER_OTLP_CLIENT_KEY=str(client.key))
        check(program)
        one_span(collector)
        assert program.stop() == 0


# --- collectors that are ill ------------------------------------------------------------------------------------------


def test_a_collector_that_comes_later(mote):
    """Spans wait for it; that it is away is told once, and that it is back."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    program = serve(mote, f"http://{address}")
    for _ in range(3):
        check(program)
    wait_for(lambda: program.events("trace.export_failed"), what="the log says that the collector is away")
    with Collector(address) as collector:
        wait_for(lambda: len(collector.spans()) == 3, what="the spans, after a pause")
        wait_for(lambda: program.events("trace.export_resumed"), what="the log says that it is back")
        assert len(program.events("trace.export_failed")) == 1
        assert program.stop() == 0


def fail_with(code, detail=None):
    def answer(context, number):
        if number > 1:
            return trace_service_pb2.ExportTraceServiceResponse()
        if detail is None:
            context.abort(code, "not now")
        status = status_pb2.Status(code=code.value[0], message="not now")
        status.details.add().Pack(detail)
        context.abort_with_status(rpc_status.to_status(status))
        return None
    return answer


@pytest.mark.parametrize("answer, tries", [
    (fail_with(grpc.StatusCode.UNAVAILABLE), 2),
    (fail_with(grpc.StatusCode.RESOURCE_EXHAUSTED, error_details_pb2.RetryInfo()), 2),
    (fail_with(grpc.StatusCode.RESOURCE_EXHAUSTED), 1),
    (fail_with(grpc.StatusCode.INVALID_ARGUMENT), 1),
    (lambda context, number: trace_service_pb2.ExportTraceServiceResponse(partial_success={
        "rejected_spans": 1, "error_message": "too old " * 100}), 1),
])
def test_what_is_tried_again(mote, answer, tries):
    with Collector(answer=answer) as collector:
        program = serve(mote, f"http://{collector.address}")
        check(program)
        wait_for(lambda: program.events("trace.export_failed"), what="the log says that it failed")
        wait_for(lambda: len(collector.exports) >= tries, what="as many tries")
        assert program.stop() == 0
        assert len(collector.exports) == tries
        assert bool(program.events("trace.lost")) == (tries == 1)


def test_a_collector_that_never_answers_costs_its_queue(mote):
    """Calls go on, what does not fit is dropped and counted, and the end is not held up."""
    never = threading.Event()
    with Collector(answer=lambda context, number: never.wait(60)) as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_BSP_MAX_QUEUE_SIZE="50",
                        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10", OTEL_BSP_EXPORT_TIMEOUT="500", LOG_ACCESS="off")
        with program.channel() as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for _ in range(200):
                stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 5
        assert program.events("trace.lost")[0]["spans"] >= 190
        never.set()


# --- settings ---------------------------------------------------------------------------------------------------------


def test_bad_settings_are_told_all_at_once(mote):
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0",
                      OTEL_EXPORTER_OTLP_ENDPOINT="ftp://collector", OTEL_EXPORTER_OTLP_HEADERS="X-Key=s3cr3t",
                      OTEL_TRACES_SAMPLER="often", OTEL_TRACES_SAMPLER_ARG="2", OTEL_BSP_MAX_QUEUE_SIZE="5",
                      OTEL_RESOURCE_ATTRIBUTES="a", OTEL_EXPORTER_OTLP_PROTOCOL="http/json", OTEL_PROPAGATORS="b3", OTEL_SPAN_EVENT_COUNT_LIMIT="-1")
    assert result.returncode == 78
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER",
                 "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_RESOURCE_ATTRIBUTES",
                 "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_PROPAGATORS", "OTEL_SPAN_EVENT_COUNT_LIMIT"):
        assert f"config: {name}: " in result.stderr, result.stderr
    assert "s3cr3t" not in result.stderr + result.stdout


def test_an_authority_that_is_missing(mote):
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0",
                      OTEL_EXPORTER_OTLP_ENDPOINT="https://collector:4317", OTEL_EXPORTER_OTLP_CERTIFICATE="/no/such.pem")
    assert result.returncode == 66 and "/no/such.pem" in result.stderr


def test_switched_off(mote):
    with Collector() as collector:
        program = serve(mote, f"http://{collector.address}", OTEL_SDK_DISABLED="true")
        check(program, [("traceparent", f"00-{TRACE}-{PARENT}-01")])
        wait_for(lambda: program.events("rpc.finished"), what="the line of the call")
        assert "trace_id" not in program.events("rpc.finished")[0]
        assert program.stop() == 0
        assert not collector.exports
