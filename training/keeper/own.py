"""The keeper's own tools: reading sensors, switching devices, schedules, messages.

`make` builds conversations about one greenhouse: single calls, parallel ones, two steps with a
result between them, questions back, refusals, thanks.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from keeper.render import Conversation
from keeper.unseen import capital, finish, message_length
from keeper.words import is_held_out_number

TOOLS = json.loads((Path(__file__).parents[2] / "models/keeper/tools.json").read_text())

# quantity: (names in a question, what a reading says, unit, range)
QUANTITIES = {
    "temperature": (("temperature", "air temperature", "heat"), "at {v} °C", "C", (2, 42)),
    "humidity": (("humidity", "air humidity", "moisture of the air"), "at {v} % humidity", "%",
                 (15, 99)),
    "soil": (("soil moisture", "moisture of the soil", "soil"), "at {v} % soil moisture", "%",
             (3, 95)),
    "light": (("light", "light level", "brightness"), "at {v} lux", "lux", (20, 900)),
    "co2": (("CO2", "CO2 level", "carbon dioxide"), "at {v} ppm CO2", "ppm", (300, 1800)),
}
QUESTIONS = {
    "temperature": ("how warm is it in {z}?", "how hot is {z}?", "how cold is it in {z}?",
                    "is it warm in {z}?", "how many degrees does {z} have?",
                    "how warm is {z} now?"),
    "humidity": ("how humid is {z}?", "is the air in {z} damp?", "how damp is the air in {z}?",
                 "how moist is the air in {z}?"),
    "soil": ("how wet is the soil in {z}?", "is the soil in {z} dry?",
             "how dry is the soil in {z}?", "does {z} need water?",
             "how moist is the soil in {z}?"),
    "light": ("how bright is it in {z}?", "how dark is {z}?", "is there enough light in {z}?",
              "how much light does {z} get?"),
    "co2": ("how much CO2 is in {z}?", "how high is the CO2 in {z}?", "is the CO2 in {z} high?"),
}
GENERAL_QUESTIONS = (
    "what is the {q} in {z}?", "read the {q} in {z}", "tell me the {q} in {z}",
    "check the {q} of {z}", "I need the {q} in {z}", "what does the {q} sensor in {z} say?",
    "give me the {q} for {z}", "{q} in {z}", "{q} in {z}, please",
    "could you read the {q} in {z}?", "measure the {q} in {z}", "what {q} do we have in {z}?",
    "please look at the {q} in {z}", "can you check the {q} in {z}?")
# state: how a user asks for it
SWITCHES = {
    "on": ("turn on the {d} in {z}", "switch on the {d} in {z}", "switch the {d} in {z} on",
           "start the {d} in {z}", "turn the {d} on in {z}", "put the {d} on in {z}",
           "the {d} in {z} should be on", "I want the {d} on in {z}", "let the {d} in {z} run",
           "{d} on in {z}", "{d} in {z} on", "set the {d} in {z} to on"),
    "off": ("turn off the {d} in {z}", "switch off the {d} in {z}", "switch the {d} in {z} off",
            "stop the {d} in {z}", "turn the {d} off in {z}", "the {d} in {z} should be off",
            "I want the {d} off in {z}", "{d} off in {z}", "shut the {d} off in {z}",
            "{d} in {z} off", "set the {d} in {z} to off"),
    "open": ("open the {d} in {z}", "open the {d} of {z}", "the {d} in {z} should be open",
             "I want the {d} open in {z}", "open up the {d} in {z}", "{d} in {z} open",
             "set the {d} in {z} to open"),
    "closed": ("close the {d} in {z}", "close the {d} of {z}", "shut the {d} in {z}",
               "the {d} in {z} should be closed", "I want the {d} closed in {z}",
               "{d} in {z} closed", "set the {d} in {z} to closed"),
}
DEVICES = {"fan": ("on", "off"), "heater": ("on", "off"), "pump": ("on", "off"),
           "lamp": ("on", "off"), "vent": ("open", "closed"), "blind": ("open", "closed")}
SAID_DEVICES = {"fan": ("fan", "fan", "ventilator"), "heater": ("heater", "heater", "heating"),
                "pump": ("pump", "pump", "water pump"), "lamp": ("lamp", "lamp", "light"),
                "vent": ("vent", "vent", "air vent"), "blind": ("blind", "blind", "shade")}
SCHEDULES = (
    "run the {d} in {z} at {t} for {m} minutes", "start the {d} in {z} at {t} for {m} minutes",
    "at {t} run the {d} in {z} for {m} minutes", "schedule the {d} in {z} for {t}, {m} minutes",
    "plan {m} minutes of the {d} in {z} at {t}", "let the {d} in {z} run {m} minutes from {t}",
    "schedule {m} minutes of {d} in {z} at {t}",
    "the {d} in {z} should run at {t} for {m} minutes",
    "for {m} minutes at {t}, run the {d} in {z}",
    "I want the {d} in {z} to run at {t} for {m} minutes")
WATERINGS = (
    "water {z} at {t} for {m} minutes", "at {t}, water {z} for {m} minutes",
    "give {z} water at {t} for {m} minutes", "schedule watering in {z} at {t} for {m} minutes")
MESSAGES = ("tell {p} that {s}", "let {p} know that {s}", "send {p} a message: {s}",
            "notify {p} that {s}", "inform {p} that {s}", "write to {p} that {s}",
            "message {p}: {s}", "say to {p} that {s}", "please tell {p} {s}",
            "{p} must know that {s}", "send a note to {p}: {s}")
POLITE = ("please {}", "{}, please", "could you {}?", "can you {}?", "would you {}?",
          "I want you to {}", "keeper, {}", "hey, {}", "now {}", "go and {}", "it is time to {}",
          "{} for me")
OUTSIDE = ("play some music in {z}", "open the door of {z}", "take a picture of {z}", "call {p}",
           "paint {z} {c}", "order more seeds", "start the robot in {z}", "buy pots for {z}",
           "sweep the floor in {z}", "harvest the {plant} in {z}", "plant a {plant} in {z}",
           "feed the cat", "ring the bell in {z}", "send {p} a parcel", "lock {z}")
NO_TOOL = "I have no tool for that, sorry."
THANKS = (("thanks", "You are welcome."), ("Thank you!", "You are welcome."),
          ("Good work.", "Thank you. I am glad to help."),
          ("Hello", "Hello! What can I do in the greenhouse?"),
          ("Good morning", "Good morning! What can I do in the greenhouse?"),
          ("that is all", "Good. I keep watching."),
          ("ok", "Good. Tell me when you need something."),
          ("Very good.", "Thank you. I am glad to help."))
SYSTEMS = ("", "", "", "You are the keeper of a greenhouse.",
           "You watch a greenhouse and help its people.",
           "You are the greenhouse keeper. Use your tools.", "You are a helpful assistant.",
           "You look after the greenhouse of {p}.", "Be brief.",
           "You run on a small computer in a greenhouse.")


def is_numbered(zone):
    """Names like "zone 3" and "row B" have no article."""
    last = zone.split()[-1]
    return last.isdigit() or len(last) == 1


def with_the(fill, zone):
    """How a user says a zone: "the fern house", "fern house", "zone 3"."""
    if is_numbered(zone):
        return zone
    return ("the " if fill.chance(0.9) else "") + zone


def said_zone(zone):
    """A zone in the model's own sentences: always with its article."""
    return zone if is_numbered(zone) else "the " + zone


