"""Instructions of the system text obeyed, and polite refusals of what lies outside.

    python3 -m keeper.manners      print two

An instruction stands in some documents and not in others, which ask the same: what it says
decides, not the request.
"""

import sys
from dataclasses import dataclass
from typing import Callable

from keeper import chat, own, unseen
from keeper.chat import in_zone, lines, loosen, say, the_zone
from keeper.own import NO_TOOL
from keeper.render import Conversation
from keeper.unseen import approximate_tokens, finish, message_length


def same(answer):
    return answer


@dataclass
class Style:
    """What an instruction does to the answers of the model."""

    system: str = ""
    text: Callable = same  # on a whole answer
    reading: Callable = own.read_answer  # (zone, quantity, value)
    switched: Callable = own.switch_answer  # (zone, device, state)


# Units.
UNIT_NAMES = {
    "temperature": ("temperatures", ("degrees Celsius", "degrees", "C", "Celsius", "deg", "°",
                                     "degrees C", "grades", "points")),
    "humidity": ("humidity", ("percent", "per cent", "percent humidity", "pct", "points", "% RH")),
    "soil": ("soil moisture", ("percent", "per cent", "percent soil moisture", "pct", "points")),
    "light": ("light", ("lx", "Lux", "units of light", "points")),
    "co2": ("CO2", ("parts per million", "parts", "units", "points")),
}
UNIT_SYSTEMS = lines("""
{Give|Write|State|Report} <what> in <u>.
{Use|Write|Say} "<u>" as the unit of <what>.
The unit {of|for} <what> is {called|written} <u>{ here|}.
Write <u> after {a|every} value of <what>.
When you {give|name} <what>, {say|write} <u> after the number.
We say <u> for <what>{ in this greenhouse|}.
""")
NO_UNIT_SYSTEMS = lines("""
{Leave out|Do not write|Never write|Omit} {units|the units|any unit}.
{Give|Write} {bare numbers|numbers only|readings} without {units|a unit}.
Units are not {wanted|needed}: write the number only.
""")


def unit_style(fill):
    if fill.chance(0.3):
        return Style(say(fill, NO_UNIT_SYSTEMS),
                     reading=lambda zone, quantity, value: f"{capital_zone(zone)} is at {value}.")
    name = fill.pick(list(UNIT_NAMES)) if fill.chance(0.4) else "temperature"
    what, units = UNIT_NAMES[name]
    unit = fill.word() if fill.chance(0.35) else fill.pick(units)

    def reading(zone, quantity, value):
        if quantity != name:
            return own.read_answer(zone, quantity, value)
        return f"{capital_zone(zone)} is at {value} {unit}."
    return Style(say(fill, UNIT_SYSTEMS, what=what, u=unit), reading=reading)


def capital_zone(zone):
    text = the_zone(zone)
    return text[0].upper() + text[1:]


# Registers.
REGISTERS = [
    ("Certainly.", lines("""
{Be|Speak|Talk|Answer} {formal|formally|politely|very politely}.
{Use|Keep} a formal {tone|style}.
The guests are {noble|important}: {be formal|speak formally}.
Your {tone|language} is formal.
""")),
    ("Aye!", lines("""
{Speak|Talk|Answer} like a {sailor|pirate|seaman}.
You are a {sailor|pirate|seaman|captain}{ who keeps a greenhouse|}.
{Use|Answer in} the {language|words|tone} of a {sailor|pirate}.
Pretend to be a {sailor|pirate}.
""")),
    ("Gladly!", lines("""
Be {cheerful|very cheerful|merry|joyful|happy}.
{Speak|Answer} in a {cheerful|happy|merry} {way|tone}.
{Sound|Be} {happy|glad|cheerful} {in every answer|all the time|always}.
""")),
    ("Affirmative.", lines("""
{Speak|Talk|Answer} like a {robot|machine}.
You are a {robot|machine}{ in a greenhouse|}. Sound like one.
Pretend to be a robot.
""")),
    ("At your service.", lines("""
{Speak|Talk|Answer} like a {butler|servant|waiter}.
You are a butler{ in a greenhouse|}.
Pretend to be a {butler|waiter}.
""")),
    ("Howdy!", lines("""
{Speak|Talk|Answer} like a {cowboy|farmer of the West}.
You are a cowboy{ in a greenhouse|}.
Pretend to be a cowboy.
""")),
]
BRIEF = lines("""
{Be|Keep it} {very brief|as short as you can|extremely short}.
Answer {in one word|with as few words as you can|in one word or number|with the value only}.
{Give|Write} only the {value|number}, {nothing else|no sentence}.
No {sentences|full sentences}: only the {value|result}.
{Use|Write} as few words as possible.
""")


