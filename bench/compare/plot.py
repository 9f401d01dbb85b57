"""A bar chart of ratios as SVG: how many times as fast as the peer, test by test."""

import math
from xml.sax.saxutils import escape

from tables import rounded

WIDTH = 860
LABELS, VALUES = 250, 190  # at the left and the right of the bars
TOP, BOTTOM = 60, 40
LINE, BAR = 26, 14
COLOURS = {"pp": "#2f6db5", "tg": "#d9822b"}  # prefill, decode
INK, GRID = "#222222", "#d0d0d0"


def nice_step(largest):
    """A step of 1, 2 or 5 times a power of ten that gives four to ten ticks."""
    power = 10 ** math.floor(math.log10(largest / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if largest / (power * factor) <= 8)


def text(x, y, content, anchor="start", weight="normal", size=13):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}" fill="{INK}" stroke="white" stroke-width="4" '
            f'paint-order="stroke">{escape(content)}</text>')


def line(x1, y1, x2, y2, colour, width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def bar(summary, y, scale):
    """The bar of the median ratio, its spread, and both speeds."""
    ratio, middle = summary["ratio"], y + LINE / 2
    fill = COLOURS[summary["test"][:2]]
    length = scale(ratio["median"]) - LABELS
    speeds = (f"{rounded(ratio['median'])}× ({rounded(summary['ours']['median'])} : "
              f"{rounded(summary['peer']['median'])} tok/s)")
    return [
        text(LABELS - 10, middle + 4, summary["test"], "end"),
        f'<rect x="{LABELS}" y="{middle - BAR / 2:.1f}" width="{length:.1f}" height="{BAR}" '
        f'fill="{fill}"/>',
        line(scale(ratio["min"]), middle, scale(ratio["max"]), middle, INK, 2),
        text(scale(ratio["max"]) + 8, middle + 4, speeds),
    ]


def ratios_svg(results):
    n_lines = sum(1 + len(result["summary"]) for result in results)
    bottom = TOP + n_lines * LINE
    height = bottom + BOTTOM
    ratios = [summary["ratio"]["max"] for result in results for summary in result["summary"]]
    largest = max(1.0, *ratios)

    def scale(ratio):
        return LABELS + ratio / largest * (WIDTH - LABELS - VALUES)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(20, 26, "Fourfold : llama.cpp, tokens per second on the same file", weight="bold",
             size=16),
        text(20, 46, "median of interleaved pairs; the thin line spans the smallest and the "
                     "largest ratio", size=12),
    ]
    step = nice_step(largest)
    for i in range(int(largest / step) + 1):
        x = scale(i * step)
        parts += [line(x, TOP, x, bottom, GRID), text(x, bottom + 18, f"{i * step:g}×", "middle")]
    y = TOP
    for result in results:
        parts.append(text(20, y + LINE - 8, result["model"], weight="bold"))
        y += LINE
        for summary in result["summary"]:
            parts += bar(summary, y, scale)
            y += LINE
    parts.append(line(scale(1), TOP, scale(1), bottom, INK, 1.5))
    return "\n".join([*parts, "</svg>", ""])
