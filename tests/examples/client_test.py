#!/usr/bin/env python3
"""examples/fourfold.py: how it starts the program, asks it, and says what went wrong."""

import sys

import examples
import harness

import fourfold

USER = [{"role": "user", "content": "Hello"}]


class Client(examples.ExampleTest):
    def open(self, turns, context=None):
        self.script_flags(turns, context=50)
        return fourfold.Model(self.folder / "script.json", examples.FAKE, context)

    def test_answers_are_those_of_the_program(self):
        with self.open([{"last": ["Hello"], "settings": {"temperature": 0, "max_tokens": 3},
                         "answer": {"text": "Hi"}}]) as model:
            self.assertEqual(model.ask(USER, max_tokens=3)["text"], "Hi")

    def test_a_refused_request_leaves_the_model_usable(self):
        with self.open([{"error": {"code": "INVALID_ARGUMENT", "message": "max_tokens: bad"}},
                        {"answer": {"text": "Hi"}}]) as model:
            with self.assertRaisesRegex(fourfold.Refused, "max_tokens: bad"):
                model.ask(USER)
            self.assertEqual(model.ask(USER)["text"], "Hi")

    def test_a_program_that_dies_is_quoted(self):
        with self.assertRaisesRegex(fourfold.Failed, "status 1: .*out of memory"):
            with self.open([{"dies": "out of memory"}]) as model:
                model.ask(USER)

    def test_a_program_that_ends_badly_is_an_error(self):
        with self.assertRaisesRegex(fourfold.Failed, "status 3: .*1 turns"):
            with self.open([{"answer": {}}]):
                pass

    def test_an_error_of_ours_is_not_hidden_by_the_end_of_the_program(self):
        with self.assertRaises(KeyError):
            with self.open([{"answer": {}}]):
                raise KeyError

    def test_what_is_not_there_is_named(self):
        with self.assertRaisesRegex(fourfold.Failed, "no-model.gguf: no such file"):
            fourfold.Model("no-model.gguf", self.program)
        with self.assertRaisesRegex(fourfold.Failed, "no-program: cannot be started"):
            fourfold.Model("no-model.gguf", self.folder / "no-program")
        with self.assertRaisesRegex(fourfold.Failed, "expected a model"):
            fourfold.Model(harness.TOKENIZERS / "tokenizer-small.gguf", self.program)

    def test_the_context_is_at_most_that_of_the_model(self):
        for asked, held in [(None, 50), (40, 40), (60, 50)]:
            with self.open([], asked) as model:
                self.assertEqual(model.context, held)

    def test_tools_are_called_until_an_answer_comes(self):
        call = {"name": "look", "arguments": {"at": "sky"}}
        messages = list(USER)
        with self.open([{"has": ["look"],
                         "answer": {"thinking": "Where?", "tool_calls": [call, call]}},
                        {"has": ["Where?"], "last": ["blue 2"], "answer": {"text": "It is blue."}},
                        ]) as model:
            results = iter(["blue 1", "blue 2"])
            answers = list(fourfold.answer_with_tools(
                model, messages, [{"name": "look"}], lambda name, arguments: next(results)))
        self.assertEqual([answer["text"] for answer in answers], ["", "It is blue."])
        self.assertEqual([message["role"] for message in messages],
                         ["user", "assistant", "tool", "tool", "assistant"])

    def test_tools_are_not_called_for_ever(self):
        turn = {"answer": {"tool_calls": [{"name": "look", "arguments": {}}]}}
        with self.open([turn] * fourfold.MOST_ROUNDS) as model:
            with self.assertRaisesRegex(fourfold.Refused, "8 rounds"):
                list(fourfold.answer_with_tools(model, list(USER), [], lambda *_: "on"))


class RealProgram(examples.ExampleTest):
    def test_counts_the_tokens_that_it_is_then_given(self):
        tools = [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}]
        with fourfold.Model(self.random_model(), self.program, context=900) as model:
            self.assertEqual(model.context, 900)
            for text in ["Hello", "A second,\n\n\tlonger one: 12 °C  "]:
                messages = [{"role": "system", "content": "Be brief."},
                            {"role": "user", "content": text}]
                for more in [{}, {"tools": tools}, {"tools": tools, "think": True}]:
                    answer = model.ask(messages, max_tokens=300, **more)
                    self.assertEqual(answer["usage"]["prompt_tokens"],
                                     model.n_tokens(messages, **more))
            with self.assertRaisesRegex(fourfold.Refused, "900"):
                model.ask([{"role": "user", "content": "x" * 1000}])
            self.assertEqual(model.ask(USER, max_tokens=1)["finish"], "length")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    harness.main()
