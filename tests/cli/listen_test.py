#!/usr/bin/env python3
"""listen: turns from a recording, what is printed, tools, a voice, and how it ends."""

import json
import math
import os
import pathlib
import random
import signal
import struct
import subprocess
import tempfile
import time
import wave

import chat_body
import harness

RATE = 16000
FRAME = 640  # samples of a soft row
TOOLS = [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}]


def talk(path, seconds, utterances):
    """Syllables between the given seconds, in a quiet room."""
    noise = random.Random(1)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        samples = []
        for i in range(int(seconds * RATE)):
            value = noise.uniform(-15, 15)
            for begin, end in utterances:
                at = i - int(begin * RATE)
                if 0 <= at < (end - begin) * RATE and at % 4000 < 3000:
                    value += 6500 * math.sin(2 * math.pi * 220 * i / RATE)
            samples.append(int(value))
        out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def write_ears(path, body):
    """A projector file for the body, which has rows of random numbers for every frame of sound."""
    _, tensors = chat_body.read(body)
    width = next(shape[0] for name, shape, *_ in tensors if name == b"token_embd.weight")
    values = {"general.architecture": (8, string("clip")),
              "clip.has_audio_encoder": (7, b"\1"),
              "clip.audio.projector_type": (8, string("gemma4ua")),
              "clip.audio.embedding_length": (4, struct.pack("<I", FRAME)),
              "clip.audio.projection_dim": (4, struct.pack("<I", width))}
    keys = {key: string(key) + struct.pack("<I", kind) + value
            for key, (kind, value) in values.items()}
    weights = random.Random(2)
    data = struct.pack(f"<{FRAME * width}f",
                       *(weights.uniform(-0.5, 0.5) for _ in range(FRAME * width)))
    chat_body.write(path, keys, [(b"mm.a.input_projection.weight", [FRAME, width], 0, data)])


class ListenTest(harness.ProgramTest):
    BODY = harness.ROOT / "models" / "keeper" / "keeper.gguf"

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.ears = cls.folder / "ears.gguf"
        write_ears(cls.ears, cls.BODY)
        cls.once = talk(cls.folder / "once.wav", 3.5, [(1.0, 2.0)])
        cls.twice = talk(cls.folder / "twice.wav", 7.0, [(1.0, 2.0), (4.0, 5.5)])
        cls.tools = cls.folder / "tools.json"
        cls.tools.write_text(json.dumps(TOOLS))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def arguments(self, *flags, sound=None):
        return ["listen", self.BODY, "--mmproj", self.ears, "--input", sound or self.once,
                "--temp", "0", "-n", "16", *flags]

    def listen(self, *flags, **keywords):
        sound = keywords.pop("sound", None)
        answer = self.call(*self.arguments(*flags, sound=sound), **keywords)
        self.assertEqual(answer.status, 0, answer.err)
        return answer


