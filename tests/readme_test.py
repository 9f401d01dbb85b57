#!/usr/bin/env python3
"""Runs the commands of README.md that are fenced as ```sh runnable.

Where a fence ```output follows, the terminal must show that text. After a change of the default
body, `readme_test.py --update` writes what it shows now.
"""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FENCES = re.compile(r"^```sh runnable\n(.*?)^```$(?:(\n+^```output\n)(.*?)^```$)?",
                    re.MULTILINE | re.DOTALL)
# Notes that are the same for every command, or differ from machine to machine.
NOTES = re.compile(r"^(run: |\d+ threads?: ).*\n", re.MULTILINE)


def run(commands):
    """The status, and what a terminal would show."""
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    return result.returncode, NOTES.sub("", result.stdout).rstrip("\n") + "\n"


def updated(fence):
    commands, opening, _ = fence.groups()
    if not opening:
        return fence[0]
    _, shown = run(commands)
    return f"```sh runnable\n{commands}```{opening}{shown}```"


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run([ROOT / "run", "--build"], check=True)  # what it says is not to be compared

    def test_its_commands_work_and_show_what_it_says(self):
        examples = FENCES.findall(README.read_text())
        self.assertGreaterEqual(len(examples), 2)
        for commands, _, output in examples:
            with self.subTest(commands):
                status, shown = run(commands)
                self.assertEqual(status, 0, shown)
                if output:
                    self.assertEqual(shown, output)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        README.write_text(FENCES.sub(updated, README.read_text()))
    else:
        unittest.main()
