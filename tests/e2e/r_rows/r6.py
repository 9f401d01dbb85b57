#!/usr/bin/env python3
"""R6: a first system line that changes with every request must not cost the cached prefix."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, GEMINI, RESPONSES  # noqa: E402

LINE = "x-anthropic-billing-header: cc_version=2.1; cch={:05x};"
RULES = "You look after a greenhouse. Water the tomatoes at six. " * 20


def with_system(dialect, texts, model="scripted/plain"):
    """System text as one string, or as blocks where the dialect has them."""
    request = dialect.request(model, [("user", "Hi")], max_tokens=10)
    if dialect is ANTHROPIC:
        request.body["system"] = (texts if isinstance(texts, str) else
                                  [{"type": "text", "text": text} for text in texts])
    elif dialect is GEMINI:
        parts = [texts] if isinstance(texts, str) else texts
        request.body["systemInstruction"] = {"parts": [{"text": text} for text in parts]}
    elif dialect is RESPONSES:
        request.body["instructions"] = texts if isinstance(texts, str) else "\n".join(texts)
    else:
        content = texts if isinstance(texts, str) else "\n".join(texts)
        request.body["messages"].insert(0, {"role": "system", "content": content})
    return request


class R6(row.RowTest):
    def test_cached_from_the_second_request_on(self):
        for dialect in row.DIALECTS:
            for form in (str, list):
                with self.subTest(dialect=dialect.name, form=form.__name__):
                    counts = []
                    for i in range(3):
                        line = LINE.format(7919 * (i + 1))
                        texts = line + "\n" + RULES if form is str else [line, RULES]
                        answer = dialect.send(self.server, with_system(dialect, texts))
                        self.assertAnswered(answer)
                        counts.append((answer.prompt, answer.cached))
                    alone = RULES if form is str else [RULES]
                    bare = dialect.send(self.server, with_system(dialect, alone))
                    self.assertEqual({prompt for prompt, _ in counts}, {bare.prompt})
                    if dialect.name != "ollama":  # which does not tell
                        for prompt, cached in counts[1:]:
                            self.assertGreater(cached, prompt * 0.8)

    def test_elsewhere_the_line_stays(self):
        for dialect in row.DIALECTS:
            with self.subTest(dialect=dialect.name):
                line = LINE.format(1)
                answer = dialect.ask(self.server, "scripted/echo", line + "\nHi")
                self.assertAnswered(answer)
                self.assertEqual(answer.text.strip(), line + "\nHi")
                bare = dialect.send(self.server, with_system(dialect, RULES))
                later = dialect.send(self.server, with_system(dialect, RULES + "\n" + line))
                self.assertGreater(later.prompt, bare.prompt)


if __name__ == "__main__":
    row.main()
