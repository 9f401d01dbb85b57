"""Facts told early and asked late, some of them corrected in between.

    python3 -m keeper.memory      print two

A kind of fact says how it is told, changed, asked and answered. The answer repeats the last value
that was told, letter by letter.
"""

import sys
from dataclasses import dataclass
from typing import Callable

from keeper import chat, own, words
from keeper.chat import in_zone, lines, loosen, man, say, the_zone, tokens, vary, woman
from keeper.render import Conversation, format_tool

TOOLS_TOKENS = sum(map(len, map(format_tool, own.TOOLS))) / 2.6  # control tokens abound


@dataclass(frozen=True)
class Kind:
    key: Callable  # fill -> slots that tell facts of this kind apart; {} when there is one only
    value: Callable  # fill -> slots; "v" is what the answer must repeat
    tells: list
    changes: list
    asks: list
    answer: str
    about: str = ""  # what "What did I say about …?" names


@dataclass
class Fact:
    kind: Kind
    key: dict
    value: dict

    @property
    def slots(self):
        return self.key | self.value

    @property
    def identity(self):
        return (id(self.kind), *self.key.values())


def nothing(fill):
    return {}


def plant(fill):
    return {"p": fill.plant()}


def place(fill):
    zone = fill.zone()
    return {"v": zone, "zone": the_zone(zone), "at": in_zone(zone)}


def simple(make):
    """A value that is one filler."""
    return lambda fill: {"v": str(make(fill))}


def person(fill):
    return {"v": fill.person()}


def count(fill):
    return {"v": str(fill.number(2, 99) if fill.chance(0.7) else fill.number(100, 950))}


def price(fill):
    return {"v": f"{fill.reading(2, 60):g}"}


def any_value(fill):
    roll = fill.random.random()
    if roll < 0.5:
        return {"v": fill.label()}
    if roll < 0.6:
        return {"v": str(fill.number(1, 999))}
    if roll < 0.7:
        return {"v": fill.time()}
    if roll < 0.8:
        return {"v": fill.person()}
    if roll < 0.9:
        return {"v": fill.pick(fill.colours)}
    return {"v": the_zone(fill.zone())}


def code(fill):
    roll = fill.random.random()
    if roll < 0.5:
        return {"v": str(fill.number(1000, 9999))}
    if roll < 0.7:
        return {"v": str(fill.number(100, 999))}
    return {"v": fill.label()}


LOCKED = ("shed", "gate", "door", "office", "store", "cabinet", "key box", "safe", "garage",
          "alarm", "back door", "tool shed", "seed store")
ROLES = ("gardener", "boss", "neighbour", "helper", "driver", "electrician", "plumber", "cook",
         "accountant", "cleaner", "teacher", "guide", "night guard", "florist", "beekeeper")
BROTHERS = ("brother", "son", "father", "husband", "uncle", "friend", "cousin", "grandfather",
            "nephew")
SISTERS = ("sister", "daughter", "mother", "wife", "aunt", "friend", "cousin", "grandmother",
           "niece")
ANIMALS = ("cat", "dog", "goat", "horse", "parrot", "rabbit", "hen", "donkey", "hamster",
           "tortoise")
GOODS = ("bags of soil", "clay pots", "seed trays", "watering cans", "labels", "gloves", "lamps",
         "metres of hose", "bags of sand", "shovels", "sheets of glass", "boxes")
FAVOURITES = {
    "plant": lambda fill: "the " + fill.plant(), "colour": lambda fill: fill.pick(fill.colours),
    "city": lambda fill: fill.city(), "day": lambda fill: fill.pick(words.DAYS),
    "month": lambda fill: fill.pick(words.MONTHS), "number": lambda fill: str(fill.number(1, 99)),
    "word": lambda fill: fill.word(), "place": lambda fill: the_zone(fill.zone()),
    "thing": lambda fill: "the " + fill.noun(),
}


def favourite_kind(name):
    return Kind(nothing, simple(FAVOURITES[name]), lines(f"""
My favourite {name} is <v>.
{{I must say|You know}}, my favourite {name} is <v>.
If you ask me for my favourite {name}: it is <v>.
"""), lines(f"""
{{No, |Wait, |}}my favourite {name} is <v>{{ now| after all}}.
I have changed my mind: my favourite {name} is <v>.
"""), lines(f"""
What is my favourite {name}?
{{Do you remember|Do you know|Can you tell me}} my favourite {name}?
Which {name} do I like best?
Which {name} was my favourite?
"""), f"Your favourite {name} is <v>.", f"my favourite {name}")


