#!/usr/bin/env python3
"""debug pixels: files to the arrays that a vision tower takes, compared with the goldens."""

import json
import pathlib
import sys
import tempfile
import zlib

import harness

sys.path.insert(0, str(harness.ROOT / "tests"))
import safetensors  # noqa: E402


class Pixels(harness.ProgramTest):
    @property
    def golden(self):
        return self.build / "golden" / "vision" / "preprocess"

    def test_writes_pixels_patches_and_positions_of_the_reference(self):
        images = json.loads((self.golden / "case.json").read_text("utf-8"))["images"]
        wanted = {"images/coords.png", "images/rgba.png", "images/palette.bmp", "images/grey16.png"}
        images = [image for image in images if image["file"] in wanted]
        self.assertEqual(len(images), len(wanted))
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "p.safetensors"
            for image in images:
                row = image["budgets"][0]
                with self.subTest(image["file"]):
                    answer = self.call("debug", "pixels", self.golden / image["file"], "--budget",
                                       row["budget"], "--out", out)
                    self.assertEqual((answer.status, answer.out, answer.err), (0, b"", ""))
                    arrays = safetensors.load(out)
                    pixels = bytes(arrays["pixels"].tolist())
                    self.assertEqual(len(pixels),
                                     row["target_width"] * row["target_height"] * 3)
                    self.assertEqual(zlib.crc32(pixels), row["resized_crc32"])
                    self.assertEqual(zlib.crc32(arrays["patches"].tobytes()),
                                     row["pixel_values_crc32"])
                    self.assertEqual(zlib.crc32(arrays["positions"].tobytes()),
                                     row["position_ids_crc32"])

    def test_says_which_frame_it_took(self):
        with tempfile.TemporaryDirectory() as folder:
            answer = self.call("debug", "pixels", self.golden / "images" / "animated.gif", "--out",
                               pathlib.Path(folder) / "p.safetensors")
            self.assertEqual(answer.status, 0)
            self.assertIn("animated.gif: frame 1 of ", answer.err)

    def test_refuses_bad_files_and_budgets(self):
        out = ["--out", "/nowhere/p.safetensors"]
        picture = self.golden / "images" / "coords.png"
        for name in ["empty.png", "not_an_image.jpg", "truncated.png", "zero_size.png"]:
            self.assertRefused(self.call("debug", "pixels", self.golden / "bad" / name, *out), 1,
                               name)
        self.assertRefused(self.call("debug", "pixels", "no.png", *out), 1, "no.png")
        for budget in ["0", "69", "71", "-70", "x", "1121"]:
            answer = self.call("debug", "pixels", picture, "--budget", budget, *out)
            self.assertEqual(answer.status, 2)
            self.assertIn("--budget", answer.err)
        self.assertEqual(self.call("debug", "pixels", picture).status, 2)
        self.assertRefused(self.call("debug", "pixels", picture, *out), 1, "/nowhere")


if __name__ == "__main__":
    harness.main()
