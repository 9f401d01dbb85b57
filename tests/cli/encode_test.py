#!/usr/bin/env python3
"""debug encode: pictures, sounds and their features to rows of the text model's input, compared
with the goldens."""

import array
import json
import math
import pathlib
import shutil
import sys
import tempfile

import harness

sys.path.insert(0, str(harness.ROOT / "tests"))
import safetensors  # noqa: E402


def relative_error(values, expected):
    assert len(values) == len(expected), (len(values), len(expected))
    difference = sum((a - b) ** 2 for a, b in zip(values, expected))
    return math.sqrt(difference / sum(b * b for b in expected))


class Encode(harness.ProgramTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "soft.safetensors"

    @property
    def golden(self):
        return self.build / "golden"

    @property
    def body(self):
        return self.golden / "multimodal" / "e2b_like"

    def encode(self, *arguments):
        answer = self.call("debug", "encode", *arguments, "--out", self.out)
        self.assertEqual((answer.status, answer.out), (0, b""), answer.err)
        return safetensors.load(self.out), answer.err

    def test_gives_the_reference_rows_of_a_picture(self):
        expected = safetensors.load(self.body / "expected.safetensors")["one_image.soft"]
        picture = ["--image", self.body / "images" / "0.png", "--budget", 70]
        for model in [[self.body / "mmproj.gguf"],
                      [self.body / "model.gguf", "--mmproj", self.body / "mmproj.gguf"],
                      [self.body / "model.gguf"]]:
            arrays, note = self.encode(*model, *picture)
            self.assertEqual(list(arrays), ["soft"])
            self.assertLess(relative_error(arrays["soft"], expected), 1e-3)
        self.assertIn("projector ", note)
        self.assertIn("mmproj.gguf", note)
        fast, _ = self.encode(self.body / "mmproj.gguf", *picture, "--fast", "-t", 1)
        self.assertLess(relative_error(fast["soft"], expected), 5e-2)
        self.assertNotEqual(fast["soft"], arrays["soft"])

    def test_takes_what_debug_pixels_wrote_and_gives_the_taps(self):
        tower = self.golden / "vision" / "tower" / "e_series"
        golden = safetensors.load(tower / "expected.safetensors")
        pixels = golden["grid6x9.pixels"]
        height, width = 9, 6
        patches, positions = array.array("f"), array.array("i")
        for y in range(height):
            for x in range(width):
                positions.extend([x, y])
                for row in range(16):
                    first = ((16 * y + row) * 16 * width + 16 * x) * 3
                    patches.extend(v / 255 for v in pixels[first:first + 48])
        source = self.folder / "p.safetensors"
        safetensors.save(source, {"patches": ([54, 768], patches), "positions": ([54, 2], positions)})
        for model in [tower, tower / "mmproj.gguf"]:
            arrays, _ = self.encode(model, "--patches", source, "--taps")
            for name in ["embedded", "layer0", "layer1", "layer2", "pooled", "soft"]:
                self.assertLess(relative_error(arrays[f"tap.{name}"], golden[f"grid6x9.{name}"]),
                                1e-4, name)
        positions[0] = 1
        safetensors.save(source, {"patches": ([54, 768], patches), "positions": ([54, 2], positions)})
        self.assertRefused(self.call("debug", "encode", tower, "--patches", source, "--out", self.out),
                           1, "positions are not those of a grid")
        safetensors.save(source, {"patches": ([108, 384], patches), "positions": ([54, 2], positions)})
        self.assertRefused(self.call("debug", "encode", tower, "--patches", source, "--out", self.out),
                           1, "expected patches [n, 768]")

    def test_gives_the_reference_rows_of_a_sound(self):
        tower = self.golden / "audio" / "tower"
        case = json.loads((tower / "a_f40" / "case.json").read_text("utf-8"))
        features = tower / "a_f40" / "expected.safetensors"
        golden = safetensors.load(features)
        arrays, _ = self.encode(tower / "model_a", "--mel", features, "--taps")
        difference = max(abs(a - b) for a, b in zip(arrays["soft"], golden["soft_tokens"]))
        self.assertLessEqual(difference, case["tolerance"])
        self.assertEqual(len(arrays["soft"]), len(golden["soft_tokens"]))

    def test_refuses_what_it_cannot_do(self):
        picture = self.body / "images" / "0.png"
        encode = ["debug", "encode", self.body / "mmproj.gguf"]
        out = ["--out", self.out]
        for wrong in [[*encode, *out], [*encode, "--image", picture],
                      [*encode, "--image", picture, "--audio", "a.wav", *out],
                      [*encode, "--image", picture, "--budget", 71, *out],
                      [*encode, "--audio", "a.wav", "--fast", *out],
                      [*encode, "--image", picture, "-t", 0, *out]]:
            self.assertEqual(self.call(*wrong).status, 2, wrong)
        self.assertRefused(self.call(*encode, "--image", "none.png", *out), 1, "none.png")
        self.assertRefused(self.call(*encode, "--mel", picture, *out), 1, "no audio encoder")
        self.assertRefused(self.call("debug", "encode", self.model(), "--image", picture, *out), 1,
                           "no projector beside it")
        hollow = self.golden / "audio" / "tower" / "model_a"
        self.assertRefused(self.call("debug", "encode", hollow, "--image", picture, *out), 1,
                           "no vision encoder")

    def test_does_not_choose_among_projectors(self):
        for name in ["model.gguf", "mmproj.gguf"]:
            shutil.copy(self.body / name, self.folder / name)
        shutil.copy(self.body / "mmproj.gguf", self.folder / "other.gguf")
        answer = self.call("debug", "encode", self.folder / "model.gguf", "--image",
                           self.body / "images" / "0.png", "--out", self.out)
        self.assertRefused(answer, 1, "2 projectors lie beside it")


if __name__ == "__main__":
    harness.main()