def relation_kind(relations, name):
    return Kind(lambda f: {"k": f.pick(relations)}, lambda f: {"v": name(f)}, lines("""
My <k> is {called|named} <v>.
My <k>'s name is <v>.
<v> is my <k>.
I will visit my <k> <v>{ soon| on Sunday| tomorrow|}.
"""), lines("""
{No|Sorry}, my <k> is called <v>.
That was wrong: my <k>'s name is <v>.
"""), lines("""
What is my <k> called?
What is the name of my <k>?
{Do you remember|Do you know|Tell me} the name of my <k>~
Who is my <k>?
"""), "Your <k> is called <v>.", "my <k>")


KINDS = [
    (8, Kind(nothing, person, lines("""
My name is <v>.
I am <v>{, by the way|}.
{Hello|Hi}, I am <v>.
{You can call|Please call|Call} me <v>.
{Hello|Good morning}! My name is <v>.
The name is <v>.
"""), lines("""
{No|Sorry}, my name is <v>.
I {mistyped|made a mistake}. My name is <v>.
That was wrong: I am <v>.
Please call me <v> {from now on|instead}.
"""), lines("""
What is my name?
Who am I?
{Do you remember|Do you know|Can you say|Have you kept} my name?
What am I called?
How do you call me?
And my name {is|was}?
Do you {still know|remember} who I am?
"""), "Your name is <v>.", "my name")),
    (10, Kind(plant, place, lines("""
The <p> {is|stands|grows} <at>.
I {put|planted|have placed} the <p> <at>.
We keep the <p> <at>.
{You will find|Look for} the <p> <at>.
The place of the <p> is <zone>.
"""), lines("""
I {moved|have moved|carried} the <p> to <zone>.
{No, the|Correction: the|Sorry, the} <p> is <at>.
The <p> is <at> now.
We took the <p> over to <zone>.
"""), lines("""
Where is the <p>{ now|}?
Where {does the <p> stand|did I put the <p>|do I find the <p>|do we keep the <p>}?
{Do you remember|Do you know|Tell me} where the <p> {is|stands}~
In which {place|part of the greenhouse|zone} is the <p>?
What is the place of the <p>?
I am looking for the <p>.
I cannot find the <p>. Where is it?
"""), "The <p> is <at>.", "the <p>")),
    (6, Kind(plant, person, lines("""
<v> waters the <p>.
<v> {looks after|takes care of|is in charge of} the <p>.
The <p> is watered by <v>.
It is <v> who waters the <p>.
"""), lines("""
{From now on|Now|No,} <v> waters the <p>.
{Not any more: <v>|Plans have changed: <v>|Correction: <v>} waters the <p>.
"""), lines("""
Who waters the <p>?
Who {looks after|takes care of|is in charge of} the <p>?
Whose {job|task} is it to water the <p>?
{Do you remember|Tell me|Do you know} who waters the <p>~
"""), "<v> waters the <p>.")),
    (5, Kind(plant, simple(lambda f: f.time()), lines("""
The <p> {is watered|gets water|gets its water} at <v>.
We water the <p> at <v>.
At <v> it is time to water the <p>.
"""), lines("""
{From now on|Now} the <p> is watered at <v>.
{No|Sorry}, the <p> gets its water at <v>.
We moved the watering of the <p> to <v>.
"""), lines("""
When is the <p> watered?
{When|At what time} {do we water the <p>|does the <p> get water|must I water the <p>}?
What time did I {say|tell you} for watering the <p>?
{Do you remember|Do you know} when the <p> gets its water?
"""), "The <p> is watered at <v>.")),
    (3, Kind(plant, simple(lambda f: f.pick(words.DAYS)), lines("""
The <p> gets its {food|fertiliser} on <v>.
We feed the <p> {every|on} <v>.
<v> is the day to feed the <p>.
"""), lines("""
{From now on|Now} we feed the <p> on <v>.
{No|Sorry}, the <p> gets its food on <v>.
"""), lines("""
On which day {do we feed the <p>|does the <p> get its food}?
Which day is for feeding the <p>?
{Do you remember|Do you know} when we feed the <p>?
When does the <p> get its {food|fertiliser}?
"""), "You feed the <p> on <v>.")),
    (7, Kind(lambda f: {"k": f.pick(LOCKED)}, code, lines("""
The code {of|for} the <k> is <v>.
The <k> has the code <v>.
To open the <k>, use <v>.
<k> code: <v>.
{Please keep this|Remember this}: the code of the <k> is <v>.
"""), lines("""
The code {of|for} the <k> {has changed|was changed}: it is <v>{ now|}.
{No|Sorry}, the code of the <k> is <v>.
The new code of the <k> is <v>.
"""), lines("""
What is the code {of|for} the <k>?
How do I open the <k>? {I forgot the code|I need the code}.
{Do you remember|Tell me|Can you give me} the code {of|for} the <k>~
Which code opens the <k>?
I stand in front of the <k>. What is the code?
"""),
        "The code of the <k> is <v>.", "the <k>")),
    (5, Kind(plant, simple(lambda f: f.pick(f.colours)), lines("""
The pot of the <p> is <v>.
The <p> {is|stands|grows} in a <v> pot.
I painted the pot of the <p> <v>.
I gave the <p> a <v> pot.
"""), lines("""
The pot of the <p> is <v> now.
I {painted the pot of the <p> <v> today|repainted the pot of the <p>: it is <v> now}.
{No|Sorry}, the pot of the <p> is <v>.
"""), lines("""
{What|Which} colour is the pot of the <p>?
What colour has the pot of the <p>?
In what {colour of pot|sort of pot} is the <p>?
{Do you remember|Do you know} the colour of the pot of the <p>?
How did I paint the pot of the <p>?
"""), "The pot of the <p> is <v>.")),
    (4, Kind(lambda f: {"k": f.noun()}, simple(lambda f: f.pick(f.colours)), lines("""
The <k> is <v>.
I {have|bought|got} a <v> <k>.
We painted the <k> <v>.
"""), lines("""
The <k> is <v> now.
{No|Sorry}, the <k> is <v>.
We repainted the <k>: it is <v> now.
"""), lines("""
{What|Which} colour is the <k>?
What colour has the <k>?
{Do you remember|Tell me} the colour of the <k>~
"""), "The <k> is <v>.", "the <k>")),
    (7, Kind(lambda f: {"n": f.person(), "at": in_zone(f.zone())},
             lambda f: {"v": f"{f.reading(5, 42):g}"}, lines("""
<n> {noted|measured|read} <v> °C <at>.
<n> says it was <v> {degrees|°C} <at>.
The thermometer <at> showed <n> <v> °C.
<n> wrote down <v> {degrees|°C} <at>.
"""), lines("""
{No|Sorry|Correction}: <n> {noted|measured|read} <v> °C <at>.
<n> looked again: it was <v> °C <at>.
"""), lines("""
What did <n> {note|measure|read} <at>?
{How many degrees|What temperature} did <n> {note|measure|read} <at>?
How warm was it <at>, {by the note of|as noted by} <n>?
{Do you remember|Tell me} what <n> {noted|measured|read} <at>~
"""), "<n> noted <v> °C <at>.")),
    (4, Kind(lambda f: {"at": in_zone(f.zone())}, simple(lambda f: f.number(5, 98)), lines("""
The soil <at> was at <v> percent {this morning|yesterday|today}.
I measured <v> percent in the soil <at>.
Soil <at>: <v> percent.
"""), lines("""
I measured the soil <at> again: <v> percent.
{No|Sorry}, the soil <at> was at <v> percent.
"""), lines("""
{What|How many percent} did I measure in the soil <at>?
How {moist|wet|dry} was the soil <at>?
{Do you remember|What was} the soil value <at>?
"""), "The soil <at> was at <v> percent.")),
    (5, Kind(lambda f: {"k": f.pick(ANIMALS)},
             lambda f: {"v": f.person() if f.chance(0.5) else f.word().capitalize()}, lines("""
My <k> is {called|named} <v>.
The name of my <k> is <v>.
I have a <k>. {Its name is|It is called} <v>.
We {call|named} our <k> <v>.
"""), lines("""
{No|Sorry}, my <k> is called <v>.
We gave the <k> a new name: <v>.
"""), lines("""
What is my <k> called?
What is the name of my <k>?
How do we call our <k>?
{Do you remember|Do you know|Tell me} the name of my <k>~
"""), "Your <k> is called <v>.", "my <k>")),
    (3, relation_kind(BROTHERS, man)),
    (3, relation_kind(SISTERS, woman)),
    (5, Kind(lambda f: {"k": f.pick(ROLES)}, person, lines("""
<v> is our <k>.
Our <k> is {called|named} <v>.
The <k> is <v>.
The name of {our|the} <k> is <v>.
"""), lines("""
We have a new <k>: <v>.
{Now|From now on} <v> is our <k>.
{No|Sorry}, our <k> is <v>.
"""), lines("""
Who is our <k>?
What is the name of {our|the} <k>?
How is our <k> called?
{Do you remember|Do you know|Tell me} who our <k> is~
I must call the <k>. What is the name?
"""), "Your <k> is <v>.", "our <k>")),
    (5, Kind(plant, count, lines("""
We sold <v> pots of <p>.
I sold <v> pots of <p> {today|this week|on Monday}.
<v> pots of <p> were sold.
"""), lines("""
{No|Sorry|Correction}: we sold <v> pots of <p>.
I counted again: we sold <v> pots of <p>.
"""), lines("""
How many pots of <p> {did we sell|were sold|have we sold}?
{Do you remember|Tell me} how many pots of <p> we sold~
What was the number of pots of <p> that we sold?
"""), "You sold <v> pots of <p>.")),
    (4, Kind(lambda f: {"k": f.pick(GOODS)}, count, lines("""
We {ordered|bought|need} <v> <k>.
I ordered <v> <k>{ today|}.
{Please note|Note this}: <v> <k> are on order.
"""), lines("""
{No|Sorry}, it {is|was} <v> <k>.
We changed the order to <v> <k>.
"""), lines("""
How many <k> {did we order|are on order|did I say}?
{Do you remember|Tell me} the number of <k>~
What number of <k> did I tell you?
"""), "It was <v> <k>.")),
    (4, Kind(plant, price, lines("""
A pot of <p> costs <v> euros.
We sell the <p> for <v> euros{ a pot|}.
The price of the <p> is <v> euros.
"""), lines("""
The {new|right} price of the <p> is <v> euros.
{No|Sorry}, the <p> costs <v> euros.
"""), lines("""
{How much is|What is the price of|What do we ask for} a pot of <p>?
How much does the <p> cost?
{Do you remember|Tell me} the price of the <p>~
"""), "A pot of <p> costs <v> euros.")),
    (14, Kind(lambda f: {"k": f.noun() if f.chance(0.6) else f.pick(f.adjectives) + " " + f.noun()},
              any_value, lines("""
The <k> is <v>.
{Remember this|Please remember|Note this}: the <k> is <v>.
{For your notes|For later}: the <k> is <v>.
As for the <k>, it is <v>.
<k>: <v>.
{We chose|They gave us} this as the <k>: <v>.
"""), lines("""
{No|Sorry|Correction}, the <k> is <v>.
The <k> is <v> now.
The <k> {has changed|was changed}: it is <v>.
"""), lines("""
What is the <k>?
{What did I say about|What do you know about|What did I tell you about} the <k>?
{Do you remember|Can you tell me|Tell me} the <k>~
What was the <k>?
{I forgot|I have forgotten|Remind me of} the <k>.
"""), "The <k> is <v>.", "the <k>")),
    (4, Kind(lambda f: {"k": f.noun()}, place, lines("""
The <k> {is|lies} <at>.
I {left|put} the <k> <at>.
We keep the <k> <at>.
"""), lines("""
I {moved|carried|took} the <k> to <zone>.
{No|Sorry}, the <k> is <at>.
The <k> is <at> now.
"""), lines("""
Where is the <k>?
Where did I {put|leave} the <k>?
Where do we keep the <k>?
{Do you remember|Do you know|Tell me} where the <k> is~
I need the <k>. Where is it?
"""), "The <k> is <at>.", "the <k>")),
    (4, Kind(lambda f: {"k": f.noun()},
             lambda f: {"v": f"{f.pick(words.DAYS)} at {f.time()}" if f.chance(0.5)
                        else f"{f.number(1, 30)} {f.pick(words.MONTHS)}"}, lines("""
The <k> {comes|arrives|is due} on <v>.
We get the <k> on <v>.
They bring the <k> on <v>.
"""), lines("""
The <k> comes later: on <v>.
{No|Sorry}, the <k> comes on <v>.
"""), lines("""
When {does the <k> come|do we get the <k>|is the <k> due|will the <k> arrive}?
{Do you remember|Tell me} when the <k> comes~
"""), "The <k> comes on <v>.", "the <k>")),
    (2, Kind(nothing, lambda f: {"v": f"{f.number(1, 30)} {f.pick(words.MONTHS)}"}, lines("""
My birthday is on <v>.
I was born on <v>.
"""), lines("""
{No|Sorry}, my birthday is on <v>.
"""), lines("""
When is my birthday?
{Do you remember|Do you know} my birthday?
When was I born?
"""), "Your birthday is on <v>.", "my birthday")),
    (3, Kind(nothing, simple(lambda f: f.city()), lines("""
I live in <v>.
I come from <v>.
My home is in <v>.
"""), lines("""
I have moved to <v>.
{No|Sorry}, I live in <v>.
"""), lines("""
Where do I {live|come from}?
{Do you remember|Do you know} where I live?
In which {city|town} {do I live|is my home}?
"""), "You live in <v>.", "my home")),
    (2, Kind(nothing, simple(lambda f: f.number(16, 90)), lines("""
I am <v> years old.
My age is <v>.
I turned <v> this year.
"""), lines("""
{No|Sorry}, I am <v> years old.
"""), lines("""
How old am I?
What is my age?
{Do you remember|Do you know} my age?
"""), "You are <v> years old.", "my age")),
    *[(1, favourite_kind(name)) for name in FAVOURITES],
]
KIND_LIST = [kind for _, kind in KINDS]
KIND_WEIGHTS = []
for _weight, _ in KINDS:
    KIND_WEIGHTS.append((KIND_WEIGHTS[-1] if KIND_WEIGHTS else 0) + _weight)

