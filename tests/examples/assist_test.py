#!/usr/bin/env python3
"""examples/assist.py: it proposes what the model wrote, and files change only when asked."""

import os
import pathlib
import re
import subprocess
import textwrap
import unittest

import examples
import harness

import assist
import fourfold

STACK = """\
class Stack:
    def __init__(self):
        self.items = []

    # The last one.
    @property
    def top(self):
        return self.items[0]

    def pop(self):
        return self.items.pop()
"""
TEST = """\
from stack import Stack
stack = Stack()
stack.items = [1, 2]
assert stack.top == 2, f"top is {stack.top}"
"""
RIGHT = "It takes the first.\n```py\n@property\ndef top(self):\n    return self.items[-1]\n```\n"
WRONG = RIGHT.replace("[-1]", "[1:]")
FIXED = STACK.replace("[0]", "[-1]")
FIX_DIFF = """\
--- a/stack.py
+++ b/stack.py
@@ -5,7 +5,7 @@
     # The last one.
     @property
     def top(self):
-        return self.items[0]
+        return self.items[-1]
 
     def pop(self):
         return self.items.pop()
"""
CHECK = ["--check", "python3 -B stack_test.py"]


def says(text, **more):
    return {"answer": {"text": text, **more}}


class Code(unittest.TestCase):
    """Where code is found, and how it is put back."""

    def find(self, part, text=STACK, path="a.py"):
        return assist.find_lines(path, assist.split_lines(text), part)

    def test_code_is_found_by_lines_and_names(self):
        for part, lines in [("2", (1, 2)), ("2-4", (1, 4)), ("top", (5, 8)), ("Stack", (0, 11)),
                            ("pop", (9, 11))]:
            self.assertEqual(self.find(part), lines, part)

    def test_code_that_is_not_there_is_refused(self):
        for part, text, path, words in [
                ("12", STACK, "a.py", "it has 11"), ("3-2", STACK, "a.py", "no such lines"),
                ("0", STACK, "a.py", "no such lines"), ("push", STACK, "a.py", "0 functions"),
                ("f", "def f(): 1\ndef f(): 2\n", "a.py", "2 functions .* line 1, line 2"),
                ("f", "def f(:\n", "a.py", "a.py:1: "), ("f", "f() {}", "a.sh", "in Python only")]:
            with self.assertRaisesRegex(fourfold.Failed, words):
                self.find(part, text, path)

    def test_new_code_takes_the_place_and_the_depth_of_the_old(self):
        for text, begin, end, code, expected in [
                ("a\nb\nc\n", 1, 2, "x\ny\n", "a\nx\ny\nc\n"),
                ("if a:\n    b\nc\n", 1, 2, "x:\n    y\n", "if a:\n    x:\n        y\nc\n"),
                ("if a:\n\tb\n", 1, 2, "  x\n", "if a:\n\tx\n"),
                ("a\r\nb\r\n", 1, 2, "x\ny\n", "a\r\nx\r\ny\r\n"),
                ("a\f\nb", 1, 2, "x\n", "a\f\nx\n"),
                ("", 0, 0, "x\n", "x\n"),
                ("a\n", 1, 1, "x\n", "a\n\n\nx\n"),
                ("a\n\n\n\nb\n", 1, 1, "x\n", "a\n\n\nx\n\n\nb\n")]:
            target = assist.Target(pathlib.Path("a.py"), assist.split_lines(text), begin, end)
            self.assertEqual(target.with_code(code), expected)

    def test_an_answer_is_one_whole_block_that_changes_something(self):
        target = assist.Target(pathlib.Path("a.md"), ["a\n"], 0, 1)
        for text, finish, expected in [
                ("```\nb\n```", "stop", ("b\n", None)),
                ("````md\n```\nb\n```\n````\n", "stop", ("```\nb\n```\n", None)),
                ("b", "stop", (None, "The answer has 0 fenced blocks of code instead of one.")),
                ("```\nb\n```\n```\nc\n```", "stop",
                 (None, "The answer has 2 fenced blocks of code instead of one.")),
                ("```\nb\n```", "length", (None, "The answer was too long and was cut.")),
                ("```\na\n```", "stop", (None, "That is the code as it was."))]:
            answer = {"text": text, "finish": finish}
            self.assertEqual(assist.read_proposal(answer, target), expected)

    def test_fences_are_longer_than_those_within(self):
        self.assertEqual(assist.fenced("a\n```\n", "md"), "````md\na\n```\n````")


