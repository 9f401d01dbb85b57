"""Answers to a JSON schema: facts told in a sentence become values of keys never seen before."""

import json

from keeper import own
from keeper import parameters as P
from keeper.render import Conversation
from keeper.unseen import finish, message_length

SYSTEMS = ("", "", "", "You read notes.", "Extract the facts.", "You fill in forms.",
           "You are the keeper of a greenhouse.", "Answer exactly.", "You are a helpful assistant.")
OPENINGS = ("", "", "", "", "note: ", "here is one: ", "please read this: ", "next: ", "read: ",
            "for the form: ", "write down ", "record ", "extract this: ", "an entry ")


FACTS = ("the {w} is {v}", "{w}: {v}", "{w} {v}", "its {w} is {v}", "a {w} of {v}", "{w} = {v}",
         "with {w} {v}", "{v} is the {w}", "{v} as {w}")


def to_json(value):
    return json.dumps(value, ensure_ascii=False)


def fill_up(fill, schema, size, draw):
    """A conversation about one schema; `draw` gives (what the user says, the answer)."""
    conversation = Conversation(system=fill.pick(SYSTEMS), schema=schema)
    length = 60 + len(str(schema)) / 3
    while True:
        text, answer = draw()
        conversation.user(text)
        conversation.model(to_json(answer))
        length += sum(map(message_length, conversation.messages[-2:])) / 3
        if length > size * 0.85:
            return conversation


def _speak_fact(fill, parameter, value, spoken):
    if parameter.slots and fill.chance(0.5) or isinstance(value, bool):
        return P.speak(fill, parameter, value, spoken)
    spoken = spoken or P.speak_value(fill, value)
    return fill.pick(FACTS).format(w=parameter.called, v=spoken)


def _fact_form(fill):
    """(schema, chosen parameters, the key of a nested object or "", the parameters in it)"""
    chosen = P.parameters(fill, fill.random.choices((1, 2, 3, 4, 5), (14, 28, 28, 18, 12))[0])
    for p in chosen[1:]:
        p.required = not fill.chance(0.12)
    schema = P.properties(chosen)
    key, inside = "", []
    if len(chosen) > 2 and fill.chance(0.25):  # the last two move into an object of their own
        noun = fill.noun()
        if noun not in schema["properties"]:
            key, inside = noun, chosen[-2:]
            for p in inside:
                p.required = True
            schema = P.properties(chosen[:-2])
            schema["properties"][key] = P.properties(inside)
            schema.setdefault("required", []).append(key)
    if fill.chance(0.3):
        schema["additionalProperties"] = False
    return schema, chosen, key, inside


def _tell(fill, chosen):
    arguments, facts = {}, []
    for p in chosen:
        if not p.required and fill.chance(0.5):
            continue
        arguments[p.name], spoken = P.draw(fill, p)
        facts.append(_speak_fact(fill, p, arguments[p.name], spoken))
    fill.random.shuffle(facts)
    joiner = fill.pick((", ", ", ", ". ", "; ", " and "))
    text = joiner.join(facts)
    if joiner == ", " and len(facts) > 1 and fill.chance(0.5):
        text = ", ".join(facts[:-1]) + " and " + facts[-1]
    opening = fill.pick(OPENINGS)
    begins_with_value = not opening and not text.startswith(("the ", "its ", "a "))
    return finish(fill, opening + text, keep_case=begins_with_value), arguments


def facts(fill, size):
    """Parameters of any kind and how a user says them."""
    schema, chosen, key, inside = _fact_form(fill)
    nested = {p.name for p in inside}

    def draw():
        text, arguments = _tell(fill, chosen)
        answer = {p.name: arguments[p.name] for p in chosen
                  if p.name in arguments and p.name not in nested}
        if key:
            answer[key] = {p.name: arguments[p.name] for p in inside}
        return text, answer

    return fill_up(fill, schema, size, draw)


# Facts of the greenhouse: (names of the key, schema)
ZONE = (("zone", "place", "where", "area", "location"), {"type": "string"})
QUANTITY = (("quantity", "sensor", "kind", "measure", "what"),
            {"type": "string", "enum": list(own.QUANTITIES)})
