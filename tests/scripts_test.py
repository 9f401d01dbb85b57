#!/usr/bin/env python3
"""What ./run makes of its arguments, and what it does on a machine where packages are missing."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS_OF_RUN = ["bash", "dirname", "env", "find", "grep", "mkdir", "mv", "nproc", "touch"]
ECHO_ARGUMENTS = '#!/bin/sh\nfor a in "$@"; do printf "[%s]" "$a"; done\n'


def write_script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class RunScript(unittest.TestCase):
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

        self.demonstration = self.top / "cache" / "downloads" / "gemma-3-270m-q4_k_m.gguf"
        self.demonstration.parent.mkdir(parents=True)
        self.demonstration.touch()
        (self.top / "a folder").mkdir()
        self.environment = dict(os.environ, FOURFOLD_CACHE_DIR=str(self.top / "cache"))

    def run_script(self, *arguments):
        return subprocess.run([self.checkout / "run", *arguments], cwd=self.top, text=True,
                              env=self.environment, capture_output=True, stdin=subprocess.DEVNULL)

    def test_a_model_is_run_with_the_arguments_as_they_are(self):
        for arguments in (["x.gguf", "Hi there"], ["a folder", "-n", "5"],
                          ["--temp", "0.5", "-q", "x.gguf"], ["--json", "-n5", "x.gguf", "Hi"],
                          ["--seed=1", "--", "x.gguf"]):
            with self.subTest(arguments):
                expected = "".join(f"[{a}]" for a in ["run", *arguments])
                self.assertEqual(self.run_script(*arguments).stdout, expected)

    def test_anything_else_is_the_prompt_of_the_demonstration_model(self):
        for arguments in ([], ["Once", "upon"], ["-n", "5", "Hi"], ["--temp", "a folder", "Hi"],
                          ["-q"], ["--", "-q"], ["-n"]):
            with self.subTest(arguments):
                first = ["run", str(self.demonstration), "--temp", "0"]
                expected = "".join(f"[{a}]" for a in [*first, *arguments])
                self.assertEqual(self.run_script(*arguments).stdout, expected)

    def test_build_ends_without_running(self):
        result = self.run_script("--build", "x.gguf")
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def replace_path(self, **programs):
        """Leaves only the tools that ./run is known to use, and these stand-ins."""
        folder = self.top / "bin"
        for tool in TOOLS_OF_RUN:
            write_script(folder / tool, f'#!/bin/sh\nexec {shutil.which(tool)} "$@"\n')
        for name, text in programs.items():
            write_script(folder / name.replace("_", "-"), f"#!/bin/sh\n{text}\n")
        self.environment["PATH"] = str(folder)

    def test_without_root_and_sudo_it_prints_the_line_to_type(self):
        self.program.unlink()
        self.replace_path(dpkg_query="echo installed cmake", apt_get="exit 0", id="echo 1000")
        result = self.run_script("x.gguf")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("run: installing g++ (compiler)\n", result.stderr)
        self.assertRegex(result.stderr, r"\n  apt-get install --no-install-recommends g\+\+ make ninja")

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


if __name__ == "__main__":
    unittest.main()