def value_text(quantity, value):
    return QUANTITIES[quantity][1].replace("{v}", str(value))


IMPERATIVES = frozenset("""read tell check give measure look turn switch start stop put let set open
close shut run schedule plan water send notify inform write message say play take call paint order
buy sweep harvest plant feed ring lock""".split())


def polite(fill, text):
    if fill.chance(0.4) and text.split()[0] in IMPERATIVES:
        return fill.pick(POLITE).format(text)
    return text


def reading(fill, quantity):
    low, high = QUANTITIES[quantity][3]
    return fill.reading(low, high) if quantity not in ("light", "co2") else fill.number(low, high)


def read_call(zone, quantity):
    return "read_sensor", {"zone": zone, "quantity": quantity}


def read_result(fill, zone, quantity, value):
    unit = QUANTITIES[quantity][2]
    return fill.pick(({"value": value, "unit": unit}, {"value": value},
                      {"zone": zone, "quantity": quantity, "value": value, "unit": unit}))


def question(fill, zone, quantity):
    form = fill.pick(QUESTIONS[quantity] if fill.chance(0.5) else GENERAL_QUESTIONS)
    return form.format(q=fill.pick(QUANTITIES[quantity][0]), z=with_the(fill, zone))


def read_answer(zone, quantity, value):
    return f"{capital(said_zone(zone))} is {value_text(quantity, value)}."


