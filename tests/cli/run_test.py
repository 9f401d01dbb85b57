#!/usr/bin/env python3
"""run and complete without a terminal: prompts, streams, JSON, signals, pipes.

The models are tiny and random: what they say has no meaning, how it is handed out has.
"""

import base64
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time

import harness

# Never ends by itself.
ENDLESS = [flag for token in (1, 50, 106) for flag in ("--logit-bias", f"{token}=-inf")]
RUN_KEYS = ["model", "text", "thinking", "tool_calls", "finish", "seed", "usage", "timings"]
TIMING_KEYS = ["load_ms", "first_token_ms", "prefill_tok_s", "decode_tok_s"]


class Prompts(harness.ProgramTest):
    def prompt_tokens(self, *words, stdin=b"", command="complete"):
        answer = self.call(command, self.model(), "-n", "1", "--json", *words, stdin=stdin)
        self.assertEqual(answer.status, 0, answer.err)
        return answer.json["usage"]["prompt_tokens"]

    def test_come_from_arguments_and_standard_input(self):
        # One token a byte in this vocabulary, and <bos>.
        self.assertEqual(self.prompt_tokens("abc"), 4)
        self.assertEqual(self.prompt_tokens("abc", "def"), 8)
        self.assertEqual(self.prompt_tokens(stdin=b"abc\n\n"), 6)
        self.assertEqual(self.prompt_tokens("abc", stdin=b"def"), 8)

    def test_may_look_like_anything(self):
        for words, size in [(["[a, b]"], 6), (["--", "--seed"], 6), (["run"], 3), (["-5 C"], 4),
                            (["%%"], 2)]:
            with self.subTest(words):
                self.assertEqual(self.prompt_tokens(*words), 1 + size)

    def test_of_raw_text_match_control_spellings_only_when_trusted(self):
        untrusted = self.prompt_tokens("<|turn>")
        self.assertEqual(untrusted, 1 + len("<|turn>"))
        self.assertEqual(self.prompt_tokens("--trusted", "<|turn>"), 2)

    def test_of_a_chat_are_wrapped_in_turns(self):
        # <bos> <|turn>user⏎ abc <turn|>⏎ <|turn>model⏎
        self.assertEqual(self.prompt_tokens(" abc\n", command="run"), 1 + 6 + 3 + 2 + 7)


class Output(harness.ProgramTest):
    def test_is_the_answer_and_one_newline(self):
        for command in ["run", "complete"]:
            flags = [command, self.model(), "-n", "12", "--seed", "1", "hi"]
            with self.subTest(command):
                text = self.call(*flags, "--json").json["text"]
                self.assertNotEqual(text, "")
                self.assertEqual(self.call(*flags).out.decode(), text + "\n")

    def test_is_the_same_for_a_seed_and_greedy_without(self):
        flags = ["complete", self.model(), "-n", "12", "hi", "--json"]
        first = self.call(*flags).json
        self.assertEqual(self.call(*flags, "--seed", first["seed"]).json["text"], first["text"])
        greedy = [self.call(*flags, "--temp", "0").json["text"] for _ in range(2)]
        self.assertEqual(greedy[0], greedy[1])

    def test_holds_no_escape_codes_and_no_notes(self):
        answer = self.call("run", self.model(), "-n", "4", "-v", "--color", "auto", "hi")
        self.assertNotIn(b"\x1b", answer.out)
        self.assertNotIn("\x1b", answer.err)
        self.assertIn("seed", answer.err)
        self.assertEqual(self.call("run", self.model(), "-n", "4", "-q", "hi").err, "")

    def test_begins_with_the_text_when_echoed(self):
        flags = ["complete", self.model(), "-n", "4", "--seed", "1", "--echo", "hello"]
        self.assertTrue(self.call(*flags).out.startswith(b"hello"))
        self.assertTrue(self.call(*flags, "--json").json["text"].startswith("hello"))

    def test_ends_where_a_stop_text_begins(self):
        flags = ["complete", self.model(), "-n", "40", "--seed", "1", "--json", "hi", *ENDLESS]
        text = self.call(*flags).json["text"]
        stop = text[10:13]
        stopped = self.call(*flags, "--stop", stop, "--stop", "never said").json
        self.assertEqual(stopped["text"], text[:text.index(stop)])
        self.assertEqual(stopped["finish"], "stop")

    def test_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            process = self.start("complete", self.model(), "-n", "4", "hi",
                                 stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
            _, err = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"standard output", err)


