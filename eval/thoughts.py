"""Which calls a thought of the keeper decides on.

The last line of a thought ends in one sentence of fixed form:

    So: no call.
    So: call read_sensor with zone=north bed, quantity=soil.
    So: call set_device with zone=north bed, device=fan, state=on, then notify with person=Ada, ….

Values are as they are, without quotes, those of a list [one, two]; a call without arguments is its
name alone.
"""

import json
import re

START = "So: "


def action_from_thought(thought, tools):
    """[(name, {argument: its text})] in the order of the plan, None without a plan.

    tools: {name: [names of its parameters]} as declared. Only they end a value, so that a message
    may hold commas and the word "then".
    """
    lines = thought.strip().splitlines()
    last = lines[-1].strip() if lines else ""
    start = last.rfind(START)
    if start < 0 or not last.endswith("."):
        return None
    plan = last[start + len(START):-1]
    if plan == "no call":
        return []
    if not plan.startswith("call "):
        return None
    names = one_of(tools)
    parts = re.split(rf", then (?=(?:{names})(?: with |$|, then ))", plan[len("call "):])
    calls = [read_call(part, tools) for part in parts]
    return None if None in calls else calls


def read_call(text, tools):
    name, _, rest = text.partition(" with ")
    if name not in tools:
        return None
    if not rest:
        return (name, {}) if text == name else None
    arguments = one_of(tools[name])
    pairs = [part.partition("=") for part in re.split(rf", (?=(?:{arguments})=)", rest)]
    values = {key: value for key, _, value in pairs}
    is_plan = all(equals and key in tools[name] for key, equals, _ in pairs)
    return (name, values) if is_plan and len(values) == len(pairs) else None


def one_of(words):
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(map(re.escape, longest_first)) or "(?!)"  # the latter matches nothing


def is_same_action(plan, calls):
    """calls: [{"name", "arguments"}], in the order of the plan."""
    return plan is not None and len(plan) == len(calls) and all(
        name == call["name"] and values.keys() == call["arguments"].keys()
        and all(is_text_of(values[key], value) for key, value in call["arguments"].items())
        for (name, values), call in zip(plan, calls))


def is_text_of(text, value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return is_number_text(text) and float(text) == value
    return text == spell(value)


def is_number_text(text):
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) is not None


def spell(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)
