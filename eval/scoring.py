"""Case files, and whether the answer to a case is right.

A case is one JSON object a line (README.md). An answer is what `fourfold run --lines --json`
prints for its request.
"""

import json
import lzma
import re
from dataclasses import dataclass, field

import json_schema
import thoughts

SKILLS = ("own", "unseen", "parallel", "multi", "schema", "thought", "memory", "system", "refusal")
CASE_KEYS = {"id", "skill", "slice", "request", "expect", "thought", "flip"}
EXPECTATIONS = ({"calls"}, {"json"}, {"contains", "contains_any", "lacks", "no_calls"})


@dataclass
class Verdict:
    """A measure is a share of cases: "right" of all, "valid" of schema answers, "consistent" and
    "thought_right" of thoughts, "chosen" of unseen tools: the right one, whatever its arguments."""
    measures: dict
    faults: list = field(default_factory=list)  # what is wrong with the answer


def case_files(folder):
    return sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.xz")])


def read_cases(path):
    """ValueError naming file and line."""
    cases = []
    open_text = lzma.open if path.suffix == ".xz" else open
    with open_text(path, "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            case = json.loads(line)
            check_case(case)
        except (ValueError, KeyError, TypeError) as error:
            missing = "is missing" if isinstance(error, KeyError) else ""
            raise ValueError(f"{path}:{number}: {error} {missing}".rstrip()) from error
        cases.append(case)
    return cases


def check_case(case):
    unknown = case.keys() - CASE_KEYS
    if unknown:
        raise ValueError(f"{unknown.pop()!r} (expected {', '.join(sorted(CASE_KEYS))})")
    if case["skill"] not in SKILLS:
        raise ValueError(f"skill {case['skill']!r} (expected one of {', '.join(SKILLS)})")
    expected = case["expect"].keys()
    if not expected or not any(expected <= known for known in EXPECTATIONS):
        raise ValueError(f"expect: {sorted(expected)} (expected calls, or json, or some of "
                         "contains, contains_any, lacks and no_calls)")
    if ("json" in expected) != ("schema" in case["request"]):
        raise ValueError("expect.json and request.schema go together")
    if case["skill"] == "thought" and not case["thought"].keys() & {"calls", "contains"}:
        raise ValueError("thought: expected calls or contains")
    if not {"thought", "calls"} <= set(case.get("flip", ["thought", "calls"])):
        raise ValueError("flip: expected thought and calls")
    if case["skill"] == "unseen" and not case["request"].get("tools"):
        raise ValueError("request.tools: expected at least one")
    json_schema.check_schema(case["request"].get("schema", True))
    case["id"], case["request"]["messages"]  # KeyError


def judge(case, answer):
    if "error" in answer:
        return Verdict({measure: False for measure in measures_of(case)},
                       [f"error: {answer['error']['message']}"])
    faults = [*end_faults(answer), *expectation_faults(case, answer)]
    verdict = Verdict({"right": not faults}, faults)
    if "schema" in case["request"]:
        verdict.measures["valid"] = is_valid_answer(case, answer)
    if case["skill"] == "thought":
        add_thought_measures(case, answer, verdict)
    if case["skill"] == "unseen":
        verdict.measures["chosen"] = names(answer["tool_calls"]) == names(case["expect"]["calls"])
    return verdict


def names(calls):
    return sorted(call["name"] for call in calls)


def measures_of(case):
    yield "right"
    if "schema" in case["request"]:
        yield "valid"
    if case["skill"] == "thought":
        yield from ("consistent", "thought_right")
    if case["skill"] == "unseen":
        yield "chosen"


def end_faults(answer):
    if answer["finish"] not in ("stop", "tool_calls"):
        yield f"did not end: {answer['finish']}"
    for raw in answer.get("malformed", []):
        yield f"not a call: {raw}"


def expectation_faults(case, answer):
    expect, calls, text = case["expect"], answer["tool_calls"], answer["text"]
    if "calls" in expect:
        if not same_calls(expect["calls"], calls):
            yield f"calls {spell(calls)}, expected {spell(expect['calls'])}"
        return
    if calls and ("json" in expect or expect.get("no_calls")):
        yield f"calls {spell(calls)}, expected none"
    if "json" in expect:
        value = read_json(text)
        if value is None or not json_schema.is_equal(value[0], expect["json"]):
            yield f"says {text}, expected {spell(expect['json'])}"
    for words in expect.get("contains", []):
        if not mentions(text, words):
            yield f"does not say {words!r}"
    alternatives = expect.get("contains_any")
    if alternatives and not any(mentions(text, words) for words in alternatives):
        yield f"says none of {spell(alternatives)}"
    for words in expect.get("lacks", []):
        if mentions(text, words):
            yield f"says {words!r}"


def same_calls(expected, calls):
    """The same names and arguments, in any order."""
    left = list(calls)
    for call in expected:
        found = next((one for one in left if one["name"] == call["name"] and
                      json_schema.is_equal(one["arguments"], call["arguments"])), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def read_json(text):
    """(value,), None if the text is not one JSON value."""
    def unique(pairs):
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    try:
        return (json.loads(text, object_pairs_hook=unique, parse_constant=refuse),)
    except ValueError:
        return None


def is_valid_answer(case, answer):
    value = read_json(answer["text"])
    return value is not None and json_schema.is_valid(case["request"]["schema"], value[0])


def mentions(text, words):
    """Anywhere and in any case; but a number is not found inside a longer one."""
    text, words = text.casefold(), words.casefold()
    before = r"(?<!\d)(?<!\d[.,:])" if words[:1].isdigit() else ""
    behind = r"(?![.,:]?\d)" if words[-1:].isdigit() else ""
    return re.search(before + re.escape(words) + behind, text) is not None


def add_thought_measures(case, answer, verdict):
    thought, wanted = answer["thinking"], case["thought"]
    plan = thoughts.action_from_thought(thought, parameters_of(case["request"]))
    is_right = all(mentions(thought, words) for words in wanted.get("contains", []))
    if "calls" in wanted:
        is_right = is_right and thoughts.is_same_action(plan, wanted["calls"])
    verdict.measures["thought_right"] = is_right
    verdict.measures["consistent"] = thoughts.is_same_action(plan, answer["tool_calls"])
    if plan is None:
        verdict.faults.append("the thought ends without a plan")
    elif not verdict.measures["consistent"]:
        verdict.faults.append("the action is not what the thought decided")


def parameters_of(request):
    """{name of a tool: [names of its parameters]}"""
    functions = [tool.get("function", tool) for tool in request.get("tools", [])]
    return {function["name"]: list(function.get("parameters", {}).get("properties", {}))
            for function in functions}


def spell(value):
    return json.dumps(value, ensure_ascii=False)
