#!/usr/bin/env python3
"""Verdicts on right answers and wrong ones of each kind; evaluate.py with a played program."""

import json
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import evaluate  # noqa: E402
import figures  # noqa: E402
import scoring  # noqa: E402
import thoughts  # noqa: E402

TOOLS = {"set_device": ["zone", "device", "state"], "notify": ["person", "message"], "list": []}
DECLARED = [{"name": name, "parameters": {"type": "object", "properties": {
    key: {"type": "string"} for key in keys}}} for name, keys in TOOLS.items()]
FAN = {"name": "set_device", "arguments": {"zone": "north bed", "device": "fan", "state": "on"}}
TELL = {"name": "notify", "arguments": {"person": "Ada", "message": "Too hot, then dry."}}
FAN_PLAN = "call set_device with zone=north bed, device=fan, state=on"
TELL_PLAN = "notify with person=Ada, message=Too hot, then dry."


def changed(call, **arguments):
    return {"name": call["name"], "arguments": call["arguments"] | arguments}


def case_of(expect, skill="own", **keys):
    request = {"messages": [{"role": "user", "content": "go"}], "tools": DECLARED}
    if "json" in expect:
        request = {"messages": request["messages"], "schema": SCHEMA}
    case = {"id": f"{skill}/1", "skill": skill, "request": request, "expect": expect, **keys}
    scoring.check_case(case)
    return case


def answer_of(text="", calls=(), thinking="", finish=None, **keys):
    return {"text": text, "tool_calls": list(calls), "thinking": thinking,
            "finish": finish or ("tool_calls" if calls else "stop"), **keys}


SCHEMA = {"type": "object", "required": ["n", "tags"], "additionalProperties": False,
          "properties": {"n": {"type": "integer", "minimum": 0},
                         "tags": {"type": "array", "maxItems": 2, "items": {"enum": ["a", "b"]}}}}


class Verdicts(unittest.TestCase):
    def assertJudged(self, case, right, wrong):
        for answer in right:
            self.assertEqual(scoring.judge(case, answer).faults, [], answer)
        for answer in wrong:
            verdict = scoring.judge(case, answer)
            self.assertFalse(verdict.measures["right"], answer)
            self.assertNotEqual(verdict.faults, [])

    def test_choosing_a_tool_is_counted_apart_from_its_arguments(self):
        case = case_of({"calls": [TELL]}, "unseen")
        for answer, chosen in ((answer_of(calls=[TELL]), True),
                               (answer_of(calls=[changed(TELL, person="Bo")]), True),
                               (answer_of(calls=[FAN]), False),
                               (answer_of(calls=[TELL, FAN]), False), (answer_of(), False)):
            self.assertEqual(scoring.judge(case, answer).measures["chosen"], chosen, answer)

    def test_want_the_very_calls_in_any_order(self):
        self.assertJudged(
            case_of({"calls": [FAN, TELL]}),
            right=[answer_of(calls=[FAN, TELL]), answer_of(calls=[TELL, FAN])],
            wrong=[answer_of(),
                   answer_of("I will."),
                   answer_of(calls=[FAN]),
                   answer_of(calls=[FAN, FAN]),
                   answer_of(calls=[FAN, TELL, TELL]),
                   answer_of(calls=[FAN, TELL | {"name": "list"}]),
                   answer_of(calls=[FAN, changed(TELL, person="ada")]),
                   answer_of(calls=[FAN, changed(TELL, urgent="yes")]),
                   answer_of(calls=[FAN, {"name": "notify", "arguments": {"person": "Ada"}}]),
                   answer_of(calls=[FAN, TELL], finish="length"),
                   answer_of(calls=[FAN, TELL], malformed=["call:list{"]),
                   {"error": {"message": "too long"}}])

    def test_compare_arguments_as_values(self):
        def call(value):
            return {"name": "list", "arguments": {"value": value}}
        self.assertJudged(case_of({"calls": [call([2, True])]}),
                          right=[answer_of(calls=[call([2.0, True])])],
                          wrong=[answer_of(calls=[call(value)]) for value in (
                              [2.5, True], ["2", True], [2, 1], [2, "true"], [2], [True, 2], 2)])

    def test_want_the_whole_value_of_an_answer_in_json(self):
        case = case_of({"json": {"n": 2, "tags": ["a"]}}, skill="schema")
        right = ['{"n": 2, "tags": ["a"]}', '{"tags":["a"],"n":2.0}']
        valid = ['{"n": 3, "tags": ["a"]}', '{"n": 2, "tags": []}']
        invalid = ['{"n": -2, "tags": ["a"]}', '{"n": 2}', '{"n": 2, "tags": ["c"]}', '"n"',
                   '{"n": 2, "tags": ["a"], "x": 1}', '{"n": true, "tags": ["a"]}', "",
                   '{"n": 2, "tags": ["a"]', '{"n": 2, "tags": ["a"]} done',
                   '{"n": 2.5, "tags": []}', '{"n": 2, "n": 2, "tags": ["a"]}',
                   '{"n": NaN, "tags": ["a"]}', '{"n": 2, "tags": ["a", "a", "a"]}']
        self.assertJudged(case, right=map(answer_of, right), wrong=[
            *map(answer_of, valid + invalid), answer_of(right[0], calls=[FAN]),
            answer_of(right[0], finish="loop")])
        for texts, is_valid in ((right + valid, True), (invalid, False)):
            for text in texts:
                verdict = scoring.judge(case, answer_of(text))
                self.assertEqual(verdict.measures["valid"], is_valid, text)

    def test_find_words_and_whole_numbers_in_text(self):
        case = case_of({"contains": ["17.5", "North"], "lacks": ["20"], "no_calls": True})
        self.assertJudged(
            case,
            right=map(answer_of, ["The north bed has 17.5.", "NORTHERN: 17.5, not 120 or 20.5"]),
            wrong=[*map(answer_of, ["The bed has 17.5.", "North: 17.55", "north, 117.5",
                                    "North: 17.5, not 20.", "North: 17.5 (20)", ""]),
                   answer_of("north 17.5", calls=[FAN]), answer_of("north 17.5", finish="length")])
        self.assertJudged(case_of({"contains_any": ["cannot", "no tool"], "no_calls": True}),
                          right=map(answer_of, ["I cannot.", "I have NO TOOL for it."]),
                          wrong=[answer_of("Done."), answer_of("I cannot.", calls=[FAN])])
        self.assertJudged(case_of({"lacks": ["fan"]}), right=[answer_of("no", calls=[FAN])],
                          wrong=[answer_of("The Fan runs.")])


