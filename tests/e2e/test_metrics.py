# SPDX-License-Identifier: Apache-2.0
"""Metrics, alerts and the dashboard with the programs that read them: Prometheus, promtool, and OpenMetrics' parser."""

import concurrent.futures
import itertools
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import types
import urllib.error
import urllib.parse
import urllib.request

import grpc
import pytest
from certificates import Identity
from conftest import ADMIN_PASSWORD, ROOT, Clients, free_port, wait_for
from grpc_health.v1 import health_pb2, health_pb2_grpc
from test_admin import ask, samples
from test_answers import Raw
from test_store import try_create
from test_traces import Collector

from auth.v1 import auth_pb2, auth_pb2_grpc
from user.v1 import user_pb2

TOKEN = "a token of 16 by"
RULES = ROOT / "docs/deploy/prometheus/mote.rules.yml"
RULE_TESTS = ROOT / "tests/prometheus/mote.rules.test.yml"
DASHBOARD = ROOT / "docs/deploy/grafana/dashboards/mote.json"


class Prometheus:
    """A real one that scrapes a mote each second as the job "mote", with these rules."""

    def __init__(self, folder, program, rules=None):
        config = folder / "prometheus.yml"
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": "mote", "authorization": {"credentials": TOKEN},
                                "static_configs": [{"targets": [program.admin]}]}]}))
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.address}", "--enable-feature=exemplar-storage"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(20)

    def get(self, path, **parameters):
        """What the API answers; None as long as it does not."""
        try:
            url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it starts
                return None
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        except OSError:
            return None

    def query(self, text):
        found = self.get("query", query=text)
        return [(row["metric"], float(row["value"][1])) for row in found["result"]] if found else []

    def firing(self):
        found = self.get("alerts")
        return {alert["labels"]["alertname"] for alert in found["alerts"] if alert["state"] == "firing"} if found else set()


def promtool(*arguments, input=None):
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: Debian 13 has it in a package of its own")
    result = subprocess.run(["promtool", *map(str, arguments)], input=input, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode() + result.stdout.decode()


def health(channel):
    return health_pb2_grpc.HealthStub(channel)


# --- what is counted


def test_prometheus_scrapes_and_answers(mote, tmp_path):
    """The queries of published dashboards give numbers."""
    program = mote.serve(ADMIN_TOKEN=TOKEN)
    with Prometheus(tmp_path, program) as prometheus, program.channel() as channel:
        for _ in range(20):
            health(channel).Check(health_pb2.HealthCheckRequest())
        query = prometheus.query
        wait_for(lambda: any(value == 20 for _, value in query('grpc_server_handled_total{grpc_method="Check",grpc_code="OK"}')),
                 30, "20 calls in Prometheus")
        assert query("up") == [(query("up")[0][0], 1.0)]
        labels, _ = query('grpc_server_handled_total{grpc_method="Check"}')[0]
        assert labels["grpc_service"] == "grpc.health.v1.Health" and labels["grpc_type"] == "unary"
        assert query("sum(grpc_server_started_total) - sum(grpc_server_handled_total)")[0][1] == 0
        quantile = query('histogram_quantile(0.99, sum by (le) (grpc_server_handling_seconds_bucket{grpc_type="unary"}))')
        assert 0 < quantile[0][1] < 10
        assert query("mote_build_info")[0][0]["version"]
        assert query("process_resident_memory_bytes")[0][1] > 1e6


def test_what_prometheus_says_of_the_text(mote):
    promtool("check", "metrics", input=ask(mote.serve(), "/metrics")[2])


def test_breaches_of_the_protocol(mote):
    """Each kind by itself: a frame, a header block, a connection; and calls that the server ends, by what it says."""
    program = mote.serve()

    def count(kind):
        return samples(program)[f'mote_http2_protocol_errors_total{{kind="{kind}"}}']

    raw = Raw(program.address)
    path = "/grpc.health.v1.Health/Check"
    assert raw.answer(raw.request(path=path, headers=[(":method", "POST"), (":scheme", "http"), (":path", path),
                                                      ("connection", "close")]))["reset"] == 1
    assert (count("headers"), count("frame"), count("connection")) == (1, 0, 0)
    answer = raw.answer(raw.request(path=path, body=b"\x07\0\0\0\0"))
    assert answer["headers"]["grpc-status"] == "13"
    assert samples(program)['mote_calls_aborted_total{reason="malformed message flag"}'] == 1
    raw.frame(6, 0, 1, bytes(8))  # a PING is of no stream
    assert raw.answer(1)["goaway"] == 1
    wait_for(lambda: count("connection") == 1, what="the connection's end")
    assert (count("headers"), count("frame")) == (1, 1)
    raw.close()
    host, port = program.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(24))
        wait_for(lambda: count("connection") == 2, what="what is no HTTP/2")
    assert samples(program)['mote_http2_goaway_sent_total{error="PROTOCOL_ERROR"}'] >= 1


