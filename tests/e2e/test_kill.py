# SPDX-License-Identifier: Apache-2.0
"""kill -9 under mixed writes: what was acknowledged is there, what was not is there whole or not at all.

Each worker is an administrator with records, sessions and tokens of its own, and keeps a model of them: what was
acknowledged, and the one call that may have been under way when the server was killed. After the restart that call is
settled by asking, and everything that the round has touched is compared; at the end, everything there is.
"""

import random
import sqlite3
import threading
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, Clients, Mote, reason_of

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=64,t=1,p=1"}
# Each login comes from an address of its own, so that wrong passwords hold nobody up.
SETTINGS = {**CHEAP, "TRUSTED_PROXIES": "127.0.0.1"}
WORKERS = 4
SESSIONS_MAX = 6


class Killed(Exception):
    """The server went away under the call: nobody knows whether it was done."""


class Session:
    """A session by its refresh tokens: the last one that came, and the one before it."""

    def __init__(self, tokens):
        self.head, self.parent, self.rotating, self.ending = tokens.refresh_token, None, False, False


class User:
    def __init__(self, name, password):
        self.id, self.name, self.display_name, self.password = None, name, "", password
        self.former = None  # the password before the last acknowledged change
        self.next = None  # what a call under way would make of it: (attribute, value)


