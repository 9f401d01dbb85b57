#!/usr/bin/env python3
"""R11: keys: where they may stand, what a wrong one gets, and that none shows anywhere."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
import servers  # noqa: E402
from bytes import assert_envelope  # noqa: E402
from dialects import DIALECTS, GEMINI  # noqa: E402

KEY = "sk-very-secret-4711"
WRONG = "sk-wrong-but-secret-0815"
PLACES = [lambda key: {"x-goog-api-key": key}, lambda key: {"Authorization": f"Bearer {key}"},
          lambda key: {"authorization": f"bearer {key}"}, lambda key: {"x-api-key": key},
          lambda key: {"api-key": key}]


def key_file(text=KEY, mode=0o600):
    handle, path = tempfile.mkstemp()
    os.write(handle, text.encode())
    os.close(handle)
    os.chmod(path, mode)
    return path


class R11(row.RowTest):
    @classmethod
    def setUpClass(cls):
        cls.path = key_file()
        cls.audit = key_file("")
        cls.server = servers.scripted(cls.build, "--api-key-file", cls.path, "--log-debug", "1",
                                      "--audit", cls.audit)

    def test_every_place(self):
        for dialect in DIALECTS:
            request = dialect.request("scripted/plain", [("user", "Hi")], max_tokens=4)
            for i, place in enumerate(PLACES):
                with self.subTest(dialect=dialect.name, place=i):
                    self.assertEqual(self.server.post(request.path, request.body, place(KEY))[0],
                                     200)
            mark = "&" if "?" in request.path else "?"
            self.assertEqual(self.server.post(f"{request.path}{mark}key={KEY}", request.body)[0],
                             200)

    def test_wrong_and_none(self):
        for dialect in DIALECTS:
            request = dialect.request("scripted/plain", [("user", "Hi")])
            for headers, missing in ((PLACES[0](WRONG), False), (PLACES[1](WRONG), False),
                                     ({}, True), ({"x-goog-api-key": ""}, True)):
                with self.subTest(dialect=dialect.name, headers=headers):
                    status, _, data = self.server.post(request.path, request.body, headers)
                    wanted = (403 if missing else 400) if dialect is GEMINI else 401
                    self.assertEqual(status, wanted, data[:300])
                    assert_envelope(self, dialect.name, wanted, data)
                    self.assertNotIn(WRONG.encode(), data)
                    if dialect is GEMINI and not missing:
                        self.assertEqual(json.loads(data)["error"]["details"][0]["reason"],
                                         "API_KEY_INVALID")
                    if dialect.name == "openai":
                        self.assertEqual(json.loads(data)["error"]["code"], "invalid_api_key")

    def test_public_routes(self):
        for method, path in (("GET", "/health"), ("GET", "/v1/health"), ("GET", "/"),
                             ("OPTIONS", "/v1/chat/completions")):
            with self.subTest(path=path):
                self.assertIn(self.server.send(method, path)[0], (200, 204))
        self.assertEqual(self.server.get("/v1/models")[0], 401)

    def test_upload_sessions_need_none(self):
        status, headers, _ = self.server.send("POST", "/upload/v1beta/files", "{}", {
            "x-goog-api-key": KEY, "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start", "X-Goog-Upload-Header-Content-Length": "2",
            "X-Goog-Upload-Header-Content-Type": "text/plain"})
        self.assertEqual(status, 200)
        path = headers["x-goog-upload-url"].partition(f":{self.server.port}")[2]
        self.assertNotIn(KEY, path)
        status, _, data = self.server.send("POST", path, b"ok", {
            "X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"})
        self.assertEqual(status, 200, data)

    def test_no_key_shows_anywhere(self):
        # In fields that are no keys, too: people paste the right one into the wrong field.
        for headers in (PLACES[0](WRONG), {"x-request-id": KEY}, {"User-Agent": KEY},
                        {"Authorization": f"Basic {WRONG}"}):
            self.server.post("/v1/chat/completions", {"model": KEY}, headers)
        percent = "".join(f"%{ord(c):02x}" for c in WRONG)
        self.server.get(f"/v1beta/models?key={percent}")
        self.server.get(f"/v1beta/models?key={WRONG}&x=1")
        shown = [self.server.get(path, PLACES[0](KEY))[2].decode()
                 for path in ("/props", "/metrics", "/slots")]
        shown += ["".join(self.server.said), pathlib.Path(self.audit).read_text(),
                  pathlib.Path(f"/proc/{self.server.process.pid}/cmdline").read_text()]
        for text in shown:
            for secret in (KEY, WRONG, percent):
                self.assertNotIn(secret, text)


class EnvironmentTest(row.RowTest):
    """The real program: a key of the environment, which no child and no argument sees."""

    @classmethod
    def setUpClass(cls):
        cls.server = servers.live(cls.build, env={"FOURFOLD_API_KEY": KEY,
                                                  "FOURFOLD_LOG": "debug"})

    def test_it_counts_and_is_gone(self):
        self.assertEqual(self.server.get("/v1/models", PLACES[1](KEY))[0], 200)
        self.assertEqual(self.server.get("/v1/models", PLACES[1](WRONG))[0], 401)
        for text in ("".join(self.server.said),
                     pathlib.Path(f"/proc/{self.server.process.pid}/cmdline").read_text()):
            self.assertNotIn(KEY, text)

    def test_never_as_an_argument(self):
        for flag in (["--api-key", KEY], [f"--api-key={KEY}"]):
            done = subprocess.run([self.build / "fourfold", "serve", servers.KEEPER, *flag],
                                  capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--api-key-file", done.stderr)
            self.assertIn("FOURFOLD_API_KEY", done.stderr)
            self.assertNotIn(KEY, done.stdout + done.stderr)

    def test_other_hosts_need_one(self):
        done = subprocess.run([self.build / "fourfold", "serve", servers.KEEPER, "--host",
                               "0.0.0.0", "--port", "0"], capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--api-key-file", done.stderr)
        self.assertIn("--no-auth", done.stderr)


class FileTest(row.RowTest):
    """The real program again: scopes and limits of a key file, read by others."""

    @classmethod
    def setUpClass(cls):
        cls.path = key_file('[[key]]\nname = "reader"\nkey = "k-reader"\nscopes = ["files"]\n'
                            '[[key]]\nname = "few"\nkey = "k-few"\nrequests_per_minute = 2\n'
                            '[[key]]\nname = "ann"\nkey = "k-ann"\n', 0o644)
        cls.server = servers.live(cls.build, "--api-key-file", cls.path)

    def test_a_note_that_others_can_read_it(self):
        self.assertEqual(sum(self.path in line for line in self.server.said), 1, self.server.log())

    def ask(self, key, path="/v1/chat/completions"):
        return self.server.post(path, {"model": "keeper", "max_tokens": 2, "messages": [
            {"role": "user", "content": "Hi"}]}, {"Authorization": f"Bearer {key}"})

    def test_a_missing_scope(self):
        status, _, data = self.ask("k-reader")
        self.assertEqual(status, 403)
        self.assertEqual(json.loads(data)["error"]["code"], "insufficient_scope")
        self.assertEqual(self.ask("k-ann")[0], 200)
        status, _, _ = self.server.post("/api/copy", {"source": "keeper", "destination": "b"},
                                        {"Authorization": "Bearer k-ann"})
        self.assertEqual(status, 403)

    def test_requests_per_minute(self):
        statuses = [self.ask("k-few")[0] for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])
        self.assertGreaterEqual(float(self.ask("k-few")[1]["retry-after"]), 1)


if __name__ == "__main__":
    row.main()