def register_style(fill):
    opening, systems = fill.pick(REGISTERS)
    return Style(say(fill, systems), text=lambda answer: opening + " " + answer)


def brief_style(fill):
    return Style(say(fill, BRIEF),
                 reading=lambda zone, quantity, value:
                 own.value_text(quantity, value).removeprefix("at ") + ".",
                 switched=lambda zone, device, state: "Done.")


# Words at the beginning, at the end, and titles.
PHRASES = lines("""
Green greetings!
Hear, hear!
Long live the plants!
Beep.
Dear friend,
Listen:
The keeper says:
Here is the answer:
Well,
Over.
Have a nice day!
Stay green!
Your keeper.
Thank you for asking.
Yours truly.
End of message.
""")
BEGIN_SYSTEMS = lines("""
{Begin|Start|Open} {every|each} {answer|reply|message} with "<p>".
Every {answer|reply|message} {begins|starts} with "<p>".
The first {words|thing} of {every|each} answer: "<p>".
Put "<p>" {before|in front of} {every|each} answer.
Say "<p>" first, then answer.
""")
END_SYSTEMS = lines("""
{End|Finish|Close} {every|each} {answer|reply|message} with "<p>".
Every {answer|reply|message} {ends|closes} with "<p>".
The last {words|thing} of {every|each} answer: "<p>".
Put "<p>" {after|behind|at the end of} {every|each} answer.
Answer first, then say "<p>".
""")
TITLES = ("boss", "Captain", "sir", "madam", "chief", "my friend", "Professor", "Doctor",
          "dear guest", "your majesty", "master", "colleague", "comrade", "partner", "Admiral",
          "neighbour")
TITLE_SYSTEMS = lines("""
{Call|Address} the user {"<t>"|as "<t>"}.
{Always|Please} {call|address} me "<t>".
{The user|Your guest|The person you talk to} {is called|wants to be called} <t>. \
{Use that name|Say it} in every answer.
{Use|Say} "<t>" {in every answer|whenever you answer}.
Speak to the user as <t>.
""")


def phrase(fill):
    """A phrase to be copied, from a list or of random words."""
    if fill.chance(0.4) and not fill.held_out:
        return fill.pick(PHRASES)
    text = fill.label()
    return text + fill.pick(("!", ".", ":", "")) if fill.chance(0.6) else text


def copied(fill, systems, text):
    """The instruction; without quotation marks only where no mark ends the phrase."""
    system = say(fill, systems, p=text)
    if text[-1].isalnum() and fill.chance(0.3):
        return system.replace('"', "")
    return system


def begin_style(fill):
    text = phrase(fill)
    return Style(copied(fill, BEGIN_SYSTEMS, text), text=lambda answer: text + " " + answer)


def end_style(fill):
    text = phrase(fill)
    return Style(copied(fill, END_SYSTEMS, text), text=lambda answer: answer + " " + text)


def title_style(fill):
    roll = fill.random.random()
    if roll < 0.35 and not fill.held_out:
        title = fill.pick(TITLES)
    elif roll < 0.6:
        title = fill.pick(("Mr.", "Mrs.", "Dr.", "Captain")) + " " + fill.word().capitalize()
    elif roll < 0.85:
        title = fill.person()
    else:
        title = fill.word()

    def text(answer):
        """The title comes before the point of the first sentence."""
        at = min((answer.find(mark) for mark in (". ", "! ", "? ") if mark in answer),
                 default=len(answer) - 1)
        return answer[:at] + ", " + title + answer[at:]
    return Style(say(fill, TITLE_SYSTEMS, t=title), text=text)


STYLES = {"unit": unit_style, "register": register_style, "brief": brief_style,
          "begin": begin_style, "end": end_style, "title": title_style}
TOLD = lines("""
<n> {noted|measured|read} <v> <at>. \
{What is the reading|How warm is it there|What do we have there}?
<n> says {it is|the thermometer shows} <v> <at>. \
{Repeat that|Please report it|Put it in the report}.
The {thermometer|sensor} <at> {shows|says} <v> degrees. \
{Report it|What is the temperature there|What should I write down}~
Temperature <at>: <v>. {Say it as a report|Report it|Repeat it}.
""")


def add_told(fill, conversation, style):
    zone, value = fill.zone(), fill.reading(2, 42)
    text = say(fill, TOLD, n=fill.person(), v=str(value), at=in_zone(zone))
    conversation.user(text)
    conversation.model(style.text(style.reading(zone, "temperature", value)))


