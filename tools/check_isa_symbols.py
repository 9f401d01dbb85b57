#!/usr/bin/env python3
"""Checks the objects that are compiled for more than the base instruction set.

    check_isa_symbols.py BUILD_FOLDER

An inline function compiled with -mavx2 could be the copy that the linker keeps, and crash an older
CPU. So these objects define no weak symbols and need none of the C++ library. Release objects
only: sanitizers and unoptimised builds add their own.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

ISA_FLAG = re.compile(r"-m(avx|fma|f16c|arch|amx|sse4|bmi)|-march=")


def isa_objects(build):
    """Objects of src/kernels with an instruction-set flag, from compile_commands.json."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        arguments = shlex.split(entry["command"])
        source = pathlib.Path(entry["file"])
        if "kernels" in source.parts and any(ISA_FLAG.match(a) for a in arguments):
            yield build / arguments[arguments.index("-o") + 1]


def problems(nm_output):
    """(kind of problem, symbol) for each line of `nm --demangle` that must not be there."""
    for line in nm_output.splitlines():
        kind, _, symbol = line[17:].partition(" ")  # 16 digits of address, or blanks
        if kind in "WwVvu":
            yield "weak", symbol
        elif kind == "U" and symbol.startswith(("std::", "operator ", "__gnu_cxx::", "__cxa")):
            yield "C++ library", symbol


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    objects = sorted(set(isa_objects(build)))
    found = False
    for path in objects:
        nm = subprocess.run(["nm", "--demangle", path], capture_output=True, text=True, check=True)
        for kind, symbol in problems(nm.stdout):
            print(f"{path.relative_to(build)}: {kind} symbol {symbol}")
            found = True
    print(f"{len(objects)} objects checked")
    return 1 if found or not objects else 0


if __name__ == "__main__":
    sys.exit(main())
