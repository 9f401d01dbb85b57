"""Runs `fourfold` on one model for the evaluation."""

import concurrent.futures
import json
import pathlib
import subprocess
import tempfile


class ProgramError(Exception):
    pass


class Program:
    def __init__(self, path, model, jobs=1):
        self.path, self.model, self.jobs = pathlib.Path(path), pathlib.Path(model), jobs
        for file in (self.path, self.model):
            if not file.exists():
                raise ProgramError(f"{file}: no such file")

    def answers(self, requests, flags=()):
        """Of `run`, in their order. Greedy: the same answers every time."""
        # One process a processor, with neighbours together: they share the beginning of a prompt.
        size = -(-len(requests) // self.jobs) or 1
        parts = [requests[start:start + size] for start in range(0, len(requests), size)]
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            answered = list(pool.map(lambda part: self.run_lines(part, flags), parts))
        return [answer for part in answered for answer in part]

    def run_lines(self, requests, flags):
        return self.lines("run", requests, "--temp", "0", "-t", "1", *flags)

    def lines(self, command, requests, *flags):
        """One JSON value of the command's answer for each request."""
        with tempfile.TemporaryFile() as lines:  # a pipe could fill up while it waits to be read
            for request in requests:
                lines.write(json.dumps(request).encode() + b"\n")
            lines.seek(0)
            out = self.call(command, self.model, "--lines", "--json", *flags, stdin=lines)
        answers = [json.loads(line) for line in out.splitlines()]
        if len(answers) != len(requests):
            raise ProgramError(f"{command}: {len(answers)} answers to {len(requests)} requests")
        return answers

    def perplexity(self, text):
        return json.loads(self.call("eval", self.model, "--text", text, "--json"))

    def version(self):
        return self.call("--version").decode().strip()

    def call(self, *arguments, stdin=subprocess.DEVNULL):
        command = [str(self.path), *map(str, arguments)]
        done = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
        if done.returncode != 0:
            raise ProgramError(f"{' '.join(command)}: status {done.returncode}: "
                               f"{done.stderr.decode(errors='replace')[-2000:].strip()}")
        return done.stdout