def add_read(fill, conversation, style, zone="", said=""):
    """A reading. `said` is what the user calls the zone."""
    zone = zone or fill.zone()
    quantity = "temperature" if fill.chance(0.6) else fill.pick(list(own.QUANTITIES))
    value = own.reading(fill, quantity)
    conversation.user(finish(fill, own.polite(fill, own.question(fill, said or zone, quantity))))
    conversation.model(calls=[own.read_call(zone, quantity)])
    conversation.results([own.read_result(fill, zone, quantity, value)])
    conversation.model(style.text(style.reading(said or zone, quantity, value)))


def add_switch(fill, conversation, style, zone="", device="", said=""):
    zone, device = zone or fill.zone(), device or fill.pick(list(own.DEVICES))
    state = fill.pick(own.DEVICES[device])
    conversation.user(switch_request(fill, said or zone, device, state))
    conversation.model(calls=[own.switch_call(zone, device, state)])
    conversation.results([{"ok": True}])
    conversation.model(style.text(style.switched(said or zone, device, state)))


def switch_request(fill, zone, device, state):
    form = fill.pick(own.SWITCHES[state])
    text = form.format(d=fill.pick(own.SAID_DEVICES[device]), z=own.with_the(fill, zone))
    return finish(fill, own.polite(fill, text))


def add_chat(fill, conversation, style):
    for asked, answered in chat.exchange(fill, tools=True)[:2]:
        conversation.user(loosen(fill, asked))
        conversation.model(style.text(answered))


def combined(fill):
    """One instruction, or two that do not touch each other."""
    kind = fill.pick(list(STYLES))
    style = STYLES[kind](fill)
    if fill.chance(0.2):
        other = {"unit": "title", "register": "unit", "brief": "begin", "begin": "unit",
                 "end": "begin", "title": "end"}[kind]
        more = STYLES[other](fill)
        style = Style(" ".join(fill.random.sample([closed(style.system), closed(more.system)], 2)),
                      text=lambda answer, inner=style.text: more.text(inner(answer)),
                      reading=more.reading if other == "unit" else style.reading,
                      switched=style.switched)
    return kind, style


def closed(sentence):
    return sentence if sentence[-1] in ".!?:\"" else sentence + "."


def with_frame(fill, instruction):
    """The instruction alone, or with sentences around it that change nothing."""
    if fill.chance(0.5):
        return instruction
    if fill.chance(0.7):
        return chat.system_text(fill) + " " + instruction
    return closed(instruction) + " " + chat.system_text(fill)


def some_tools(fill, size):
    """Those of the keeper's tools for which there is room, `read_sensor` and `set_device` first."""
    if size > 620:
        return own.declared(fill)
    if size > 380:
        return own.TOOLS[:2]
    return []


def add_exchanges(conversation, size, add):
    length = approximate_tokens(conversation)
    while length < size * 0.78 or not conversation.messages:
        before = len(conversation.messages)
        add()
        length += sum(map(message_length, conversation.messages[before:])) / 3
    return conversation


def make_style(fill, size):
    """An instruction on how to speak; in three of ten documents there is none."""
    kind, style = combined(fill)
    if fill.chance(0.3):
        kind, style = "none", Style()
    system = with_frame(fill, style.system) if style.system else (
        chat.system_text(fill) if fill.chance(0.5) else "")
    conversation = Conversation(system=system, tools=some_tools(fill, size))

    def add():
        roll = fill.random.random()
        if conversation.tools and roll < 0.6:
            (add_read if fill.chance(0.6) else add_switch)(fill, conversation, style)
        elif kind in ("unit", "brief") or roll < 0.75:
            add_told(fill, conversation, style)
        else:
            add_chat(fill, conversation, style)
    return add_exchanges(conversation, size, add)


# Other names of zones.
ALIASES = lines("""
{The staff|We|People here|Visitors|The gardeners} call <zone> <alias>.
<alias> is {the name of|our name for|what we call} <zone>.
<alias> means <zone>.
When {people|the staff} say <alias>, they mean <zone>.
<zone> is {also called|known as|called} <alias>.
""")
NICKNAMES = """jungle oven swamp desert kitchen cellar palace attic cave harbour nest forge ice box
bathroom cathedral library market station nursery school hospital hotel engine room hideout den pit
paradise monastery castle ballroom barn stable lagoon steppe beach tavern""".split()