class Json(harness.ProgramTest):
    def test_of_run_has_the_promised_keys(self):
        answer = self.call("run", self.model(), "-n", "3", "--json", "hi", *ENDLESS).json
        self.assertEqual(list(answer), RUN_KEYS)
        self.assertEqual(list(answer["timings"]), TIMING_KEYS)
        self.assertEqual(answer["model"], self.model())
        self.assertEqual((answer["thinking"], answer["tool_calls"]), ("", []))
        self.assertEqual(answer["finish"], "length")
        self.assertEqual(list(answer["usage"].items())[1:],
                         [("cached_tokens", 0), ("thought_tokens", 0), ("completion_tokens", 3)])

    def test_of_complete_has_no_chat_keys(self):
        answer = self.call("complete", self.model(), "-n", "3", "--json", "hi").json
        keys = [key for key in RUN_KEYS if key not in ("thinking", "tool_calls")]
        self.assertEqual(list(answer), keys)

    def test_holds_log_probabilities_when_asked(self):
        answer = self.call("complete", self.model(), "-n", "3", "--json", "--logprobs", "2",
                           "--temp", "0", "hi", *ENDLESS).json
        self.assertEqual(len(answer["logprobs"]), 3)
        for token in answer["logprobs"]:
            self.assertEqual(len(token["top"]), 2)
            self.assertEqual(token["top"][0]["id"], token["id"])
            self.assertLessEqual(token["logprob"], 0)

    def test_of_a_prompt_beyond_the_context_names_both_sizes(self):
        answer = self.call("complete", self.model(), "--context", "300", "--json", stdin=b"x" * 400)
        self.assertEqual(answer.status, 1)
        self.assertEqual(answer.json["error"]["code"], "RESOURCE_EXHAUSTED")
        self.assertIn("401", answer.json["error"]["message"])
        self.assertIn("300", answer.json["error"]["message"])


class Pretrained(harness.ProgramTest):
    """A file whose generation does not end at the end of a turn, without template, not named it."""

    def setUp(self):
        key = b"tokenizer.ggml.eos_token_id" + struct.pack("<I", 4)
        data = pathlib.Path(self.model("gemma3")).read_bytes()
        patched = data.replace(key + struct.pack("<I", 106), key + struct.pack("<I", 1))
        self.assertNotEqual(patched, data)
        self.file = tempfile.NamedTemporaryFile(suffix=".gguf")
        self.file.write(patched)
        self.file.flush()
        self.addCleanup(self.file.close)

    def test_continues_the_text_and_says_so(self):
        flags = ["--seed", "1", "--json", "hello", *ENDLESS]
        run = self.call("run", self.file.name, *flags)
        self.assertIn("pretrained", run.err)
        self.assertEqual(run.json["usage"]["completion_tokens"], 128)
        complete = self.call("complete", self.file.name, *flags)
        for key in ["prompt_tokens", "completion_tokens"]:
            self.assertEqual(run.json["usage"][key], complete.json["usage"][key])
        self.assertEqual(run.json["text"], complete.json["text"])

    def test_a_chat_model_does_not(self):
        answer = self.call("run", self.model("gemma3"), "-n", "1", "--json", "hello")
        self.assertNotIn("pretrained", answer.err)
        self.assertGreater(answer.json["usage"]["prompt_tokens"], 1 + len("hello"))


