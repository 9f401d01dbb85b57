#!/usr/bin/env python3
"""R10: URLs in requests. Fetching is off: every form, in every field that can carry one, is refused
without a look-up, a connection or an open file."""

import pathlib
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, GEMINI, OLLAMA, OPENAI, RESPONSES  # noqa: E402

MODEL = "scripted/plain"


class Trap:
    """Listens, and remembers who came."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.came = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                peer, address = self.socket.accept()
            except OSError:
                return
            self.came.append(address)
            peer.close()


def urls(port):
    return [f"http://127.0.0.1:{port}/a.png", f"http://localhost:{port}/a.png",
            f"http://2130706433:{port}/a.png", f"http://0x7f000001:{port}/a.png",
            f"http://0177.0.0.1:{port}/a.png", f"http://127.1:{port}/a.png",
            f"http://[::1]:{port}/a.png", f"http://[::ffff:127.0.0.1]:{port}/a.png",
            f"HTTP://user:pw@127.0.0.1:{port}/a.png", "https://example.com/a.png",
            "file:///etc/passwd", "/etc/passwd", "ftp://127.0.0.1/a", "gs://bucket/a.png",
            "http://169.254.169.254/latest/meta-data"]


def openai_parts(url):
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "image_url", "image_url": url},
            {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
            {"type": "video_url", "video_url": {"url": url}},
            {"type": "audio_url", "audio_url": {"url": url}},
            {"type": "file", "file": {"file_data": url, "filename": "a.png"}},
            {"type": "input_video", "input_video": {"url": url}}]


def bodies(url):
    """(dialect, path, body) for every field that can carry a URL."""
    for part in openai_parts(url):
        yield OPENAI, "/v1/chat/completions", {
            "model": MODEL, "messages": [{"role": "user", "content": [part]}]}
    for part in ({"type": "input_image", "image_url": url},
                 {"type": "input_file", "file_url": url},
                 {"type": "input_file", "file_data": url, "filename": "a.png"}):
        yield RESPONSES, "/v1/responses", {
            "model": MODEL, "input": [{"role": "user", "content": [part]}]}
    for kind in ("image", "document"):
        yield ANTHROPIC, "/v1/messages", {"model": MODEL, "max_tokens": 9, "messages": [{
            "role": "user", "content": [{"type": kind, "source": {"type": "url", "url": url}}]}]}
    for part in ({"fileData": {"fileUri": url, "mimeType": "image/png"}},
                 {"inlineData": {"data": url, "mimeType": "image/png"}}):
        yield GEMINI, f"/v1beta/models/{MODEL}:generateContent", {"contents": [{"parts": [part]}]}
    yield OLLAMA, "/api/chat", {"model": MODEL, "stream": False, "messages": [
        {"role": "user", "content": "What?", "images": [url]}]}
    yield OLLAMA, "/api/generate", {"model": MODEL, "stream": False, "prompt": "What?",
                                    "images": [url]}


class R10(row.RowTest):
    def test_off_no_field_opens_anything(self):
        trap = Trap()
        for url in urls(trap.port):
            for i, (dialect, path, body) in enumerate(bodies(url)):
                with self.subTest(url=url, dialect=dialect.name, i=i):
                    answer = dialect.read(*self.server.post(path, body), False)
                    self.assertEqual(answer.status, 400, answer.data[:300])
                    self.assertTrue(answer.message)
                    self.assertNotIn("root:", answer.message)
        time.sleep(0.2)
        self.assertEqual(trap.came, [])

    def test_off_the_switch_is_named(self):
        for dialect, path, body in bodies("http://example.com/a.png"):
            if "image_url" not in str(body) and "'url'" not in str(body):
                continue
            with self.subTest(dialect=dialect.name, body=body):
                answer = dialect.read(*self.server.post(path, body), False)
                self.assertError(answer, 400, "--fetch-urls")

    def test_off_reply_times_tell_nothing_about_ports(self):
        trap = Trap()
        closed = socket.create_server(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        closed.close()

        def median_ms(url):
            times = []
            for _ in range(15):
                begin = time.monotonic()
                self.server.post("/v1/chat/completions", {"model": MODEL, "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]})
                times.append(1000 * (time.monotonic() - begin))
            return statistics.median(times)

        medians = [median_ms(url) for url in (f"http://127.0.0.1:{trap.port}/",
                                              f"http://127.0.0.1:{port}/",
                                              "http://no-such-name.invalid/",
                                              "http://10.255.255.1/")]
        self.assertLess(max(medians) - min(medians), 20, medians)


if __name__ == "__main__":
    row.main()
