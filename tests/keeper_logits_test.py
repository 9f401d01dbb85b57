#!/usr/bin/env python3
"""The default body against the reference implementation (tests/golden/keeper).

    keeper_logits_test.py PROGRAM
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "keeper"
MODEL = ROOT / "models" / "keeper" / "keeper.gguf"

program = ""


class Keeper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.case = json.loads((GOLDEN / "case.json").read_text())
        cls.expected = safetensors.load(GOLDEN / "expected.safetensors")

    def logits(self, ids, positions):
        with tempfile.TemporaryDirectory() as folder:
            ids_file, out = (pathlib.Path(folder, name) for name in ("ids.json", "o.safetensors"))
            ids_file.write_text(json.dumps(ids))
            done = subprocess.run(
                [program, "debug", "logits", MODEL, "--ids-file", ids_file, "--exact", "--out", out,
                 "--positions", ",".join(map(str, positions))], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            return safetensors.load(out)["logits"]

    def test_is_the_file_that_the_golden_was_made_from(self):
        self.assertEqual(hashlib.sha256(MODEL.read_bytes()).hexdigest(), self.case["model_sha256"],
                         "make it anew: eval/transformers_check.py MODEL --golden FOLDER")

    def test_gives_the_reference_logits(self):
        for i, ids in enumerate(self.case["prompts"]):
            expected = self.expected[f"p{i}.logits"]
            logits = self.logits(ids, self.expected[f"p{i}.positions"])
            self.assertEqual(len(logits), len(expected))
            # All of them, so that a NaN is not passed over as max() would.
            self.assertTrue(all(abs(a - b) <= self.case["tolerance"]
                                for a, b in zip(logits, expected)), f"prompt {i}")


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main()