VALUE = (("value", "reading", "number", "measured"), {"type": "number"})
TOO_HIGH = (("too_high", "above_limit", "over", "alarm", "exceeded"), {"type": "boolean"})
DEVICE = (("device", "machine", "unit"), {"type": "string", "enum": list(own.DEVICES)})
STATE = (("state", "position", "status"),
         {"type": "string", "enum": ["on", "off", "open", "closed"]})
PLANT = (("plant", "crop", "species"), {"type": "string"})
COUNT = (("count", "number", "how_many", "pots", "amount"), {"type": "integer"})
PERSON = (("person", "who", "name", "gardener", "by"), {"type": "string"})
TIME = (("time", "at", "when", "start"), {"type": "string"})
MINUTES = (("minutes", "duration_minutes", "how_long"), {"type": "integer"})


def greenhouse(fill, size):
    """Sentences of the greenhouse, whose facts are named by their meaning."""
    kind = fill.pick(("reading", "limit", "device", "plants", "schedule"))
    forms = {"reading": (ZONE, QUANTITY, VALUE), "limit": (ZONE, VALUE, TOO_HIGH),
             "device": (ZONE, DEVICE, STATE), "plants": (PLANT, COUNT, ZONE, PERSON),
             "schedule": (DEVICE, ZONE, TIME, MINUTES)}[kind]
    keys = [(fill.pick(names), dict(schema)) for names, schema in forms]
    order = list(range(len(keys)))
    fill.random.shuffle(order)
    if fill.chance(0.3):
        order = order[:-1]
    properties = {keys[k][0]: keys[k][1] for k in order}
    schema = {"type": "object", "properties": properties, "required": list(properties)}

    def draw():
        text, values = _sentence(fill, kind)
        return finish(fill, text), {keys[k][0]: values[k] for k in order}

    return fill_up(fill, schema, size, draw)


def _sentence(fill, kind):
    """(text, the facts in it, in the order of the forms above)"""
    zone = fill.zone()
    said = own.with_the(fill, zone)
    if kind in ("reading", "limit"):
        quantity = fill.pick(list(own.QUANTITIES))
        value = own.reading(fill, quantity)
        name = fill.pick(own.QUANTITIES[quantity][0])
        if kind == "reading":
            text = fill.pick((
                "the {q} in {z} is {v}", "{z} has a {q} of {v}", "in {z} I read a {q} of {v}",
                "{q} {v} in {z}", "{z}: {q} {v}", "I measured {v} {q} in {z}"))
            return text.format(q=name, z=said, v=value), (zone, quantity, value)
        limit = own.limit_for(fill, quantity, value)
        text = fill.pick((
            "the {q} in {z} is {v}, the limit is {l}", "{z} has {v} of {q}, allowed are {l}",
            "at most {l} of {q} in {z}, now {v}", "{z}: {q} {v}, limit {l}"))
        return text.format(q=name, z=said, v=value, l=limit), (zone, value, value > limit)
    if kind == "device":
        device = fill.pick(list(own.DEVICES))
        state = fill.pick(own.DEVICES[device])
        text = fill.pick((
            "the {d} in {z} is {s}", "{z}: {d} {s}", "in {z} the {d} is {s} now",
            "I left the {d} in {z} {s}", "somebody set the {d} in {z} to {s}"))
        name = fill.pick(own.SAID_DEVICES[device])
        return text.format(d=name, z=said, s=state), (zone, device, state)
    if kind == "plants":
        plant, count, person = fill.plant(), fill.number(2, 80), fill.person()
        text = fill.pick((
            "{p} put {n} {x} plants in {z}", "there are {n} {x} plants in {z}, says {p}",
            "{z} has {n} {x} plants, {p} looks after them", "{p} planted {n} {x} in {z}"))
        return text.format(p=person, n=count, x=plant, z=said), (plant, count, zone, person)
    device = fill.pick(("fan", "heater", "pump", "lamp"))
    time, minutes = fill.time(), fill.number(1, 90)
    text, name = fill.pick(own.SCHEDULES), fill.pick(own.SAID_DEVICES[device])
    return text.format(d=name, z=said, t=time, m=minutes), (device, zone, time, minutes)


