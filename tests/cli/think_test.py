#!/usr/bin/env python3
"""run --think and --events: what goes where, and that a thought never eats the answer."""

import json
import pathlib
import tempfile

import chat_body
import harness

# Everything is as likely as everything else.
WILD = ["--temp", "2", "--top-k", "0", "--top-p", "1", "--seed", "3"]


class Thinking(harness.ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.chat = pathlib.Path(cls.folder.name) / "tiny-it.gguf"
        body = cls.build / "golden" / "text" / "31b" / "model.gguf"
        chat_body.make(cls.chat, body, harness.TOKENIZERS / "tokenizer-small.gguf")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_chat(self, *flags, **keywords):
        return self.call("run", self.chat, "-n", "150", *WILD, *flags, "hello", **keywords)

    # A model that begins with a thought and does not end it by itself.
    def thinker(self):
        ids = self.call("tokenize", self.chat, "--trusted", stdin=b"<|channel><channel|><turn|>")
        opener, closer, end = ids.out.split()
        bias = [f"{opener.decode()}=1000", f"{closer.decode()}=-inf", f"{end.decode()}=-inf"]
        return [flag for item in bias + ["1=-inf", "50=-inf"] for flag in ("--logit-bias", item)]

    def test_is_ended_by_its_budget_and_followed_by_an_answer(self):
        for budget in [5, 30]:
            answer = self.run_chat(f"--think={budget}", "--json", *self.thinker()).json
            # Beside them the markers, and a token that could have been the label.
            self.assertEqual(answer["usage"]["thought_tokens"], budget + 3)
            self.assertNotEqual(answer["thinking"], "")
            self.assertNotEqual(answer["text"], "")

    def test_goes_to_standard_error_and_the_answer_to_standard_output(self):
        flags = ["--think=20", *self.thinker()]
        json_answer = self.run_chat(*flags, "--json").json
        answer = self.run_chat(*flags)
        self.assertEqual(answer.out.decode(), json_answer["text"] + "\n")
        self.assertIn(json_answer["thinking"], answer.err)
        self.assertEqual(self.run_chat(*flags, "-q").err, "")

    def test_that_was_not_asked_for_is_hidden(self):
        answer = self.run_chat(*self.thinker())
        thought = self.run_chat("--json", *self.thinker()).json["thinking"]
        self.assertNotEqual(thought, "")
        self.assertNotIn(thought, answer.err)
        self.assertNotIn(thought.encode(), answer.out)

    def test_changes_the_prompt(self):
        def prompt_tokens(*flags):
            return self.run_chat(*flags, "--json").json["usage"]["prompt_tokens"]
        self.assertNotEqual(prompt_tokens("--think"), prompt_tokens())
        self.assertEqual(prompt_tokens("--no-think"), prompt_tokens())
        self.assertEqual(prompt_tokens("--think=0"), prompt_tokens())
        self.assertEqual(prompt_tokens("--think", "--no-think"), prompt_tokens())

    def test_needs_room(self):
        answer = self.run_chat("--think", "-n", "100", "--json")
        self.assertEqual(answer.json["thinking"], "")
        self.assertIn("too few tokens", answer.err)

    def test_is_refused_by_a_model_that_cannot(self):
        answer = self.call("run", self.model("gemma3"), "--think", "hi")
        self.assertEqual(answer.status, 1)
        self.assertIn("cannot think", answer.err)

    def test_is_a_setting_of_each_request_line(self):
        lines = [json.dumps({"messages": [{"role": "user", "content": "hello"}], "think": think})
                 for think in (20, False, "much")]
        answer = self.call("run", self.chat, "--lines", "-n", "150", *WILD, *self.thinker(),
                           stdin="\n".join(lines).encode())
        first, second, third = map(json.loads, answer.out.splitlines())
        self.assertEqual(first["usage"]["thought_tokens"], 20 + 3)
        self.assertLess(second["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"] + 4)
        self.assertIn("think", third["error"]["message"])

    def test_and_answer_are_events_one_a_line(self):
        flags = ["--think=20", *self.thinker()]
        whole = self.run_chat(*flags, "--json").json
        events = [json.loads(line) for line in self.run_chat(*flags, "--events").out.splitlines()]
        texts = {kind: "".join(event["text"] for event in events if event["type"] == kind)
                 for kind in ("thought", "text")}
        self.assertEqual(texts, {"thought": whole["thinking"], "text": whole["text"]})
        self.assertEqual(events[-1], {"type": "finish", "reason": "length"})


if __name__ == "__main__":
    harness.main()
