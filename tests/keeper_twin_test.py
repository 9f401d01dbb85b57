"""The generators of training/ render and encode as the product does: the same text, the same ids.

One wrong newline in the training data would be a defect of the default body for ever.

    keeper_twin_test.py FOURFOLD
"""

import json
import random
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOURFOLD = sys.argv.pop(1) if len(sys.argv) > 1 else str(ROOT / "build/release/fourfold")
TOKENIZER = ROOT / "models/keeper/tokenizer.json"
sys.path.insert(0, str(ROOT / "training"))

from keeper import (answers, chat, everyday, manners, memory, own, render, stories,  # noqa: E402
                    thoughts, unseen)
from keeper.tokenizer import Tokenizer  # noqa: E402
from keeper.words import Fillers  # noqa: E402

N_EACH = 40
SIZES = (120, 400, 700, 950)


def run(*arguments, text):
    return subprocess.run([FOURFOLD, *arguments], input=text, capture_output=True, text=True,
                          check=True).stdout


def template_request(conversation):
    request = conversation.request()
    messages = [m for m in request["messages"] if m["role"] != "system"]
    system = conversation.system_text()
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages, "tools": request.get("tools", []),
            "enable_thinking": conversation.think, "add_generation_prompt": False}


class TwinTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = Tokenizer(TOKENIZER)

    def compare(self, module):
        fill = Fillers(random.Random("twin/" + module.__name__), False, self.tokenizer.ordinary)
        made = [module.make(fill, size) for _ in range(N_EACH // len(SIZES)) for size in SIZES]
        lines = "".join(json.dumps(template_request(c)) + "\n" for c in made)
        out = run("render", str(TOKENIZER), "--variant", "small", "--lines", "--json", text=lines)
        rendered = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(rendered), len(made))
        for conversation, theirs in zip(made, rendered):
            self.assertEqual(theirs.get("prompt"), render.to_text(conversation), theirs)
            ids, weights = self.tokenizer.encode_document(conversation)
            self.assertEqual(theirs["ids"], ids)
            self.assertEqual(len(weights), len(ids))

    def test_own(self):
        self.compare(own)

    def test_unseen(self):
        self.compare(unseen)

    def test_everyday(self):
        self.compare(everyday)

    def test_thoughts(self):
        self.compare(thoughts)

    def test_answers(self):
        self.compare(answers)

    def test_memory(self):
        self.compare(memory)

    def test_chat(self):
        self.compare(chat)

    def test_manners(self):
        self.compare(manners)

    def test_stories(self):
        fill = Fillers(random.Random("twin/stories"), False, self.tokenizer.ordinary)
        for size in (100, 500, 900):
            text = stories.make_text(fill, size)
            ids = json.loads(run("tokenize", str(TOKENIZER), "--json", text=text))["ids"]
            self.assertEqual(ids, self.tokenizer.encode(text))

    def test_fillers_of_the_two_sides_differ(self):
        sides = [Fillers(random.Random(1), held_out, self.tokenizer.ordinary)
                 for held_out in (False, True)]
        for name in ("zone", "person", "plant", "noun", "label", "word", "time", "city"):
            seen, held_out = ({getattr(side, name)() for _ in range(2000)} for side in sides)
            self.assertFalse(seen & held_out, name)
        numbers = [{side.number(0, 500) for _ in range(3000)} for side in sides]
        self.assertFalse(numbers[0] & numbers[1])


if __name__ == "__main__":
    unittest.main()
