# SPDX-License-Identifier: Apache-2.0
"""nginx and HAProxy in front of the real program, as docs/proxies.md shows them, in the clear and with TLS on
both sides: unary calls, refusals, and streams of each direction."""

import os
import queue
import re
import shutil
import socket
import subprocess

import grpc
import pytest
from certificates import Identity
from conftest import ADMIN_PASSWORD, ROOT, Clients, Mote, free_port, reason_of, wait_for
from test_watch import CREATED, DELETED, UPDATED, Watch, create, delete, rename

from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = "argon2id:m=1024,t=1,p=1"
NAME = "mote.example"

# Around what the page has for nginx: it runs in a folder of its own, in the foreground.
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{}
}}
"""
COMMANDS = {"nginx": lambda path: ["nginx", "-p", path.parent, "-c", path],
            "haproxy": lambda path: ["haproxy", "-db", "-f", path]}


def configuration(name, tls, port, upstream):
    """The one that docs/proxies.md shows, with the test's ports and files."""
    blocks = re.findall(rf"```{name}\n(.*?)```", (ROOT / "docs/proxies.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 2
    text, count = re.subn(r"(listen |bind )\S*?(?:80|443) ", rf"\g<1>127.0.0.1:{port} ", blocks[tls])
    assert count == 1 and text.count("127.0.0.1:50051") == 1
    text = text.replace("127.0.0.1:50051", upstream).replace("/etc/mote/", "")
    return NGINX.format(text) if name == "nginx" else text


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Proxied:
    """The program behind a proxy: Clients takes it for a program."""

    def __init__(self, folder, name, mote, tls):
        self.name = name
        search = os.environ["PATH"] + ":/usr/sbin:/sbin"
        if shutil.which(name, path=search) is None:
            pytest.skip(f"no {name} on this machine")
        authority = Identity(folder, "authority", authority=True)
        server = Identity(folder, "server", issuer=authority, names=[NAME])
        front = Identity(folder, "proxy", issuer=authority, names=[NAME])
        (folder / "proxy.both").write_bytes(front.certificate.read_bytes() + front.key.read_bytes())
        self.authority = authority.certificate.read_bytes() if tls else None
        mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH=CHEAP)
        settings = {"TLS_CERT_FILE": str(server.certificate), "TLS_KEY_FILE": str(server.key)} if tls else {}
        self.program = mote.serve(TRUSTED_PROXIES="127.0.0.0/8", PASSWORD_HASH=CHEAP, **settings)
        port = free_port()
        path = folder / "proxy.conf"
        path.write_text(configuration(name, tls, port, self.program.address))
        self.address = f"127.0.0.1:{port}"
        self.log = open(folder / "proxy.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(list(map(str, COMMANDS[name](path))), cwd=folder, stdout=self.log,
                                        stderr=subprocess.STDOUT, env={**os.environ, "PATH": search})
        try:
            wait_for(lambda: listens(port) or self.process.poll() is not None, what="the proxy listens")
            assert self.process.poll() is None
        except AssertionError:
            self.log.seek(0)
            raise AssertionError(self.log.read()) from None

    def channel(self):
        options = [("grpc.enable_retries", 0)]
        if not self.authority:
            return grpc.insecure_channel(self.address, options=options)
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.authority),
                                   [*options, ("grpc.ssl_target_name_override", NAME)])

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        assert self.program.stop() == 0


@pytest.fixture(scope="module", params=[(name, tls) for name in COMMANDS for tls in (False, True)],
                ids=["nginx", "nginx-TLS", "haproxy", "haproxy-TLS"])
def proxied(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxied")
    instance = Proxied(folder, request.param[0], Mote(folder), request.param[1])
    yield instance
    instance.end()


@pytest.fixture
def admin(proxied):
    client = Clients(proxied)
    client.login("admin", ADMIN_PASSWORD)
    yield client
    client.channel.close()


def test_unary(admin, proxied):
    """Answers, refusals with their details, unknown methods, deadlines; many calls at once; and who called."""
    me = user_pb2.GetUserRequest(id="me")
    assert admin.user.GetUser(me, metadata=admin.metadata, timeout=10).user.username == "admin"
    with pytest.raises(grpc.RpcError) as refused:
        admin.user.GetUser(me, timeout=10)
    assert reason_of(refused.value)[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    with pytest.raises(grpc.RpcError) as refused:
        create(admin, "not a name")
    assert reason_of(refused.value)[3] == ["user.username"]
    with pytest.raises(grpc.RpcError) as refused:
        admin.channel.unary_unary("/user.v1.UserService/Nothing")(b"", timeout=10)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    pending = [admin.user.GetUser.future(me, metadata=admin.metadata, timeout=30) for _ in range(500)]
    assert all(each.result().user.username == "admin" for each in pending)
    sessions = admin.auth.ListSessions(auth_pb2.ListSessionsRequest(user_id="me"), metadata=admin.metadata, timeout=10)
    assert {session.peer_address for session in sessions.sessions} == {"127.0.0.1"}


def test_early_refusal(admin, proxied):
    """An answer in the middle of the upload: over the bound, and more than a window. HAProxy 2.6 drops an answer that
    RST_STREAM comes behind, whatever RFC 9113 §8.1 says (its issue 1219), so that the client learns of the end alone."""
    with pytest.raises(grpc.RpcError) as refused:
        admin.channel.unary_unary("/auth.v1.AuthService/Login")(b"\x1a\xff\xff\x07" + b"x" * 131071, timeout=10)
    known = {"haproxy": (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)}
    assert refused.value.code() in known.get(proxied.name, (grpc.StatusCode.RESOURCE_EXHAUSTED,))
    assert admin.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=admin.metadata, timeout=10).user.id


def test_server_stream(admin, proxied):
    """Each message comes at once, while the stream stays open; cancelling it reaches the program."""
    watch = Watch(admin)
    watch.next()  # it has begun
    for _ in range(3):
        user = create(admin)
        assert watch.change() == (CREATED, user)
        user = rename(admin, user, "Somebody")
        assert watch.change() == (UPDATED, user)
        delete(admin, user)
        assert watch.change()[0] == DELETED
    watch.call.cancel()

    def ended():
        return any(line.get("rpc_method") == "WatchUsers" and line["grpc_code"] == "Canceled"
                   for line in proxied.program.lines)

    wait_for(ended, what="the program learns that the watch was cancelled")
    with pytest.raises(grpc.RpcError) as over:
        for _ in admin.user.WatchUsers(user_pb2.WatchUsersRequest(), metadata=admin.metadata, timeout=1):
            pass
    assert over.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_client_stream(admin):
    users = [user_pb2.ImportUsersRequest(user=user_pb2.User(username=f"imported-{number}")) for number in range(2000)]
    answer = admin.user.ImportUsers(iter(users), metadata=admin.metadata, timeout=60)
    assert answer.created_count == 2000


def test_both_streams(admin):
    """Reflection, in lock step on one stream."""
    outgoing = queue.Queue()
    answers = reflection_pb2_grpc.ServerReflectionStub(admin.channel).ServerReflectionInfo(iter(outgoing.get, None),
                                                                                           timeout=20)
    for symbol in ("user.v1.UserService", "auth.v1.AuthService", "grpc.health.v1.Health") * 5:
        outgoing.put(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
        assert next(answers).original_request.file_containing_symbol == symbol
    outgoing.put(None)
    assert list(answers) == [] and answers.code() == grpc.StatusCode.OK
