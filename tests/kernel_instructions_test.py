#!/usr/bin/env python3
"""Counts the instructions of the hot kernels under valgrind and compares them with a file.

    kernel_instructions_test.py PROGRAM [--write]

A slower kernel shows here on a busy machine too, where a clock shows nothing. The counts are of one
compiler's major version; any other skips, and so does a machine without valgrind, which runs no
AVX-512 (status 77). --write puts what is counted into the file.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

EXPECTED = pathlib.Path(__file__).resolve().parent / "kernel_instructions.json"
TABLES = ("avx2", "scalar")
TOLERANCE = 0.03
SKIP = 77


def compiler_of(program):
    """The compiler that wrote the program's .comment section, as "GCC 12"."""
    comment = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True,
                             check=True).stdout
    # The start-up files of the system are GCC's in any program.
    for name, pattern in (("Clang", r"clang version (\d+)"), ("GCC", r"GCC: \(.*\) (\d+)")):
        if found := re.search(pattern, comment):
            return f"{name} {found[1]}"
    return "an unknown compiler"


def inclusive_counts(annotated):
    """{number: instructions} of the functions measured<number>, with all that they call."""
    counts = {}
    for line in annotated.splitlines():
        found = re.match(r"\s*([\d,]+).*\bmeasured<(\d+)>", line)
        if found:
            count = int(found[1].replace(",", ""))
            counts[int(found[2])] = max(count, counts.get(int(found[2]), 0))
    return counts


def measure(program, table):
    """{kernel: instructions a multiply-accumulate or element} of one table, None without it."""
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "profile"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", program, table],
            capture_output=True, text=True)
        if run.returncode == 2 and "cannot run" in run.stderr:
            return None
        if run.returncode != 0:
            sys.exit(f"{program} {table} under valgrind: status {run.returncode}\n{run.stderr}")
        annotated = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", profile],
            capture_output=True, text=True, check=True).stdout
    counts = inclusive_counts(annotated)
    result = {}
    for line in run.stdout.splitlines():
        number, units, name = line.split(" ", 2)
        if int(number) not in counts:
            sys.exit(f"{table}: callgrind did not see measured<{number}>, {name}")
        result[name] = round(counts[int(number)] / int(units), 4)
    return result


def differences(expected, found):
    """A line for each kernel that is missing, new, or off by more than the tolerance."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name}: expected {expected[name]}, but it is not measured"
        elif name not in expected:
            yield f"{name}: {found[name]}, of which the file knows nothing"
        elif abs(found[name] - expected[name]) > TOLERANCE * expected[name]:
            change = found[name] / expected[name] - 1
            yield f"{name}: {found[name]}, expected {expected[name]} ({change:+.1%})"


def skip(why):
    print(f"skipped: {why}")
    return SKIP


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("--write", action="store_true")
    arguments = arguments.parse_args()

    if not shutil.which("valgrind"):
        return skip("needs valgrind")
    compiler = compiler_of(arguments.program)
    everything = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    if compiler not in everything and not arguments.write:
        return skip(f"{EXPECTED.name} has no counts of {compiler}")

    measured = {table: measure(arguments.program, table) for table in TABLES}
    measured = {table: counts for table, counts in measured.items() if counts}
    if arguments.write:
        everything[compiler] = everything.get(compiler, {}) | measured
        EXPECTED.write_text(json.dumps(everything, indent=1) + "\n")
        return 0

    problems = [f"{table}: {line}" for table, counts in measured.items()
                for line in differences(everything[compiler].get(table, {}), counts)]
    n_kernels = sum(map(len, measured.values()))
    print(f"{n_kernels} kernels of {', '.join(measured)}, by {compiler}")
    if problems:
        print("\n".join(problems))
        print(f"Instructions for each multiply-accumulate or element, {EXPECTED}. If this is meant, "
              f"run\n  {sys.argv[0]} {arguments.program} --write")
    return 1 if problems or not n_kernels else 0


if __name__ == "__main__":
    sys.exit(main())
