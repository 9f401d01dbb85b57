#!/usr/bin/env python3
"""Many clients at once, in all dialects (http-apis.md 8.1, "Load").

    load_test.py BUILD [--seconds 60] [--soak] [--clients 64] [--report FILE]

Every prompt carries a number, which the scripted model repeats among every ten tokens. Nothing may
be mixed up, nothing lost, memory and descriptors stay flat. With --soak ten minutes, and idle
connections beside it.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import pathlib
import random
import re
import socket
import sys
import threading
import time

import dialects
import servers

SIZES = [(20, 8), (200, 4), (1000, 2), (4000, 1)]  # prompt tokens, how often
PREFIX = "The rules of the greenhouse are these. "
FILLER = "soil "


@dataclasses.dataclass
class Record:
    size: int
    first_s: float = 0.0
    gaps_s: list = dataclasses.field(default_factory=list)
    n_tokens: int = 0
    cancelled: bool = False
    problem: str = ""


class Words:
    """Texts of about so many tokens, by the tokenizer of the server."""

    def __init__(self, server):
        self.per_filler = self._count(server, FILLER * 50) / 50
        per_prefix = self._count(server, PREFIX * 10) / 10
        self.shared = PREFIX * int(1000 / per_prefix)

    @staticmethod
    def _count(server, text):
        return len(server.json("/tokenize", {"model": "scripted/load", "content": text})["tokens"])

    def text(self, n):
        return FILLER * max(0, int(n / self.per_filler))


class Client(threading.Thread):
    def __init__(self, server, words, seed, end):
        super().__init__(daemon=True)
        self.server, self.words, self.end = server, words, end
        self.dice = random.Random(seed)
        self.records = []

    def run(self):
        sizes = [size for size, weight in SIZES for _ in range(weight)]
        while time.monotonic() < self.end:
            size = self.dice.choice(sizes)
            record = Record(size)
            try:
                self.ask(record)
            except Exception as error:  # is told in the report
                record.problem = f"{type(error).__name__}: {error}"
            self.records.append(record)

    def ask(self, record):
        dice = self.dice
        dialect = dice.choice(dialects.DIALECTS)
        number, n_tokens = dice.randrange(10 ** 6, 10 ** 7), dice.randint(10, 500)
        system = self.words.shared if dice.random() < 0.25 else None
        left = record.size - (1000 if system else 0) - 20
        text = f"{self.words.text(left)} number={number} tokens={n_tokens}"
        leave_after = dice.randint(0, n_tokens) if dice.random() < 0.1 else None
        request = dialect.request("scripted/load", [("user", text)], system=system, stream=True)
        connection = self.server.connect(120)
        begin = last = time.monotonic()
        data = b""
        try:
            body = json.dumps(request.body).encode()
            try:
                connection.request("POST", request.path, body)
            except BrokenPipeError as error:  # it was refused before all of it was sent
                waited = time.monotonic() - begin
                raise RuntimeError(f"{len(body)} bytes were not taken, after {waited:.1f} s: "
                                   f"{connection.sock and connection.sock.recv(300)}") from error
            reply = connection.getresponse()
            if reply.status != 200:
                raise RuntimeError(f"{dialect.name}: status {reply.status}: {reply.read(300)!r}")
            n_pieces = 0
            while piece := reply.read1(65536):
                now = time.monotonic()
                if n_pieces == 0:
                    record.first_s = now - begin
                else:
                    record.gaps_s.append(now - last)
                last, n_pieces = now, n_pieces + 1
                data += piece
                if leave_after is not None and n_pieces > leave_after:
                    record.cancelled = True
                    return
        finally:
            connection.close()
        answer = dialects.Answer()
        dialect.read_stream(data, answer)
        record.n_tokens = answer.output
        self.check(record, dialect, answer, number, n_tokens)

    @staticmethod
    def check(record, dialect, answer, number, n_tokens):
        if answer.error:
            record.problem = f"{dialect.name}: {answer.error}"
        elif not answer.finish:
            record.problem = f"{dialect.name}: no finish: {answer.data[-200:]!r}"
        elif answer.output != n_tokens:
            record.problem = f"{dialect.name}: {answer.output} tokens, asked for {n_tokens}"
        else:
            *numbers, last = re.findall(r"\d+", answer.text) or [""]
            if any(found != str(number) for found in numbers) or not str(number).startswith(last):
                record.problem = f"{dialect.name}: {number} became {answer.text[:200]!r}"


class IdleConnections:
    def __init__(self, server, n):
        self.peers = []
        for _ in range(n):
            self.peers.append(socket.create_connection((server.host, server.port), 30))

    def close(self):
        for peer in self.peers:
            peer.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def report(records, seconds):
    lines = [f"{'prompt':>7} {'answers':>8} {'left':>5} {'tok/s':>8} {'first p50':>10} "
             f"{'first p99':>10} {'gap p50':>8} {'gap p99':>8} {'largest':>8}   (ms)"]
    for size in [*(size for size, _ in SIZES), None]:
        chosen = [r for r in records if size in (None, r.size)]
        gaps = [gap for r in chosen for gap in r.gaps_s]
        firsts = [r.first_s for r in chosen if r.first_s]
        tokens = sum(r.n_tokens for r in chosen)
        lines.append(
            f"{size or 'all':>7} {len(chosen):8} {sum(r.cancelled for r in chosen):5} "
            f"{tokens / seconds:8.0f} {1000 * percentile(firsts, .5):10.1f} "
            f"{1000 * percentile(firsts, .99):10.1f} {1000 * percentile(gaps, .5):8.2f} "
            f"{1000 * percentile(gaps, .99):8.2f} {1000 * max(gaps, default=0):8.1f}")
    return lines


def requests_by_reason(server):
    """How all generations that the server has counted came to an end; other requests have no
    reason."""
    reasons = collections.Counter()
    for key, value in server.metrics().items():
        name, _, labels = key.partition("{")
        reason = re.search('reason="([^"]+)"', labels)
        if name == "fourfold_requests_total" and reason:
            reasons[reason[1]] += int(value)
    return reasons


def wait_idle(server, most_s=15):
    end = time.monotonic() + most_s
    while server.total("fourfold_requests_running") + server.total("fourfold_requests_waiting"):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def check_live(build, n_answers=50, n_threads=16):
    """Answers of the default body in company equal those of the same requests alone."""
    dice = random.Random(8)
    words = ("fan", "pump", "lamp", "vent", "heater", "tomatoes", "zone", "soil", "noon", "water")
    asked = [(dice.choice(dialects.DIALECTS),
              " ".join(dice.choices(words, k=dice.choice((4, 12, 60)))), dice.randint(8, 60))
             for _ in range(n_answers)]
    problems = []
    with servers.live(build) as server, concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
        def ask(question):
            dialect, text, n_tokens = question
            temperature = {"gemini": {"generationConfig": {"temperature": 0}},
                           "ollama": {"options": {"temperature": 0}}}.get(dialect.name,
                                                                          {"temperature": 0})
            answer = dialect.ask(server, "keeper", text, max_tokens=n_tokens, **temperature)
            return answer.text, answer.calls, answer.finish, answer.error

        together = list(pool.map(ask, asked))
        for question, answer in zip(asked, together):
            alone = ask(question)
            if answer != alone or answer[3]:
                problems.append(f"{question[0].name}: {answer} in company, {alone} alone")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--report", type=pathlib.Path)
    arguments = parser.parse_args()
    seconds = 600 if arguments.soak else arguments.seconds
    problems = []

    # Little memory for a long run: its prefix cache is full before two minutes have passed.
    flags = ["--memory-mib", "1600"] if arguments.soak else []
    with servers.scripted(arguments.build.resolve(), "--log-debug", "0", *flags) as server:
        words = Words(server)
        dialects.OPENAI.ask(server, "scripted/load", "number=1 tokens=10")  # all pools are there
        time.sleep(0.5)  # until it is counted
        before = requests_by_reason(server)
        n_descriptors = server.n_descriptors()
        idle = IdleConnections(server, 5000) if arguments.soak else None
        begin = time.monotonic()
        clients = [Client(server, words, i, begin + seconds) for i in range(arguments.clients)]
        for client in clients:
            client.start()

        resident = []  # (seconds, bytes)
        while any(client.is_alive() for client in clients):
            resident.append((time.monotonic() - begin, server.resident_bytes()))
            if server.process.poll() is not None:
                print(f"the server ended with {server.process.returncode}:\n{server.log()}")
                return 1
            if resident[-1][0] > seconds + 120:
                problems.append("clients hang")
                break
            time.sleep(1)
        taken = time.monotonic() - begin
        if idle:
            idle.close()

        records = [record for client in clients for record in client.records]
        problems += [record.problem for record in records if record.problem]
        if not wait_idle(server):
            problems.append("the server still runs requests of clients that have gone")

        # Started = finished + cancelled + refused.
        counted = requests_by_reason(server) - before
        if sum(counted.values()) != len(records):
            problems.append(f"{len(records)} requests, the metrics tell of {dict(counted)}")
        n_left = sum(record.cancelled for record in records)
        if counted["abort"] > n_left:
            problems.append(f"{counted['abort']} counted as abort, {n_left} clients left")

        # Flat, once the prefix cache is full.
        settled = [size for at, size in resident if at > 120]
        if arguments.soak and settled[-1] > 1.02 * settled[0]:
            problems.append(f"resident memory grew from {settled[0]} to {settled[-1]} bytes")
        end = time.monotonic() + 20
        while server.n_descriptors() > n_descriptors and time.monotonic() < end:
            time.sleep(0.2)
        if server.n_descriptors() > n_descriptors:
            problems.append(f"{server.n_descriptors()} descriptors, {n_descriptors} at the start")

        lines = report(records, taken)
        lines += [f"{len(records)} requests in {taken:.0f} s, by the server: {dict(counted)}",
                  f"resident: {resident[0][1] >> 20} MiB at first, {resident[-1][1] >> 20} MiB at last, "
                  f"at most {max(size for _, size in resident) >> 20} MiB"]
    problems += check_live(arguments.build.resolve())
    text = "\n".join(lines)
    print(text)
    if arguments.report:
        arguments.report.write_text(text + "\n")
    for problem in list(dict.fromkeys(problems))[:20]:
        print("PROBLEM", problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
