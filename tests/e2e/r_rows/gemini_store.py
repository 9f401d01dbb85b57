#!/usr/bin/env python3
"""Gemini's files and cached contents as REST clients use them (http-apis.md 2.12, 2.13)."""

import base64
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402

MODEL = "models/scripted/plain"
WORDS = [{"parts": [{"text": "The pump of zone three runs at six."}]}]


def code_of(data):
    return json.loads(data)["error"]["code"]


class Store(row.RowTest):
    def begin(self, file=None, **headers):
        """The path and query of a new session."""
        status, got, _ = self.server.post(
            "/upload/v1beta/files", {"file": file or {}},
            {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start", **headers})
        self.assertEqual((status, got["x-goog-upload-status"]), (200, "active"))
        url = got["x-goog-upload-url"]
        return url[url.index("/upload/"):]

    def send(self, path, command, data=b"", offset=None):
        """Status, status of the upload, bytes received, file."""
        headers = {"X-Goog-Upload-Command": command}
        if offset is not None:
            headers["X-Goog-Upload-Offset"] = str(offset)
        status, got, reply = self.server.post(path, data, headers)
        return (status, got.get("x-goog-upload-status"), got.get("x-goog-upload-size-received"),
                json.loads(reply).get("file"))

    def assertRefused(self, answer, status, *words):
        self.assertEqual(answer[0], status, answer[2][:300])
        self.assertEqual(code_of(answer[2]), status)
        for word in words:
            self.assertIn(word, json.loads(answer[2])["error"]["message"])

    def test_an_upload_in_pieces(self):
        path = self.begin({"display_name": "a.txt", "mime_type": "text/plain", "size_bytes": 6})
        self.assertEqual(self.send(path, "upload", b"abc", 0), (200, "active", "3", None))
        self.assertEqual(self.send(path, "upload", b"abc", 0), (200, "active", "3", None))
        self.assertEqual(self.send(path, "query"), (200, "active", "3", None))
        self.assertEqual(self.send(path, "upload", b"x", 5)[:3], (400, "active", "3"))
        last = self.send(path, "upload, finalize", b"def", 3)
        self.assertEqual(last[:3], (200, "final", "6"))
        self.assertEqual(self.send(path, "upload, finalize", b"def", 3), last)
        file = last[3]
        self.assertEqual(file["sha256Hash"],
                         base64.b64encode(hashlib.sha256(b"abcdef").digest()).decode())
        name = file["name"]
        self.assertEqual(self.server.json(f"/v1beta/{name}"), file)
        self.assertEqual(self.server.json(f"/v1beta/files/{file['uri']}"), file)
        status, headers, data = self.server.get(f"/v1beta/{name}:download?alt=media")
        self.assertEqual((status, headers["content-type"], data), (200, "text/plain", b"abcdef"))
        self.assertEqual(self.server.send("DELETE", f"/v1beta/{name}", "{}")[::2], (200, b"{}"))
        self.assertRefused(self.server.get(f"/v1beta/{name}"), 404)
        self.assertRefused(self.server.get(f"/v1beta/{name}:download"), 404)
        self.assertRefused(self.server.send("DELETE", f"/v1beta/{name}"), 404)

    def test_one_request_with_raw_bytes(self):
        status, _, data = self.server.post("/upload/v1beta/files", b"raw",
                                           {"X-Goog-Upload-Protocol": "raw"})
        self.assertEqual((status, json.loads(data)["file"]["sizeBytes"]), (200, "3"))

    def test_sessions_end(self):
        path = self.begin()
        self.assertEqual(self.send(path, "cancel")[:2], (200, "cancelled"))
        self.assertEqual(self.send(path, "upload", b"x", 0)[0], 404)
        self.assertEqual(self.send("/upload/v1beta/files?upload_id=none", "query")[0], 404)
        self.assertEqual(self.send(self.begin(), "sing")[0], 400)
        short = self.begin({"sizeBytes": "5"})
        self.assertEqual(self.send(short, "upload, finalize", b"abc", 0)[0], 400)

    def test_beginnings_that_are_refused(self):
        for headers in ({}, {"X-Goog-Upload-Protocol": "multipart"},
                        {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start",
                         "X-Goog-Upload-Header-Content-Length": "many"}):
            self.assertRefused(self.server.post("/upload/v1beta/files", "{}", headers), 400)
        start = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
        bad = self.server.post("/upload/v1beta/files", {"file": {"name": "files/No Name"}}, start)
        self.assertRefused(bad, 400, "file.name")
        self.assertRefused(self.server.get("/v1beta/files?pageToken=zz"), 400, "pageToken")
        self.assertRefused(self.server.get("/v1beta/files?pageSize=zz"), 400, "pageSize")

    def test_the_address_is_that_of_the_client(self):
        got = self.server.post("/upload/v1beta/files", "{}", {
            "X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start",
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org",
            "X-Forwarded-Prefix": "/gateway/"})[1]
        self.assertTrue(got["x-goog-upload-url"].startswith(
            "https://example.org/gateway/upload/v1beta/files?upload_id="))

    def test_caches_are_refused_by_field(self):
        for more, words in (({"model": None}, "model: missing"), ({"ttl": "5"}, "ttl:"),
                            ({"expireTime": "2020-01-01T00:00:00Z"}, "has passed"),
                            ({"ttl": "5s", "expireTime": "2090-01-01T00:00:00Z"}, "beside ttl"),
                            ({"contents": None}, "contents[0]"),
                            ({"contents": [{"role": "robot"}]}, "contents[0].role")):
            body = {"model": MODEL, "contents": WORDS, **more}
            self.assertRefused(self.server.post("/v1beta/cachedContents", body), 400, words)
        self.assertRefused(self.server.post("/v1beta/cachedContents",
                                            {"model": "models/nobody", "contents": WORDS}), 404)

    def test_a_cache_lives_until_it_is_deleted(self):
        made = self.server.json("/v1beta/cachedContents",
                                {"model": MODEL, "contents": WORDS, "expireTime": "2090-01-01T00:00:00Z"})
        name = f"/v1beta/{made['name']}"
        self.assertEqual(made["expireTime"], "2090-01-01T00:00:00Z")
        self.assertEqual(self.server.json(name), made)
        self.assertRefused(self.server.send("PATCH", name, "{}"), 400, "expected ttl")
        status, _, data = self.server.send("PATCH", name, '{"ttl":"60s"}')
        self.assertEqual(status, 200)
        self.assertLess(json.loads(data)["expireTime"], made["expireTime"])
        counted = self.server.json(f"/v1beta/{MODEL}:countTokens", {"generateContentRequest": {
            "contents": [{"parts": [{"text": "When?"}]}], "cachedContent": made["name"]}})
        self.assertEqual(counted["cachedContentTokenCount"], made["usageMetadata"]["totalTokenCount"])
        self.assertGreater(counted["totalTokens"], counted["cachedContentTokenCount"])
        self.assertEqual(self.server.send("DELETE", name)[::2], (200, b"{}"))
        for method in ("GET", "DELETE"):
            self.assertRefused(self.server.send(method, name), 404)
        self.assertRefused(self.server.send("PATCH", name, '{"ttl":"60s"}'), 404)
        self.assertRefused(self.server.post(f"/v1beta/{MODEL}:generateContent", {
            "contents": WORDS, "cachedContent": made["name"]}), 404)

    def test_what_is_not_offered(self):
        self.assertEqual(self.server.json("/v1beta/tunedModels"), {"tunedModels": []})
        self.assertRefused(self.server.get("/v1beta/tunedModels/x"), 404)
        for path in (f"/v1beta/{MODEL}:embedContent", f"/v1beta/{MODEL}:batchEmbedContents"):
            self.assertRefused(self.server.post(path, "{}"), 400, "does not support embedContent")
        self.assertRefused(self.server.post("/v1beta/models/nobody:embedContent", "{}"), 404)
        self.assertRefused(self.server.post(f"/v1beta/{MODEL}:batchGenerateContent", "{}"), 501)
        self.assertRefused(self.server.get("/v1beta/models/nobody"), 404)


if __name__ == "__main__":
    row.main()
