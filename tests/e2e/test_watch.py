# SPDX-License-Identifier: Apache-2.0
"""WatchUsers through Python's grpcio: changes in order, resuming after a restart and after kill -9, lost access,
shutdown."""

import queue
import threading
import time
import uuid

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, reason_of
from test_answers import Raw, message

from auth.v1 import auth_pb2
from user.v1 import user_pb2

PASSWORD = "a good long password"
CREATED, UPDATED, DELETED, HEARTBEAT = (user_pb2.ChangeType.Value(f"CHANGE_TYPE_{name}")
                                        for name in ("CREATED", "UPDATED", "DELETED", "HEARTBEAT"))


class Watch:
    """A stream read by a thread of its own: what came, and how it ended."""

    def __init__(self, client, token=""):
        self.call = client.user.WatchUsers(user_pb2.WatchUsersRequest(resume_token=token), metadata=client.metadata)
        self.queue = queue.Queue()
        self.error = None
        self.resume_token = token
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for message in self.call:
                self.queue.put(message)
        except grpc.RpcError as error:
            self.error = error

    def next(self, seconds=10):
        message = self.queue.get(timeout=seconds)
        assert message.resume_token
        self.resume_token = message.resume_token
        return message

    def change(self, seconds=10):
        """The next message that is no heartbeat, as (type, username or id)."""
        while True:
            message = self.next(seconds)
            if message.change_type != HEARTBEAT:
                return message.change_type, message.user

    def end(self, seconds=10):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), "the stream goes on"
        return reason_of(self.error)[:3]


def create(client, username=None, roles=()):
    user = user_pb2.User(username=username or f"user-{uuid.uuid4().hex[:12]}", roles=roles)
    request = user_pb2.CreateUserRequest(user=user, initial_password=PASSWORD)
    return client.user.CreateUser(request, metadata=client.metadata, timeout=20).user


def rename(client, user, name):
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=user.id, display_name=name))
    return client.user.UpdateUser(request, metadata=client.metadata, timeout=20).user


def delete(client, user):
    client.user.DeleteUser(user_pb2.DeleteUserRequest(id=user.id), metadata=client.metadata, timeout=20)


@pytest.fixture
def admin(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    client = Clients(mote.serve())
    client.login("admin", ADMIN_PASSWORD)
    yield client
    client.channel.close()


def connect(program):
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    return client


def test_changes_come_in_order_on_every_worker(admin, mote):
    watchers = [connect(mote.programs[0]) for _ in range(8)]
    watches = [Watch(client) for client in watchers]
    for watch in watches:
        assert watch.next().change_type == HEARTBEAT
    user = create(admin)
    renamed = rename(admin, user, "Somebody")
    delete(admin, user)
    other = create(admin)
    for watch in watches:
        seen = []
        while not seen or seen[-1][1].id != other.id:
            seen.append(watch.change())
        # what is gone by the time it is sent is left out, but for its deletion
        kinds = [kind for kind, _ in seen]
        assert kinds[-2:] == [DELETED, CREATED] and kinds == sorted(kinds[:-1]) + [CREATED]
        assert seen[-2][1] == user_pb2.User(id=user.id)
        assert seen[-1][1] == other
        for kind, after in seen[:-2]:
            assert after in (user, renamed)
    for client in watchers:
        client.channel.close()


def test_each_change_is_seen(admin):
    watch = Watch(admin)
    assert watch.next().change_type == HEARTBEAT
    user = create(admin)
    assert watch.change() == (CREATED, user)
    user = rename(admin, user, "Somebody")
    assert watch.change() == (UPDATED, user)
    request = user_pb2.DisableUserRequest(id=user.id)
    user = admin.user.DisableUser(request, metadata=admin.metadata, timeout=20).user
    assert watch.change() == (UPDATED, user)
    admin.user.EnableUser(user_pb2.EnableUserRequest(id=user.id), metadata=admin.metadata, timeout=20)
    assert watch.change()[0] == UPDATED
    Clients.login(admin, user.username, PASSWORD)  # no change of the account
    admin.login("admin", ADMIN_PASSWORD)
    delete(admin, user)
    assert watch.change() == (DELETED, user_pb2.User(id=user.id))
    watch.call.cancel()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_resume_after_a_restart_misses_nothing(admin, mote, how):
    watch = Watch(admin)
    first = create(admin)
    assert watch.change() == (CREATED, first)
    token = watch.resume_token
    missed = [create(admin) for _ in range(40)]
    getattr(mote.programs[0], how)()
    again = connect(mote.serve())
    resumed = Watch(again, token)
    assert resumed.next().change_type == HEARTBEAT
    assert [resumed.change()[1] for _ in missed] == missed
    live = create(again)
    assert resumed.change() == (CREATED, live)
    # and once more from the middle
    middle = Watch(again, resumed.resume_token)
    assert middle.next().change_type == HEARTBEAT
    last = create(again)
    assert middle.change() == resumed.change() == (CREATED, last)
    again.channel.close()


@pytest.mark.parametrize("token", ["x", "A" * 88, "A" * 512])
def test_a_token_of_another_making(admin, token):
    assert Watch(admin, token).end() == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "user.v1")