# Forms of everyday life: {fact: (names of the key, type, maker)} and sentences that tell them all.
FORMS = {
    "person": (
        {"name": (("name", "person", "who", "first_name"), "string", lambda f: f.person()),
         "age": (("age", "years", "how_old"), "integer", lambda f: f.number(2, 99)),
         "city": (("city", "home", "place", "lives_in", "town", "location"), "string",
                  lambda f: f.city())},
        ("{name}, {age}, from {city}", "{name} is {age} and lives in {city}",
         "{name} from {city} is {age} years old", "in {city} lives {name}, aged {age}",
         "my friend {name} ({age}) is from {city}", "{name} ({age}, {city})",
         "I am {name}, I am {age} and I come from {city}",
         "{age} years old, named {name}, home {city}")),
    "order": (
        {"item": (("item", "product", "article", "what"), "string", lambda f: f.noun()),
         "count": (("count", "quantity", "pieces", "how_many"), "integer",
                   lambda f: f.number(1, 60)),
         "price": (("price", "euros", "cost", "total"), "number", lambda f: f.reading(1, 300)),
         "customer": (("customer", "buyer", "client", "for"), "string", lambda f: f.person())},
        ("{customer} orders {count} times {item} for {price} euros",
         "{count} x {item}, {price} euros, for {customer}",
         "for {customer}: {item}, {count} pieces, {price} euros",
         "{customer} bought {count} of {item} and paid {price} euros",
         "sold {item} ({count}) to {customer}, {price} euros",
         "{price} euros from {customer} for {count} pieces of {item}")),
    "event": (
        {"what": (("event", "title", "what", "kind"), "string", lambda f: f.noun()),
         "day": (("day", "date", "weekday"), "string", P.ROLES[2][3]),
         "time": (("time", "start", "at", "hour"), "string", lambda f: f.time()),
         "where": (("where", "place", "city", "location"), "string", lambda f: f.city())},
        ("{what} on {day} at {time} in {where}", "the {what} is in {where} on {day} at {time}",
         "on {day} there is a {what} in {where} at {time}",
         "at {time} on {day} in {where}: {what}", "{where}, {day}, {time}: {what}",
         "come to the {what} in {where}, {day} at {time}")),
    "pair": (
        {"name": (("name", "person", "author", "from"), "string", lambda f: f.person()),
         "colour": (("colour", "color", "favourite_colour", "likes"), "string",
                    lambda f: f.pick(f.colours)),
         "plant": (("plant", "favourite_plant", "flower", "grows"), "string", lambda f: f.plant())},
        ("{name} likes {colour} and grows {plant}", "{name} grows {plant} in {colour} pots",
         "the {plant} of {name} is {colour}", "{name}: {plant}, {colour}",
         "{colour} is what {name} wears, and {plant} is what {name} plants")),
}


def everyday(fill, size):
    slots, sentences = FORMS[fill.pick(list(FORMS))]
    order = fill.random.sample(list(slots), len(slots))
    if fill.chance(0.3):
        order = order[:-1]
    keys, properties = {}, {}
    for slot in order:
        names, kind, _ = slots[slot]
        keys[slot] = fill.pick(names)
        properties[keys[slot]] = {"type": kind}
    schema = {"type": "object", "properties": properties, "required": list(properties)}

    def draw():
        values = {slot: make_(fill) for slot, (_, _, make_) in slots.items()}
        text = fill.pick(sentences).format(**values)
        begins_with_value = text.split()[0].strip(":,(") in map(str, values.values())
        return (finish(fill, text, keep_case=begins_with_value),
                {keys[slot]: values[slot] for slot in order})

    return fill_up(fill, schema, size, draw)


def with_thought(conversation):
    """The first exchange alone, with a thought that lists the values."""
    conversation.think = True
    conversation.messages = conversation.messages[:2]
    answer = conversation.messages[1]
    values = json.loads(answer["content"])
    listed = ", ".join(f"{key} = {to_json(value)}" for key, value in values.items())
    answer["reasoning"] = f"The values: {listed}."
    return conversation


def make(fill, size):
    form = fill.random.choices((facts, greenhouse, everyday), (62, 23, 15))[0]
    if fill.chance(0.07):
        return with_thought(form(fill, 1))
    return form(fill, size)