class Thoughts(unittest.TestCase):
    def plan(self, *lines):
        return thoughts.action_from_thought("\n".join(lines), TOOLS)

    def test_decide_by_their_last_line(self):
        fan, tell = ((call["name"], call["arguments"]) for call in (FAN, TELL))
        for lines, expected in [
                (["It is warm.", f"So: {FAN_PLAN}."], [fan]),
                ([f"27 is above 25. So: {FAN_PLAN}, then {TELL_PLAN}."], [fan, tell]),
                (["So: call list, then list."], [("list", {})] * 2),
                (["So: no call."], []),
                ([f"So: {FAN_PLAN}.", "So: no call."], [])]:
            self.assertEqual(self.plan(*lines), expected)

    def test_without_a_plan_decide_nothing(self):
        for line in ("", "So: call nothing.", "So: call list", "no call.", "So: maybe.",
                     "So: call set_device zone=a.", "So: call set_device with color=red.",
                     "So: call list with zone=a.", "So: call set_device with zone=a, zone=b.",
                     "So: no call. Or perhaps."):
            self.assertIsNone(self.plan(line), line)

    def test_name_values_of_every_type(self):
        plan = [("f", {"a": "7", "b": "true", "c": "7.50", "d": "7", "e": "[x, y]"})]
        right = {"a": 7, "b": True, "c": 7.5, "d": "7", "e": ["x", "y"]}
        self.assertTrue(thoughts.is_same_action(plan, [{"name": "f", "arguments": right}]))
        for wrong in ({"a": 8}, {"b": 1}, {"b": "True"}, {"c": "7.5"}, {"a": True}, {"e": ["x"]},
                      {"e": ["y", "x"]}, {"a": None}, {"g": 1}):
            self.assertFalse(
                thoughts.is_same_action(plan, [{"name": "f", "arguments": right | wrong}]), wrong)

    def test_are_compared_with_the_action_and_with_what_is_right(self):
        case = case_of({"calls": [FAN]}, skill="thought", thought={"calls": [FAN]})
        off = changed(FAN, state="off")
        on_plan = f"Warm.\nSo: {FAN_PLAN}."
        off_plan = on_plan.replace("state=on", "state=off")
        for thinking, calls, expected in [
                (on_plan, [FAN], (True, True, True)),
                (on_plan, [off], (True, False, False)),
                (off_plan, [FAN], (False, True, False)),
                (off_plan, [off], (False, False, True)),
                (on_plan, [], (True, False, False)),
                ("So: no call.", [], (False, False, True)),
                ("", [FAN], (False, True, False)),
                (on_plan, [FAN, TELL], (True, False, False))]:
            verdict = scoring.judge(case, answer_of(thinking=thinking, calls=calls))
            measures = [verdict.measures[key] for key in ("thought_right", "right", "consistent")]
            self.assertEqual(tuple(measures), expected, (thinking, calls))
            self.assertEqual(bool(verdict.faults), not all(expected[1:]))

    def test_may_have_to_say_something(self):
        case = case_of({"no_calls": True}, skill="thought", thought={"contains": ["27"]})
        for thinking, is_right in (("27 is less.\nSo: no call.", True), ("So: no call.", False)):
            verdict = scoring.judge(case, answer_of("Nothing to do.", thinking=thinking))
            self.assertEqual(verdict.measures["thought_right"], is_right)
            self.assertTrue(verdict.measures["consistent"])


