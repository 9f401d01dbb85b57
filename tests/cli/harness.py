"""Starts the program for the tests of this folder.

Each test is called with the build folder, which holds the program and the unpacked goldens.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENIZERS = ROOT / "tests" / "golden" / "tokenizer"

PROMPT_MS = 500  # what is refused or needs no model answers within this
SLOW = 10 if os.environ.get("FOURFOLD_SLOW_PROGRAM") else 1  # sanitizer builds

# Whatever the person who runs the tests has set must not show.
_folder = tempfile.TemporaryDirectory()
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": _folder.name,
    "TERM": "xterm",
    "LC_ALL": "C.UTF-8",
}


class Answer:
    def __init__(self, status, out, err, ms):
        self.status, self.out, self.err, self.ms = status, out, err, ms

    @property
    def json(self):
        assert self.out.endswith(b"\n") and self.out.count(b"\n") == 1, self.out
        return json.loads(self.out)


class ProgramTest(unittest.TestCase):
    build = None  # set by main()

    @property
    def program(self):
        return str(self.build / "fourfold")

    def model(self, case="e2b"):
        return str(self.build / "golden" / "text" / case / "model.gguf")

    def start(self, *arguments, env=None, **keywords):
        return subprocess.Popen([self.program, *map(str, arguments)],
                                env={**ENVIRONMENT, **(env or {})}, **keywords)

    def call(self, *arguments, stdin=b"", env=None, timeout=60):
        """Runs it to its end. What is given to stdin is piped in."""
        begin = time.monotonic()
        process = self.start(*arguments, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=timeout)
        return Answer(process.returncode, out, err.decode(), 1000 * (time.monotonic() - begin))

    def assertRefused(self, answer, status, *words):
        """The status, one error line that holds the words, nothing on standard output, at once."""
        self.assertEqual(answer.status, status, answer.err)
        self.assertEqual(answer.out, b"")
        self.assertRegex(answer.err, r"^fourfold: error: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, answer.err)
        self.assertLess(answer.ms, PROMPT_MS * SLOW)


def main():
    ProgramTest.build = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
