#!/usr/bin/env python3
"""examples/summarise.py: nothing is lost, nothing is too long, and what was covered is said."""

import json
import random

import examples
import harness

import fourfold
import summarise

TWENTY = ["--words", 20]  # 60 tokens are left for a summary


def some_words(name, n):
    return " ".join(f"{name}{i}" for i in range(n))


def section(name, n_words):
    return f"# About {name}\n\n{some_words(name, n_words)}\n\n"


def answer(text, **more):
    return {"text": text, **more}


class Document(examples.ExampleTest):
    """How it is split. Tokens are those of the real program."""

    def test_pieces_are_paragraphs_under_their_headings(self):
        text = "One\ntwo\n\n\nthree\n# A\nfour\n```\n# code\n\nmore\n```\nfive\n\nsix"
        pieces = summarise.split_document(text)
        self.assertEqual("".join(piece.text for piece in pieces), text)
        self.assertEqual([(piece.first, piece.last, piece.heading) for piece in pieces],
                         [(1, 4, ""), (5, 5, ""), (6, 14, "A"), (15, 15, "A")])

    def test_a_long_piece_is_cut_where_it_hurts_least(self):
        for text, cut in [
                ("one two.\nthree", [("one two.\n", 4, 4), ("three", 5, 5)]),
                ("One two. Three? Four", [("One two.", 4, 4), (" Three?", 4, 4), (" Four", 4, 4)]),
                ("one two", [("one", 4, 4), (" two", 4, 4)]),
                ("onetwo", [("one", 4, 4), ("two", 4, 4)])]:
            pieces = summarise.smaller_pieces(summarise.Piece(text, 4, 5, ""))
            self.assertEqual([(piece.text, piece.first, piece.last) for piece in pieces], cut)

    def test_parts_hold_all_of_any_document_and_fit(self):
        chance = random.Random(1)
        bits = ["word ", "a", "\n", "\n\n", "# Head\n", ". ", "```\n", "日本語", "\t", "x" * 700,
                "🙂" * 90]
        with fourfold.Model(self.random_model(), self.program, context=900) as model:
            for _ in range(8):
                text = "".join(bit * chance.randint(1, 30)
                               for bit in chance.choices(bits, k=chance.randint(1, 60))) + "end"
                summariser = summarise.Summariser(model, 20, print)
                parts = list(summariser.parts(text))
                pieces = [piece for part in parts for piece in part.pieces]
                self.assertEqual("".join("".join(piece.text for piece in pieces).split()),
                                 "".join(text.split()))
                for part in parts:
                    prompt = summariser._part_prompt(part, "")
                    n_tokens = model.n_tokens(summarise.as_messages(prompt))
                    # With the summary of the part before, and the next.
                    self.assertLessEqual(n_tokens + 2 * summariser.n_answer, model.context)

    def test_line_ranges_are_joined(self):
        self.assertEqual(summarise.join_ranges([(1, 4), (4, 9), (10, 10), (12, 15)]),
                         [[1, 10], [12, 15]])


