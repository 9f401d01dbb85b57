#!/usr/bin/env python3
"""examples/greenhouse.py with the keeper: it answers in words, acts, and keeps a day."""

import json
import re

import examples
import harness


class Keeper(examples.ExampleTest):
    name = "greenhouse"

    def ask(self, *arguments, **keywords):
        answer = self.call_example("--program", self.program, *arguments, **keywords)
        self.assertEqual(answer.status, 0, answer.err)
        return answer.out

    def assertCalled(self, out, *calls):
        """(name, arguments): these, in their order, and no other; all obeyed."""
        made = [(name, {key: json.loads(value)
                        for key, value in re.findall(r'(\w+)=("[^"]*"|[^,]+)', arguments)})
                for name, arguments in re.findall(r"^  -> (\w+)\((.*)\)$", out, re.MULTILINE)]
        self.assertEqual(made, list(calls), out)
        self.assertNotIn("error", out)

    def test_reads_a_sensor_and_says_what_it_shows(self):
        out = self.ask("How warm is it in the south bench?")
        self.assertCalled(out, ("read_sensor", {"zone": "south bench", "quantity": "temperature"}))
        self.assertIn("19", out.splitlines()[-1])

    def test_thinks_then_acts_on_what_it_read(self):
        read = "read_sensor", {"zone": "fern house", "quantity": "temperature"}
        switch = "set_device", {"zone": "fern house", "device": "fan", "state": "on"}
        for limit, calls in [(12, [read, switch]), (25, [read])]:
            out = self.ask(f"If the temperature in the fern house is above {limit}, "
                           "turn on the fan.")
            self.assertCalled(out, *calls)
            self.assertRegex(out, r"(?m)^  \(.+\)$")  # a thought

    def test_plans_and_tells_in_one_conversation(self):
        out = self.ask(stdin=b"Run the pump in the fern house at 11:30 for 20 minutes.\n"
                             b"/wait 30\n/look\n/wait 20\n/look\n"
                             b"Tell Ada that the pump is broken.\n")
        self.assertCalled(
            out, ("schedule", {"zone": "fern house", "device": "pump", "time": "11:30",
                               "minutes": 20}),
            ("notify", {"person": "Ada", "message": "The pump is broken."}))
        pump = re.findall(r"^fern house.*", out, re.MULTILINE)
        self.assertEqual([line.endswith("pump on") for line in pump], [True, False], out)
        self.assertIn("message to Ada: The pump is broken.\n", out)

    def test_keeps_the_zones_in_order_for_an_afternoon(self):
        out = self.ask("--hours", 4, "--every", 60)
        minutes = re.findall(r"^  [\w ]+: (\d+), (\d+)$", out, re.MULTILINE)
        self.assertEqual(len(minutes), 3, out)
        kept, left = (sum(int(pair[i]) for pair in minutes) for i in (0, 1))
        self.assertLess(2 * kept, left, out)


if __name__ == "__main__":
    harness.main()