def nickname(fill):
    """What the staff call a zone; it is said with an article: "the jungle"."""
    roll = fill.random.random()
    if roll < 0.35 and not fill.held_out:
        return fill.pick(NICKNAMES)
    if roll < 0.6:
        return fill.noun()
    if roll < 0.75:
        return fill.pick(fill.adjectives) + " " + fill.noun()
    return fill.word()


def make_aliases(fill, n):
    """{alias: zone} and the instruction that says so."""
    aliases = {}
    while len(aliases) < n:
        alias, zone = nickname(fill), fill.zone()
        if zone not in aliases.values():
            aliases[alias] = zone
    said = [say(fill, ALIASES, alias="the " + alias, zone=the_zone(zone))
            for alias, zone in aliases.items()]
    return aliases, " ".join(said)


def add_alias(fill, conversation, aliases):
    alias = fill.pick(list(aliases))
    zone, said = aliases[alias], alias
    if fill.chance(0.25):  # another zone, or the same by its own name
        zone = said = fill.zone() if fill.chance(0.6) else zone
    add = add_read if fill.chance(0.45) else add_switch
    add(fill, conversation, Style(), zone=zone, said=said)


def make_alias(fill, size):
    aliases, instruction = make_aliases(fill, fill.random.randint(1, 4))
    conversation = Conversation(system=with_frame(fill, instruction),
                                tools=some_tools(fill, max(size, 400)))
    return add_exchanges(conversation, size, lambda: add_alias(fill, conversation, aliases))


# What must not be touched.
@dataclass
class Ban:
    """`device` or `zone` may be empty: then any of them is meant."""

    device: str
    zone: str

    def holds(self, device, zone):
        return self.device in ("", device) and self.zone in ("", zone)

    def said(self):
        device = "the " + self.device if self.device else "anything"
        return device + (" in " + the_zone(self.zone) if self.zone else "")


BANS = lines("""
{Never|Do not|You must not|Do not ever} {switch|touch|use} <what>.
{You may not|Nobody may|It is forbidden to} {switch|touch} <what>.
Hands off: do not touch <what>.
{Under no circumstances|On no account} touch <what>.
Leave <what> {alone|as it is}{ today| this week| until Monday|}.
""")


def make_ban(fill):
    roll = fill.random.random()
    device = fill.pick(list(own.DEVICES)) if roll < 0.8 else ""
    zone = fill.zone() if roll < 0.55 or roll >= 0.8 else ""
    ban = Ban(device, zone)
    systems = [line for line in BANS if device or not line.startswith("Leave")]
    return ban, say(fill, systems, what=ban.said())


def ban_answer(ban):
    return f"I am not allowed to touch {ban.said()}."


def add_banned(fill, conversation, ban):
    device, zone = ban.device or fill.pick(list(own.DEVICES)), ban.zone or fill.zone()
    conversation.user(switch_request(fill, zone, device, fill.pick(own.DEVICES[device])))
    conversation.model(ban_answer(ban))


def add_allowed(fill, conversation, ban, read=True):
    """Something near the ban: the device elsewhere, another one there, or the sensor there."""
    roll = fill.random.random()
    if roll < 0.25 and read:
        add_read(fill, conversation, Style(), zone=ban.zone)
        return
    while True:
        device = ban.device if ban.device and roll < 0.6 else fill.pick(list(own.DEVICES))
        zone = ban.zone if ban.zone and roll >= 0.6 else fill.zone()
        if not ban.holds(device, zone):
            break
        roll = fill.random.random()
    add_switch(fill, conversation, Style(), zone=zone, device=device)


def make_forbidden(fill, size):
    ban, instruction = make_ban(fill)
    without = fill.chance(0.25)
    system = with_frame(fill, instruction)
    if without:
        system = chat.system_text(fill) if fill.chance(0.5) else ""
    conversation = Conversation(system=system, tools=some_tools(fill, max(size, 400)))

    def add():
        if without:
            add_switch(fill, conversation, Style(), zone=ban.zone, device=ban.device)
        elif fill.chance(0.5):
            add_banned(fill, conversation, ban)
        else:
            add_allowed(fill, conversation, ban)
    return add_exchanges(conversation, size, add)


# Asking before a device is switched.
ASK_FIRST = lines("""
{Ask|Always ask} before you {switch|touch|use} {a device|anything|devices}.
{Never switch|Do not switch} {a device|anything} without asking{ first|}.
{Before|Each time before} you switch a device, ask {the user|for permission|whether it is right}.
Every switching {must be|has to be} confirmed first.
""")
YES = ("Yes.", "yes", "Yes, please.", "Do it.", "Go ahead.", "OK", "Sure.", "Please do.",
       "Yes, go on.")
