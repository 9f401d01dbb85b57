#!/usr/bin/env python3
"""run at a terminal: the prompt, its commands, editing, history, Ctrl-C."""

import os
import pathlib
import pty
import re
import select
import signal
import tempfile
import termios
import time

import harness
from run_test import ENDLESS

CTRL_A, CTRL_C, CTRL_D, UP = b"\x01", b"\x03", b"\x04", b"\x1b[A"
PROMPT = "\n>>> "  # libedit may draw a line again, but only a new one begins so


class Terminal:
    """The program at a terminal of its own, and a person who types."""

    def __init__(self, program, *arguments, env):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(program, [program, *map(str, arguments)], env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, keys):
        os.write(self.fd, keys if isinstance(keys, bytes) else keys.encode())

    def enter(self, line):
        self.type(line + "\r")

    def read(self, timeout):
        if select.select([self.fd], [], [], timeout)[0]:
            try:
                chunk = os.read(self.fd, 1 << 16)
            except OSError:  # the other end is closed
                chunk = b""
            self.shown += chunk.decode(errors="replace")
            return bool(chunk)
        return False

    def wait_for(self, text, timeout=10):
        """Until the text is shown; what was shown up to its end is returned and forgotten."""
        end = time.monotonic() + timeout * harness.SLOW
        while text not in self.plain():
            if time.monotonic() > end:
                raise AssertionError(f"{text!r} did not come, but {self.shown!r}")
            self.read(0.1)
        shown, _, rest = self.plain().partition(text)
        self.shown = rest
        return shown + text

    def plain(self):
        """Without escape sequences."""
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", "", self.shown)

    def status(self, timeout=10):
        end = time.monotonic() + timeout * harness.SLOW
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"still running: {self.shown!r}")


class DialogueTest(harness.ProgramTest):
    def terminal(self, *flags, env=None):
        environment = {**harness.ENVIRONMENT, **(env or {})}
        return Terminal(self.program, "run", self.model(), *flags, env=environment)


class Dialogue(DialogueTest):
    def test_answers_and_asks_again_until_ctrl_d(self):
        with self.terminal("-n", "4") as terminal:
            for _ in range(2):
                terminal.wait_for(PROMPT)
                terminal.enter("hello")
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_D)
            self.assertEqual(terminal.status(), 0)

    def test_knows_its_commands(self):
        with self.terminal("-n", "4") as terminal:
            terminal.wait_for(PROMPT)
            for line, shown in [("/help", "/system TEXT"), ("/stats", "no answer so far"),
                                ("/hlep", "did you mean /help?"), ("/system Be brief.", "brief."),
                                ("/clear", "clear")]:
                terminal.enter(line)
                terminal.wait_for(shown)
                terminal.wait_for(PROMPT)
            terminal.enter("hello")
            terminal.wait_for(PROMPT)
            terminal.enter("/stats")
            terminal.wait_for("tok/s")
            terminal.enter("/bye")
            self.assertEqual(terminal.status(), 0)

    def test_takes_several_lines_between_quotes(self):
        with self.terminal("-n", "2", "-v") as terminal:
            terminal.wait_for(PROMPT)
            terminal.enter('"""one')
            terminal.wait_for("... ")
            terminal.enter('two"""')
            # <bos>, <|turn>user⏎, one⏎two, <turn|>⏎, <|turn>model⏎
            terminal.wait_for(f"prefill {1 + 6 + 7 + 2 + 7} tokens")

    def test_edits_lines_and_remembers_them(self):
        with tempfile.TemporaryDirectory() as folder:
            history = pathlib.Path(folder, "fourfold", "history")
            with self.terminal("-n", "1", env={"XDG_STATE_HOME": folder}) as terminal:
                terminal.wait_for(PROMPT)
                terminal.type("lo, wörld")
                terminal.type(CTRL_A)
                terminal.enter("hel")
                terminal.wait_for(PROMPT)
                terminal.enter("/bye")
                self.assertEqual(terminal.status(), 0)
            self.assertEqual(history.stat().st_mode & 0o777, 0o600)
            with self.terminal("-n", "1", env={"XDG_STATE_HOME": folder}) as terminal:
                terminal.wait_for(PROMPT)
                terminal.type(UP + UP)
                terminal.wait_for("hello, wörld")

    def test_keeps_no_history_when_told(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"XDG_STATE_HOME": folder, "FOURFOLD_HISTORY": "0"}
            with self.terminal("-n", "1", env=env) as terminal:
                terminal.wait_for(PROMPT)
                terminal.enter("hello")
                terminal.wait_for(PROMPT)
                terminal.enter("/bye")
                self.assertEqual(terminal.status(), 0)
            self.assertEqual(os.listdir(folder), [])


