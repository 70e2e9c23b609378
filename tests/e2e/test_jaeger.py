# SPDX-License-Identifier: Apache-2.0
"""Traces in Jaeger: a client with OpenTelemetry's own SDK, and what the query API gives back of its calls."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import grpc
import pytest
from conftest import BUILD, Clients, Program, end, free_ports, sanitizer_environment, wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Every port that it would open on all interfaces otherwise.
PORTS = {"otlp": "collector.otlp.grpc.host-port", "otlp-http": "collector.otlp.http.host-port",
         "query": "query.http-server.host-port", "query-grpc": "query.grpc-server.host-port",
         "admin": "admin.http.host-port", "collector": "collector.grpc-server.host-port",
         "collector-http": "collector.http-server.host-port", "sampling": "http-server.host-port",
         "compact": "processor.jaeger-compact.server-host-port", "binary": "processor.jaeger-binary.server-host-port",
         "zipkin": "processor.zipkin-compact.server-host-port"}


class Jaeger:
    """Jaeger all-in-one with its spans in memory."""

    def __init__(self, program, log):
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in zip(PORTS, free_ports(len(PORTS)))}
        command = [program, *(f"--{flag}={self.addresses[name]}" for name, flag in PORTS.items())]
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            env={"PATH": os.environ["PATH"], "SPAN_STORAGE_TYPE": "memory"})
        wait_for(lambda: self.get("admin", "/") is not None, seconds=60, what="Jaeger")

    def get(self, where, path):
        try:
            with urllib.request.urlopen(f"http://{self.addresses[where]}{path}", timeout=10) as answer:
                return answer.read()
        except (urllib.error.URLError, ConnectionError):
            return None

    def spans(self, trace_id):
        """{span id: span} of a trace, with `service`, `parent` and `attributes` put into each."""
        answer = json.loads(self.get("query", f"/api/traces/{trace_id}") or b'{"data": null}')
        found = {}
        for one in answer["data"] or []:
            for span in one["spans"]:
                references = [item["spanID"] for item in span["references"] if item["refType"] == "CHILD_OF"]
                found[span["spanID"]] = {**span, "service": one["processes"][span["processID"]]["serviceName"],
                                         "parent": references[0] if references else None,
                                         "attributes": {tag["key"]: tag["value"] for tag in span["tags"]}}
        return found

    def trace(self, trace_id, names):
        """The spans of a trace by name, once all of these are there."""
        wait_for(lambda: set(names) <= {span["operationName"] for span in self.spans(trace_id).values()}, seconds=30,
                 what=f"{names} in Jaeger; there are {[s['operationName'] for s in self.spans(trace_id).values()]}")
        return {span["operationName"]: span for span in self.spans(trace_id).values()}


@pytest.fixture(scope="module")
def jaeger(go_tool, tmp_path_factory):
    instance = Jaeger(go_tool("jaeger"), tmp_path_factory.mktemp("jaeger") / "log")
    yield instance
    end(instance.process)


@pytest.fixture(scope="module")
def tracer(jaeger):
    """A client's tracer whose spans go to the same Jaeger."""
    provider = TracerProvider(resource=Resource.create({"service.name": "client"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(jaeger.addresses["otlp"], insecure=True)))
    yield provider.get_tracer("tests")
    provider.shutdown()


class ClientSpan:
    """A span of the client's, with the metadata of calls that are made in it."""

    def __init__(self, tracer, name):
        self.context = tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT)
        self.metadata = {}

    def __enter__(self):
        self.span = self.context.__enter__()
        TraceContextTextMapPropagator().inject(self.metadata)
        self.trace_id = format(self.span.get_span_context().trace_id, "032x")
        self.span_id = format(self.span.get_span_context().span_id, "016x")
        return self

    def __exit__(self, *exception):
        return self.context.__exit__(*exception)


def settings(jaeger):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{jaeger.addresses['otlp']}", "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_SERVICE_NAME": "accounts"}


def test_a_clients_trace_goes_on(mote, jaeger, tracer):
    program = mote.serve(**settings(jaeger))
    before = time.time()
    with ClientSpan(tracer, "visit") as visit, program.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest(), timeout=10, metadata=list(visit.metadata.items()))
    found = jaeger.trace(visit.trace_id, ["visit", "grpc.health.v1.Health/Check"])
    assert found["visit"]["service"] == "client" and found["visit"]["parent"] is None
    span = found["grpc.health.v1.Health/Check"]
    assert span["service"] == "accounts" and span["parent"] == visit.span_id
    assert before - 1 < span["startTime"] / 1e6 < time.time() + 1
    host, port = program.address.rsplit(":", 1)
    expected = {"span.kind": "server", "rpc.system.name": "grpc", "rpc.method": "grpc.health.v1.Health/Check",
                "rpc.response.status_code": "OK", "server.address": host, "server.port": int(port),
                "network.peer.address": "127.0.0.1", "otel.scope.name": "mote"}
    assert expected.items() <= span["attributes"].items()
    assert "error" not in span["attributes"]