ABOUT = lines("""
What did I {say|tell you} about <about>?
{Do you remember|What do you know about} <about>?
What {have you noted|do you remember} about <about>?
{Remind me|Tell me what I said}: what about <about>?
""")
ACKNOWLEDGE = lines("""
{Noted|All right|Understood|Good to know|I see|Fine|Very well|Good}.
{Thank you|Thanks}, {I have noted it|I will remember that|I will keep that in mind|noted}.
I {will remember that|have noted that|will keep it in mind|keep that in mind|noted it}.
{All right|Good|Fine}, {I have noted it|I will remember that|I will keep it in mind}.
""")
ACKNOWLEDGE_CHANGE = lines("""
{All right|Noted|Understood|Good}, {I have changed it|I have corrected it|that is changed}.
{Thank you|Thanks}, {I have corrected it|corrected}.
I {have changed|have corrected} that.
""")
UNKNOWN = lines("""
You have not told me that yet.
You have not told me that yet. {Tell me and I will remember it|Please tell me}.
{Sorry|I am sorry}, but you have not told me that yet.
""")
PREFACES = lines("""
{By the way|Oh|Listen|Before I forget|One more thing}, <rest>
{Please remember|Remember|Please note|For your notes|Also}: <rest>
""")
ANSWER_PREFACES = ("Yes. ", "Yes, of course. ", "I remember: ", "You told me: ")
ALL_ASKS = lines("""
What have {you noted|I told you}{ so far| up to now|}?
{Tell me|List} {everything|all} you {remember|have noted}.
{Sum up|Repeat} what I {told you|have told you}.
""")