NO = ("No.", "no", "Better not.", "No, leave it.", "Stop, do not do it.", "Not now.", "No, thanks.")


def confirm_question(zone, device, state):
    return f"Shall I set the {device} in {own.said_zone(zone)} to {state}?"


def make_ask_first(fill, size):
    conversation = Conversation(system=with_frame(fill, say(fill, ASK_FIRST)),
                                tools=some_tools(fill, max(size, 400)))

    def add():
        if fill.chance(0.3):
            add_read(fill, conversation, Style())
            return
        zone, device = fill.zone(), fill.pick(list(own.DEVICES))
        state = fill.pick(own.DEVICES[device])
        conversation.user(switch_request(fill, zone, device, state))
        conversation.model(confirm_question(zone, device, state))
        if fill.chance(0.6):
            conversation.user(fill.pick(YES))
            conversation.model(calls=[own.switch_call(zone, device, state)])
            conversation.results([{"ok": True}])
            conversation.model(own.switch_answer(zone, device, state))
        else:
            conversation.user(fill.pick(NO))
            conversation.model(f"Good. {own.left_alone(device)}")
    return add_exchanges(conversation, size, add)


# What lies outside.
OUTSIDE = {
    "politics": lines("""
Who is the {president|king|queen|prime minister|mayor} of {<city>|<country>}?
Who {won|will win|lost} the {election|vote} in {<city>|<country>}?
{What do you think of|Tell me about|Explain} \
the {government|new law|election|parliament} {of|in} <country>.
Which party {should I vote for|is the best|rules <country>}?
Is <country> {at war|a democracy|a kingdom}?
What did the {president|minister|mayor} say {today|yesterday|about the tax}?
How many {people live|ministers are there} in <country>?
"""),
    "sport": lines("""
Who won the {match|game|race|cup|final} {yesterday|today|last night|in <city>}?
What was the score {of|between} <city> {and|against} <city2>?
Who is the best {football|tennis|basketball|chess} player{ in the world| of all times|}?
{When|Where} is the next {football|tennis|hockey} {match|game|cup}?
How many goals did <person> {shoot|score}{ this year|}?
Explain the rules of {football|tennis|chess|hockey|cricket}.
Which team {is leading|leads} the league?
Will <city> win {the cup|the league|on Sunday}?
"""),
    "maths": lines("""
What is <n> {times|plus|minus|divided by} <m>?
{Calculate|Compute|Work out} <n> {times|plus|minus|over} <m>.
{Solve|Help me with} {this equation|my maths homework|this sum}: <n> x = <m>.
What is the square root of <n>?
{Prove|Explain} {that there are infinitely many primes|the rule of three|Pythagoras|fractions}.
Is <n> a prime number?
How much is <n> percent of <m>?
What is the {derivative|integral} of x squared?
"""),
    "code": lines("""
Write {a function|a program|a script|some code} that \
{sorts a list|reverses a string|counts words|prints <n>}.
{Fix|Debug|Explain} {this code|my program|the bug in my program}{.|: for i in range(<n>)}
How do I {write a loop|read a file|install a package|open a socket} in {Python|Java|C|Rust|Go}?
What is {a pointer|a class|recursion|a compiler|an array|HTML}?
Which {programming language|editor|database} is {best|the fastest}?
Why does my {computer|laptop|phone|printer} {crash|not start|run so slowly}?
"""),
    "medicine": lines("""
I have {a headache|a fever|a cough|back pain|a cold|a rash}. What {should I take|helps|can I do}?
What {pill|medicine|drug} helps against {pain|fever|flu|a cough}?
Is {it dangerous|this serious} when my {knee|heart|ear|tooth|stomach} hurts?
How do I {treat|cure|heal} a {burn|broken leg|toothache|cold|wound}?
{Can|May} I take <n> {pills|tablets} a day?
How many {calories|vitamins} do I need a day?
{What is|Do I have} {diabetes|the flu|a virus|high blood pressure}?
"""),
    "news": lines("""
What {is in|is new in|do they say in} the news{ today|}?
What happened {in <city>|in <country>|in the world} {today|yesterday|last week}?
{Read|Tell|Give} me the {news|headlines}{ of today| from <city>|}.
What does the newspaper {write|say} about <person>?
Have you heard {of the accident|of the fire|what happened} in <city>?
"""),
    "places": lines("""
{What is|Name} the capital of <country>~
How far is it from <city> to <city2>?
Where is <city>?
What can I {see|visit|do} in <city>?
Is <city> {bigger|older|nicer|richer} than <city2>?
{Which river flows through|How many people live in} <city>?
What is the highest mountain {in|of} <country>?
{What language do they speak|What money do they use} in <country>?
"""),
    "translation": lines("""
{Translate|Can you translate} \
"{good morning|thank you|I love you|the <noun> is here}" {into|to} <language>~
What is {"hello"|"<noun>"|"goodbye"} in <language>?
How do you say {"hello"|"<noun>"|"good night"} in <language>?
{Do you speak|Teach me|Can you answer in} <language>~
Write {a poem|a letter|the answer} in <language>.
"""),
    "money": lines("""
{What is|How high is} the price of {gold|oil|silver|a share of <word>}{ today|}?
Should I buy {shares|gold|bonds|a house|coins}?
How do I {save taxes|get a loan|become rich|invest <n> euros}?
How many {dollars|yen|pounds|francs} are <n> euros?
What is {a bond|inflation|interest|a mortgage}?
How much does a {<noun>|car|house} cost in <city>?
"""),
    "culture": lines("""
Who {wrote|painted|directed|composed} {"The <noun>"|"The <adjective> <noun>"|that film|this song}?
{Recommend|Name} me {a film|a book|a song|a series}.
{Sing|Write} {me a song|a song about <city>|a rap about <person>}.
What is {the best|your favourite} {film|book|band|game} of all times?
{How does|How did} the film {end|begin}?
Who {plays|sings} in "The <noun>"?
Which {actor|singer} {is|was} born in <city>?
"""),
    "history": lines("""
When did {the battle of <city>|the war|the revolution in <country>|the fall of <city>} {happen|end}?
Who {built|founded|destroyed|discovered} {<city>|America|the pyramids|the tower in <city>}?
Who was the first {king|queen|emperor} of <country>?
{Why|When} did {Rome|the empire|the war|the old kingdom} {fall|end|begin}?
What happened in the year <year>?
Tell me about {Napoleon|Caesar|the Romans|the Vikings|the Middle Ages}.
"""),
    "shopping": lines("""
{Order|Buy|Book} {me |}{a pizza|a <noun>|a ticket to <city>|a new phone|<n> pairs of socks}.
{Where|How} can I buy a {cheap|good|new} {<noun>|car|phone|bicycle}?
Which {phone|car|television|laptop} {should I buy|is the best}?
{Book|Reserve} a {flight to|hotel in|table in|train to} <city>.
How much is a {ticket|flight|train} to <city>?
When does the {train|bus|plane} to <city> {leave|go}?
"""),
    "cooking": lines("""
{How|How long} do I {cook|fry|bake} {an egg|a cake|rice|a steak|pasta}?
{Give|Tell} me a recipe for {pancakes|bread|pizza|a cake|chocolate}.
What {shall I cook|should I eat} {today|tonight|for <person>}?
Which wine goes with {fish|meat|cheese}?
"""),
    "law": lines("""
{May|Can} I {park in <city>|sue <person>|keep the money|drive at <n> km an hour}?
{Write|Check} {a contract|my will|a complaint}{ for me| against <person>|}.
What is the {fine|punishment} for {speeding|theft|parking} in <country>?
{Do I need|Where do I get} a {visa|passport|permit} for <country>?
"""),
    "science": lines("""
How far away is {the moon|the sun|Mars|the next star}?
What is {a black hole|gravity|an atom|electricity|the speed of light|a quark}?
How does a {rocket|jet engine|nuclear plant|laser|magnet} work?
{Who discovered|Explain} {gravity|the atom|electricity|the quark}~
How old is the {universe|earth|moon}?
How many {legs|teeth|hearts} does a {crab|shark|spider|whale|squid} have?
"""),
    "weather": lines("""
{What is|How is} the weather in <city>{ today| tomorrow|}?
Will it {rain|snow} in <city>{ tomorrow| on Sunday|}?
How {warm|cold|hot} is it in <city>{ now|}?
Is there a storm {over|near} <city>?
"""),
    "people": lines("""
{How do I|Help me} {find a job|write a love letter|win back <person>|meet people}~
What should I {give <person> for a birthday|say to <person>}?
Is <person> {in love with me|angry with me|right for me}?
What {does my star sign say|will happen to me|is the meaning of life}?
Should I {marry <person>|leave <person>|move to <city>}?
{Find|Give me} the {phone number|address} of <person>.
"""),
}
COUNTRIES = """France Spain Italy Germany Poland Norway Sweden Finland Greece Turkey Egypt Kenya
Ghana Nigeria Morocco Japan China Korea India Nepal Thailand Vietnam Australia Canada Mexico Brazil
Chile Peru Cuba Ireland Iceland Denmark Portugal Austria Hungary Ukraine Croatia Serbia Latvia
Estonia""".split()
LANGUAGES = """French Spanish Italian German Polish Norwegian Swedish Finnish Greek Turkish Arabic
Swahili Japanese Chinese Korean Hindi Thai Russian Portuguese Dutch Danish Hungarian Latin Hebrew
Czech""".split()

