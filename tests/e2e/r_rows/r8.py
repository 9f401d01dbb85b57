#!/usr/bin/env python3
"""R8: prompts around the size of the context, and output limits beyond it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402

CONTEXT = 1024
PHRASES = {
    "gemini": "The input token count ({P}) exceeds the maximum number of tokens allowed ({C}).",
    "openai": "This model's maximum context length is {C} tokens. However, your messages resulted "
              "in {P} tokens.",
    "responses": "Your input of {P} tokens exceeds the context window of this model ({C} tokens).",
    "ollama": "prompt is too long: the input of {P} tokens exceeds the context length of {C} tokens",
    "anthropic": "prompt is too long: {P} tokens > {C} maximum"}


class R8(row.RowTest):
    flags = ("--context", CONTEXT)

    def words(self, dialect, n):
        """A prompt of n tokens: each digit is one."""
        spare = dialect.ask(self.server, "scripted/plain", "0", max_tokens=2).prompt - 1
        return "0" * (n - spare)

    def test_what_fits(self):
        for dialect, stream in self.each():
            text = self.words(dialect, CONTEXT - 1)
            answer = dialect.ask(self.server, "scripted/plain", text, stream=stream)
            self.assertAnswered(answer)
            self.assertEqual((answer.prompt, answer.output), (CONTEXT - 1, 1))
            self.assertIn(answer.finish, {"MAX_TOKENS", "length", "incomplete",
                                          "model_context_window_exceeded"})
            if dialect.name == "anthropic":
                self.assertEqual(answer.finish, "model_context_window_exceeded")

    def test_what_does_not(self):
        for n in (CONTEXT, CONTEXT + 1, 20 * CONTEXT):
            for dialect, stream in self.each(n=n):
                text = self.words(dialect, n)
                answer = dialect.ask(self.server, "scripted/plain", text, stream=stream)
                self.assertError(answer, 400,
                                 PHRASES[dialect.name].format(P=n, C=CONTEXT))
                if dialect.name in ("openai", "responses"):
                    self.assertEqual(answer.error["code"], "context_length_exceeded")
                self.assertTrue(answer.headers["content-type"].startswith("application/json"))

    def test_a_huge_limit_is_clipped(self):
        for limit in (8192, 64_000, 10_000_000):
            for dialect, stream in self.each(limit=limit):
                answer = dialect.ask(self.server, "scripted/plain", "Hi", stream=stream,
                                     max_tokens=limit)
                self.assertAnswered(answer)
                self.assertIn(answer.finish, {"STOP", "stop", "completed", "end_turn"})

    def test_ollama_forgets_the_oldest_turns(self):
        talk = []
        for i in range(20):
            talk += [("user", f"{i} " + "0" * 80), ("assistant", "Yes.")]
        from dialects import OLLAMA
        answer = OLLAMA.ask(self.server, "scripted/plain", [*talk, ("user", "And?")],
                            truncate=True)
        self.assertAnswered(answer)
        self.assertTrue(answer.headers.get("x-warning"))
        self.assertLess(answer.prompt, CONTEXT)


if __name__ == "__main__":
    row.main()
