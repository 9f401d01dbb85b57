#!/usr/bin/env python3
"""The limits of HTTP on the whole server: heads, bodies, codings, crowds.

    http_limits_test.py BUILD            half a minute
    http_limits_test.py BUILD --soak     also 5,000 idle connections
"""

import contextlib
import gzip
import json
import pathlib
import resource
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import servers  # noqa: E402

MIB = 1 << 20
MOST_BODY = 256 * MIB
N_IDLE = 5000
MOST_IDLE_BYTES = 8 * 1024  # of memory for each

PATHS = {  # a path of each dialect, and what its errors begin with
    "/v1beta/models/scripted/plain:generateContent": b'{"error":{"code":',
    "/v1/chat/completions": b'{"error":{"message":',
    "/api/chat": b'{"error":"',
    "/v1/messages": b'{"type":"error"',
}


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(servers.scripted(BUILD))

    def connect(self):
        peer = socket.create_connection((self.server.host, self.server.port), 60)
        self.addCleanup(peer.close)
        return peer

    def head(self, method, path, *headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.server.host}:{self.server.port}", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def read_to_end(self, peer):
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := peer.recv(65536):
                data += piece
        return data

    def until(self, condition, most_s=5):
        end = time.monotonic() + most_s
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    # Connections of the tests before may still be closing.
    def n_settled_descriptors(self):
        n_last = None
        while (n := self.server.n_descriptors()) != n_last:
            n_last = n
            time.sleep(0.5)
        return n

    def status(self, reply):
        self.assertRegex(reply, rb"^HTTP/1\.1 \d{3} ")
        return int(reply[9:12])

    def body(self, reply):
        return reply.split(b"\r\n\r\n", 1)[1]


class HttpLimits(HttpTest):
    def test_a_slow_head_ends_however_it_trickles(self):
        peer = self.connect()
        peer.sendall(b"GET /v1/models HTTP/1.1\r\n")
        peer.settimeout(0.5)
        begin = time.monotonic()
        reply = b""
        while not reply and time.monotonic() - begin < 15:
            peer.sendall(b"X: y\r\n")
            with contextlib.suppress(TimeoutError):
                reply = peer.recv(65536)
        self.assertEqual(self.status(reply), 408)
        self.assertLess(time.monotonic() - begin, 12)
        json.loads(self.body(reply))

    def test_a_large_head_is_refused_in_the_dialect(self):
        for path, start in PATHS.items():
            with self.subTest(path):
                peer = self.connect()
                with contextlib.suppress(OSError):  # it may answer before all is sent
                    peer.sendall(self.head("POST", path, "X: " + "x" * 100_000))
                reply = self.read_to_end(peer)
                self.assertEqual(self.status(reply), 431)
                self.assertTrue(self.body(reply).startswith(start), reply)

    def test_a_long_body_is_refused_by_its_length(self):
        for path, start in PATHS.items():
            with self.subTest(path):
                peer = self.connect()
                peer.sendall(self.head("POST", path, f"Content-Length: {MOST_BODY + 1}",
                                       "Expect: 100-continue"))
                reply = self.read_to_end(peer)
                self.assertEqual(self.status(reply), 413)
                self.assertTrue(self.body(reply).startswith(start), reply)

    def test_a_long_body_in_chunks_is_refused(self):
        peer = self.connect()
        peer.sendall(self.head("POST", "/v1/chat/completions", "Transfer-Encoding: chunked"))
        piece = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(MOST_BODY // MIB + 2):
                peer.sendall(piece)
        self.assertEqual(self.status(self.read_to_end(peer)), 413)

    def test_a_small_body_that_becomes_large_is_refused(self):
        bomb = gzip.compress(b" " * (MOST_BODY + 1), 6)
        status, _, data = self.server.send("POST", "/v1/chat/completions", bomb,
                                           {"Content-Encoding": "gzip"})
        self.assertEqual(status, 413, data)

    def test_what_is_refused_early_is_counted_and_told(self):
        def n_of(status):
            return self.server.total("fourfold_requests_total", f'status="{status}"')

        for expected, head in ((413, self.head("POST", "/api/chat",
                                               f"Content-Length: {MOST_BODY + 1}")),
                               (400, b"no request\r\n\r\n")):
            before = n_of(expected)
            peer = self.connect()
            peer.sendall(head)
            self.assertEqual(self.status(self.read_to_end(peer)), expected)
            self.assertEqual(n_of(expected), before + 1)
            self.assertIn(f" refused {expected} ", self.server.log())

    def test_an_encoded_request_is_read(self):
        body = json.dumps({"model": "scripted/plain",
                           "messages": [{"role": "user", "content": "Hello"}]}).encode()
        status, _, data = self.server.send("POST", "/v1/chat/completions", gzip.compress(body),
                                           {"Content-Encoding": "gzip"})
        self.assertEqual(status, 200, data)
        status, _, data = self.server.send("POST", "/v1/chat/completions", body,
                                           {"Content-Encoding": "br"})
        self.assertEqual(status, 400, data)
        self.assertIn(b"Content-Encoding", data)

    def test_a_stranger_s_page_is_refused_before_its_body(self):
        peer = self.connect()
        peer.sendall(self.head("POST", "/api/chat", "Origin: https://evil.example",
                               "Expect: 100-continue", "Content-Length: 10"))
        reply = self.read_to_end(peer)
        self.assertEqual(self.status(reply), 403)
        self.assertNotIn(b"Access-Control", reply)

    def test_descriptors_come_back(self):
        before = self.n_settled_descriptors()
        peers = [self.connect() for _ in range(100)]
        for number, peer in enumerate(peers):
            peer.sendall(self.head("GET", "/health") if number % 2 else b"GET /hea")
        self.until(lambda: self.server.n_descriptors() >= before + 100)
        for peer in peers:
            peer.close()
        self.until(lambda: self.server.n_descriptors() <= before)


@unittest.skipUnless("--soak" in sys.argv, "a soak test")
class Crowd(HttpTest):
    def test_idle_connections_cost_little(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        ask = self.head("GET", "/health")
        before = 0
        for number in range(N_IDLE + 100):
            peer = self.connect()
            peer.sendall(ask)
            self.assertEqual(self.status(peer.recv(65536)), 200)
            if number == 99:  # what the first ones cost is not theirs alone
                before = self.server.resident_bytes()
        per_connection = (self.server.resident_bytes() - before) / N_IDLE
        print(f"{per_connection:.0f} bytes for an idle connection")
        self.assertLess(per_connection, MOST_IDLE_BYTES)
        begin = time.monotonic()
        self.server.json("/v1/chat/completions",
                         {"model": "scripted/plain",
                          "messages": [{"role": "user", "content": "Hello"}]})
        self.assertLess(time.monotonic() - begin, 5)


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *[word for word in sys.argv[2:] if word != "--soak"]])