class Worker:
    def __init__(self, number, seed):
        self.name = f"admin-{number}"
        self.random = random.Random(f"{seed}-{number}")
        self.users, self.gone, self.sessions, self.ended = {}, [], [], []
        self.creating, self.deleting = None, None
        self.touched = set()
        self.counter, self.acknowledged = 0, 0
        self.client, self.error, self.thread = None, None, None

    # --- calls

    def ask(self, call, request):
        """An answer, or the reason of a refusal as text; Killed when the connection broke."""
        try:
            address = f"10.{self.random.randrange(256)}.{self.random.randrange(256)}.{self.random.randrange(256)}"
            answer = call(request, metadata=(*self.client.metadata, ("x-forwarded-for", address)), timeout=20)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE and "grpc-status-details-bin" not in dict(
                    error.trailing_metadata() or ()):
                raise Killed from None
            return reason_of(error)[1]
        self.acknowledged += 1
        return answer

    def login(self):
        request = auth_pb2.LoginRequest(username=self.name, password=ADMIN_PASSWORD)
        answer = self.ask(self.client.auth.Login, request)
        assert not isinstance(answer, str), answer
        return answer.tokens

    def refresh(self, token):
        return self.ask(self.client.auth.RefreshToken, auth_pb2.RefreshTokenRequest(refresh_token=token))

    def read(self, user):
        answer = self.ask(self.client.user.GetUser, user_pb2.GetUserRequest(id=user.id))
        return answer if isinstance(answer, str) else answer.user

    def can_login(self, user, password):
        answer = self.ask(self.client.auth.Login, auth_pb2.LoginRequest(username=user.name, password=password))
        assert not isinstance(answer, str) or answer == "CREDENTIALS_INVALID", answer
        return not isinstance(answer, str)

    # --- writes

    def create(self):
        self.counter += 1
        user = User(f"{self.name}-u{self.counter}", f"first password {self.counter}")
        self.creating = user
        request = user_pb2.CreateUserRequest(user=user_pb2.User(username=user.name), initial_password=user.password)
        answer = self.ask(self.client.user.CreateUser, request)
        assert not isinstance(answer, str), answer
        self.keep(answer.user.id, user)

    def keep(self, identifier, user):
        user.id = identifier
        self.users[identifier] = user
        self.touched.add(identifier)
        self.creating = None

    def update(self):
        user = self.random.choice(list(self.users.values()))
        user.next = ("display_name", f"name {self.random.random()}")
        self.touched.add(user.id)
        request = user_pb2.UpdateUserRequest(user=user_pb2.User(id=user.id, display_name=user.next[1]))
        answer = self.ask(self.client.user.UpdateUser, request)
        assert not isinstance(answer, str), answer
        user.display_name, user.next = user.next[1], None

    def set_password(self):
        user = self.random.choice(list(self.users.values()))
        user.next = ("password", f"password {self.random.random()}")
        self.touched.add(user.id)
        request = auth_pb2.SetPasswordRequest(user_id=user.id, new_password=user.next[1])
        answer = self.ask(self.client.auth.SetPassword, request)
        assert not isinstance(answer, str), answer
        user.password, user.next, user.former = user.next[1], None, user.password

    def change_password(self):
        user = self.random.choice(list(self.users.values()))
        request = auth_pb2.LoginRequest(username=user.name, password=user.password)
        answer = self.ask(self.client.auth.Login, request)
        assert not isinstance(answer, str), answer
        user.next = ("password", f"password {self.random.random()}")
        self.touched.add(user.id)
        request = auth_pb2.ChangePasswordRequest(current_password=user.password, new_password=user.next[1])
        token, self.client.token = self.client.token, answer.tokens.access_token
        try:
            answer = self.ask(self.client.auth.ChangePassword, request)
        finally:
            self.client.token = token
        assert not isinstance(answer, str), answer
        user.password, user.next, user.former = user.next[1], None, user.password

    def delete(self):
        self.deleting = self.random.choice(list(self.users))
        answer = self.ask(self.client.user.DeleteUser, user_pb2.DeleteUserRequest(id=self.deleting))
        assert not isinstance(answer, str), answer
        self.forget()

    def forget(self):
        self.gone.append(self.users.pop(self.deleting))
        self.touched.discard(self.deleting)
        self.deleting = None

    def open_session(self):
        if len(self.sessions) >= SESSIONS_MAX:
            self.end_session()
        else:
            self.sessions.append(Session(self.login()))

    def end_session(self):
        session = self.random.choice(self.sessions)
        answer = self.rotate(session)
        session.ending = True
        token, self.client.token = self.client.token, answer.tokens.access_token
        try:
            answer = self.ask(self.client.auth.Logout, auth_pb2.LogoutRequest())
        finally:
            self.client.token = token
        assert not isinstance(answer, str), answer
        self.sessions.remove(session)
        self.ended.append(session.head)
        if not self.sessions:
            self.sessions.append(Session(self.login()))

    def rotate(self, session=None):
        session = session or self.random.choice(self.sessions)
        session.rotating = True
        answer = self.refresh(session.head)
        assert not isinstance(answer, str), answer
        session.parent, session.head, session.rotating = session.head, answer.tokens.refresh_token, False
        return answer

    # --- after a restart

    def settle(self):
        """The call that was under way was done or not done; nothing else."""
        if self.client.token is None:
            self.client.token = self.login().access_token  # of a session that nothing ends
        if self.creating is not None:
            user, self.creating = self.creating, None
            request = user_pb2.CreateUserRequest(user=user_pb2.User(username=user.name), initial_password=user.password)
            answer = self.ask(self.client.user.CreateUser, request)
            if isinstance(answer, str):
                assert answer == "USERNAME_TAKEN", answer
                assert self.can_login(user, user.password)  # it is there whole
            else:
                self.keep(answer.user.id, user)
        if self.deleting is not None:
            if self.read(self.users[self.deleting]) == "USER_NOT_FOUND":
                self.forget()
            self.deleting = None
        for session in list(self.sessions):
            if session.ending:
                answer = self.refresh(session.head)
                assert not isinstance(answer, str) or answer == "REFRESH_TOKEN_INVALID", answer
                self.sessions.remove(session)
            elif session.rotating:
                # Within the grace the same successor again and again, whether or not it was made before the kill.
                first, second = self.rotate(session), self.refresh(session.parent)
                assert second.tokens.refresh_token == first.tokens.refresh_token
        for identifier in sorted(self.touched):
            self.compare(self.users[identifier])
        self.touched.clear()
        if not self.sessions:
            self.sessions.append(Session(self.login()))

    def compare(self, user):
        found = self.read(user)
        assert not isinstance(found, str), (user.name, found)
        if user.next is not None and user.next[0] == "display_name" and found.display_name == user.next[1]:
            user.display_name = user.next[1]
        if user.next is not None and user.next[0] == "password":
            new = self.can_login(user, user.next[1])
            assert new != self.can_login(user, user.password), user.name
            user.password = user.next[1] if new else user.password
        elif user.former is not None:
            assert self.can_login(user, user.password), user.name
            assert not self.can_login(user, user.former), user.name
            user.former = None
        user.next = None
        assert (found.username, found.display_name) == (user.name, user.display_name)

    def compare_all(self):
        for user in self.users.values():
            self.compare(user)
        for user in self.gone:
            assert self.read(user) == "USER_NOT_FOUND"
        for token in self.ended:
            assert self.refresh(token) == "REFRESH_TOKEN_INVALID"
        for session in self.sessions:
            self.rotate(session)
            self.rotate(session)
            old = session.parent
            self.rotate(session)
            # Used, and so was its successor: two parties hold tokens of the family, which ends.
            assert self.refresh(old) == "REFRESH_TOKEN_REUSED"
            assert self.refresh(session.head) == "REFRESH_TOKEN_INVALID"

    # --- a round

    def run(self, program, stop):
        self.client, token = Clients(program), self.client.token if self.client else None
        self.client.token = token
        acts = [self.create] * 4 + [self.update] * 4 + [self.rotate] * 4 + [self.open_session, self.set_password, self.change_password, self.delete]
        try:
            self.settle()
            while not stop.is_set():
                self.random.choice(acts)() if len(self.users) > 2 else self.create()
        except Killed:
            pass
        except Exception as error:  # shown by the test, which looks at it
            self.error = error
        finally:
            self.client.channel.close()


