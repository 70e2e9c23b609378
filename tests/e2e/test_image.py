# SPDX-License-Identifier: Apache-2.0
"""The image: built from the Dockerfile by a builder that needs no daemon, looked at, and its program run as a container is:
its own root, read-only, as process 1 of a user without rights, in 64 MB."""

import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import uuid

import pytest
from conftest import ROOT, wait_for

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20
OWNER = 65532
PASSWORD = "correct horse battery"
SBOM = "usr/share/doc/mote/sbom.spdx.json"


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                            **{"timeout": 600, **options})
    assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}"
    return result.stdout


def codename():
    text = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    return re.search(r"^VERSION_CODENAME=(\w+)", text, re.M).group(1)


def base():
    """What debian:<codename>-slim is, made from this machine's mirror and with its settings for packages; kept for the next run."""
    name = codename()
    folder = ROOT / "build/image"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}.tar"
    if kept.exists():
        return kept
    sources = folder / "sources.list"
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    rows = sorted({line for line in targets.splitlines() if re.match(rf"{name}(-|$)", line.split()[1])})
    assert rows, f"apt knows no source of {name}"
    sources.write_text("".join(f"deb {row}\n" for row in rows), encoding="utf-8")
    settings = run("apt-config", "dump", "--format", "%F %v%n", "Acquire").splitlines()
    options = [f"--aptopt={key} \"{value}\";" for key, _, value in (line.partition(" ") for line in settings)
               if re.search(r"proxy|ca(info|path)$", key, re.I) and value]
    certificates = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    hooks = ['rm -f "$1"/etc/apt/sources.list.d/*', f'cp "{sources}" "$1/etc/apt/sources.list"']
    if certificates.exists():
        hooks.append(f'install -D -m 0644 {certificates} "$1{certificates}"')
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("man", "locale", "doc")]
    made = folder / f"{name}.partial.tar"
    run("mmdebstrap", "--quiet", "--variant=minbase", *excluded, "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=force-unsafe-io", *options,
        *(f"--customize-hook={hook}" for hook in hooks), name, made, sources)
    return made.rename(kept)


