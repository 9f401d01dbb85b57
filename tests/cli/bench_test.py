#!/usr/bin/env python3
"""`fourfold bench`: the keys of its JSON, its table, and what it refuses. No speed is judged."""

import harness

SHORT = ["--pp", "8,16", "--tg", "2", "--depth", "0,5", "--reps", "2"]
LIMITS = {"read_gb_s", "int8_gmac_s", "bf16_gmac_s", "f32_gmac_s"}
REPORT = {"version", "file", "body", "quant", "isa", "portable", "kv", "cpu", "cpu_budget",
          "load_ms", "packed", "peak_rss_bytes", "peak_anon_bytes", "machine", "rows"}
ROW = {"kind", "n", "depth", "batch", "threads", "all_positions", "tok_s", "median", "min", "max",
       "gb_s", "gmac_s", "of_limit", "cpu_over_wall"}
OP = {"row", "op", "type", "calls", "ms", "share", "gb_s", "gmac_s", "limit", "of_limit"}


class Bench(harness.ProgramTest):
    def test_json_has_a_row_for_each_combination(self):
        answer = self.call("bench", self.model(), *SHORT, "--threads", "1,2", "--json")
        self.assertEqual(answer.status, 0, answer.err)
        report = answer.json
        self.assertLessEqual(REPORT, set(report))
        self.assertEqual(report["file"], self.model())
        self.assertGreater(report["peak_rss_bytes"], 0)
        seen = set()
        for row in report["rows"]:
            self.assertLessEqual(ROW, set(row))
            self.assertEqual(len(row["tok_s"]), 2)
            self.assertEqual(row.get("noisy", False),
                             row["cpu_over_wall"] < 0.95 * row["threads"])
            seen.add((row["kind"], row["n"], row["depth"], row["threads"]))
        expected = {(kind, n, depth, threads)
                    for kind, n in [("prefill", 8), ("prefill", 16), ("decode", 2)]
                    for depth in [0, 5] for threads in [1, 2]}
        self.assertEqual(seen, expected)
        self.assertEqual(len(report["rows"]), len(expected))

    def test_table_has_a_line_for_each_row(self):
        answer = self.call("bench", self.model(), *SHORT)
        self.assertEqual(answer.status, 0, answer.err)
        text = answer.out.decode()
        self.assertEqual(len([line for line in text.split("\n") if "prefill" in line]), 4)
        self.assertEqual(len([line for line in text.split("\n") if "decode" in line]), 2)

    def test_explain_says_where_each_rows_time_went(self):
        answer = self.call("bench", self.model(), *SHORT, "--explain", "--json")
        self.assertEqual(answer.status, 0, answer.err)
        report = answer.json
        for op in report["ops"]:
            self.assertEqual(set(op), OP)
            self.assertEqual(op["limit"] is None, op["of_limit"] is None)
        for i, row in enumerate(report["rows"]):
            ops = [op for op in report["ops"] if op["row"] == i]
            self.assertAlmostEqual(sum(op["share"] for op in ops), 1)
            self.assertLessEqual({"head", "ffn down", "attention", "norms", "per-layer embedding"},
                                 {op["op"] for op in ops})
            self.assertIn(row["explanation"].split(":")[0].split(" (")[0],
                          {op["op"] for op in ops})

    def test_explain_has_a_table_and_a_sentence_for_each_row(self):
        answer = self.call("bench", self.model(), *SHORT, "--explain")
        self.assertEqual(answer.status, 0, answer.err)
        text = answer.out.decode()
        self.assertEqual(len([line for line in text.split("\n") if "  ffn down" in line]), 6)
        self.assertRegex(text, r"\n[a-z].*: \d+ % of decode, ")

    def test_machine_needs_no_model(self):
        answer = self.call("bench", "machine", "--json")
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(set(answer.json), LIMITS | {"per_thread"})
        for entry in answer.json["per_thread"]:
            self.assertEqual(set(entry), LIMITS | {"threads"})
            self.assertGreater(min(entry.values()), 0)

    def test_wrong_usage_says_what_was_expected(self):
        for arguments, words in [
                ([], ["MODEL", "--body", "machine"]),
                (["m", "--body", "e2b"], ["MODEL", "--body"]),
                (["m", "--quant", "q4_0"], ["--quant"]),
                (["--body", "9b"], ["9b", "e2b", "31b"]),
                (["--body", "e2b", "--quant", "q3"], ["q3", "q4_0"]),
                (["m", "--pp", "8,x"], ["--pp", "x", "whole number"]),
                (["m", "--pp", "8,"], ["--pp"]),
                (["m", "--threads", "0"], ["--threads", "1"])]:
            with self.subTest(arguments):
                self.assertRefused(self.call("bench", *arguments), 2, *words)

    def test_a_body_beyond_the_budget_is_refused(self):
        answer = self.call("bench", "--body", "31b", "--memory", "1G")
        self.assertRefused(answer, 1, "31b", "16.", "1.0 GiB")

    def test_a_depth_beyond_the_context_is_refused(self):
        answer = self.call("bench", self.model(), "--depth", "1000000", "--json")
        self.assertEqual(answer.status, 1)
        self.assertEqual(answer.json["error"]["code"], "INVALID_ARGUMENT")


if __name__ == "__main__":
    harness.main()
