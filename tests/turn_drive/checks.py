"""What is wrong with the answer to a request line, found without the program's own code."""

import functools
import json
import re
from decimal import Decimal

import validator_venv
from turn_drive.json_prefix import is_json_prefix

# Tokens beside a thought's budget: its two markers, and what could have been its label "thought\n"
# letter by letter, with the bytes of one unfinished character.
UNCOUNTED_THOUGHT_TOKENS = 2 + 12
CUT = ("length", "loop")
CONTROL_PIECE = re.compile(r"<\|[a-z_]+\|?>|<[a-z_]+\|>|<\|\\?\"\|>|<(?:pad|eos|bos|unk|mask)>")
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_json(text):
    """Strictly, and every number as it is written."""
    def refuse(word):
        raise ValueError(f"{word} is not JSON")
    value = json.loads(text, parse_float=Decimal, parse_constant=refuse)
    json.dumps(value, default=str, ensure_ascii=False).encode()  # no half of a surrogate pair
    return value


def find_faults(request, answer):
    if "error" in answer:
        return [f"refused: {answer['error'].get('message')}"]
    checks = [usage_faults, finish_faults, thought_faults, content_faults, call_faults,
              spelling_faults]
    return [fault for check in checks for fault in check(request, answer)]


def usage_faults(request, answer):
    usage = answer["usage"]
    if not 0 <= usage["cached_tokens"] < usage["prompt_tokens"]:
        yield "cached_tokens are not part of prompt_tokens"
    if not 0 <= usage["thought_tokens"] <= usage["completion_tokens"]:
        yield "thought_tokens are not part of completion_tokens"
    if usage["completion_tokens"] > request["max_tokens"]:
        yield "completion_tokens are above max_tokens"
    says_something = answer["text"] or answer["tool_calls"]
    if says_something and usage["completion_tokens"] == usage["thought_tokens"]:
        yield "text or calls without tokens"
    if answer["seed"] != request["seed"]:
        yield "another seed"


def finish_faults(request, answer):
    finish = answer["finish"]
    is_full = answer["usage"]["completion_tokens"] == request["max_tokens"]
    if finish in ("stop", "tool_calls") and is_full:
        yield f"finish {finish}, but there was no room for a stop token"
    if finish == "length" and not is_full:
        yield "finish length before max_tokens"
    expected = "tool_calls" if answer["tool_calls"] else "stop"
    if finish not in (expected, *CUT):
        yield f"finish {finish} of {len(answer['tool_calls'])} calls"


def most_thought_tokens(request):
    """None: no limit that could be told from outside."""
    think, room = request.get("think", False), request["max_tokens"]
    if form_of(request)["type"] == "text" and not must_call(request):
        return None  # several thoughts, unasked ones too
    if not think or room < 128:
        return 0
    reserve = min(1024, max(64, room // 4))
    wanted = room if think is True else think
    return min(wanted, room - reserve) + UNCOUNTED_THOUGHT_TOKENS


def thought_faults(request, answer):
    most = most_thought_tokens(request)
    n_tokens = answer["usage"]["thought_tokens"]
    if most is not None and n_tokens > most:
        yield f"{n_tokens} tokens of thought, expected at most {most}"
    if answer["thinking"] and n_tokens == 0:
        yield "a thought without tokens"
    if len(answer["thinking"]) >= 12 and answer["thinking"] in answer["text"]:
        yield "the thought is in the text"


def content_faults(request, answer):
    text, finish = answer["text"], answer["finish"]
    wanted = form_of(request)
    if must_call(request) or answer["tool_calls"] and wanted["type"] != "text":
        if text:
            yield "text beside calls"
    elif wanted["type"] == "regex":
        if finish not in CUT and not re.search(wanted["regex"], text):
            yield f"{text!r} is not what the expression says"
    elif wanted["type"] != "text":
        yield from json_faults(wanted["schema"], text, finish)


def form_of(request):
    """The response format, with its schema if it is JSON."""
    if "schema" in request:
        return {"type": "json_schema", "schema": request["schema"]}
    wanted = request.get("response_format", {"type": "text"})
    return wanted | {"schema": {"type": "object"}} if wanted["type"] == "json_object" else wanted


def json_faults(schema, text, finish):
    if finish in CUT:
        if not is_json_prefix(text):
            yield "no JSON text begins like this"
        return
    try:
        value = read_json(text)
    except ValueError as error:
        yield f"not JSON: {error}"
        return
    yield from schema_faults(schema, value)


def schema_faults(schema, value):
    if not validator_venv.is_entered():
        return
    for error in validator_of(json.dumps(schema)).iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]}"


@functools.lru_cache(maxsize=64)
def validator_of(schema_text):
    return validator_venv.make_validator(read_json(schema_text))


def spelling_faults(_, answer):
    """That pieces of text add up to the spelling of a control piece is too unlikely."""
    calls = json.dumps(answer["tool_calls"], default=str, ensure_ascii=False)
    for text in (answer["text"], answer["thinking"], calls):
        for piece in CONTROL_PIECE.findall(text):
            yield f"{piece} is spelled in the answer"


def declared_tools(request):
    functions = [tool.get("function", tool) for tool in request.get("tools", [])]
    return {function["name"]: function.get("parameters") for function in functions}


def must_call(request):
    choice = request.get("tool_choice", "auto")
    return isinstance(choice, dict) or choice == "required"


def callable_tools(request):
    tools, choice = declared_tools(request), request.get("tool_choice", "auto")
    if choice == "none":
        return {}
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        return {name: tools[name]}
    return tools


def call_faults(request, answer):
    tools, calls = callable_tools(request), answer["tool_calls"]
    n_cut = 1 if answer["finish"] in CUT else 0  # the call that was under way
    if len(answer.get("malformed", ())) > n_cut:
        yield "a malformed call"
    if must_call(request) and not calls and answer["finish"] not in CUT:
        yield "no call, but one was required"
    if len(calls) > 1 and request.get("parallel_tool_calls") is False:
        yield "more than one call"
    for call in calls:
        if call["name"] not in tools:
            yield f"no tool is called {call['name']}"
            continue
        yield from argument_faults(tools[call["name"]], call["arguments"])
        declared = json.dumps(tools[call["name"]])
        if call.get("repaired") and all_keys_are_raw(call["arguments"], declared):
            yield f"the call of {call['name']} was repaired"


def argument_faults(parameters, arguments):
    if not isinstance(arguments, dict):
        yield "arguments that are no object"
    elif parameters is None:
        if arguments:
            yield "arguments of a tool without parameters"
    else:
        yield from schema_faults(parameters, arguments)


def all_keys_are_raw(value, declared):
    """Keys that look odd or are not declared may stand between delimiters."""
    if isinstance(value, list):
        return all(all_keys_are_raw(item, declared) for item in value)
    if isinstance(value, dict):
        return all(PLAIN_KEY.fullmatch(key) and f'"{key}": ' in declared
                   and all_keys_are_raw(item, declared) for key, item in value.items())
    return True