def test_a_token_of_another_store(admin, mote, tmp_path):
    watch = Watch(admin)
    create(admin)
    watch.change()
    mote.programs[0].stop()
    (tmp_path / "other").mkdir()
    mote.database = tmp_path / "other" / "mote.db"
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    other = connect(mote.serve())
    create(other)
    create(other)
    error = Watch(other, watch.resume_token).end()
    assert error == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "user.v1")
    other.channel.close()


def test_access_ends(admin, mote):
    program = mote.programs[0]
    users = [create(admin, roles=[user_pb2.ROLE_SERVICE]) for _ in range(3)]
    watches, clients = [], []
    for user in users:
        client = Clients(program)
        client.login(user.username, PASSWORD)
        clients.append(client)
        watches.append(Watch(client))
        assert watches[-1].next().change_type == HEARTBEAT
    began = time.monotonic()
    clients[0].auth.Logout(auth_pb2.LogoutRequest(), metadata=clients[0].metadata, timeout=10)
    admin.user.DisableUser(user_pb2.DisableUserRequest(id=users[1].id), metadata=admin.metadata, timeout=10)
    request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=users[2].id, roles=[user_pb2.ROLE_USER]))
    admin.user.UpdateUser(request, metadata=admin.metadata, timeout=10)
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    assert watches[0].end() == (unauthenticated, "SESSION_REVOKED", "user.v1")
    assert watches[1].end() == (unauthenticated, "SESSION_REVOKED", "user.v1")
    assert watches[2].end() == (unauthenticated, "TOKEN_STALE", "user.v1")
    assert time.monotonic() - began < 5
    for client in clients:
        client.channel.close()


def test_who_may_watch(admin, mote):
    user = create(admin)
    client = Clients(mote.programs[0])
    assert Watch(client).end() == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING", "user.v1")
    client.login(user.username, PASSWORD)
    assert Watch(client).end() == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", "user.v1")
    client.channel.close()


def test_an_open_watch_does_not_hold_the_drain(admin, mote):
    watches = [Watch(admin) for _ in range(20)]
    for watch in watches:
        assert watch.next().change_type == HEARTBEAT
    began = time.monotonic()
    assert mote.programs[0].stop() == 0
    assert time.monotonic() - began < 10
    for watch in watches:
        assert watch.end() == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "user.v1")


def test_a_cancelled_watch_is_gone(admin):
    """More of them, one after the other, than a connection may have at once."""
    for _ in range(120):
        watch = Watch(admin)
        assert watch.next().change_type == HEARTBEAT
        watch.call.cancel()


def import_users(client, names, display_name):
    requests = (user_pb2.ImportUsersRequest(user=user_pb2.User(username=name, display_name=display_name)) for name in names)
    answer = client.user.ImportUsers(requests, metadata=client.metadata, timeout=120)
    assert answer.failed_count == 0
    return answer.created_count


def test_more_watches_than_share_a_read(mote):
    """160 on one worker, over two connections: rounds of 128 at most, and everybody sees everything once and in order."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    server = mote.serve(WORKERS="1")
    admin = connect(server)
    clients = [Clients(Options(server, number), admin.token) for number in range(2)]
    watches = [Watch(clients[number % 2]) for number in range(160)]
    for watch in watches:
        assert watch.next(30).change_type == HEARTBEAT
    names = [f"user-{number:03}" for number in range(50)]
    assert import_users(admin, names, "Somebody") == len(names)
    for watch in watches:
        assert [watch.change(60)[1].username for _ in names] == names
    for watch in watches:
        watch.call.cancel()
    for client in (admin, *clients):
        client.channel.close()
    assert server.stop() == 0


class Options:
    """A server whose channels have connections of their own."""

    def __init__(self, program, number):
        self.program, self.number = program, number

    def channel(self):
        return self.program.channel(**{"grpc.use_local_subchannel_pool": 1, "test.number": self.number})


def test_readers_that_stop_cost_bounded_memory(tmp_path):
    """60 connections watch and read nothing while 4,000 users are made, half a megabyte for each of them; who reads sees them
    all the same. Of the released program."""
    mote = Mote(tmp_path, RELEASE)
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", PASSWORD_HASH="argon2id:m=1024,t=1,p=1")
    server = mote.serve(WORKERS="1")
    admin = connect(server)
    reader = Watch(connect(server))
    assert reader.next().change_type == HEARTBEAT
    stopped = [Raw(server.address) for _ in range(60)]
    for raw in stopped:
        raw.h2.increment_flow_control_window(8 * 1024 * 1024)
        raw.h2.update_settings({4: 8 * 1024 * 1024})  # INITIAL_WINDOW_SIZE: flow control does not hold it up
        raw.flush()
        raw.request(message(), "/user.v1.UserService/WatchUsers", extra=[("authorization", f"Bearer {admin.token}")])
    time.sleep(0.5)
    before = resident(server)
    names = [f"user-{number:04}" for number in range(4000)]
    assert import_users(admin, names, "n" * 60 + "\u00e9" * 4) == len(names)
    assert [reader.change(60)[1].username for _ in names] == names
    grown = resident(server) - before
    assert grown < 16 * 1024 * 1024, grown
    for raw in stopped:
        raw.close()
    reader.call.cancel()
    admin.channel.close()
    assert server.stop() == 0


def resident(program):
    with open(f"/proc/{program.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096
