#!/usr/bin/env python3
"""R4: namespaces and custom tools of the Responses API."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dialects  # noqa: E402
import row  # noqa: E402

LIST = {"type": "function", "name": "list", "description": "Lists.", "parameters": {
    "type": "object", "properties": {}}}
TOOLS = [{"type": "namespace", "name": "garden", "description": "The garden.", "tools": [LIST]},
         {"type": "namespace", "name": "house", "tools": [LIST]},
         {"type": "namespace", "name": "empty", "tools": []},
         {"type": "web_search"}, {"type": "code_interpreter"},
         {"type": "custom", "name": "run_code", "description": "Runs code.",
          "format": {"type": "text"}}]


class R4(row.RowTest):
    def ask(self, script, status=200, **more):
        return self.server.json("/v1/responses", {
            "model": f"scripted/{script}", "input": "Go on.", "tools": TOOLS, **more}, status)

    def events(self, script, **more):
        status, headers, data = self.server.post("/v1/responses", {
            "model": f"scripted/{script}", "input": "Go on.", "tools": TOOLS, "stream": True, **more})
        self.assertEqual(status, 200, data[:300])
        return headers, dialects.sse(data)

    def test_both_names_in_the_reply_and_in_every_event(self):
        wanted = [("garden", "list"), ("house", "list")]
        items = self.ask("namespace-call")["output"]
        self.assertEqual([(item["namespace"], item["name"]) for item in items], wanted)
        _, events = self.events("namespace-call")
        for kind in ("response.output_item.added", "response.output_item.done"):
            self.assertEqual([(e["item"]["namespace"], e["item"]["name"])
                              for e in events if e["type"] == kind], wanted)
        self.assertEqual([(item["namespace"], item["name"])
                          for item in events[-1]["response"]["output"]], wanted)

    def test_the_second_turn_renders_to_the_same_call(self):
        first = self.ask("namespace-call")
        results = [{"type": "function_call_output", "call_id": item["call_id"], "output": "[]"}
                   for item in first["output"]]
        by_items = self.ask("namespace-call", store=False, input=[
            {"role": "user", "content": "Go on."}, *first["output"], *results])
        by_id = self.ask("namespace-call", previous_response_id=first["id"], input=results)
        self.assertEqual(by_items["output"][0]["content"][0]["text"], "Both listed.")
        self.assertEqual(by_items["usage"]["input_tokens"], by_id["usage"]["input_tokens"])
        self.assertGreater(by_id["usage"]["input_tokens_details"]["cached_tokens"], 0)

    def test_hosted_tools_are_left_out_and_said(self):
        headers, _ = self.events("namespace-call")
        for word in ("web_search", "code_interpreter"):
            self.assertIn(word, headers["x-warning"])

    def test_custom_tools(self):
        reply = self.ask("custom-call")
        item = reply["output"][0]
        self.assertEqual((item["type"], item["name"], item["input"]),
                         ("custom_tool_call", "run_code", "print(1)"))
        self.assertRegex(item["id"], "^ctc_")
        self.assertNotIn("namespace", item)
        _, events = self.events("custom-call")
        kinds = [event["type"] for event in events]
        self.assertIn("response.custom_tool_call_input.delta", kinds)
        self.assertIn("response.custom_tool_call_input.done", kinds)
        self.assertNotIn("response.function_call_arguments.delta", kinds)
        done = self.ask("custom-call", store=False, input=[
            {"role": "user", "content": "Go on."}, item,
            {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "1"}])
        self.assertEqual(done["output"][0]["content"][0]["text"], "Done.")

    def test_custom_tools_in_chat(self):
        reply = self.server.json("/v1/chat/completions", {
            "model": "scripted/custom-call", "messages": [{"role": "user", "content": "Go on."}],
            "tools": [{"type": "custom", "custom": {"name": "run_code", "description": "Runs."}}]})
        call = reply["choices"][0]["message"]["tool_calls"][0]
        self.assertEqual((call["type"], call["custom"]["name"], call["custom"]["input"]),
                         ("custom", "run_code", "print(1)"))

    def test_tool_choice_with_a_namespace(self):
        reply = self.ask("namespace-call",
                         tool_choice={"type": "function", "name": "list", "namespace": "house"})
        item = reply["output"][0]
        self.assertEqual((item["namespace"], item["name"]), ("house", "list"))
        self.assertEqual(json.loads(item["arguments"]), {})

    def test_long_names_get_a_short_form_that_stays(self):
        tools = [{"type": "namespace", "name": "n" * 60, "tools": [LIST]}]
        items = [self.ask("namespace-call", tools=tools, tool_choice="required")["output"][0]
                 for _ in range(2)]
        for item in items:
            self.assertEqual((item["namespace"], item["name"]), ("n" * 60, "list"))


if __name__ == "__main__":
    row.main()
