#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs protoc with protoc-gen-mote and nanopb on small .proto files: what is refused, and that odd files make good C.

Usage: test_protoc_gen_mote.py <source folder> <protoc> <C compiler> [nanopb's include folder]
"""

import os
import subprocess
import sys
import tempfile
import unittest

SOURCE, PROTOC, COMPILER = sys.argv[1:4]
INCLUDES = sys.argv[4:5]
PLUGIN = os.path.join(SOURCE, "proto", "protoc-gen-mote")
PROTO3 = 'syntax = "proto3";\n'


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        os.symlink(os.path.join(SOURCE, "src"), self.path("mote"))  # <mote/…> as users write it

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def run_protoc(self, *names, parameter=""):
        command = [PROTOC, "-I", self.folder.name, "--plugin=protoc-gen-mote=" + PLUGIN]
        command += ["--nanopb_opt=-I" + self.folder.name, "--nanopb_opt=-stype:FT_STATIC", "--nanopb_opt=-q"]
        command += ["--nanopb_out=" + self.folder.name, "--mote_out=%s%s" % (parameter, self.folder.name)]
        return subprocess.run(command + list(names), capture_output=True, text=True, check=False)

    def generate(self, *names, parameter=""):
        result = self.run_protoc(*names, parameter=parameter)
        self.assertEqual(result.returncode, 0, result.stderr)

    def refuse(self, reason, text, parameter=""):
        self.write("x.proto", text)
        result = self.run_protoc("x.proto", parameter=parameter)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(reason, result.stderr)
        self.assertFalse(os.path.exists(self.path("x.mote.c")))

    def compile(self, name, refused=None):
        flags = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror", "-fsyntax-only"]
        folders = ["-I" + folder for folder in [self.folder.name] + INCLUDES]
        result = subprocess.run(
            [COMPILER] + flags + folders + [self.path(name)], capture_output=True, text=True, check=False
        )
        if refused:
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(refused, result.stderr)
        else:
            self.assertEqual(result.returncode, 0, result.stderr)


class Refused(Case):
    def test_a_string_without_a_bound(self):
        self.refuse("max_size", PROTO3 + "message M { string text = 1; }")

    def test_a_list_without_a_bound(self):
        self.refuse("max_count", PROTO3 + "message M { repeated int32 numbers = 1; }")

    def test_a_default_value(self):
        self.refuse(
            "M.number: default values are not supported",
            'syntax = "proto2";\nmessage M { optional int32 number = 1 [default = 5]; }',
        )

    def test_an_enum_that_begins_elsewhere(self):
        self.refuse(
            "M.e: default values are not supported",
            'syntax = "proto2";\nenum E { ONE = 1; }\nmessage M { optional E e = 1; }',
        )

    def test_too_many_fields(self):
        def message(count):
            return PROTO3 + "message M {%s}" % "".join("int32 f%d = %d;" % (i, i) for i in range(1, count + 1))

        self.write("most.proto", message(128))
        self.generate("most.proto")
        self.compile("most.mote.c")
        self.refuse("M: more than 128 fields", message(129))

    def test_two_methods_with_one_handler(self):
        methods = "rpc GetUser(M) returns (M); rpc Get_User(M) returns (M);"
        self.refuse("the handler s_get_user", PROTO3 + "message M {}\nservice S {%s}" % methods)

    def test_parameters_that_mean_nothing(self):
        for parameter in ("request_max=", "request_max=-1", "request_max=4294967296", "request_maximum=1", "x", "refused="):
            self.refuse("request_max=<bytes>", PROTO3 + "message M {}", parameter=parameter + ":")


class Written(Case):
    def test_a_file_without_a_service_has_no_service_table(self):
        self.write("x.proto", PROTO3 + "message M {}")
        self.generate("x.proto")
        self.compile("x.mote.c")
        self.assertFalse(os.path.exists(self.path("x.service.mote.c")))

    def test_the_bound_of_requests(self):
        self.write("x.proto", PROTO3 + "message M {}\nservice S { rpc Do(M) returns (M); }")
        self.generate("x.proto")
        self.assertIn(".request_max = 0,", self.read("x.service.mote.c"))
        self.generate("x.proto", parameter="request_max=4294967295:")
        self.assertIn(".request_max = 4294967295,", self.read("x.service.mote.c"))
        self.compile("x.service.mote.c")

    def test_streams_that_go_on(self):
        methods = "rpc Collect(stream M) returns (M); rpc Do(M) returns (M); rpc Talk(stream M) returns (stream M);"
        self.write("x.proto", PROTO3 + "package p;\nmessage M {}\nservice S { %s }" % methods)
        self.generate("x.proto", parameter="refused=p.S.Talk,request_max=9:")
        table = self.read("x.service.mote.c")
        self.assertIn(".refused = p_s_talk_refused,", table)
        self.assertEqual(table.count(".refused"), 1)
        self.assertIn("void p_s_talk_refused(struct mote_call *call);", self.read("x.mote.h"))
        self.compile("x.service.mote.c")

    def test_no_stream_that_could_go_on(self):
        text = PROTO3 + "package p;\nmessage M {}\nservice S { rpc Do(M) returns (M); rpc Talk(stream M) returns (M); }"
        for name in ("p.S.Do", "p.S.None", "S.Talk"):
            with self.subTest(name):
                self.refuse("no such client stream", text, parameter="refused=%s:" % name)

    def test_requests_that_are_prepared(self):
        methods = "rpc Collect(stream M) returns (M); rpc Do(M) returns (M);"
        self.write("x.proto", PROTO3 + "package p;\nmessage M {}\nservice S { %s }" % methods)
        self.generate("x.proto", parameter="prepare=p.S.Do,refused=p.S.Collect:")
        table = self.read("x.service.mote.c")
        self.assertEqual(table.count(".prepare = prepare_p_s_do,"), 1)
        self.assertEqual(table.count(".prepare"), 1)
        self.assertIn("void p_s_do_prepare(struct mote_call *call, p_M *request, struct mote_slice encoded);",
                      self.read("x.mote.h"))
        self.compile("x.service.mote.c")

    def test_no_method_to_prepare(self):
        text = PROTO3 + "package p;\nmessage M {}\nservice S { rpc Do(M) returns (M); }"
        self.refuse("prepare=S.Do: there is no such method", text, parameter="prepare=S.Do:")

    def test_odd_names(self):
        self.write("a-b/c.d.proto", PROTO3 + "package P.q_r;\nmessage Outer { message In_ner { int32 number = 1; } }")
        self.write(
            "x.proto",
            PROTO3
            + """
            import "a-b/c.d.proto";
            message Request { P.q_r.Outer.In_ner part = 1; oneof Request { int32 a = 2; bool b = 3; } }
            message a_type { optional bool call = 1; }
            enum E { ZERO = 0; }
            service Empty {}
            service XMLHttpService {
              rpc GetHTTPPage2(Request) returns (stream a_type);
              rpc call(a_type) returns (a_type);
            }
            """,
        )
        self.generate("a-b/c.d.proto", "x.proto")
        for name in ("a-b/c.d.mote.c", "x.pb.c", "x.mote.c", "x.service.mote.c"):
            self.compile(name)
        header = self.read("x.mote.h")
        self.assertIn("void xml_http_service_get_http_page2(struct mote_call *call, const Request *request);", header)
        self.assertIn("void xml_http_service_call(", header)
        self.assertIn("&a_b_c_d_proto_file,", self.read("x.mote.c"))
        self.assertIn('"P.q_r.Outer.In_ner.number",', self.read("a-b/c.d.mote.c"))

    def test_recursion_maps_and_extensions(self):
        self.write(
            "x.proto",
            'syntax = "proto2";\npackage p;\n'
            "message Tree { repeated Tree children = 1; map<string, Tree> by_name = 2; extensions 100 to 199; }\n"
            "extend Tree { optional int32 weight = 101; optional int32 colour = 100; }\n"
            "message Scope { extend Tree { optional int32 height = 102; } }\n",
        )
        self.write("x.options", "p.Tree.*  type:FT_CALLBACK\np.Tree.ByNameEntry.*  type:FT_CALLBACK\n")
        self.generate("x.proto")
        self.compile("x.mote.c")
        source = self.read("x.mote.c")
        self.assertIn('    {"p.Tree", 100},\n    {"p.Tree", 101},\n    {"p.Tree", 102},\n', source)
        for symbol in ("p.weight", "p.Scope.height", "p.Tree.ByNameEntry"):
            self.assertIn('"%s",' % symbol, source)

    def test_options_written_in_the_proto_file_count_too(self):
        # The bounds are nanopb's, wherever it takes them from.
        self.write("x.proto", PROTO3 + "message M { string text = 1; bytes data = 2; }")
        self.write("x.options", "* max_size:8\n")
        self.generate("x.proto")
        self.write(
            "check.c",
            '#include "x.mote.c"\n'
            "_Static_assert(sizeof(((M *)0)->text) == 8, \"\");\n"
            "int check(void); int check(void) { return (int)M_rules[0].max_length; }\n",
        )
        self.compile("check.c")

    def test_a_field_that_would_be_allocated_does_not_compile(self):
        for kind in ("string", "bytes", "repeated int32", "M"):
            self.write("x.proto", PROTO3 + "message M { int32 n = 1; }\nmessage X { %s field = 1; }" % kind)
            self.write("x.options", "X.field type:FT_POINTER\n")
            self.generate("x.proto")
            self.compile("x.mote.c", refused="POINTER")
            self.write("x.options", "X.field max_size:8 max_count:2\n")
            self.generate("x.proto")
            self.compile("x.mote.c")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
