#!/usr/bin/env python3
"""A greenhouse and its keeper: a model that reads the sensors and works the devices.

    greenhouse.py "How warm is the south bench?"   one question
    greenhouse.py                                  a conversation; /help shows what can be typed
    greenhouse.py --hours 12                       a day by itself: the timer asks, the keeper acts

The greenhouse is simulated (simulator.py); what the keeper calls is carried out there. Its thoughts
and calls are shown beside its words.
"""

import argparse
import json
import sys

import fourfold
import simulator

KEEPER = fourfold.ROOT / "models" / "keeper"

# What the keeper is told first, and what the timer asks of every zone.
SYSTEM = "You are the greenhouse keeper. Use your tools."
CHECKS = [
    "If the temperature in the {zone} is above 28, turn on the fan.",
    "If the temperature in the {zone} is below 22, turn off the fan.",
    "If the soil moisture in the {zone} is below 32, switch on the pump.",
    "If the soil moisture in the {zone} is above 44, switch off the pump.",
]
WANTED = {"temperature": (12, 30), "soil": (28, 70)}  # what the timer's day is judged by

MOST_TOKENS = 400  # of one answer
MOST_HISTORY = 900  # tokens of a prompt: the keeper learned from conversations of about this length
HELP = """In a conversation:
  /look           what the sensors and devices show
  /wait MINUTES   let time pass
  /bye            end"""


class Keeper:
    """A conversation about a house, which is anything with `call(name, arguments)`."""

    def __init__(self, model, house, think, show):
        self._model, self._house, self._think, self._show = model, house, think, show
        self._tools = json.loads((KEEPER / "tools.json").read_text())
        self.forget()

    def forget(self):
        self._exchanges = []  # each a list of messages

    def ask(self, text):
        while self._exchanges and self._n_tokens(text) > MOST_HISTORY:
            del self._exchanges[0]
        messages = self._prompt(text)
        n_before = len(messages) - 1
        answers = fourfold.answer_with_tools(self._model, messages, self._tools, self._call,
                                             think=self._think, max_tokens=MOST_TOKENS)
        for answer in answers:
            self._show.answer(answer)
        self._exchanges.append(messages[n_before:])

    def try_to_ask(self, text):
        """A question that fails is no reason to stop."""
        try:
            self.ask(text)
        except fourfold.Refused as failure:
            self._show.aside(f"({failure})")

    def _prompt(self, text):
        return [{"role": "system", "content": SYSTEM},
                *(message for exchange in self._exchanges for message in exchange),
                {"role": "user", "content": text}]

    def _n_tokens(self, text):
        return self._model.n_tokens(self._prompt(text), tools=self._tools, think=self._think)

    def _call(self, name, arguments):
        self._show.call(name, arguments)
        result = self._house.call(name, arguments)
        self._show.result(name, arguments, result)
        return result


class Screen:
    """Words on standard output; thoughts, calls and results beside them, dim on a terminal."""

    def __init__(self):
        self._is_terminal = sys.stdout.isatty()

    def answer(self, answer):
        for line in answer["thinking"].splitlines():
            self.aside(f"({line})")
        for raw in answer.get("malformed", []):
            self.aside(f"not a call: {raw}")
        if answer["text"]:
            print(answer["text"], flush=True)
        if answer["finish"] == "length":
            self.aside(f"(cut after {MOST_TOKENS} tokens)")

    def call(self, name, arguments):
        values = ", ".join(f"{key}={json.dumps(value)}" for key, value in arguments.items())
        self.aside(f"-> {name}({values})")

    def result(self, name, arguments, result):
        self.aside(f"<- {json.dumps(result)}")
        if name == "notify" and result == {"ok": True}:
            print(f'message to {arguments["person"]}: {arguments["message"]}', flush=True)

    def aside(self, text):
        print(f"\033[2m  {text}\033[0m" if self._is_terminal else f"  {text}", flush=True)


def show_house(house):
    heads = [f"{name} {unit}" for name, unit in simulator.UNITS.items()]
    print(f"{house.clock:12}" + "".join(f"{head:>15}" for head in heads))
    for name, zone in house.zones.items():
        values = "".join(f"{value:15}" for value in house.readings(name).values())
        active = ", ".join(f"{device} {state}" for device, state in zone.devices.items()
                           if zone.acts(device))
        print(f"{name:12}{values}  {active}")


def converse(keeper, house):
    is_terminal = sys.stdin.isatty()
    while True:
        try:
            line = input(f"{house.clock} > " if is_terminal else "").strip()
        except EOFError:
            return
        except UnicodeDecodeError:
            raise fourfold.Failed("standard input: not UTF-8 (expected text)") from None
        if line == "/bye":
            return
        if line.startswith("/"):
            obey(line, house)
        elif line:
            keeper.try_to_ask(line)


def obey(line, house):
    command, _, value = line.partition(" ")
    if command == "/look":
        show_house(house)
    elif command == "/wait" and value.strip().isdecimal():
        house.run(int(value))
        print(house.clock)
    else:
        print(HELP)


class Score:
    """Minutes that a zone spent outside WANTED."""

    def __init__(self, house):
        self._house = house
        self.minutes = dict.fromkeys(house.zones, 0)

    def run(self, minutes):
        for _ in range(minutes):
            self._house.run(1)
            for zone in self.minutes:
                readings = self._house.readings(zone)
                self.minutes[zone] += any(not low <= readings[quantity] <= high
                                          for quantity, (low, high) in WANTED.items())


def keep_by_timer(keeper, house, untouched, hours, every):
    """Asks all CHECKS at every zone, time and again. `untouched`: the same house without keeper."""
    kept, left = Score(house), Score(untouched)
    minutes = 60 * hours
    for start in range(0, minutes, every):
        for zone in house.zones:
            for check in CHECKS:
                question = check.format(zone=zone)
                print(f"{house.clock} {question}", flush=True)
                keeper.forget()
                keeper.try_to_ask(question)
        for score in (kept, left):
            score.run(min(every, minutes - start))
    show_house(house)
    wanted = ", ".join(f"{name} {low} to {high}" for name, (low, high) in WANTED.items())
    print(f"Minutes of {minutes} outside {wanted}, and without a keeper:")
    for zone, value in kept.minutes.items():
        print(f"  {zone}: {value}, {left.minutes[zone]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="*", help="one question (none: a conversation)")
    fourfold.add_arguments(parser, model=KEEPER / "keeper.gguf")
    parser.add_argument("--hours", type=fourfold.count, metavar="N",
                        help="let the timer ask, so long")
    parser.add_argument("--every", type=fourfold.count, default=30, metavar="MINUTES",
                        help="between its questions (30)")
    parser.add_argument("--start", default="11:00", metavar="TIME", help="of the clock (11:00)")
    parser.add_argument("--seed", type=int, default=1, help="of the weather (1)")
    parser.add_argument("--no-think", action="store_true", help="act without a thought first")
    flags = parser.parse_args()
    if flags.hours and flags.question:
        parser.error("--hours: takes no question")
    try:
        house, untouched = (simulator.Greenhouse(flags.seed, flags.start) for _ in range(2))
    except ValueError as error:
        parser.error(f"--start: {error}")

    with fourfold.Model(flags.model, flags.program) as model:
        keeper = Keeper(model, house, not flags.no_think, Screen())
        if flags.hours:
            keep_by_timer(keeper, house, untouched, flags.hours, flags.every)
        elif flags.question:
            keeper.ask(" ".join(flags.question))
        else:
            converse(keeper, house)


if __name__ == "__main__":
    fourfold.run(main)
