#!/usr/bin/env python3
"""Compares our logits with those of transformers, on prompts of the evaluation.

    transformers_check.py MODEL [--prompts N] [--golden FOLDER] [--cases FOLDER] [--program FILE]

MODEL is a GGUF file, which is dequantised for transformers, or a safetensors folder. Runs in the
environment of training/requirements.txt. With --golden, three prompts and some rows of
transformers' logits are written for tests/keeper_logits_test.py. Status 1 if they differ.
"""

import argparse
import hashlib
import json
import pathlib
import sys
import tempfile

import numpy as np
import safetensors.numpy
import torch
import transformers

import scoring
from program import Program, ProgramError

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "training"))

TOLERANCE = 1e-3
GOLDEN_ROWS = 6  # of each prompt; every row is a whole vocabulary


def read_prompts(program, folder, n):
    """Token ids of n cases from all over the files."""
    cases = [case for path in scoring.case_files(folder) for case in scoring.read_cases(path)]
    if len(cases) < n:
        raise ValueError(f"{folder}: {len(cases)} cases, expected at least {n}")
    requests = []
    for case in (cases[i * len(cases) // n] for i in range(n)):
        request = case["request"]
        tools = [{"type": "function", "function": tool.get("function", tool)}
                 for tool in request.get("tools", [])]
        requests.append({"messages": request["messages"], "tools": tools,
                         "enable_thinking": bool(request.get("think"))})
    return [rendered["ids"] for rendered in program.lines("render", requests)]


def our_logits(program, ids):
    """[T, V]"""
    with tempfile.TemporaryDirectory() as folder:
        ids_file, out = pathlib.Path(folder, "ids.json"), pathlib.Path(folder, "out.safetensors")
        ids_file.write_text(json.dumps(ids))
        program.call("debug", "logits", program.model, "--ids-file", ids_file, "--exact",
                     "--positions", "all", "--out", out)
        return safetensors.numpy.load_file(out)["logits"]


class Reference:
    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()

    def logits(self, ids):
        with torch.no_grad():
            return self.model(torch.tensor([ids])).logits[0].numpy()


def load_reference(model):
    if model.is_dir():
        return Reference(model)
    from keeper.export import dequantised_folder
    with tempfile.TemporaryDirectory() as folder:
        dequantised_folder(model, pathlib.Path(folder))
        return Reference(folder)


def write_golden(folder, model, rows):
    """rows: [(ids, logits [T, V])]"""
    by_length = sorted(rows, key=lambda row: len(row[0]))
    arrays, prompts = {}, []
    for i, (ids, logits) in enumerate((by_length[0], by_length[len(rows) // 2], by_length[-1])):
        positions = np.linspace(0, len(ids) - 1, GOLDEN_ROWS).astype(np.int32)
        prompts.append(ids)
        arrays[f"p{i}.positions"] = positions
        arrays[f"p{i}.logits"] = np.ascontiguousarray(logits[positions])
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, folder / "expected.safetensors")
    case = {"model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "reference": f"transformers {transformers.__version__}, torch {torch.__version__}, "
                         "f32, eager attention", "tolerance": TOLERANCE, "prompts": prompts}
    (folder / "case.json").write_text(json.dumps(case) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path, help="a GGUF file or safetensors folder")
    parser.add_argument("--prompts", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--golden", type=pathlib.Path, metavar="FOLDER",
                        help="where the golden goes, tests/golden/keeper (none)")
    parser.add_argument("--cases", type=pathlib.Path, default=ROOT / "eval" / "cases",
                        metavar="FOLDER", help="eval/cases")
    parser.add_argument("--program", default=ROOT / "build/release/fourfold", metavar="FILE",
                        help="build/release/fourfold")
    arguments = parser.parse_args()
    if arguments.golden and (arguments.model.is_dir() or arguments.prompts < 3):
        parser.error("--golden: expected a GGUF file and at least 3 prompts")
    try:
        program = Program(arguments.program, arguments.model)
        reference = load_reference(program.model)
        prompts = read_prompts(program, arguments.cases, arguments.prompts)
        rows = [(ids, reference.logits(ids)) for ids in prompts]
        differences = [float(np.abs(our_logits(program, ids) - logits).max())
                       for ids, logits in rows]
    except (OSError, ValueError, ProgramError) as error:
        sys.exit(f"transformers_check: error: {error}")
    for (ids, _), difference in zip(rows, differences):
        print(f"{len(ids):5} tokens: largest difference {difference:.2e}")
    # A NaN is no small difference.
    if not all(difference <= TOLERANCE for difference in differences):
        sys.exit(f"they differ by more than {TOLERANCE}")
    if arguments.golden:
        write_golden(arguments.golden, program.model, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
