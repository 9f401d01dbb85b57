#!/usr/bin/env python3
"""R14: a film that is longer than half of the context: seen in windows, and the client hears of it."""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import dialects  # noqa: E402
import row  # noqa: E402
import servers  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CLIP = base64.b64encode((HERE.parent / "media" / "clip.mp4").read_bytes()).decode()
MODEL = "scripted/sees-films"
ANSWER = "The pump runs for two seconds."
QUESTION = "How long does the pump run?"
FRAMES = 32


def openai(stream, **more):
    content = [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + CLIP}},
               {"type": "text", "text": QUESTION}]
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": content}],
            "mm_processor_kwargs": {"num_frames": FRAMES}, **more}
    if stream:
        body["stream_options"] = {"include_usage": True}
    return "/v1/chat/completions", body


def responses(stream):
    content = [{"type": "input_video", "url": "data:video/mp4;base64," + CLIP},
               {"type": "input_text", "text": QUESTION}]
    return "/v1/responses", {"model": MODEL, "stream": stream,
                             "mm_processor_kwargs": {"num_frames": FRAMES},
                             "input": [{"role": "user", "content": content}]}


def gemini(stream):
    # By its offsets and rate: 16 frames a second of two seconds.
    part = {"inlineData": {"mimeType": "video/mp4", "data": CLIP}, "videoMetadata": {"fps": 16}}
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{MODEL.replace('/', '%2F')}:{method}", {
        "contents": [{"role": "user", "parts": [part, {"text": QUESTION}]}]}


def ollama(stream):
    return "/api/chat", {"model": MODEL, "stream": stream,
                         "mm_processor_kwargs": {"num_frames": FRAMES},
                         "messages": [{"role": "user", "content": QUESTION, "images": [CLIP]}]}


class R14(row.RowTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = servers.scripted(cls.build, "--context", "2048", "--silence-s", "1",
                                      "--log-debug", "1", "--data", cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def ask(self, path, body, headers=None):
        status, replied, data = self.server.post(path, body, headers)
        self.assertEqual(status, 200, data[:600])
        self.assertIn("in 3 windows", replied["x-media-seen"])
        return data

    def assertProgress(self, data):
        """Comments in front of the first event: how far it is."""
        first = data.index(b"data: ")
        comments = [line for line in data[:first].split(b"\n") if line.startswith(b": ")]
        self.assertTrue(comments, data[:300])
        self.assertTrue(any(line.startswith(b": window 3 of 3 of the film:") for line in comments),
                        comments)

    def test_openai_hears_of_the_windows_in_comments(self):
        data = self.ask(*openai(True))
        self.assertProgress(data)
        events = dialects.sse(data)
        text = "".join(event["choices"][0]["delta"].get("content") or ""
                       for event in events if event["choices"])
        self.assertEqual(text, ANSWER)
        self.assertUsage(events[-1]["usage"])

    def assertUsage(self, usage):
        """Of all turns: what their frames take, and the notes as thoughts."""
        details = usage["prompt_tokens_details"]
        self.assertGreaterEqual(details["video_tokens"], FRAMES * (60 + 2))
        self.assertEqual(details["text_tokens"] + details["video_tokens"], usage["prompt_tokens"])
        self.assertGreater(usage["completion_tokens_details"]["reasoning_tokens"], 30)

    def test_openai_whole(self):
        reply = json.loads(self.ask(*openai(False)))
        self.assertEqual(reply["choices"][0]["message"]["content"], ANSWER)
        self.assertUsage(reply["usage"])

    def test_a_film_in_the_result_of_a_tool(self):
        path, body = openai(False)
        film, question = body["messages"][0]["content"]
        body["messages"] = [
            {"role": "user", "content": [question]},
            {"role": "assistant", "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "camera", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [film]}]
        reply = json.loads(self.ask(path, body))
        self.assertUsage(reply["usage"])

    def test_responses_hear_of_the_windows_in_comments(self):
        data = self.ask(*responses(True))
        self.assertProgress(data)
        done = dialects.sse(data)[-1]
        self.assertEqual(done["type"], "response.completed")
        details = done["response"]["usage"]["input_tokens_details"]
        self.assertGreaterEqual(details["video_tokens"], FRAMES * (60 + 2))

    def test_gemini_hears_an_empty_thought(self):
        events = dialects.sse(self.ask(*gemini(True)))
        first = events[0]["candidates"][0]["content"]["parts"]
        self.assertEqual(first, [{"text": "", "thought": True}])
        self.assertEqual({event["responseId"] for event in events}, {events[0]["responseId"]})
        usage = events[-1]["usageMetadata"]
        counts = {entry["modality"]: entry["tokenCount"] for entry in usage["promptTokensDetails"]}
        self.assertGreaterEqual(counts["VIDEO"], FRAMES * (60 + 2))
        self.assertEqual(sum(counts.values()), usage["promptTokenCount"])

    def test_gemini_counts_the_film(self):
        path, body = gemini(False)
        path = path.replace("generateContent", "countTokens")
        counted = json.loads(self.ask(path, body))
        counts = {entry["modality"]: entry["tokenCount"] for entry in counted["promptTokensDetails"]}
        self.assertGreaterEqual(counts["VIDEO"], FRAMES * (60 + 2))
        self.assertEqual(sum(counts.values()), counted["totalTokens"])

    def test_ollama_hears_an_empty_message(self):
        lines = [json.loads(line) for line in self.ask(*ollama(True)).splitlines()]
        self.assertEqual(lines[0]["message"]["content"], "")
        self.assertFalse(lines[0]["done"])
        self.assertEqual(lines[0]["model"], MODEL)
        self.assertEqual("".join(line["message"]["content"] for line in lines), ANSWER)
        self.assertGreaterEqual(lines[-1]["prompt_eval_count"], FRAMES * (60 + 2))

    def traces(self):
        return set((pathlib.Path(self.folder.name) / "traces").glob("*.jsonl.zst"))

    def trace_of(self, ask):
        """What ask() is traced in: written behind the answer, named when it is complete."""
        before = self.traces()
        ask()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for path in self.traces() - before:
                return path
            time.sleep(0.05)
        return self.fail("no trace after 60 s")

    def test_the_trace_has_the_turns(self):
        path = self.trace_of(lambda: self.ask(*openai(False, seed=7), headers={"x-trace": "1"}))
        shown = subprocess.run([self.build / "fourfold", "trace", "show", path, "--json"],
                               capture_output=True, text=True, timeout=60, check=True)
        lines = [json.loads(line) for line in shown.stdout.splitlines()]
        films = [line["film"] for line in lines if "film" in line]
        self.assertEqual([film["window"] for film in films], [0, 1, 2])
        self.assertEqual(sum(len(film["media"]) for film in films), FRAMES)
        for film in films:
            self.assertIn("a pump runs", film["notes"])
        self.assertIn("Notes taken while it was seen", lines[1]["request"]["text"])

    def test_the_log_follows_the_windows(self):
        self.ask(*openai(False))
        self.assertTrue(any("window 2 of 3 of the film" in line for line in self.server.said))

    def test_an_error_behind_the_first_sign_of_life_is_told_in_the_stream(self):
        path, body = openai(True, model="scripted/sees-films-and-fails")
        data = self.ask(path, body)
        self.assertIn("error", dialects.sse(data)[-1])


if __name__ == "__main__":
    row.main()