def look_into(database):
    """Of each family that is open exactly one token is unused, and each used one is the parent of exactly one."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        heads = connection.execute(
            "SELECT count(*) FROM refresh_tokens WHERE use_time = 0 GROUP BY session_id").fetchall()
        assert heads and set(heads) == {(1,)}
        assert connection.execute(
            "SELECT count(*) FROM refresh_tokens AS old WHERE use_time <> 0 AND (SELECT count(*) FROM refresh_tokens AS new"
            " WHERE new.parent = old.hash) <> 1").fetchone() == (0,)
        counted = connection.execute("SELECT value FROM counters WHERE name = 'users'").fetchone()
        assert connection.execute("SELECT count(*) FROM users").fetchone() == counted
    finally:
        connection.close()


def kill_rounds(mote, rounds):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    workers = [Worker(number, seed) for number in range(WORKERS)]
    for worker in workers:
        mote.create_user(worker.name, ADMIN_PASSWORD, "ADMIN", **CHEAP)
    for round_number in range(rounds):
        program, stop = mote.serve(**SETTINGS), threading.Event()
        for worker in workers:
            worker.thread = threading.Thread(target=worker.run, args=(program, stop))
            worker.thread.start()
        time.sleep(random.uniform(0.05, 0.25))
        program.process.kill()
        stop.set()
        for worker in workers:
            worker.thread.join(30)
            assert worker.error is None, (round_number, worker.name, worker.error, worker.error.__traceback__)
        program.process.wait()
    program = mote.serve(**SETTINGS)
    for worker in workers:
        worker.client = Clients(program, worker.client.token)
        worker.settle()
        worker.compare_all()
        worker.client.channel.close()
    assert program.stop() == 0
    look_into(mote.database)
    return sum(worker.acknowledged for worker in workers)


def test_mixed_writes_survive_kills(mote):
    """Under the sanitizers, where the build has them."""
    assert kill_rounds(mote, 8) > 100


@pytest.mark.slow
def test_mixed_writes_survive_200_kills(tmp_path):
    """Of the released program."""
    assert kill_rounds(Mote(tmp_path, RELEASE), 200) > 5000
