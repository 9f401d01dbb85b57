#!/usr/bin/env python3
"""Draws the curves of the training logs: loss, and what was exact on held-out documents.

    training/plot.py training/log      writes curves.svg beside the logs; standard library only
"""

import csv
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, GAP = 760, 220, 60, 30, 60
COLOURS = ("#2c6e49", "#d1495b", "#00798c", "#edae49", "#66527e", "#8d6a4f", "#555555", "#c06ea2",
           "#3b8ea5", "#7a9e43")
EXACT = ("own", "unseen", "everyday", "thoughts", "answers", "manners")


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def runs(folder):
    """[(name, rows of the log, rows of the held-out figures)], one run after the other."""
    return [(path.name[:-len("-log.csv")], read(path), read(path.with_name(
        path.name.replace("-log", "-exact")))) for path in sorted(folder.glob("*-log.csv"))]


def line(points, colour, high, total, top):
    coordinates = " ".join(
        f"{LEFT + x / total * WIDTH:.1f},{top + HEIGHT - min(y / high, 1) * HEIGHT:.1f}"
        for x, y in points)
    return f'<polyline points="{coordinates}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def text(x, y, words, anchor="start", colour="#333"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def frame(title, high, unit, top):
    yield text(LEFT, top - 8, title)
    for share in (0, 0.5, 1):
        y = top + HEIGHT * (1 - share)
        yield f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        yield text(LEFT - 6, y + 4, f"{high * share:g}{unit}", "end")


def draw(folder):
    found = runs(folder)
    tokens = [float(log[-1]["tokens"]) for _, log, _ in found]
    total = sum(tokens)
    bottom = TOP + HEIGHT + GAP
    out = [*frame("loss (weighted mean, nats)", 1, "", TOP),
           *frame("held-out documents without a mistake", 100, " %", bottom)]
    start = 0.0
    for (name, log, exact), length in zip(found, tokens):
        x = LEFT + start / total * WIDTH
        out.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom + HEIGHT}" stroke="#999" '
                   'stroke-dasharray="3 3"/>')
        out.append(text(x + 3, TOP + 12, name, colour="#777"))
        out.append(line([(start + float(row["tokens"]), float(row["loss"])) for row in log],
                        COLOURS[0], 1, total, TOP))
        for colour, skill in zip(COLOURS, EXACT):
            points = [(start + float(row["progress"]) * length, 100 * float(row[skill]))
                      for row in exact if row.get(skill)]
            out.append(line(points, colour, 100, total, bottom))
        start += length
    for k, skill in enumerate(EXACT):
        out.append(text(LEFT + 90 * k, bottom + HEIGHT + 40, skill, colour=COLOURS[k]))
    out.append(text(LEFT + WIDTH, bottom + HEIGHT + 18, f"{total / 1e6:,.0f} M tokens", "end"))
    size = f'width="{LEFT + WIDTH + 20}" height="{bottom + HEIGHT + 50}"'
    (folder / "curves.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw(Path(sys.argv[1]))
