#!/usr/bin/env python3
"""Client libraries as shipped against the server: one row of http-apis.md 8.2, or all of them.

    run_rows.py BUILD [--live] [ROW …]        run_rows.py BUILD --list

Rows are the files of clients/ (g1.mjs, g11.py, o1.mjs and o1.py …); a row is all files of its name.
They run side by side on one server: scripted models, or with --live the default body.
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

import servers
import tools

ROW = re.compile(r"[a-z]\d+\.(mjs|py)")
# Without scripted models these have nothing to say.
ONLY_SCRIPTED = {"x1"}
ROW_S = 240  # longest time of one file


def row_files(names):
    files = sorted(path for path in (tools.HERE / "clients").iterdir() if ROW.fullmatch(path.name))
    known = sorted({path.stem for path in files})
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no row {' '.join(sorted(unknown))} (there are {' '.join(known)})")
    return [path for path in files if not names or path.stem in names], known


def run_file(path, base):
    if path.suffix == ".py":
        command = [tools.PYTHON, "-B", path]
    else:
        command = [tools.node(), tools.CLIENTS / "rows" / path.name]
    begin = time.monotonic()
    try:
        done = subprocess.run([*command, base, "k"], env=tools.environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=ROW_S,
                              errors="replace", check=False)
        status, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, said = 1, (late.stdout or b"").decode(errors="replace") + f"no end after {ROW_S} s"
    return path.name, status, said, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", action="store_true", help="also what went well")
    arguments = parser.parse_args()
    files, known = row_files(arguments.rows)
    if arguments.list:
        print("\n".join(known))
        return 0

    tools.install()
    tools.copy_rows()
    if arguments.live:
        files = [path for path in files if path.stem not in ONLY_SCRIPTED]
    make = servers.live if arguments.live else servers.scripted
    n_failed = 0
    with make(arguments.build.resolve()) as server, \
            concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for name, status, said, seconds in pool.map(lambda path: run_file(path, server.base), files):
            n_ok = len(re.findall("^ok ", said, re.MULTILINE))
            print(f"{'FAILED' if status else 'ok':7} {name:10} {n_ok:3} checks {seconds:6.1f} s")
            if status or arguments.v:
                print("\n".join(line for line in said.splitlines()
                                if arguments.v or not line.startswith("ok ")), flush=True)
            n_failed += status != 0
            if server.process.poll() is not None:
                print(f"the server ended with {server.process.returncode}:\n{server.log()}")
                return 1
        if n_failed:
            print("the server said last:\n" + server.log())
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
