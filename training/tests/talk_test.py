#!/usr/bin/env python3
"""Chat, memory, manners and stories: every slot filled, answers that fit their facts, sizes kept.

    PYTHONPATH=training python3 training/tests/talk_test.py
"""

import random
import re
import unittest

from keeper import chat, manners, memory, stories, words
from keeper.render import to_text

SIZES = (100, 250, 450, 700, 950)
LONGEST = 4 * 1000  # characters
BUILT_IN = re.compile(r"<\|tool>.*?<tool\|>|<\|tool_call>.*?<tool_response\|>", re.DOTALL)


def fillers(seed, held_out=False):
    return words.Fillers(random.Random(seed), held_out)


def documents(seed, n, held_out=False):
    """(module, text) of n documents of each module and size."""
    fill = fillers(seed, held_out)
    for module in (chat, memory, manners, stories):
        for size in SIZES:
            for _ in range(n):
                if module is stories:
                    yield module, stories.make_text(fill, size)
                else:
                    yield module, to_text(module.make(fill, size))


class Documents(unittest.TestCase):
    def test_have_no_gaps_left_and_fit_the_context(self):
        for held_out in (False, True):
            for module, text in documents(1, 40, held_out):
                self.assertLess(len(text), LONGEST, module)
                said = BUILT_IN.sub("", text)
                # manners also shows the foreign tools' texts, which follow other rules.
                for wrong in (r"<[a-z]\w*>(?<!<bos>)", r"~", r"(?<!:)  ", r"(is|has|in|with|the|like) a [aeio][a-z]"):
                    found = re.search(wrong, said) if module is not manners else None
                    self.assertIsNone(found, f"{module.__name__}: {wrong}: {said}")

    def test_say_the_same_from_the_same_seed(self):
        self.assertEqual(list(documents(7, 2)), list(documents(7, 2)))

    def test_of_training_have_no_held_out_names(self):
        held_out = {w for w in words.PEOPLE + words.CITIES if words.is_held_out(w)}
        held_out.discard("Rome")  # also an empire to be asked about
        for module, text in documents(3, 40):
            self.assertFalse(held_out & set(re.findall(r"[A-Z]\w+", BUILT_IN.sub("", text))), text)


class Patterns(unittest.TestCase):
    def test_agree_in_article_and_mark(self):
        fill = fillers(1)
        for pattern, slots, text in (
                ("a <x> and a <y>", {"x": "unit", "y": "idea"}, "A unit and an idea"),
                ("I wait a <x>.", {"x": "hour"}, "I wait an hour."),
                ("tell me~", {}, "Tell me."), ("do you know~", {}, "Do you know?"),
                ("It rains. Where are you~", {}, "It rains. Where are you?"),
                ("{one} word", {}, "One word")):
            self.assertEqual(chat.vary(fill, pattern, **slots), text)

    def test_know_every_plant(self):
        self.assertEqual(set(chat.KNOWLEDGE), set(words.PLANTS))
        for plant in chat.ALL_PLANTS:
            self.assertLess(plant.low, plant.high, plant.name)

    def test_judge_readings_by_the_range(self):
        basil = chat.KNOWLEDGE["basil"]  # 18 to 27 °C
        for value, verdict in ((31, "too warm"), (27.1, "too warm"), (17.9, "too cold"), (9, "too cold")):
            self.assertIn(verdict, chat.judge(fillers(1), value, basil))
        for value in (18, 27, 22.5):
            self.assertNotIn("too", chat.judge(fillers(1), value, basil))

    def test_compare_with_limits(self):
        fill = fillers(4)
        for _ in range(500):
            (asked, answered), = chat.limit_talk(fill)
            found = re.match(r"(Yes|No), (\d[\d.]*) is (above|below) (\d+)\.", answered)
            if found is None:
                self.assertIn("exactly", answered)
                continue
            yes, value, side, limit = found.groups()
            self.assertEqual(float(value) > float(limit), side == "above", asked)
            self.assertEqual(yes == "Yes", ("It is too" in answered), asked)


class Cases(unittest.TestCase):
    def test_of_memory_ask_at_their_distance_for_the_last_value(self):
        fill = fillers(5, held_out=True)
        for distance in memory.DISTANCES:
            for overwritten in (False, True):
                for _ in range(30):
                    case = memory.case(fill, distance, overwritten)
                    value, = case["expect"]["contains"]
                    asked = [m["content"] for m in case["request"]["messages"] if m["role"] == "user"]
                    self.assertIn(value, asked[-1 - distance])
                    self.assertNotIn(value, asked[-1])
                    for old in case["expect"]["lacks"]:
                        self.assertTrue(any(old in text for text in asked[:-1 - distance]))

    def test_of_memory_stand_in_the_answers_of_documents(self):
        fill = fillers(6)
        for _ in range(200):
            dialogue = memory.Dialogue(fill)
            dialogue.tell()
            for fact in dialogue.facts:
                self.assertIn(fact.value["v"], memory.answer(fill, fact))

    def test_of_system_texts_tell_obeying_from_ignoring(self):
        fill = fillers(8, held_out=True)
        for kind in manners.SYSTEM_KINDS:
            for _ in range(30):
                case = manners.system_case(fill, kind)
                self.assertEqual(case["request"]["messages"][0]["role"], "system")
                expect = case["expect"]
                if "calls" in expect:
                    self.assertTrue(expect["calls"])
                    continue
                answer = " ".join(expect["contains"]).lower()
                for word in expect["lacks"]:
                    self.assertNotIn(word.lower(), answer)

    def test_of_refusals_accept_what_documents_say(self):
        fill = fillers(9)
        for patterns in (manners.OUTSIDE_ANSWERS, chat.CANNOT_READ, chat.CANNOT_SWITCH, [manners.NO_TOOL]):
            for _ in range(50):
                answer = chat.say(fill, patterns).lower()
                self.assertTrue(any(stem in answer for stem in manners.STEMS), answer)


if __name__ == "__main__":
    unittest.main()
