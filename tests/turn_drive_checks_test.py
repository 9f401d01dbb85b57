#!/usr/bin/env python3
"""That the checks of turn_drive_test.py find what is wrong, and nothing in what is right."""

import unittest

import validator_venv
from turn_drive.checks import find_faults
from turn_drive.json_prefix import is_json_prefix

SCHEMA = {"type": "object", "required": ["n"], "additionalProperties": False,
          "properties": {"n": {"type": "number", "minimum": 0.1}}}
TOOL = {"name": "look", "parameters": {"type": "object", "required": ["city"],
                                       "properties": {"city": {"enum": ["Oslo"]}}}}
NAMED = {"type": "function", "function": {"name": "other"}}
CALL = {"name": "look", "arguments": {"city": "Oslo"}}
THOUGHT = "a long enough thought"


def request(**keys):
    return {"messages": [], "seed": 5, "max_tokens": 200} | keys


def answer(text="", finish="stop", calls=(), thinking="", thought=0, tokens=20, **keys):
    usage = {"prompt_tokens": 9, "cached_tokens": 0, "thought_tokens": thought,
             "completion_tokens": tokens}
    return {"text": text, "thinking": thinking, "tool_calls": list(calls), "finish": finish,
            "seed": 5, "usage": usage} | keys


OF_SCHEMA = request(schema=SCHEMA)
OF_TOOLS = request(tools=[TOOL], tool_choice="required")
OF_ONE_CALL = request(tools=[TOOL], parallel_tool_calls=False)
OF_REGEX = request(response_format={"type": "regex", "regex": "^ab?$"})

RIGHT = [
    (OF_SCHEMA, answer('{"n": 0.1}')),
    (OF_SCHEMA, answer('{"n": 0.', "length", tokens=200)),
    (OF_SCHEMA | {"think": 7}, answer('{"n": 1}', thinking=THOUGHT, thought=21, tokens=30)),
    (OF_TOOLS, answer(calls=[CALL, CALL], finish="tool_calls")),
    (OF_TOOLS, answer(finish="length", tokens=200, malformed=["call:"])),
    (OF_ONE_CALL, answer("Here:", calls=[CALL], finish="tool_calls")),
    (OF_ONE_CALL, answer("no calls")),
    (OF_REGEX, answer("ab")),
    (request(), answer("anything", thinking=THOUGHT, thought=12)),
]

WRONG = [
    ("refused", OF_SCHEMA, {"error": {"message": "no"}}),
    ("not JSON", OF_SCHEMA, answer('{"n": 1}}')),
    ("not JSON", OF_SCHEMA, answer("")),
    ("not JSON", OF_SCHEMA, answer('{"n": NaN}')),
    ("not JSON", request(schema={}), answer('"\\ud800"')),
    ("less than the minimum", OF_SCHEMA, answer('{"n": 0.0999999999999999999}')),
    ("required property", OF_SCHEMA, answer("{}")),
    ("no JSON text begins", OF_SCHEMA, answer('{"n": 01', "length", tokens=200)),
    ("not of type 'object'", request(response_format={"type": "json_object"}), answer("[]")),
    ("expression", OF_REGEX, answer("abb")),
    ("no call", OF_TOOLS, answer()),
    ("text beside", OF_TOOLS, answer("so", calls=[CALL], finish="tool_calls")),
    ("text beside", OF_ONE_CALL | {"schema": SCHEMA},
     answer('{"n": 1}', calls=[CALL], finish="tool_calls")),
    ("more than one", OF_ONE_CALL, answer(calls=[CALL, CALL], finish="tool_calls")),
    ("no tool is called", OF_TOOLS, answer(calls=[CALL | {"name": "lock"}], finish="tool_calls")),
    ("no tool is called", request(tools=[TOOL, {"name": "other"}], tool_choice=NAMED),
     answer(calls=[CALL], finish="tool_calls")),
    ("no tool is called", request(tools=[TOOL], tool_choice="none"),
     answer(calls=[CALL], finish="tool_calls")),
    ("'Rome' is not one of", OF_TOOLS,
     answer(calls=[CALL | {"arguments": {"city": "Rome"}}], finish="tool_calls")),
    ("without parameters", request(tools=[{"name": "look"}]),
     answer(calls=[CALL], finish="tool_calls")),
    ("repaired", OF_TOOLS, answer(calls=[CALL | {"repaired": True}], finish="tool_calls")),
    ("malformed", OF_TOOLS, answer(calls=[CALL], finish="tool_calls", malformed=["call:"])),
    ("malformed", OF_TOOLS, answer(finish="length", tokens=200, malformed=["call:", "call:"])),
    ("finish stop of 1 calls", OF_TOOLS, answer(calls=[CALL])),
    ("finish tool_calls of 0", request(), answer("x", "tool_calls")),
    ("finish cancelled", request(), answer("x", "cancelled")),
    ("before max_tokens", request(), answer("x", "length")),
    ("no room for a stop token", request(), answer("x", tokens=200)),
    ("above max_tokens", request(), answer("x", "length", tokens=201)),
    ("part of completion_tokens", request(), answer("x", thought=21)),
    ("without tokens", request(), answer("x", tokens=0)),
    ("another seed", request(), answer("x", seed=6)),
    ("expected at most 21", OF_SCHEMA | {"think": 7},
     answer('{"n": 1}', thinking=THOUGHT, thought=22, tokens=30)),
    ("expected at most 0", OF_SCHEMA, answer('{"n": 1}', thinking=THOUGHT, thought=3)),
    ("thought without tokens", request(), answer("x", thinking=THOUGHT)),
    ("thought is in the text", request(), answer("x" + THOUGHT, thinking=THOUGHT, thought=12)),
    ("<|channel> is spelled", request(), answer("x<|channel>")),
    ("<turn|> is spelled", request(), answer(thinking="x<turn|>", thought=5)),
    ("is spelled", OF_TOOLS, answer(calls=[CALL | {"arguments": {"city": "Oslo<|\"|>"}}],
                                    finish="tool_calls")),
]

PREFIXES = ["", " ", "{", '{"a', '{"a"', '{"a":', '{"a": 1', '{"a": 1,', '{"a": 1, "b', "[", "[[],",
            "[1, {}", '"\\', '"\\u00', "-", "0.", "1e", "1e-", "tru", "[nul", "[1]", "{} ",
            '"a"\n']
NO_PREFIXES = ["{1", "{,", '{"a" 1', '{"a":,', '{"a": 1 "b"', "[1 2", "[,", "[1,]", '{"a": 1,}',
               "]", "01", "+1", ".5", "1.e", "truth", "True", '"\t', '"\\x', '"\\u00g', "[}",
               "{]", "1 2", "{} {", ",", "'a", "[1}"]


class Checks(unittest.TestCase):
    def test_pass_what_is_right(self):
        for asked, got in RIGHT:
            with self.subTest(answer=got):
                self.assertEqual(find_faults(asked, got), [])

    def test_find_what_is_wrong(self):
        for words, asked, got in WRONG:
            with self.subTest(words, answer=got):
                faults = find_faults(asked, got)
                self.assertTrue(any(words in fault for fault in faults), faults)


class JsonPrefix(unittest.TestCase):
    def test_is_what_can_be_continued(self):
        for text in PREFIXES:
            with self.subTest(text):
                self.assertTrue(is_json_prefix(text))

    def test_is_not_what_cannot(self):
        for text in NO_PREFIXES:
            with self.subTest(text):
                self.assertFalse(is_json_prefix(text))


if __name__ == "__main__":
    validator_venv.enter()
    unittest.main()