class Summarise(examples.ExampleTest):
    name = "summarise"

    def test_a_short_document_is_one_part(self):
        path = self.write("note.md", "The pump\n\nis broken.\n")
        turn = {"last": ["The pump\n\nis broken.", "150 words", "lines 1 to 3"],
                "answer": answer(" A broken pump.\n")}
        out = self.play(path, turns=[turn]).out
        self.assertEqual(out, "A broken pump.\n\n"
                              "Covered: lines 1-3 of 3 (100% of the text), in 1 part.\n")

    def test_parts_carry_the_summary_of_the_one_before_and_are_merged(self):
        path = self.write("long.md",
                          section("soil", 300) + section("rain", 300) + section("sun", 300))
        out = self.play(path, *TWENTY, "--parts", context=600, turns=[
            {"last": ["soil0", "soil299", 'heading "About soil"'], "lacks": ["rain", "before"],
             "settings": {"max_tokens": 60}, "answer": answer("All of soil.")},
            {"last": ["rain0", "rain299", "before was summarised as: All of soil."],
             "lacks": ["soil0", "sun0"], "answer": answer("All of rain.")},
            {"last": ["sun0", "sun299", "All of rain."], "answer": answer("All of sun.")},
            {"last": ["1. All of soil.", "2. All of rain.", "3. All of sun."],
             "lacks": ["sun0"], "answer": answer("All of it.")}]).out
        self.assertEqual(out.splitlines()[0], "All of it.")
        self.assertIn("\n## Lines 5-8: About rain\n\nAll of rain.\n", out)
        self.assertTrue(out.endswith("Covered: lines 1-12 of 12 (100% of the text), in 3 parts.\n"))

    def test_many_summaries_are_merged_in_steps(self):
        path = self.write("long.txt", "".join(f"{some_words(name, 90)}\n\n" for name in "abcde"))
        turns = [{"last": [f"{name}0 ", f"{name}89"], "answer": answer(some_words(name * 2, 55))}
                 for name in "abcde"]
        turns += [{"last": ["aa0", "bb0", "cc54"], "lacks": ["dd0"], "answer": answer("First.")},
                  {"last": ["dd0", "ee54"], "lacks": ["cc0"], "answer": answer("Second.")},
                  {"last": ["1. First.", "2. Second."], "answer": answer("All.")}]
        self.assertTrue(self.play(path, *TWENTY, context=300, turns=turns).out.startswith("All.\n"))

    def test_json_tells_what_was_covered(self):
        text = section("soil", 300) + section("rain", 300) + section("sun", 300)
        out = self.play("--json", "-q", *TWENTY, "--most-parts", 2, stdin=text.encode(),
                        context=600, turns=[
                            {"answer": answer("")},
                            {"last": ["rain0"], "lacks": ["before was"],
                             "answer": answer("Rain °", finish="length")}])
        self.assertEqual(out.err, "")
        report = json.loads(out.out)
        share = report["covered"].pop("share")
        self.assertAlmostEqual(share, 1 / 3, 1)
        self.assertEqual(report, {
            "document": "-", "summary": "Rain °",
            "covered": {"lines": [[5, 8]], "of_lines": 12, "parts_left_out": 1,
                        "parts_unanswered": 1, "summaries_cut": 1},
            "parts": [{"lines": [1, 4], "heading": "About soil", "summary": ""},
                      {"lines": [5, 8], "heading": "About rain", "summary": "Rain °"}]})

    def test_text_tells_what_was_not_covered(self):
        text = section("soil", 300) + section("rain", 300)
        out = self.play(*TWENTY, "--most-parts", 1, stdin=text.encode(), context=600,
                        turns=[{"answer": answer("Soil.", finish="length")}]).out
        self.assertRegex(out, r"lines 1-4 of 8 \(\d\d% of the text\), in 1 part; parts left out by "
                              r"--most-parts: 1; summaries cut at their limit \(--words\): 1\.\n")

    def test_marks_and_line_ends_of_windows_are_read(self):
        self.play(stdin="\ufeffOne\r\ntwo".encode(), turns=[
            {"last": ["DOCUMENT\nOne\ntwo\n"], "lacks": ["\r", "\ufeff"], "answer": answer("x")}])

    def test_what_cannot_be_summarised_is_said(self):
        good = self.write("good.txt", "Some text.")
        for path, words in [("none.txt", "none.txt: No such file"),
                            (self.write("empty.txt", " \n"), "empty.txt: empty"),
                            (self.folder, "Is a directory")]:
            self.assertIn(words, self.play(path, turns=[], status=1).err)
        self.assertIn("byte 1 is not UTF-8", self.play(stdin=b"a\xff", turns=[], status=1).err)
        self.assertIn("too small", self.play(good, turns=[], context=200, status=1).err)
        silent = {"answer": answer(" ")}
        self.assertIn("said nothing", self.play(good, turns=[silent], status=1).err)
        refused = {"error": {"code": "RESOURCE_EXHAUSTED", "message": "no memory"}}
        self.assertIn("no memory", self.play(good, turns=[refused], status=1).err)

    def test_wrong_flags_are_refused(self):
        for flag, value in [("--words", "0"), ("--context", "-1"), ("--most-parts", "x")]:
            answer_ = self.call_example("--model", "x", flag, value)
            self.assertEqual(answer_.status, 2)
            self.assertIn(f"{flag}: {value} (expected a whole number of 1 or more)", answer_.err)

    def test_runs_with_a_real_model_whatever_it_says(self):
        path = self.write("long.md", section("soil", 200) + section("rain", 200))
        answer_ = self.call_example("--program", self.program, "--model", self.random_model(),
                                    "--context", 1500, *TWENTY, "--json", path)
        self.assertEqual(answer_.status, 0, answer_.err)
        report = json.loads(answer_.out)
        self.assertGreater(len(report["parts"]), 1)
        self.assertEqual([report["parts"][0]["lines"][0], report["parts"][-1]["lines"][1]], [1, 8])


if __name__ == "__main__":
    harness.main()