def switch_call(zone, device, state):
    return "set_device", {"zone": zone, "device": device, "state": state}


def switch_answer(zone, device, state):
    return f"The {device} in {said_zone(zone)} is {state} now."


def left_alone(device):
    return f"I left the {device} as it is."


# Each of these returns (text, [(call, result, answer)]); most ask for one call.

def ask_read(fill):
    zone, quantity = fill.zone(), fill.pick(list(QUANTITIES))
    text = polite(fill, question(fill, zone, quantity))
    if fill.chance(0.05):
        error = fill.pick(("sensor offline", "no sensor", "no answer", "sensor broken"))
        return text, [(read_call(zone, quantity), {"error": error},
                       f"I could not read {said_zone(zone)}: {error}.")]
    value = reading(fill, quantity)
    return text, [(read_call(zone, quantity), read_result(fill, zone, quantity, value),
                   read_answer(zone, quantity, value))]


def ask_switch(fill, device=None, zone=None):
    device, zone = device or fill.pick(list(DEVICES)), zone or fill.zone()
    state = fill.pick(DEVICES[device])
    said = fill.pick(SAID_DEVICES[device])
    text = polite(fill, fill.pick(SWITCHES[state]).format(d=said, z=with_the(fill, zone)))
    call = switch_call(zone, device, state)
    if fill.chance(0.05):
        error = fill.pick(("device offline", "no such device", "no power", "stuck"))
        return text, [(call, {"error": error},
                       f"The {device} in {said_zone(zone)} did not obey: {error}.")]
    return text, [(call, {"ok": True}, switch_answer(zone, device, state))]


def ask_schedule(fill):
    zone, time, minutes = fill.zone(), fill.time(), fill.number(1, 90)
    device = fill.pick(("fan", "heater", "pump", "lamp"))
    if device == "pump" and fill.chance(0.5):
        form, said = fill.pick(WATERINGS), ""
    else:
        form, said = fill.pick(SCHEDULES), fill.pick(SAID_DEVICES[device])
    text = polite(fill, form.format(d=said, z=with_the(fill, zone), t=time, m=minutes))
    call = ("schedule", {"zone": zone, "device": device, "time": time, "minutes": minutes})
    return text, [(call, {"ok": True},
                   f"The {device} in {said_zone(zone)} will run at {time} for {minutes} minutes.")]


EXTREMES = ("warm", "cold", "dry", "damp", "dark", "bright")
AILMENTS = ("mites", "aphids", "yellow leaves", "no buds", "mould")


def sentence(fill):
    """What a message may say."""
    zone = said_zone(fill.zone())
    return fill.pick((
        lambda: f"the {fill.pick(list(DEVICES))} in {zone} is broken",
        lambda: f"{zone} needs water", lambda: f"the {fill.plant()} in {zone} is ready",
        lambda: f"it is too {fill.pick(EXTREMES)} in {zone}",
        lambda: f"{fill.person()} comes at {fill.time()}", lambda: f"the door of {zone} is open",
        lambda: f"we need {fill.number(2, 60)} {fill.pick(fill.colours)} pots",
        lambda: f"the {fill.noun()} is {fill.pick(fill.adjectives)}",
        lambda: f"I am in {zone}", lambda: f"the {fill.noun()} is in {zone}",
        lambda: f"{fill.person()} has the {fill.noun()}",
        lambda: f"the {fill.plant()} has {fill.pick(AILMENTS)}"))()


