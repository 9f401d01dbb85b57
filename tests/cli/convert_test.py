#!/usr/bin/env python3
"""`fourfold convert`: what comes out is the same model, and nothing half done is left behind."""

import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import tempfile
import time

import harness

IDS = "2,105,200,17,300,33,44,106,9,8,7"


def write_wide_folder(source, folder, n_rows):
    """The model of `source` with an embedding of n_rows rows of zeros, which take no disk space."""
    config = json.loads((source / "config.json").read_text())
    config["vocab_size"] = n_rows
    (folder / "config.json").write_text(json.dumps(config))
    data = (source / "model.safetensors").read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    embedding = header.pop("model.embed_tokens.weight")
    new_header, body = {}, b""
    for name, info in header.items():
        begin, end = info["data_offsets"]
        values = data[8 + size + begin:8 + size + end]
        new_header[name] = {**info, "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    n_columns = embedding["shape"][1]
    end = len(body) + 2 * n_rows * n_columns
    new_header["model.embed_tokens.weight"] = {
        "dtype": "BF16", "shape": [n_rows, n_columns], "data_offsets": [len(body), end]}
    text = json.dumps(new_header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
        file.truncate(8 + len(text) + end)


class Convert(harness.ProgramTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out.gguf"

    def golden(self, body):
        return self.build / "golden" / "text" / body

    def convert(self, source, kind, *flags, **keywords):
        return self.call("convert", source, self.out, "--type", kind, *flags, **keywords)

    def logits(self, model):
        result = self.folder / "logits.safetensors"
        answer = self.call("debug", "logits", model, "--ids", IDS, "--positions", "all", "--exact",
                           "--out", result)
        self.assertEqual(answer.status, 0, answer.err)
        return result.read_bytes()

    def wide_folder(self, n_rows):
        folder = self.folder / "wide"
        folder.mkdir()
        write_wide_folder(self.golden("text-only"), folder, n_rows)
        return folder

    def left_behind(self):
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())


class Results(Convert):
    def test_in_f32_compute_the_same_bits_as_the_folder(self):
        for body in ["e2b", "12b", "26b", "gemma3"]:
            with self.subTest(body):
                answer = self.convert(self.golden(body), "f32", "--force")
                self.assertEqual(answer.status, 0, answer.err)
                self.assertEqual(self.logits(self.out), self.logits(self.golden(body)))

    def test_of_every_type_are_whole_models(self):
        for kind in ["f32", "bf16", "q8_0", "q4_0"]:
            with self.subTest(kind):
                answer = self.convert(self.golden("e4b"), kind, "--force", "--json")
                self.assertEqual(answer.status, 0, answer.err)
                self.assertEqual(answer.json["size_bytes"], self.out.stat().st_size)
                self.assertEqual(answer.json["tensors"], 102)
                self.assertIn("tokenizer.json", answer.json["warnings"][0])
                report = self.call("inspect", self.out, "--check", "--json")
                self.assertEqual(report.status, 0, report.err)
                self.assertEqual(report.json["quant"][0]["type"], kind.upper())

    def test_keep_the_tokenizer_and_the_name_of_a_gguf_file(self):
        answer = self.convert(self.model(), "q8_0")
        self.assertEqual((answer.status, answer.out), (0, b""), answer.err)
        self.assertIn(f"{self.out}: 176 tensors", answer.err)
        said = [self.call("tokenize", model, stdin=b"the end").out for model in [self.model(), self.out]]
        self.assertEqual(said[0], said[1])

    def test_replace_a_file_only_when_told_to(self):
        self.out.write_text("mine")
        self.assertRefused(self.convert(self.model(), "bf16"), 1, str(self.out), "--force")
        self.assertEqual(self.out.read_text(), "mine")
        self.assertEqual(self.convert(self.model(), "bf16", "--force").status, 0)
        # The source itself may be replaced.
        answer = self.call("convert", self.out, self.out, "--type", "q4_0", "--force")
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(self.call("inspect", self.out, "--check").status, 0)
        self.assertEqual(self.left_behind(), ["out.gguf"])


class Refusals(Convert):
    def test_name_what_is_missing_in_the_command(self):
        self.assertRefused(self.call("convert"), 2, "IN", "missing")
        self.assertRefused(self.call("convert", self.model()), 2, "OUT", "missing")
        self.assertRefused(self.call("convert", self.model(), self.out), 2, "--type", "q8_0")
        self.assertRefused(self.convert(self.model(), "q9"), 2, "--type", '"q9"', "bf16")

    def test_name_the_file(self):
        self.assertRefused(self.convert(self.folder / "absent.gguf", "f32"), 1, "absent.gguf")
        tokenizer = harness.TOKENIZERS / "tokenizer-small.gguf"
        self.assertRefused(self.convert(tokenizer, "f32"), 1, "is a tokenizer", "a model")
        self.assertRefused(self.call("convert", self.model(), self.folder, "--type", "f32"), 1,
                           str(self.folder), "folder")
        self.assertRefused(self.call("convert", self.model(), "/absent/x", "--type", "f32"), 1,
                           "/absent/x")
        self.assertEqual(self.left_behind(), [])

    def test_name_the_tensor_that_a_model_lacks(self):
        source = self.folder / "part"
        source.mkdir()
        golden = self.golden("text-only")
        (source / "config.json").symlink_to(golden / "config.json")
        data = (golden / "model.safetensors").read_bytes()
        (source / "model.safetensors").write_bytes(
            data.replace(b"layers.1.mlp.up_proj", b"layers.9.mlp.up_proj"))
        self.assertRefused(self.convert(source, "f32"), 1, "layers.1.mlp.up_proj.weight")
        self.assertEqual(self.left_behind(), [])


class LongConversions(Convert):
    N_ROWS = 200_000  # × 512 columns: 205 MB as BF16

    def test_take_little_memory(self):
        source = self.wide_folder(self.N_ROWS)
        process = self.start("convert", source, self.out, "--type", "q8_0",
                             stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(self.out.stat().st_size, 100_000_000)
        self.assertLess(usage.ru_maxrss * 1024, 60_000_000 * harness.SLOW)

    def test_leave_nothing_behind_when_the_disk_is_full(self):
        def limit_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))
        process = self.start("convert", self.golden("e2b"), self.out, "--type", "f32",
                             stderr=subprocess.PIPE, preexec_fn=limit_files)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(), rf"(?m)^fourfold: error: {self.out}: \S+: cannot be written: ")
        self.assertEqual(self.left_behind(), [])

    def test_leave_nothing_behind_when_interrupted(self):
        source = self.wide_folder(4_000_000)
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            with self.subTest(number.name):
                process = self.start("convert", source, self.out, "--type", "q8_0",
                                     stderr=subprocess.DEVNULL)
                while process.poll() is None and not self.left_behind():
                    time.sleep(0.001)
                self.assertTrue(self.left_behind()[0].startswith("out.gguf.tmp-"))
                process.send_signal(number)
                self.assertEqual(process.wait(timeout=60), status)
                self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    harness.main()
