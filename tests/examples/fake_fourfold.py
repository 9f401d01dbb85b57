#!/usr/bin/env python3
"""Stands in for the program `fourfold` where examples are tested: it plays a script.

    fake_fourfold.py run SCRIPT --lines --json        the script's answers, one by one
    fake_fourfold.py render SCRIPT --lines --json     a token for each word
    fake_fourfold.py inspect SCRIPT --json            its context

SCRIPT stands where the model would: JSON {"context": N, "turns": [TURN, …]}. A turn may have
  "last"      texts that the last message must hold
  "has"       texts that the messages and tools must hold
  "lacks"     texts that must be nowhere in them
  "settings"  {key: value} that the request must have
and one of
  "answer"    what the answer's JSON has beside the usual
  "error"     {"code", "message"}, instead of an answer
  "dies"      a last line on standard error; then it ends with status 1
A request that is not as its turn says, one without a turn, and turns that are left over end it with
status 3 and a line on standard error.
"""

import json
import os
import sys

SETTINGS = {"messages", "tools", "schema", "response_format", "think", "temperature", "seed",
            "max_tokens"}
ROLES = {"system", "user", "assistant", "tool"}


def fail(message, status=3):
    print(f"fake_fourfold: error: {message}", file=sys.stderr, flush=True)
    os._exit(status)


def texts(value):
    """All strings and numbers in a JSON value, a line each."""
    if isinstance(value, dict):
        return "\n".join(f"{key}\n{texts(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "\n".join(map(texts, value))
    return str(value)


def count_tokens(messages):
    return sum(len(texts(message).split()) for message in messages)


def check_form(request):
    """That it is a request at all, as the real program would take it."""
    unknown = set(request) - SETTINGS
    if unknown:
        fail(f"unknown settings {sorted(unknown)}")
    calls = {}
    for i, message in enumerate(request["messages"]):
        if message["role"] not in ROLES:
            fail(f"messages[{i}]: role {message['role']}")
        for call in message.get("tool_calls", []):
            calls[call["id"]] = call["function"]["name"]
        if message["role"] == "tool" and calls.pop(message["tool_call_id"], 0) != message["name"]:
            fail(f"messages[{i}]: a result without a call")
    if calls:
        fail(f"calls without results: {calls}")


def check(request, turn, number):
    last, everything = texts(request["messages"][-1]), texts(request)
    for key, where, wanted in (("last", last, True), ("has", everything, True),
                               ("lacks", everything, False)):
        for text in turn.get(key, []):
            if (text in where) != wanted:
                fail(f"turn {number}: {key} {text!r}, but the request is {where!r}")
    for key, value in turn.get("settings", {}).items():
        if request.get(key) != value:
            fail(f"turn {number}: {key} is {request.get(key)}, expected {value}")


def answer(request, turn):
    n_prompt = count_tokens(request["messages"])
    said = {"text": "", "thinking": "", "tool_calls": []} | turn["answer"]
    said.setdefault("finish", "tool_calls" if said["tool_calls"] else "stop")
    usage = {"prompt_tokens": n_prompt, "cached_tokens": 0, "thought_tokens": 0,
             "completion_tokens": len(said["text"].split())}
    return {"model": "fake", "seed": 0, "usage": usage} | said


def run(script):
    turns = iter(enumerate(script["turns"]))
    for line in sys.stdin:
        request = json.loads(line)
        check_form(request)
        number, turn = next(turns, (None, None))
        if turn is None:
            fail(f"a request more than there are turns: {texts(request['messages'][-1])}")
        check(request, turn, number)
        if "dies" in turn:
            fail(turn["dies"], status=1)
        said = {"error": turn["error"]} if "error" in turn else answer(request, turn)
        print(json.dumps(said), flush=True)
    left = len(list(turns))
    if left:
        fail(f"{left} turns were not asked for")


def render(script):
    for line in sys.stdin:
        print(json.dumps({"ids": [0] * count_tokens(json.loads(line)["messages"])}), flush=True)


def main():
    command, path, *flags = sys.argv[1:]
    try:
        with open(path, encoding="utf-8") as file:
            script = json.load(file)
    except OSError as error:
        print(json.dumps({"error": {"code": "NOT_FOUND", "message": f"{path}: {error.strerror}"}}))
        fail(f"{path}: {error.strerror}", status=1)
    if command == "inspect" and flags == ["--json"]:
        print(json.dumps({"kind": "model", "context": script["context"]}))
    elif command in ("run", "render") and flags[:2] == ["--lines", "--json"]:
        (run if command == "run" else render)(script)
    else:
        fail(f"unknown command line {sys.argv[1:]}")


if __name__ == "__main__":
    main()