def ask_notify(fill):
    person, what = fill.person(), sentence(fill)
    text = polite(fill, fill.pick(MESSAGES).format(p=person, s=what))
    call = ("notify", {"person": person, "message": capital(what) + "."})
    return text, [(call, {"ok": True}, f"I have told {person}.")]


ONE_CALL = (ask_read, ask_switch, ask_schedule, ask_notify)


def read_two(fill, names, zones, asked):
    """One question with two readings: each (zone, quantity) of `asked`."""
    text = fill.pick(GENERAL_QUESTIONS).format(
        q=names, z=" and ".join(with_the(fill, zone) for zone in zones))
    values = [reading(fill, quantity) for _, quantity in asked]
    return polite(fill, text), [
        (read_call(zone, quantity), read_result(fill, zone, quantity, value),
         read_answer(zone, quantity, value))
        for (zone, quantity), value in zip(asked, values)]


def ask_two(fill):
    """Two things in one sentence: parallel calls."""
    roll = fill.random.random()
    if roll < 0.3:
        a, b, quantity = fill.zone(), fill.zone(), fill.pick(list(QUANTITIES))
        if a != b:
            name = fill.pick(QUANTITIES[quantity][0])
            return read_two(fill, name, (a, b), [(a, quantity), (b, quantity)])
    if roll < 0.5:
        zone = fill.zone()
        pair = fill.random.sample(list(QUANTITIES), 2)
        names = " and ".join(fill.pick(QUANTITIES[quantity][0]) for quantity in pair)
        return read_two(fill, names, (zone,), [(zone, quantity) for quantity in pair])
    one, its = fill.pick(ONE_CALL)(fill)
    two, others = fill.pick(ONE_CALL)(fill)
    join = fill.pick((" and ", ", and ", ". Also ", ", then ", " and then ", ". And "))
    return one.rstrip("?") + join + two, its + others


CONDITIONS = {  # quantity: (above, below)
    "temperature": (("above", "over", "warmer than", "more than"),
                    ("below", "under", "colder than", "less than")),
    "humidity": (("above", "over", "more than"), ("below", "under", "less than")),
    "soil": (("above", "over", "wetter than"), ("below", "under", "drier than", "less than")),
    "light": (("above", "over", "brighter than"), ("below", "under", "darker than", "less than")),
    "co2": (("above", "over", "more than"), ("below", "under", "less than")),
}


def limit_for(fill, quantity, value):
    """A limit near a value, on either side with the same chance, never equal to it."""
    spread = {"light": 120, "co2": 300}.get(quantity, 8)
    while True:
        offset = fill.random.randint(-spread, spread)
        limit = int(value) + offset
        if limit > 0 and limit != value and is_held_out_number(limit) == fill.held_out:
            return limit


def compare(a, b):
    """Which of two different numbers is larger, digit by digit: (reason, a is larger)."""
    whole_a, whole_b = str(a).split(".")[0], str(b).split(".")[0]
    larger = a > b
    if len(whole_a) != len(whole_b):
        return f"{a if larger else b} has more digits", larger
    steps = []
    for x, y in zip(whole_a, whole_b):
        if x == y:
            steps.append(f"{x} and {y} are equal")
        else:
            steps.append(f"{x} is {'more' if x > y else 'less'} than {y}")
            break
    else:
        x, y = ((str(v).split(".") + ["0"])[1] for v in (a, b))
        steps.append(f"after the point {x} is {'more' if larger else 'less'} than {y}")
    return ", ".join(steps), larger