class DroppedFiles(DialogueTest):
    FILES = harness.ROOT / "tests" / "e2e" / "media"

    def model(self, case="e2b_like"):
        return str(self.build / "golden" / "multimodal" / case / "model.gguf")

    def test_become_parts_of_the_line(self):
        with tempfile.TemporaryDirectory() as folder:
            picture = pathlib.Path(folder, "a picture.png")
            picture.write_bytes((self.FILES / "picture.png").read_bytes())
            spellings = [f"'{picture}' what?", f'what? "{picture}"',
                         str(picture).replace(" ", "\\ "), picture.as_uri() + " what?"]
            with self.terminal("-n", "1", "--budget", "70") as terminal:
                terminal.wait_for(PROMPT)
                for line in spellings:
                    terminal.enter("/clear")
                    terminal.wait_for(PROMPT)
                    terminal.enter(line)
                    terminal.wait_for(f"with {picture}")
                    terminal.wait_for("image: 256x192 seen as 432x336, 65 tokens")
                    terminal.wait_for(PROMPT)
                # No file, no medium: words, and a command.
                terminal.enter(f"{self.FILES / 'none.png'} {self.FILES.parent / 'row.py'}")
                terminal.wait_for("unknown (did you mean")
                terminal.wait_for(PROMPT)
                terminal.enter("/bye")
                self.assertEqual(terminal.status(), 0)

    def test_those_of_the_command_line_go_with_the_first_words(self):
        picture = self.FILES / "picture.png"
        with self.terminal("-n", "1", "--image", picture) as terminal:
            terminal.wait_for(PROMPT)
            terminal.enter("what?")
            terminal.wait_for("image: 256x192")
            terminal.wait_for(PROMPT)
            terminal.enter("and?")
            self.assertNotIn("image: ", terminal.wait_for(PROMPT))
            terminal.enter("/bye")
            self.assertEqual(terminal.status(), 0)


class PlainTerminal(DialogueTest):
    def test_gets_no_escape_codes(self):
        with self.terminal("-n", "2", "--seed", "1", env={"TERM": "dumb"}) as terminal:
            terminal.wait_for(PROMPT)
            terminal.enter("hello")
            self.assertNotIn("\x1b", terminal.shown + terminal.wait_for(PROMPT))
            terminal.type(CTRL_C)
            terminal.wait_for("Ctrl-D or /bye")
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_D)
            self.assertEqual(terminal.status(), 0)


class CtrlC(DialogueTest):
    def test_stops_the_answer_and_not_the_program(self):
        with self.terminal("-n", "100000", *ENDLESS) as terminal:
            terminal.wait_for(PROMPT)
            terminal.enter("hello")
            terminal.wait_for("hello\r\n")
            terminal.read(5)  # it speaks
            time.sleep(1)
            terminal.type(CTRL_C)
            terminal.wait_for(PROMPT)
            terminal.enter("/stats")
            terminal.wait_for("decode")
            terminal.enter("/bye")
            self.assertEqual(terminal.status(), 0)

    def test_at_the_prompt_tells_how_to_leave(self):
        with self.terminal() as terminal:
            terminal.wait_for(PROMPT)
            terminal.type(b"half a line" + CTRL_C)
            terminal.wait_for("Ctrl-D or /bye")
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_D)
            self.assertEqual(terminal.status(), 0)

    def test_twice_ends_with_130_and_leaves_the_terminal_as_it_was(self):
        with self.terminal() as terminal:
            before = termios.tcgetattr(terminal.fd)
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_C)
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_C)
            self.assertEqual(terminal.status(), 130)
            self.assertEqual(termios.tcgetattr(terminal.fd), before)

    def test_survives_being_stopped(self):
        with self.terminal("-n", "2") as terminal:
            terminal.wait_for(PROMPT)
            terminal.type("half")
            terminal.wait_for("half")
            os.kill(terminal.pid, signal.SIGTSTP)
            os.waitpid(terminal.pid, os.WUNTRACED)
            os.kill(terminal.pid, signal.SIGCONT)
            terminal.wait_for(">>> half")
            terminal.enter("")
            terminal.wait_for(PROMPT)
            terminal.type(CTRL_D)
            self.assertEqual(terminal.status(), 0)


if __name__ == "__main__":
    harness.main()
