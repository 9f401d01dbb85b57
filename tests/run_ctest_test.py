#!/usr/bin/env python3
"""tools/run_ctest.py counts GoogleTest cases one by one, and never a failure as anything else."""

import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import run_ctest  # noqa: E402

RAN_FIVE = "[==========] 5 tests from 2 test suites ran. (3 ms total)\n"
SOME_FAIL = (RAN_FIVE + "[  PASSED  ] 3 tests.\n[  SKIPPED ] 1 test, listed below:\n"
             "[  SKIPPED ] B.Skip\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] B.Fail\n")

CASES = [
    ("a program whose cases pass", "run", "", RAN_FIVE + "[  PASSED  ] 5 tests.\n", (5, 0, 0)),
    ("one of each kind", "fail", "<failure/>", SOME_FAIL, (3, 1, 1)),
    ("a leak found after all cases passed", "fail", "<failure/>",
     RAN_FIVE + "[  PASSED  ] 5 tests.\n", (5, 1, 0)),
    ("a crash", "fail", "<failure/>", "[ RUN      ] A.B\n", (0, 1, 0)),
    ("a script that passes", "run", "", "anything", (1, 0, 0)),
    ("a script that fails", "fail", "<failure/>", "", (0, 1, 0)),
    ("a script that skips itself", "notrun", '<skipped message="SKIP_RETURN_CODE=77"/>', "",
     (0, 0, 1)),
    ("a program that is missing", "notrun", '<skipped message="Unable to find executable"/>', "",
     (0, 1, 0)),
    ("a disabled test", "disabled", '<skipped message="Disabled"/>', "", (0, 0, 1)),
]


class Count(unittest.TestCase):
    def test_counts_each_kind_of_result(self):
        for what, status, children, output, expected in CASES:
            with self.subTest(what):
                entry = ElementTree.fromstring(
                    f'<testcase status="{status}">{children}'
                    f"<system-out>{output}</system-out></testcase>")
                self.assertEqual(run_ctest.count(entry), expected)


if __name__ == "__main__":
    unittest.main()