class Cases(unittest.TestCase):
    def test_that_are_wrong_are_named_with_their_line(self):
        good = case_of({"calls": [FAN]})
        wrong = [("{", "Expecting"), (good | {"skil": "own"}, "skil"), ({"id": "x"}, "skill"),
                 (good | {"skill": "magic"}, "magic"), (good | {"expect": {}}, "expect"),
                 (good | {"expect": {"calls": [], "lacks": []}}, "expect"),
                 (good | {"expect": {"json": 1}}, "schema"),
                 (good | {"skill": "thought"}, "thought"),
                 (good | {"flip": {"thought": "So: no call."}}, "flip"),
                 (good | {"skill": "unseen", "request": {"messages": []}}, "tools"),
                 (good | {"expect": {"json": 1}, "request": {"messages": [], "schema": {
                     "items": {"multipleOf": 2}}}}, "multipleOf")]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "own.jsonl"
            for case, word in wrong:
                text = case if isinstance(case, str) else json.dumps(case)
                path.write_text(json.dumps(good) + "\n" + text + "\n")
                with self.assertRaisesRegex(ValueError, rf"own\.jsonl:2: .*{word}"):
                    scoring.read_cases(path)

    def test_are_thinned_without_losing_kinds_that_alternate(self):
        taken = evaluate.take_every(list(range(64)), 4)
        self.assertEqual(len(taken), 16)
        self.assertEqual({case % 4 for case in taken}, {0, 1, 2, 3})


class Floors(unittest.TestCase):
    REPORT = {
        "skills": {"armed": {"own": {"n": 4, "right": 3, "slices": {"tools": {"2": {
            "n": 2, "right": 1}}}}, "schema": {"n": 2, "right": 1, "valid": 2, "slices": {}}}},
        "ablations": {"opposite thought": {"n": 10, "right": 9, "before": 10}},
        "perplexity": {"perplexity": 3.0}}

    def holds(self, *floors, only=None):
        return [holds for *_, holds in figures.check_floors(self.REPORT, floors, only)]

    def test_hold_or_not(self):
        self.assertEqual(self.holds(
            {"skill": "own", "least": 0.75}, {"skill": "own", "least": 0.76},
            {"skill": "own", "slice": {"tools": 2}, "least": 0.6},
            {"skill": "schema", "measure": "valid", "least": 1.0},
            {"ablation": "opposite thought", "least": 0.9},
            {"ablation": "opposite thought", "least": 0.91},
            {"measure": "perplexity", "most": 3.0}, {"measure": "perplexity", "most": 2.9}),
            [True, False, False, True, True, False, True, False])

    def test_of_other_skills_are_left_out(self):
        floors = [{"skill": "own", "least": 1}, {"skill": "schema", "least": 0},
                  {"measure": "perplexity", "most": 0}]
        self.assertEqual(self.holds(*floors, only="schema"), [True])

    def test_that_were_not_measured_are_errors(self):
        for floor in ({"skill": "memory", "least": 0}, {"skill": "own", "measure": "x", "least": 0},
                      {"skill": "own", "slice": {"tools": 3}, "least": 0},
                      {"ablation": "none", "least": 0}, {"skill": "own"},
                      {"skill": "own", "at_least": 0}):
            with self.assertRaises(ValueError):
                self.holds(floor)


