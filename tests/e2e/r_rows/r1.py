#!/usr/bin/env python3
"""R1: lists of tools as coding agents send them, one keyword or pattern per tool that no grammar
can hold: loosened and said, unless the client asked for a guarantee."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, GEMINI, OLLAMA, OPENAI, RESPONSES  # noqa: E402

# name → the schema of the argument `value`, and the word that the report must hold.
HARD = {
    "edit_file": ({"type": "string", "pattern": r"^(.+)-\1$"}, "pattern"),
    "run_tests": ({"type": "object", "patternProperties": {"^x-": {"type": "string"}}},
                  "patternProperties"),
    "open_page": ({"not": {"type": "string"}}, "not"),
    "list_files": ({"type": "array", "uniqueItems": True, "items": {"type": "string"}},
                   "uniqueItems"),
    "choose": ({"if": {"type": "string"}, "then": {"minLength": 2}}, "if"),
}


def tool(name):
    return {"name": name, "description": "Does it.", "parameters": {
        "type": "object", "properties": {"value": HARD[name][0]}, "required": ["value"]}}


EASY = {"name": "get_weather", "description": "Weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}
ALL = [tool(name) for name in HARD] + [EASY]


class R1(row.RowTest):
    def test_they_are_loosened_and_said(self):
        for dialect, stream in self.each():
            answer = dialect.ask(self.server, "scripted/one-call", "Hi", functions=ALL,
                                 stream=stream)
            self.assertAnswered(answer)
            self.assertEqual(answer.calls, [("get_weather", {"city": "Paris"})])
            warning = answer.headers["x-warning"]
            self.assertLessEqual(len(warning), 1024)
            self.assertTrue(warning.isascii(), warning)
            self.assertTrue(any(HARD[name][1] in warning for name in HARD), warning)

    def test_each_alone(self):
        for name, (_, word) in HARD.items():
            with self.subTest(tool=name):
                answer = OPENAI.ask(self.server, "scripted/one-call", "Hi",
                                    functions=[tool(name), EASY])
                self.assertAnswered(answer)
                self.assertIn(word, answer.headers.get("x-warning", ""))

    def test_with_every_tool_choice(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        for choice in ("auto", "none", "required", named,
                       {"type": "allowed_tools", "allowed_tools": {
                           "mode": "auto", "tools": [named]}}):
            with self.subTest(choice=choice):
                answer = OPENAI.ask(self.server, "scripted/one-call", "Hi", functions=ALL,
                                    tool_choice=choice, max_tokens=100)
                self.assertAnswered(answer)
        for mode in ("AUTO", "NONE", "ANY"):
            with self.subTest(mode=mode):
                answer = GEMINI.ask(self.server, "scripted/one-call", "Hi", functions=ALL,
                                    toolConfig={"functionCallingConfig": {"mode": mode}})
                self.assertAnswered(answer)

    def test_strict_is_a_guarantee(self):
        for name, (_, word) in HARD.items():
            with self.subTest(tool=name):
                answer = OPENAI.ask(self.server, "scripted/one-call", "Hi",
                                    functions=[EASY, {**tool(name), "strict": True}])
                self.assertError(answer, 400, name, word)
        body = ANTHROPIC.request("scripted/one-call", [("user", "Hi")]).body
        body["tools"] = [{"name": "edit_file", "strict": True,
                          "input_schema": tool("edit_file")["parameters"]}]
        status, headers, data = self.server.post("/v1/messages", body)
        self.assertError(ANTHROPIC.read(status, headers, data, False), 400, "edit_file", "pattern")
        answer = GEMINI.ask(self.server, "scripted/one-call", "Hi", functions=ALL,
                            toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})
        self.assertEqual(answer.status, 400)

    def test_a_response_format_is_a_guarantee(self):
        for name, (_, word) in HARD.items():
            schema = tool(name)["parameters"]
            for dialect, more in (
                    (OPENAI, {"response_format": {"type": "json_schema", "json_schema": {
                        "name": "x", "schema": schema}}}),
                    (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "x",
                                                     "schema": schema}}}),
                    (OLLAMA, {"format": schema}),
                    (GEMINI, {"generationConfig": {"responseMimeType": "application/json",
                                                   "responseJsonSchema": schema}})):
                with self.subTest(tool=name, dialect=dialect.name):
                    answer = dialect.ask(self.server, "scripted/schema", "Hi", **more)
                    self.assertError(answer, 400, word)


if __name__ == "__main__":
    row.main()
