#!/usr/bin/env python3
"""R3: tools without parameters, in every spelling: one prompt, an empty object returned."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, GEMINI, OLLAMA, OPENAI, RESPONSES  # noqa: E402

ABSENT = object()
SPELLINGS = [
    ABSENT, None, {}, {"type": "object"}, {"type": "object", "properties": {}},
    {"type": "object", "properties": None},
    {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    {"$schema": "http://json-schema.org/draft-07/schema#", "title": "get_time_args",
     "type": "object", "properties": {}}]


def with_tool(dialect, spelling, stream=False, force=False):
    request = dialect.request("scripted/no-arguments", [("user", "What time is it?")],
                              stream=stream)
    tool = {"name": "get_time", "description": "Tells the time."}
    key = {"gemini": "parametersJsonSchema", "anthropic": "input_schema"}.get(dialect.name,
                                                                             "parameters")
    if spelling is not ABSENT:
        tool[key] = spelling
    if dialect is GEMINI:
        request.body["tools"] = [{"functionDeclarations": [tool]}]
    elif dialect in (OPENAI, OLLAMA):
        request.body["tools"] = [{"type": "function", "function": tool}]
    elif dialect is RESPONSES:
        request.body["tools"] = [{"type": "function", **tool}]
    else:
        request.body["tools"] = [tool]
    if force:
        request.body |= {
            "gemini": {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "anthropic": {"tool_choice": {"type": "any"}}}.get(dialect.name,
                                                              {"tool_choice": "required"})
    return request


class R3(row.RowTest):
    def test_one_prompt_and_an_empty_object(self):
        prompts = {}
        for dialect, stream in self.each():
            for i, spelling in enumerate(SPELLINGS):
                for force in (False, True):
                    with self.subTest(spelling=i, force=force):
                        answer = dialect.send(self.server,
                                              with_tool(dialect, spelling, stream, force))
                        self.assertAnswered(answer)
                        self.assertEqual(answer.calls, [("get_time", {})])
                        prompts[dialect.name, stream, i, force] = answer.prompt
        self.assertEqual(len(set(prompts.values())), 1, prompts)

    def test_openai_says_it_as_text(self):
        for stream in row.STREAMED:
            answer = OPENAI.send(self.server, with_tool(OPENAI, {}, stream))
            self.assertIn(b'"arguments":"{}"', answer.data.replace(b" ", b""))

    def test_replayed(self):
        answer = OPENAI.send(self.server, with_tool(OPENAI, None))
        message = json.loads(answer.data)["choices"][0]["message"]
        request = with_tool(OPENAI, None)
        request.body["messages"] += [message, {
            "role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "12:00"}]
        self.assertEqual(OPENAI.send(self.server, request).text, "It is noon.")
        request = with_tool(ANTHROPIC, None)
        content = json.loads(ANTHROPIC.send(self.server, request).data)["content"]
        request.body["messages"] += [
            {"role": "assistant", "content": content},
            {"role": "user", "content": [{"type": "tool_result",
                                          "tool_use_id": content[0]["id"]}]}]
        self.assertEqual(ANTHROPIC.send(self.server, request).text, "It is noon.")


if __name__ == "__main__":
    row.main()
