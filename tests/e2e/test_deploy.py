# SPDX-License-Identifier: Apache-2.0
"""The files of docs/deploy, by the checkers of those who read them, and what they must agree on with the program."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import RELEASE, ROOT

DEPLOY = ROOT / "docs/deploy"
BIN = pathlib.Path(sys.executable).parent


def check(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def test_the_dockerfile():
    check(BIN / "hadolint", "--failure-threshold", "style", ROOT / "Dockerfile")
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "# syntax=" not in text, "a builder would fetch it from a registry"
    assert text.index("FROM scratch") > text.index("AS build")


def test_yaml():
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 120}, comments: {min-spaces-from-content: 1}," \
            " octal-values: disable}}"
    files = [path for path in sorted(DEPLOY.rglob("*.y*ml")) if path.name != "mote.rules.yml"]
    assert len(files) >= 5
    check(BIN / "yamllint", "--strict", "--config-data", rules, *files)


def test_compose():
    file = DEPLOY / "compose.yaml"
    check(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    services = documents("compose.yaml")[0]["services"]
    assert [name for name, service in services.items() if "profiles" not in service] == ["mote"]
    version = re.search(r"project\(mote VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
    assert services["mote"]["image"] == f"mote:{version}" and services["mote"]["user"] == "65532:65532"
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{name} is not a version"
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["mem_limit"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), f"{name} is open to others"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source


def test_prometheus_and_grafana():
    if shutil.which("promtool") is None:
        pytest.skip("no promtool")
    check("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
    scrape = documents("prometheus/prometheus.yml")[0]["scrape_configs"][0]
    assert scrape["job_name"] == "mote", "the rules ask for it"
    assert scrape["static_configs"][0]["targets"] == ["mote:9464"]
    sources = documents("grafana/provisioning/datasources/mote.yaml")[0]["datasources"]
    services = documents("compose.yaml")[0]["services"]
    for source in sources:
        assert re.match(r"http://(\w+):", source["url"]).group(1) in services
    exemplars = sources[0]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"]
    assert exemplars in [source["uid"] for source in sources]
    path = documents("grafana/provisioning/dashboards/mote.yaml")[0]["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{path}:ro" in services["grafana"]["volumes"]


def test_kubernetes():
    check(BIN / "kubernetes-validate", "--strict", *(DEPLOY / "kubernetes").glob("*.yaml"))
    pod = documents("kubernetes/mote.yaml")[0]["spec"]["template"]["spec"]
    for spec in (pod, documents("kubernetes/command.yaml")[0]["spec"]):
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 65532
        assert not spec["automountServiceAccountToken"]
        context = spec["containers"][0]["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
    settings = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    seconds = [int(settings[name].removesuffix("s")) for name in ("SHUTDOWN_DELAY", "SHUTDOWN_GRACE_PERIOD")]
    assert sum(seconds) + 2 <= pod["terminationGracePeriodSeconds"]


def test_systemd(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "mote.service"
    text = (DEPLOY / "mote.service").read_text(encoding="utf-8")
    assert "ExecStart=/usr/local/bin/mote serve\n" in text
    unit.write_text(text.replace("/usr/local/bin/mote", str((RELEASE / "mote").resolve())), encoding="utf-8")
    assert check("systemd-analyze", "verify", unit) == "", "what it does not know is only told"
    check("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)


def test_settings(mote):
    """What the files set is what the program knows, and would start with."""
    container = documents("kubernetes/mote.yaml")[0]["spec"]["template"]["spec"]["containers"][0]
    found = [dict(re.findall(r"^Environment=(\w+)=(.*)$", (DEPLOY / "mote.service").read_text(encoding="utf-8"), re.M)),
             {entry["name"]: entry["value"] for entry in container["env"]},
             {**documents("compose.yaml")[0]["services"]["mote"]["environment"], "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4317"}]
    environment = re.search(r"^ENV ([^\\\n]*(?:\\\n[^\\\n]*)*)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M).group(1)
    image = dict(re.findall(r"(\w+)=(\S+)", environment))
    assert {"LISTEN", "INSECURE", "STORE_URL"} == set(image)
    for settings in found:
        assert settings.pop("JWT_SECRET_FILE").endswith("/jwt_secret")
        result = mote.run("config", "--check", JWT_SECRET=mote.secret, **{**image, **settings})
        assert result.stdout + result.stderr == "", result.stderr