def small_start(text):
    """The text as a part of a longer sentence: its first word small, unless it is a name or "I"."""
    first = text.split(" ", 1)[0]
    if first in SMALL_WORDS:
        return text[0].lower() + text[1:]
    return text


SMALL_WORDS = {"The", "My", "We", "A", "Our", "To", "At", "It", "Look", "They", "As", "You", "Your",
               "That", "This", "There", "No,", "Here", "Please"}


JOINED = {"The", "My", "We", "I"}


def new_fact(fill, facts):
    """A fact whose kind and key no fact of the list has."""
    known = {fact.identity for fact in facts}
    while True:
        if facts and fill.chance(0.35):  # the same kind again: the key has to decide
            kind = fill.pick(facts).kind
        else:
            kind = fill.random.choices(KIND_LIST, cum_weights=KIND_WEIGHTS)[0]
        key = kind.key(fill)
        if "p" in key and facts and fill.chance(0.3):  # another fact on the same plant
            plants = [fact.key["p"] for fact in facts if "p" in fact.key]
            if plants:
                key = {"p": fill.pick(plants)}
        fact = Fact(kind, key, kind.value(fill))
        if fact.identity not in known and not confusable(fact, facts):
            return fact


def confusable(fact, facts):
    """True if a noun is in two facts of different kinds, of which one question could mean both."""
    noun = fact.key.get("k")
    return noun is not None and any(
        other.kind is not fact.kind and other.key.get("k") == noun for other in facts)