class Turns(ListenTest):
    def test_each_is_a_line(self):
        answer = self.listen("--json", sound=self.twice)
        turns = [json.loads(line) for line in answer.out.splitlines()]
        self.assertEqual(len(turns), 2)
        for turn, (begin, end) in zip(turns, [(1.0, 2.0), (4.0, 5.5)]):
            self.assertAlmostEqual(turn["begin_s"] + 0.3, begin, delta=0.25)
            self.assertAlmostEqual(turn["end_s"] - 0.3, end, delta=0.25)
            self.assertAlmostEqual(turn["vad_end_ms"], 700, delta=33)
            self.assertFalse(turn["interrupted"])
            self.assertGreater(turn["tokens"], 0)
            self.assertGreaterEqual(turn["answer_ms"], turn["first_token_ms"])
            self.assertEqual(turn["tool_calls"], [])
            # Speech was run while it was spoken.
            self.assertLess(turn["prompt_tokens"] - turn["cached_tokens"], 12)
        self.assertIn("silero_vad_16k.safetensors", answer.err)

    def test_are_text_and_a_note_of_their_times(self):
        text = self.listen("--json").json["text"]
        answer = self.listen()
        self.assertEqual(answer.out.decode(), text + "\n")
        self.assertRegex(answer.err, r"speech \d+ ms, end known after \d+ ms; .* \d+ tokens\n")

    def test_are_events(self):
        events = [json.loads(line) for line in self.listen("--events").out.splitlines()]
        self.assertEqual([event["type"] for event in events[-2:]], ["finish", "turn"])
        text = "".join(event["text"] for event in events if event["type"] == "text")
        self.assertEqual(events[-1]["text"], text)

    def test_come_from_standard_input_too(self):
        piped = self.listen("--json", sound="-", stdin=self.once.read_bytes())
        self.assertEqual(piped.json["text"], self.listen("--json").json["text"])

    def test_come_while_the_pipe_is_open(self):
        process = self.start(*self.arguments("--json", "--realtime", sound="-"),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        process.stdin.write(self.once.read_bytes())
        process.stdin.flush()
        turn = json.loads(process.stdout.readline())  # more may come, for all it knows
        self.assertIsNone(process.poll())
        process.stdin.close()
        self.assertEqual(process.wait(60), 0, process.stderr.read())
        whole = self.listen("--json").json
        for key in ["begin_s", "end_s", "text", "prompt_tokens"]:
            self.assertEqual(turn[key], whole[key])
        process.stdout.close()
        process.stderr.close()

    def test_a_pipe_without_a_sound_is_refused(self):
        realtime = self.arguments("--realtime", sound="-")
        header = self.once.read_bytes()[:44]
        for stream, words in [
                (b"This is no sound at all.", "no WAV stream"),
                (header[:30], "the stream ends in its header"),
                (header[:34] + b"\x18" + header[35:], "with 24 bits"),
                (header[:22] + b"\x09" + header[23:], "9 channels"),
                (header[:12] + b"LIST\xff\xff\xff\xff", "a chunk of 4294967295 bytes"),
                (header[:12] + header[36:], "no fmt chunk")]:
            self.assertRefused(self.call(*realtime, stdin=stream), 1, "standard input: ", words)

    def test_keep_the_speed_of_the_sound_if_asked_to(self):
        begin = time.monotonic()
        self.listen("--json", "--realtime")
        self.assertGreater(time.monotonic() - begin, 3.5)

    def test_silence_has_none(self):
        silence = talk(self.folder / "silence.wav", 2.0, [])
        self.assertEqual(self.listen("--json", sound=silence).out, b"")


class Voice(ListenTest):
    def test_says_every_sentence(self):
        said = self.folder / "said"
        text = self.listen("--json", "--speak", f"cat >>'{said}'").json["text"]
        self.assertEqual(said.read_text().split(), text.split())

    def test_that_fails_is_told_once(self):
        answer = self.listen("--speak", "echo no voice >&2; exit 3", sound=self.twice)
        self.assertEqual(answer.err.count("--speak: status 3"), 1, answer.err)
        self.assertIn("no voice", answer.err)

    def test_ends_with_the_program(self):
        started, ended = self.folder / "started", self.folder / "ended"
        process = self.start(*self.arguments("--speak", f"touch '{started}'; sleep 60; "
                                             f"touch '{ended}'"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertTrue(started.exists())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertNotIn(b"error", err)
        self.assertFalse(ended.exists())


class End(ListenTest):
    def test_ctrl_c_is_130(self):
        long = talk(self.folder / "long.wav", 30.0, [(0.5, 1.5)])
        process = self.start(*self.arguments("--json", "--realtime", sound=long),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        json.loads(process.stdout.readline())  # it has answered, and listens on
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, err)
        self.assertNotIn(b"error", err)
        self.assertEqual(out, b"")

    def test_reader_that_goes_away_ends_it(self):
        process = self.start(*self.arguments("--json", "--realtime", sound=self.twice),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        process.stdout.close()
        process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(60), 0)


class Usage(ListenTest):
    def test_says_what_is_missing_or_wrong(self):
        sound = ["--input", self.once]
        no_model = [self.BODY, "--mmproj", self.ears]
        self.assertRefused(self.call("listen", *sound), 2, "MODEL: missing")
        self.assertRefused(self.call("listen", *no_model), 2, "--input: missing", "mic")
        self.assertRefused(self.call("listen", *no_model, *sound, "--tool-exec", "true"), 2,
                           "--tool-exec: expected --tools too")
        self.assertRefused(self.call("listen", *no_model, *sound, "--max-rounds", "-1"), 2,
                           "--max-rounds")
        answer = self.call("listen", *no_model, *sound, "--events", "--json")
        self.assertEqual(answer.status, 2)
        self.assertIn("--events: does not go together with --json", answer.err)

    def test_names_the_file_that_is_none(self):
        nowhere = self.folder / "nowhere.wav"
        self.assertRefused(self.call(*self.arguments(sound=nowhere)), 1, "nowhere.wav")
        text = self.folder / "text.wav"
        text.write_text("This is no sound.")
        self.assertRefused(self.call(*self.arguments(sound=text)), 1, "text.wav")
        broken = self.folder / "broken.json"
        broken.write_text("[{]")
        self.assertRefused(self.call(*self.arguments("--tools", broken)), 1, "broken.json")

    def test_a_model_that_cannot_hear_is_named(self):
        answer = self.call("listen", self.BODY, "--mmproj", "none", "--input", self.once)
        self.assertEqual(answer.status, 1)
        self.assertIn("keeper.gguf: cannot hear: switched off (--mmproj none)", answer.err)

    def test_a_machine_without_a_microphone_is_told_so(self):
        if os.path.exists("/dev/snd"):
            self.skipTest("this machine may have one")
        answer = self.call(*self.arguments(sound="mic"), env={"JACK_NO_START_SERVER": "1"})
        self.assertEqual(answer.status, 1, answer.err)
        self.assertEqual(answer.out, b"")
        # One line, from the program and not from its libraries.
        self.assertRegex(answer.err, r"\Afourfold: error: --input: [^\n]+\n\Z")
        self.assertRegex(answer.err, "microphone: .*expected a device that records|portaudio19-dev")


if __name__ == "__main__":
    harness.main()
