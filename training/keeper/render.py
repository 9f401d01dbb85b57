"""Conversation -> the prompt text of Gemma 4 (small bodies), with weights of its parts in the loss.

A twin of the product's renderer for what the generators produce; tests/keeper_twin_test.py
compares the two. Control tokens stand in the text as one private-use character each, so that text
can never become one.

    conversation = Conversation(tools=[...], think=True)
    conversation.user("How warm is it?")
    conversation.model(calls=[("read_sensor", {"zone": "fern house"})])
    for text, weight in render(conversation): ...
"""

import json
from dataclasses import dataclass, field

# Control tokens by their ids, which are the same in every Gemma 4 vocabulary.
CONTROL_BASE = 0xE000


def control(token_id):
    return chr(CONTROL_BASE + token_id)


EOS, BOS = control(1), control(2)
TOOL, TOOL_END = control(46), control(47)
CALL, CALL_END = control(48), control(49)
RESULT, RESULT_END = control(50), control(51)
QUOTE = control(52)
THINK = control(98)
CHANNEL, CHANNEL_END = control(100), control(101)
TURN, TURN_END = control(105), control(106)

CONTROL_NAMES = {
    EOS: "<eos>", BOS: "<bos>", TOOL: "<|tool>", TOOL_END: "<tool|>", CALL: "<|tool_call>",
    CALL_END: "<tool_call|>", RESULT: "<|tool_response>", RESULT_END: "<tool_response|>",
    QUOTE: '<|"|>', THINK: "<|think|>", CHANNEL: "<|channel>", CHANNEL_END: "<channel|>",
    TURN: "<|turn>", TURN_END: "<turn|>",
}

# Weights in the loss. What the model says counts; user text teaches a little English; the random
# names of declarations and results teach nothing.
SAID, HEARD, GIVEN = 1.0, 0.1, 0.0


