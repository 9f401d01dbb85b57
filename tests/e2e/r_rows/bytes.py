#!/usr/bin/env python3
"""What is on the wire, byte by byte: framing, errors, headers (http-apis.md 1.4, 1.5, 6.4, 8.2)."""

import json
import pathlib
import random
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dialects  # noqa: E402
import row  # noqa: E402
from dialects import ANTHROPIC, DIALECTS, GEMINI, OLLAMA, OPENAI, RESPONSES  # noqa: E402

WEATHER = {"name": "get_weather", "description": "Weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}


class FramingTest(row.RowTest):
    def stream(self, dialect, model="scripted/unicode", **more):
        request = dialect.request(model, [("user", "Hi")], stream=True, **more)
        status, headers, data = self.server.post(request.path, request.body)
        self.assertEqual(status, 200, data[:300])
        return headers, data

    def test_headers_of_streams(self):
        types = {"gemini": "text/event-stream", "openai": "text/event-stream",
                 "responses": "text/event-stream", "anthropic": "text/event-stream",
                 "ollama": "application/x-ndjson"}
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                headers, _ = self.stream(dialect)
                self.assertEqual(headers["content-type"].split(";")[0], types[dialect.name])
                self.assertEqual(headers["cache-control"], "no-cache")
                self.assertEqual(headers["x-accel-buffering"], "no")
                self.assertEqual(headers["transfer-encoding"], "chunked")
                self.assertNotIn("content-encoding", headers)
                self.assertIn("x-request-id", headers)

    def test_gemini(self):
        for script, more in (("plain", {"generationConfig": {"thinkingConfig": {
                                 "includeThoughts": True, "thinkingBudget": 200}}}),
                             ("unicode", {}), ("blank", {}),
                             ("text-and-call", {"functions": [WEATHER]})):
            with self.subTest(script=script):
                _, data = self.stream(GEMINI, f"scripted/{script}", **more)
                self.assertRegex(data, rb"\A(data: \{[^\r\n]*\}\r\n\r\n)+\Z")
                chunks = dialects.sse(data)
                for chunk in chunks:  # 2.8
                    candidate = chunk["candidates"][0]
                    self.assertEqual(candidate["content"]["role"], "model")
                    parts = candidate["content"]["parts"]
                    self.assertTrue(parts and all(parts), chunk)
                    self.assertEqual(len({tuple(sorted(set(part) - {"thoughtSignature"}))
                                          for part in parts}), 1, chunk)
                    if any(part.get("text") == "" for part in parts):
                        self.assertEqual(len(parts), 1, chunk)
                self.assertIn("finishReason", chunks[-1]["candidates"][0])
                self.assertIn("usageMetadata", chunks[-1])
                self.assertEqual(sum("finishReason" in c["candidates"][0] for c in chunks), 1)

    def test_gemini_array(self):
        status, headers, data = self.server.post(
            "/v1beta/models/scripted/plain:streamGenerateContent",
            {"contents": [{"parts": [{"text": "Hi"}]}]})
        self.assertEqual(status, 200)
        self.assertTrue(headers["content-type"].lower().startswith("application/json"))
        self.assertRegex(data, rb"\A\[\{")
        self.assertRegex(data, rb"\}\]\n?\Z")
        self.assertGreater(len(json.loads(data)), 1)
        self.assertEqual(data.count(b",\n{"), len(json.loads(data)) - 1)

    def test_openai_chat(self):
        _, data = self.stream(OPENAI, "scripted/parallel-calls", functions=[WEATHER])
        self.assertRegex(data, rb"\A(data: \{[^\r\n]*\}\n\n)+data: \[DONE\]\n\n\Z")
        chunks = dialects.sse(data)
        for key in ("id", "created", "model"):
            self.assertEqual(len({chunk[key] for chunk in chunks}), 1)
        self.assertEqual(chunks[0]["choices"][0]["delta"]["role"], "assistant")
        ends = [c for chunk in chunks for c in chunk["choices"] if c.get("finish_reason")]
        self.assertEqual([end["finish_reason"] for end in ends], ["tool_calls"])
        self.assertEqual(ends[0]["delta"], {})
        self.assertEqual(chunks[-1]["choices"], [])
        seen = set()
        for chunk in chunks:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", [None])[:9]:
                    if call is None:
                        continue
                    first = call["index"] not in seen
                    seen.add(call["index"])
                    self.assertEqual("id" in call, first, call)
                    self.assertEqual("name" in call["function"], first, call)
                    if first:
                        self.assertEqual(call["type"], "function")
                    self.assertIsInstance(call["function"].get("arguments", ""), str)

    def test_responses_and_anthropic_name_their_events(self):
        for dialect in (RESPONSES, ANTHROPIC):
            with self.subTest(dialect=dialect.name):
                _, data = self.stream(dialect)
                self.assertRegex(data, rb"\A(event: [a-z._]+\ndata: \{[^\r\n]*\}\n\n)+\Z")
                for event, text in re.findall(rb"event: ([a-z._]+)\ndata: ([^\n]+)\n\n", data):
                    self.assertEqual(json.loads(text)["type"], event.decode())
        _, data = self.stream(ANTHROPIC)
        events = [e for e in dialects.sse(data) if e["type"] != "ping"]
        self.assertEqual(events[0]["type"], "message_start")
        self.assertEqual(events[0]["message"]["content"], [])
        self.assertEqual([e["type"] for e in events[-2:]], ["message_delta", "message_stop"])

    def test_ollama(self):
        _, data = self.stream(OLLAMA)
        self.assertRegex(data, rb"\A(\{[^\n]*\}\n)+\Z")
        lines = [json.loads(line) for line in data.splitlines()]
        self.assertEqual([line["done"] for line in lines], [False] * (len(lines) - 1) + [True])
        for line in lines:
            self.assertIsInstance(line["message"]["content"], str)
            self.assertRegex(line["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        for key in ("total_duration", "load_duration", "prompt_eval_count",
                    "prompt_eval_duration", "eval_count", "eval_duration"):
            self.assertIsInstance(lines[-1][key], int)

    def test_every_event_is_whole_utf8(self):
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                _, data = self.stream(dialect)
                for line in data.split(b"\n"):
                    line.decode("utf-8")
                answer = dialects.Answer()
                dialect.read_stream(data, answer)
                self.assertEqual(answer.text, "Grüße: 日本語, 😀, e\u0301, ½ — fin")
                self.assertNotIn("\ufffd", data.decode())

    def test_usage_of_stream_and_whole_are_equal(self):
        for script, functions in (("plain", ()), ("parallel-calls", [WEATHER])):
            counts = {}
            for dialect, stream in self.each(script=script):
                answer = dialect.ask(self.server, f"scripted/{script}", "Hi", stream=stream,
                                     functions=functions)
                self.assertAnswered(answer)
                counts[dialect.name, stream] = (answer.prompt, answer.output)
            for dialect in DIALECTS:
                self.assertEqual(counts[dialect.name, False], counts[dialect.name, True], counts)
            self.assertEqual(len(set(counts.values())), 1, f"of all dialects: {counts}")

    def test_an_error_in_mid_stream(self):
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                request = dialect.request("scripted/fails", [("user", "Hi")], stream=True)
                _, _, data = self.server.post(request.path, request.body)
                answer = dialects.Answer()
                dialect.read_stream(data, answer)
                self.assertTrue(answer.error, data[-300:])
                if dialect is OLLAMA:
                    self.assertIsInstance(answer.error, str)
                    self.assertTrue(data.endswith(b"\n"))
                if dialect is GEMINI:
                    self.assertIn(answer.error["code"], range(400, 600))
                if dialect is ANTHROPIC:
                    self.assertIn(b"event: error\n", data)
                if dialect is RESPONSES:  # both the flat fields and the nested object
                    for event in dialects.sse(data):
                        if event["type"] == "error":
                            self.assertTrue(event["message"] and event["error"]["message"])


def assert_envelope(test, dialect, status, data):
    body = json.loads(data)
    if dialect == "gemini":
        test.assertEqual(body["error"]["code"], status)
        test.assertRegex(body["error"]["status"], "^[A-Z_]+$")
        test.assertIsInstance(body["error"]["message"], str)
    elif dialect in ("openai", "responses"):
        test.assertLessEqual({"message", "type", "param", "code"}, set(body["error"]))
    elif dialect == "ollama":
        test.assertIsInstance(body["error"], str)
    elif dialect == "anthropic":
        test.assertEqual(body["type"], "error")
        test.assertRegex(body["error"]["type"], "^[a-z_]+$")
        test.assertTrue(body["request_id"])


class ErrorTest(row.RowTest):
    def test_envelopes(self):
        for dialect in DIALECTS:
            request = dialect.request("nobody", [("user", "Hi")])
            for name, body, status in (
                    ("unknown model", request.body, 404), ("no JSON", "{\"a\": ", 400),
                    ("an array", [], 400), ("bad UTF-8", b'{"a": "\xff"}', 400),
                    ("a lone surrogate", '{"a": "\\ud800"}', 400),
                    ("too deep", "[" * 200 + "]" * 200, 400)):
                with self.subTest(dialect=dialect.name, what=name):
                    got, headers, data = self.server.post(request.path, body)
                    self.assertEqual(got, status, data[:300])
                    self.assertTrue(headers["content-type"].startswith("application/json"))
                    assert_envelope(self, dialect.name, status, data)

    def test_routes_that_are_not_there(self):
        for path, dialect in (("/v1beta/nothing", "gemini"), ("/v1alpha/nothing", "gemini"),
                              ("/upload/nothing", "gemini"), ("/v1/nothing", "openai"),
                              ("/api/nothing", "ollama"), ("/v1/messages/nothing", "anthropic")):
            with self.subTest(path=path):
                status, _, data = self.server.get(path)
                self.assertEqual(status, 404)
                assert_envelope(self, dialect, 404, data)

    def test_a_get_where_only_post_is(self):
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                path = dialect.request("scripted/plain", []).path
                status, headers, data = self.server.get(path)
                self.assertEqual(status, 405, data[:200])
                self.assertIn("POST", headers["allow"])
                assert_envelope(self, dialect.name, 405, data)

    def test_what_is_not_offered(self):
        for path, dialect in (("/v1/images/generations", "openai"), ("/v1/audio/speech", "openai"),
                              ("/api/push", "ollama"),
                              ("/v1beta/models/scripted/plain:predict", "gemini")):
            with self.subTest(path=path):
                status, headers, data = self.server.post(path, {})
                self.assertEqual(status, 501, data[:200])
                self.assertEqual(headers.get("x-should-retry"), "false")
                assert_envelope(self, dialect, 501, data)

    def test_a_bom_and_duplicate_keys_are_no_error(self):
        body = b'\xef\xbb\xbf{"model": "nobody", "model": "scripted/plain", "max_tokens": 4, ' \
               b'"messages": [{"role": "user", "content": "Hi"}]}'
        self.assertEqual(self.server.post("/v1/chat/completions", body)[0], 200)

    def test_a_truncated_body_is_always_a_4xx_with_json(self):
        dice = random.Random(6)
        for dialect in DIALECTS:
            request = dialect.request("scripted/plain", [("user", "Hi ☂")], functions=[WEATHER])
            text = json.dumps(request.body, ensure_ascii=False).encode()
            for at in dice.sample(range(1, len(text)), 20):
                with self.subTest(dialect=dialect.name, at=at):
                    status, _, data = self.server.post(request.path, text[:at])
                    self.assertIn(status, range(400, 500))
                    assert_envelope(self, dialect.name, status, data)

    def test_null_is_absent(self):
        nulls = {
            "gemini": ["systemInstruction", "tools", "toolConfig", "generationConfig",
                       "safetySettings", "cachedContent", "labels"],
            "openai": ["temperature", "top_p", "stop", "tools", "tool_choice", "response_format",
                       "max_tokens", "n", "seed", "logprobs", "top_logprobs", "stream",
                       "stream_options", "logit_bias", "reasoning_effort", "user",
                       "parallel_tool_calls", "presence_penalty", "frequency_penalty"],
            "responses": ["instructions", "tools", "tool_choice", "text", "reasoning", "metadata",
                          "previous_response_id", "temperature", "top_p", "stream", "include",
                          "truncation", "max_output_tokens"],
            "ollama": ["format", "tools", "options", "keep_alive", "logprobs", "top_logprobs"],
            "anthropic": ["system", "tools", "tool_choice", "thinking", "stop_sequences",
                          "temperature", "top_p", "top_k", "metadata", "stream"]}
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                bare = dialect.ask(self.server, "scripted/plain", "Hi")
                full = dialect.ask(self.server, "scripted/plain", "Hi",
                                   **{key: None for key in nulls[dialect.name]})
                self.assertAnswered(full)
                self.assertEqual((full.text, full.prompt), (bare.text, bare.prompt))


class GeminiFormsTest(row.RowTest):
    """Fields in both cases, enums in any, numbers as strings, base64 in both alphabets."""

    def ask(self, body):
        status, headers, data = self.server.post(
            "/v1beta/models/scripted/one-call:generateContent", body)
        return GEMINI.read(status, headers, data, False)

    def test_snake_case_and_enums(self):
        schema = {"type": "object", "properties": {"city": {"type": "string"}}}
        forms = []
        for tools, config, kind in (("functionDeclarations", "generationConfig", "OBJECT"),
                                    ("function_declarations", "generation_config", "Object")):
            limit = "maxOutputTokens" if config == "generationConfig" else "max_output_tokens"
            forms.append(self.ask({
                "contents": [{"parts": [{"text": "Hi"}]}],
                config: {limit: 200},
                "tools": [{tools: [{"name": "get_weather", "description": "d",
                                    "parameters": {**schema, "type": kind}}]}],
                ("toolConfig" if tools == "functionDeclarations" else "tool_config"): {
                    ("functionCallingConfig" if tools == "functionDeclarations"
                     else "function_calling_config"): {"mode": "any" if kind == "Object" else "ANY"}}}))
        self.assertEqual(forms[0].calls, [("get_weather", {"city": "Paris"})])
        self.assertEqual(forms[1].calls, forms[0].calls)
        self.assertEqual(forms[1].prompt, forms[0].prompt)

    def test_base64(self):
        import base64
        text = "größer? ja>>>???~~~"
        for data in (base64.b64encode(text.encode()), base64.urlsafe_b64encode(text.encode())):
            for form in (data, data.rstrip(b"="), data[:8] + b"\n " + data[8:]):
                with self.subTest(form=form):
                    status, headers, reply = self.server.post(
                        "/v1beta/models/scripted/echo:generateContent",
                        {"contents": [{"parts": [{"inlineData": {
                            "mimeType": "text/plain", "data": form.decode()}}]}]})
                    answer = GEMINI.read(status, headers, reply, False)
                    self.assertEqual(answer.text.strip(), text)
        for bad in ("a", "ab*d", "http://x/y.txt"):
            with self.subTest(bad=bad):
                status, headers, reply = self.server.post(
                    "/v1beta/models/scripted/echo:generateContent",
                    {"contents": [{"parts": [{"inlineData": {
                        "mimeType": "text/plain", "data": bad}}]}]})
                self.assertError(GEMINI.read(status, headers, reply, False), 400,
                                 "contents[0].parts[0]")


class SplitTest(row.RowTest):
    def test_a_request_split_anywhere_is_the_same(self):
        import socket
        body = json.dumps(OPENAI.request("scripted/plain", [("user", "Grüße")],
                                         max_tokens=4).body).encode()
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.server.host}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
        whole, texts = head + body, set()
        for at in range(1, len(whole), 13):
            with socket.create_connection((self.server.host, self.server.port), 30) as peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.sendall(whole[:at])
                peer.sendall(whole[at:])
                data = b"".join(iter(lambda p=peer: p.recv(65536), b""))
            reply = json.loads(data.partition(b"\r\n\r\n")[2].decode())
            texts.add(reply["choices"][0]["message"]["content"])
        self.assertEqual(len(texts), 1, texts)


if __name__ == "__main__":
    row.main()
