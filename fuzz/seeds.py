#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of a fuzz target into a folder: seeds.py TARGET FOLDER; without arguments, the targets' names.

A target is a generator function marked with @target that yields (name, bytes). The inputs are made here instead of
being kept as files, so that a change of a target's input format is one change. The standard library is all it needs.
"""
import base64
import gzip
import hashlib
import hmac
import pathlib
import re
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


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A field that is not indexed, RFC 7541 §6.2.2."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0)
REQUEST = b"\x83\x86" + literal(b":path", b"/a.B/C") + literal(b":authority", b"a") + literal(b"te", b"trailers")
CALL = (b"\x83\x86" + literal(b":path", b"/foo/bar") + literal(b":authority", b"localhost") +
        literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers"))


def h2_input(wire, flags=0, fail_at=0, delay=0, cuts=(), seconds=0):
    """The format of fuzz_h2_raw.c: flags, failing allocation, delay of answers, reads of two bytes of length each."""
    reads = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)])]
    top = 0x8000 if seconds else 0
    return bytes([flags, fail_at, delay]) + b"".join((len(r) | top).to_bytes(2, "big") + r for r in reads)


def golden_line(line):
    word, _, rest = line.partition(" ")
    if word == "preface":
        return PREFACE
    if word in ("request", "call"):
        return frame(1, 4, int(rest), REQUEST if word == "request" else CALL)
    wire = b""
    if word == "times":
        count, _, rest = rest.partition(":")
        return golden_line(rest) * int(count)
    if word == "each":
        first, last, rest = re.fullmatch(r"(..) to (..):(.*)", rest).groups()
        return b"".join(golden_line(rest.replace("**", f"{byte:02x}", 1)) for byte in range(int(first, 16), int(last, 16) + 1))
    for text, count, byte, digits in re.findall(r'"([^"]*)"|([0-9]+)\*([0-9a-f]{2})|([0-9a-f]{2,})', line.split("#")[0]):
        wire += text.encode() + bytes.fromhex(byte) * int(count or 0) + bytes.fromhex(digits)
    return wire


def golden_cases():
    """The bytes of the cases in tests/golden (its README.md says how they are written); of those that are lines, one in
    three, and nothing that is long."""
    for path in sorted((pathlib.Path(__file__).parent.parent / "tests/golden").glob("[a-z]*.md")):
        for number, (prose, part) in enumerate(re.findall(r"## (.*?)```bytes\n(.*?)```", path.read_text(), re.S)):
            lines = part.splitlines()
            if "- each line alone" in prose:
                common = [line for line in lines if line.split()[0] in ("preface", "request", "call")]
                inputs = [[*common, line] for line in lines if line not in common][::3]
            else:
                inputs = [lines]
            for index, each in enumerate(inputs):
                wire = b"".join(map(golden_line, each))
                if len(wire) <= 4096:
                    yield f"{path.stem}_{number}_{index}", wire


def h2_floods():
    """Peers that send the same again and again."""
    def calls(count, *frames):
        return b"".join(frame(1, 4, 2 * n + 1, REQUEST) + b"".join(f(2 * n + 1) for f in frames) for n in range(count))

    yield "rapid_reset", calls(60, lambda i: frame(3, 0, i, b"\0\0\0\x08"))
    yield "window_overflow", calls(60, lambda i: frame(8, 0, i, b"\x7f\xff\xff\xff"))
    yield "initial_window", (frame(4, 0, 0, b"\0\x04\0\0\0\0") + calls(20, lambda i: frame(8, 0, i, b"\x7f\xff\xff\xff")) +
                             frame(4, 0, 0, b"\0\x04\0\0\0\x01"))
    yield "bad_trailers", calls(60, lambda i: frame(1, 4, i, literal(b"t", b"v")))
    yield "many_streams", calls(101)
    yield "bodies", calls(4, *[lambda i: frame(0, 0, i, b"x" * 200)] * 3, lambda i: frame(0, 1, i))
    yield "padded", calls(2, *[lambda i: frame(0, 8, i, b"\xff" + b"x" + b"\0" * 255)] * 4)
    yield "empty_data", calls(1, *[lambda i: frame(0, 0, i)] * 120)
    yield "pings", frame(6, 0, 0, b"12345678") * 20
    yield "settings", frame(4, 0, 0, b"\0\x04\0\0\0\x01") * 12
    yield "unknown", frame(0x42, 0, 0, b"x") * 300
    yield "priority", frame(2, 0, 1, b"\0\0\0\0\x01") * 200
    yield "goaway", calls(1, *[lambda i: frame(7, 0, 0, b"\0" * 8)] * 100)
    yield "continuations", frame(1, 0, 1, b"\x83") + frame(9, 0, 1, b"\x86") * 10
    yield "hpack_bomb", frame(1, 5, 1, b"\x40\x01x\x7f\x81\x06" + b"v" * 896 + b"\xbe" * 600)
    yield "field_bomb", frame(1, 5, 1, b"\x90" * 600)
    yield "window_drip", (frame(4, 0, 0, b"\0\x04\0\0\0\x01") + frame(1, 5, 1, REQUEST) +
                          frame(8, 0, 1, b"\0\0\0\x01") * 7)
    same = b"\x83\x86\x44\x06/a.B/C\x41\x01a\x40\x04key1\x03one\x40\x02te\x08trailers"
    yield "templates", (frame(1, 5, 1, same) + frame(1, 5, 3, b"\x83\x86\xc1\xc0\xbf\xbe") +
                        frame(1, 5, 5, b"\x83\x86\x04\x06/a.B/D\xc0\xbf\xbe") + frame(1, 5, 7, b"\x83\x86\xc1\xc0\xbe") +
                        frame(1, 5, 9, b"\x83\x86\xc1\xc0\xbe\xbf") + frame(1, 5, 11, b"\x83\x86\xc1\xc0"))


@target
def h2_raw():
    cases = [*golden_cases(), *((name, PREFACE + wire) for name, wire in h2_floods())]
    for number, (name, wire) in enumerate(cases):
        yield name, h2_input(wire)
        yield f"{name}_cut", h2_input(wire, 2 << number % 7, 0, number % 8, (len(wire) // 3, len(wire) // 2))
        yield f"{name}_slow", h2_input(wire, 128 | 2 << number % 6, 0, 1, range(10, min(len(wire), 400), 10), 1)
        yield f"{name}_no_memory", h2_input(wire, 0, 20 + number)
    for action in (8, 16, 32, 64, 128):
        wire = dict(cases)["bodies"]
        yield f"action_{action}", h2_input(wire, 0, 0, action, range(40, len(wire), 40))
        yield f"action_{action}_slow", h2_input(wire, 4, 0, action | 1, range(100, len(wire), 100), 1)
        yield f"action_{action}_templates", h2_input(dict(cases)["templates"], 0, 0, action, (90, 150))
    for fail_at in range(1, 120, 3):
        yield f"no_memory_{fail_at}", h2_input(dict(cases)["templates"], 0, fail_at)
    answers = (frame(4, 0, 0) + frame(4, 1, 0) + frame(1, 4, 1, b"\x88") + frame(0, 0, 1, b"hello") +
               frame(1, 5, 1, literal(b"grpc-status", b"0")) + frame(1, 5, 3, b"\x8d"))
    yield "client", h2_input(answers, 1)
    yield "client_cut", h2_input(answers, 1, 0, 0, (1, 20, 33))
    yield "client_informational", h2_input(frame(4, 0, 0) + frame(1, 4, 1, b"\x08\x03100") + frame(1, 5, 1, b"\x88"), 1)
    yield "client_goaway", h2_input(frame(4, 0, 0) + frame(7, 0, 0, b"\0\0\0\x01\0\0\0\0"), 1)
    yield "client_reset", h2_input(frame(4, 0, 0) + frame(3, 0, 1, b"\0\0\0\x07") + frame(3, 0, 3, b"\0\0\0\0"), 1)
    yield "client_pushed", h2_input(frame(4, 0, 0) + frame(5, 4, 1, b"\0\0\0\x02\x82\x86\x84\x41\x01a"), 1)


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, wire, value=b""):
    """A field of a message; with its length where the wire type has one."""
    return varint(number << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value


class Schema:
    """The services' .proto files and their .options, read as lines: enough for these files, and not nanopb's reading."""

    def __init__(self, root):
        self.messages, self.requests, self.bounds = {
            "google.protobuf.FieldMask": [("paths", 1, "string", True)],
            "google.protobuf.Timestamp": [("seconds", 1, "int64", False), ("nanos", 2, "int32", False)]}, {}, {}
        self.enums = set()
        for name in ("user", "auth"):
            package = f"{name}.v1"
            self.read(package, (root / f"proto/{name}/v1/{name}.proto").read_text())
        for path in root.glob("proto/**/*.options"):
            for full, options in re.findall(r"^([\w.]+)\s+(.*)", path.read_text(), re.M):
                for kind, bound in re.findall(r"max_(size|count):(\d+)", options):
                    self.bounds.setdefault(full, {})[kind] = int(bound) - (kind == "size")

    def read(self, package, text):
        text = re.sub(r"//.*", "", text)
        for name, body in re.findall(r"^message (\w+) \{(\}|.*?^\})", text, re.M | re.S):
            fields = re.findall(r"(repeated )?([\w.]+) (\w+) = (\d+);", body)
            self.messages[f"{package}.{name}"] = [
                (field_name, int(number), self.full(package, kind), bool(repeated)) for repeated, kind, field_name, number in fields]
        self.enums.update(f"{package}.{name}" for name in re.findall(r"^enum (\w+)", text, re.M))
        for method, request in re.findall(r"rpc (\w+)\((?:stream )?([\w.]+)\)", text):
            self.requests[method] = self.full(package, request)

    @staticmethod
    def full(package, kind):
        return kind if "." in kind or not kind[0].isupper() else f"{package}.{kind}"

    def values(self, full, kind, repeated):
        """(name, wire type, value) to stand in a field."""
        bounds = self.bounds.get(full, {})
        if kind == "string":
            size = bounds["size"]
            values = {"empty": b"", "usual": b"abc", "max": b"m" * size, "over": b"m" * (size + 1), "nul": b"ab\0cd",
                      "nul_last": b"ab\0", "bad": b"\xc3(", "surrogate": b"\xed\xa0\x80", "cut": b"a\xe2\x82",
                      "wide": "\u263a\U0001f608".encode(), "cut_at_max": b"m" * (size - 1) + b"\xc3"}
            yield from ((name, 2, value) for name, value in values.items())
            yield "as_number", 0, varint(5)
        elif kind in self.messages:
            for name, value in self.bodies(kind):
                yield name, 2, value
        else:
            for name, value in {"zero": 0, "one": 1, "three": 3, "unknown": 77, "negative": 2**64 - 1, "wide": 2**40,
                                "most": 2**31 - 1}.items():
                yield name, 0, varint(value)
            yield "long", 0, b"\x81" + b"\x80" * 8 + b"\0"
            yield "too_long", 0, b"\x80" * 10 + b"\1"
            yield "as_text", 2, b"\1"
            yield "as_fixed32", 5, b"\1\0\0\0"
            yield "as_fixed64", 1, b"\1" + b"\0" * 7

    def bodies(self, message):
        """(name, bytes) of that message: every field with every value, and what is in no field."""
        yield "empty", b""
        whole = b""
        for name, number, kind, repeated in self.messages.get(message, ()):
            full = f"{message}.{name}"
            usual = field(number, *((0, b"\1") if kind != "string" and kind not in self.messages else (2, b"")))
            for value_name, wire, value in self.values(full, kind, repeated):
                yield f"{name}_{value_name}", field(number, wire, value)
            yield f"{name}_twice", usual * 2
            yield f"{name}_group", field(number, 3) + field(number, 4)
            yield f"{name}_cut", usual[:-1]
            if repeated:
                count = self.bounds[full]["count"]
                for more in (0, 1, 2):
                    yield f"{name}_{count + more}", usual * (count + more)
                    if kind != "string":
                        yield f"{name}_packed_{count + more}", field(number, 2, b"\1" * (count + more))
                yield f"{name}_bad_in_the_middle", usual + field(number, 2, b"\xff") + usual
            whole += usual
        yield "whole", whole
        yield "whole_twice", whole + whole
        for name, value in {"unknown": field(900, 2, b"x" * 40), "unknown_number": field(2**29 - 1, 0, b"\1"),
                            "number_0": b"\0\1", "number_too_large": varint(2**32) + b"\1", "wire_3": field(900, 3),
                            "wire_6": field(900, 6), "wire_7": field(900, 7), "cut_length": b"\xfa\x01\x05ab",
                            "wrapped_length": b"\x0a" + varint(2**64 - 1), "cut_tag": b"\x80"}.items():
            yield name, value
            yield f"{name}_behind", whole + value


@target
def request():
    root = pathlib.Path(__file__).parent.parent
    schema = Schema(root)
    table = re.findall(r"(?:USER|AUTH)_METHOD\((\w+)\)", (root / "fuzz/fuzz_request.c").read_text().split("methods[] = {")[1])
    for index, method in enumerate(table):
        for name, body in schema.bodies(schema.requests[method]):
            yield f"{method}_{name}", bytes([index]) + body


@target
def client():
    """Reads as fuzz_client.c wants them: a tuple (bytes, second passes, connection lost) or bytes alone."""
    def reads(flags, fail_at, *parts):
        out = bytes([flags, fail_at])
        for part in parts:
            wire, seconds, lost = part if isinstance(part, tuple) else (part, False, False)
            out += (len(wire) | 0x8000 * seconds | 0x4000 * lost).to_bytes(2, "big") + wire
        return out

    def block(stream, end, *fields):
        return frame(1, 5 if end else 4, stream, b"".join(fields))

    def body(stream, payload, flag=0, end=False):
        return frame(0, 1 if end else 0, stream, message(payload, flag))

    hello = frame(4, 0, 0) + frame(4, 1, 0)
    grpc = literal(b"content-type", b"application/grpc")
    head = [b"\x88", grpc]
    ok = literal(b"grpc-status", b"0")
    serving = b"\x08\x01"

    def answer(stream, *messages, status=ok):
        return block(stream, False, *head) + b"".join(body(stream, m) for m in messages) + block(stream, True, status)

    four = b"".join(answer(stream, serving) for stream in (1, 3, 5, 7))
    cases = {
        "answers": [hello, four, *(answer(stream, serving) for stream in (9, 11, 13, 15))],
        "statuses": [hello, *(block(2 * n + 1, True, *head, literal(b"grpc-status", str(n).encode())) for n in range(20))],
        "messages": [hello + answer(1) + answer(3, serving, serving) + answer(5, b"\xff") + answer(7, b"\x08\xff\xff\xff\xff\x0f")],
        "no_status": [hello + block(1, False, *head) + body(1, serving, end=True) + block(3, True, *head)],
        "not_grpc": [hello + block(1, True, b"\x8d") + block(3, False, b"\x88") + frame(0, 1, 3, b"<html>")],
        "cut_message": [hello + block(1, False, *head) + frame(0, 0, 1, b"\0\0\0\0\x09ab") + block(1, True, ok)],
        "large": [hello + block(1, False, *head) + frame(0, 0, 1, b"\0\xff\0\0\0")],
        "compressed": [hello + block(1, False, *head, literal(b"grpc-encoding", b"gzip")) +
                       body(1, gzip.compress(serving * 500), 1) + block(1, True, ok)],
        "details": [hello + block(1, True, *head, literal(b"grpc-status", b"5"), literal(b"grpc-message", b"a%20b%zz"),
                                  literal(b"grpc-status-details-bin", b"CAU="))],
        "goaway_all": [hello, frame(7, 0, 0, bytes(8)), b"", hello, four],
        "goaway_above": [hello, frame(7, 0, 0, b"\0\0\0\x03\0\0\0\0"), answer(1, serving) + answer(3, serving), hello, four],
        "goaway_calm": [hello + frame(7, 0, 0, b"\0\0\0\0\0\0\0\x0btoo_many_pings"), hello, four],
        "goaway_twice": [hello, frame(7, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)), frame(7, 0, 0, b"\0\0\0\x01" + bytes(4)), hello],
        "goaway_first": [frame(4, 0, 0) + frame(7, 0, 0, bytes(8)), hello, four],
        "refused": [hello, *(frame(3, 0, stream, b"\0\0\0\x07") for stream in range(1, 40, 2))],
        "reset": [hello, *(frame(3, 0, 2 * n + 1, bytes([0, 0, 0, n])) for n in range(14))],
        "one_stream": [frame(4, 0, 0, b"\0\x03\0\0\0\x01"), *(answer(stream, serving) for stream in (1, 3, 5, 7, 9))],
        "no_stream": [frame(4, 0, 0, b"\0\x03\0\0\0\0"), frame(4, 0, 0, b"\0\x03\0\0\0\x02"), answer(1, serving)],
        "no_window": [frame(4, 0, 0, b"\0\x04\0\0\0\0"), frame(8, 0, 1, b"\0\0\0\x03"), frame(8, 0, 1, b"\0\0\0\x64")],
        "lost": [hello, (hello, False, True), (hello + four, False, True), (hello, True, True)],
        "silent": [(b"", True, False)] * 25,
        "silent_later": [hello] + [(b"", True, False)] * 25,
        "not_http2": [b"HTTP/1.1 400 Bad Request\r\n\r\n", hello, four],
    }
    for name, parts in cases.items():
        for flags in (0, 1, 8, 16 | 32, 2 | 4 | 8 | 64):
            yield f"{name}_{flags}", reads(flags, 0, *parts)
    whole = b"".join(part for part in cases["answers"])
    yield "by_bytes", reads(0, 0, *(whole[i:i + 1] for i in range(len(whole))))
    for fail_at in range(1, 200, 4):
        yield f"no_memory_{fail_at}", reads(1 | 8 | 32, fail_at, *cases["answers"], *cases["goaway_all"])


@target
def server():
    """Acts as fuzz_server.c wants them."""
    request, raw, whole, reset, turn, seconds, resume, answer, drain, cut = range(10)
    end, packed = 0x80, 0x40

    def text(word, more=b""):
        return b"\x0a" + bytes([len(word)]) + word + more

    def begin(slot, method, how=0):
        return bytes([request, slot | method << 3 | how])

    def send(slot, payload, how=0, times=0, together=0):
        return bytes([whole | together, slot | how, len(payload), times]) + payload

    words = [b"", b"a", b"k", b"p", b"f", b"c", b"h", b"x" * 40]
    cases = {}
    for method in range(6):
        for word in words:
            cases[f"whole_{word[:1].decode()}_{method}"] = begin(0, method) + send(0, text(word), end)
            cases[f"two_{word[:1].decode()}_{method}"] = begin(0, method) + send(0, text(word)) + send(0, text(b"b")) + \
                bytes([resume, 0, answer, 0, raw, end, 0])
        cases[f"packed_{method}"] = b"".join(begin(slot, method, packed) + send(slot, text(b"", b"\x7a\x7f" + b"z" * 127) , packed | end, 40)
                                             for slot in range(4)) + bytes([turn, 0] * 3)
        cases[f"reset_{method}"] = begin(1, method, packed) + send(1, b"\x0a\x01k", packed, 200) * 3 + bytes([reset, 1])
        cases[f"late_{method}"] = begin(1, method) + send(1, text(b"k"), end) + bytes([seconds, 60, answer, 0])
        cases[f"drain_{method}"] = begin(1, method) + send(1, text(b"k"), end) + bytes([drain, 0, answer, 0]) + begin(2, method)
        cases[f"cut_{method}"] = begin(1, method) + send(1, text(b"p")) + send(1, text(b"a"), end) + bytes([cut, 0])
        cases[f"pieces_{method}"] = begin(3, method) + b"".join(bytes([raw, 3, 1, byte]) for byte in message(text(b"abcx"))) + bytes([raw, 3 | end, 0])
        cases[f"large_{method}"] = begin(3, method) + 3 * send(3, text(b"a", b"\x7a\x7f" + b"z" * 127), times=180, together=0x80) + bytes([raw, 3 | end, 0])
        cases[f"refused_{method}"] = begin(5, method) + send(5, text(b"a", b"\x7a\x7f" + b"x" * 127), times=180) + bytes([turn, 0])
        cases[f"bad_{method}"] = begin(3, method) + bytes([raw, 3, 5]) + b"\0\x7f\0\0\0" + begin(4, method) + send(4, b"\xff", end)
    for name, acts in cases.items():
        for flags in (0, 3):
            yield f"{name}_{flags}", bytes([flags, 0]) + acts
    everything = b"".join(cases[f"{name}_{method}"] for method in range(6) for name in ("two_p", "packed", "pieces"))
    for fail_at in range(1, 256, 3):
        yield f"no_memory_{fail_at}", bytes([2, fail_at]) + everything
    for fail_at in range(16, 64):
        for flags in (2, 6):
            yield f"large_without_memory_{flags}_{fail_at}", bytes([flags, fail_at]) + cases["large_1"]


@target
def http1():
    host = b"Host: localhost:9464\r\n"
    for name, line in (("get", b"GET /metrics HTTP/1.1"), ("old", b"HEAD /livez?verbose HTTP/1.0"), ("tls", b"\x16\x03\x01\x02\x00"),
                       ("absolute", b"GET http://[::1]:9464/ HTTP/1.1"), ("http2", b"PRI * HTTP/2.0"), ("version", b"GET / HTTP/3"),
                       ("target", b"GET metrics HTTP/1.1"), ("long", b"GET /" + b"a" * 2034 + b" HTTP/1.1"),
                       ("too_long", b"GET /" + b"a" * 2035 + b" HTTP/1.1"), ("method", b"G(T / HTTP/1.1")):
        yield name, line + b"\r\n" + host + b"\r\n"
        yield f"{name}_empty_line", b"\r\n" + line + b"\r\n\r\n"
    get = b"GET / HTTP/1.1\r\n" + host
    for name, field in (("close", b"Connection: keep-alive, Close"), ("body", b"Content-Length: 1"), ("empty", b"content-length: 00"),
                        ("chunked", b"Transfer-Encoding: chunked"), ("folded", b" folded"), ("space", b"Accept : */*"),
                        ("prometheus", b"Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.25, */*;q=0.1"),
                        ("gzip", b"Accept-Encoding: gzip;q=0.001\r\nAccept-encoding: br"), ("no_colon", b"Accept"), ("line_feed", b"a: b\nc: d"),
                        ("token", b"Authorization: Bearer abc"), ("two_hosts", b"host: a"), ("nul", b"a: \0"),
                        ("many", b"\r\n".join([b"a: b"] * 31)), ("too_many", b"\r\n".join([b"a: b"] * 32))):
        yield f"field_{name}", get + field + b"\r\n\r\n"
    for length in (8192, 8193):
        rest = length - len(get) - len(b"a: \r\n\r\n")
        yield f"head_{length}", get + b"a: " + b"b" * rest + b"\r\n\r\n"
    yield "two", (get + b"\r\n") * 2


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
