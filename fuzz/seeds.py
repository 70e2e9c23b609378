#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of a fuzz target into a folder: seeds.py TARGET FOLDER; without arguments, the targets' names.

A target is a generator function marked with @target that yields (name, bytes). The inputs are made here instead of
being kept as files, so that a change of a target's input format is one change. The standard library is all it needs.
"""
import base64
import hashlib
import hmac
import pathlib
import sys

TARGETS = {}


def target(function):
    """Registers a generator of (name, bytes) under the target's name: fuzz/fuzz_<name>.c."""
    TARGETS[function.__name__] = function
    return function


def message(body, flag=0):
    """A gRPC message: flag, length, body."""
    return bytes([flag]) + len(body).to_bytes(4, "big") + body


def deframe_input(limit, wire, pieces=(), fail_at=0):
    """The format of fuzz_deframe.c: limit's index, failing allocation, number of pieces, their lengths, wire."""
    return bytes([limit, fail_at, len(pieces), *pieces]) + wire


@target
def deframe():
    limits = [0, 1, 2, 5, 127, 128, 255, 256, 1000, 4096, 16384, 65535, 65536, 4194304, 2**32 - 1]
    largest = len(limits) - 1
    yield "empty", deframe_input(0, message(b""))
    yield "empty_then_bytes", deframe_input(largest, message(b"") + message(b"abc", 1), [1])
    yield "many", deframe_input(8, b"".join(message(b"x" * n, n % 2) for n in range(20)), [1, 2, 3, 0, 7])
    yield "short", deframe_input(3, message(b"ab") + b"\0\0", [2])
    for index, limit in enumerate(limits[:10]):
        yield f"limit_{limit}", deframe_input(index, message(b"m" * limit), [3, 200])
        yield f"limit_{limit}_and_one", deframe_input(index, message(b"m" * (limit + 1)), [4])
    for length in (0x7FFFFFFF, 0x80000000, 0x80808080, 0xFFFFFFFF):
        wire = b"\0" + length.to_bytes(4, "big")
        yield f"announced_{length:x}", deframe_input(largest, wire + b"some", [5])
        yield f"announced_{length:x}_refused", deframe_input(13, wire, [1])
    for flag in (1, 2, 0x80, 0xFF):
        yield f"flag_{flag}", deframe_input(8, message(b"good") + message(b"body", flag), [9])
    for cut in range(1, 5):
        yield f"cut_prefix_{cut}", deframe_input(8, message(b"good") + message(b"body")[:cut])
    yield "cut_body", deframe_input(8, message(b"good") + message(b"body")[:-1], [6])
    for fail_at in range(1, 6):
        yield f"no_memory_{fail_at}", deframe_input(largest, message(b"z" * 3000), [250], fail_at)
    yield "buffer_given_back", deframe_input(12, message(b"b" * 17000) + message(b"c" * 30), [255])
    yield "buffer_kept", deframe_input(12, message(b"b" * 300) + message(b"c" * 30), [100, 1])


USUAL = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/user.v1.UserService/GetUser",
    ":authority": "localhost:50051",
    "content-type": "application/grpc",
    "te": "trailers",
    "user-agent": "grpc-go/1.60.0",
}


def block(changes=(), more=()):
    """The usual request as lines; `changes` replace fields (None: leave out), `more` are added behind."""
    fields = dict(USUAL)
    fields.update(changes)
    pairs = [(name, value) for name, value in fields.items() if value is not None] + list(more)
    return b"\n".join(
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in pairs
    )


METADATA_CASES = {
    "content-type": [
        "application/grpc+proto", "application/grpc;charset=x", "application/grpc+", "application/grpc+proto;a=b",
        "application/grpc+json", "application/GRPC", "application/grpcfoo", "application/grpc-web", "image/jpeg", "", None,
    ],
    ":method": ["GET", "HEAD", "post", None],
    "grpc-timeout": [
        "1H", "1M", "1S", "1m", "1u", "1n", "99999999H", "2562047H", "2562048H", "99999999n", "0n", "0m", "100000000S", "1",
        "S", "-1S", "+1S", " 1S", "1s", "1.5S", "0x1S", "",
    ],
    "grpc-encoding": ["identity", "gzip", "identity,gzip", "foo", ""],
    ":path": [
        "/", "//", "//s/m", "s/m", "as/m", "/s", "/s/", "/s/m", "/s/m/", "/s/m?x", "/S/M", "/s%2Fm", "/s/" + "m" * 61,
        "/s/" + "m" * 62, "", None,
    ],
    "x-data-bin": [
        "", "AQ==", "AQ", "AQI=", "AQI", "AQID", "AQ,AQI", "AQ==, AQI=", ",", "!!!", "A", "AQIDA", "AQ==x", "AR==", "AQJ=",
        "AQ-_", "A=Q=", "A" * 1024 + "AQ==", "A" * 1022 + "==AAAA", "A" * 2049,
    ],
    "grpc-message": [
        "plain", "100%25", "%", "%4", "%zz", " edges ", "Gr\u00fc\u00dfe", "\u263a\U0001f608", b"\xff\xc3(\xed\xa0\x80\xe2\x82",
        "%C3%BC%c3%bc", "x" * 1023 + "\u00fc", "x" * 1024, "%" * 1025,
    ],
    "grpc-status": ["0", "16", "17", "00", "-1", ""],
    "x-text": ["value", " edge", b"\x80\xff", "a\tb"],
}


