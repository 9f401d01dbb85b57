#!/usr/bin/env python3
"""R12: clients that leave, in each phase, streamed and not; and one that only stops sending."""

import http.client
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import row  # noqa: E402
from dialects import ANTHROPIC, DIALECTS, OPENAI, RESPONSES  # noqa: E402

RUNNING, WAITING = "fourfold_requests_running", "fourfold_requests_waiting"


def raw_request(server, request):
    body = json.dumps(request.body).encode()
    return (f"POST {request.path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def read_reply(peer):
    reply = http.client.HTTPResponse(peer)
    reply.begin()
    return (reply.status, {name.lower(): value for name, value in reply.getheaders()},
            reply.read())


class R12(row.RowTest):
    def open(self, request):
        peer = socket.create_connection((self.server.host, self.server.port), 30)
        peer.sendall(raw_request(self.server, request))
        return peer

    def until(self, condition, most_s, what):
        begin = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - begin, most_s, what)
            time.sleep(0.02)
        return time.monotonic() - begin

    def busy(self, model, name=RUNNING):
        return self.server.total(name, model) > 0

    def leave_in(self, model, wait_s, most_s):
        for i, dialect in enumerate(DIALECTS):
            for stream in row.STREAMED:
                with self.subTest(dialect=dialect.name, stream=stream):
                    before = self.server.total("fourfold_requests_total", "abort")
                    # Long, and not in the prefix cache.
                    text = f"{i} {stream} " + "Read this. " * 400
                    peer = self.open(dialect.request(model, [("user", text)], stream=stream))
                    self.until(lambda: self.busy(model), 5, "it never ran")
                    time.sleep(wait_s)
                    peer.close()
                    self.until(lambda: not self.busy(model), most_s, "it runs on")
                    self.until(lambda b=before: self.server.total("fourfold_requests_total",
                                                                  "abort") == b + 1,
                               2, "not counted as abort")

    def test_in_decode(self):
        self.leave_in("scripted/slow", 0.5, 0.5)

    def test_in_prefill(self):
        self.leave_in("scripted/slow-prefill", 0.2, 1.5)  # a chunk of 256 rows of 2 ms, and spare

    def test_in_the_queue(self):
        model = "scripted/busy-js"  # one at a time
        request = OPENAI.request(model, [("user", "Hi")], stream=True)
        first = self.open(request)
        self.until(lambda: self.busy(model), 5, "it never ran")
        second = self.open(request)
        self.until(lambda: self.busy(model, WAITING), 5, "it never waited")
        second.close()
        self.until(lambda: not self.busy(model, WAITING), 0.5, "it waits on")
        first.close()

    def test_half_closed_clients_get_their_answer(self):
        for dialect in DIALECTS:
            for stream in row.STREAMED:
                with self.subTest(dialect=dialect.name, stream=stream):
                    request = dialect.request("scripted/plain", [("user", "Hi")], stream=stream)
                    with self.open(request) as peer:
                        peer.shutdown(socket.SHUT_WR)
                        peer.settimeout(30)
                        status, headers, data = read_reply(peer)
                    answer = dialect.read(status, headers, data, stream)
                    self.assertAnswered(answer)
                    self.assertTrue(answer.text.endswith("noon."), answer.text)

    def test_half_closed_and_slow(self):
        """Longer than a second: the probes are spaces, which JSON ignores."""
        request = OPENAI.request("scripted/slow", [("user", "Count.")], max_tokens=25)
        with self.open(request) as peer:
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(30)
            _, _, data = read_reply(peer)
        self.assertEqual(json.loads(data)["usage"]["completion_tokens"], 25)

    def test_half_closed_and_then_gone(self):
        model = "scripted/slow"
        peer = self.open(OPENAI.request(model, [("user", "Count.")]))
        peer.shutdown(socket.SHUT_WR)
        self.until(lambda: self.busy(model), 5, "it never ran")
        time.sleep(0.3)
        self.assertTrue(self.busy(model), "a half-closed client is still there")
        peer.close()
        self.until(lambda: not self.busy(model), 4, "it runs on")

    def test_nothing_is_stored(self):
        request = RESPONSES.request("scripted/slow", [("user", "Count.")], stream=True)
        request.body["store"] = True
        with self.open(request) as peer:
            data = b""
            while b'"id":"resp_' not in data.replace(b" ", b""):
                data += peer.recv(4096)
        name = data[data.index(b"resp_"):].split(b'"')[0].decode()
        self.until(lambda: not self.busy("scripted/slow"), 2, "it runs on")
        self.assertEqual(self.server.get(f"/v1/responses/{name}")[0], 404)

    def test_cancel_route(self):
        request = RESPONSES.request("scripted/slow", [("user", "Count.")], stream=True)
        request.body["store"] = True
        with self.open(request) as peer:
            data = b""
            while b"output_text.delta" not in data:
                data += peer.recv(4096)
            name = data[data.index(b"resp_"):].split(b'"')[0].decode()
            status, _, reply = self.server.post(f"/v1/responses/{name}/cancel", {})
            self.assertEqual(status, 200, reply[:200])
            self.until(lambda: not self.busy("scripted/slow"), 1, "it runs on")

    def test_many_leave_at_once(self):
        model = "scripted/slow"
        peers = [self.open(dialect.request(model, [("user", f"Count, {i}.")], stream=True))
                 for i in range(4) for dialect in (OPENAI, ANTHROPIC)]
        self.until(lambda: self.server.total(RUNNING, model) == len(peers), 10, "not all run")
        threads = [threading.Thread(target=peer.close) for peer in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.until(lambda: not self.busy(model), 1, "some run on")


if __name__ == "__main__":
    row.main()
