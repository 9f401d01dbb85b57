#!/usr/bin/env python3
"""What goes wrong: kill -9, a drain, a full disk, bodies that are too large or never come, clients
that read nothing, a port in use.

    faults_test.py BUILD [-v] [TEST …]
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import row
import servers
from dialects import DIALECTS, GEMINI, OPENAI


def upload(server, data, chunk=256 * 1024, until=None):
    """The resumable protocol; stops after `until` bytes, without the last command."""
    status, headers, _ = server.send("POST", "/upload/v1beta/files", "{}", {
        "X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Length": str(len(data)),
        "X-Goog-Upload-Header-Content-Type": "text/plain"})
    assert status == 200, status
    path = headers["x-goog-upload-url"].partition(f":{server.port}")[2]
    reply = None
    for at in range(0, len(data), chunk):
        if until is not None and at >= until:
            return path, None
        command = "upload, finalize" if at + chunk >= len(data) else "upload"
        reply = server.send("POST", path, data[at:at + chunk], {
            "X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(at)})
        if reply[0] != 200:
            break
    return path, reply


class KillTest(row.RowTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = servers.scripted(cls.build, "--data", cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def test_kill_and_restart_lose_nothing_that_was_finished(self):
        _, reply = upload(self.server, b"Zone three." * 1000)
        name = json.loads(reply[2])["file"]["name"]
        upload(self.server, b"half" * 200_000, until=400_000)
        peers = []
        for dialect in DIALECTS:
            request = dialect.request("scripted/slow", [("user", "Count.")], stream=True)
            connection = self.server.connect()
            connection.request("POST", request.path, json.dumps(request.body))
            peers.append(connection)
        time.sleep(0.5)
        self.server.kill()
        for connection in peers:  # what comes is an end, never a hang
            try:
                connection.getresponse().read()
            except (http.client.HTTPException, OSError):
                pass
            connection.close()
        self.server.start()
        self.assertEqual(self.server.json(f"/v1beta/{name}")["sizeBytes"], str(11_000))
        self.assertEqual(len(self.server.json("/v1beta/files")["files"]), 1)
        for dialect in DIALECTS:
            self.assertAnswered(dialect.ask(self.server, "scripted/plain", "Hi"))


class DrainTest(row.RowTest):
    flags = ("--grace-s", "3")

    def test_sigterm_lets_streams_finish_and_ends_with_0(self):
        server = servers.scripted(self.build, "--grace-s", "20")
        with server:
            request = OPENAI.request("scripted/slow", [("user", "Count.")], max_tokens=20,
                                     stream=True)
            connection = server.connect()
            connection.request("POST", request.path, json.dumps(request.body))
            reply = connection.getresponse()
            reply.read(10)
            server.process.send_signal(signal.SIGTERM)
            data = reply.read()
            self.assertTrue(data.endswith(b"data: [DONE]\n\n"), data[-100:])
            self.assertEqual(server.process.wait(10), 0)

    def test_after_the_grace_streams_end_with_an_error(self):
        server = servers.scripted(self.build, "--grace-s", "1")
        with server:
            ended = {}

            def read(dialect):
                request = dialect.request("scripted/slow", [("user", "Count.")], stream=True)
                ended[dialect.name] = dialect.send(server, request)

            threads = [threading.Thread(target=read, args=(d,)) for d in DIALECTS]
            for thread in threads:
                thread.start()
            time.sleep(1)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for thread in threads:
                thread.join(15)
            self.assertEqual(server.process.wait(10), 0)
            self.assertLess(time.monotonic() - begin, 6)
            self.assertEqual(set(ended), {d.name for d in DIALECTS})
            for name, answer in ended.items():
                with self.subTest(dialect=name):
                    self.assertTrue(answer.error, answer.data[-200:])

    def test_a_second_signal_ends_at_once(self):
        server = servers.scripted(self.build, "--grace-s", "30")
        with server:
            request = OPENAI.request("scripted/slow", [("user", "Count.")], stream=True)
            connection = server.connect()
            connection.request("POST", request.path, json.dumps(request.body))
            connection.getresponse().read(10)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(5)


class BodyTest(row.RowTest):
    flags = ("--body-bytes", "100000", "--header-ms", "1000", "--pause-ms", "1000",
             "--write-ms", "2000")

    def test_too_large(self):
        for dialect in DIALECTS:
            with self.subTest(dialect=dialect.name):
                request = dialect.request("scripted/plain", [("user", "x" * 200_000)])
                status, _, data = self.server.post(request.path, request.body)
                self.assertEqual(status, 413, data[:200])
                self.assertIn("error", json.loads(data))

    def test_a_bomb(self):
        import gzip
        body = gzip.compress(json.dumps(
            OPENAI.request("scripted/plain", [("user", "x" * 50_000_000)]).body).encode())
        status, _, _ = self.server.send("POST", "/v1/chat/completions", body,
                                        {"Content-Encoding": "gzip"})
        self.assertEqual(status, 413)
        good = gzip.compress(json.dumps(
            OPENAI.request("scripted/plain", [("user", "Hi")]).body).encode())
        status, _, data = self.server.send("POST", "/v1/chat/completions", good,
                                           {"Content-Encoding": "gzip"})
        self.assertEqual(status, 200, data[:200])
        status, _, _ = self.server.send("POST", "/v1/chat/completions", good[:-9],
                                        {"Content-Encoding": "gzip"})
        self.assertEqual(status, 400)
        status, _, _ = self.server.send("POST", "/v1/chat/completions", b"{}",
                                        {"Content-Encoding": "br"})
        self.assertIn(status, (400, 415))

    def raw(self, data, wait_s=8):
        """What comes back until the server closes."""
        with socket.create_connection((self.server.host, self.server.port), wait_s) as peer:
            peer.sendall(data)
            try:
                return b"".join(iter(lambda: peer.recv(65536), b""))
            except ConnectionResetError:
                return b""

    def test_malformed_requests(self):
        for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
                     b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"GET / HTTP/1.1\r\nA: " + b"b" * 200_000 + b"\r\n\r\n"):
            with self.subTest(data=data[:60]):
                reply = self.raw(data)
                self.assertRegex(reply.split(b"\r\n")[0], rb"^(HTTP/1\.[01] (4\d\d|505) .*)?$")
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_a_head_that_drips(self):
        begin = time.monotonic()
        with socket.create_connection((self.server.host, self.server.port), 10) as peer:
            try:
                for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\n" * 3:
                    peer.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                pass
            self.assertLess(time.monotonic() - begin, 5, "it waited for all of it")

    def test_a_body_that_never_comes(self):
        begin = time.monotonic()
        self.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                 b"Content-Length: 1000\r\n\r\n{")
        self.assertLess(time.monotonic() - begin, 5)

    def test_a_client_that_reads_nothing(self):
        request = OPENAI.request("scripted/load", [("user", "number=7 tokens=9000")], stream=True)
        body = json.dumps(request.body).encode()
        peers = []
        for _ in range(4):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect((self.server.host, self.server.port))
            peer.sendall(f"POST {request.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                         f"{len(body)}\r\n\r\n".encode() + body)
            peers.append(peer)
        time.sleep(0.5)
        self.assertAnswered(OPENAI.ask(self.server, "scripted/load", "number=5 tokens=20"))
        end = time.monotonic() + 20
        while self.server.total("fourfold_requests_running", "scripted/load"):
            self.assertLess(time.monotonic(), end, "they are still written to")
            time.sleep(0.1)
        for peer in peers:
            peer.close()


class DiskTest(row.RowTest):
    """A data folder that is full: service goes on, what needs the disk says so."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a small file system can be made by root only")

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", cls.folder],
                              check=False, capture_output=True)
        cls.is_mounted = done.returncode == 0
        cls.server = servers.scripted(cls.build, "--data", cls.folder)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        if cls.is_mounted:
            subprocess.run(["umount", cls.folder], check=False)
        os.rmdir(cls.folder)

    def test_full(self):
        if not self.is_mounted:
            self.skipTest("no file system can be mounted here")
        _, reply = upload(self.server, b"x" * 2_000_000)
        self.assertGreaterEqual(reply[0], 400)
        self.assertIn("error", json.loads(reply[2]))
        for dialect in DIALECTS:
            self.assertAnswered(dialect.ask(self.server, "scripted/plain", "Hi"))
        self.assertFalse(self.server.json("/v1beta/files").get("files"))


class PortTest(row.RowTest):
    def test_a_port_in_use(self):
        done = subprocess.run([self.build / "fourfold", "serve", servers.KEEPER, "--port",
                               str(self.server.port)], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(self.server.port), done.stderr)

    def test_the_usual_port_of_ollama(self):
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", 11434))
            except OSError:
                self.skipTest("11434 is taken")
        with servers.Server([self.build / "fourfold", "serve", servers.KEEPER, "--port",
                             "11434"]) as server:
            self.assertEqual(server.port, 11434)
            self.assertAnswered(GEMINI.ask(server, "keeper", "Hi", max_tokens=3))


if __name__ == "__main__":
    row.main()