def test_connections_that_are_refused(mote):
    """Too many of one address; and, of those that say nothing, the oldest."""
    def refused(program, reason):
        return samples(program)[f'mote_connections_refused_total{{reason="{reason}"}}']

    program = mote.serve(MAX_CONNECTIONS_PER_ADDRESS="2")
    host, port = program.address.rsplit(":", 1)
    held = [socket.create_connection((host, int(port))) for _ in range(5)]
    wait_for(lambda: refused(program, "address") == 3, what="three refused")
    assert samples(program)["mote_connections"] == 2
    program = mote.serve(WORKERS="1", MAX_CONNECTIONS_PER_ADDRESS="2000", STORE_URL=f"sqlite:{mote.folder}/other.db")
    host, port = program.address.rsplit(":", 1)
    held += [socket.create_connection((host, int(port))) for _ in range(520)]
    wait_for(lambda: refused(program, "silent") == 8, what="eight that gave way")
    for client in held:
        client.close()
    program = mote.serve(WORKERS="1", MAX_CONNECTIONS="2", STORE_URL=f"sqlite:{mote.folder}/third.db")
    host, port = program.address.rsplit(":", 1)
    held = [socket.create_connection((host, int(port))) for _ in range(3)]
    wait_for(lambda: samples(program)['mote_listener_pauses_total{reason="connections_max"}'] > 1, what="a listener that waits")
    assert samples(program)["mote_connections"] == samples(program)["mote_connections_max"] == 2
    for client in held:
        client.close()


