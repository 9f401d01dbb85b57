#!/usr/bin/env python3
"""tools/check_isa_symbols.py tells what an instruction-set object may hold from what it may not."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import check_isa_symbols  # noqa: E402

ADDRESS, NO_ADDRESS = "0000000000000010 ", " " * 17


class IsaSymbols(unittest.TestCase):
    def test_accepts_a_table_local_functions_and_the_c_library(self):
        nm = f"{ADDRESS}t dot_f32(float const*)\n{ADDRESS}R fourfold::kAvx2\n{NO_ADDRESS}U memcpy\n"
        self.assertEqual(list(check_isa_symbols.problems(nm)), [])

    def test_finds_weak_definitions_and_the_cpp_library(self):
        for line, expected in [
                (f"{ADDRESS}W fourfold::half(float)", ("weak", "fourfold::half(float)")),
                (f"{ADDRESS}V typeinfo for X", ("weak", "typeinfo for X")),
                (f"{ADDRESS}u fourfold::counter", ("weak", "fourfold::counter")),
                (f"{NO_ADDRESS}U std::__throw_length_error(char const*)",
                 ("C++ library", "std::__throw_length_error(char const*)"))]:
            with self.subTest(line):
                self.assertEqual(list(check_isa_symbols.problems(line)), [expected])


if __name__ == "__main__":
    unittest.main()
