"""One question in the words of each dialect, and its answer in one form.

    for dialect in DIALECTS:
        request = dialect.request("scripted/plain", [("user", "Hi")], max_tokens=20, stream=True)
        answer = dialect.send(server, request)      # .status .text .thought .calls .prompt …
"""

import dataclasses
import json
import re


@dataclasses.dataclass
class Request:
    path: str
    body: dict
    stream: bool


@dataclasses.dataclass
class Answer:
    status: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    data: bytes = b""
    text: str = ""
    thought: str = ""
    calls: list = dataclasses.field(default_factory=list)  # (name, arguments)
    finish: str = ""
    prompt: int = 0  # tokens, the cached ones too
    cached: int = 0
    output: int = 0  # with thoughts
    error: object = None  # in the body or in the stream

    @property
    def message(self):
        """What the error says."""
        return self.error if isinstance(self.error, str) else (self.error or {}).get("message", "")


def sse(data):
    """The JSON of every event; what does not belong into a stream is an AssertionError."""
    events = []
    for block in re.split(rb"\r?\n\r?\n", data):
        lines = [line for line in re.split(rb"\r?\n", block) if line]
        for line in lines:
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                events.append(json.loads(line[6:].decode("utf-8")))
            else:
                assert line == b"data: [DONE]" or line.startswith((b"event: ", b": ")), line
    return events


class Dialect:
    name = ""

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        raise NotImplementedError

    def read_whole(self, body, answer):
        raise NotImplementedError

    def read_stream(self, data, answer):
        raise NotImplementedError

    def read(self, status, headers, data, stream):
        answer = Answer(status, headers, data)
        is_json = "json" in headers.get("content-type", "") and "ndjson" not in headers.get(
            "content-type", "")
        if status >= 400 or (is_json and not stream):
            body = json.loads(data)
            answer.error = body.get("error")
            if status < 400 and answer.error is None:
                self.read_whole(body, answer)
        else:
            self.read_stream(data, answer)
        return answer

    def send(self, server, request, headers=None, timeout=120):
        return self.read(*server.post(request.path, request.body, headers, timeout),
                         request.stream)

    def ask(self, server, model, messages, headers=None, **more):
        if isinstance(messages, str):
            messages = [("user", messages)]
        return self.send(server, self.request(model, messages, **more), headers)

    # Where counts are to be had without an answer: path and body of the request, and the count.
    def count(self, server, model, messages, **more):
        raise NotImplementedError


class Gemini(Dialect):
    name = "gemini"

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        body = {"contents": [{"role": "model" if role == "assistant" else role,
                              "parts": [{"text": text}]} for role, text in messages], **more}
        if system is not None:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if functions:
            body["tools"] = [{"functionDeclarations": [
                {"name": f["name"], "description": f.get("description", ""),
                 **({"parametersJsonSchema": f["parameters"]} if "parameters" in f else {})}
                for f in functions]}]
        if max_tokens is not None:
            body["generationConfig"] = {**body.get("generationConfig", {}),
                                        "maxOutputTokens": max_tokens}
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return Request(f"/v1beta/models/{model}:{method}", body, stream)

    def read_whole(self, body, answer):
        candidate = body["candidates"][0]
        for part in candidate["content"]["parts"]:
            if part.get("thought"):
                answer.thought += part["text"]
            else:
                answer.text += part.get("text", "")
            if "functionCall" in part:
                answer.calls.append((part["functionCall"]["name"], part["functionCall"]["args"]))
        answer.finish = candidate.get("finishReason", answer.finish)
        usage = body.get("usageMetadata")
        if usage:
            answer.prompt = usage["promptTokenCount"]
            answer.cached = usage.get("cachedContentTokenCount", 0)
            answer.output = (usage.get("candidatesTokenCount", 0) +
                             usage.get("thoughtsTokenCount", 0))

    def read_stream(self, data, answer):
        for event in sse(data):
            if "error" in event:
                answer.error = event["error"]
            else:
                self.read_whole(event, answer)

    def count(self, server, model, messages, **more):
        body = self.request(model, messages, **more).body
        return server.json(f"/v1beta/models/{model}:countTokens",
                           {"generateContentRequest": body})["totalTokens"]


def openai_messages(messages, system):
    first = [] if system is None else [{"role": "system", "content": system}]
    return first + [{"role": role, "content": text} for role, text in messages]


class OpenAI(Dialect):
    name = "openai"

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        body = {"model": model, "messages": openai_messages(messages, system), **more}
        if functions:
            body["tools"] = [{"type": "function", "function": f} for f in functions]
        if max_tokens is not None:
            body["max_completion_tokens"] = max_tokens
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Request("/v1/chat/completions", body, stream)

    def _usage(self, usage, answer):
        answer.prompt, answer.output = usage["prompt_tokens"], usage["completion_tokens"]
        answer.cached = usage["prompt_tokens_details"]["cached_tokens"]

    def read_whole(self, body, answer):
        choice = body["choices"][0]
        message = choice["message"]
        answer.text = message["content"] or ""
        answer.thought = message.get("reasoning_content", "")
        for call in message.get("tool_calls", []):
            answer.calls.append((call["function"]["name"],
                                 json.loads(call["function"]["arguments"])))
        answer.finish = choice["finish_reason"]
        self._usage(body["usage"], answer)

    def read_stream(self, data, answer):
        calls = {}
        for event in sse(data):
            if "error" in event:
                answer.error = event["error"]
                continue
            if event.get("usage"):
                self._usage(event["usage"], answer)
            for choice in event["choices"]:
                delta = choice["delta"]
                answer.text += delta.get("content") or ""
                answer.thought += delta.get("reasoning_content") or ""
                for call in delta.get("tool_calls", []):
                    name, arguments = calls.get(call["index"], ("", ""))
                    calls[call["index"]] = (name + call["function"].get("name", ""),
                                            arguments + call["function"].get("arguments", ""))
                answer.finish = choice.get("finish_reason") or answer.finish
        answer.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]

    def count(self, server, model, messages, **more):
        body = self.request(model, messages, **more).body
        return len(server.json("/apply-template", body)["tokens"])


