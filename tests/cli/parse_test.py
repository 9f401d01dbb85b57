#!/usr/bin/env python3
"""parse: generated ids to thoughts, answer and calls, compared with the goldens."""

import json

import harness

GOLDEN = harness.ROOT / "tests" / "golden" / "chat"


def present(value):
    """The goldens leave out what is empty."""
    if isinstance(value, list):
        return [present(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key == "arguments" else present(item) for key, item in value.items()
                if key in ("arguments", "index") or item not in (None, "", False, [])}
    return value


class Parse(harness.ProgramTest):
    @property
    def full(self):
        return self.build / "golden" / "tokenizer" / "tokenizer.gguf"

    def parse(self, *flags, stdin=b""):
        return self.call("parse", self.full, *flags, "--json", stdin=stdin)

    def test_of_lines_answers_each_golden_row_as_it_should(self):
        for file in ["parse.jsonl", "parse-spec.jsonl"]:
            rows = [json.loads(line) for line in (GOLDEN / file).read_text("utf-8").splitlines()]
            requests = [json.dumps({"ids": row["ids"], "open": row["open"]}) for row in rows]
            answer = self.parse("--lines", stdin="\n".join(requests).encode())
            lines = answer.out.splitlines()
            self.assertEqual(len(lines), len(rows))
            for row, line in zip(rows, lines):
                expected = {**row["out"], "events": row["events"]}
                with self.subTest(row["id"]):
                    self.assertEqual(repr_of(json.loads(line)), repr_of(expected))

    def test_takes_ids_and_request_files_alike(self):
        by_ids = self.parse("--ids", "9259,101,9259", "--open-thought").json
        by_file = self.parse("--request", "-", stdin=b'{"ids": [9259, 101, 9259], "open": true}')
        self.assertEqual(by_ids, by_file.json)
        self.assertEqual((by_ids["thinking"], by_ids["content"]), ("Hello", "Hello"))
        self.assertEqual(by_ids["finish"], "length")

    def test_refuses_what_is_no_id(self):
        for text in ["-1", "262144", "x", "1 2"]:
            answer = self.call("parse", self.full, "--ids", text)
            self.assertEqual(answer.status, 1)
            self.assertIn("ids", answer.err)

    def test_answers_a_bad_line_with_an_error_and_goes_on(self):
        answer = self.parse("--lines", stdin=b'{"ids": "x"}\n{"ids": [106]}\n')
        first, second = map(json.loads, answer.out.splitlines())
        self.assertEqual(first["error"]["code"], "INVALID_ARGUMENT")
        self.assertEqual(second["finish"], "stop")
        self.assertEqual(answer.status, 0)

    def test_wants_one_source_of_ids(self):
        self.assertRefused(self.call("parse", self.full), 2, "--ids")
        self.assertRefused(self.call("parse", self.full, "--ids", "1", "--lines"), 2, "--ids")


def repr_of(value):
    """Numbers by value, but true is not 1."""
    if isinstance(value, dict):
        return sorted((key, repr_of(item)) for key, item in present(value).items())
    if isinstance(value, list):
        return [repr_of(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ("number", value)
    return repr(value)


if __name__ == "__main__":
    harness.main()