@target
def metadata():
    yield "usual", block()
    for name, values in METADATA_CASES.items():
        for index, value in enumerate(values):
            yield f"{name.strip(':')}_{index}", block({name: value})
    for name in ("content-type", "grpc-timeout", "grpc-encoding"):
        value = {"content-type": "application/grpc", "grpc-timeout": "1S", "grpc-encoding": "identity"}[name]
        yield f"{name}_twice", block({name: value}, [(name, value)])
    for name in ("host", "connection", "keep-alive", "grpc-foo", "grpc-status-details-bin", "trailer", "x", ":x", "X-Y"):
        yield f"name_{name.strip(':')}_", block({}, [(name, "value")])
    yield "no_authority", block({":authority": None}, [("host", "localhost")])
    yield "large", block({}, [(f"x-{n}", "v" * 200) for n in range(40)])
    yield "many", block({}, [("x", "")] * 300)


def jwt_input(time, rest, edits=False):
    """The format of fuzz_jwt.c: the time's index, whether the rest is a script of edits, the rest."""
    return bytes([time, int(edits)]) + rest


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed_token(header, payload, secret=b"correct-horse-battery-staple-4711"):
    text = base64url(header) + b"." + base64url(payload)
    return text + b"." + base64url(hmac.new(secret, text, hashlib.sha256).digest())


JWT_HEADERS = {
    "proper": '{"alg":"HS256","typ":"at+jwt","kid":"857bb19a"}',
    "none": '{"alg":"none","typ":"at+jwt","kid":"857bb19a"}',
    "rs256": '{"alg":"RS256","typ":"at+jwt","kid":"857bb19a"}',
    "list": '{"alg":["HS256"],"typ":"at+jwt","kid":"857bb19a"}',
    "typ_jwt": '{"alg":"HS256","typ":"JWT","kid":"857bb19a"}',
    "no_kid": '{"alg":"HS256","typ":"at+jwt"}',
    "empty_kid": '{"alg":"HS256","typ":"at+jwt","kid":""}',
    "path_kid": '{"alg":"HS256","typ":"at+jwt","kid":"../../dev/null"}',
    "long_kid": '{"alg":"HS256","typ":"at+jwt","kid":"' + "k" * 33 + '"}',
    "crit": '{"alg":"HS256","typ":"at+jwt","kid":"857bb19a","crit":["exp"]}',
    "twice": '{"alg":"HS256","typ":"at+jwt","kid":"857bb19a","kid":"857bb19a"}',
    "spaces": '{ "alg":"HS256","typ":"at+jwt","kid":"857bb19a"}',
    "large": '{"alg":"HS256","typ":"at+jwt","kid":"857bb19a","x":"' + "x" * 300 + '"}',
}


@target
def jwt():
    minted, times = 9, 7
    for token in range(minted):
        for time in range(times):
            yield f"minted_{token}_{time}", jwt_input(time, bytes([token]), True)
    payload = b'{"iss":"mote","aud":"mote"}'
    for name, header in JWT_HEADERS.items():
        # Without a proper MAC: what the parser sees must not be the fuzzer's.
        yield f"header_{name}", jwt_input(0, signed_token(header.encode(), payload, b"another secret"))
    proper = signed_token(JWT_HEADERS["proper"].encode(), payload, b"another secret")
    yield "no_signature", jwt_input(0, proper[:-44])
    yield "empty_signature", jwt_input(0, proper[:-43])
    yield "padded", jwt_input(0, proper + b"=")
    yield "five_parts", jwt_input(0, proper + b".AA.AA")
    yield "bearer", jwt_input(0, b"Bearer " + proper)
    yield "dots", jwt_input(0, b"..")
    yield "empty", jwt_input(0, b"")
    for length in (2048, 2049, 4096):
        yield f"long_{length}", jwt_input(0, (proper + b"A" * length)[:length])
    # The last character of the first token's 424, three of them another spelling of the same signature.
    for value in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=":
        yield f"last_{value}", jwt_input(0, bytes([0, 0, 423 >> 8, 423 & 0xFF, value]), True)
    for what, name in enumerate(("set", "changed", "inserted", "removed", "part")):
        for position in (0, 10, 63, 64, 200):
            edit = bytes([what, position >> 8, position & 0xFF, 1])
            yield f"{name}_{position}", jwt_input(0, bytes([0]) + edit, True)
    for part in range(3):
        for other in range(1, minted):
            yield f"part_{part}_of_{other}", jwt_input(0, bytes([0, 4, 0, part, other]), True)


def main():
    if len(sys.argv) == 1:
        print("\n".join(sorted(TARGETS)))
        return 0
    if len(sys.argv) != 3 or sys.argv[1] not in TARGETS:
        print(f"usage: {sys.argv[0]} TARGET FOLDER; targets: {' '.join(sorted(TARGETS))}", file=sys.stderr)
        return 64
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in TARGETS[sys.argv[1]]():
        (folder / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
