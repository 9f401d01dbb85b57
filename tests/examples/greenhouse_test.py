#!/usr/bin/env python3
"""examples/greenhouse.py and the greenhouse that it simulates."""

import unittest

import examples
import harness

import greenhouse
import simulator

READ = {"name": "read_sensor", "arguments": {"zone": "north bed", "quantity": "soil"}}
PUMP = {"name": "set_device", "arguments": {"zone": "North bed", "device": "pump", "state": "on"}}
TELL = {"name": "notify", "arguments": {"person": "Ada", "message": "Buy soil."}}
DRY_READING = '{"zone": "north bed", "quantity": "soil", "value": 34.0, "unit": "%"}'


class Simulator(unittest.TestCase):
    def setUp(self):
        self.house = simulator.Greenhouse(start="11:00")

    def effect(self, quantity, device, state, minutes=60, start="11:00"):
        """How much larger a reading is than without the device."""
        readings = []
        for acts in (True, False):
            house = simulator.Greenhouse(start=start)
            if acts:
                self.assertEqual(house.call("set_device", {"zone": "south bench", "device": device,
                                                           "state": state}), {"ok": True})
            house.run(minutes)
            readings.append(house.call("read_sensor", {"zone": "south bench",
                                                       "quantity": quantity})["value"])
        return readings[0] - readings[1]

    def test_devices_act_on_what_they_are_for(self):
        for quantity, device, state, least in [
                ("temperature", "heater", "on", 2), ("soil", "pump", "on", 20),
                ("humidity", "pump", "on", 2), ("light", "lamp", "on", 100)]:
            with self.subTest(device):
                self.assertGreater(self.effect(quantity, device, state), least)
        for quantity, device, state, least in [
                ("light", "blind", "closed", 100), ("temperature", "blind", "closed", 2)]:
            with self.subTest(device):
                self.assertLess(self.effect(quantity, device, state), -least)
        for device, state in [("fan", "on"), ("vent", "open")]:
            with self.subTest(device):
                self.assertLess(self.effect("temperature", device, state, 180), -3)

    def test_a_device_at_rest_changes_nothing(self):
        for device, states in simulator.STATES.items():
            for quantity in simulator.UNITS:
                self.assertEqual(self.effect(quantity, device, states[0]), 0, (device, quantity))

    def test_days_are_the_same_for_a_seed(self):
        def day(seed):
            house = simulator.Greenhouse(seed)
            house.run(300)
            return house.readings("fern house")
        self.assertEqual(day(1), day(1))
        self.assertNotEqual(day(1), day(2))

    def test_readings_stay_within_what_can_be(self):
        for device, states in simulator.STATES.items():
            self.house.call("set_device", {"zone": "fern house", "device": device,
                                           "state": states[1]})
        for _ in range(3 * 24):
            self.house.run(60)
            readings = self.house.readings("fern house")
            self.assertTrue(0 <= readings["soil"] <= 100 and 5 <= readings["humidity"] <= 100)
            self.assertTrue(-20 < readings["temperature"] < 80 and readings["co2"] >= 150)

    def test_schedules_start_and_end(self):
        plan = {"zone": "the north bed", "device": "lamp", "time": "11:30", "minutes": 20}
        self.assertEqual(self.house.call("schedule", plan), {"ok": True})
        lamp = []
        for minutes in (29, 1, 19, 1):
            self.house.run(minutes)
            lamp.append(self.house.zones["north bed"].devices["lamp"])
        self.assertEqual(lamp, ["off", "on", "on", "off"])

    def test_a_time_that_is_over_means_tomorrow(self):
        self.house.call("schedule", {"zone": "north bed", "device": "fan", "time": "11:00",
                                     "minutes": 5})
        self.house.run(24 * 60 - 1)
        self.assertEqual(self.house.zones["north bed"].devices["fan"], "off")
        self.house.run(1)
        self.assertEqual(self.house.zones["north bed"].devices["fan"], "on")

    def test_calls_that_cannot_be_carried_out_say_why(self):
        schedule = {"zone": "north bed", "device": "fan", "time": "11:00", "minutes": 5}
        for name, arguments, words in [
                ("fly", {}, "tool: fly (expected read_sensor"),
                ("read_sensor", {"zone": "moon", "quantity": "soil"}, "zone: moon (expected north"),
                ("read_sensor", {"zone": "north bed", "quantity": "age"}, "quantity: age"),
                ("read_sensor", {"zone": "north bed"}, "arguments other than"),
                ("set_device", PUMP["arguments"] | {"state": "open"}, "open (expected off, on)"),
                ("set_device", PUMP["arguments"] | {"device": []}, "device: []"),
                ("schedule", schedule | {"time": "25:00"}, "time: 25:00"),
                ("schedule", schedule | {"time": "noon"}, "time: noon"),
                ("schedule", schedule | {"minutes": 0}, "minutes: 0"),
                ("schedule", schedule | {"minutes": "5"}, "minutes: 5")]:
            with self.subTest(words):
                self.assertIn(words, self.house.call(name, arguments)["error"])


