#!/usr/bin/env python3
"""Help, version, wrong usage, errors, settings: what needs no model's answer."""

import pathlib
import tempfile

import harness

COMMANDS = ["run", "complete", "tokenize", "detokenize", "render", "parse", "inspect", "convert", "eval",
            "bench", "debug logits"]


class Help(harness.ProgramTest):
    def test_alone_it_shows_the_commands_and_ends_with_2(self):
        answer = self.call()
        self.assertEqual((answer.status, answer.out), (2, b""))
        for command in COMMANDS:
            self.assertRegex(answer.err, rf"(?m)^  {command.split()[0]} ")

    def test_help_is_a_result(self):
        answer = self.call("--help")
        self.assertEqual((answer.status, answer.err), (0, ""))
        self.assertIn(b"usage: fourfold COMMAND", answer.out)

    def test_each_command_explains_itself_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command):
                answer = self.call(*command.split(), "--help")
                self.assertEqual((answer.status, answer.err), (0, ""))
                self.assertIn(f"usage: fourfold {command} ", answer.out.decode())
                self.assertIn("Example\n  ", answer.out.decode())
                self.assertIn(f"fourfold {command} gemma", answer.out.decode())

    def test_aliases_are_not_shown(self):
        shown = self.call("run", "--help").out.decode()
        for alias in ["--ctx-size", "-ub", "--n-predict", "--temperature"]:
            self.assertNotIn(alias, shown)

    def test_aliases_are_taken(self):
        answer = self.call("complete", self.model(), "--ctx-size=300", "-ub", "4",
                           "--n-predict", "2", "--temperature", "0", "--json", "hi")
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(answer.json["usage"]["completion_tokens"], 2)

    def test_version(self):
        answer = self.call("--version")
        self.assertEqual(answer.status, 0)
        self.assertRegex(answer.out, rb"^fourfold \d+\.\d+\.\d+\n\Z")


class WrongUsage(harness.ProgramTest):
    def test_is_answered_at_once_with_what_was_meant(self):
        for arguments, words in [
                (["rnu", "m"], ["rnu", "did you mean run?"]),
                (["--verson"], ["--verson", "--version"]),
                (["run", "m", "--thread", "4", "hi"], ["--thread:", "--threads"]),
                (["run", "m", "--max-token", "4", "hi"], ["--max-token:", "--max-tokens"]),
                (["complete", "m", "--schema", "x"], ["--schema", "unknown flag"]),
                (["run", "m", "--draft", "x"], ["--draft", "unknown flag"]),
                (["run"], ["MODEL", "missing"]),
                (["tokenize", "m", "extra"], ["extra", "too many"]),
                (["run", "m", "-t"], ["--threads", "value"]),
                (["run", "m", "-t", "many", "hi"], ["--threads", '"many"', "whole number"]),
                (["run", "m", "--top-p", "1.5", "hi"], ["--top-p", "from 0 to 1"]),
                (["run", "m", "--temp", "-1", "hi"], ["--temp", "0 or more"]),
                (["run", "m", "--temp", "nan", "hi"], ["--temp", '"nan"']),
                (["run", "m", "--kv", "q9", "hi"], ["--kv", "q8_0"]),
                (["run", "m", "--kv", "f32,", "hi"], ["--kv", "q8_0"]),
                (["run", "m", "--memory", "lots", "hi"], ["--memory", "lots"]),
                (["run", "m", "--logit-bias", "7", "hi"], ["--logit-bias", "ID=X"]),
                (["run", "m", "--color", "blue", "hi"], ["--color", "always"]),
                (["run", "m", "--lines", "hi"], ["--lines"]),
                (["run", "m"], ["prompt"]),
                (["complete", "m"], ["text"]),
        ]:
            with self.subTest(arguments):
                self.assertRefused(self.call(*arguments), 2, *words)

    def test_a_model_without_a_command_is_met_with_run(self):
        self.assertRefused(self.call(self.model()), 2, f"fourfold run {self.model()}")

    def test_in_json_too(self):
        answer = self.call("run", "m", "--thread", "4", "--json")
        self.assertEqual(answer.status, 2)
        self.assertEqual(answer.json["error"]["code"], "INVALID_ARGUMENT")
        self.assertIn("--threads", answer.json["error"]["message"])
        self.assertIn("--threads", answer.err)