@dataclass
class Conversation:
    """Messages in the form of the product's requests; `weight` of a message is ours."""

    system: str = ""
    tools: list = field(default_factory=list)  # {"name", "description", "parameters"}
    think: bool = False
    schema: dict | None = None
    messages: list = field(default_factory=list)

    def user(self, text):
        self.messages.append({"role": "user", "content": text})

    def model(self, text="", thought=None, calls=(), weight=SAID, name_weight=None):
        """`name_weight`: of the names of the calls, where choosing the tool is what is hard."""
        message = {"role": "assistant", "content": text, "weight": weight}
        if name_weight:
            message["name_weight"] = name_weight
        if thought is not None:
            message["reasoning"] = thought
        if calls:
            message["tool_calls"] = [
                {"id": f"c{len(self.messages)}_{k}", "type": "function",
                 "function": {"name": name, "arguments": arguments}}
                for k, (name, arguments) in enumerate(calls)]
        self.messages.append(message)

    def results(self, results):
        """One result (a dict, or text) for each call of the message before, in their order."""
        calls = self.messages[-1]["tool_calls"]
        assert len(calls) == len(results)
        for call, result in zip(calls, results):
            self.messages.append({"role": "tool", "tool_call_id": call["id"],
                                  "name": call["function"]["name"], "content": result})

    def system_text(self):
        """The system text with the product's own words for an answer as JSON."""
        if self.schema is None:
            return self.system
        hint = ("Answer with JSON of this schema and nothing else: " + compact_json(self.schema))
        return self.system.strip() + "\n\n" + hint if self.system else hint

    def request(self, n_messages=None):
        """The request of the product, up to a message: what an evaluation asks."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for message in self.messages[:n_messages]:
            message = {key: value for key, value in message.items() if not key.endswith("weight")}
            if "tool_calls" in message:
                message["content"] = message["content"] or None
            messages.append(message)
        request = {"messages": messages, "think": self.think}
        if self.tools:
            request["tools"] = [{"type": "function", "function": tool} for tool in self.tools]
        if self.schema is not None:
            request["schema"] = self.schema
        return request


def compact_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def format_value(value):
    """A value in the syntax of calls: strings between quote tokens, keys sorted and bare."""
    if isinstance(value, str):
        return QUOTE + value + QUOTE
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        return "{" + format_members(value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(format_value, value)) + "]"
    return repr(value)


def sorted_keys(mapping):
    return sorted(mapping, key=lambda key: key.lower())


def format_members(mapping):
    return ",".join(key + ":" + format_value(mapping[key]) for key in sorted_keys(mapping))


def format_result(name, result):
    if not isinstance(result, dict):
        result = {"value": result}
    members = format_members(result)
    return RESULT + "response:" + name + "{" + members + "}" + RESULT_END


def format_required(names):
    return "required:[" + ",".join(QUOTE + name + QUOTE for name in names) + "],"


def format_items(schema):
    parts = []
    for key in sorted_keys(schema):
        value = schema[key]
        if key == "type":
            parts.append("type:" + QUOTE + value.upper() + QUOTE)
        elif key == "properties":
            parts.append("properties:{" + format_properties(value) + "}")
        elif key == "required":
            parts.append(format_required(value)[:-1])
        else:
            parts.append(key + ":" + format_value(value))
    return "{" + ",".join(parts) + "}"


def format_properties(properties):
    parts = []
    for name in sorted_keys(properties):
        schema = properties[name]
        kind = schema["type"]
        body = ""
        if schema.get("description"):
            body += "description:" + QUOTE + schema["description"] + QUOTE + ","
        if kind == "string" and schema.get("enum"):
            body += "enum:" + format_value(schema["enum"]) + ","
        if kind == "array" and schema.get("items"):
            body += "items:" + format_items(schema["items"]) + ","
        if kind == "object":
            body += "properties:{" + format_properties(schema.get("properties", {})) + "},"
            if schema.get("required"):
                body += format_required(schema["required"])
        parts.append(name + ":{" + body + "type:" + QUOTE + kind.upper() + QUOTE + "}")
    return ",".join(parts)


def format_tool(tool):
    text = TOOL + "declaration:" + tool["name"] + "{description:" + QUOTE
    text += tool.get("description", "") + QUOTE
    parameters = tool.get("parameters")
    if parameters:
        text += ",parameters:{"
        if parameters.get("properties"):
            text += "properties:{" + format_properties(parameters["properties"]) + "},"
        if parameters.get("required"):
            text += format_required(parameters["required"])
        text += "type:" + QUOTE + "OBJECT" + QUOTE + "}"
    return text + "}" + TOOL_END


def render(conversation):
    """Yields (text, weight in the loss)."""
    system = conversation.system_text().strip()
    yield BOS, GIVEN
    if system or conversation.tools or conversation.think:
        yield TURN + "system\n" + (THINK + "\n" if conversation.think else ""), GIVEN
        yield system, HEARD if conversation.schema is None else GIVEN
        yield "".join(map(format_tool, conversation.tools)) + TURN_END + "\n", GIVEN
    messages = conversation.messages
    last_user = max((k for k, message in enumerate(messages) if message["role"] == "user"),
                    default=-1)
    in_model_turn = after_results = False
    for k, message in enumerate(messages):
        role = message["role"]
        if role == "user":
            assert not in_model_turn
            yield TURN + "user\n", GIVEN
            yield message["content"].strip(), HEARD
            yield TURN_END + "\n" + TURN + "model\n", GIVEN
            in_model_turn, after_results = True, False
        elif role == "tool":
            text = format_result(message["name"], message["content"])
            if not after_results:  # the model itself writes the first opener, to stop
                yield text[0], messages[k - 1].get("weight", SAID)
                text = text[1:]
            yield text, GIVEN
            after_results = True
        else:
            weight = message.get("weight", SAID)
            if "reasoning" in message and k > last_user:
                opener = CHANNEL + "thought\n"
                yield opener, GIVEN if after_results else weight  # given after results
                yield message["reasoning"] + "\n" + CHANNEL_END, weight
            yield message["content"].strip(), weight
            for call in message.get("tool_calls", ()):
                yield CALL + "call:", weight
                yield call["function"]["name"], message.get("name_weight", weight)
                yield "{" + format_members(call["function"]["arguments"]) + "}" + CALL_END, weight
            after_results = False
            if "tool_calls" not in message:
                yield TURN_END, weight
                yield "\n", GIVEN
                in_model_turn = False
    if in_model_turn and messages[-1]["role"] == "assistant":  # calls that await results
        yield RESULT, messages[-1].get("weight", SAID)


def to_text(conversation):
    """The rendered text with control tokens spelled out, for people and for the twin test."""
    text = "".join(part for part, _ in render(conversation))
    return "".join(CONTROL_NAMES.get(character, character) for character in text)
