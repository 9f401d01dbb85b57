#!/usr/bin/env python3
"""What ./run makes of its arguments, and what it does on a machine where packages or the network
are missing.

    scripts_test.py PROGRAM
"""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS_OF_RUN = ["bash", "dirname", "env", "find", "grep", "mkdir", "mv", "nproc", "touch"]
GREETING = re.compile(r"^(Hello|Good to see you)! ", re.MULTILINE)
GREETING_S = 1.0  # from the start of ./run
SLOW = 10 if os.environ.get("FOURFOLD_SLOW_PROGRAM") else 1  # sanitizer builds
ECHO_ARGUMENTS = '#!/bin/sh\nfor a in "$@"; do printf "[%s]" "$a"; done\n'


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


program = ""


class Checkout(unittest.TestCase):
    """A checkout with a space in its path, whose built program prints its arguments."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.checkout = self.top / "check out"
        self.checkout.mkdir()
        shutil.copy(ROOT / "run", self.checkout)
        shutil.copytree(ROOT / "tools", self.checkout / "tools")
        (self.checkout / "src").mkdir()
        self.program = self.checkout / "build" / "release" / "fourfold"
        write_script(self.program, ECHO_ARGUMENTS)
        (self.program.parent / ".run-stamp").touch()

        self.keeper = self.checkout / "models" / "keeper" / "keeper.gguf"
        (self.top / "a folder").mkdir()
        self.environment = dict(os.environ)

    def run_script(self, *arguments):
        return subprocess.run([self.checkout / "run", *arguments], cwd=self.top, text=True,
                              env=self.environment, capture_output=True, stdin=subprocess.DEVNULL)

    def replace_path(self, **programs):
        """Leaves only the tools that ./run is known to use, and these stand-ins."""
        folder = self.top / "bin"
        for tool in TOOLS_OF_RUN:
            write_script(folder / tool, f'#!/bin/sh\nexec {shutil.which(tool)} "$@"\n')
        for name, text in programs.items():
            write_script(folder / name.replace("_", "-"), f"#!/bin/sh\n{text}\n")
        self.environment["PATH"] = str(folder)


class Arguments(Checkout):
    def test_a_model_is_run_with_the_arguments_as_they_are(self):
        for arguments in (["x.gguf", "Hi there"], ["a folder", "-n", "5"],
                          ["--temp", "0.5", "-q", "x.gguf"], ["--json", "-n5", "x.gguf", "Hi"],
                          ["--seed=1", "--", "x.gguf"]):
            with self.subTest(arguments):
                expected = "".join(f"[{a}]" for a in ["run", *arguments])
                self.assertEqual(self.run_script(*arguments).stdout, expected)

    def test_anything_else_is_the_prompt_of_the_keeper(self):
        for arguments in ([], ["Once", "upon"], ["-n", "5", "Hi"], ["--temp", "a folder", "Hi"],
                          ["-q"], ["--", "-q"], ["-n"], ["--quiet", "a", "folder"]):
            with self.subTest(arguments):
                first = ["run", str(self.keeper), "--temp", "0"]
                expected = "".join(f"[{a}]" for a in [*first, *arguments])
                self.assertEqual(self.run_script(*arguments).stdout, expected)

    def test_the_keeper_is_called_a_demonstration_unless_quiet(self):
        for arguments, is_told in ((["Hi"], True), (["--", "-q"], True), (["-q", "Hi"], False),
                                   (["Hi", "--quiet"], False), (["x.gguf", "Hi"], False)):
            with self.subTest(arguments):
                told = self.run_script(*arguments).stderr
                self.assertEqual("demonstration" in told, is_told, told)
                self.assertEqual("./run path/to/gemma-4-E2B-it.gguf" in told, is_told, told)

    def test_build_ends_without_running(self):
        result = self.run_script("--build", "x.gguf")
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_without_root_and_sudo_it_prints_the_line_to_type(self):
        self.program.unlink()
        self.replace_path(dpkg_query="echo installed cmake", apt_get="exit 0", id="echo 1000")
        result = self.run_script("x.gguf")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("run: installing g++ (compiler)\n", result.stderr)
        self.assertRegex(result.stderr,
                         r"\n  apt-get install --no-install-recommends g\+\+ make ninja")

    def test_a_failed_build_runs_nothing(self):
        self.program.unlink()
        log = self.top / "apt.log"
        self.replace_path(dpkg_query="echo installed cmake", apt_get=f'echo "$@" >>"{log}"',
                          id="echo 0", cmake="exit 1")
        result = self.run_script("x.gguf")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("run: the build failed\n", result.stderr)
        self.assertIn(" install -y --no-install-recommends g++ make ninja-build", log.read_text())

    def test_a_changed_source_starts_a_build_of_the_one_target(self):
        self.replace_path(dpkg_query="exit 0", apt_get="exit 0", id="echo 0",
                          cmake='echo "cmake $*" >&2')
        (self.checkout / "src" / "new.cpp").touch()
        os.utime(self.program.parent / ".run-stamp", (1, 1))
        built = self.run_script("x.gguf")
        again = self.run_script("x.gguf")
        self.assertIn("--target fourfold", built.stderr)
        self.assertEqual(built.stdout, "[run][x.gguf]")
        self.assertEqual((again.stdout, again.stderr), ("[run][x.gguf]", ""))


class FreshOfflineMachine(Checkout):
    """Built, and nothing else: no caches, no network, no Python. The program is the real one."""

    def setUp(self):
        super().setUp()
        shutil.copy(program, self.program)
        (self.checkout / "models").symlink_to(ROOT / "models")
        self.replace_path(apt_get="exit 1", sudo="exit 1")
        home = self.top / "home"
        home.mkdir()
        self.environment = {"PATH": self.environment["PATH"], "HOME": str(home), "TERM": "xterm"}

    def command(self, *arguments):
        """In a namespace without network interfaces, where the machine has them."""
        command = [self.checkout / "run", *arguments]
        unshare = shutil.which("unshare")
        offline = [unshare, "--user", "--map-root-user", "--net"]
        if unshare and subprocess.run([*offline, shutil.which("true")], check=False,
                                      capture_output=True).returncode == 0:
            return [*offline, *command]
        return command

    def test_answers_within_a_second(self):
        started = time.monotonic()
        result = subprocess.run(self.command("Hello"), cwd=self.top, env=self.environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        took = time.monotonic() - started
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, GREETING)
        self.assertLess(took, GREETING_S * SLOW)

    def test_greets_at_the_terminal_within_a_second(self):
        command = self.command()
        started = time.monotonic()
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(command[0], command, self.environment)
        shown = ""
        try:
            while not GREETING.search(shown) or "\ntry: " not in shown:
                left = started + GREETING_S * SLOW - time.monotonic()
                self.assertGreater(left, 0, shown)
                if select.select([terminal], [], [], left)[0]:
                    shown += os.read(terminal, 1 << 16).decode()
            os.write(terminal, b"/bye\r")
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    program = sys.argv.pop(1)
    unittest.main()
