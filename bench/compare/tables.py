"""The figures as Markdown, and their place in a document between two marker comments."""

import pathlib

import figures


def rounded(value):
    """Three figures: 0.123, 12.3, 512."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_spread(spread):
    return f"{rounded(spread['median'])} ({rounded(spread['min'])}–{rounded(spread['max'])})"


def percent(value):
    return f"{100 * value:.0f} %"


def markdown(head, rows):
    """The first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def speed_table(results):
    head = ["model", "test", "Fourfold tok/s", "llama.cpp tok/s", "ratio", "Fourfold at",
            "llama.cpp at", "of the"]
    rows = []
    for result in results:
        for summary in result["summary"]:
            rows.append([result["model"], summary["test"], with_spread(summary["ours"]),
                         with_spread(summary["peer"]), f"**{with_spread(summary['ratio'])}**",
                         percent(summary["ours_share"]["median"]),
                         percent(summary["peer_share"]["median"]), summary["limit"]])
    return markdown(head, rows)


def conditions(result):
    """One line: where and how a result was measured."""
    machine = figures.machine_spread(result["pairs"])
    noisy, n_runs = figures.count_noisy(result["pairs"], result["threads"])
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return (f"- {result['model']}: {len(result['pairs'])} pairs, {result['threads']} threads, "
            f"{result['date']}, {result['cpu']}, kernels {result['isa']}; {versions}; the machine "
            f"read {with_spread(machine['read_gb_s'])} GB/s and multiplied "
            f"{with_spread(machine['int8_gmac_s'])} int8 GMAC/s; {noisy} of {n_runs} runs shared "
            "the processors with others.\n")


def speed_markdown(results):
    return speed_table(results) + "\n" + "".join(map(conditions, results))


def quality_markdown(results):
    head = ["model", "positions", "llama.cpp: same top", "mean KL", "largest KL",
            "Fourfold: same top", "mean KL", "largest KL", "mean KL, ratio"]
    rows = []
    for result in results:
        row = [result["model"], str(result["positions"])]
        for side in ("peer", "ours"):
            row += [f"{result[side]['same_top']:.4f}", f"{result[side]['mean_kl']:.2e}",
                    f"{result[side]['max_kl']:.2e}"]
        row.append(f"**{result['ours']['mean_kl'] / result['peer']['mean_kl']:.2g}**")
        rows.append(row)
    return markdown(head, rows)


def replace_between_markers(text, name, content):
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"there is no {begin.strip()} … {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def publish(document, name, content):
    document = pathlib.Path(document)
    document.write_text(replace_between_markers(document.read_text(), name, content))
