#!/usr/bin/env python3
"""`fourfold debug frames`: indices and stamps of the goldens, its JSON, and what it refuses."""

import json

import harness

GOLDEN = harness.ROOT / "tests" / "golden" / "video"
CLIP = GOLDEN / "clips" / "a_h264_25fps.mp4"
KEYS = {"indices", "stamps", "rule", "fps", "total", "format", "width", "height", "target_width",
        "target_height", "soft_tokens", "sound", "cuts_s", "coverage"}
COVERAGE = {"frames", "rule", "from_s", "to_s", "duration_s", "largest_gap_s", "shots"}


class Frames(harness.ProgramTest):
    def frames(self, *arguments):
        answer = self.call("debug", "frames", *arguments, "--json")
        if "this build has no libav" in answer.err:
            self.skipTest("a build without libav")
        self.assertEqual(answer.status, 0, answer.err)
        return answer.json

    def test_gives_the_frames_of_the_goldens(self):
        for clip in json.loads((GOLDEN / "case.json").read_text())["clips"]:
            for request in clip["requests"]:
                flags = []
                if isinstance(request["request"], dict):
                    flags = ["--frames", request["request"]["num_frames"]]
                answer = self.frames(GOLDEN / clip["file"], *flags)
                self.assertEqual(set(answer), KEYS)
                self.assertEqual(set(answer["coverage"]), COVERAGE)
                self.assertEqual(answer["indices"], request["frame_indices"])
                self.assertEqual(answer["stamps"],
                                 [f"{int(t // 60):02}:{int(t % 60):02}"
                                  for t in request["timestamps"]])
                self.assertEqual(answer["rule"], "uniform")
                self.assertEqual(answer["total"], clip["frames"])
                self.assertAlmostEqual(answer["fps"], clip["fps"])
                self.assertEqual(answer["soft_tokens"], request["soft_tokens"])
                self.assertEqual(answer["target_width"], request["target_width"])

    def test_frames_per_second_and_offsets(self):
        answer = self.frames(CLIP, "--fps", "2", "--from", "1", "--to", "2.5")
        self.assertEqual(answer["rule"], "fps")
        self.assertEqual(answer["indices"], [25, 37, 50])
        self.assertEqual(answer["stamps"], ["00:01", "00:01", "00:02"])
        self.assertEqual(answer["coverage"]["from_s"], 1.0)

    def test_without_json_one_frame_a_line(self):
        self.frames(CLIP)
        answer = self.call("debug", "frames", CLIP, "--frames", "3")
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(answer.out, b"0\t00:00\n25\t00:01\n50\t00:02\n")
        self.assertIn("3 of 75 frames", answer.err)

    def test_refuses_in_words(self):
        self.frames(CLIP)
        no_film = GOLDEN / "case.json"
        for arguments, status, message in [
                ([CLIP, "--fps", "1", "--frames", "2"], 2, "--fps and --frames exclude"),
                ([CLIP, "--frames", "0"], 2, "--frames"),
                ([CLIP, "--budget", "71"], 1, "--budget"),
                ([CLIP, "--from", "3"], 1, "start offset: 3 s"),
                ([no_film], 1, "video: not a file that can be read"),
                (["/nowhere.mp4"], 1, "/nowhere.mp4")]:
            answer = self.call("debug", "frames", *arguments)
            self.assertEqual(answer.status, status, answer.err)
            self.assertIn(message, answer.err)
            self.assertEqual(answer.out, b"")


if __name__ == "__main__":
    harness.main()