@dataclass
class Condition:
    """A reading of a zone beside a limit, which it should be above or below."""

    zone: str
    quantity: str
    value: float
    limit: int
    above: bool
    word: str  # for "above" or "below"

    def call(self):
        return read_call(self.zone, self.quantity)

    def result(self, fill):
        return read_result(fill, self.zone, self.quantity, self.value)

    def answer(self):
        return read_answer(self.zone, self.quantity, self.value)

    def facts(self):
        return (f"The {self.quantity} in {said_zone(self.zone)} is {self.value}, "
                f"the limit is {self.limit}.")

    def verdict(self, holds):
        """Whether the reading is on the side that was asked for, in words."""
        side = "above" if self.above else "below"
        return f"So {self.value} is {'' if holds else 'not '}{side} {self.limit}."

    def judge(self):
        """(facts, comparison and verdict, whether it holds). Said before an action, in a thought or
        aloud: it is too much for one step."""
        reason, larger = compare(self.value, self.limit)
        holds = larger == self.above
        return (f"{self.facts()} {self.value} against {self.limit}: {reason}. "
                f"{self.verdict(holds)}", holds)


def condition(fill):
    """A Condition that holds half of the time."""
    zone, quantity = fill.zone(), fill.pick(list(QUANTITIES))
    value = reading(fill, quantity)
    limit = limit_for(fill, quantity, value)
    above = fill.chance(0.5)
    word = fill.pick(CONDITIONS[quantity][0 if above else 1])
    return Condition(zone, quantity, value, limit, above, word)


def draw_switch(fill):
    """(device, state, how a user asks for it, with "@" for the zone)"""
    device = fill.pick(list(DEVICES))
    state = fill.pick(DEVICES[device])
    text = fill.pick(SWITCHES[state][:5]).format(d=fill.pick(SAID_DEVICES[device]), z="@")
    return device, state, text


def without_zone(text):
    for part in (" in @", " of @", " for @"):
        text = text.replace(part, "")
    return text


def ask_conditional(fill, conversation):
    """Read first, then act or not."""
    asked = condition(fill)
    device, state, action = draw_switch(fill)
    action = action.replace("@", with_the(fill, asked.zone))
    name = fill.pick(QUANTITIES[asked.quantity][0])
    text = fill.pick((
        "if the {q} in {z} is {w} {l}, {a}", "{a} if the {q} there is {w} {l}",
        "check the {q} in {z}; if it is {w} {l}, {a}", "when the {q} in {z} is {w} {l}, {a}"))
    text = text.format(q=name, z=with_the(fill, asked.zone), w=asked.word, l=asked.limit, a=action)
    conversation.user(finish(fill, text))
    conversation.model(calls=[asked.call()])
    conversation.results([asked.result(fill)])
    judged, holds = asked.judge()
    if holds:
        conversation.model(judged, calls=[switch_call(asked.zone, device, state)])
        conversation.results([{"ok": True}])
        conversation.model(switch_answer(asked.zone, device, state))
    else:
        conversation.model(f"{judged} {left_alone(device)}")


def ask_back(fill, conversation):
    """The zone is missing: the model asks for it."""
    zone = fill.zone()
    if fill.chance(0.6):
        device = fill.pick(list(DEVICES))
        state = fill.pick(DEVICES[device])
        text = fill.pick(SWITCHES[state]).format(d=fill.pick(SAID_DEVICES[device]), z="@")
        call, result = switch_call(zone, device, state), {"ok": True}
        answer = switch_answer(zone, device, state)
    else:
        quantity = fill.pick(list(QUANTITIES))
        value = reading(fill, quantity)
        text = fill.pick(GENERAL_QUESTIONS).format(q=fill.pick(QUANTITIES[quantity][0]), z="@")
        call, result = read_call(zone, quantity), read_result(fill, zone, quantity, value)
        answer = read_answer(zone, quantity, value)
    conversation.user(finish(fill, without_zone(text).replace("@", "it")))
    conversation.model("In which zone?")
    text = fill.pick(("{z}", "In {z}.", "{z}, please", "I mean {z}"))
    conversation.user(text.format(z=with_the(fill, zone)))
    conversation.model(calls=[call])
    conversation.results([result])
    conversation.model(answer)