def test_lines_that_nobody_reads(mote):
    """The log's reader is stuck: calls go on, what it missed is counted."""
    port = free_port()
    process = subprocess.Popen(
        [mote.program_path, "serve"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=mote.environment(JWT_SECRET=mote.secret, LISTEN=f"unix:{mote.folder}/socket", ADMIN_LISTEN=f"127.0.0.1:{port}", LOG_ACCESS="all",
                             LOG_FORMAT="json", PASSWORD_HASH="argon2id:m=1024,t=1,p=1"))
    program = types.SimpleNamespace(admin=f"127.0.0.1:{port}")
    with grpc.insecure_channel(f"unix:{mote.folder}/socket") as channel:
        for _ in range(100):
            health(channel).Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
        assert samples(program)["mote_log_lines_dropped_total"] == 0
        wait_for(lambda: [health(channel).Check(health_pb2.HealthCheckRequest()) for _ in range(100)]
                 and samples(program)["mote_log_lines_dropped_total"] > 0, 60, "lines that were dropped")
    process.terminate()
    process.communicate(timeout=30)


def test_passwords_that_wait(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(PASSWORD_HASH="argon2id:m=65536,t=3,p=1", LOG_ACCESS="off")
    with program.channel() as channel, concurrent.futures.ThreadPoolExecutor(8) as pool:
        login = auth_pb2_grpc.AuthServiceStub(channel).Login
        logins = [pool.submit(login, auth_pb2.LoginRequest(username=f"nobody-{number}", password="wrong password"), timeout=60)
                  for number in range(8)]
        wait_for(lambda: samples(program)["mote_password_hash_queue_length"] > 0, 30, "a queue")
        for each in logins:
            assert each.exception().code() == grpc.StatusCode.UNAUTHENTICATED
    found = samples(program)
    assert found["mote_password_hash_queue_length"] == 0 and found["mote_password_hashes_total"] == 8


def test_spans_are_counted(mote):
    """Those that the collector took, rejected, or was not there for."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    def answer(context, number):
        rejected = {"rejected_spans": 1} if number == 1 else {}
        if number == 3:
            context.abort(grpc.StatusCode.INTERNAL, "not again")
        return trace_service_pb2.ExportTraceServiceResponse(partial_success=rejected)

    with Collector(answer=answer) as collector:
        program = mote.serve(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.address}", OTEL_BSP_SCHEDULE_DELAY="50",
                             OTEL_BSP_MAX_QUEUE_SIZE="8", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8")
        with program.channel() as channel:
            health(channel).Check(health_pb2.HealthCheckRequest())
            wait_for(lambda: samples(program)['mote_otlp_spans_dropped_total{reason="rejected"}'] == 1, what="a rejected span")
            assert samples(program)["mote_otlp_spans_exported_total"] == 0
            health(channel).Check(health_pb2.HealthCheckRequest())
            wait_for(lambda: samples(program)["mote_otlp_spans_exported_total"] == 1, what="an exported span")
            health(channel).Check(health_pb2.HealthCheckRequest())
            wait_for(lambda: samples(program)['mote_otlp_spans_dropped_total{reason="export_failed"}'] == 1, what="a lost span")
            collector.__exit__()
            for _ in range(40):
                health(channel).Check(health_pb2.HealthCheckRequest())
            wait_for(lambda: samples(program)['mote_otlp_spans_dropped_total{reason="queue_full"}'] >= 24, what="a full queue")
            assert samples(program)["mote_otlp_spans_queue_length"] <= 8


A66_SECONDS = """0 .00001 .00005 .0001 .0003 .0006 .0008 .001 .002 .003 .004 .005 .006 .008 .01 .013 .016 .02 .025 .03 .04 .05 .065 .08 .1
.13 .16 .2 .25 .3 .4 .5 .65 .8 1 2 5 10 20 50 100"""
A66_BYTES = "0 1024 2048 4096 16384 65536 262144 1048576 4194304 16777216 67108864 268435456 1073741824 4294967296"


def families(program):
    """{name: family} as prometheus_client's parser of OpenMetrics, which is strict, reads it."""
    from prometheus_client.openmetrics import parser

    body = ask(program, "/metrics", Accept="application/openmetrics-text;version=1.0.0", Authorization=f"Bearer {TOKEN}")[2].decode()
    return {family.name: family for family in parser.text_string_to_metric_families(body)}


def test_the_names_of_opentelemetry(mote):
    """METRICS_FLAVOR=otel: gRFC A66's instruments, bounds, and labels."""
    program = mote.serve(METRICS_FLAVOR="otel")
    with program.channel() as channel:
        for _ in range(3):
            health(channel).Check(health_pb2.HealthCheckRequest(service="readiness"))
        with pytest.raises(grpc.RpcError):
            health(channel).Check(health_pb2.HealthCheckRequest(service="nobody"))
        for path in ("/no.Such/Method", "/grpc.health.v1.Health/Nothing"):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(path)(b"")
    promtool("check", "metrics", input=ask(program, "/metrics")[2])
    found = families(program)
    assert not [name for name in found if name.startswith(("grpc_requests", "grpc_server_handl", "grpc_server_msg"))]
    started = {sample.labels["grpc_method"]: sample.value for sample in found["grpc_server_call_started"].samples}
    assert started["grpc.health.v1.Health/Check"] == 4 and started["other"] == 2
    assert "grpc.health.v1.Health/Watch" in started and not [name for name in started if "Nothing" in name or "Such" in name]
    for name, bounds in (("duration_seconds", A66_SECONDS), ("sent_total_compressed_message_size_bytes", A66_BYTES),
                         ("rcvd_total_compressed_message_size_bytes", A66_BYTES)):
        samples_of = found[f"grpc_server_call_{name}"].samples
        check = [each for each in samples_of if each.labels["grpc_method"] == "grpc.health.v1.Health/Check"]
        assert {each.labels["grpc_status"] for each in check} >= {"OK", "NOT_FOUND"}
        ok = [each for each in check if each.labels["grpc_status"] == "OK"]
        assert [float(each.labels["le"]) for each in ok if "le" in each.labels] == [*map(float, bounds.split()), float("inf")]
        assert [each.value for each in ok if each.name.endswith("_count")] == [3]
        total = next(each.value for each in ok if each.name.endswith("_sum"))
        assert {"d": 0 < total < 5, "s": total == 3 * 2, "r": total == 3 * 11}[name[0]], (name, total)
        assert {each.labels["grpc_status"] for each in samples_of if each.labels["grpc_method"] == "other"} == {"UNIMPLEMENTED"}


def test_sizes_are_those_of_the_wire(mote):
    """A message that is compressed counts as it was carried."""
    program = mote.serve(METRICS_FLAVOR="otel")
    with program.channel() as channel, pytest.raises(grpc.RpcError):
        health(channel).Check(health_pb2.HealthCheckRequest(service="x" * 5000), compression=grpc.Compression.Gzip)
    sizes = families(program)["grpc_server_call_rcvd_total_compressed_message_size_bytes"].samples
    assert 20 < next(each.value for each in sizes if each.name.endswith("_sum")) < 200


@pytest.mark.parametrize("preregister, codes", [("none", set()), ("ok", {"OK"}), ("all", None)])
def test_series_before_the_first_call(mote, preregister, codes):
    found = families(mote.serve(METRICS_PREREGISTER=preregister, METRICS_FLAVOR="requests,grpc-prometheus,otel"))
    handled = {each.labels["grpc_code"] for each in found["grpc_server_handled"].samples}
    assert handled == codes if codes is not None else len(handled) == 17 and {"OK", "Canceled", "DataLoss"} <= handled
    assert bool(found["grpc_server_call_started"].samples) == (preregister != "none")
    assert not found["grpc_server_call_duration_seconds"].samples


def exemplars(program):
    """{trace: (le, value, time)} of the latencies of Check."""
    return {each.exemplar.labels["trace_id"]: (float(each.labels["le"]), each.exemplar.value, each.exemplar.timestamp)
            for each in families(program)["grpc_server_handling_seconds"].samples
            if each.exemplar and each.labels["grpc_method"] == "Check"}


def test_exemplars(mote, tmp_path):
    """A client's trace is found at its bucket, by OpenMetrics' parser and by Prometheus; one that is not sampled is not."""
    sampled, other = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
    with Collector() as collector:
        program = mote.serve(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.address}", ADMIN_TOKEN=TOKEN)
        with program.channel() as channel:
            for trace, flags in ((sampled, "01"), (other, "00")):
                health(channel).Check(health_pb2.HealthCheckRequest(),
                                      metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-{flags}")])
        before = time.time()
        (trace, (bound, seconds, at)), = exemplars(program).items()
        assert trace == sampled and 0 < seconds <= bound and abs(float(at) - before) < 60
        assert b"trace_id" not in ask(program, "/metrics", Authorization=f"Bearer {TOKEN}")[2]
        with Prometheus(tmp_path, program) as prometheus:
            def stored():
                found = prometheus.get("query_exemplars", query="grpc_server_handling_seconds_bucket", start=time.time() - 600,
                                       end=time.time() + 60)
                return [each["labels"]["trace_id"] for series in found or [] for each in series["exemplars"]]
            wait_for(lambda: sampled in stored(), 30, "the trace in Prometheus")
            assert set(stored()) == {sampled}


@pytest.mark.thread
def test_scrapes_beside_calls(mote):
    """Two workers and three clients whose calls are sampled, beside a hundred scrapes: counters never fall, each exemplar is one call's."""
    with Collector() as collector:
        program = mote.serve(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.address}", LOG_ACCESS="off",
                             METRICS_FLAVOR="requests,grpc-prometheus,otel")
        stop = threading.Event()
        made = set()

        def load(number):
            with program.channel(**{"grpc.use_local_subchannel_pool": 1}) as channel:
                for index in itertools.count(1):
                    if stop.is_set():
                        return
                    trace = f"{number:016x}{index:016x}"
                    made.add(trace)
                    health(channel).Check(health_pb2.HealthCheckRequest(), metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01")])

        threads = [threading.Thread(target=load, args=(number,)) for number in (1, 2, 3)]
        for thread in threads:
            thread.start()
        last = seen = 0
        for index in range(100):
            if index % 2:
                found = families(program)["grpc_server_handled"].samples
                now = next(each.value for each in found if each.labels["grpc_method"] == "Check" and each.labels["grpc_code"] == "OK")
                for trace, (bound, seconds, _) in exemplars(program).items():
                    seen += 1
                    assert trace in made and 0 < seconds <= bound
            else:
                now = samples(program)['grpc_requests_total{code="OK",method="Check",service="grpc.health.v1.Health"}']
            assert now >= last
            last = now
        stop.set()
        for thread in threads:
            thread.join()
        assert last > 0 and seen > 0
        assert program.stop() == 0


# --- alerts and the dashboard


def test_rules():
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULE_TESTS)


def test_each_alert_is_tried_and_explained():
    """Quiet once and firing once in promtool's tests, and in the table of docs/operations.md."""
    tests = RULE_TESTS.read_text()
    page = (ROOT / "docs/operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert len(alerts) == len(set(alerts)) > 20
    for alert in alerts:
        assert re.search(rf"alertname: {alert}, exp_alerts: \[\]", tests), f"{alert} is never quiet"
        assert re.search(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", tests), f"{alert} never fires"
        assert f"| `{alert}` |" in page, f"docs/operations.md does not explain {alert}"


def dashboard_expressions():
    """{title: expression} as Grafana would send them."""
    board = json.loads(DASHBOARD.read_text())
    found = {f"{panel['title']} {target['refId']}": target["expr"]
             for panel in board["panels"] for target in panel.get("targets", [])}
    found.update({each["name"]: each["expr"] for each in board["annotations"]["list"]})
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = re.fullmatch(r"label_values\((.*), \w+\)", variable["definition"]).group(1)
    values = {"$__rate_interval": "10s", "$job": "mote", "$instance": ".*"}
    for name, text in found.items():
        for variable, value in values.items():
            text = text.replace(variable, value)
        assert "$" not in text, (name, text)
        found[name] = text
    return found


def selectors(expression):
    """The series that an expression is made of, each as a query of its own."""
    return re.findall(r"^\w+$|\b(?:instance|job):[\w:]+|\b\w+\{[^}]*\}", expression)


class Traffic:
    """Some of everything that a panel or an alert shows, over TLS."""

    def __init__(self, program, identity, authority):
        credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
        self.address = program.address
        self.channel = grpc.secure_channel(program.address, credentials,
                                           [("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0)])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(authority.certificate)
        self.context.set_alpn_protocols(["h2"])
        program.channel = lambda: self.channel
        self.client = Clients(program)
        self.client.login("admin", ADMIN_PASSWORD)

    def fail(self, call, *arguments, **options):
        with pytest.raises(grpc.RpcError):
            call(*arguments, **options)

    def some(self):
        client = self.client
        health(self.channel).Check(health_pb2.HealthCheckRequest())
        client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata)
        self.fail(list, health(self.channel).Watch(health_pb2.HealthCheckRequest(), timeout=0.1))
        self.fail(client.auth.Login, auth_pb2.LoginRequest(username="nobody", password="wrong" * 20000))
        for _ in range(12):
            self.fail(client.auth.Login, auth_pb2.LoginRequest(username="nobody", password="wrong password"))
        self.fail(client.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token="x"))
        self.flood()
        host, port = self.address.rsplit(":", 1)
        socket.create_connection((host, int(port))).close()

    def flood(self):
        """More PING frames than are allowed: the connection is ended."""
        host, port = self.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            with self.context.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">IBI", 0, 4, 0)[1:] + b"\0"
                               + (b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)) * 200)
                try:
                    while client.recv(65536):
                        pass
                except OSError:
                    pass

    def steal(self):
        """A refresh token is used twice, the second time after the grace for answers that were lost."""
        tokens = self.client.auth.Login(auth_pb2.LoginRequest(username="admin", password=ADMIN_PASSWORD)).tokens
        refresh = self.client.auth.RefreshToken
        refresh(auth_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token))
        time.sleep(11)
        self.fail(refresh, auth_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token))