class Responses(Dialect):
    name = "responses"

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        body = {"model": model, "input": openai_messages(messages, None), "store": False, **more}
        if system is not None:
            body["instructions"] = system
        if functions:
            body["tools"] = [{"type": "function", "strict": False, **f} for f in functions]
        if max_tokens is not None:
            body["max_output_tokens"] = max_tokens
        if stream:
            body["stream"] = True
        return Request("/v1/responses", body, stream)

    def read_whole(self, body, answer):
        for item in body["output"]:
            if item["type"] == "message":
                answer.text += "".join(part["text"] for part in item["content"])
            elif item["type"] == "reasoning":
                parts = item.get("content") or item.get("summary") or []
                answer.thought += "".join(part["text"] for part in parts)
            elif item["type"] == "function_call":
                answer.calls.append((item["name"], json.loads(item["arguments"])))
        answer.finish = body["status"]
        usage = body["usage"]
        if usage:
            answer.prompt, answer.output = usage["input_tokens"], usage["output_tokens"]
            answer.cached = usage["input_tokens_details"]["cached_tokens"]

    def read_stream(self, data, answer):
        for event in sse(data):
            if event["type"] == "error":
                answer.error = event["error"]
            elif event["type"] in ("response.completed", "response.incomplete"):
                self.read_whole(event["response"], answer)
            elif event["type"] == "response.failed":
                answer.error = event["response"]["error"]

    def count(self, server, model, messages, **more):
        body = self.request(model, messages, **more).body
        return server.json("/v1/responses/input_tokens", body)["input_tokens"]


class Ollama(Dialect):
    name = "ollama"

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        # It thinks unless it is told not to, and forgets rather than refuses.
        body = {"model": model, "messages": openai_messages(messages, system), "stream": stream,
                "think": False, "truncate": False, **more}
        if functions:
            body["tools"] = [{"type": "function", "function": f} for f in functions]
        if max_tokens is not None:
            body["options"] = {**body.get("options", {}), "num_predict": max_tokens}
        return Request("/api/chat", body, stream)

    def read_whole(self, body, answer):
        message = body["message"]
        answer.text += message["content"]
        answer.thought += message.get("thinking", "")
        answer.calls += [(call["function"]["name"], call["function"]["arguments"])
                         for call in message.get("tool_calls", [])]
        if body["done"]:
            answer.finish = body["done_reason"]
            answer.prompt, answer.output = body["prompt_eval_count"], body["eval_count"]

    def read_stream(self, data, answer):
        for line in data.splitlines():
            event = json.loads(line)
            if "error" in event:
                answer.error = event["error"]
            else:
                self.read_whole(event, answer)


class Anthropic(Dialect):
    name = "anthropic"

    def request(self, model, messages, *, system=None, functions=(), max_tokens=None, stream=False,
                **more):
        body = {"model": model, "messages": openai_messages(messages, None),
                "max_tokens": max_tokens or 4096, **more}
        if system is not None:
            body["system"] = system
        if functions:
            body["tools"] = [{"name": f["name"], "description": f.get("description", ""),
                              "input_schema": f.get("parameters", {"type": "object"})}
                             for f in functions]
        if stream:
            body["stream"] = True
        return Request("/v1/messages", body, stream)

    def _usage(self, usage, answer):
        answer.cached = usage.get("cache_read_input_tokens", answer.cached)
        if "input_tokens" in usage:
            answer.prompt = (usage["input_tokens"] + answer.cached +
                             usage.get("cache_creation_input_tokens", 0))
        answer.output = usage.get("output_tokens", answer.output)

    def read_whole(self, body, answer):
        for block in body["content"]:
            answer.text += block.get("text", "")
            answer.thought += block.get("thinking", "")
            if block["type"] == "tool_use":
                answer.calls.append((block["name"], block["input"]))
        answer.finish = body["stop_reason"]
        self._usage(body["usage"], answer)

    def read_stream(self, data, answer):
        inputs = {}
        for event in sse(data):
            if event["type"] == "error":
                answer.error = event["error"]
            elif event["type"] == "message_start":
                self._usage(event["message"]["usage"], answer)
            elif event["type"] == "content_block_start":
                if event["content_block"]["type"] == "tool_use":
                    inputs[event["index"]] = [event["content_block"]["name"], ""]
            elif event["type"] == "content_block_delta":
                delta = event["delta"]
                answer.text += delta.get("text", "")
                answer.thought += delta.get("thinking", "")
                if "partial_json" in delta:
                    inputs[event["index"]][1] += delta["partial_json"]
            elif event["type"] == "message_delta":
                answer.finish = event["delta"]["stop_reason"]
                self._usage(event["usage"], answer)
        answer.calls = [(name, json.loads(text or "{}")) for name, text in inputs.values()]

    def count(self, server, model, messages, **more):
        body = self.request(model, messages, **more).body
        return server.json("/v1/messages/count_tokens", body)["input_tokens"]


GEMINI, OPENAI, RESPONSES, OLLAMA, ANTHROPIC = (
    Gemini(), OpenAI(), Responses(), Ollama(), Anthropic())
DIALECTS = [GEMINI, OPENAI, RESPONSES, OLLAMA, ANTHROPIC]
