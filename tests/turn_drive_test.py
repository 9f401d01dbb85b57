#!/usr/bin/env python3
"""Drives a body of random weights through turns at temperature 2 and checks every answer.

    turn_drive_test.py BUILD_FOLDER [--quick] [--runs N] [--seed N] [--keep FILE]

Random schemas and tool sets become request lines of `fourfold run --lines`; the answers are judged
by turn_drive/checks.py. One request in 100 is asked again, in other company. With --quick, a few
are driven without the validator, which may have to be installed. With --keep, requests and answers
are written down, a JSON line each.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "cli"))

import chat_body
import harness
import validator_venv
from turn_drive.checks import CUT, find_faults, read_json
from turn_drive.requests import AMPLE_TOKENS, RequestMaker

QUICK_RUNS = 60
BATCH = 50
TIMEOUT_S = 300  # of a batch
MAX_REPORTS = 5

# Both kinds of bodies, with and without an empty thought in the prompt; e2b takes thrice the time.
BODIES = ["31b"] * 19 + ["e2b"]

# Added to logits: without help random weights neither end nor call nor think, 1 piece in 4000.
HELP = {"\"": 8, "<|\"|>": 12, "<|channel>": 6, "<channel|>": 12, "<|tool_call>": 14,
        "<turn|>": 14, "<|tool_response>": 14}

# Answers with ample room that are cut nevertheless: long numbers and strings without end.
MAX_CUT_SHARE = 0.02


class Driver:
    def __init__(self, build):
        self.build = build
        self.program = build / "fourfold"
        self.body(BODIES[0]).parent.mkdir(exist_ok=True)
        for name in set(BODIES):
            self.make_body(name)
        self.help_flags = [flag for piece, extra in HELP.items()
                           for flag in ("--logit-bias", f"{self.token_id(piece)}={extra}")]

    def body(self, name):
        return self.build / "turn_drive" / f"{name}.gguf"

    def make_body(self, name):
        part = self.body(name).with_suffix(f".{os.getpid()}")  # another run may read the old one
        chat_body.make(part, self.build / "golden" / "text" / name / "model.gguf",
                       harness.TOKENIZERS / "tokenizer-small.gguf")
        part.replace(self.body(name))

    def token_id(self, piece):
        ids = subprocess.run([self.program, "tokenize", self.body(BODIES[0]), "--trusted"],
                             input=piece.encode(), capture_output=True, check=True).stdout.split()
        assert len(ids) == 1, piece
        return int(ids[0])

    def command(self, body):
        return [str(item) for item in (
            self.program, "run", self.body(body), "--lines", "--json", "--threads", 1,
            "--context", 16384, "--kv", "f32", "--top-k", 0, "--top-p", 1, *self.help_flags)]

    def answers(self, requests, body):
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        process = subprocess.run(self.command(body), input=lines.encode(), capture_output=True,
                                 env=harness.ENVIRONMENT, timeout=TIMEOUT_S, check=False)
        answers = [read_json(line) for line in process.stdout.splitlines()]
        notes = process.stderr.decode()
        if process.returncode != 0 or len(answers) != len(requests) or "not enforced" in notes:
            raise RuntimeError(f"status {process.returncode}, {len(answers)} answers to "
                               f"{len(requests)} requests: {notes[-2000:]}")
        return answers


class Drive:
    """Requests, their answers, and what is wrong with them."""

    def __init__(self, driver, requests, seed):
        self.driver, self.requests, self.seed = driver, requests, seed
        self.answers = [None] * len(requests)
        self.n_wrong = 0
        self.reports = {}  # the first of each kind

    def body_of(self, index):
        return BODIES[index // BATCH % len(BODIES)]

    def run(self):
        batches = [range(start, min(start + BATCH, len(self.requests)))
                   for start in range(0, len(self.requests), BATCH)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(self.run_batch, batches))
            list(pool.map(self.repeat, set(BODIES)))

    def run_batch(self, indices):
        requests = [self.requests[index] for index in indices]
        answers = self.driver.answers(requests, self.body_of(indices[0]))
        for index, answer in zip(indices, answers):
            self.answers[index] = answer
            self.report(index, find_faults(self.requests[index], answer))

    def repeat(self, body):
        """The same seed gives the same answer, whatever came before it."""
        own = [index for index in range(len(self.requests)) if self.body_of(index) == body]
        sample = random.Random(self.seed).sample(own, -(-len(own) // 100))
        answers = self.driver.answers([self.requests[index] for index in sample], body)
        for index, answer in zip(sample, answers):
            if outcome(answer) != outcome(self.answers[index]):
                self.report(index, [f"asked again: {json.dumps(answer, default=str)}"])

    def report(self, index, faults):
        if not faults:
            return
        self.n_wrong += 1
        what = "; ".join(faults)
        self.reports.setdefault(what, f"""request {index} of seed {self.seed}: {what}
  {" ".join(self.driver.command(self.body_of(index)))}
  {json.dumps(self.requests[index])}
  {json.dumps(self.answers[index], default=str)}""")


def outcome(answer):
    """What must not depend on anything but the request."""
    if "error" in answer:
        return answer
    usage = {key: value for key, value in answer["usage"].items() if key != "cached_tokens"}
    return {key: answer[key] for key in ("text", "thinking", "tool_calls", "finish")} | usage


def count(requests, answers):
    """What was driven, by kind and end, and how much of it was cut for lack of room."""
    counts = collections.Counter()
    for request, answer in zip(requests, answers):
        if "error" in answer:
            continue
        counts[answer["finish"]] += 1
        counts["calls"] += len(answer["tool_calls"])
        counts["thoughts"] += answer["thinking"] != ""
        counts["tokens"] += answer["usage"]["completion_tokens"]
        counts["prompt tokens"] += answer["usage"]["prompt_tokens"]
        if request["max_tokens"] >= AMPLE_TOKENS:
            counts["ample"] += 1
            counts["ample, but cut"] += answer["finish"] in CUT
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    if options.quick:
        options.runs = QUICK_RUNS
    else:
        validator_venv.enter()

    requests = RequestMaker(options.seed).make(options.runs)
    started = time.monotonic()
    drive = Drive(Driver(options.build.resolve()), requests, options.seed)
    drive.run()
    seconds = time.monotonic() - started
    program, checks = (resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN,
                                                           resource.RUSAGE_SELF))
    if options.keep:
        options.keep.write_text("".join(
            json.dumps({"request": request, "answer": answer}, default=str) + "\n"
            for request, answer in zip(requests, drive.answers)), "utf-8")

    counts = count(requests, drive.answers)
    print(f"{len(requests)} requests of seed {options.seed} in {seconds:.0f} s "
          f"(CPU: program {program.ru_utime:.0f} s, checks {checks.ru_utime:.0f} s):",
          ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
    cut_share = counts["ample, but cut"] / counts["ample"]
    if cut_share > MAX_CUT_SHARE:
        print(f"{cut_share:.1%} of the answers with ample room were cut, expected at most "
              f"{MAX_CUT_SHARE:.1%}")
    print(f"{drive.n_wrong} wrong")
    for report in list(drive.reports.values())[:MAX_REPORTS]:
        print(report)
    return 1 if drive.n_wrong or cut_share > MAX_CUT_SHARE else 0


if __name__ == "__main__":
    sys.exit(main())
