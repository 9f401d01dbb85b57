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
from decimal import Decimal
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
import validator_venv


def main():
    binary, build = sys.argv[1], Path(sys.argv[2])
    env = dict(os.environ, FOURFOLD_WALKS_PER_CASE=sys.argv[3] if len(sys.argv) > 3 else "120")
    subprocess.run([binary, "--gtest_filter=ConstraintWalk.*", "--gtest_brief=1"], env=env,
                   check=True)

    validators = {}
    n_rows = n_wrong = 0
    for path in sorted((build / "grammar").glob("*.jsonl")):
        for line in path.open():
            row = json.loads(line, parse_float=Decimal)  # 4.60 is a multiple of 0.01
            key = (path.name, row["name"])
            if key not in validators:
                validators[key] = validator_venv.make_validator(row["schema"])
            n_rows += 1
            instance = json.loads(row["instance"], parse_float=Decimal)
            errors = list(validators[key].iter_errors(instance))
            if errors:
                n_wrong += 1
                print(f"{row['name']}: {errors[0].message}\n  {row['instance'][:300]}")
    print(f"{n_rows} outputs checked, {n_wrong} wrong")
    return 1 if n_wrong or n_rows < 1000 else 0


if __name__ == "__main__":
    validator_venv.enter()
    sys.exit(main())
