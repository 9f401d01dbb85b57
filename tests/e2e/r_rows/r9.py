#!/usr/bin/env python3
"""R9: which pages and which host names may use the server (http-apis.md 6.4)."""

import itertools
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from bytes import assert_envelope  # noqa: E402
from dialects import DIALECTS, OPENAI  # noqa: E402

GOOD = ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]:5173",
        "http://0.0.0.0:80", "app://obsidian.md", "file://", "tauri://localhost",
        "vscode-webview://abc", "vscode-file://vscode-app"]
BAD = ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.io",
       "http://evil.example/http://localhost", "http://notlocalhost", "https://user@localhost.io"]
EXPOSED = {"x-goog-upload-url", "x-goog-upload-status", "x-request-id", "request-id", "retry-after",
           "retry-after-ms", "x-should-retry", "x-warning", "x-goog-upload-chunk-granularity",
           "x-goog-upload-size-received"}
CHAT = json.dumps(OPENAI.request("scripted/plain", [("user", "Hi")], max_tokens=3).body)


class R9(row.RowTest):
    def chat(self, headers):
        return self.server.post("/v1/chat/completions", CHAT, headers)

    def test_origins(self):
        for origin in GOOD:
            with self.subTest(origin=origin):
                status, headers, data = self.chat({"Origin": origin})
                self.assertEqual(status, 200, data[:200])
                self.assertEqual(headers["access-control-allow-origin"], origin)
                self.assertIn("origin", headers["vary"].lower())
                exposed = {name.strip().lower()
                           for name in headers["access-control-expose-headers"].split(",")}
                self.assertLessEqual(EXPOSED, exposed)
        for origin in BAD:
            with self.subTest(origin=origin):
                status, headers, data = self.chat({"Origin": origin})
                self.assertEqual(status, 403, data[:200])
                self.assertNotIn("access-control-allow-origin", headers)
                self.assertEqual(json.loads(data)["error"]["code"], "origin_not_allowed")
                self.assertNotIn(b"scripted", data, "no names of models")

    def test_cross_site_without_an_origin(self):
        for site, method, wanted in (("cross-site", "POST", 403), ("cross-site", "GET", 200),
                                     ("same-origin", "POST", 200), ("same-site", "POST", 200),
                                     ("none", "POST", 200)):
            with self.subTest(site=site, method=method):
                path = "/v1/models" if method == "GET" else "/v1/chat/completions"
                status, _, data = self.server.send(
                    method, path, CHAT if method == "POST" else None, {"Sec-Fetch-Site": site})
                self.assertEqual(status, wanted, data[:200])

    def test_hosts(self):
        port = self.server.port
        for host, wanted in (("localhost", 200), (f"localhost:{port}", 200), ("127.0.0.1", 200),
                             (f"[::1]:{port}", 200), ("gpu-box", 200), ("gpu-box.local", 200),
                             ("a.localhost", 200), ("host.docker.internal", 200),
                             ("192.168.1.7:8080", 200), ("10.0.0.3", 200), ("0.0.0.0", 200),
                             ("evil.example", 403), ("8.8.8.8", 403), ("localhost.evil.io", 403),
                             ("internal.evil.example", 403)):
            with self.subTest(host=host):
                status, _, data = self.chat({"Host": host})
                self.assertEqual(status, wanted, data[:200])
        # Rebinding: an origin that equals the host helps nothing.
        status, _, _ = self.chat({"Host": "evil.example", "Origin": "http://evil.example"})
        self.assertEqual(status, 403)

    def test_our_own_page(self):
        status, headers, data = self.chat({"Host": "gpu-box:8080", "Origin": "http://gpu-box:8080"})
        self.assertEqual(status, 200, data[:200])
        self.assertEqual(headers["access-control-allow-origin"], "http://gpu-box:8080")

    def test_no_content_type_helps(self):
        for kind, origin in itertools.product(
                ("text/plain", "application/json", "application/x-www-form-urlencoded"),
                BAD[:2]):
            with self.subTest(kind=kind, origin=origin):
                self.assertEqual(self.chat({"Content-Type": kind, "Origin": origin})[0], 403)
        # Without an origin, and from an allowed one, any will do.
        for headers in ({}, {"Origin": "http://localhost"}):
            self.assertEqual(self.chat({"Content-Type": "text/plain", **headers})[0], 200)

    def test_preflight(self):
        asked = "authorization, content-type, x-stainless-lang, x-own"
        for path in ("/v1/chat/completions", "/api/chat", "/upload/v1beta/files", "/v1/messages"):
            with self.subTest(path=path):
                status, headers, _ = self.server.send("OPTIONS", path, None, {
                    "Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": asked,
                    "Access-Control-Request-Private-Network": "true"})
                self.assertEqual(status, 204)
                self.assertEqual(headers["access-control-allow-origin"], "http://localhost:3000")
                self.assertEqual(headers["access-control-allow-headers"], asked)
                self.assertEqual(headers["access-control-max-age"], "86400")
                self.assertEqual(headers["access-control-allow-private-network"], "true")
                for method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"):
                    self.assertIn(method, headers["access-control-allow-methods"])
        status, headers, _ = self.server.send("OPTIONS", "/api/chat", None, {"Origin": BAD[0]})
        self.assertEqual(status, 403)
        self.assertNotIn("access-control-allow-origin", headers)

    def test_errors_have_the_headers_too(self):
        status, headers, _ = self.server.post(
            "/v1/chat/completions", {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]},
            {"Origin": "http://localhost"})
        self.assertEqual(status, 404)
        self.assertEqual(headers["access-control-allow-origin"], "http://localhost")

    def test_the_refusal_is_in_the_dialect(self):
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                request = dialect.request("scripted/plain", [("user", "Hi")])
                status, _, data = self.server.post(request.path, request.body,
                                                   {"Origin": BAD[0]})
                self.assertEqual(status, 403)
                assert_envelope(self, dialect.name, 403, data)

    def test_exempt(self):
        for path in ("/", "/health", "/live", "/ready"):
            with self.subTest(path=path):
                self.assertEqual(self.server.send("GET", path, None, {"Host": "evil.example"})[0],
                                 200)

    def test_nothing_has_happened_behind_a_refusal(self):
        made = {"model": "made-by-evil", "from": "scripted/plain", "stream": False}
        status, _, _ = self.server.post("/api/create", made, {"Origin": BAD[0]})
        self.assertEqual(status, 403)
        status, _, _ = self.server.send("POST", "/upload/v1beta/files", "{}", {
            "Origin": BAD[0], "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start"})
        self.assertEqual(status, 403)
        names = [m["name"] for m in self.server.json("/api/tags")["models"]]
        self.assertFalse([name for name in names if "evil" in name])
        self.assertFalse(self.server.json("/v1beta/files").get("files"))

    def test_a_refusal_comes_before_the_body(self):
        connection = self.server.connect(10)
        connection.putrequest("POST", "/v1/chat/completions")
        connection.putheader("Origin", BAD[0])
        connection.putheader("Content-Length", "100000000")
        connection.endheaders()  # and no byte of the body
        self.assertEqual(connection.getresponse().status, 403)
        connection.close()


class SetOriginsTest(row.RowTest):
    flags = ("--origins", "https://chat.example:8443", "--hosts", "llm.example")

    def test_a_setting_replaces_the_list(self):
        for origin, wanted in (("https://chat.example:8443", 200), ("https://chat.example", 403),
                               ("http://chat.example:8443", 403), ("http://localhost", 403)):
            with self.subTest(origin=origin):
                status, _, _ = self.server.post("/v1/chat/completions", CHAT, {"Origin": origin})
                self.assertEqual(status, wanted)

    def test_a_configured_host(self):
        self.assertEqual(self.server.send("GET", "/v1/models", None, {"Host": "llm.example"})[0],
                         200)


if __name__ == "__main__":
    row.main()