# Answers each request by the name that its user gives; without constraints some answers are wrong.
PLAYED = """
    #!{python}
    import json, pathlib, sys
    answers = json.loads((pathlib.Path(__file__).parent / "answers.json").read_text())
    if sys.argv[1] == "eval":
        print('{{"perplexity": 2.5, "perplexity_stderr": 0.1, "scored": 100}}')
    elif sys.argv[1] == "--version":
        print("fourfold 9.9")
    else:
        mode = "unconstrained" if "--unconstrained" in sys.argv else "armed"
        for line in sys.stdin:
            request = json.loads(line)
            name = request["messages"][0]["content"]
            if request.get("continue_final_message"):
                name += " flipped"
            if [tool["name"] for tool in request.get("tools", [])][:1] == ["list"]:
                name += " reversed"
            answer = answers[name]
            print(json.dumps(answer.get(mode, answer)))
"""


class Program(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.program = self.write("fourfold", textwrap.dedent(PLAYED).strip().format(
            python=sys.executable))
        self.program.chmod(0o755)
        self.model = self.write("m.gguf", "weights")
        self.write("cases/story.txt", "Once.")
        off = changed(FAN, state="off")
        plan = f"So: {FAN_PLAN}."
        self.write_cases(
            ("own", case_of({"calls": [FAN]}, slice={"n": 1})),
            ("unseen", case_of({"calls": [TELL]}, "unseen",
                               slice={"n_tools": 2, "shared_word": True})),
            ("think", case_of({"calls": [FAN]}, "thought", thought={"calls": [FAN]}, flip={
                "thought": plan.replace("=on", "=off"), "calls": [off]})))
        self.answers = {
            "own": {"armed": answer_of(calls=[FAN]), "unconstrained": answer_of("on")},
            "unseen": answer_of(calls=[TELL]), "unseen reversed": answer_of(calls=[FAN]),
            "think": answer_of(calls=[FAN], thinking=plan), "think flipped": answer_of(calls=[off])}

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def write_cases(self, *cases):
        for name, case in cases:
            case["request"] |= {"messages": [{"role": "user", "content": name}]}
        self.write("cases/all.jsonl", "".join(json.dumps(case) + "\n" for _, case in cases))

    def run_it(self, *arguments, floors=()):
        self.write("answers.json", json.dumps(self.answers))
        return subprocess.run(
            [sys.executable, "-B", HERE / "evaluate.py", self.model, "--program", self.program,
             "--cases", self.folder / "cases", "--floors",
             self.write("floors.json", json.dumps(floors)), *arguments],
            capture_output=True, text=True, check=False)

    def test_figures_are_printed_and_written(self):
        out = self.folder / "report.json"
        done = self.run_it("--out", out, "--failures", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("| own | right | 1 | 100.0 | 0.0 | 100.0 |",
                     "| thought | consistent | 1 | 100.0 | 100.0 | 0.0 |",
                     "| thought right, action right | 1 |",
                     "| tools reversed | 1 | 0.0 | 100.0 |",
                     "| opposite thought | 1 | 100.0 | 100.0 |",
                     "Perplexity 2.500 ± 0.100 over 100 tokens.",
                     "| 2 × True | 1 | 100.0 | 100.0 |"):
            self.assertIn(line, done.stdout)
        report = json.loads(out.read_text())
        self.assertEqual(report["program"], "fourfold 9.9")
        self.assertEqual(report["skills"]["unconstrained"]["own"]["right"], 0)

    def test_failures_are_printed_as_they_are(self):
        self.answers["own"] = answer_of("I would rather not.")
        out = self.run_it("--failures", "5").stdout
        self.assertIn('answer   {"text": "I would rather not."', out)

    def test_a_figure_below_its_floor_is_a_failure(self):
        floors = [{"skill": "own", "least": 0.97}]
        self.assertEqual(self.run_it(floors=floors).returncode, 0)
        self.answers["own"] = answer_of(calls=[TELL])
        done = self.run_it(floors=floors)
        self.assertEqual(done.returncode, 1)
        self.assertIn("below the floor: own: right is 0, expected at least 0.97", done.stdout)

    def test_what_cannot_be_run_is_a_failure(self):
        self.model.unlink()
        missing = self.run_it()
        self.assertEqual(missing.returncode, 1)
        self.assertIn("m.gguf: no such file", missing.stderr)
        self.write("m.gguf", "")
        del self.answers["own"]
        broken = self.run_it()
        self.assertEqual(broken.returncode, 1)
        self.assertIn("status 1", broken.stderr)
        self.assertEqual(self.run_it("--only", "memory").returncode, 1)


if __name__ == "__main__":
    unittest.main()
