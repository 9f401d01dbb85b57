"""From measured pairs to the figures of a table: medians, spreads, ratios, shares of the limits.

A pair is one run of each side right after the other, and what the machine could do at that time:

    {"ours_first": true,
     "machine": {"read_gb_s", "int8_gmac_s"},
     "ours": [{"test": "tg128", "tok_s", "gb_s", "gmac_s", "cpu_over_wall"}, …],
     "peer": [{"test": "tg128", "tok_s", "wall_tok_s", "cpu_over_wall"}, …]}

gb_s and gmac_s count what the shapes of the model ask for, so they are known for the peer too.
"""

import statistics

ALL_POSITIONS = " all positions"  # prefill in which every row runs through every layer
# What bounds prefill and decode: its name, in the machine's limits, and in a row.
LIMITS = {"pp": ("int8 peak", "int8_gmac_s", "gmac_s"),
          "tg": ("read bandwidth", "read_gb_s", "gb_s")}
BUSY = 0.95  # a run below this share of its threads' time did not have the processors to itself


def test_name(kind, n, depth, all_positions=False):
    name = f"{'pp' if kind == 'prefill' else 'tg'}{n}"
    if depth:
        name += f" at {depth}"
    return name + (ALL_POSITIONS if all_positions else "")


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare_pair(pair):
    """Each test of ours beside the peer's: {test: {"ours", "peer", "ratio", "ours_share", …}}.

    The peer has no prefill that skips rows: each of our two is compared with its only one.
    """
    ours, peers = ({row["test"]: row for row in pair[side]} for side in ("ours", "peer"))
    figures = {}
    for test, row in ours.items():
        peer_test = test.removesuffix(ALL_POSITIONS)
        peer = peers[peer_test]["tok_s"]
        _, limit, unit = LIMITS[test[:2]]
        available = pair["machine"][limit]
        same_work = ours.get(peer_test + ALL_POSITIONS, row)
        figures[test] = {
            "ours": row["tok_s"], "peer": peer, "ratio": row["tok_s"] / peer,
            "ours_share": row[unit] / available,
            "peer_share": same_work[unit] / same_work["tok_s"] * peer / available,
        }
    return figures


def summarise(pairs):
    """[{"test", "limit", "ours": {"median", "min", "max"}, "peer", "ratio", …}]"""
    compared = [compare_pair(pair) for pair in pairs]
    return [{"test": test, "limit": LIMITS[test[:2]][0],
             **{key: spread([figures[test][key] for figures in compared])
                for key in compared[0][test]}}
            for test in compared[0]]


def machine_spread(pairs):
    return {key: spread([pair["machine"][key] for pair in pairs])
            for key in ("read_gb_s", "int8_gmac_s")}


def count_noisy(pairs, threads):
    """Runs that shared the processors with others, and all runs."""
    rows = [row for pair in pairs for row in pair["ours"] + pair["peer"]]
    return sum(row["cpu_over_wall"] < BUSY * threads for row in rows), len(rows)
