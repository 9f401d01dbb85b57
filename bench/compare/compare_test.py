#!/usr/bin/env python3
"""Statistics, tables and plot of bench/compare, and its commands with programs that are played."""

import array
import json
import math
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import divergence  # noqa: E402
import figures  # noqa: E402
import plot  # noqa: E402
import sides  # noqa: E402
import tables  # noqa: E402


def pair(ours, peer, machine=(50.0, 400.0)):
    """ours: {test: (tok/s, GB/s, GMAC/s)}, peer: {test: tok/s}."""
    return {
        "machine": {"read_gb_s": machine[0], "int8_gmac_s": machine[1]},
        "ours": [{"test": test, "tok_s": tok_s, "gb_s": gb_s, "gmac_s": gmac_s,
                  "cpu_over_wall": 2.0} for test, (tok_s, gb_s, gmac_s) in ours.items()],
        "peer": [{"test": test, "tok_s": tok_s, "wall_tok_s": tok_s, "cpu_over_wall": 1.0}
                 for test, tok_s in peer.items()],
    }


OURS = {"pp512": (400.0, 2.0, 200.0), "pp512 all positions": (200.0, 2.0, 300.0),
        "tg128": (30.0, 40.0, 50.0)}
PAIRS = [pair(OURS, {"pp512": 100.0, "tg128": 10.0}), pair(OURS, {"pp512": 80.0, "tg128": 15.0}),
         pair(OURS, {"pp512": 50.0, "tg128": 12.0})]


def result(model="m.gguf", pairs=PAIRS):
    return {"model": model, "date": "2026-01-02", "threads": 2, "cpu": "A CPU", "isa": "avx2",
            "versions": {"Fourfold": "1.0"}, "pairs": pairs, "summary": figures.summarise(pairs)}


class Figures(unittest.TestCase):
    def test_a_test_is_named_by_what_it_times(self):
        for arguments, name in [(("prefill", 512, 0), "pp512"), (("decode", 128, 0), "tg128"),
                                (("decode", 128, 8192), "tg128 at 8192"),
                                (("prefill", 512, 0, True), "pp512 all positions")]:
            self.assertEqual(figures.test_name(*arguments), name)

    def test_ratios_are_taken_pair_by_pair(self):
        decode = figures.summarise(PAIRS)[2]
        self.assertEqual(decode["test"], "tg128")
        self.assertEqual(decode["ratio"], {"median": 2.5, "min": 2.0, "max": 3.0})
        self.assertEqual(decode["peer"], {"median": 12.0, "min": 10.0, "max": 15.0})

    def test_both_of_our_prefills_meet_the_peers_only_one(self):
        summary = {row["test"]: row for row in figures.summarise(PAIRS)}
        self.assertEqual(summary["pp512"]["ratio"]["median"], 5.0)
        self.assertEqual(summary["pp512 all positions"]["ratio"]["median"], 2.5)

    def test_the_peers_share_counts_the_work_that_it_does(self):
        compared = figures.compare_pair(PAIRS[0])
        # 300 GMAC/s at 200 tok/s are 1.5 GMAC a token; 100 tok/s of 400 GMAC/s.
        self.assertAlmostEqual(compared["pp512"]["peer_share"], 1.5 * 100 / 400)
        self.assertAlmostEqual(compared["pp512"]["ours_share"], 200 / 400)
        # 40 GB/s at 30 tok/s; 10 tok/s of 50 GB/s.
        self.assertAlmostEqual(compared["tg128"]["peer_share"], 40 / 30 * 10 / 50)
        self.assertAlmostEqual(compared["tg128"]["ours_share"], 40 / 50)

    def test_runs_that_shared_the_processors_are_counted(self):
        self.assertEqual(figures.count_noisy(PAIRS, 2), (6, 15))


