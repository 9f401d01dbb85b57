#!/usr/bin/env python3
"""tokenize and detokenize against the tokenizer goldens."""

import json

import harness

SMALL = harness.TOKENIZERS / "tokenizer-small.gguf"
SMALL_JSON = harness.TOKENIZERS / "tokenizer-small.json"
ROWS = [json.loads(line) for line in (harness.TOKENIZERS / "rows-small.jsonl").open()]


class Tokenize(harness.ProgramTest):
    def test_gives_the_ids_of_the_goldens(self):
        for row in ROWS[::40]:
            flags = ["--trusted"] if row["trusted"] else []
            text = row["text"].encode() if "text" in row else bytes.fromhex(row["bytes_hex"])
            with self.subTest(row["name"]):
                answer = self.call("tokenize", SMALL, "--json", *flags, stdin=text)
                self.assertEqual(answer.json, {"ids": row["ids"]})

    def test_prints_ids_separated_by_spaces(self):
        answer = self.call("tokenize", SMALL, "--bos", stdin=b"user\n")
        self.assertEqual((answer.status, answer.out, answer.err), (0, b"2 2325 107\n", ""))

    def test_shows_pieces(self):
        answer = self.call("tokenize", SMALL, "--pieces", "--json", stdin=b"user model")
        self.assertEqual("".join(answer.json["pieces"]), "user▁model")
        self.assertEqual(len(answer.json["pieces"]), len(answer.json["ids"]))

    def test_matches_control_spellings_only_in_trusted_text(self):
        self.assertNotIn(105, self.call("tokenize", SMALL, "--json", stdin=b"<|turn>").json["ids"])
        trusted = self.call("tokenize", SMALL, "--json", "--trusted", stdin=b"<|turn>")
        self.assertEqual(trusted.json["ids"], [105])

    def test_reads_a_tokenizer_json(self):
        ids = [self.call("tokenize", file, stdin=b"the river").out for file in (SMALL, SMALL_JSON)]
        self.assertEqual(ids[0], ids[1])

    def test_takes_nothing_as_nothing(self):
        self.assertEqual(self.call("tokenize", SMALL, "--json").json, {"ids": []})


class Detokenize(harness.ProgramTest):
    def test_gives_back_every_byte(self):
        text = "white  space\t\n\n, ünï𝄞, ".encode() + bytes([0xE2, 0x96, 0xFF, 0])
        ids = self.call("tokenize", SMALL, stdin=text).out
        answer = self.call("detokenize", SMALL, stdin=ids)
        self.assertEqual((answer.status, answer.out, answer.err), (0, text, ""))

    def test_reads_every_form_of_a_list(self):
        for form in ["2325 107", "2325,107", "[2325, 107]\n", " 2325\n107 "]:
            with self.subTest(form):
                self.assertEqual(self.call("detokenize", SMALL, stdin=form.encode()).out, b"user\n")
        self.assertEqual(self.call("detokenize", SMALL, "2325", "107").out, b"user\n")
        self.assertEqual(self.call("detokenize", SMALL, "[2325, 107]").out, b"user\n")

    def test_hides_control_pieces_when_asked(self):
        self.assertEqual(self.call("detokenize", SMALL, "2", "2325").out, b"<bos>user")
        self.assertEqual(self.call("detokenize", SMALL, "2", "2325", "--hide-control").out, b"user")

    def test_json_is_always_utf8(self):
        ids = self.call("tokenize", SMALL, stdin=b"a\xFFb").out.decode().split()
        self.assertEqual(self.call("detokenize", SMALL, *ids, "--json").json, {"text": "a\ufffdb"})

    def test_refuses_ids_outside_the_vocabulary(self):
        for ids in [["4000"], ["-1"], ["7", "x"], ["99999999999999999999"]]:
            with self.subTest(ids):
                self.assertRefused(self.call("detokenize", SMALL, *ids), 1, ids[-1], "3999")


if __name__ == "__main__":
    harness.main()
