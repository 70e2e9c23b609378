# SPDX-License-Identifier: Apache-2.0
"""Fills a store through the server: fill.py ADDRESS PASSWORD COUNT FOLDER. Prints {"token", "user_id"} as JSON."""

import concurrent.futures
import json
import pathlib
import sys

import grpc
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    address, password, count, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
    generated = folder / "python"
    generated.mkdir()
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={generated}",
                        f"--grpc_python_out={generated}", "user/v1/user.proto", "auth/v1/auth.proto"]) == 0
    sys.path.insert(0, str(generated))
    from auth.v1 import auth_pb2, auth_pb2_grpc
    from user.v1 import user_pb2, user_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        auth, user = auth_pb2_grpc.AuthServiceStub(channel), user_pb2_grpc.UserServiceStub(channel)
        token = auth.Login(auth_pb2.LoginRequest(username="admin", password=password)).tokens.access_token
        metadata = (("authorization", f"Bearer {token}"),)

        def create(index):
            fields = user_pb2.User(username=f"user{index:07}", email=f"user{index}@example.com", display_name=f"User {index}")
            return user.CreateUser(user_pb2.CreateUserRequest(user=fields), metadata=metadata).user.id

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            ids = list(pool.map(create, range(count)))
    print(json.dumps({"token": token, "user_id": ids[count // 2]}))


if __name__ == "__main__":
    main()