def value_again(fill, fact):
    while True:
        value = fact.kind.value(fill)
        new, old = value["v"].lower(), fact.value["v"].lower()
        if new not in old and old not in new:
            return value


def tell(fill, fact):
    text = say(fill, fact.kind.tells, **fact.slots)
    if text.split(" ", 1)[0] in JOINED and fill.chance(0.3):
        text = say(fill, PREFACES, rest=small_start(text))
    return text


def acknowledge(fill, fact, change=False):
    if fact.kind is KIND_LIST[0] and not change and fill.chance(0.6):
        return vary(fill, "{Nice to meet you|Hello|Welcome|Pleased to meet you}, <v>.{| What can I "
                    "do for you?| How can I help you?}", **fact.value)
    text = say(fill, ACKNOWLEDGE_CHANGE if change and fill.chance(0.6) else ACKNOWLEDGE)
    if fill.chance(0.35):
        text += " " + vary(fill, fact.kind.answer, **fact.slots)
    return text


def ask(fill, fact, facts):
    about = fact.kind.about
    if about and fill.chance(0.15):
        about = vary(fill, about, **fact.key)
        about = small_start(about)
        same = [other for other in facts if other.key.get("p", 0) == fact.key.get("p")]
        if len(same) < 2:
            return say(fill, ABOUT, about=about)
    return say(fill, fact.kind.asks, **fact.slots)