class Tables(unittest.TestCase):
    def test_numbers_have_three_figures(self):
        for value, text in [(0.1234, "0.12"), (9.87, "9.87"), (12.34, "12.3"), (512.3, "512")]:
            self.assertEqual(tables.rounded(value), text)

    def test_the_speed_table_has_a_line_for_each_test(self):
        lines = tables.speed_markdown([result(), result("n.gguf")]).splitlines()
        cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
        self.assertEqual(cells, ["m.gguf", "pp512", "400 (400–400)", "80.0 (50.0–100)",
                                 "**5.00 (4.00–8.00)**", "50 %", "30 %", "int8 peak"])
        self.assertEqual(sum(line.startswith("| n.gguf") for line in lines), 3)
        self.assertIn("6 of 15 runs shared", lines[-1])

    def test_the_quality_table_shows_both_sides_and_their_ratio(self):
        side = {"same_top": 0.5, "mean_kl": 4e-3, "max_kl": 1e-2}
        table = tables.quality_markdown([{"model": "m", "positions": 9, "peer": side,
                                          "ours": {**side, "mean_kl": 1e-3}}])
        self.assertIn("| m | 9 | 0.5000 | 4.00e-03 | 1.00e-02 | 0.5000 | 1.00e-03 | 1.00e-02 | "
                      "**0.25** |", table)

    def test_a_document_keeps_what_is_outside_the_markers(self):
        text = "a\n<!-- t -->\nold\n<!-- end of t -->\nz\n"
        new = tables.replace_between_markers(text, "t", "new\n")
        self.assertEqual(new, "a\n<!-- t -->\n\nnew\n\n<!-- end of t -->\nz\n")
        self.assertEqual(tables.replace_between_markers(new, "t", "new\n"), new)

    def test_a_document_without_the_markers_is_refused(self):
        for text in ("", "<!-- t -->\n", "<!-- end of t -->\n<!-- t -->\n"):
            with self.assertRaises(ValueError):
                tables.replace_between_markers(text, "t", "new\n")

    def test_the_document_has_a_place_for_each_table(self):
        text = (sides.ROOT / "docs" / "performance.md").read_text()
        for name in ("speed", "quality"):
            tables.replace_between_markers(text, name, "new")


class Plot(unittest.TestCase):
    SVG = "{http://www.w3.org/2000/svg}"

    def test_bars_are_as_long_as_their_ratios(self):
        root = ElementTree.fromstring(plot.ratios_svg([result(), result("n.gguf")]))
        bars = [float(rect.get("width")) for rect in root.iter(self.SVG + "rect")][1:]
        self.assertEqual(len(bars), 6)
        for length, ratio in zip(bars, [5.0, 2.5, 2.5] * 2):
            self.assertAlmostEqual(length / bars[0], ratio / 5.0, places=3)

    def test_names_are_escaped(self):
        root = ElementTree.fromstring(plot.ratios_svg([result("a<b&c")]))
        self.assertIn("a<b&c", [text.text for text in root.iter(self.SVG + "text")])

    def test_ticks_are_few_and_round(self):
        for largest, step in [(1.0, 0.2), (3.4, 0.5), (8.0, 1.0), (47.0, 10.0)]:
            self.assertAlmostEqual(plot.nice_step(largest), step)