class Greenhouse(examples.ExampleTest):
    name = "greenhouse"

    def test_calls_are_carried_out_and_their_results_go_back(self):
        out = self.play("Water the north bed if it is dry", turns=[
            {"last": ["Water the north bed"], "settings": {"think": True},
             "has": ["read_sensor", "set_device", "schedule", "notify", greenhouse.SYSTEM],
             "answer": {"thinking": "I must look\nfirst.", "tool_calls": [READ]}},
            {"last": ["34.0"], "has": ["I must look"], "answer": {"tool_calls": [PUMP, TELL]}},
            {"has": ["True"], "answer": {"text": "The pump runs."}}]).out
        self.assertEqual(out.splitlines(), [
            "  (I must look)", "  (first.)",
            '  -> read_sensor(zone="north bed", quantity="soil")', f"  <- {DRY_READING}",
            '  -> set_device(zone="North bed", device="pump", state="on")', '  <- {"ok": true}',
            '  -> notify(person="Ada", message="Buy soil.")', '  <- {"ok": true}',
            "message to Ada: Buy soil.", "The pump runs."])

    def test_what_is_odd_about_an_answer_is_said(self):
        out = self.play("--no-think", "Hello", turns=[
            {"settings": {"think": False},
             "answer": {"text": "Hel", "malformed": ["call:x"], "finish": "length"}}]).out
        self.assertEqual(out, "  not a call: call:x\nHel\n  (cut after 400 tokens)\n")

    def test_a_conversation_goes_on_over_time_and_errors(self):
        lines = "Water the north bed\n/wait 30\nThanks\nAnd now?\n/look\n/what\n/bye\nnot asked\n"
        out = self.play(stdin=lines.encode(), turns=[
            {"answer": {"tool_calls": [PUMP]}}, {"answer": {"text": "It runs."}},
            {"has": ["Water the north bed", "It runs."],
             "error": {"code": "RESOURCE_EXHAUSTED", "message": "too long"}},
            {"has": ["It runs."], "lacks": ["Thanks"], "answer": {"text": "It is wet."}}]).out
        self.assertIn("11:30\n  (too long)\nIt is wet.\n11:30 ", out)
        self.assertRegex(out, r"north bed .* 5\d\.\d .* pump on\n")
        self.assertIn("/wait MINUTES", out)

    def test_the_oldest_exchange_is_forgotten_when_many_words_were_said(self):
        long = "word " * greenhouse.MOST_HISTORY
        self.play(stdin=b"first\nsecond\nthird\nfourth\n", turns=[
            {"answer": {"text": "rain"}}, {"has": ["first", "rain"], "answer": {"text": "sun"}},
            {"has": ["first", "second"], "answer": {"text": long}},
            {"lacks": ["first", "second", "third"], "answer": {"text": "snow"}}])

    def test_the_timer_asks_every_zone_every_time(self):
        zones = list(simulator.Greenhouse().zones)
        asked = [(zone, check) for _ in range(2) for zone in zones for check in greenhouse.CHECKS]
        turns = []
        for zone, check in asked:
            turns.append({"last": [check.format(zone=zone)], "lacks": ["Done."],
                          "answer": {"text": "Done."}})
        turns[0]["answer"] = {"tool_calls": [PUMP]}
        turns.insert(1, {"answer": {"text": "It runs."}})
        turns[2] = {"error": {"code": "INTERNAL", "message": "odd"}}
        out = self.play("--hours", 1, turns=turns).out
        self.assertIn("11:30 If the", out)
        self.assertIn("  (odd)\n", out)
        self.assertRegex(out, r"\n12:00 [^$]*\nnorth bed .* pump on\n")
        self.assertRegex(out, r"\nMinutes of 60 outside [^\n]*:\n  north bed: \d+, \d+\n")

    def test_a_keeper_that_acts_is_told_from_none(self):
        kept, left = (greenhouse.Score(simulator.Greenhouse(start="11:00")) for _ in range(2))
        for _ in range(16):
            for zone in kept.minutes:
                readings = kept._house.readings(zone)
                for quantity, device, high, above in [("temperature", "fan", 27, True),
                                                      ("soil", "pump", 35, False)]:
                    state = "on" if (readings[quantity] > high) == above else "off"
                    kept._house.call("set_device", {"zone": zone, "device": device, "state": state})
            kept.run(15)
            left.run(15)
        for zone, minutes in kept.minutes.items():
            self.assertLess(minutes, left.minutes[zone])

    def test_wrong_flags_are_refused(self):
        for flags, words in [(["--hours", "0"], "--hours"), (["--every", "0"], "--every"),
                             (["--start", "25:00"], "--start: time: 25:00"),
                             (["--hours", "1", "Hello"], "--hours: takes no question")]:
            answer = self.call_example(*flags)
            self.assertEqual(answer.status, 2)
            self.assertIn(words, answer.err)

    def test_text_that_is_none_is_refused(self):
        answer = self.play(stdin=b"\xff\n", env={"PYTHONIOENCODING": "utf-8:strict"}, turns=[],
                           status=1)
        self.assertIn("standard input: not UTF-8", answer.err)
        answer = self.play(stdin="/wait ²\n".encode(), turns=[])
        self.assertIn("/wait MINUTES", answer.out)

    def test_runs_with_a_real_model_whatever_it_says(self):
        model = self.random_model()
        for flags in ([], ["--no-think"]):
            answer = self.call_example("--program", self.program, "--model", model, *flags,
                                       stdin=b"Is it warm?\nAnd now?\n")
            self.assertEqual(answer.status, 0, answer.err)
            self.assertNotEqual(answer.out, "")


if __name__ == "__main__":
    harness.main()