def answer(fill, fact):
    text = vary(fill, fact.kind.answer, **fact.slots)
    if fill.chance(0.06):
        text = fill.pick(ANSWER_PREFACES) + text
    return text


class Dialogue:
    """A conversation under way, with the facts told and the tokens used."""

    def __init__(self, fill, system="", tools=()):
        self.fill = fill
        self.conversation = Conversation(system=system, tools=list(tools))
        self.facts = []
        self.tokens = tokens(system) + (TOOLS_TOKENS if tools else 0)
        self.exchanges = 0

    def add(self, asked, answered):
        self.conversation.user(asked)
        self.conversation.model(answered)
        self.tokens += tokens(asked) + tokens(answered) + chat.TURN_TOKENS
        self.exchanges += 1

    def tell(self):
        fact = new_fact(self.fill, self.facts)
        text = tell(self.fill, fact)
        told = [fact]
        self.facts.append(fact)
        if self.fill.chance(0.25):
            second = new_fact(self.fill, self.facts)
            rest = say(self.fill, second.kind.tells, **second.slots)
            if rest.split(" ", 1)[0] in JOINED and text[-1] == "." and self.fill.chance(0.6):
                text = text[:-1] + " and " + small_start(rest)
            else:
                text += " " + rest
            self.facts.append(second)
            told.append(second)
        reply = acknowledge(self.fill, told[0]) if len(told) == 1 else say(self.fill, ACKNOWLEDGE)
        if len(told) == 2 and self.fill.chance(0.3):
            reply += " " + " ".join(vary(self.fill, f.kind.answer, **f.slots) for f in told)
        if self.fill.chance(0.1):
            text = text.rstrip(".")
        self.add(text, reply)

    def change(self, fact):
        fact.value = value_again(self.fill, fact)
        self.add(say(self.fill, fact.kind.changes, **fact.slots),
                 acknowledge(self.fill, fact, change=True))

    def ask(self, fact):
        text = ask(self.fill, fact, self.facts)
        if self.fill.chance(0.1):
            text = text.rstrip("?.")
        self.add(text, answer(self.fill, fact))

    def ask_unknown(self):
        fact = new_fact(self.fill, self.facts)
        self.add(say(self.fill, fact.kind.asks, **fact.slots), say(self.fill, UNKNOWN))

    def talk(self, limit):
        """Something else, one exchange or as many as belong together, up to `limit`."""
        pairs = chat.exchange(self.fill, tools=True)
        for asked, answered in pairs[:max(1, limit)]:
            self.add(loosen(self.fill, asked), answered)


def frame(fill, size):
    """System text and tools: usually none; tools only where there is room."""
    tools = own.TOOLS if size > TOOLS_TOKENS + 250 and fill.chance(0.2) else ()
    return chat.system_text(fill) if fill.chance(0.2) else "", tools