class Image:
    def __init__(self, folder):
        self.folder = folder
        name = codename()
        self.tag = "localhost/mote:test"
        self.buildah("from", "--name", "base", "scratch")
        self.buildah("add", "--quiet", "base", base(), "/")
        self.buildah("commit", "--quiet", "--rm", "base", f"docker.io/library/debian:{name}-slim")
        # Newer builders would raise these limits, for which not every root has the right.
        limits = [f"--ulimit={limit}=4096:4096" for limit in ("nofile", "nproc")]
        self.buildah("bud", "--format", "docker", "--pull-never", *limits, "--build-arg", f"BASE=debian:{name}-slim",
                     "--build-arg", "REVISION=1234567", "--build-arg", "CREATED=2026-01-01T00:00:00Z", "--tag", self.tag, ROOT)
        self.config = json.loads(self.buildah("inspect", "--type", "image", self.tag))["Docker"]["config"]
        self.buildah("from", "--name", "made", "--pull-never", self.tag)
        self.root = pathlib.Path(self.buildah("mount", "made").strip())

    def buildah(self, *words):
        return run("buildah", "--storage-driver", "vfs", "--root", self.folder / "store", "--runroot", self.folder / "run",
                   *words, env={**os.environ, "BUILDAH_ISOLATION": "chroot"})

    def layers(self):
        """Bytes of the layers, as they are unpacked and as they are sent."""
        sizes = []
        for options in ((), ("--compression-format", "gzip")):
            target = self.folder / f"pushed{len(sizes)}"
            self.buildah("push", *options, *(() if options else ("--disable-compression",)), self.tag, f"dir:{target}")
            manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
            sizes.append(sum(layer["size"] for layer in manifest["layers"]))
        return sizes

    def dispose(self):
        self.buildah("rm", "--all")
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("only root can unpack a Debian and its owners")
    for tool in ("buildah", "mmdebstrap", "runc"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    made = Image(tmp_path_factory.mktemp("image"))
    yield made
    made.dispose()


def test_what_the_image_says(image):
    config = image.config
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/mote"] and config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"50051/tcp", "9464/tcp"}
    assert set(config["Volumes"]) == {"/var/lib/mote"}
    assert config["Healthcheck"]["Test"] == ["CMD", "/mote", "healthcheck"]
    assert config["Healthcheck"]["Timeout"] == 3 * 10**9
    environment = dict(line.split("=", 1) for line in config["Env"])
    environment.pop("PATH", None)
    assert environment == {"LISTEN": "[::]:50051", "INSECURE": "true", "STORE_URL": "sqlite:/var/lib/mote/mote.db"}
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    version = re.search(r"project\(mote VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
    assert labels["title"] == "mote" and labels["version"] == version and labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "1234567" and labels["created"] == "2026-01-01T00:00:00Z"


def test_what_is_in_the_image(image, record_property):
    """One program, no shell, no library; a folder for the store; what the libraries' licences ask for."""
    entries = {path.relative_to(image.root).as_posix(): path.lstat() for path in sorted(image.root.rglob("*"))}
    for path, status in entries.items():
        assert not (image.root / path).is_symlink(), path
        assert status.st_mode & 0o7022 == 0, f"{path} has mode {status.st_mode:o}"
        assert (status.st_uid, status.st_gid) == ((OWNER, OWNER) if path == "var/lib/mote" else (0, 0)), path
    assert entries["var/lib/mote"].st_mode & 0o777 == 0o700
    files = [path for path in entries if (image.root / path).is_file()]
    assert [path for path in files if entries[path].st_mode & 0o111] == ["mote"]
    assert entries["mote"].st_mode & 0o777 == 0o555
    rest = [path for path in files if path != "mote"]
    rest.remove(SBOM)
    assert all(re.fullmatch(r"usr/share/(doc/[^/]+/copyright|common-licenses/[^/]+)", path) for path in rest), rest
    rows = [line.split(",") for line in (ROOT / "third_party/libraries.csv").read_text(encoding="utf-8").splitlines()[1:]]
    for package in ["mote", "libc6-dev", *(row[7].split()[0] for row in rows if row[8] == "build")]:
        assert f"usr/share/doc/{package}/copyright" in files
    program = image.root / "mote"
    headers = run("readelf", "--wide", "--program-headers", "--dynamic", program)
    assert "INTERP" not in headers and "NEEDED" not in headers and "GNU_RELRO" in headers
    assert b"/mote/src/" not in program.read_bytes(), "it tells where it was built"
    unpacked, sent = image.layers()
    record_property("image", f"{unpacked / MEBIBYTE:.2f} MiB, {sent / MEBIBYTE:.2f} MiB to pull, of which the program "
                             f"{entries['mote'].st_size / MEBIBYTE:.2f} MiB")
    assert unpacked <= 8 * MEBIBYTE


def test_what_the_program_is_made_of(image):
    document = json.loads((image.root / SBOM).read_text(encoding="utf-8"))
    assert document["spdxVersion"] == "SPDX-2.3" and document["creationInfo"]["created"] == "2026-01-01T00:00:00Z"
    packages = {package["name"]: package for package in document["packages"]}
    linked = [relation["relatedSpdxElement"] for relation in document["relationships"] if relation["relationshipType"] == "STATIC_LINK"]
    rows = [line.split(",") for line in (ROOT / "third_party/libraries.csv").read_text(encoding="utf-8").splitlines()[1:]]
    for name in ["glibc", "libgcc", *(row[0] for row in rows if row[8] == "build")]:
        assert packages[name]["SPDXID"] in linked
        assert re.match(r"pkg:deb/debian/[\w.+-]+@\d[^?]*\?arch=\w+&distro=debian-\d+$", packages[name]["externalRefs"][0]["referenceLocator"])
    told = dict(re.findall(r"(libuv|nghttp2|sqlite) ([\d.]+)", run(image.root / "mote", "version")))
    assert len(told) == 3
    for name, version in told.items():
        assert packages[name]["versionInfo"].startswith(version)


class Container:
    """One run of the image under runc."""

    def __init__(self, image, folder, arguments, data, secret, hosts=None, **environment):
        self.name = f"mote-{uuid.uuid4()}"
        self.bundle = folder / self.name
        shutil.copytree(image.root, self.bundle / "rootfs")
        settings = {**dict(line.split("=", 1) for line in image.config["Env"]), **environment}
        uid, gid = map(int, image.config["User"].split(":"))
        none = {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")}
        bind = ["bind", "nosuid", "nodev", "noexec"]
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                  {"destination": "/var/lib/mote", "type": "bind", "source": str(data), "options": [*bind, "rw"]}]
        if secret:
            mounts.append({"destination": "/run/secrets/jwt_secret", "type": "bind", "source": str(secret), "options": [*bind, "ro"]})
            settings["JWT_SECRET_FILE"] = "/run/secrets/jwt_secret"
        if hosts:
            (self.bundle / "hosts").write_text(hosts, encoding="utf-8")
            mounts.append({"destination": "/etc/hosts", "type": "bind", "source": str(self.bundle / "hosts"), "options": [*bind, "ro"]})
        config = {
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": uid, "gid": gid}, "args": [*image.config["Entrypoint"], *(arguments or image.config["Cmd"])],
                        "env": [f"{key}={value}" for key, value in settings.items()], "cwd": "/", "capabilities": none,
                        "noNewPrivileges": True},
            "root": {"path": "rootfs", "readonly": True},
            "mounts": mounts,
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
                      "resources": {"memory": {"limit": 64 * MEBIBYTE}, "pids": {"limit": 64}},
                      "cgroupsPath": f"/{self.name}"},
        }
        (self.bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        self.runc = ["runc", "--root", str(folder / "runc")]
        self.process = subprocess.Popen([*self.runc, "run", "--bundle", str(self.bundle), self.name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, text=None):
        """(exit code, what it wrote) of a program that ends by itself."""
        output = self.process.communicate(text, timeout=60)[0]
        return self.process.returncode, output

    def healthcheck(self, *flags):
        """What the HEALTHCHECK of the image does."""
        return subprocess.run([*self.runc, "exec", self.name, "/mote", "healthcheck", *flags], capture_output=True, text=True,
                              timeout=30, check=False)

    def await_health(self):
        asked = []

        def is_over():
            asked.append(self.healthcheck())
            return asked[-1].returncode == 0 or self.process.poll() is not None

        try:
            wait_for(is_over, 30, "a healthy container")
        except AssertionError:
            raise AssertionError(f"not healthy: {asked[-1]}") from None
        assert self.process.poll() is None, self.process.stdout.read()

    def pid(self):
        return json.loads(run(*self.runc, "state", self.name))["pid"]

    def inside(self, *command):
        """The answer to a call made in the container's network."""
        return run("nsenter", "--net", "--target", self.pid(), "--", *command)

    def stop(self):
        run(*self.runc, "kill", self.name, "TERM")
        return self.end()

    def dispose(self):
        if self.process.poll() is None:
            subprocess.run([*self.runc, "kill", self.name, "KILL"], check=False)
            self.process.communicate(timeout=30)


@pytest.fixture
def containers(image, tmp_path):
    """containers(*arguments, **environment) runs the image on one volume with one secret."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, OWNER, OWNER)
    secret = tmp_path / "jwt_secret"
    secret.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    secret.chmod(0o444)  # Docker's secrets are so, too
    made = []

    def make(*arguments, with_secret=True, **environment):
        made.append(Container(image, tmp_path, arguments, data, secret if with_secret else None, **environment))
        return made[-1]

    yield make
    for container in made:
        container.dispose()


def create_admin(containers):
    code, output = containers("user", "create", "--username", "admin", "--role", "ADMIN", "--password-stdin").end(PASSWORD + "\n")
    assert code == 0, output


def test_it_serves_with_nothing_but_a_volume_and_a_secret(containers, go_tool):
    grpcurl = go_tool("grpcurl")

    def call(container, method, request, token=None):
        header = ["-H", f"authorization: Bearer {token}"] if token else []
        return json.loads(container.inside(grpcurl, "-plaintext", *header, "-d", json.dumps(request), "127.0.0.1:50051", method))

    def login(container, username):
        return call(container, "auth.v1.AuthService/Login", {"username": username, "password": PASSWORD})["tokens"]["accessToken"]

    create_admin(containers)
    container = containers(REFLECTION="on", LOG_FORMAT="json")
    container.await_health()
    status = pathlib.Path(f"/proc/{container.pid()}/status").read_text(encoding="utf-8")
    for wanted in (r"Uid:(\s+65532){4}", r"Gid:(\s+65532){4}", r"CapBnd:\s+0+$", r"CapEff:\s+0+$", r"NoNewPrivs:\s+1", r"NSpid:.*\s1$"):
        assert re.search(wanted, status, re.M), (wanted, status)
    token = login(container, "admin")
    made = call(container, "user.v1.UserService/CreateUser", {"user": {"username": "ada"}, "initial_password": PASSWORD}, token)["user"]
    assert call(container, "user.v1.UserService/GetUser", {"id": made["id"]}, token)["user"]["username"] == "ada"
    wrong = container.healthcheck("--addr", "127.0.0.1:1")
    assert wrong.returncode == 1 and "refused" in wrong.stderr
    code, output = container.stop()
    assert code == 0, output
    assert '"net.listening"' in output

    again = containers(REFLECTION="on")
    again.await_health()
    assert call(again, "user.v1.UserService/GetUser", {"id": "me"}, login(again, "ada"))["user"]["id"] == made["id"]
    code, output = again.stop()
    assert code == 0, output


def test_it_says_what_it_needs(containers):
    code, output = containers(with_secret=False).end()
    assert code == 78 and "JWT_SECRET" in output, output
    code, output = containers("version").end()
    assert code == 0 and "git 1234567" in output, output
    code, output = containers(STORE_URL="sqlite:/elsewhere/mote.db").end()
    assert code == 73, output
    code, output = containers("config", "--check").end()
    assert code == 0, output


def test_names_are_looked_up_where_the_files_for_it_are(containers):
    """libc's own sources, hosts and DNS, are in the program; without their files a name is unknown, and only that."""
    for hosts, told in ((None, "collector:4317: the host is not known"), ("127.0.0.1 collector\n", "collector:4317: connection refused")):
        container = containers(hosts=hosts, OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4317", OTEL_BSP_SCHEDULE_DELAY="10",
                               OTEL_BSP_EXPORT_TIMEOUT="100")
        container.await_health()
        code, output = container.stop()
        assert code == 0 and told in output, output


def test_libraries_of_a_machine_are_not_loaded(image, tmp_path):
    """Where the static program is run on a machine that has more sources of names, they are passed over: they are made for
    another libc, and a user that is not in /etc/passwd once ended the program by one of them."""
    decoy = tmp_path / "decoy.c"
    decoy.write_text("__attribute__((constructor)) static void loaded(void) { __builtin_trap(); }\n", encoding="utf-8")
    run("gcc", "-shared", "-fPIC", "-nostdlib", "-o", tmp_path / "libnss_decoy.so.2", decoy)
    (tmp_path / "nsswitch.conf").write_text("passwd: files decoy\ngroup: files decoy\nhosts: files decoy dns\n", encoding="utf-8")
    for listen, told in (("unix:/tmp/s?owner=nobodyknows", "no user of that name"), ("unix:/tmp/s?group=nobodyknows", "no group of that name")):
        script = f"mount --bind {tmp_path}/nsswitch.conf /etc/nsswitch.conf && exec {image.root}/mote config --check"
        result = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=30, check=False,
                                env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "LISTEN": listen, "JWT_SECRET": secrets.token_urlsafe(48)})
        assert result.returncode == 78 and told in result.stderr, result
