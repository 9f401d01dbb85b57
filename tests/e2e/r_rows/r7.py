#!/usr/bin/env python3
"""R7: endpoints that count, grown step by step; the last equals the usage of the real request."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, GEMINI, OPENAI, RESPONSES  # noqa: E402

WEATHER = {"name": "get_weather", "description": "Weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}
THINKING = {
    "gemini": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}},
    "openai": {"reasoning_effort": "low"},
    "responses": {"reasoning": {"effort": "low"}},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}


class R7(row.RowTest):
    def test_each_step_adds(self):
        for dialect in (GEMINI, OPENAI, RESPONSES, ANTHROPIC):
            with self.subTest(dialect=dialect.name):
                talk = [("user", "Hi"), ("assistant", "Good day."), ("user", "How warm is it?")]
                steps = [
                    dict(messages=talk[:1]), dict(messages=talk),
                    dict(messages=talk, system="Be kind."),
                    dict(messages=talk, system="Be kind.", functions=[WEATHER]),
                    dict(messages=talk, system="Be kind.", functions=[WEATHER],
                         **THINKING[dialect.name])]
                counts = [dialect.count(self.server, "scripted/one-call", **step)
                          for step in steps]
                self.assertEqual(counts, sorted(set(counts)), "each step adds")
                for step, count in zip(steps, counts):
                    answer = dialect.ask(self.server, "scripted/one-call", **step)
                    self.assertAnswered(answer)
                    self.assertEqual(answer.prompt, count)

    def test_a_document_counts(self):
        text = {"type": "text", "text": "What is it?"}
        document = {"type": "document", "source": {"type": "text", "media_type": "text/plain",
                                                   "data": "The tomatoes stand in zone three."}}
        counts = []
        for content in ([text], [document, text]):
            body = {"model": "scripted/plain", "max_tokens": 9,
                    "messages": [{"role": "user", "content": content}]}
            counts.append(self.server.json("/v1/messages/count_tokens", body)["input_tokens"])
            answer = ANTHROPIC.read(*self.server.post("/v1/messages", body), False)
            self.assertEqual(answer.prompt, counts[-1])
        self.assertGreater(counts[1], counts[0])

    def test_a_count_refuses_what_the_request_would(self):
        for dialect, path in ((GEMINI, "/v1beta/models/scripted/plain:countTokens"),
                              (ANTHROPIC, "/v1/messages/count_tokens"),
                              (RESPONSES, "/v1/responses/input_tokens")):
            with self.subTest(dialect=dialect.name):
                request = dialect.request("scripted/plain", [("user", "Hi")])
                picture = {"gemini": {"parts": [{"inlineData": {"mimeType": "image/png",
                                                                "data": "AAAA"}}]},
                           "anthropic": {"role": "user", "content": [{
                               "type": "image", "source": {"type": "base64", "data": "AAAA",
                                                           "media_type": "image/png"}}]},
                           "responses": {"role": "user", "content": [{
                               "type": "input_image",
                               "image_url": "data:image/png;base64,AAAA"}]}}[dialect.name]
                for key in ("contents", "messages", "input"):
                    if key in request.body:
                        request.body[key] = [picture]
                asked = self.server.post(request.path, request.body)
                counted = self.server.post(path, request.body)
                self.assertEqual(asked[0], 400, asked[2][:200])
                self.assertEqual(counted[0], 400, counted[2][:200])
                self.assertEqual(dialect.read(*asked, False).message,
                                 dialect.read(*counted, False).message)


if __name__ == "__main__":
    row.main()
