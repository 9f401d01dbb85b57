#!/usr/bin/env python3
"""tools/check_layers.py finds each kind of violation in a small tree, and none in a good one."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import check_layers  # noqa: E402

GOOD_TREE = {
    "ARCHITECTURE.md": "```arrows\ntensor -> base\nformats -> tensor\nengine -> formats\n"
                       "api -> engine\n```\n",
    "src/base/result.h": "#pragma once\n",
    "src/base/result.cpp": '#include "base/result.h"\n#include <nlohmann/json.hpp>\n',
    "src/base/CMakeLists.txt": "fourfold_library(base\n  SOURCES result.cpp\n  LINKS fmt::fmt)\n",
    "src/tensor/dtype.h": '#include "base/result.h"\n',
    "src/tensor/CMakeLists.txt":
        "fourfold_library(tensor SOURCES dtype.cpp LINKS fourfold_base)\n"
        "fourfold_test(dtype_test SOURCES dtype_test.cpp LINKS fourfold_tensor)\n",
    "src/formats/gguf.h": '#include "base/result.h"\n#include "tensor/dtype.h"\n',
    "src/formats/CMakeLists.txt":
        "fourfold_library(formats SOURCES gguf.cpp LINKS fourfold_tensor)\n",
    "src/engine/engine.h": '#include "formats/gguf.h"\n',
    "src/api/gemini.h": '#include "engine/engine.h"\n',
    "apps/cli/flags.h": '#include "engine/engine.h"\n',
    "apps/cli/run.cpp": '#include "cli/flags.h"\n#include "base/result.h"\n',
    "apps/server/serve.cpp": '#include "api/gemini.h"\n',
    "apps/convert/convert.cpp": '#include "formats/gguf.h"\n',
}

VIOLATIONS = [
    ("an upward include", "src/tensor/x.cpp", '\n#include "formats/gguf.h"\n',
     'src/tensor/x.cpp:2: "formats/gguf.h": no arrow leads from here to formats'),
    ("an include that does not start at src/", "src/tensor/x.cpp", '#include "dtype.h"\n',
     'src/tensor/x.cpp:1: "dtype.h": is not the path of a header from src/'),
    ("a heavy header in a header", "src/base/x.h", "#include <nlohmann/json.hpp>\n",
     "src/base/x.h:1: <nlohmann/json.hpp> belongs in .cpp files only"),
    ("the command line under the server", "apps/cli/x.cpp", '#include "api/gemini.h"\n',
     'apps/cli/x.cpp:1: "api/gemini.h": no arrow leads from here to api'),
    ("the converter above the formats", "apps/convert/x.cpp", '#include "engine/engine.h"\n',
     'apps/convert/x.cpp:1: "engine/engine.h": no arrow leads from here to engine'),
    ("an upward link", "src/tensor/CMakeLists.txt",
     "fourfold_library(tensor\n SOURCES a.cpp\n LINKS fourfold_base fourfold_formats)\n",
     "src/tensor/CMakeLists.txt: links formats, to which no arrow leads"),
    ("a missing link", "src/formats/CMakeLists.txt",
     "fourfold_library(formats SOURCES gguf.cpp LINKS fourfold_base)\n",
     "src/formats/gguf.h: includes tensor/, which src/formats/CMakeLists.txt does not link"),
    ("a folder without arrows", "src/misc/x.h", "#pragma once\n",
     "src/misc: is not in the arrows of ARCHITECTURE.md"),
]


class CheckLayers(unittest.TestCase):
    def violations_of(self, tree):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in tree.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check_layers.check(pathlib.Path(folder)))

    def test_accepts_a_tree_that_keeps_to_the_arrows(self):
        self.assertEqual(self.violations_of(GOOD_TREE), [])

    def test_names_each_violation(self):
        for what, name, text, expected in VIOLATIONS:
            with self.subTest(what):
                self.assertEqual(self.violations_of({**GOOD_TREE, name: text}), [expected])

    def test_refuses_a_text_without_arrows(self):
        with self.assertRaises(ValueError):
            self.violations_of({**GOOD_TREE, "ARCHITECTURE.md": "no block\n"})


if __name__ == "__main__":
    unittest.main()