class BadFiles(harness.ProgramTest):
    def test_are_named_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder, "letter.gguf")
            text.write_bytes(b"Dear reader, this is no model. " * 10)
            empty = pathlib.Path(folder, "empty.gguf")
            empty.write_bytes(b"")
            cut = pathlib.Path(folder, "cut.gguf")
            cut.write_bytes(pathlib.Path(self.model()).read_bytes()[:5000])
            absent = pathlib.Path(folder, "absent.gguf")
            for path in [text, empty, cut, absent, pathlib.Path(folder)]:
                for arguments in [["run", path, "hi"], ["complete", path, "hi"]]:
                    with self.subTest(path=path.name, command=arguments[0]):
                        self.assertRefused(self.call(*arguments), 1, str(path))

    def test_come_with_a_code_in_json(self):
        answer = self.call("run", "/absent/model.gguf", "hi", "--json")
        self.assertEqual(answer.status, 1)
        self.assertEqual(answer.json["error"]["code"], "NOT_FOUND")
        self.assertIn("/absent/model.gguf", answer.json["error"]["message"])

    def test_a_memory_limit_that_cannot_hold_the_model_is_told_with_numbers(self):
        answer = self.call("complete", self.model(), "--memory", "1M", "hi")
        self.assertRefused(answer, 1, "1.0 MiB")

    def test_an_instruction_set_that_the_cpu_lacks(self):
        answer = self.call("complete", self.model(), "hi", env={"FOURFOLD_FORCE_ISA": "vax"})
        self.assertRefused(answer, 1, "FOURFOLD_FORCE_ISA", "vax", "scalar")


class Settings(harness.ProgramTest):
    """Flag, then environment, then config file, then default: seen in the seed of the answer."""

    def seed(self, *flags, env=None, config=None):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "config.toml")
            if config is not None:
                path.write_text(config)
            answer = self.call("complete", self.model(), "hi", "-n", "1", "--json", *flags,
                               env={"FOURFOLD_CONFIG": str(path), **(env or {})})
        self.assertEqual(answer.status, 0, answer.err)
        return answer.json["seed"]

    def test_precedence(self):
        environment = {"FOURFOLD_SEED": "2"}
        config = "seed = 3\n[complete]\nseed = 4\n[run]\nseed = 5"
        self.assertEqual(self.seed("--seed", "1", env=environment, config=config), 1)
        self.assertEqual(self.seed(env=environment, config=config), 2)
        self.assertEqual(self.seed(config=config), 4)
        self.assertEqual(self.seed(config="seed = 3"), 3)
        self.assertNotEqual(self.seed(), self.seed())

    def test_the_last_of_a_repeated_flag_counts(self):
        self.assertEqual(self.seed("--seed", "1", "--seed", "9"), 9)

    def test_wrong_ones_are_told_with_their_place(self):
        answer = self.call("complete", self.model(), "hi", env={"FOURFOLD_THREADS": "many"})
        self.assertRefused(answer, 2, "FOURFOLD_THREADS", "many")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write("threads = [1")
            config.flush()
            answer = self.call("complete", self.model(), "hi", env={"FOURFOLD_CONFIG": config.name})
        self.assertRefused(answer, 2, config.name, "line 1")

    def test_with_unknown_keys_are_noted(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write("sed = 1\nthreads = 1\n[complete]\nmax_token = 1\n[run]\nlines = false\n")
            config.flush()
            answer = self.call("complete", self.model(), "hi", "-n", "1", "--json",
                               env={"FOURFOLD_CONFIG": config.name})
        self.assertEqual(answer.status, 0, answer.err)
        self.assertIn("sed: unknown (did you mean seed?)", answer.err)
        self.assertIn("max_token: unknown (did you mean max_tokens?)", answer.err)
        self.assertNotIn("lines: unknown", answer.err)
        self.assertNotIn("threads: unknown", answer.err)

    def test_models_are_found_by_name(self):
        folder = str(pathlib.Path(self.model()).parent)
        answer = self.call("tokenize", "model", "--json", stdin=b"hi",
                           env={"FOURFOLD_MODEL_DIR": f"/absent:{folder}"})
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(len(answer.json["ids"]), 2)


if __name__ == "__main__":
    harness.main()
