#!/usr/bin/env python3
"""Traces: what a server keeps, and the commands that read it."""

import json
import pathlib
import re
import signal
import subprocess
import tempfile
import urllib.request

import harness

BASIL = "Tell me about basil."
KEEPER = harness.ROOT / "models" / "keeper" / "keeper.gguf"


class Traces(harness.ProgramTest):
    """One server keeps three traces, which all tests read."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.env = {"FOURFOLD_DATA_DIR": cls.folder.name}
        server = subprocess.Popen([str(cls.build / "fourfold"), "serve", str(KEEPER), "--port", "0",
                                   "-c", "2048"],
                                  env={**harness.ENVIRONMENT, **cls.env}, stderr=subprocess.PIPE,
                                  text=True)
        cls.address = re.search(r"http://\S+", server.stderr.readline()).group(0)
        while "ready" not in server.stderr.readline():
            pass
        try:
            for seed, prompt, header in [(5, BASIL, "1"), (5, BASIL, "1"),
                                         (6, "What is a seedling?", "1"), (7, BASIL, "0")]:
                cls.ask(seed, prompt, header)
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        listed = subprocess.run([str(cls.build / "fourfold"), "trace", "list", "--json"],
                                env={**harness.ENVIRONMENT, **cls.env}, capture_output=True)
        cls.listed = json.loads(listed.stdout)
        cls.ids = [trace["id"] for trace in cls.listed]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def ask(cls, seed, prompt, trace):
        body = {"model": "keeper", "prompt": prompt, "stream": False, "think": False,
                "options": {"seed": seed, "temperature": 2, "top_k": 0, "top_p": 1,
                            "num_predict": 16}}
        request = urllib.request.Request(cls.address + "/api/generate", json.dumps(body).encode(),
                                         {"x-trace": trace})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def by_seed(self, seed):
        return [trace for trace in self.ids if self.seed_of(trace) == seed]

    def seed_of(self, trace):
        shown = self.call("trace", "show", trace, "--json", env=self.env).out.decode()
        return json.loads(shown.splitlines()[1])["request"]["sampling"]["seed"]

    def test_only_requests_that_ask_are_kept(self):
        self.assertEqual(len(self.ids), 3)
        for trace in self.listed:
            self.assertEqual((trace["dialect"], trace["route"]), ("ollama", "ollama.generate"))
            self.assertGreater(trace["prompt_tokens"], 0)
            self.assertGreater(trace["answers"][0]["tokens"], 0)
            self.assertIn(trace["answers"][0]["finish"], ["stop", "length"])

    def test_list_has_a_line_for_each(self):
        lines = self.call("trace", "list", env=self.env).out.decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines], self.ids)

    def test_show_has_a_line_for_each_token(self):
        answer = self.call("trace", "show", self.ids[0], env=self.env)
        self.assertEqual(answer.status, 0, answer.err)
        shown = answer.out.decode()
        n_tokens = self.listed[0]["answers"][0]["tokens"]
        self.assertEqual(len(re.findall(r"(?m)^ +\d+  answer   logprob ", shown)), n_tokens)
        self.assertIn("temperature 2, top_k 0, top_p 1, seed ", shown)

    def test_replay_draws_the_same_tokens(self):
        for trace in self.ids:
            answer = self.call("trace", "replay", trace, env=self.env)
            self.assertEqual(answer.status, 0, answer.err)
            self.assertRegex(answer.out, rb"^the same \d+ tokens, log probabilities at most 0 apart\n")
            self.assertNotIn("another", answer.err)

    def test_replay_on_another_instruction_set_says_so(self):
        answer = self.call("trace", "replay", self.ids[0], env={**self.env, "FOURFOLD_FORCE_ISA": "scalar"})
        self.assertIn("another instruction set", answer.err)

    def test_diff_tells_two_answers_apart(self):
        one, same = self.by_seed(5)
        other, = self.by_seed(6)
        self.assertEqual(self.call("trace", "diff", one, same, env=self.env).status, 0)
        answer = self.call("trace", "diff", one, other, "--json", env=self.env)
        self.assertEqual(answer.status, 1, answer.err)
        self.assertFalse(answer.json["equal"])
        self.assertIn("the prompts differ", answer.err)
        self.assertNotEqual(answer.json["a"]["id"], answer.json["b"]["id"])
        words = self.call("trace", "diff", one, other, env=self.env)
        self.assertRegex(words.out.decode(), r"^answer 0 differs at token \d+\n  \S+: \d+ .*logprob")

    def test_a_file_is_as_good_as_an_id(self):
        path = pathlib.Path(self.folder.name) / "traces" / (self.ids[0] + ".jsonl.zst")
        self.assertEqual(self.call("trace", "show", path).status, 0)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_an_unknown_trace_is_an_error(self):
        answer = self.call("trace", "show", "nothing", env=self.env)
        self.assertRefused(answer, 1, "nothing", "no such trace")
        self.assertRefused(self.call("trace", "show", "../../etc/passwd", env=self.env), 1)


if __name__ == "__main__":
    harness.main()
