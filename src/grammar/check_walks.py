#!/usr/bin/env python3
"""Validates what constraint_test let through by an independent JSON Schema validator.

    check_walks.py CONSTRAINT_TEST BUILD_FOLDER [WALKS_PER_CASE]

Runs the random walks of CONSTRAINT_TEST, whose outputs lie in BUILD_FOLDER/grammar/*.jsonl, and
checks each against its schema with the jsonschema package, installed in build/venv-jsonschema.
"""

import json
import os
import subprocess
import sys
import venv
from decimal import Decimal
from pathlib import Path

REQUIREMENTS = ["jsonschema[format-nongpl]==4.26.0"]
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / "build" / "venv-jsonschema"


def reexec_in_venv():
    python = VENV / "bin" / "python3"
    stamp = VENV / "requirements"
    wanted = "\n".join(REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(VENV, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    if Path(sys.prefix) != VENV:
        os.execv(python, [python, *sys.argv])


def plain(schema):
    """The schema in the words of the standard: types in lower case, nullable as a union."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value if key in ("enum", "const") else plain(value)
           for key, value in schema.items()}
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    if out.pop("nullable", None) is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


def main():
    binary, build = sys.argv[1], Path(sys.argv[2])
    env = dict(os.environ, FOURFOLD_WALKS_PER_CASE=sys.argv[3] if len(sys.argv) > 3 else "120")
    subprocess.run([binary, "--gtest_filter=ConstraintWalk.*", "--gtest_brief=1"], env=env,
                   check=True)

    from jsonschema import Draft202012Validator
    validators = {}
    n_rows = n_wrong = 0
    for path in sorted((build / "grammar").glob("*.jsonl")):
        for line in path.open():
            row = json.loads(line, parse_float=Decimal)  # 4.60 is a multiple of 0.01
            key = (path.name, row["name"])
            if key not in validators:
                validators[key] = Draft202012Validator(
                    plain(row["schema"]), format_checker=Draft202012Validator.FORMAT_CHECKER)
            n_rows += 1
            instance = json.loads(row["instance"], parse_float=Decimal)
            errors = list(validators[key].iter_errors(instance))
            if errors:
                n_wrong += 1
                print(f"{row['name']}: {errors[0].message}\n  {row['instance'][:300]}")
    print(f"{n_rows} outputs checked, {n_wrong} wrong")
    return 1 if n_wrong or n_rows < 1000 else 0


if __name__ == "__main__":
    reexec_in_venv()
    sys.exit(main())