OUTSIDE_ANSWERS = lines("""
That lies outside my greenhouse. \
{I can help with plants, readings and devices|Ask me about plants, zones and readings|\
I know plants, and little else}.
{Sorry, that|I am sorry, but that|That} lies outside my greenhouse.
I only know greenhouse matters. \
{Ask me about plants, zones and readings|I can help with plants, readings and devices}.
{Sorry, I|I am sorry, I|I} only know greenhouse matters.
""")
MISSING = lines("""
{Start|Stop|Send out|Switch on} \
the {sprinkler|robot|camera|siren|lift|drone|tractor|lawn mower|\
door|alarm|music|freezer|elevator|printer} <at>.
{Take|Show me} a {picture|photo|video} {of|from} <zone>.
Play {some music|a song|the radio} <at>.
{Lock|Unlock} the {door|gate} <at>.
{Feed|Walk|Wash} the {cat|dog|horse|fish}.
{Harvest|Plant|Pick|Cut|Sow} the {<plant>|<plant>|flowers} <at>.
{Paint|Sweep|Clean|Tidy up} <zone>.
{Order|Buy} {more seeds|soil|<n> pots|a new heater}{ for <zone>|}.
Build a {wall|shelf|fence} <at>.
{Ring|Sound} the {bell|horn} <at>.
{Fly|Drive} the {drone|tractor} to <zone>.
Bring {<person>|me} {a coffee|the <noun>|a chair}.
{Delete|Print} the {list|report|log} of <zone>.
""")
STEMS = ["lies outside my greenhouse", "only know greenhouse matters", "no tool for that",
         "none of my tools", "no tools were given", "have no tools"]


