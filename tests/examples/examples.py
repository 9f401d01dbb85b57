"""Starts the programs of examples/ for the tests of this folder."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path += [str(EXAMPLES), str(ROOT / "tests" / "cli")]

import chat_body  # noqa: E402
import harness  # noqa: E402

FAKE = pathlib.Path(__file__).with_name("fake_fourfold.py")
CONTEXT = 100_000  # of scripts that do not care


class ExampleTest(harness.ProgramTest):
    name = None  # of the example

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def random_model(self):
        """A body that answers nonsense, for the real program."""
        path = self.folder / "random-it.gguf"
        chat_body.make(path, self.model("e2b"), harness.TOKENIZERS / "tokenizer-small.gguf")
        return path

    def start_example(self, *arguments, env=None, **keywords):
        command = [sys.executable, "-B", EXAMPLES / f"{self.name}.py", *map(str, arguments)]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE,
                                env=harness.ENVIRONMENT | (env or {}), stdin=subprocess.PIPE,
                                stderr=subprocess.PIPE, **keywords)

    def call_example(self, *arguments, stdin=b"", env=None):
        begin = time.monotonic()
        process = self.start_example(*arguments, env=env)
        out, err = process.communicate(stdin, timeout=60 * harness.SLOW)
        return harness.Answer(process.returncode, out.decode(), err.decode(),
                              1000 * (time.monotonic() - begin))

    def script_flags(self, turns, context=CONTEXT):
        script = self.write("script.json", json.dumps({"context": context, "turns": turns}))
        return ["--program", FAKE, "--model", script]

    def play(self, *arguments, turns, context=CONTEXT, status=0, **keywords):
        """With a scripted model, whose script must be kept to."""
        n = 1 if self.name == "assist" else 0  # which takes a command first
        answer = self.call_example(*arguments[:n], *self.script_flags(turns, context),
                                   *arguments[n:], **keywords)
        self.assertEqual(answer.status, status, answer.err + answer.out)
        self.assertNotIn("fake_fourfold: error", answer.err)
        if status != 0:
            self.assertRegex(answer.err, rf"(?m)^{self.name}: error: .+\n\Z")
        return answer
