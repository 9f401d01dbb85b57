#!/usr/bin/env python3
"""R13: an editor finds the server: version, tags, show, then chat with each name it was told."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import DIALECTS, OPENAI  # noqa: E402


class R13(row.RowTest):
    def test_every_listed_name_works_in_every_dialect(self):
        version = self.server.json("/api/version")["version"]
        self.assertGreaterEqual([int(part) for part in version.split(".")], [0, 6, 4])
        for entry in self.server.json("/api/tags")["models"]:
            name = entry["name"]
            if any(word in name for word in ("slow", "long", "queue", "rate", "fails", "busy")):
                continue
            with self.subTest(name=name):
                shown = self.server.json("/api/show", {"model": name})
                self.assertEqual(sorted(shown["capabilities"]), sorted(entry["capabilities"]))
                architecture = shown["model_info"]["general.architecture"]
                context = shown["model_info"][f"{architecture}.context_length"]
                self.assertIsInstance(context, int)
                self.assertEqual(context, entry["details"]["context_length"])
                self.assertNotIn("remote_model", entry)
                for dialect in DIALECTS:
                    answer = dialect.ask(self.server, name, "number=1 tokens=3", max_tokens=3)
                    self.assertAnswered(answer)

    def test_the_context_is_the_usable_one_everywhere(self):
        contexts = {
            self.server.json("/v1/models")["data"][0]["context_length"],
            self.server.json("/v1/models")["data"][0]["max_model_len"],
            self.server.json("/v1beta/models")["models"][0]["inputTokenLimit"],
            self.server.json("/props")["default_generation_settings"]["n_ctx"],
            self.server.json("/api/tags")["models"][0]["details"]["context_length"]}
        self.assertEqual(len(contexts), 1, contexts)

    def test_vision_is_claimed_where_a_projector_is(self):
        for entry in self.server.json("/api/tags")["models"]:
            sees = entry["name"].startswith("scripted/sees")
            self.assertEqual({"vision", "audio"} <= set(entry["capabilities"]), sees)
        props = self.server.json("/props?model=scripted%2Fsees")
        self.assertTrue(props["modalities"]["vision"] and props["modalities"]["audio"])
        shown = self.server.json("/v1beta/models/scripted%2Fsees")
        self.assertLessEqual({"TEXT", "IMAGE", "AUDIO"}, set(shown["inputModalities"]))
        props = self.server.json("/props?model=scripted%2Fplain")
        self.assertFalse(any(props["modalities"].values()), props["modalities"])

    def test_media_are_refused_without_a_projector(self):
        answer = OPENAI.read(*self.server.post("/v1/chat/completions", {
            "model": "scripted/plain", "messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}),
            False)
        self.assertError(answer, 400, "messages[0].content[0]")

    def test_one_list_for_three_dialects(self):
        body = self.server.json("/v1/models")
        self.assertEqual(body["object"], "list")
        self.assertIs(body["has_more"], False)
        self.assertEqual(len(body["data"]), len(body["models"]))
        self.assertEqual(body["first_id"], body["data"][0]["id"])
        for entry in body["data"]:
            one = self.server.json("/v1/models/" + entry["id"].replace("/", "%2F"))
            self.assertEqual(one["id"], entry["id"])
            self.assertEqual(one["name"], "models/" + entry["id"])


if __name__ == "__main__":
    row.main()
