#!/usr/bin/env python3
"""Evaluates the default body through the program, as its users meet it.

    evaluate.py MODEL [--every N] [--only SKILL] [--armed-only] [--floors FILE] [--failures N]
                [--out FILE.json] [--program FILE] [--cases FOLDER] [--jobs N]

Every case is asked twice, greedily: armed (calls and JSON are held to their form, as always) and
unconstrained. Prints tables in Markdown; with --floors, status 1 if a figure is below its floor.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys

import figures
import scoring
from program import Program, ProgramError

HERE = pathlib.Path(__file__).resolve().parent
MODES = {"armed": (), "unconstrained": ("--unconstrained",)}
MAX_TOKENS = 256  # where a request names no limit


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="takes one case of N (1)")
    parser.add_argument("--only", choices=scoring.SKILLS, metavar="SKILL",
                        help=f"one of {', '.join(scoring.SKILLS)} (all)")
    parser.add_argument("--armed-only", action="store_true", help="not unconstrained too (off)")
    parser.add_argument("--floors", type=pathlib.Path, metavar="FILE",
                        help="the least figures, eval/floors.json (none)")
    parser.add_argument("--failures", type=int, default=0, metavar="N",
                        help="prints N wrong answers as they are (0)")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="figures as JSON (none)")
    parser.add_argument("--program", default=HERE.parent / "build/release/fourfold", metavar="FILE",
                        help="build/release/fourfold")
    parser.add_argument("--cases", type=pathlib.Path, default=HERE / "cases", metavar="FOLDER",
                        help="eval/cases")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes at once (the processors)")
    arguments = parser.parse_args()
    for name in ("every", "jobs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: expected 1 or more")
    return arguments


def read_folder(folder, only):
    cases = [case for path in scoring.case_files(folder) for case in scoring.read_cases(path)
             if only in (None, case["skill"])]
    if not cases:
        raise ValueError(f"{folder}: no cases{f' of skill {only}' if only else ''}")
    return cases


def take_every(cases, n):
    """One of each n neighbours, not always the same one: kinds of cases may alternate."""
    return [case for i, case in enumerate(cases) if (i + i // n) % n == 0]


def request_of(case, **changes):
    return {"max_tokens": MAX_TOKENS} | case["request"] | changes


def with_thought(case, thought):
    """The request whose answer goes on behind a thought that is given."""
    message = {"role": "assistant", "reasoning": thought, "content": ""}
    return request_of(case, messages=[*case["request"]["messages"], message],
                      continue_final_message=True)


def with_tools_reversed(case):
    return request_of(case, tools=case["request"]["tools"][::-1])


def ask(program, cases, flags=(), make_request=request_of):
    answers = program.answers([make_request(case) for case in cases], flags)
    return answers, [scoring.judge(case, answer) for case, answer in zip(cases, answers)]


def count_ablation(verdicts, before):
    """`before`: verdicts of the same cases without the change."""
    counts = {"n": len(verdicts)}
    counts["right"] = sum(verdict.measures["right"] for verdict in verdicts)
    counts["before"] = sum(verdict.measures["right"] for verdict in before)
    return counts


def run_ablations(program, cases, verdicts):
    """Whether the thought decides, and whether the place of a declaration does."""
    ablations = {}
    unseen = [i for i, case in enumerate(cases)
              if case["skill"] == "unseen" and len(case["request"]["tools"]) > 1]
    if unseen:
        _, changed = ask(program, [cases[i] for i in unseen], make_request=with_tools_reversed)
        ablations["tools reversed"] = count_ablation(changed, [verdicts[i] for i in unseen])
    flipped = [i for i, case in enumerate(cases) if "flip" in case]
    if flipped:
        # Right is now what the other thought decided.
        turned = [cases[i] | {"skill": "flip", "expect": {"calls": cases[i]["flip"]["calls"]}}
                  for i in flipped]
        _, changed = ask(program, turned,
                         make_request=lambda case: with_thought(case, case["flip"]["thought"]))
        ablations["opposite thought"] = count_ablation(changed, [verdicts[i] for i in flipped])
    return ablations


def evaluate(program, cases, story, modes):
    """The report, and the armed answers with their verdicts."""
    report = {"skills": {}, "thoughts": {}, "ablations": {}, "perplexity": None}
    outcomes = {}
    for mode in modes:
        print(f"{mode}: {len(cases)} cases", file=sys.stderr)
        answers, verdicts = outcomes[mode] = ask(program, cases, MODES[mode])
        report["skills"][mode] = figures.summarise(cases, verdicts)
        report["thoughts"][mode] = figures.cross_thoughts(cases, verdicts)
    answers, verdicts = outcomes["armed"]
    print("ablations", file=sys.stderr)
    report["ablations"] = run_ablations(program, cases, verdicts)
    if story:
        report["perplexity"] = program.perplexity(story)
    return report, answers, verdicts


def pick_failures(cases, answers, verdicts, n):
    """Of all skills in turn."""
    failed = {}
    for case, answer, verdict in zip(cases, answers, verdicts):
        if verdict.faults:
            failed.setdefault(case["skill"], []).append((case, answer, verdict))
    picked = []
    for turn in range(max(map(len, failed.values()), default=0)):
        picked += [some[turn] for some in failed.values() if turn < len(some)]
    return picked[:n]


def describe_failure(case, answer, verdict):
    said = {key: answer[key] for key in ("thinking", "text", "tool_calls", "finish", "error")
            if answer.get(key)}
    return "\n".join([f"{case['id']}: {'; '.join(verdict.faults)}",
                      f"  request  {scoring.spell(case['request'])}",
                      f"  expected {scoring.spell(case['expect'])}",
                      f"  answer   {scoring.spell(said)}", ""])


def describe_model(path):
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "size_bytes": path.stat().st_size, "sha256": digest}


def run(arguments):
    """True if every floor holds."""
    program = Program(arguments.program, arguments.model, arguments.jobs)
    if not program.model.is_file():
        raise ValueError(f"{program.model}: is a folder (expected a GGUF file)")
    floors = json.loads(arguments.floors.read_text("utf-8")) if arguments.floors else []
    cases = take_every(read_folder(arguments.cases, arguments.only), arguments.every)
    story = None if arguments.only else arguments.cases / "story.txt"
    modes = ["armed"] if arguments.armed_only else [*MODES]
    report, answers, verdicts = evaluate(program, cases, story, modes)

    print("\n".join(figures.tables(report)))
    for failure in pick_failures(cases, answers, verdicts, arguments.failures):
        print(describe_failure(*failure))
    if arguments.out:
        report = {"model": describe_model(program.model), "program": program.version(),
                  "every": arguments.every, **report}
        arguments.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    bounds = list(figures.check_floors(report, floors, arguments.only))
    for what, figure, bound, holds in bounds:
        if not holds:
            print(f"below the floor: {what} is {figure:.4g}, expected {bound}")
    return all(holds for *_, holds in bounds)


def main():
    try:
        return 0 if run(parse_arguments()) else 1
    except (OSError, ValueError, ProgramError) as error:
        sys.exit(f"evaluate: error: {error}")


if __name__ == "__main__":
    sys.exit(main())
