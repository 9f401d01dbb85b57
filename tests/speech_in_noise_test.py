#!/usr/bin/env python3
"""Speech in noise, found by the detectors of the voice loop.

    speech_in_noise_test.py TEST_PROGRAM FOLDER

Has espeak-ng speak into FOLDER, and fetches the weights of the Silero VAD there (tools/): needs the
package index once.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

SPEECH = [
    ("en-us", "The plants on the balcony need water in the evening."),
    ("en-us+f3", "Please switch on the lamp in the kitchen."),
    ("de", "Wie spät ist es jetzt in Hamburg?"),
    ("en-gb+m3", "Read me the second line of the letter again."),
    ("fr-fr+f2", "Quel temps fera-t-il demain matin ?"),
    ("en-us+m7", "What is the sum of twenty three and nineteen?"),
]
BABBLE = [
    ("en-gb", "Yesterday we walked along the river and talked about the old bridge and the mill."),
    ("de+f2", "Gestern waren wir am Fluss und haben lange über die alte Mühle gesprochen."),
    ("es", "Ayer caminamos por la orilla del río y hablamos del viejo molino y del puente."),
    ("it+f4", "Ieri abbiamo camminato lungo il fiume e parlato del vecchio mulino e del ponte."),
    ("en-us+f5", "The train was late again, so they took the bus and came home after midnight."),
    ("nl+m2", "Gisteren liepen we langs de rivier en praatten we over de oude molen."),
]


def speak(sentences, name, folder):
    for number, (voice, text) in enumerate(sentences):
        path = folder / f"{name}_{number}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True)


def main():
    test_program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        speak(SPEECH, "speech", folder)
        speak(BABBLE, "babble", folder)
    except FileNotFoundError:
        print("espeak-ng: not installed (the package espeak-ng)")
        return 1
    weights = subprocess.run(
        [sys.executable, ROOT / "tools" / "fetch_silero_vad.py", "--to", folder],
        stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    result = subprocess.run(
        [test_program, "--gtest_filter=SpeechInNoise.*"],
        env={**os.environ, "FOURFOLD_TEST_SPEECH": str(folder), "FOURFOLD_TEST_SILERO": weights},
        stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    ran = "[  PASSED  ] 2 tests" in result.stdout and "SKIPPED" not in result.stdout
    return 0 if result.returncode == 0 and ran else 1


if __name__ == "__main__":
    sys.exit(main())