def ask_follow_up(fill, conversation):
    """A reading, and a short question that leaves out what it shares with the one before."""
    zone, quantity = fill.zone(), fill.pick(list(QUANTITIES))
    text = polite(fill, question(fill, zone, quantity))
    for _ in range(fill.random.randint(2, 3)):
        value = reading(fill, quantity)
        conversation.user(finish(fill, text))
        conversation.model(calls=[read_call(zone, quantity)])
        conversation.results([read_result(fill, zone, quantity, value)])
        conversation.model(read_answer(zone, quantity, value))
        if fill.chance(0.5):
            zone = fill.zone()
            text = fill.pick(("and in {z}?", "and {z}?", "what about {z}?", "the same for {z}",
                              "and how is {z}?"))
        else:
            quantity = fill.pick([q for q in QUANTITIES if q != quantity])
            text = fill.pick(("and the {q}?", "and the {q} there?", "what about the {q}?",
                              "now the {q}", "the {q} too, please"))
        text = text.format(z=with_the(fill, zone), q=fill.pick(QUANTITIES[quantity][0]))


def ask_undo(fill, conversation):
    """A device is switched, and then "it" is switched back."""
    text, [(call, result, answer)] = ask_switch(fill)
    conversation.user(finish(fill, text))
    conversation.model(calls=[call])
    conversation.results([result])
    conversation.model(answer)
    name, arguments = call
    first, second = DEVICES[arguments["device"]]
    state = second if arguments["state"] == first else first
    text = {"on": ("turn it on again", "switch it on again", "on again, please", "start it again"),
            "off": ("turn it off again", "switch it off again", "off again, please", "stop it now"),
            "open": ("open it again", "open again, please"),
            "closed": ("close it again", "shut it again", "close it now")}[state]
    conversation.user(finish(fill, fill.pick(text)))
    conversation.model(calls=[(name, {**arguments, "state": state})])
    conversation.results([{"ok": True}])
    conversation.model(switch_answer(arguments["zone"], arguments["device"], state))


def outside(fill):
    """What no tool can do."""
    text = fill.pick(OUTSIDE).format(z=with_the(fill, fill.zone()), p=fill.person(),
                                     c=fill.pick(fill.colours), plant=fill.plant())
    return finish(fill, polite(fill, text))


def add_exchange(fill, conversation):
    roll = fill.random.random()
    if roll < 0.06:
        question_, answer = fill.pick(THANKS)
        conversation.user(question_)
        conversation.model(answer)
    elif roll < 0.11:
        conversation.user(outside(fill))
        conversation.model(NO_TOOL)
    elif roll < 0.24:
        ask_conditional(fill, conversation)
    elif roll < 0.28:
        ask_back(fill, conversation)
    elif roll < 0.34:
        ask_follow_up(fill, conversation)
    elif roll < 0.37:
        ask_undo(fill, conversation)
    else:
        ask = ask_two if roll < 0.52 else fill.pick(ONE_CALL)
        text, steps = ask(fill)
        conversation.user(finish(fill, text))
        conversation.model(calls=[call for call, _, _ in steps])
        conversation.results([result for _, result, _ in steps])
        conversation.model(" ".join(answer for _, _, answer in steps))


def declared(fill):
    """The four tools, mostly as they are in the file."""
    tools = list(TOOLS)
    if fill.chance(0.3):
        fill.random.shuffle(tools)
    return tools


def start(fill, think=False):
    system = fill.pick(SYSTEMS).format(p=fill.person())
    return Conversation(system=system, tools=declared(fill), think=think)


def make(fill, size):
    conversation = start(fill)
    length = 520
    while True:
        before = len(conversation.messages)
        add_exchange(fill, conversation)
        length += sum(map(message_length, conversation.messages[before:])) / 3
        if length > size * 0.9:
            return conversation
