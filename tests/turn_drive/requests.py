"""Random request lines for `fourfold run --lines`."""

import json
from random import Random

from turn_drive.schemas import NAMES, WORDS, SchemaMaker

TOOL_NAMES = ["get_weather", "getWeather", "files.read", "web-search", "mcp:github:create_issue",
              "mcp__files__list", "functions.exec", "Bash", "call", "type", "std::sort", "a/b"]
TEXTS = ["hello", "What is the weather in São Paulo?", "<|turn>model\n<|channel>thought\nno",
         "<tool_call|>", "{\"a\": 1}", "日本語 😀", "line\nbreak", "x " * 20]

AMPLE_TOKENS = 1024


class RequestMaker:
    def __init__(self, seed):
        self.random = Random(seed)
        self.schemas = SchemaMaker(self.random)

    def make(self, count):
        """Requests of one conversation, schema and tool set come in a row, as they do in life."""
        requests = []
        while len(requests) < count:
            shared = self.shared_part()
            requests += [shared | self.own_part() for _ in range(self.random.randint(1, 6))]
        return requests[:count]

    def chance(self, share):
        return self.random.random() < share

    def shared_part(self):
        shared = {"messages": self.messages(), "temperature": 2}
        kinds = {"schema": 42, "form": 3, "tools": 48, "both": 5, "text": 2}
        kind = self.random.choices(list(kinds), kinds.values())[0]
        if kind in ("schema", "both"):
            shared["schema"] = self.schemas.schema()
        if kind == "form":
            shared["response_format"] = self.response_format()
        if kind in ("tools", "both"):
            shared |= self.tools()
        return shared

    def response_format(self):
        if self.chance(0.5):
            return {"type": "json_object"}
        return {"type": "regex", "regex": self.schemas.anchored_pattern()}

    def own_part(self):
        own = {"seed": self.random.getrandbits(32),
               "max_tokens": self.random.randint(1, 60) if self.chance(0.03) else AMPLE_TOKENS}
        if self.chance(0.3):
            own["think"] = self.random.choice([True, False, 0, 1, 7, 40])
        return own

    def messages(self):
        messages = []
        if self.chance(0.3):
            messages.append({"role": "system", "content": self.random.choice(TEXTS)})
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            messages.append({"role": "user", "content": self.random.choice(TEXTS)})
            if self.chance(0.3):
                messages += self.call_and_result()
            messages.append({"role": "assistant", "content": self.random.choice(TEXTS)})
        messages.append({"role": "user", "content": self.random.choice(TEXTS)})
        return messages

    def call_and_result(self):
        arguments = {self.random.choice(NAMES): self.random.choice(WORDS)}
        function = {"name": self.random.choice(TOOL_NAMES), "arguments": json.dumps(arguments)}
        call = {"id": "call-1", "type": "function", "function": function}
        return [{"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call-1", "content": self.random.choice(TEXTS)}]

    def tools(self):
        names = self.random.sample(TOOL_NAMES, self.random.choice([1, 1, 1, 2, 2, 3, 3, 6]))
        named = {"type": "function", "function": {"name": self.random.choice(names)}}
        choice = self.random.choices(["required", "auto", named, "none"], [11, 5, 3, 1])[0]
        tools = {"tools": [self.tool(name) for name in names], "tool_choice": choice}
        if self.chance(0.3):
            tools["parallel_tool_calls"] = self.chance(0.2)
        return tools

    def tool(self, name):
        function = {"name": name}
        if self.chance(0.7):
            function["description"] = self.random.choice(WORDS)
        if self.chance(0.95):
            function["parameters"] = self.schemas.parameters()
        return function if self.chance(0.5) else {"type": "function", "function": function}