# By the tests above: of spans, refused connections, lines, and passwords that wait; a write waits too short to be seen.
MOVED_ELSEWHERE = {"mote_otlp_spans_exported", "mote_otlp_spans_dropped", "mote_otlp_spans_queue_length", "mote_log_lines_dropped",
                   "mote_connections_refused", "mote_password_hash_queue_length", "mote_store_write_queue_length",
                   "mote_listener_pauses", "mote_http2_protocol_errors"}


def test_every_expression_is_answered(mote, tmp_path):
    """Of rules and dashboard: they name what there is, and after calls of every kind each gives an answer."""
    authority = Identity(tmp_path, "authority", authority=True)
    identity = Identity(tmp_path, "server", issuer=authority, names=["localhost"])
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(TLS_CERT_FILE=str(identity.certificate), TLS_KEY_FILE=str(identity.key), ADMIN_TOKEN=TOKEN,
                         LOG_ACCESS="off")
    traffic = Traffic(program, identity, authority)
    known = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text(), re.M))
    known |= {"up", "ALERTS", "mote_build_info"}
    with Prometheus(tmp_path, program, RULES) as prometheus:
        wait_for(lambda: prometheus.query("up"), 30, "a scrape")
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        known |= {rule["name"] for rule in rules if rule["type"] == "recording"}
        wanted = {**dashboard_expressions(), **{rule["name"]: rule["query"] for rule in rules if rule["type"] == "recording"}}
        wanted.update({text: text for rule in rules for text in selectors(rule["query"])})
        for text in [*wanted.values(), *(rule["query"] for rule in rules)]:
            prometheus.get("query", query=text)  # an error of the parser is an error here
            names = {re.split(r"[{]", each)[0] for each in selectors(text)}
            assert names, text
            assert not {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} - known, text
        for quiet in ("Alerts", "Restarts"):
            del wanted[quiet]
        assert len(wanted) > 70
        traffic.some()
        traffic.steal()
        until = time.monotonic() + 60
        while wanted and time.monotonic() < until:
            traffic.some()
            wanted = {name: text for name, text in wanted.items()
                      if not [value for _, value in prometheus.query(text) if value == value]}
        assert not wanted
    # What those calls must have moved: a counter that nothing moves would be worth nothing.
    found = families(program)
    moved = {name for name, family in found.items() if any(each.value for each in family.samples)}
    assert set(found) - moved <= MOVED_ELSEWHERE, set(found) - moved
    assert all(each.value for name in ("mote_tls_handshakes", "mote_token_cache_lookups") for each in found[name].samples)
    traffic.channel.close()