class Media(harness.ProgramTest):
    FILES = harness.ROOT / "tests" / "e2e" / "media"

    def refused(self, *arguments, status=1):
        answer = self.call("run", self.model(), *arguments, "hello", "--json")
        self.assertEqual(answer.status, status, answer.err)
        return answer.err

    def test_what_is_no_medium_is_refused_with_its_flag(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "notes.txt"
            text.write_text("nothing to see")
            for flag, kind in [("--image", "image"), ("--audio", "audio"), ("--video", "video")]:
                self.assertIn(f"{flag} {text}: no {kind} that we know", self.refused(flag, text))
        self.assertIn("no-such-file", self.refused("--image", "no-such-file"))
        self.assertIn("the bytes are audio/wav", self.refused("--image", self.FILES / "tone.wav"))

    def test_a_model_without_eyes_and_ears_refuses_them(self):
        for flag, name in [("--image", "picture.png"), ("--audio", "tone.wav")]:
            path = self.FILES / name
            self.assertIn(f"{flag} {path}: this model takes no", self.refused(flag, path))

    def test_settings_are_checked(self):
        rows = [(["--budget", "100"], "--budget: 100 (expected 70, 140, 280, 560 or 1120)"),
                (["--fps", "0"], "--fps: "), (["--frames", "0"], "--frames: "),
                (["--video-tokens", "x"], "--video-tokens: "),
                (["--mmproj", "no-such-file"], "--mmproj: ")]
        for arguments, said in rows:
            self.assertIn(said, self.refused(*arguments, status=2))
        self.assertIn("--frames: does not go together with --fps",
                      self.refused("--fps", "1", "--frames", "8"))

    def test_are_refused_in_requests_by_their_place(self):
        def line(part):
            return json.dumps({"messages": [{"role": "user", "content": [part]}]})

        picture = (self.FILES / "picture.png").read_bytes()
        url = "data:image/png;base64," + base64.b64encode(picture).decode()
        rows = [({"type": "image_url"}, "messages[0]: content[0]: \"image_url\": missing"),
                ({"type": "image", "image": "no-such-file"}, "no-such-file"),
                ({"type": "image", "image": "http://h/a.png"}, "addresses are not fetched"),
                ({"type": "image_url", "image_url": {"url": url}},
                 "messages[0].content[0]: this model takes no images"),
                ({"type": "image", "path": str(self.FILES / "picture.png")},
                 "messages[0].content[0]: this model takes no images"),
                ({"type": "audio", "path": str(self.FILES / "picture.png")},
                 "messages[0].content[0]: the bytes are image/png")]
        answer = self.call("run", self.model(), "--lines",
                           stdin="\n".join(line(part) for part, _ in rows).encode())
        errors = [json.loads(out)["error"]["message"] for out in answer.out.splitlines()]
        self.assertEqual(len(errors), len(rows))
        for error, (_, said) in zip(errors, rows):
            self.assertIn(said, error)

    def test_lines_bring_their_own(self):
        self.assertIn("--lines: takes no media",
                      self.call("run", self.model(), "--lines", "--image",
                                self.FILES / "picture.png", stdin=b"").err)


class Eyes(harness.ProgramTest):
    """A body with a projector beside it: what it says has no meaning, what it saw has."""

    FILES = harness.ROOT / "tests" / "e2e" / "media"

    def seeing(self):
        return str(self.build / "golden" / "multimodal" / "e2b_like" / "model.gguf")

    def saw(self, *arguments, stdin=b""):
        answer = self.call("run", self.seeing(), "-n", "2", "--json", *arguments, stdin=stdin)
        self.assertEqual(answer.status, 0, answer.err)
        return answer

    def test_pictures_keep_the_order_and_the_settings_in_front_of_them(self):
        first, second = self.FILES / "picture.jpg", self.FILES / "picture.png"
        answer = self.saw("--budget", "70", "--image", first, "Compare:", "--budget", "140",
                          "--image", second)
        self.assertEqual([(item["where"], item["budget"]) for item in answer.json["media"]],
                         [(f"--image {first}", 70), (f"--image {second}", 140)])
        self.assertIn("image: 256x192 seen as ", answer.err)
        tokens = sum(item["tokens"] for item in answer.json["media"])
        text = self.saw("Compare:").json["usage"]["prompt_tokens"]
        self.assertGreaterEqual(answer.json["usage"]["prompt_tokens"], text + tokens)

    def test_a_picture_needs_no_words(self):
        self.assertEqual(len(self.saw("--image", self.FILES / "picture.webp").json["media"]), 1)
        self.assertNotIn("media", self.saw("hello").json)

    def test_a_pipe_will_do(self):
        picture = (self.FILES / "picture.png").read_bytes()
        answer = self.saw("--image", "-", "What is it?", stdin=picture)
        self.assertEqual(answer.json["media"][0]["size"], [256, 192])

    def test_a_film_is_seen_as_asked(self):
        film = self.FILES / "clip.mp4"
        media = self.saw("--frames", "3", "--video", film, "--fps", "2", "--video", film).json["media"]
        self.assertEqual([(item["rule"], item["frames"]) for item in media],
                         [("uniform", 3), ("fps", 4)])

    def test_what_it_has_no_organ_for_is_refused(self):
        answer = self.call("run", self.seeing(), "--audio", self.FILES / "tone.wav", "hello")
        self.assertEqual(answer.status, 1)
        self.assertIn("this model takes no audio", answer.err)
        answer = self.call("run", self.seeing(), "--mmproj", "none", "--image",
                           self.FILES / "picture.png", "hello")
        self.assertEqual(answer.status, 1)
        self.assertIn("--mmproj none", answer.err)

    def test_requests_bring_theirs(self):
        picture = self.FILES / "picture.png"
        url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
        parts = [{"type": "image", "path": str(picture)}, {"type": "image_url", "image_url": url},
                 {"type": "image_url", "image_url": {"url": picture.as_uri()}},
                 {"type": "image", "data": url.partition(",")[2]}]
        lines = [json.dumps({"messages": [{"role": "user", "content": [part]}]}) for part in parts]
        answer = self.call("run", self.seeing(), "--lines", "-n", "2", "--budget", "70",
                           stdin="\n".join(lines).encode())
        seen = [json.loads(line)["media"] for line in answer.out.splitlines()]
        self.assertEqual(len(seen), len(parts))
        for media in seen:
            self.assertEqual([(item["where"], item["budget"]) for item in media],
                             [("messages[0].content[0]", 70)])


class Lines(harness.ProgramTest):
    def answers(self, *lines, flags=()):
        answer = self.call("run", self.model(), "--lines", "-n", "4", *flags,
                           stdin="\n".join(lines).encode())
        self.assertEqual(answer.status, 0, answer.err)
        return [json.loads(line) for line in answer.out.splitlines()]

    def test_are_turns_of_one_conversation(self):
        first, second = self.answers('"hello"', "and again")
        self.assertEqual(list(first), RUN_KEYS)
        self.assertGreater(second["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"])
        self.assertGreater(second["usage"]["cached_tokens"], 0)

    def test_forget_the_oldest_when_the_context_is_full(self):
        turns = [f"turn number {n}" for n in range(8)]
        answer = self.call("run", self.model(), "--lines", "-n", "8", "-c", "120",
                           stdin="\n".join(turns).encode())
        answers = [json.loads(line) for line in answer.out.splitlines()]
        self.assertEqual(answer.status, 0, answer.err)
        self.assertEqual(len(answers), len(turns))
        for one in answers:
            self.assertNotIn("error", one)
            self.assertLess(one["usage"]["prompt_tokens"], 120)
        self.assertIn("the context of 120 tokens is full: forgot the oldest", answer.err)

    def test_are_refused_when_they_do_not_fit(self):
        long = "too long " * 100
        request = json.dumps({"messages": [{"role": "user", "content": long}]})
        refused, again, asked = self.answers(request, long, "hello", flags=("-c", "120"))
        for answer in (refused, again):
            self.assertEqual(answer["error"]["code"], "RESOURCE_EXHAUSTED")
            self.assertRegex(answer["error"]["message"], r"prompt of \d+ tokens.* holds 120")
        self.assertLess(asked["usage"]["prompt_tokens"], 40)  # nothing stayed in the history

    def test_may_be_commands(self):
        answers = self.answers("hello", "/clear", "hello", "/bye", "never asked")
        tokens = [answer["usage"]["prompt_tokens"] for answer in answers]
        self.assertEqual(len(tokens), 2)
        self.assertEqual(tokens[0], tokens[1])

    def test_may_be_requests_of_their_own(self):
        request = {"messages": [{"role": "system", "content": "s"},
                                {"role": "user", "content": "u"}],
                   "seed": 5, "max_tokens": 2, "temperature": 0}
        answer, turn = self.answers(json.dumps(request), '"u"')
        self.assertEqual(answer["seed"], 5)
        self.assertEqual(answer["usage"]["completion_tokens"], 2)
        # <bos>, the user's turn, the model's header: no trace of the request before.
        self.assertEqual(turn["usage"]["prompt_tokens"], 1 + 6 + 1 + 2 + 7)

    def test_that_are_wrong_answer_an_error_and_the_next_goes_on(self):
        answers = self.answers('{"messages": [', '{"messages": []}', '{"messages": 1, "logo": []}',
                               '{"messages": [{"role": "judge", "content": "u"}]}', '"hello"')
        codes = [answer.get("error", {}).get("code") for answer in answers]
        self.assertEqual(codes, ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "UNIMPLEMENTED",
                                 "INVALID_ARGUMENT", None])


