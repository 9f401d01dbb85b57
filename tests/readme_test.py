#!/usr/bin/env python3
"""Runs the commands of README.md that are fenced as ```sh runnable.

Where a fence ```output follows, the commands must print that text.
"""

import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FENCES = re.compile(r"^```sh runnable\n(.*?)^```$(?:\n+^```output\n(.*?)^```$)?",
                    re.MULTILINE | re.DOTALL)


class Readme(unittest.TestCase):
    def test_its_commands_work_and_print_what_it_says(self):
        examples = FENCES.findall((ROOT / "README.md").read_text())
        self.assertGreaterEqual(len(examples), 2)
        for commands, output in examples:
            with self.subTest(commands):
                result = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT,
                                        stdin=subprocess.DEVNULL, capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn(output.strip(), result.stdout)


if __name__ == "__main__":
    unittest.main()