class Assist(examples.ExampleTest):
    name = "assist"

    def setUp(self):
        super().setUp()
        self.path = self.write("stack.py", STACK)
        self.write("stack_test.py", TEST)

    def assertFileIs(self, text):
        self.assertEqual(self.path.read_text(), text)

    def test_code_and_diffs_are_explained(self):
        for where, stdin, words, lacks in [
                ("stack.py", "", ["class Stack", "return self.items.pop()"], []),
                ("stack.py:10-11", "", ["def pop"], ["class Stack", "def top"]),
                ("stack.py:top", "", ["\n@property\ndef top"], ["def pop"]),
                ("-", FIX_DIFF, ["Explain this diff", "-        return self.items[0]"], []),
                (self.write("a.diff", FIX_DIFF), "", ["Explain this diff", "```diff"], [])]:
            with self.subTest(where):
                turn = {"last": words, "lacks": lacks} | says(" It is\na stack. ")
                out = self.play("explain", where, stdin=stdin.encode(), turns=[turn]).out
                self.assertEqual(out, "It is\na stack.\n")

    def test_a_fix_is_shown_and_applied_only_when_asked(self):
        turn = {"last": ["the first is not the last", "def top", "stack.py"],
                "lacks": ["def pop"]} | says(RIGHT)
        flags = ["fix", "stack.py:top", "the first is not the last"]
        answer = self.play(*flags, turns=[turn])
        self.assertEqual(answer.out, FIX_DIFF)
        self.assertIn("It takes the first.\n", answer.err)
        self.assertFileIs(STACK)
        os.chmod(self.path, 0o754)
        self.assertEqual(self.play(*flags, "--apply", turns=[turn]).out, FIX_DIFF)
        self.assertFileIs(FIXED)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o754)

    def test_a_failed_check_goes_back_to_the_model(self):
        answer = self.play("fix", "stack.py:top", *CHECK, "--apply", turns=[
            {"last": ["`python3 -B stack_test.py` failed: it ended with status 1", "top is 1"]}
            | says(WRONG),
            {"has": ["top is 1", "self.items[1:]"], "last": ["top is [2]"]} | says(RIGHT)])
        self.assertEqual(answer.out, FIX_DIFF)
        self.assertIn("try 1 of 3", answer.err)
        self.assertIn("+        return self.items[1:]", answer.err)
        self.assertFileIs(FIXED)

    def test_nothing_is_applied_when_no_try_passes(self):
        turns = [says("I do not know."), {"last": ["0 fenced blocks"]} | says(WRONG)]
        answer = self.play("fix", "stack.py:top", *CHECK, "--apply", "--rounds", 2, turns=turns,
                           status=1)
        self.assertEqual(answer.out, "")
        self.assertIn("2 tries", answer.err)
        self.assertFileIs(STACK)

    def test_a_check_that_passes_needs_no_fix(self):
        answer = self.play("fix", "stack.py", "--check", "true", turns=[])
        self.assertIn("passes already", answer.err)

    def test_checks_run_in_a_copy_without_what_git_ignores(self):
        self.write(".gitignore", "*.log\n")
        self.write("a.log", "x")
        self.write("part/b.txt", "x")
        (self.folder / "link").symlink_to("part")
        see = "find . -not -path './.git*' | sort; cat part/b.txt; echo new > part/b.txt; exit 1"
        names = ["link", "part", "part/b.txt", "script.json", "stack.py", "stack_test.py"]
        for ignored in (["a.log"], []):  # without git, and with it
            if not ignored:
                subprocess.run(["git", "init", "-q"], cwd=self.folder, check=True)
            listing = "".join(f"./{name}\n" for name in ignored + names)
            self.play("fix", "stack.py", "--check", see, "--rounds", 1, status=1, turns=[
                {"last": [f"\n.\n{listing}x\n"]} | says("none")])
            self.assertEqual((self.folder / "part" / "b.txt").read_text(), "x")

    def test_a_check_that_does_not_end_is_ended_with_all_that_it_started(self):
        pids = self.folder / "pids"
        self.play("fix", "stack.py", "--check", f"sleep 99 & echo $! > '{pids}'; wait", "--timeout",
                  1, "--rounds", 1, status=1,
                  turns=[{"last": ["within 1 s it did not end"]} | says("none")])
        status = pathlib.Path(f"/proc/{int(pids.read_text())}/stat")
        self.assertTrue(not status.exists() or status.read_text().split()[2] == "Z")

    def test_a_file_that_changed_meanwhile_is_left_alone(self):
        answer = self.play("fix", "stack.py:top", "x", "--check", f"echo '# x' >> '{self.path}'",
                           "--apply", status=1, turns=[says(RIGHT)])
        self.assertIn("changed meanwhile", answer.err)
        self.assertTrue(self.path.read_text().startswith(STACK + "# x\n"))

    def test_code_is_written_at_the_end_behind_a_place_or_to_a_new_file(self):
        code = says("```python\ndef size(self):\n    return 1\n```")
        for where, has, lacks, place in [
                ("stack.py", ["class Stack", "def pop", "at the end"], [], -1),
                ("stack.py:1-3", ["class Stack", "behind this"], ["def pop"], 3),
                ("new.py", ["new.py", "at the end"], ["class Stack"], 0)]:
            with self.subTest(where):
                self.path.write_text(STACK)
                self.play("write", where, "its size", "--apply",
                          turns=[{"last": ["its size", *has], "lacks": lacks} | code])
                text = (self.folder / where.split(":")[0]).read_text()
                before, after = text.split("def size(self):\n    return 1\n")
                lines = STACK.splitlines(keepends=True)
                expected = {-1: (STACK + "\n\n", ""), 0: ("", ""),
                            3: ("".join(lines[:3]) + "\n\n", "\n\n" + "".join(lines[4:]))}
                self.assertEqual((before, after), expected[place])

    def test_a_diff_is_fixed_where_it_changed_its_file(self):
        broken = FIX_DIFF.replace("[0]", "[ ]").replace("[-1]", "[0]")
        whole = "```\n" + textwrap.dedent("".join(FIXED.splitlines(True)[4:11])) + "```"
        turn = {"last": ["```diff", "-        return self.items[ ]", "\n# The last one.\n@prop"],
                "lacks": ["__init__"]} | says(whole)
        answer = self.play("fix", "-", "x", "--apply", stdin=broken.encode(), turns=[turn])
        self.assertEqual(answer.out, FIX_DIFF)
        self.assertFileIs(FIXED)

    def test_a_diff_of_something_else_is_refused(self):
        for diff, words in [("no diff", "no diff"), (FIX_DIFF, "stack.py:5: other lines"),
                            (FIX_DIFF + FIX_DIFF, "2 files"),
                            (FIX_DIFF.replace("b/stack.py", "/dev/null"), "1 files"),
                            (FIX_DIFF.replace("b/stack.py", "b/no.py"), "no.py: no such file"),
                            ("+++ b/stack.py\n@@ -3,1 +2,0 @@\n-x\n", "no code in these lines")]:
            with self.subTest(words):
                answer = self.play("fix", "-", "x", stdin=diff.encode(), turns=[], status=1)
                self.assertIn(words, answer.err)

    def test_what_cannot_be_done_is_said(self):
        self.write("empty.py", "\n")
        (self.folder / "bytes.py").write_bytes(b"ab\xff")
        for where, words in [("no.py", "no.py: no such file"), ("empty.py", "empty.py: no code"),
                             ("bytes.py", "byte 2 is not UTF-8"), (".", "Is a directory"),
                             ("stack.py:99", "it has 11")]:
            self.assertIn(words, self.play("explain", where, turns=[], status=1).err)
        answer = self.play("explain", "stack.py", turns=[], context=610, status=1)
        self.assertRegex(answer.err, r"\d+ tokens and 600 for the answer are more than .* 610 ")
        self.assertEqual(self.call_example("fix", "stack.py", "--model", "x").status, 2)

    def test_runs_with_a_real_model_whatever_it_says(self):
        model = ["--program", self.program, "--model", self.random_model()]
        answer = self.call_example("explain", "stack.py:pop", *model)
        self.assertEqual(answer.status, 0, answer.err)
        self.assertNotEqual(answer.out, "")
        answer = self.call_example("fix", "stack.py:pop", "x", "--rounds", 2, *model)
        self.assertEqual(answer.status, 1)
        self.assertTrue(re.search(r"\nassist: error: 2 tries", answer.err), answer.err)
        self.assertFileIs(STACK)


if __name__ == "__main__":
    harness.main()
