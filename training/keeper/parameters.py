"""Parameters that the model has never seen: a name, a JSON schema, and how a user says the value.

The same parameters make tools (unseen.py) and the keys of answers in JSON (answers.py).
"""

from dataclasses import dataclass, field

from keeper import words

NUMBER_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen
fourteen fifteen sixteen seventeen eighteen nineteen twenty""".split()

# Ways to say "this parameter has this value"; {w} is what it is called.
SAID = ["with {w} {v}", "with a {w} of {v}", "with the {w} {v}", "{w} {v}", "{w}: {v}", "{w} = {v}",
        "using {v} as the {w}", "the {w} is {v}", "where the {w} is {v}", "{v} for the {w}",
        "with {v} as {w}", "the {w} should be {v}", "and {w} {v}", "{w} must be {v}"]


@dataclass
class Parameter:
    name: str
    schema: dict  # type, and perhaps description, enum, items
    required: bool = True
    called: str = ""  # what a user calls it
    slots: tuple = ()  # natural phrases with {v}; none: those of SAID
    make: object = None  # fill -> value
    spoken: dict = field(default_factory=dict)  # how a value is said, if not as it is


def spell_name(fill, words_, style=None):
    """A name of words in one of the styles of programmers."""
    style = style or fill.pick(("snake", "snake", "camel", "plain"))
    if style == "camel":
        return words_[0].lower() + "".join(w.capitalize() for w in words_[1:])
    return ("_" if style == "snake" else "").join(w.lower() for w in words_)


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _text(fill):
    """A short sentence, as messages and notes are."""
    f = fill
    return f.pick((
        lambda: f"The {f.noun()} is {f.pick(f.adjectives)}.",
        lambda: f"{f.person()} needs the {f.noun()}.",
        lambda: f"Meet {f.person()} at {f.time()}.",
        lambda: f"Bring {f.number(2, 40)} {f.noun()}s.",
        lambda: f"{f.label()}",
        lambda: f"{f.pick(f.adjectives)} {f.noun()}",
    ))()


def _date(fill):
    roll = fill.random.random()
    if roll < 0.5:
        return fill.pick(words.DAYS)
    if roll < 0.75:
        return f"{fill.pick(words.MONTHS)} {fill.number(1, 28)}"
    return f"20{fill.number(20, 35)}-{fill.random.randint(1, 12):02d}-{fill.number(1, 28):02d}"


def _small(fill):
    return fill.number(1, 20)


def _large(fill):
    return fill.number(1, fill.pick((60, 100, 500, 999)))


def _amount(fill):
    return fill.reading(1, fill.pick((20, 100, 400)))


# (names, descriptions, type, values, phrases)
ROLES = [
    (("city", "location", "place", "town", "where"),
     ("The city", "Name of the city", "City to look in", "Where", "The place"),
     "string", lambda f: f.city(), ("in {v}", "for {v}", "in {v}")),
    (("person", "name", "recipient", "user", "contact", "who", "customer", "to"),
     ("The person", "Name of the person", "Who gets it", "The recipient", "For whom"),
     "string", lambda f: f.person(), ("for {v}", "to {v}", "for {v}")),
    (("day", "date", "when", "on"), ("The day", "Date", "On which day", "When"),
     "string", _date, ("on {v}",)),
    (("time", "at", "start", "start_time", "hour"),
     ("Time of day", "When it starts", "Start time as HH:MM", "The hour"),
     "string", lambda f: f.time(), ("at {v}", "starting at {v}")),
    (("minutes", "duration", "length", "timer"),
     ("Minutes", "Duration in minutes", "How many minutes"),
     "integer", _large, ("for {v} minutes",)),
    (("hours", "duration", "length"), ("Hours", "Duration in hours", "How many hours"),
     "integer", _small, ("for {v} hours",)),
    (("seconds", "timeout", "delay"), ("Seconds", "Time in seconds", "How many seconds"),
     "integer", _large, ("for {v} seconds", "with {v} seconds")),
    (("count", "times", "repeat", "repetitions"), ("How often", "Number of times", "Times"),
     "integer", _small, ("{v} times",)),
    (("price", "cost", "budget", "amount"), ("Price in euros", "Amount in euros", "How many euros"),
     "number", _amount, ("for {v} euros", "at {v} euros")),
    (("percent", "level", "share", "strength"), ("Percent", "Level in percent", "How many percent"),
     "integer", _large, ("to {v} percent", "at {v} percent", "by {v} percent")),
    (("weight", "mass", "kilos"), ("Weight in kilos", "Kilos", "How heavy"),
     "number", _amount, ("of {v} kilos", "weighing {v} kilos")),
    (("distance", "range", "radius"), ("Distance in metres", "Metres", "How far"),
     "number", _amount, ("within {v} metres", "over {v} metres")),
    (("temperature", "degrees", "heat"), ("Temperature in degrees", "Degrees", "How warm"),
     "number", _amount, ("at {v} degrees", "to {v} degrees")),
    (("colour", "color", "paint"), ("The colour", "Which colour"),
     "string", lambda f: f.pick(f.colours), ("in {v}",)),
    (("message", "text", "body", "note", "content"),
     ("The text", "What it says", "Text of the message"),
     "string", _text, ("saying {v}", "with the text {v}", "that says {v}", ": {v}")),
    (("title", "label", "topic", "subject"), ("The title", "What it is called", "The topic"),
     "string", lambda f: f.label(), ("called {v}", "titled {v}", "named {v}")),
    (("id", "code", "number", "reference", "key"), ("The code", "Id", "Reference number"),
     "string", lambda f: f.label(), ("with the code {v}", "number {v}", "with id {v}")),
    (("query", "search", "term", "keyword", "q"),
     ("What to look for", "Search term", "Words to find"),
     "string", lambda f: f.label(), ("about {v}", "matching {v}", "about {v}")),
    (("room", "zone", "area", "place"), ("Which room", "The room", "Name of the area"),
     "string", lambda f: f.zone(), ("in the {v}", "for the {v}")),
    (("item", "product", "object", "thing", "what"), ("The item", "Which item", "What"),
     "string", lambda f: f.noun(), ("with the {v}", "for the {v}", "with a {v}")),
]

ENUM_NAMES = """mode size type kind category style priority format class status level state shape
order source target language speed quality theme channel group role method region season side
direction variant option plan grade tone scope view layer unit filter stage model""".split()
FLAGS = """urgent silent public private express loud hidden final shared secret active visible
locked permanent recursive verbose automatic optional fragile cold fresh bright""".split()
LISTS = """tags items names guests keywords labels topics members parts colours cities""".split()


def _enum_values(fill):
    n = fill.random.randint(2, 5)
    roll = fill.random.random()
    if roll < 0.35:
        make = lambda: fill.pick(fill.adjectives)  # noqa: E731
    elif roll < 0.5:
        make = fill.noun
    elif roll < 0.6:
        make = lambda: fill.pick(fill.colours)  # noqa: E731
    elif roll < 0.75:
        make = fill.word
    elif roll < 0.85:
        make = lambda: fill.pick(fill.adjectives) + "_" + fill.noun()  # noqa: E731
    else:
        make = fill.label
    values = []
    while len(values) < n and len(values) < 40:
        value = make()
        if value not in values:
            values.append(value)
        elif fill.chance(0.2):
            make = fill.word  # a short list ran out
    return values


def _role(fill):
    names, descriptions, kind, make, slots = fill.pick(ROLES)
    schema = {"type": kind}
    name = fill.pick(names)
    described = fill.chance(0.6)
    if described:
        schema["description"] = fill.pick(descriptions)
    elif name in ("duration", "length", "timer", "amount", "level"):
        schema["description"] = fill.pick(descriptions)  # the unit must be known
    called = name.replace("_", " ")
    return Parameter(name, schema, called=called, slots=slots, make=make)


def _enum(fill):
    values = _enum_values(fill)
    name = fill.pick(ENUM_NAMES) if fill.chance(0.7) else fill.word()
    schema = {"type": "string", "enum": values}
    called = name
    if fill.chance(0.4):
        called = fill.pick(ENUM_NAMES)
        schema["description"] = fill.pick(("The {}", "Which {}", "{} to use")).format(called)
        schema["description"] = schema["description"][0].upper() + schema["description"][1:]
    spoken = {v: v.replace("_", " ") for v in values if "_" in v} if fill.chance(0.7) else {}
    return Parameter(name, schema, called=called, make=lambda f: f.pick(values), spoken=spoken,
                     slots=("in {v} " + called, "with {v} " + called) if fill.chance(0.4) else ())


def _flag(fill):
    name = fill.pick(FLAGS)
    schema = {"type": "boolean"}
    if fill.chance(0.5):
        schema["description"] = fill.pick(
            ("Whether it is {}", "True if {}", "Is it {}?")).format(name)
    spoken = {True: fill.pick(("{w}: yes", "make it {w}", "{w}: true", "it is {w}", "as {w}")),
              False: fill.pick(("{w}: no", "not {w}", "{w}: false", "it is not {w}"))}
    spoken = {value: text.format(w=name) for value, text in spoken.items()}
    return Parameter(name, schema, called=name, make=lambda f: f.chance(0.5), spoken=spoken,
                     slots=("{v}",))


def _list(fill):
    name = fill.pick(LISTS) if fill.chance(0.7) else fill.word() + "s"
    schema = {"type": "array", "items": {"type": "string"}}
    if fill.chance(0.4):
        schema["description"] = "The " + name

    def make(f):
        one = f.pick((f.person, f.city, f.noun, f.word, lambda: f.pick(f.adjectives)))
        return list(dict.fromkeys(one() for _ in range(f.random.randint(1, 4))))
    return Parameter(name, schema, called=name, make=make)


def _made_up(fill):
    """A parameter with a made-up name; a description, if it has one, says what users call it."""
    name = fill.word() if fill.chance(0.6) else spell_name(fill, [fill.noun(), fill.word()])
    kind = fill.pick(("string", "string", "integer", "number"))
    make = {"string": lambda f: f.label(), "integer": _large, "number": _amount}[kind]
    schema = {"type": kind}
    called = name
    if fill.chance(0.6):
        called = fill.noun() if fill.chance(0.6) else fill.pick(fill.adjectives) + " " + fill.noun()
        schema["description"] = fill.pick(("The {}", "Which {}", "Its {}", "{}")).format(called)
        schema["description"] = schema["description"][0].upper() + schema["description"][1:]
    elif "_" in name and fill.chance(0.5):
        called = name.replace("_", " ")
    return Parameter(name, schema, called=called, make=make)


def _plain(fill):
    """A parameter named by an ordinary noun, of any type."""
    noun = fill.noun()
    name, called = noun, noun
    if fill.chance(0.3):
        called = fill.pick(fill.adjectives) + " " + noun
        name = spell_name(fill, called.split())
    kind = fill.pick(("string", "string", "integer", "number"))
    make = {"string": fill.pick((lambda f: f.label(), lambda f: f.person(), lambda f: f.word(),
                                 lambda f: f.zone(), lambda f: f.pick(f.colours))),
            "integer": _large, "number": _amount}[kind]
    schema = {"type": kind}
    if fill.chance(0.4):
        schema["description"] = fill.pick(("The {}", "Which {}", "Value of the {}")).format(called)
    return Parameter(name, schema, called=called, make=make)


def parameter(fill):
    roll = fill.random.random()
    if roll < 0.40:
        return _role(fill)
    if roll < 0.58:
        return _enum(fill)
    if roll < 0.64:
        return _flag(fill)
    if roll < 0.69:
        return _list(fill)
    if roll < 0.85:
        return _made_up(fill)
    return _plain(fill)


def parameters(fill, n):
    """n parameters that a user can tell apart."""
    chosen, taken = [], set()
    for _ in range(4 * n):
        if len(chosen) == n:
            break
        new = parameter(fill)
        marks = {new.name.lower(), new.called.lower(), *(slot.split("{")[0] for slot in new.slots)}
        marks.discard("")
        if marks & taken:
            continue
        taken |= marks
        chosen.append(new)
    return chosen


def properties(chosen):
    """The JSON schema of parameters, as a client declares it."""
    schema = {"type": "object", "properties": {p.name: p.schema for p in chosen}}
    required = [p.name for p in chosen if p.required]
    if required:
        schema["required"] = required
    return schema


def speak_value(fill, value):
    """A value as a user writes it."""
    if isinstance(value, list):
        return value[0] if len(value) == 1 else ", ".join(value[:-1]) + " and " + value[-1]
    if isinstance(value, str) and fill.chance(0.12):
        quote = fill.pick("\"'")
        if quote not in value:
            return quote + value + quote
    return str(value)


def draw(fill, parameter_):
    """(a value, how a user writes it). Small numbers are sometimes words; these are words like
    others, so none of them is held out."""
    if parameter_.schema["type"] == "integer" and fill.chance(0.12):
        value = fill.random.randint(1, 20)
        return value, NUMBER_WORDS[value]
    value = parameter_.make(fill)
    return value, None


def speak(fill, parameter_, value, spoken=None):
    """What a user says to give this parameter this value."""
    if spoken:
        pass
    elif isinstance(value, bool):
        spoken = parameter_.spoken[value]
    elif isinstance(value, str) and value in parameter_.spoken:
        spoken = parameter_.spoken[value]
    else:
        spoken = speak_value(fill, value)
    if parameter_.slots and fill.chance(0.8):
        return fill.pick(parameter_.slots).replace("{v}", spoken)
    if isinstance(value, bool):
        return spoken
    return fill.pick(SAID).replace("{w}", parameter_.called).replace("{v}", spoken)


def ask_values(fill, chosen):
    """(arguments, phrases in random order); optional parameters are left out half of the time."""
    arguments, phrases = {}, []
    for p in chosen:
        if not p.required and fill.chance(0.5):
            continue
        value, spoken = draw(fill, p)
        arguments[p.name] = value
        phrases.append(speak(fill, p, value, spoken))
        is_text = p.schema["type"] == "string" and "enum" not in p.schema
        if len(chosen) == 1 and is_text and fill.chance(0.2):  # no word says what the value is
            phrases = [fill.pick(("{v}", '"{v}"', "'{v}'", ": {v}")).replace("{v}", value)]
    fill.random.shuffle(phrases)
    return arguments, phrases


def join_phrases(fill, phrases):
    if not phrases:
        return ""
    if len(phrases) == 1:
        return " " + phrases[0]
    style = fill.random.random()
    if style < 0.5:
        return " " + ", ".join(phrases[:-1]) + fill.pick((" and ", ", ")) + phrases[-1]
    if style < 0.8:
        return " " + " ".join(phrases)
    return ", " + ", ".join(phrases)