class Divergence(unittest.TestCase):
    def test_log_probabilities_sum_to_one_however_large_the_logits(self):
        for logits in ([0.0, 1.0, 2.0], [1e4, 1e4], [-1e4, 0.0]):
            probabilities = map(math.exp, divergence.log_probabilities(logits))
            self.assertAlmostEqual(sum(probabilities), 1.0)

    def test_kl_is_the_nats_lost(self):
        p, q = [math.log(0.5)] * 2, [math.log(0.25), math.log(0.75)]
        self.assertEqual(divergence.kl_divergence(p, p), 0.0)
        self.assertAlmostEqual(divergence.kl_divergence(p, q),
                               0.5 * math.log(2) + 0.5 * math.log(2 / 3))

    def test_a_side_is_summed_up_over_its_positions(self):
        side = divergence.Divergence()
        half, most = [math.log(0.5)] * 2, [math.log(0.25), math.log(0.75)]
        side.add(most, most)
        side.add(half, most)
        summary = side.summary()
        self.assertEqual(summary["same_top"], 0.5)  # of equals the first one is the top
        self.assertAlmostEqual(summary["max_kl"], divergence.kl_divergence(half, most))
        self.assertAlmostEqual(summary["mean_kl"], summary["max_kl"] / 2)

    def test_rows_come_from_both_kinds_of_files(self):
        values = array.array("f", [1, 2, 3, 4, 5, 6])
        header = json.dumps({"logits": {"dtype": "F32", "shape": [3, 2], "data_offsets": [4, 28]},
                             "x": {"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}})
        packed = struct.pack("<Q", len(header)) + header.encode() + bytes(4) + values.tobytes()
        with tempfile.TemporaryDirectory() as folder:
            raw, safe = pathlib.Path(folder, "raw"), pathlib.Path(folder, "safe")
            raw.write_bytes(values.tobytes())
            safe.write_bytes(packed + bytes(8))  # what follows the matrix is not read
            expected = [[1, 2], [3, 4], [5, 6]]
            self.assertEqual([row.tolist() for row in divergence.raw_rows(raw, 2)], expected)
            self.assertEqual([row.tolist() for row in divergence.safetensors_rows(safe, "logits")],
                             expected)


# Both note in "calls" that they were called and answer what is expected of them.
FOURFOLD = """#!/usr/bin/env python3
import json, sys
flags = sys.argv[1:]
def numbers(flag):
    return [int(n) for n in flags[flags.index(flag) + 1].split(",")]
limits = {"read_gb_s": 50.0, "int8_gmac_s": 400.0}
if flags[1] == "machine":
    print(json.dumps({"per_thread": [{"threads": n, **limits} for n in (1, 2)]}))
    sys.exit()
open("calls", "a").write("ours ")
rows = [{"kind": kind, "n": n, "depth": depth, "all_positions": "--all-positions" in flags,
         "median": 20.0, "gb_s": 30.0, "gmac_s": 40.0, "cpu_over_wall": 2.0}
        for kind, flag in (("prefill", "--pp"), ("decode", "--tg"))
        for depth in numbers("--depth") for n in numbers(flag) if n]
print(json.dumps({"cpu": "A CPU", "isa": "avx2", "version": "1.0", "rows": rows}))
"""
NODE = """#!/usr/bin/env python3
import json, sys
if sys.argv[1] == "--version":
    print("v22.1.0")
    sys.exit()
open("calls", "a").write("peer ")
request = json.loads(sys.argv[3])
rows = [{"kind": "prefill", "n": request["prompt"], "depth": 0}]
rows += [{"kind": "decode", "n": request["generate"], "depth": d} for d in [0, *request["depths"]]]
speed = {"tok_s": 10.0, "wall_tok_s": 9.0, "cpu_over_wall": 2.0}
print(json.dumps({"system": "", "rows": [{**row, **speed} for row in rows]}))
"""


class Run(unittest.TestCase):
    """A checkout in which both programs are played and nothing needs to be installed."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        shutil.copytree(HERE, self.top / "bench" / "compare")
        self.document = self.top / "docs" / "performance.md"
        self.write(self.document, "above\n<!-- speed -->\n<!-- end of speed -->\nbelow\n")
        self.write(self.top / "build/release/fourfold", FOURFOLD, executable=True)
        self.write(self.top / "bin/node", NODE, executable=True)
        modules = self.top / "build" / "compare" / "node_modules"
        for package in (sides.PACKAGE, sides.PREBUILT[platform.machine()]):
            self.write(modules / package / "package.json", json.dumps({"version": sides.VERSION}))
        self.write(modules / sides.PACKAGE / "llama/binariesGithubRelease.json",
                   '{"release": "v1"}')

    def write(self, path, text, executable=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if executable:
            path.chmod(0o755)

    def run_compare(self, *arguments):
        environment = dict(os.environ, PATH=f"{self.top / 'bin'}:{os.environ['PATH']}",
                           PYTHONDONTWRITEBYTECODE="1")
        return subprocess.run([self.top / "bench/compare/run", "m.gguf", *arguments],
                              cwd=self.top, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)

    def test_the_sides_take_turns_at_being_first(self):
        answer = self.run_compare("--pairs", "3")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual((self.top / "calls").read_text().split(),
                         "ours ours peer peer ours ours ours ours peer".split())

    def test_table_plot_and_document_come_from_what_was_kept(self):
        self.assertEqual(self.run_compare("--pairs", "1", "--depths", "64,128").returncode, 0)
        answer = self.run_compare("--render", "--publish")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(answer.stdout.count("| m.gguf |"), 5)
        self.assertIn("| tg128 at 64 | 20.0 (20.0–20.0) | 10.0 (10.0–10.0) |", answer.stdout)
        text = self.document.read_text()
        self.assertTrue(text.startswith("above\n") and text.endswith("below\n"))
        self.assertIn(answer.stdout, text)
        self.assertTrue((self.top / "docs" / "speed.svg").read_text().startswith("<svg"))

    def test_what_fails_is_said_in_one_line(self):
        self.write(self.top / "bin/node", "#!/bin/sh\necho v18.20.4\n", executable=True)
        answer = self.run_compare()
        self.assertEqual(answer.returncode, 1)
        self.assertEqual(answer.stderr, "compare: error: node 20 or newer is needed on PATH "
                                        "(found: v18.20.4)\n")


if __name__ == "__main__":
    unittest.main()
