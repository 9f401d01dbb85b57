#!/usr/bin/env python3
"""Runs the tests of one build folder and appends "PASSED FAILED SKIPPED" to a file.

    run_ctest.py build/release --counts FILE [--only LABEL | --without LABEL,…] [--filter REGEX]

A GoogleTest program counts as many tests as it has cases, any other test counts one. The filter is
searched in PROGRAM and in PROGRAM.Suite.Case.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

GTEST_TOTAL = re.compile(r"^\[=+\] (\d+) tests? from \d+ test suites? ran\.", re.MULTILINE)
GTEST_KIND = {kind: re.compile(rf"^\[\s*{kind}\s*\] (\d+) tests?[.,]", re.MULTILINE)
              for kind in ("PASSED", "FAILED", "SKIPPED")}


def gtest_cases(program):
    """Names of the cases of a GoogleTest program, as Suite.Case."""
    listing = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True,
                             check=True).stdout
    suite = ""
    for line in listing.splitlines():
        name = line.split("#")[0].strip()
        if line.startswith("  "):
            yield suite + name
        elif name.endswith("."):
            suite = name


def select(build, pattern):
    """Names of the ctest entries that match, and a GTEST_FILTER that leaves the matching cases."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                             capture_output=True, text=True, check=True).stdout
    programs, cases = [], []
    for test in json.loads(listing)["tests"]:
        name, command = test["name"], test.get("command", [])
        is_gtest = len(command) == 1 and pathlib.Path(command[0]).is_relative_to(build.resolve())
        if not is_gtest:
            if pattern.search(name):
                programs.append(name)
            continue
        matching = [c for c in gtest_cases(command[0]) if pattern.search(f"{name}.{c}")]
        if matching:
            programs.append(name)
            cases += matching
    return programs, ":".join(cases)


def count(testcase):
    """(passed, failed, skipped) of one entry of ctest's JUnit file."""
    if testcase.get("status") == "disabled":
        return 0, 0, 1
    skipped = testcase.find("skipped")
    if skipped is not None:
        # Also what could not be started is filed here by ctest.
        deliberate = skipped.get("message", "").startswith("SKIP_")
        return (0, 0, 1) if deliberate else (0, 1, 0)

    succeeded = testcase.get("status") == "run"
    output = testcase.findtext("system-out") or ""
    if not GTEST_TOTAL.search(output):
        return (1, 0, 0) if succeeded else (0, 1, 0)
    found = {kind: regex.findall(output) for kind, regex in GTEST_KIND.items()}
    passed, failed, skipped = (int(n[-1]) if n else 0 for n in found.values())
    if not succeeded and failed == 0:
        failed = 1  # every case passed, and the program ended badly all the same
    return passed, failed, skipped


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--counts", type=pathlib.Path, required=True)
    arguments.add_argument("--only", metavar="LABEL")
    arguments.add_argument("--without", metavar="LABEL,…")
    arguments.add_argument("--filter", type=re.compile)
    options = arguments.parse_args()

    junit = options.build.resolve() / "test-results.xml"
    junit.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", options.build, "--parallel", str(os.cpu_count()),
               "--output-on-failure", "--output-junit", junit,
               "--test-output-size-passed", "1000000", "--test-output-size-failed", "1000000",
               "--test-output-truncation", "head"]
    if options.only:
        command += ["-L", f"^{options.only}$"]
    if options.without:
        command += ["-LE", f"^({options.without.replace(',', '|')})$"]
    environment = dict(os.environ, GTEST_COLOR="no")
    if options.filter:
        programs, cases = select(options.build, options.filter)
        if not programs:
            return 0
        command += ["-R", f"^({'|'.join(map(re.escape, programs))})$"]
        if cases:
            environment["GTEST_FILTER"] = cases
    status = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode

    counts = [count(case) for case in ElementTree.parse(junit).iter("testcase")] \
        if junit.exists() else []
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    if status != 0 and failed == 0 and (counts or not junit.exists()):
        failed = 1
    with open(options.counts, "a") as out:
        print(passed, failed, skipped, file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
