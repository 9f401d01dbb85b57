#!/usr/bin/env python3
"""Carries out one call of `fourfold run --tool-exec` in the simulated greenhouse.

    ./run --tools models/keeper/tools.json --tool-exec examples/greenhouse_call.py

The call comes on standard input, its result goes to standard output. Every call meets the house as
it is at the start; greenhouse.py keeps one whose time goes by.
"""

import json
import sys

import simulator

call = json.load(sys.stdin)
print(json.dumps(simulator.Greenhouse().call(call["name"], call["arguments"])))
