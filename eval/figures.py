"""Verdicts → figures → tables, and figures against their floors."""

# Slices that say more together.
CROSSED = {"unseen": [("n_tools", "shared_word")]}
SKILL_OF_ABLATION = {"tools reversed": "unseen", "opposite thought": "thought"}
FLOOR_KEYS = {"skill", "ablation", "measure", "slice", "least", "most"}


def summarise(cases, verdicts):
    """{skill: {"n", a count for each measure, "slices": {name: {value: {"n", …}}}}}"""
    skills = {}
    for case, verdict in zip(cases, verdicts):
        skill = skills.setdefault(case["skill"], {"slices": {}})
        for counts in [skill, *slices_of(case, skill["slices"])]:
            counts["n"] = counts.get("n", 0) + 1
            for measure, holds in verdict.measures.items():
                counts[measure] = counts.get(measure, 0) + holds
    return skills


def slices_of(case, slices):
    own = case.get("slice", {})
    values = {name: str(value) for name, value in own.items()}
    for names in CROSSED.get(case["skill"], []):
        if all(name in own for name in names):
            values[" × ".join(names)] = " × ".join(str(own[name]) for name in names)
    for name, value in values.items():
        yield slices.setdefault(name, {}).setdefault(value, {})


def cross_thoughts(cases, verdicts):
    """How often thought and action are right, each alone and both."""
    pairs = [(verdict.measures["thought_right"], verdict.measures["right"])
             for case, verdict in zip(cases, verdicts) if case["skill"] == "thought"]
    words = {True: "right", False: "wrong"}
    return {f"thought {words[thought]}, action {words[action]}": pairs.count((thought, action))
            for thought in words for action in words}


def share(counts, measure="right"):
    return counts[measure] / counts["n"]


def percent(value):
    return f"{100 * value:.1f}"


def tables(report):
    """Markdown."""
    yield from skill_table(report["skills"])
    for mode, skills in report["skills"].items():
        thoughts = report["thoughts"][mode]
        if any(thoughts.values()):
            yield from table([f"{mode}: thoughts", "cases"], thoughts.items())
    if report["ablations"]:
        rows = [(name, counts["n"], percent(share(counts)), percent(share(counts, "before")))
                for name, counts in report["ablations"].items()]
        yield from table(["ablation", "cases", "right, %", "without it, %"], rows)
    if report["perplexity"]:
        found = report["perplexity"]
        yield (f"Perplexity {found['perplexity']:.3f} ± {found['perplexity_stderr']:.3f} "
               f"over {found['scored']} tokens.\n")
    yield from slice_tables(report["skills"])


def skill_table(modes):
    armed, free = modes["armed"], modes.get("unconstrained")
    rows = []
    for skill, counts in armed.items():
        for measure in (key for key in counts if key not in ("n", "slices")):
            values = [share(counts, measure)]
            if free:
                values += [share(free[skill], measure), values[0] - share(free[skill], measure)]
            rows.append((skill, measure.replace("_", " "), counts["n"], *map(percent, values)))
    heads = ["armed, %", "unconstrained, %", "difference"] if free else ["armed, %"]
    yield from table(["skill", "measure", "cases", *heads], rows)


def slice_tables(modes):
    armed, free = modes["armed"], modes.get("unconstrained")
    for skill, counts in armed.items():
        for name, values in counts["slices"].items():
            rows = []
            for value, part in sorted(values.items(), key=lambda item: natural(item[0])):
                others = [free[skill]["slices"][name][value]] if free else []
                rows.append((value, part["n"], *(percent(share(one)) for one in [part, *others])))
            heads = ["armed, %", "unconstrained, %"][:1 + bool(free)]
            yield from table([f"{skill}: {name}", "cases", *heads], rows)


def natural(text):
    """4 before 12."""
    return [(0, float(part), "") if part.replace(".", "", 1).isdigit() else (1, 0.0, part)
            for part in text.split()]


def table(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def check_floors(report, floors, only=None):
    """(what, figure, bound, whether it holds) of each. ValueError for what was not measured."""
    for floor in floors:
        if only and only not in (floor.get("skill"), SKILL_OF_ABLATION.get(floor.get("ablation"))):
            continue
        what, figure = find_figure(report, floor)
        if "most" in floor:
            yield what, figure, f"at most {floor['most']}", figure <= floor["most"]
        else:
            yield what, figure, f"at least {floor['least']}", figure >= floor["least"]


def find_figure(report, floor):
    unknown = floor.keys() - FLOOR_KEYS
    if unknown or len(floor.keys() & {"least", "most"}) != 1:
        raise ValueError(f"floor {floor}: expected some of {', '.join(sorted(FLOOR_KEYS))}, and "
                       "either least or most")
    measure = floor.get("measure", "right")
    try:
        if "ablation" in floor:
            return floor["ablation"], share(report["ablations"][floor["ablation"]], measure)
        if "skill" not in floor:
            return measure, report["perplexity"][measure]
        what, counts = floor["skill"], report["skills"]["armed"][floor["skill"]]
        for name, value in floor.get("slice", {}).items():
            what, counts = f"{what}, {name} {value}", counts["slices"][name][str(value)]
        return f"{what}: {measure}", share(counts, measure)
    except (KeyError, TypeError) as error:
        raise ValueError(f"floor {floor}: no such figure was measured") from error