def make(fill, size):
    dialogue = Dialogue(fill, *frame(fill, size))
    room = size - dialogue.tokens
    n_facts = min(6, max(1, int(room / 110)))
    n_facts = fill.random.randint(max(1, n_facts - 2), n_facts)
    if fill.chance(0.3):
        dialogue.talk(1)
    start = dialogue.tokens
    while len(dialogue.facts) < n_facts:
        dialogue.tell()
        if fill.chance(0.25):
            dialogue.talk(1)
    # Most of the room lies between telling and asking; the rest goes to the questions, of which
    # every fact gets one, in any order.
    asks = len(dialogue.facts) * 32
    until = start + max(0, room - asks) * (fill.random.random() * 0.7 + 0.3)
    while dialogue.tokens < until - 40 and dialogue.exchanges < 16:
        roll = fill.random.random()
        if roll < 0.2:
            dialogue.change(fill.pick(dialogue.facts))
        elif roll < 0.3:
            dialogue.ask(fill.pick(dialogue.facts))
        elif roll < 0.36:
            dialogue.ask_unknown()
        else:
            dialogue.talk(2)
    facts = list(dialogue.facts)
    fill.random.shuffle(facts)
    for fact in facts:
        if dialogue.tokens > size - 25:
            break
        dialogue.ask(fact)
        if fill.chance(0.12):
            dialogue.ask_unknown()
    while dialogue.tokens < size - 60 and dialogue.exchanges < 18:
        roll = fill.random.random()
        if roll < 0.2:
            fact = fill.pick(dialogue.facts)
            dialogue.change(fact)
            dialogue.ask(fact)
        elif roll < 0.75:
            dialogue.ask(fill.pick(dialogue.facts))
        elif roll < 0.85:
            dialogue.talk(1)
        elif len(dialogue.facts) < 5 and dialogue.tokens < size - 150:
            told = " ".join(vary(fill, f.kind.answer, **f.slots) for f in dialogue.facts)
            dialogue.add(say(fill, ALL_ASKS), told)
            break
        else:
            dialogue.ask_unknown()
    return dialogue.conversation


DISTANCES = (1, 4, 8, 12)
UNSPLIT = frozenset(words.DAYS + words.MONTHS)  # values of which none is held out


def case(fill, distance=None, overwritten=None):
    """One fact asked `distance` exchanges after it was (last) told."""
    distance = distance or fill.pick(DISTANCES)
    overwritten = fill.chance(0.4) if overwritten is None else overwritten
    dialogue = Dialogue(fill, chat.system_text(fill) if fill.chance(0.2) else "")
    if fill.chance(0.3):
        dialogue.talk(1)
    fact = new_fact(fill, [])
    while fact.value["v"] in UNSPLIT:
        fact = new_fact(fill, [])
    dialogue.facts.append(fact)
    dialogue.add(tell(fill, fact), acknowledge(fill, fact))
    old = fact.value["v"]
    if overwritten:
        for _ in range(fill.random.randint(0, 2)):
            between(dialogue, fact)
        dialogue.change(fact)
    told_at = dialogue.exchanges - 1
    while dialogue.exchanges - told_at < distance:
        between(dialogue, fact)
    if overwritten and old.lower() in vary(fill, fact.kind.answer, **fact.slots).lower():
        # Every right answer would have the old value in it.
        return case(fill, distance, overwritten)
    conversation = dialogue.conversation
    conversation.user(ask(fill, fact, dialogue.facts))
    expect = {"contains": [fact.value["v"]], "lacks": [old] if overwritten else [],
              "no_calls": True}
    return {"skill": "memory", "slice": {"distance": distance, "overwritten": overwritten},
            "request": conversation.request() | {"max_tokens": 100}, "expect": expect}


def between(dialogue, target):
    """One exchange that neither tells nor asks the fact in question."""
    fill = dialogue.fill
    others = [fact for fact in dialogue.facts if fact is not target]
    if fill.chance(0.3) and len(others) < 4:
        fact = new_fact(fill, dialogue.facts)
        dialogue.facts.append(fact)
        dialogue.add(tell(fill, fact), acknowledge(fill, fact))
    elif others and fill.chance(0.2):
        dialogue.ask(fill.pick(others))
    else:
        dialogue.talk(1)


if __name__ == "__main__":
    chat.demo(sys.modules["__main__"])
