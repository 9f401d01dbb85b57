"""Talks to the program `fourfold`: a JSON request a line goes in, a JSON answer a line comes out.

    with fourfold.Model("gemma.gguf") as model:
        answer = model.ask([{"role": "user", "content": "Hello"}], max_tokens=50)
        print(answer["text"])

What goes wrong is raised as Failed, in words for the person at the terminal.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = ROOT / "build" / "release" / "fourfold"
TIME_TO_END_S = 10
MOST_ROUNDS = 8  # of tool calls, before an answer must have come


class Failed(Exception):
    pass


class Refused(Failed):
    """This request failed; the next may be asked."""


def find_program(given=None):
    program = given or (BUILT if BUILT.exists() else shutil.which("fourfold"))
    if not program:
        raise Failed("fourfold: no such program (./run --build makes it; --program names another)")
    return str(program)


class _Lines:
    """A command of the program that answers each line of JSON by one."""

    def __init__(self, *command):
        self._notes = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=self._notes)
        except OSError as error:
            raise Failed(f"{command[0]}: cannot be started: {error.strerror}") from None

    def ask(self, request):
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its last line, if any, says why
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Failed(self._how_it_ended())
        return read_answer(line)

    def close(self, at_once=False):
        if at_once:
            self._process.kill()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()
        ending = self._how_it_ended()
        self._notes.close()
        if self._process.returncode != 0 and not at_once:
            raise Failed(ending)

    def _how_it_ended(self):
        try:
            status = self._process.wait(TIME_TO_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._notes.seek(0)
        notes = self._notes.read().decode(errors="replace").strip()
        last = notes.splitlines()[-1] if notes else "it said nothing"
        return f"fourfold ended with status {status}: {last}"


def read_answer(line):
    """The JSON object that the program printed; its errors are raised."""
    try:
        answer = json.loads(line)
    except ValueError:
        raise Failed(f"fourfold printed what is no JSON: {line[:200]!r}") from None
    error = answer.get("error")
    if error:
        raise Refused(error["message"])
    return answer


class Model:
    """A chat model in a process of its own. `context` in tokens: what the program is to hold."""

    def __init__(self, path, program=None, context=None):
        self._program = find_program(program)
        self._path = str(path)
        self._run = self._render = None
        facts = self._inspect()
        if facts["kind"] != "model":
            raise Failed(f"{path}: {facts['kind']}, expected a model")
        self.context = min(facts["context"], context or facts["context"])
        flags = ["--context", str(self.context)] if context else []
        self._run = _Lines(self._program, "run", self._path, "--lines", "--json", "-q", *flags)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for process in filter(None, (self._render, self._run)):
            process.close(at_once=kind is not None)

    def ask(self, messages, **settings):
        """Settings are those of a request: tools, schema, think, max_tokens, seed and more."""
        return self._run.ask({"messages": messages, "temperature": 0} | settings)

    def n_tokens(self, messages, tools=(), think=False):
        """Tokens of the prompt that these become."""
        if not self._render:
            self._render = _Lines(self._program, "render", self._path, "--lines", "--json", "-q")
        tools = [{"type": "function", "function": tool} for tool in tools]
        request = {"messages": messages, "tools": tools, "enable_thinking": think}
        return len(self._render.ask(request)["ids"])

    def _inspect(self):
        try:
            result = subprocess.run([self._program, "inspect", self._path, "--json"],
                                    stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except OSError as error:
            raise Failed(f"{self._program}: cannot be started: {error.strerror}") from None
        if not result.stdout:
            raise Failed(result.stderr.decode(errors="replace").strip() or
                         f"{self._program} ended with status {result.returncode}")
        return read_answer(result.stdout)


def answer_with_tools(model, messages, tools, call, **settings):
    """Asks until an answer comes without tool calls, which `call(name, arguments)` carries out.

    Yields each answer as soon as it is there, and appends to `messages` what was said.
    """
    for _ in range(MOST_ROUNDS):
        answer = model.ask(messages, tools=tools, **settings)
        yield answer
        calls = [{"id": f"call-{len(messages)}-{i}", "type": "function",
                  "function": {"name": made["name"], "arguments": made["arguments"]}}
                 for i, made in enumerate(answer["tool_calls"])]
        messages.append({"role": "assistant", "content": answer["text"],
                         "reasoning": answer["thinking"], "tool_calls": calls})
        if not calls:
            return
        for made in calls:
            result = call(made["function"]["name"], made["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": made["id"],
                             "name": made["function"]["name"], "content": result})
    raise Refused(f"no answer after {MOST_ROUNDS} rounds of tool calls")


def count(text):
    """The type of an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} (expected a whole number of 1 or more)")
    return int(text)


def add_arguments(parser, model=None):
    """The flags that every example has."""
    model_name = model.relative_to(ROOT) if model else "required"
    parser.add_argument("--model", required=model is None, default=model, metavar="FILE",
                        help=f"GGUF file or safetensors folder ({model_name})")
    parser.add_argument("--program", metavar="FILE",
                        help="fourfold itself (build/release/fourfold, else the one on PATH)")


def run(main):
    """Calls main and ends as command lines do: what failed is one line, the status tells."""
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"{pathlib.Path(sys.argv[0]).stem}: error: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
