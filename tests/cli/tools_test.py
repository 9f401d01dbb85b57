#!/usr/bin/env python3
"""run --tools, --tool-exec, --schema, --regex and --grammar: answers that keep to a form."""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import chat_body
import harness

TOOLS = [{"name": "look", "parameters": {
    "type": "object", "required": ["city"], "additionalProperties": False,
    "properties": {"city": {"enum": ["Oslo", "Paris"]}}}}]
SCHEMA = {"type": "object", "required": ["n"], "additionalProperties": False,
          "properties": {"n": {"enum": [1, 2, 3]}}}
WILD = ["--temp", "2", "--top-k", "0", "--top-p", "1"]


class ToolTest(harness.ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.chat = cls.folder / "tiny-it.gguf"
        body = cls.build / "golden" / "text" / "31b" / "model.gguf"
        chat_body.make(cls.chat, body, harness.TOKENIZERS / "tokenizer-small.gguf")
        cls.tools = cls.write("tools.json", json.dumps(TOOLS))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def write(cls, name, text):
        (cls.folder / name).write_text(text, "utf-8")
        return cls.folder / name

    def run_chat(self, *flags, seed=1, **keywords):
        return self.call("run", self.chat, "-n", "100", *WILD, "--seed", seed, *flags, "hello",
                         **keywords)

    def setUp(self):
        answer = self.run_chat("--regex", "a")
        if "without constraints" in answer.err:
            self.skipTest("built without constraints")


class Form(ToolTest):
    def test_is_that_of_the_schema(self):
        path = self.write("schema.json", json.dumps(SCHEMA))
        for seed in range(5):
            text = self.run_chat("--schema", path, seed=seed).out
            self.assertIn(json.loads(text), [{"n": 1}, {"n": 2}, {"n": 3}])

    def test_is_that_of_the_schema_after_a_thought(self):
        path = self.write("schema.json", json.dumps(SCHEMA))
        answer = self.run_chat("--schema", path, "--think=10", "-n", "200", "--json").json
        self.assertIn(json.loads(answer["text"])["n"], [1, 2, 3])

    def test_is_that_of_the_expression_or_grammar(self):
        for seed in range(3):
            text = self.run_chat("--regex", "[ab]{3}-[0-9]{1,2}", seed=seed).out.decode()
            self.assertTrue(re.fullmatch("[ab]{3}-[0-9]{1,2}\n", text), text)
        path = self.write("grammar.gbnf", 'root ::= "x" ("y" | "z")\n')
        self.assertIn(self.run_chat("--grammar", path).out, [b"xy\n", b"xz\n"])

    def test_may_come_through_a_pipe(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        writer = subprocess.Popen(["sh", "-c", f"echo '{json.dumps(SCHEMA)}' > {pipe}"])
        text = self.run_chat("--schema", pipe).out
        self.assertEqual(writer.wait(), 0)
        self.assertIn(json.loads(text)["n"], [1, 2, 3])

    def test_of_two_kinds_is_refused(self):
        self.assertRefused(self.run_chat("--regex", "a", "--grammar", "g"), 2, "--regex")

    def test_that_cannot_be_is_an_error(self):
        answer = self.run_chat("--schema", self.write("bad.json", '{"type": "nothing"}'))
        self.assertEqual((answer.status, answer.out), (1, b""))


class Lines(ToolTest):
    def answers(self, *lines, flags=(), model=None):
        answer = self.call("run", model or self.chat, "--lines", "-n", "60", *WILD, "--seed", 1, *flags,
                           stdin="\n".join(lines).encode())
        self.assertEqual(answer.status, 0, answer.err)
        return [json.loads(line) for line in answer.out.splitlines()]

    def requests(self, *settings):
        message = {"messages": [{"role": "user", "content": "x"}]}
        return self.answers(*(json.dumps(message | one) for one in settings))

    def test_have_forms_of_their_own(self):
        answers = self.requests({"schema": {"enum": ["yes"]}},
                                {"response_format": {"type": "regex", "regex": "no|never"}})
        self.assertEqual(answers[0]["text"], '"yes"')
        self.assertIn(answers[1]["text"], ["no", "never"])

    def test_choose_tools(self):
        tools = {"tools": [*TOOLS, {"name": "wait"}]}
        named = {"type": "function", "function": {"name": "wait"}}
        some, one, none, refused = self.requests(
            tools | {"tool_choice": "required", "parallel_tool_calls": False},
            tools | {"tool_choice": named, "parallel_tool_calls": False},
            tools | {"tool_choice": "none", "schema": {"const": 1}},
            {"tool_choice": named})
        self.assertEqual((some["finish"], len(some["tool_calls"])), ("tool_calls", 1))
        self.assertEqual([call["name"] for call in one["tool_calls"]], ["wait"])
        self.assertEqual((none["text"], none["tool_calls"]), ("1", []))
        self.assertIn("wait", refused["error"]["message"])

    def test_leave_the_form_to_the_model_when_unconstrained(self):
        message = {"messages": [{"role": "user", "content": "x"}]}
        forms = [{"schema": {"enum": ["yes"]}}, {"tools": TOOLS, "tool_choice": "required"}]
        requests = [json.dumps(message | form) for form in forms]
        armed, free = (self.answers(*requests, flags=flags) for flags in ([], ["--unconstrained"]))
        self.assertEqual(armed[0]["text"], '"yes"')
        self.assertNotIn("yes", free[0]["text"])
        self.assertEqual((armed[1]["text"], free[1]["tool_calls"]), ("", []))
        self.assertNotEqual(free[1]["text"], "")
        for one, other in zip(armed, free):
            self.assertEqual(one["usage"]["prompt_tokens"], other["usage"]["prompt_tokens"])

    def test_go_on_with_an_answer_that_was_begun(self):
        user = {"role": "user", "content": "x"}
        begun = {"messages": [user, {"role": "assistant", "reasoning": "y", "content": '"ye'}],
                 "continue_final_message": True, "schema": {"enum": ["yes", "no"]}}
        answer, refused = self.answers(
            json.dumps(begun), json.dumps({"messages": [user], "continue_final_message": True}))
        self.assertEqual((answer["text"], answer["thinking"]), ('s"', ""))
        self.assertIn("continue_final_message", refused["error"]["message"])

    def test_go_on_from_the_tokens_that_were_generated(self):
        # Letters at random are hardly ever cut as the tokenizer would cut their text. A small body:
        # large ones begin with an empty thought, which is not rendered again.
        answers = self.answers("hello", "and again", flags=("--regex", "[a-z]{20}"),
                               model=self.model("e2b"))
        first, second = (answer["usage"] for answer in answers)
        self.assertEqual(second["cached_tokens"],
                         first["prompt_tokens"] + first["completion_tokens"])


class Tools(ToolTest):
    def caller(self):
        """Flags with which the model calls, or ends its turn, and says nothing else."""
        ids = self.call("tokenize", self.chat, "--trusted", stdin=b"<|tool_call><|tool_response>")
        return ["--tools", self.tools, *(flag for token in ids.out.decode().split()
                                         for flag in ("--logit-bias", f"{token}=1000"))]

    def calling(self, *flags):
        """The first answer that consists of finished calls."""
        for seed in range(40):
            answer = self.run_chat(*self.caller(), *flags, "--json", seed=seed)
            self.assertEqual(answer.status, 0, answer.err)
            if answer.json["tool_calls"] and "not a call" not in answer.err:
                if answer.json["finish"] != "length":
                    return answer
        return self.fail("no seed made the model call")

    def test_are_called_as_their_schema_says(self):
        answer = self.calling()
        self.assertEqual(answer.json["finish"], "tool_calls")
        for call in answer.json["tool_calls"]:
            self.assertEqual(call["name"], "look")
            self.assertIn(call["arguments"], [{"city": "Oslo"}, {"city": "Paris"}])

    def test_get_each_call_on_standard_input(self):
        log = self.folder / "calls.log"
        log.unlink(missing_ok=True)
        answer = self.calling("--tool-exec", f"cat >> {log}", "--max-rounds", "1")
        calls = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertIn(answer.json["tool_calls"][0], calls)

    def test_give_results_that_the_model_sees(self):
        def n_prompt_tokens(command):
            answer = self.calling("--tool-exec", command, "--max-rounds", "1")
            return answer.json["usage"]["prompt_tokens"]
        self.assertGreater(n_prompt_tokens("echo a long result of many words"),
                           n_prompt_tokens("echo x"))

    def test_that_fail_or_hang_give_errors(self):
        failed = self.calling("--tool-exec", "echo broken >&2; exit 3", "--max-rounds", "1")
        self.assertIn("broken", failed.err)
        for command in ("sleep 60", "exec >&- 2>&-; sleep 60"):
            hung = self.calling("--tool-exec", command, "--tool-timeout", "1", "--max-rounds", "1")
            self.assertIn("within 1 s", hung.err)
            self.assertLess(hung.ms, 30_000)

    def test_are_run_no_more_than_so_many_rounds(self):
        answer = self.calling("--tool-exec", "true", "--max-rounds", "0")
        self.assertIn("after 0 rounds", answer.err)

    def test_need_a_model_that_knows_them(self):
        answer = self.call("run", self.model("gemma3"), "--tools", self.tools, "hi")
        self.assertEqual(answer.status, 1)
        self.assertIn("tools", answer.err)

    def test_are_wanted_by_the_command_that_runs_them(self):
        self.assertRefused(self.run_chat("--tool-exec", "true"), 2, "--tools")


if __name__ == "__main__":
    harness.main()