class Ends(harness.ProgramTest):
    def endless(self, **keywords):
        return self.start("run", self.model(), "hi", "-n", "100000", *ENDLESS,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **keywords)

    def test_at_once_with_130_and_143_after_a_signal(self):
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            with self.subTest(number.name), self.endless() as process:
                self.assertNotEqual(process.stdout.read(1), b"")  # it speaks
                process.send_signal(number)
                self.assertEqual(process.wait(timeout=10), status)
                process.stdout.close()
                self.assertNotIn(b"error", process.stderr.read())

    def test_quietly_when_the_reader_goes_away(self):
        with self.endless() as process:
            self.assertNotEqual(process.stdout.read(1), b"")
            process.stdout.close()
            self.assertIn(process.wait(timeout=10), (0, 141))
            self.assertNotIn(b"error", process.stderr.read())

    def test_after_a_note_when_standard_input_says_nothing(self):
        read_end, write_end = os.pipe()
        with self.start("run", self.model(), "-n", "1", stdin=read_end, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE) as process:
            os.close(read_end)
            begin = time.monotonic()
            self.assertIn(b"waiting for a prompt", process.stderr.readline())
            self.assertGreater(time.monotonic() - begin, 1.5)
            os.write(write_end, b"hi")
            os.close(write_end)
            self.assertEqual(process.wait(timeout=10), 0)

    def test_well_without_standard_streams(self):
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]:
            with self.subTest(closed):
                command = f"{self.program} complete {self.model()} -n 2 hi {closed}"
                process = subprocess.run(["sh", "-c", command], env=harness.ENVIRONMENT,
                                         stdin=subprocess.DEVNULL, capture_output=True)
                self.assertEqual(process.returncode, 0, process.stderr)

    def test_well_without_a_home(self):
        answer = self.call("run", self.model(), "-n", "1", "hi", env={"HOME": ""})
        self.assertEqual(answer.status, 0, answer.err)


if __name__ == "__main__":
    harness.main()
