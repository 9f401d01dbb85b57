#!/usr/bin/env python3
"""R5: compaction, in its three forms."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dialects  # noqa: E402
import row  # noqa: E402

TALK = [{"role": "user", "content": "I keep a greenhouse. " * 6},
        {"role": "assistant", "content": "What grows in it? " * 40},
        {"role": "user", "content": "Tomatoes. The pump runs at six."},
        {"role": "assistant", "content": "Then the fan should turn too. " * 40}]
KIND = "compaction"


class R5(row.RowTest):
    model = "scripted/summary"

    def compact(self, status=200, **more):
        body = {"model": self.model, "input": TALK, **more}
        return self.server.json("/v1/responses/compact", body, status)

    def test_the_route(self):
        reply = self.compact()
        self.assertEqual(reply["object"], "response.compaction")
        users = [item for item in TALK if item["role"] == "user"]
        *kept, item = reply["output"]
        self.assertEqual(len(kept), len(users))
        for got, wanted in zip(kept, users):
            content = got["content"]
            text = content if isinstance(content, str) else "".join(p["text"] for p in content)
            self.assertEqual((got["role"], text), ("user", wanted["content"]))
        self.assertEqual(item["type"], KIND)
        self.assertRegex(item["id"], "^cmp_")
        self.assertTrue(item["encrypted_content"])
        self.assertGreater(reply["usage"]["input_tokens"], 100)

    def test_the_item_takes_the_place_of_what_it_stands_for(self):
        item = self.compact()["output"][-1]
        whole = self.server.json("/v1/responses", {
            "model": "scripted/plain", "input": [*TALK, {"role": "user", "content": "And?"}]})
        short = self.server.json("/v1/responses", {
            "model": "scripted/plain",
            "input": [*TALK, item, {"role": "user", "content": "And?"}]})
        self.assertLess(short["usage"]["input_tokens"], whole["usage"]["input_tokens"])
        for kind in ("compaction_summary", "context_compaction"):
            same = self.server.json("/v1/responses", {
                "model": "scripted/plain",
                "input": [*TALK, {**item, "type": kind}, {"role": "user", "content": "And?"}]})
            self.assertEqual(same["usage"]["input_tokens"], short["usage"]["input_tokens"])

    def test_the_trigger(self):
        body = {"model": self.model, "input": [*TALK, {"type": "compaction_trigger"}]}
        reply = self.server.json("/v1/responses", body)
        self.assertEqual([item["type"] for item in reply["output"]], [KIND])
        status, _, data = self.server.post("/v1/responses", {**body, "stream": True})
        self.assertEqual(status, 200)
        events = dialects.sse(data)
        for kind in ("response.output_item.added", "response.output_item.done"):
            self.assertEqual([e["item"]["type"] for e in events if e["type"] == kind], [KIND])
        self.assertEqual([i["type"] for i in events[-1]["response"]["output"]], [KIND])
        self.assertEqual(events[-1]["type"], "response.completed")

    def test_the_threshold(self):
        ask = [*TALK, {"role": "user", "content": "And now?"}]
        reply = self.server.json("/v1/responses", {
            "model": self.model, "input": ask,
            "context_management": [{"type": "compaction", "compact_threshold": 100}]})
        self.assertEqual([item["type"] for item in reply["output"]], [KIND, "message"])
        reply = self.server.json("/v1/responses", {
            "model": self.model, "input": ask,
            "context_management": [{"type": "compaction", "compact_threshold": 100_000}]})
        self.assertEqual([item["type"] for item in reply["output"]], ["message"])

    def test_the_summary_hits_the_prefix_cache(self):
        self.server.json("/v1/responses", {"model": self.model, "input": TALK})
        usage = self.compact()["usage"]
        self.assertGreater(usage["input_tokens_details"]["cached_tokens"], 100)

    def test_foreign_broken_and_second_items(self):
        item = self.compact()["output"][-1]
        ask = {"role": "user", "content": "And?"}
        for bad in ("", "gibberish", item["encrypted_content"][:-8] + "AAAAAAAA"):
            with self.subTest(bad=bad[:9]):
                foreign = {"type": KIND, "encrypted_content": bad}
                status, headers, data = self.server.post("/v1/responses", {
                    "model": "scripted/plain", "input": [*TALK, foreign, ask]})
                self.assertEqual(status, 200, data[:300])
                self.assertTrue(headers.get("x-warning"))
        reply = self.server.json("/v1/responses", {
            "model": "scripted/plain", "input": [item, *TALK, item, ask]})
        self.assertEqual(reply["status"], "completed")

    def test_a_summary_that_is_cut_or_blank_is_refused(self):
        for change in ({"max_output_tokens": 1}, {"model": "scripted/blank"}):
            with self.subTest(change=change):
                error = self.compact(422, **change)["error"]
                self.assertEqual(error["code"], "compaction_failed")
        status, _, data = self.server.post("/v1/responses", {
            "model": "scripted/blank", "input": [*TALK, {"type": "compaction_trigger"}],
            "stream": True})
        if status == 200:
            events = dialects.sse(data)
            self.assertEqual(events[-1]["type"], "response.failed")
            self.server.json("/v1/responses/" + events[-1]["response"]["id"], None, 404)
        else:
            self.assertEqual(status, 422)

    def test_the_model_is_required(self):
        status, _, data = self.server.post("/v1/responses/compact", {"input": TALK})
        self.assertEqual(status, 400, data[:200])
        self.assertIn(b"model", data)


if __name__ == "__main__":
    row.main()
