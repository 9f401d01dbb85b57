"""The evaluation's cases, with held-out fillers and fixed seeds.

    python3 -m keeper.cases ../eval/cases      writes a compressed file of JSON lines for each skill
"""

import importlib
import json
import lzma
import random
import sys
from pathlib import Path

from keeper import answers, data, own, stories, thoughts, unseen
from keeper.render import Conversation
from keeper.tokenizer import Tokenizer
from keeper.unseen import finish
from keeper.words import Fillers

MAX_TOKENS = 400  # three readings compared in a thought take 250
STORY_TOKENS = 50_000


def calls_of(message):
    return [call["function"] for call in message.get("tool_calls", ())]


def as_case(skill, conversation, k, slice_, **more):
    """A case that asks for message k of a conversation."""
    request = {**conversation.request(k), "max_tokens": MAX_TOKENS}
    expect = {"calls": calls_of(conversation.messages[k])}
    return {"skill": skill, "slice": slice_, "request": request, "expect": expect, **more}


def calling_messages(conversation, tool=None):
    """The places of the messages that call the tool, or any tool."""
    return [k for k, message in enumerate(conversation.messages)
            if any(tool in (None, call["name"]) for call in calls_of(message))]


def own_conversation(fill, think=False):
    return Conversation(system=fill.pick(own.SYSTEMS).format(p=fill.person()),
                        tools=list(own.TOOLS), think=think)


def unseen_conversation(tools, system=""):
    return Conversation(system=system, tools=[tool.declaration for tool in tools])


def add_steps(fill, conversation, text, steps):
    conversation.user(finish(fill, text))
    conversation.model(calls=[call for call, _, _ in steps])


def own_case(fill, number):
    ask = own.ONE_CALL[number % 4]
    conversation = own_conversation(fill)
    add_steps(fill, conversation, *ask(fill))
    return as_case("own", conversation, 1, {"tool": ask.__name__[4:]})


def shares_word(tool, tools):
    def words(t):
        return {*t.thing.split(), *(() if t.query else t.verb[:1])}
    return any(words(tool) & words(other) for other in tools if other is not tool)


def unseen_case(fill, number):
    """200 each with one to four tools; 200 with two arguments, one of them an enum."""
    enum = number % 5 == 4
    n = number % 5 + 1 if not enum else fill.random.randint(1, 4)
    while True:
        tools = unseen.tool_set(fill, n, 2 if enum else None)
        conversation = unseen_conversation(tools, unseen.system_text(fill))
        tool, text, arguments = unseen.ask(fill, tools)
        if not enum or len(arguments) == 2 and any("enum" in p.schema for p in tool.parameters):
            break
    conversation.user(finish(fill, text))
    conversation.model(calls=[(tool.name, arguments)])
    return as_case("unseen", conversation, 1, {
        "n_tools": n, "n_args": len(arguments), "enum": enum,
        "shared_word": shares_word(tool, tools)})


def parallel_case(fill, number):
    if number % 2:
        conversation = own_conversation(fill)
        add_steps(fill, conversation, *own.ask_two(fill))
        return as_case("parallel", conversation, 1, {"tools": "own"})
    while True:
        tools = unseen.tool_set(fill)
        one, text, arguments = unseen.ask(fill, tools)
        two, more, others = unseen.ask(fill, tools)
        if (one.name, arguments) != (two.name, others):
            break
    conversation = unseen_conversation(tools)
    joiner = fill.pick((" and ", ". Also ", ", then "))
    conversation.user(finish(fill, text.rstrip("?") + joiner + more))
    conversation.model(calls=[(one.name, arguments), (two.name, others)])
    return as_case("parallel", conversation, 1, {"tools": "unseen"})


def multi_case(fill, number):
    kind = ("condition", "follow_up", "undo", "question_back", "unseen")[number % 5]
    if kind == "unseen":
        tools = unseen.tool_set(fill)
        conversation = unseen_conversation(tools)
        for _ in range(3):
            unseen.add_exchange(fill, conversation, tools)
        tool, text, arguments = unseen.ask(fill, tools)
        conversation.user(finish(fill, text))
        conversation.model(calls=[(tool.name, arguments)])
    else:
        conversation = own_conversation(fill)
        own.add_exchange(fill, conversation)
        ask = {"condition": own.ask_conditional, "follow_up": own.ask_follow_up,
               "undo": own.ask_undo, "question_back": own.ask_back}[kind]
        ask(fill, conversation)
    if kind == "condition":  # after the call that reads and its result
        asked = calling_messages(conversation, "read_sensor")[-1] + 2
    else:
        asked = calling_messages(conversation)[-1]
    return as_case("multi", conversation, asked, {"kind": kind})


def schema_case(fill, number):
    form = answers.greenhouse if number % 3 == 0 else answers.facts
    conversation = form(fill, 1)
    answer = json.loads(conversation.messages[1]["content"])
    nested = any(isinstance(value, dict) for value in answer.values())
    return {"skill": "schema",
            "slice": {"form": form.__name__, "n_keys": len(answer), "nested": nested},
            "request": {**conversation.request(1), "max_tokens": MAX_TOKENS},
            "expect": {"json": answer}}


def thought_case(fill, number):
    kind = (thoughts.told_reading, thoughts.read_first, thoughts.pick_zone, thoughts.order_steps,
            thoughts.plain)[number % 5]
    conversation = own_conversation(fill, think=True)
    flip = kind(fill, conversation)
    k = 3 if kind is thoughts.read_first else 1  # after the reading
    more = {"thought": {"calls": calls_of(conversation.messages[k])}}
    if flip:
        thought, calls = flip
        more["flip"] = {"thought": thought,
                        "calls": [{"name": name, "arguments": its} for name, its in calls]}
    return as_case("thought", conversation, k, {"kind": kind.__name__}, **more)


def from_module(name, case="case"):
    def make(fill, number):
        made = getattr(importlib.import_module("keeper." + name), case)(fill)
        made["request"]["max_tokens"] = MAX_TOKENS
        return made
    return make


FILES = {"own": (own_case, 1000), "unseen": (unseen_case, 1000), "parallel": (parallel_case, 300),
         "multi": (multi_case, 300), "schema": (schema_case, 500), "thought": (thought_case, 500),
         "memory": (from_module("memory"), 500),
         "system": (from_module("manners", "system_case"), 300),
         "refusal": (from_module("manners", "refusal_case"), 300)}


def main(folder, seed="eval"):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(data.TOKENIZER)
    for skill, (make, n) in FILES.items():
        fill = Fillers(random.Random(f"{seed}/{skill}"), True, tokenizer.ordinary)
        with lzma.open(folder / f"{skill}.jsonl.xz", "wt", preset=9, encoding="utf-8") as out:
            for number in range(n):
                case = {"id": f"{skill}/{number:04d}", **make(fill, number)}
                out.write(json.dumps(case, ensure_ascii=False) + "\n")
    fill = Fillers(random.Random(f"{seed}/story"), True, tokenizer.ordinary)
    (folder / "story.txt").write_text(stories.heldout_text(fill, STORY_TOKENS))


if __name__ == "__main__":
    main(*sys.argv[1:])
