#!/usr/bin/env python3
"""The Silero VAD with its real weights against what its package gives (tests/golden/silero).

    silero_vad_test.py TEST_PROGRAM FOLDER

Fetches the weights into FOLDER if they are not there: needs the package index once.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main():
    test_program, folder = sys.argv[1:]
    weights = subprocess.run(
        [sys.executable, ROOT / "tools" / "fetch_silero_vad.py", "--to", folder],
        stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    result = subprocess.run(
        [test_program, "--gtest_filter=SileroVad.AgreesWith*"],
        env={**os.environ, "FOURFOLD_TEST_SILERO": weights}, stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    ran = "[  PASSED  ] 1 test" in result.stdout and "SKIPPED" not in result.stdout
    return 0 if result.returncode == 0 and ran else 1


if __name__ == "__main__":
    sys.exit(main())