def test_alerts_fire(mote, tmp_path):
    """A store that goes away is told of, with rules whose times are a sixtieth; and that it is back; and the server's end."""
    shorter = {"m": "s", "h": "m", "d": "m"}
    text = re.sub(r"(?<=\[)(\d+)([mhd])(?=\])|(?<=for: )(\d+)([mhd])|(?<=offset )(\d+)([mhd])",
                  lambda m: "".join(str(int(number) * (24 if unit == "d" else 1)) + shorter[unit]
                                    for number, unit in (m.groups()[i:i + 2] for i in (0, 2, 4)) if number),
                  RULES.read_text())
    assert text.count("[5s]") == RULES.read_text().count("[5m]") > 5 and not re.search(r"\[\d+[hd]\]", text)
    rules = tmp_path / "short.rules.yml"
    rules.write_text(text)
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    program = mote.serve(ADMIN_TOKEN=TOKEN, LOG_ACCESS="off")
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    number = 0

    def create():
        nonlocal number
        number += 1
        answer = try_create(client, f"user-{number}")
        return grpc.StatusCode.OK if isinstance(answer, str) else answer[0]

    with Prometheus(tmp_path, program, rules) as prometheus:
        wait_for(lambda: create() == grpc.StatusCode.OK and prometheus.query("job:mote_error_ratio:increase1h == 0"), 30,
                 "a ratio")
        assert not prometheus.firing()
        away = mote.database.with_name("away.db")
        mote.database.rename(away)
        assert create() == grpc.StatusCode.UNAVAILABLE
        expected = {"MoteErrorsFast", "MoteStoreUnhealthy", "MoteNotReady"}
        wait_for(lambda: create() and expected <= prometheus.firing(), 60, "alerts")
        away.rename(mote.database)
        wait_for(lambda: create() == grpc.StatusCode.OK and not expected & prometheus.firing(), 60, "no alerts")
        client.channel.close()
        assert program.stop() == 0
        wait_for(lambda: "MoteDown" in prometheus.firing(), 30, "an alert for the end")


def test_the_dashboard_holds_together():
    """What Grafana would show as an empty place: a panel over another, a data source of one machine, a variable that is not there."""
    board = json.loads(DASHBOARD.read_text())
    variables = {each["name"] for each in board["templating"]["list"]} | {"__rate_interval", "__all"}
    panels = board["panels"]
    taken = {}
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels) > 40
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= 24
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"] and panel["targets"]
    text = DASHBOARD.read_text()
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", "mote"}
    assert set(re.findall(r"\$\{?(\w+)", text)) == variables