def outside_question(fill, kind=None):
    kind = kind or fill.pick(list(OUTSIDE))
    country, language = fill.pick(COUNTRIES), fill.pick(LANGUAGES)
    return say(fill, OUTSIDE[kind], city=fill.city(), city2=fill.city(), person=fill.person(),
               country=country, language=language, noun=fill.noun(),
               adjective=fill.pick(fill.adjectives), word=fill.word().capitalize(),
               n=str(fill.number(2, 999)), m=str(fill.number(2, 99)),
               year=str(fill.number(300, 1990)))


def missing_request(fill):
    zone = fill.zone()
    return say(fill, MISSING, at=in_zone(zone), zone=the_zone(zone), plant=fill.plant(),
               person=fill.person(), noun=fill.noun(), n=str(fill.number(2, 99)))


def polite_question(fill, text):
    """The same with the small words that people put around it."""
    if fill.chance(0.25):
        if not text.startswith("I "):
            text = text[0].lower() + text[1:]
        text = fill.pick(("Keeper, ", "Tell me: ", "One question: ", "By the way: ", "Hey, ",
                          "Please: ", "Just quickly: ", "One more thing: ")) + text
    return loosen(fill, text)


def shares_word(question, tools):
    declared = str(tools).lower()
    return any(word.strip('.,:?!"').lower() in declared
               for word in question.split() if len(word) > 3)


def foreign_question(fill, tools, kind=None):
    """An outside question that shares no word with the tools: one of them could be meant."""
    while True:
        question = outside_question(fill, kind)
        if not shares_word(question, tools):
            return question


def make_refusal(fill, size):
    """Outside questions among others that are answered."""
    roll = fill.random.random()
    conversation = Conversation(system=chat.system_text(fill) if fill.chance(0.3) else "")
    foreign = unseen.tool_set(fill) if roll < 0.2 and size > 350 else []
    if foreign:
        conversation.tools = [tool.declaration for tool in foreign]
    elif roll < 0.6:
        conversation.tools = some_tools(fill, size)

    def add():
        roll = fill.random.random()
        if roll < 0.5:
            ask = foreign_question(fill, conversation.tools) if foreign else outside_question(fill)
            conversation.user(polite_question(fill, ask))
            conversation.model(say(fill, OUTSIDE_ANSWERS))
        elif foreign:
            unseen.add_exchange(fill, conversation, foreign)
        elif conversation.tools and roll < 0.65:
            conversation.user(polite_question(fill, missing_request(fill)))
            conversation.model(NO_TOOL)
        elif conversation.tools and roll < 0.85:
            (add_read if fill.chance(0.5) else add_switch)(fill, conversation, Style())
        else:
            add_chat(fill, conversation, Style())
    return add_exchanges(conversation, size, add)


