#!/usr/bin/env python3
"""render: every row of the chat goldens by the program, its request passed on byte for byte."""

import json
import pathlib
import tempfile

import harness

GOLDENS = harness.ROOT / "tests" / "golden" / "chat"
CHAT = b'{"messages": [{"role": "user", "content": "Hello"}]}'


def raw_request(line):
    """The text of a row's request: a round trip would lose numbers, duplicate keys, surrogates."""
    begin = line.index('"request":') + len('"request":')
    begin += len(line[begin:]) - len(line[begin:].lstrip())
    _, end = json.JSONDecoder().raw_decode(line, begin)
    return line[begin:end]


def rows(variant):
    for name in ["prompts-spec.jsonl", "conversations.jsonl"]:
        for line in (GOLDENS / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["variant"] == variant:
                yield row, raw_request(line)


def expected(row, as_template):
    """The parts of the answer that are fixed; None for an error."""
    policy = None if as_template else row.get("policy")
    if policy == "reject" or ("error" in row and policy is None):
        return None
    if policy == "free":
        return {}
    if policy == "text":
        return {"prompt": row["policy_prompt"], "ids": row["policy_ids_safe"]}
    safe = row["ids_reference"] if row["ids_safe"] == "same" else row["ids_safe"]
    return {"prompt": row["prompt"], "ids": safe, "untrusted": row["untrusted"]}


class Goldens(harness.ProgramTest):
    def check(self, *flags):
        model = self.build / "golden" / "tokenizer" / "tokenizer.gguf"
        for variant in ["small", "large"]:
            cases = list(rows(variant))
            self.assertEqual(len(cases), 460)
            requests = "".join(request + "\n" for _, request in cases)
            answer = self.call("render", model, "--lines", "--variant", variant, "--json", *flags,
                               stdin=requests.encode())
            self.assertEqual(answer.status, 0, answer.err)
            answers = [json.loads(line) for line in answer.out.splitlines()]
            self.assertEqual(len(answers), len(cases))
            for (row, _), got in zip(cases, answers):
                want = expected(row, "--as-template" in flags)
                with self.subTest(row["id"]):
                    self.assertEqual("error" in got, want is None, got)
                    for key, value in (want or {}).items():
                        self.assertEqual(got[key], value)

    def test_of_the_template_come_out_as_template(self):
        self.check("--as-template")

    def test_of_the_policies_come_out_otherwise(self):
        self.check()


class Request(harness.ProgramTest):
    small = harness.TOKENIZERS / "tokenizer-small.json"

    def test_may_be_a_file_or_standard_input(self):
        text = self.call("render", self.small, "--variant", "small", "--request", "-", stdin=CHAT)
        self.assertEqual(text.out, b"<bos><|turn>user\nHello<turn|>\n<|turn>model\n")
        file = pathlib.Path(self.scratch()) / "request.json"
        file.write_bytes(CHAT)
        same = self.call("render", self.small, "--variant", "small", "--request", file, "--json")
        self.assertEqual(same.json["prompt"].encode(), text.out)
        self.assertEqual(same.json["untrusted"], [[17, 22]])

    def scratch(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_that_is_broken_is_an_error(self):
        for request, word in [(b"{", "offset 1"), (b"[]", "expected an object"),
                              (b'{"messages": [{"role": "x"}]}', "messages[0].role")]:
            answer = self.call("render", self.small, "--variant", "small", "--request", "-",
                               stdin=request)
            self.assertRefused(answer, 1, word)
        missing = self.call("render", self.small, "--variant", "small", "--request", "/no/file")
        self.assertRefused(missing, 1, "/no/file")

    def test_that_is_broken_is_an_error_in_its_line(self):
        answer = self.call("render", self.small, "--variant", "small", "--lines",
                           stdin=b"\n" + CHAT + b"\n{\n" + CHAT)
        self.assertEqual(answer.status, 0)
        keys = [next(iter(json.loads(line))) for line in answer.out.splitlines()]
        self.assertEqual(keys, ["error", "prompt", "error", "prompt"])


class Flags(harness.ProgramTest):
    def render(self, model, *flags):
        return self.call("render", model, "--request", "-", "--json", *flags, stdin=CHAT)

    def test_variant_is_the_bodys_unless_given(self):
        closed = [("e2b", False), ("31b", True)]
        for case, is_large in closed:
            prompt = self.render(self.model(case)).json["prompt"]
            self.assertEqual(prompt.endswith("<channel|>"), is_large, case)
        prompt = self.render(self.model("e2b"), "--variant", "large").json["prompt"]
        self.assertTrue(prompt.endswith("<channel|>"))

    def test_variant_is_required_without_a_body(self):
        for name in ["tokenizer-small.gguf", "tokenizer-small.json"]:
            answer = self.call("render", harness.TOKENIZERS / name, "--request", "-", stdin=CHAT)
            self.assertRefused(answer, 1, "--variant", "small or large")

    def test_gemma3_has_a_form_of_its_own(self):
        answer = self.render(self.model("gemma3"))
        self.assertEqual(answer.json["prompt"],
                         "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n")

    def test_older_revisions_are_refused_by_name(self):
        for revision in ["r0", "r1", "r2", "r3"]:
            answer = self.call("render", self.model(), "--request", "-", "--revision", revision,
                               stdin=CHAT)
            self.assertRefused(answer, 1, revision, "not supported")

    def test_of_wrong_use_are_said(self):
        for flags in [["--revision", "r9"], ["--variant", "tiny"], ["--lines"]]:
            answer = self.call("render", self.model(), "--request", "-", *flags, stdin=CHAT)
            self.assertRefused(answer, 2)
        self.assertRefused(self.call("render", self.model()), 2, "--request", "--lines")


if __name__ == "__main__":
    harness.main()