def test_what_is_told_of_failures(mote, jaeger, tracer):
    program = mote.serve(**settings(jaeger))
    with ClientSpan(tracer, "visit") as visit, program.channel() as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/no.such.Service/Method", bytes, bytes)(b"", timeout=10,
                                                                         metadata=list(visit.metadata.items()))
    attributes = jaeger.trace(visit.trace_id, ["grpc"])["grpc"]["attributes"]
    assert attributes["otel.status_code"] == "ERROR" and attributes["error"] is True
    assert attributes["rpc.response.status_code"] == attributes["error.type"] == "UNIMPLEMENTED"
    assert attributes["rpc.method_original"] == "no.such.Service/Method"


@pytest.fixture
def guestbook(jaeger):
    """guestbook(accounts) is the second service, which asks the first at that address."""
    programs = []

    def start(accounts):
        program = Program([BUILD / "guestbook-server", "--accounts", accounts, "--collector", jaeger.addresses["otlp"]],
                          {"PATH": os.environ["PATH"], **sanitizer_environment()},
                          lambda record: record["text"].split()[-1] if "listening on" in record.get("text", "") else None)
        programs.append(program)
        return program

    yield start
    for program in programs:
        assert program.stop() == 0


def sign(program, token, metadata):
    import guestbook_pb2
    import guestbook_pb2_grpc

    with program.channel() as channel:
        return guestbook_pb2_grpc.GuestbookStub(channel).Sign(
            guestbook_pb2.SignRequest(), timeout=10, metadata=[("authorization", f"Bearer {token}"), *metadata.items()])


@pytest.mark.thread
def test_one_trace_across_two_services(mote, jaeger, tracer, guestbook):
    """A client, a service of somebody else's on the library, and mote, which that asks."""
    mote.create_user("ada", "correct horse battery", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    accounts = mote.serve(**settings(jaeger))
    client = Clients(accounts)
    client.login("ada", "correct horse battery")
    client.channel.close()
    book = guestbook(accounts.address)
    with ClientSpan(tracer, "visit") as visit:
        assert sign(book, client.token, visit.metadata).username == "ada"
    validate = "auth.v1.AuthService/ValidateToken"
    wait_for(lambda: len(jaeger.spans(visit.trace_id)) == 5, seconds=30, what="five spans in Jaeger")
    found = {(span["service"], span["attributes"].get("span.kind")): span
             for span in jaeger.spans(visit.trace_id).values()}
    assert found["accounts", "client"]["operationName"] == "get_user"
    assert found["accounts", "client"]["parent"] == found["accounts", "server"]["spanID"]
    above = visit.span_id
    for service, kind, name in (("guestbook", "server", "guestbook.v1.Guestbook/Sign"), ("guestbook", "client", validate),
                                ("accounts", "server", validate)):
        span = found[service, kind]
        assert (span["operationName"], span["parent"]) == (name, above)
        assert span["attributes"]["rpc.response.status_code"] == "OK" and "error" not in span["attributes"]
        above = span["spanID"]
    asked = found["guestbook", "client"]
    host, port = accounts.address.rsplit(":", 1)
    assert (asked["attributes"]["server.address"], asked["attributes"]["server.port"]) == (host, int(port))
    messages = [{tag["key"]: tag["value"] for tag in event["fields"]} for event in asked["logs"]]
    assert [message["rpc.message.type"] for message in messages] == ["SENT", "RECEIVED"]


def test_errors_across_two_services(mote, jaeger, tracer, guestbook):
    """To the one who asks every status but OK is an error, to the one who is asked only its own faults are."""
    accounts = mote.serve(**settings(jaeger))
    book = guestbook(accounts.address)
    with ClientSpan(tracer, "visit") as visit, pytest.raises(grpc.RpcError) as refusal:
        sign(book, "no.such.token", visit.metadata)
    assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
    wait_for(lambda: len(jaeger.spans(visit.trace_id)) == 4, seconds=30, what="four spans in Jaeger")
    failed = {(span["service"], span["attributes"]["span.kind"]): span["attributes"].get("otel.status_code")
              for span in jaeger.spans(visit.trace_id).values()}
    assert failed == {("client", "client"): None, ("guestbook", "server"): None, ("guestbook", "client"): "ERROR",
                      ("accounts", "server"): None}


def test_what_a_login_waits_for(mote, jaeger, tracer):
    mote.create_user("ada", "correct horse battery", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(**settings(jaeger))
    from auth.v1 import auth_pb2, auth_pb2_grpc

    with ClientSpan(tracer, "visit") as visit, program.channel() as channel:
        auth_pb2_grpc.AuthServiceStub(channel).Login(
            auth_pb2.LoginRequest(username="ada", password="correct horse battery"), timeout=10,
            metadata=list(visit.metadata.items()))
    found = jaeger.trace(visit.trace_id, ["visit", "auth.v1.AuthService/Login", "verify_password", "create_session"])
    login = found["auth.v1.AuthService/Login"]
    assert found["verify_password"]["parent"] == found["create_session"]["parent"] == login["spanID"]
    assert found["create_session"]["attributes"]["db.system.name"] == "sqlite"
    assert found["create_session"]["attributes"]["span.kind"] == "client"