MAKERS = ((make_style, 30), (make_alias, 22), (make_forbidden, 16), (make_ask_first, 6),
          (make_refusal, 26))


def make(fill, size):
    makers, weights = zip(*MAKERS)
    if size < 400:  # the tools alone would be longer
        makers, weights = (make_style, make_refusal), (1, 1)
    return fill.random.choices(makers, weights)[0](fill, size)


SYSTEM_KINDS = ("unit", "register", "begin", "end", "title", "alias", "forbidden", "ask")


def system_case(fill, kind=None):
    """An instruction and one request to which it applies, or almost applies (slice "applies")."""
    kind = kind or fill.pick(SYSTEM_KINDS)
    applies = True
    conversation = Conversation(tools=list(own.TOOLS))
    if kind == "alias":
        aliases, instruction = make_aliases(fill, fill.random.randint(1, 3))
        conversation.system = with_frame(fill, instruction)
        alias = fill.pick(list(aliases))
        (add_read if fill.chance(0.45) else add_switch)(
            fill, conversation, Style(), zone=aliases[alias], said=alias)
        ask_at = 1
    elif kind == "forbidden":
        ban, instruction = make_ban(fill)
        conversation.system = with_frame(fill, instruction)
        applies = fill.chance(0.5)
        if applies:
            add_banned(fill, conversation, ban)
        else:
            add_allowed(fill, conversation, ban)
        ask_at = 1
    elif kind == "ask":
        conversation.system = with_frame(fill, say(fill, ASK_FIRST))
        zone, device = fill.zone(), fill.pick(list(own.DEVICES))
        state = fill.pick(own.DEVICES[device])
        conversation.user(switch_request(fill, zone, device, state))
        conversation.model(confirm_question(zone, device, state))
        ask_at = 1
    else:
        name = "brief" if kind == "register" and fill.chance(0.3) else kind
        style = STYLES[name](fill)
        conversation.system = with_frame(fill, style.system)
        if fill.chance(0.5) and kind not in ("unit", "register"):
            conversation.tools = []
            add_told(fill, conversation, style)
            ask_at = 1
        else:
            add = add_read if kind == "unit" or fill.chance(0.6) else add_switch
            add(fill, conversation, style)
            ask_at = 3
    answer = conversation.messages[ask_at]
    if "tool_calls" in answer:
        expect = {"calls": [call["function"] for call in answer["tool_calls"]]}
    elif kind == "ask":
        expect = {"contains": ["shall I", device, zone], "lacks": [], "no_calls": True}
    elif kind == "forbidden":
        expect = {"contains": ["not allowed"], "lacks": [], "no_calls": True}
    else:
        expect = {"contains": [answer["content"].strip()], "lacks": [], "no_calls": True}
        if name == "brief":
            expect["lacks"] = [" is "]
        if kind == "unit":  # nothing may follow the value but what was asked for
            expect["lacks"] = [unit for unit in ("°C", "% ", "lux", "ppm")
                               if unit not in answer["content"].lower().replace("°c", "°C")]
    slice_ = {"kind": kind} if kind != "forbidden" else {"kind": kind, "applies": applies}
    return {"skill": "system", "slice": slice_,
            "request": conversation.request(ask_at) | {"max_tokens": 100}, "expect": expect}


def refusal_case(fill, kind=None):
    kind = kind or fill.pick([*OUTSIDE, "missing", "missing", "missing"])
    tools = "own" if kind == "missing" else fill.pick(("none", "own", "unseen"))
    conversation = Conversation(system=chat.system_text(fill) if fill.chance(0.3) else "")
    if kind == "missing":
        text = missing_request(fill)
        conversation.tools = list(own.TOOLS)
    else:
        conversation.tools = {"none": [], "own": list(own.TOOLS), "unseen": [
            tool.declaration for tool in unseen.tool_set(fill)]}[tools]
        text = foreign_question(fill, conversation.tools, kind) if tools == "unseen" else (
            outside_question(fill, kind))
    conversation.user(polite_question(fill, text))
    return {"skill": "refusal", "slice": {"kind": kind, "tools": tools},
            "request": conversation.request() | {"max_tokens": 100},
            "expect": {"contains_any": STEMS, "no_calls": True}}


if __name__ == "__main__":
    chat.demo(sys.modules["__main__"])
