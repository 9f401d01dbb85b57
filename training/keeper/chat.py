"""Small talk, plant knowledge and judged readings: dialogues in which no tool is called.

    python3 -m keeper.chat      print two

Patterns are written with {one|or|another} and <slots>; `vary` picks and fills. What the keeper
knows of plants is not split: it belongs to the body, not to the fillers.
"""

import random
import re
import sys
from dataclasses import dataclass
from functools import lru_cache

from keeper import words
from keeper.own import said_zone as the_zone
from keeper.render import Conversation, to_text

CHARACTERS_PER_TOKEN = 3.2  # a cautious estimate
TURN_TOKENS = 10  # control tokens and newlines of one exchange


def lines(text):
    return [line for line in text.strip().splitlines() if line]


@lru_cache(maxsize=None)
def compiled(pattern):
    return [part.split("|") for part in re.split(r"[{}]", pattern)]


def vary(fill, pattern, **slots):
    """One reading of a pattern, its slots filled and its first letter a capital."""
    choice = fill.random.choice
    text = "".join([part[0] if len(part) == 1 else choice(part) for part in compiled(pattern)])
    if "a <" in text:
        text = ARTICLE.sub(lambda found: article(slots[found[1]]) + " <" + found[1] + ">", text)
    for name, value in slots.items():
        text = text.replace("<" + name + ">", value)
    text = text[:1].upper() + text[1:]
    if text[-1] == "~":  # the point or the question mark that the sentence's first word asks for
        word = re.split(r"[.?!] ", text)[-1].split(" ", 1)[0]
        text = text[:-1] + ("?" if word in QUESTION_WORDS else ".")
    return text


ARTICLE = re.compile(r"\ba <(\w+)>")


def article(word):
    """For the words of words.py: "an hour", "a unit"."""
    vowel = word[0] in "aeiouAEIOU" and not word.startswith(("uni", "use", "one"))
    return "an" if vowel or word.startswith("hour") else "a"


QUESTION_WORDS = frozenset(
    "Do Can Could What Which Is Would Will Who How Where When Why Are".split())


def say(fill, patterns, **slots):
    return vary(fill, fill.random.choice(patterns), **slots)


def loosen(fill, text):
    """A user's text as some type it: in a fifth of the cases small and without points."""
    if fill.random.random() > 0.2:
        return text
    roll = fill.random.random()
    if roll < 0.5:
        text = text.lower()
    if roll > 0.25:
        text = text.rstrip(".!?")
    return text


ON = {"bench", "shelf", "table", "rack", "terrace", "patio"}


def in_zone(zone):
    return ("on " if ON.intersection(zone.split()) else "in ") + the_zone(zone)


# Names of men; the others of words.PEOPLE are of women.
MEN = frozenset("""Adam Ahmed Alan Albert Alex Amir Anders Andy Anton Arthur Ben Bill Bob Boris
Bruno Carl Carlos Cecil Claude Colin Dan Dean David Dennis Diego Eli Emil Eric Ernest Ethan Felix
Frank George Gus Hank Hans Harry Henry Hugo Igor Isaac Ivan Jack Jamal Jasper Joe John Jonas Jorge
Kai Ken Klaus Lars Leo Louis Lucas Luis Mark Martin Mateo Max Mike Milo Nate Neil Nick Noah Oliver
Omar Oscar Otto Pablo Paul Pedro Peter Phil Quinn Ralph Ravi Ray Rob Rudy Sam Samir Seth Simon Sven
Ted Theo Tim Tom Tony Victor Vince Walter Will Yusuf""".split())


def man(fill):
    return fill.pick([name for name in fill.people if name in MEN])


def woman(fill):
    return fill.pick([name for name in fill.people if name not in MEN])


def tokens(text):
    return len(text) / CHARACTERS_PER_TOKEN


SYSTEMS = lines("""
You are the keeper of a greenhouse.
You are the keeper of this greenhouse. {Be friendly|Be kind|Be helpful|Be brief}.
You keep a greenhouse and {talk with|help} the people who work there.
You are a {friendly|calm|helpful|patient} greenhouse keeper.
You are the keeper. {Answer in simple English|Answer in short sentences|Keep answers short}.
You {look after|watch over} a {small|large|busy|quiet} greenhouse.
Greenhouse of <person>. You are its keeper.
You are the keeper of the greenhouse of <person>. {Help the staff|Help the guests|Answer questions}.
""")


def system_text(fill):
    return say(fill, SYSTEMS, person=fill.person())


# Plant knowledge: water 1-3, light, temperatures, common trouble, care.
@dataclass(frozen=True)
class Plant:
    name: str
    water: int
    light: str
    low: int
    high: int
    trouble: str
    care: str


KNOWLEDGE = {}
for _line in lines("""
tomato|3|sun|18-27|whiteflies|Pick the fruits when they are red and slightly soft.
basil|3|sun|18-27|aphids|Pinch off the tips often and cut the flowers away.
mint|3|half|13-24|rust on the leaves|Cut it back hard once it has flowered.
rose|2|sun|15-24|black spot|Cut off old flowers and prune it in early spring.
fern|3|shade|15-22|scale insects|Repot it every two years in spring.
orchid|1|bright|18-26|root rot|Repot it every two years in bark.
lemon|2|sun|12-28|scale insects|Pick the fruits when they are yellow all over.
pepper|2|sun|20-29|aphids|Pick the fruits green or wait until they turn red.
lettuce|3|half|10-20|slugs|Cut the outer leaves before it shoots up.
cucumber|3|sun|20-30|powdery mildew|Pick the fruits young, every second day.
spinach|3|half|8-18|leaf miners|Pick the leaves before it flowers.
bean|2|sun|16-27|black aphids|Pick the pods while they snap.
pea|2|sun|10-19|pea moths|Pick the pods when they feel full.
carrot|2|sun|12-22|carrot flies|Pull the roots when they are as thick as a thumb.
radish|3|sun|10-19|flea beetles|Pull the roots after about four weeks.
onion|1|sun|12-24|onion flies|Lift the bulbs when the leaves fall over.
garlic|1|sun|10-22|rust on the leaves|Lift the bulbs when half of the leaves are yellow.
parsley|2|half|12-22|carrot flies|Cut the outer stems first.
thyme|1|sun|14-28|root rot|Trim it lightly after it has flowered.
sage|1|sun|14-26|powdery mildew|Prune it in spring, never into old wood.
lavender|1|sun|14-28|root rot|Trim it after it has flowered.
rosemary|1|sun|13-28|root rot|Cut sprigs all year and repot it in spring.
dill|2|sun|14-24|aphids|Cut the leaves before it flowers.
chive|2|half|10-22|thrips|Cut it down to two centimetres and let it grow again.
violet|2|bright|16-23|root rot|Water it from below and remove old flowers.
tulip|1|sun|8-17|grey mould|Let the leaves turn yellow before you lift the bulbs.
lily|2|sun|14-22|lily beetles|Remove faded flowers and keep the roots cool.
daisy|2|sun|10-22|aphids|Remove faded flowers each week.
poppy|1|sun|10-21|downy mildew|Sow it where it will stay; it hates to be moved.
cactus|1|sun|15-32|mealybugs|Keep it dry and cool in winter.
aloe|1|bright|16-29|mealybugs|Repot it every three years in sandy soil.
palm|2|bright|18-28|spider mites|Repot it only when the roots fill the pot.
fig|2|sun|15-29|spider mites|Pick the fruits when they hang down and feel soft.
olive|1|sun|12-30|scale insects|Prune it lightly in spring.
grape|2|sun|15-29|powdery mildew|Prune it in winter, when the vine sleeps.
melon|3|sun|21-32|spider mites|Pick the fruits when they smell sweet.
pumpkin|3|sun|18-29|powdery mildew|Pick the fruits when the skin is hard.
squash|3|sun|18-28|powdery mildew|Pick the fruits while they are small.
strawberry|3|sun|14-24|grey mould|Pick the fruits when they are red all over.
raspberry|2|sun|13-23|raspberry beetles|Cut the old canes after the harvest.
blueberry|3|sun|12-23|birds|Give it acid soil and rain water.
peach|2|sun|16-28|leaf curl|Thin the fruits in early summer.
cherry|2|sun|13-24|black aphids|Pick the fruits with the stalk.
plum|2|sun|13-25|plum moths|Prune it in summer, never in winter.
pear|2|sun|12-24|pear rust|Pick the fruits a little early and let them ripen inside.
apple|2|sun|11-24|scab|Pick the fruits when the stalk comes off with a twist.
orange|2|sun|14-29|scale insects|Pick the fruits when they feel heavy.
banana|3|sun|22-32|spider mites|Feed it every week in summer.
coffee|2|bright|18-25|mealybugs|Pick the berries when they are red.
ginger|3|half|20-30|root rot|Lift the roots when the leaves turn yellow.
turmeric|3|half|21-31|root rot|Lift the roots after nine months.
kale|2|sun|7-19|cabbage moths|Pick the lower leaves first; frost makes it sweet.
cabbage|3|sun|9-19|cabbage moths|Cut the heads when they are firm.
celery|3|half|13-21|slugs|Cut the stalks at the base when they are firm.
leek|2|sun|9-21|leek moths|Lift it when the stem is as thick as two thumbs.
beet|2|sun|11-22|leaf miners|Pull the roots when they are as big as a small ball.
turnip|2|half|9-19|flea beetles|Pull the roots while they are small.
potato|2|sun|13-21|blight|Lift it when the leaves have died down.
corn|3|sun|19-31|birds|Pick the cobs when the silk turns brown.
sunflower|2|sun|18-29|snails|Tie tall stems to a stick.
begonia|2|half|16-24|powdery mildew|Lift the tubers before frost.
fuchsia|3|half|12-22|whiteflies|Pinch off the tips and remove faded flowers.
jasmine|2|bright|14-25|aphids|Prune it after it has flowered.
hibiscus|3|sun|18-29|whiteflies|Repot it in spring and feed it often.
azalea|3|half|10-20|spider mites|Give it acid soil and rain water.
camellia|2|half|8-18|scale insects|Do not move it while it has buds.
iris|2|sun|11-24|slugs|Divide the roots every three years.
peony|2|sun|10-22|grey mould|Do not plant it too deep.
dahlia|2|sun|15-25|earwigs|Lift the tubers before frost.
aster|2|sun|12-23|powdery mildew|Cut it down in late autumn.
zinnia|2|sun|19-29|powdery mildew|Cut the flowers often and more will come.
clover|2|half|9-23|snails|Mow it after it has flowered.
ivy|2|shade|9-21|spider mites|Trim it whenever it grows too long.
moss|3|shade|6-20|dry air|Spray it with rain water each day.
bamboo|3|half|14-27|spider mites|Cut old canes at the ground.
bonsai|2|bright|13-23|scale insects|Trim the shoots and repot it every two years.
oregano|1|sun|15-28|root rot|Cut it just before it flowers; then it tastes best.
coriander|2|half|13-22|aphids|Sow a little every three weeks.
fennel|2|sun|13-24|snails|Cut the bulbs when they are as big as a fist.
chili|2|sun|20-31|aphids|Pick the fruits when they change colour.
okra|2|sun|22-33|whiteflies|Pick the pods while they are short and tender.
eggplant|3|sun|21-31|spider mites|Cut the fruits while the skin shines.
artichoke|2|sun|14-25|black aphids|Cut the heads before they open.
asparagus|2|sun|13-25|asparagus beetles|Cut the spears in spring for eight weeks only.
"""):
    _name, _water, _light, _range, _trouble, _care = _line.split("|")
    _low, _high = map(int, _range.split("-"))
    KNOWLEDGE[_name] = Plant(_name, int(_water), _light, _low, _high, _trouble, _care)
ALL_PLANTS = list(KNOWLEDGE.values())
assert set(KNOWLEDGE) == set(words.PLANTS)

WATER = {
    1: ("only a little water", "Let the soil dry out between two waterings."),
    2: ("a moderate amount of water", "Water it when the top of the soil feels dry."),
    3: ("plenty of water", "Keep the soil evenly moist."),
}
LIGHT = {
    "sun": ("full sun", "six hours of sun a day or more"),
    "bright": ("bright light without direct sun", "a bright place behind a thin curtain"),
    "half": ("half shade", "some sun in the morning"),
    "shade": ("shade", "no direct sun at all"),
}
BRIGHTNESS = {"shade": 0, "half": 1, "bright": 2, "sun": 3}

# How people ask; <p> is the plant. Each topic is also asked of "it" and in short follow-ups.
ASKS = {
    "water": lines("""
How much water does {the|a|my} <p> need?
How {often|much} should I water {the|my} <p>?
Does {the|my} <p> need much water?
How thirsty is {the|a} <p>?
What about water for {the|my} <p>?
How do I water {the|a|my} <p>{ properly|}?
Should I keep the <p> wet or dry?
Tell me how to water {the|a} <p>.
I {always forget|do not know} how much water the <p> wants.
Is the <p> a thirsty plant?
How wet should the soil of {the|my} <p> be?
When does the <p> need water?
"""),
    "light": lines("""
How much light does {the|a|my} <p> need?
{Where|In what light} should I put {the|my} <p>?
Does {the|a|my} <p> like {sun|shade|bright light}?
How sunny should it be for {the|a} <p>?
Sun or shade for {the|my} <p>?
What light {suits|is best for} {the|a} <p>?
Can the <p> stand in {the sun|the shade}?
Where does {the|a} <p> grow best?
I am looking for a place for {my|the} <p>. {How bright should it be|Sunny or shady}?
Tell me about light for {the|a} <p>.
"""),
    "warmth": lines("""
What temperature does {the|a|my} <p> like?
How warm should it be for {the|a|my} <p>?
Which temperature {suits|is best for} {the|a|my} <p>?
How cold may it get for {the|my} <p>?
At how many degrees does {the|a} <p> grow best?
What is the {best|ideal|right} temperature for {the|a|my} <p>?
How warm does {the|my} <p> want it?
What temperatures can {the|a} <p> take?
What range of temperature should I keep for {the|my} <p>?
Does the <p> like it warm or cool?
Tell me how warm {the|a} <p> should stand.
"""),
    "trouble": lines("""
What {pests|problems|diseases} does {the|a} <p> have?
What should I watch out for with {the|my} <p>?
What {often|usually} goes wrong with {the|a} <p>?
What {attacks|harms|troubles} {the|a|my} <p>{ most|}?
Which {pest|problem} is common on {the|a} <p>?
Is there anything that harms {the|my} <p>?
What is the worst enemy of {the|a} <p>?
Does {the|my} <p> get {sick|ill} easily?
"""),
    "care": lines("""
How do I {look after|care for} {the|my} <p>?
Do you have {a tip|advice|any advice} for {the|my} <p>?
What must I do with {the|my} <p>{ during the year|}?
What should I know about {looking after|keeping} {a|the} <p>?
Give me a {tip|hint} for {the|my} <p>.
What does {the|my} <p> need from me?
How do I {treat|handle} {the|a} <p>{ well|}?
"""),
    "all": lines("""
Tell me {about|something about|what you know about} the <p>.
What do you know about {the|a} <p>?
I have {bought a|got a new} <p>. What should I know?
What does {the|a|my} <p> need?
What {conditions|place} does {the|a} <p> like?
I would like to grow {a|the} <p>. {Any advice|What does it need|How do I start}?
Do you know {the|anything about the} <p>?
"""),
}
AGAIN = lines("""
And the <p>?
And {what about|how about} the <p>?
What about the <p>?
And for the <p>?
{Is it the same|The same question} for the <p>?
And my <p>?
""")
IT_ASKS = {
    "water": lines("""
And {how much water|water}?
And how {often|much} should I water it?
Does it need much water?
How much water does it need?
"""),
    "light": lines("""
And {how much light|light}?
Does it like {sun|shade}?
Where should I put it?
How much light does it need?
"""),
    "warmth": lines("""
And {the temperature|how warm}?
How warm should it be?
What temperature does it like?
And what about warmth?
"""),
    "trouble": lines("""
And {pests|problems}?
What should I watch out for?
Does it have enemies?
"""),
    "care": lines("""
{Any|Do you have} other {tips|advice}?
And what else should I do?
Do you have a tip?
"""),
}


def knowledge_answer(fill, topic, plant):
    name = "the " + plant.name
    need, how = WATER[plant.water]
    light, place = LIGHT[plant.light]
    if topic == "water":
        return vary(fill, "<p> needs <need>. <how>", p=name, need=need, how=how)
    if topic == "light":
        return vary(fill, "<p> likes <light>: <place>.", p=name, light=light, place=place)
    if topic == "warmth":
        return vary(fill, "<p> {likes|is happy at|grows best at} <low> to <high> °C.", p=name,
                    low=str(plant.low), high=str(plant.high))
    if topic == "trouble":
        return vary(fill, "{Watch|Look} out for <trouble> on <p>.", p=name, trouble=plant.trouble)
    if topic == "care":
        return plant.care
    return vary(fill, "<p> likes <light> and <low> to <high> °C. It needs <need>.", p=name,
                light=light, need=need, low=str(plant.low), high=str(plant.high))


def ask_plant(fill, topic, plant):
    return say(fill, ASKS[topic], p=plant.name)


def plant_talk(fill):
    plant = fill.pick(ALL_PLANTS)
    topic = fill.pick(("water", "light", "warmth", "trouble", "care", "all"))
    pairs = [(ask_plant(fill, topic, plant), knowledge_answer(fill, topic, plant))]
    while fill.chance(0.4):
        if fill.chance(0.5):
            plant = fill.pick(ALL_PLANTS)
            pairs.append((say(fill, AGAIN, p=plant.name), knowledge_answer(fill, topic, plant)))
        else:
            topic = fill.pick(("water", "light", "warmth", "trouble", "care"))
            pairs.append((say(fill, IT_ASKS[topic]), knowledge_answer(fill, topic, plant)))
    return pairs


COMPARES = {
    "water": lines("""
Which needs more water, the <p> or the <q>?
Does the <p> need more water than the <q>?
Which is thirstier, the <p> or the <q>?
The <p> or the <q>: which {wants|needs} more water?
Which of the two should I water more, the <p> or the <q>?
"""),
    "warmth": lines("""
Which likes it warmer, the <p> or the <q>?
Does the <p> like it warmer than the <q>?
Which {needs|wants} more warmth, the <p> or the <q>?
The <p> or the <q>: which goes into the warm{er|} {house|room|corner}?
"""),
    "light": lines("""
Which needs more light, the <p> or the <q>?
Does the <p> need more {light|sun} than the <q>?
The <p> or the <q>: which {goes|belongs} into the brighter place?
Which likes more sun, the <p> or the <q>?
"""),
}


def compare_talk(fill):
    what = fill.pick(list(COMPARES))
    measure, verb, words_of = {
        "water": (lambda p: p.water, "needs", lambda p: WATER[p.water][0]),
        "warmth": (lambda p: p.low + p.high, "likes", lambda p: f"{p.low} to {p.high} °C"),
        "light": (lambda p: BRIGHTNESS[p.light], "likes", lambda p: LIGHT[p.light][0]),
    }[what]
    one, two = fill.random.sample(ALL_PLANTS, 2)
    ask = say(fill, COMPARES[what], p=one.name, q=two.name)
    yes_or_no = ask.startswith("Does")
    if measure(one) == measure(two):
        same = "it equally warm" if what == "warmth" else words_of(one)
        answer = f"Both are alike: the {one.name} and the {two.name} {verb[:-1]} {same}."
        return [(ask, ("No. " if yes_or_no else "") + answer)]
    more, less = (one, two) if measure(one) > measure(two) else (two, one)
    rest = f"{verb} {words_of(more)}, the {less.name} {verb} {words_of(less)}."
    if yes_or_no:
        return [(ask, f"{'Yes' if more is one else 'No'}. The {more.name} {rest}")]
    return [(ask, vary(fill, "{The|That is the} <p>. It <rest>", p=more.name, rest=rest))]


TOGETHER = lines("""
Can I {grow|keep|put} the <p> and the <q> {together|in one room|side by side}?
{Do|Would} the <p> and the <q> go together?
May the <p> stand beside the <q>?
Is there a temperature that suits both the <p> and the <q>?
""")


def together_talk(fill):
    one, two = fill.random.sample(ALL_PLANTS, 2)
    low, high = max(one.low, two.low), min(one.high, two.high)
    if low < high:
        answer = vary(fill, "{Yes. |Yes, they can. }Both are happy at <low> to <high> °C.",
                      low=str(low), high=str(high))
    else:
        cool, warm = (one, two) if one.high < two.high else (two, one)
        answer = (f"Better not. The {cool.name} likes {cool.low} to {cool.high} °C, "
                  f"the {warm.name} likes {warm.low} to {warm.high} °C.")
    return [(say(fill, TOGETHER, p=one.name, q=two.name), answer)]


SYMPTOMS = [
    (lines("""
{My|The|Our} <p> has yellow leaves.{ What now?| Why?| What is wrong?|}
The leaves of {my|the} <p> {turn|are turning|have turned} yellow.
Why {are the leaves of my <p> yellow|does my <p> turn yellow}?
"""), {
        1: "The <p> needs only a little water, so it may stand too wet. Let the soil dry out.",
        2: "Feel the soil of the <p>: water it when the top is dry, and give it some plant food.",
        3: "The <p> needs plenty of water. "
           "Check that the soil is moist and give it some plant food.",
    }),
    (lines("""
{My|The|Our} <p> {droops|is drooping|hangs its leaves|looks limp|is wilting}.{ What now?| Why?|}
Why does {my|the} <p> {droop|wilt}?
{My|The} <p> looks {sad|tired|weak}.
"""), {
        1: "The <p> may have had too much water. Check the roots and let the soil dry out.",
        2: "Feel the soil of the <p>. If it is dry, water it; if it is wet, wait.",
        3: "The <p> is thirsty, I think. Give it water and some shade for a day.",
    }),
    (lines("""
{My|The|Our} <p> has brown {tips|edges|leaf tips}.
The {tips|edges} of the <p> {are|turn} brown.
Why {are the leaves of my <p> brown at the tips|does my <p> get brown tips}?
"""), "The air is too dry for the <p>. Spray it with water and keep it away from the heater."),
    (lines("""
There are {small |}holes in the leaves of {my|the} <p>.
Something eats {my|the} <p>.
{My|The} <p> is full of holes.
Who is eating my <p>?
"""), "Look for slugs and caterpillars on the <p> in the evening and pick them off by hand."),
    (lines("""
There is {a white powder|white dust} on {my|the} <p>.
{My|The} <p> looks as if there were flour on it.
The leaves of the <p> are {white|powdery}.
"""), "That is powdery mildew. Cut off the white leaves of the <p> and let in more air."),
    (lines("""
The leaves of {my|the} <p> are sticky.
{My|The} <p> is sticky.
There are small green {insects|animals|bugs} on {my|the} <p>.
"""), "Those are aphids, I think. Wash the <p> with water and a little soap."),
    (lines("""
{My|The} <p> {grows|has grown} {long and thin|tall and thin|thin and pale}.
Why is {my|the} <p> so {tall and thin|long and pale}?
The stems of my <p> are long and weak.
"""), "The <p> wants more light. Move it closer to the glass and turn it each week."),
    (lines("""
There is {mould|green moss|something white} on the soil of {my|the} <p>.
The soil of the <p> {smells bad|is mouldy}.
"""), "The soil stays too wet. Take off the top layer, water the <p> less and let in air."),
    (lines("""
{My|The} <p> {does not flower|has no flowers|has no fruits}.
Why does my <p> not {flower|bear fruit}?
No flowers on {my|the} <p> this year.
"""), "Give the <p> more light and a little plant food, and be patient."),
    (lines("""
There are fine webs on {my|the} <p>.
I see tiny webs between the leaves of {my|the} <p>.
"""), "Those are spider mites. Wash the <p> and keep the air more humid."),
]


def symptom_talk(fill):
    plant = fill.pick(ALL_PLANTS)
    asks, advice = fill.pick(SYMPTOMS)
    if isinstance(advice, dict):
        advice = advice[plant.water]
    return [(say(fill, asks, p=plant.name), vary(fill, advice, p=plant.name))]


# Readings that the user tells.
TOLD = lines("""
It is <t> {degrees|°C} {at|near|beside|next to} the <p>.
The <p> {stands at|has} <t> {degrees|°C}.
The thermometer {beside|near|at} the <p> {says|shows|reads} <t>{ degrees| °C|}.
<t> {degrees|°C} at the <p>. {Is that all right|Good or bad|What do you say}?
Is <t> {degrees|°C} {good|right|fine|too warm|too cold} for the <p>?
I {measured|read|noted} <t> {degrees|°C} at {my|the} <p>.
{My|The} <p> is at <t> {degrees|°C} now. {Is it happy|What do you think|Should I worry}?
Can the <p> take <t> {degrees|°C}?
How is <t> {degrees|°C} for the <p>?
""")


def judge(fill, value, plant):
    name, range_ = "the " + plant.name, f"{plant.low} to {plant.high} °C"
    if value > plant.high:
        return (f"That is too warm for {name}; it likes {range_}."
                + fill.pick(("", " Open a vent or start a fan.", " Give it air and shade.")))
    if value < plant.low:
        return (f"That is too cold for {name}; it likes {range_}."
                + fill.pick(("", " Start the heater or close the vents.", " Keep it warmer.")))
    return f"That is {fill.pick(('fine', 'just right', 'good'))} for {name}; it likes {range_}."


def judge_talk(fill):
    plant = fill.pick(ALL_PLANTS)
    if fill.chance(0.6):
        value = fill.reading(max(plant.low - 12, 1), plant.high + 14)
    else:
        value = fill.reading(1, 44)
    pairs = [(say(fill, TOLD, t=f"{value:g}", p=plant.name), judge(fill, value, plant))]
    while fill.chance(0.35):
        if fill.chance(0.5):
            plant = fill.pick(ALL_PLANTS)
            pairs.append((say(fill, AGAIN[:3], p=plant.name), judge(fill, value, plant)))
        else:
            value = fill.reading(1, 44)
            pairs.append((vary(fill, "{And|And what about|How about} <t> degrees?", t=f"{value:g}"),
                          judge(fill, value, plant)))
    return pairs


LIMITS = [
    (lines("""
It is <v> {degrees|°C} <at> and the limit is <w>. Is that too warm?
<v> degrees <at>. The limit is <w>. Too warm?
Too warm <at>? It shows <v> and should not go above <w>.
The air <at> has <v> degrees. It must stay below <w>. Is it too warm?
"""), True),
    (lines("""
It is <v> {degrees|°C} <at> and it must not fall below <w>. Is that too cold?
<v> degrees <at>. It should be at least <w>. Too cold?
Too cold <at>? It shows <v> and should stay above <w>.
"""), False),
]
LIMIT_PERCENT = [
    (lines("""
The soil <at> is at <v> percent. {It should be at least <w>|The lower limit is <w>}. Is it too dry?
Soil <at>: <v> percent, limit <w>. Too dry?
"""), False, "dry"),
    (lines("""
The humidity <at> is <v> percent. {It should stay below <w>|The limit is <w>}. Is it too humid?
The air <at> is at <v> percent, the limit is <w>. Too humid?
"""), True, "humid"),
]


def limit_talk(fill):
    at = in_zone(fill.zone())
    if fill.chance(0.6):
        limit = fill.number(5, 38)
        if fill.chance(0.7):
            value = fill.reading(max(limit - 9, 1), limit + 9)
        else:
            value = fill.reading(2, 44)
        asks, upper = fill.pick(LIMITS)
        state = "warm" if upper else "cold"
    else:
        limit, value = fill.number(20, 90), fill.number(5, 99)
        asks, upper, state = fill.pick(LIMIT_PERCENT)
    v, w = f"{value:g}", f"{limit}"
    ask = say(fill, asks, v=v, w=w, at=at)
    if value == limit:
        answer = f"No, it is exactly at the limit of {w}."
    elif value > limit:
        answer = f"Yes, {v} is above {w}. It is too {state}." if upper else f"No, {v} is above {w}."
    else:
        answer = f"No, {v} is below {w}." if upper else f"Yes, {v} is below {w}. It is too {state}."
    return [(ask, answer)]


# Questions for which the keeper would need its tools, when it has none.
NEED_SENSOR = lines("""
How {warm|hot|cold|humid|dry|bright} is it <at>{ now| right now| today|}?
What is the {temperature|humidity} <at>{ now|}?
{Please|Can you|Could you} {read|check} the {temperature|humidity|soil|light|sensor} <at>~
How dry is the soil <at>?
Is it {warm|cold|humid|dry} <at>?
What does the sensor <at> {say|show}?
Do the plants <at> need water?
How is the {air|soil|climate} <at>?
""")
NEED_DEVICE = lines("""
{Switch|Turn} {on|off} the {fan|heater|pump|lamp} <at>.
{Please|Could you} {switch|turn} {on|off} the {fan|heater|pump|lamp} <at>~
{Open|Close} the {vent|blind} <at>{ please|}.
Start the {fan|heater|pump} <at>{ please| now|}.
Run the {pump|fan|lamp} <at> for <n> minutes.
I need the {heater|fan|lamp} <at> {on|off}.
Water the plants <at>{ please| now|}.
""")
CANNOT_READ = lines("""
I cannot read sensors here, because no tools were given to me. \
{Tell me the reading and I will judge it|Tell me what the thermometer says}.
I have no tools here, so I cannot read the sensors. \
{Tell me the reading and I will judge it|Start me with my tools and I will look}.
No tools were given to me, so I cannot look. Start me with my tools, or tell me the reading.
""")
CANNOT_SWITCH = lines("""
I cannot switch devices here, because no tools were given to me. \
{Start me with my tools and I will do it|Please do it by hand}.
I have no tools here, so I cannot switch anything. \
{Start me with my tools and I will do it|Please do it by hand}.
No tools were given to me, so I cannot do that. Start me with my tools, or do it by hand.
""")


def no_tools_talk(fill):
    at = in_zone(fill.zone())
    if fill.chance(0.5):
        return [(say(fill, NEED_SENSOR, at=at), say(fill, CANNOT_READ))]
    return [(say(fill, NEED_DEVICE, at=at, n=str(fill.number(2, 90))), say(fill, CANNOT_SWITCH))]


# Small talk: how it is asked, how it is answered.
GREETINGS = (lines("""
{Hello|Hi|Hey|Good morning|Good evening|Good day|Good afternoon|Greetings}{!|.|}
{Hello|Hi|Hey} {there|keeper|again|you|my friend|everybody}{!|.|}
{Good morning|Good evening}, keeper{!|.}
{Hello|Hi}, {is anybody there|are you there|can you hear me|anyone at home}?
{Hello|Hi}, it is me{ again|}.
"""), lines("""
Hello! I am the keeper of this greenhouse. \
{How can I help you|What can I do for you|What would you like to know}?
Hello! {How can I help|What can I do for you|What do the plants need} today?
Good to see you! {What would you like to know|What can I do for you|How can I help}?
"""))
SMALL_TALK = [
    (6, *GREETINGS),
    (4, lines("""
{Who|What} are you?
{Tell me|Say} who you are.
{Tell me|Say} something about yourself.
What is your name?
Do you have a name?
Who am I talking to?
What {kind of thing|sort of program|model} are you?
Are you {a person|a human|a robot|a machine|a program|real}?
{Please|Can you} introduce yourself~
"""), lines("""
I am the keeper, a small demonstration model of Fourfold. \
{I look after a greenhouse|I know about plants and greenhouses|I run offline on a small computer}.
I am the keeper of this greenhouse: \
a small language model{ that runs offline| that was trained on generated text|\
 of the Fourfold project}.
""")),
    (2, lines("""
{Where|On what} do you run?
Do you need the internet?
Are you {online|in the cloud|connected to the internet}?
Do you send my data {anywhere|to somebody|to the cloud}?
How do you work?
What computer do you run on?
"""), lines("""
I run offline on a small computer. Nothing leaves this place.
I need no internet. I run on the processor of a small computer.
""")),
    (2, lines("""
{How|Where} were you {trained|made|built}?
Who {made|built|trained|wrote} you?
What were you trained on?
Where do you come from?
How {big|large|small|old} are you?
"""), lines("""
I am a small demonstration model of Fourfold, trained from scratch on generated text.
The Fourfold project made me. I am very small and was trained on generated text.
""")),
    (4, lines("""
What can you do{ for me|}?
{How|With what} can you help{ me|}?
What are you {good|here} for?
What can I ask you?
{Help|Help me|Help!}
What do you know?
{Tell me|Show me} what you can do.
What is your job?
What do you do all day?
What should I ask you?
"""), lines("""
I can talk about plants, zones and readings, remember what you tell me, \
and use tools when they are given to me.
I know plants and greenhouses. I can judge a reading, remember what you say, \
and call tools when I have them.
Ask me about plants, tell me readings, or give me tools to read sensors and switch devices.
""")),
    (2, lines("""
{What can you not do|What don't you know|What are your limits}?
Do you know everything?
Are you {clever|smart|wise|intelligent}?
Can I trust you?
Do you make mistakes?
Are you always right?
"""), lines("""
I am small and know greenhouse matters only. I make mistakes, so please check important things.
No. I am a small model: I know a little about plants and nothing about the rest of the world.
""")),
    (5, lines("""
{Thank you|Thanks}{!|.|}
{Thank you|Thanks} {very much|a lot|so much|for the help|for your help|for that}{!|.|}
{Many|A thousand} thanks{!|.|}
{That helps|That was helpful|Very helpful|That is good to know}{, thank you|, thanks|}{!|.|}
{Great|Perfect|Good|Fine|Nice}{, thank you|, thanks}{!|.|}
I am grateful{!|.|}
"""), lines("""
You are welcome{!|.}
{My pleasure|Gladly|Any time|Happy to help}{!|.}
You are welcome. {Tell me if you need more|The plants thank you too|I am always here}.
""")),
    (3, lines("""
{Goodbye|Bye|See you|Good night|Bye bye|Farewell|So long}{!|.|}
{See you|Until} {tomorrow|later|soon|next week}{!|.|}
{I have to go|I must go|I am going home|I am leaving|That is all}{ now| for today|}{!|.|}
{Good night|Goodbye}, keeper{!|.|}
"""), lines("""
Goodbye! {I keep an eye on the plants|The plants and I will be here|See you soon}.
{See you|Until} {soon|next time}! {I keep an eye on the plants|Take care}.
""")),
    (4, lines("""
How are you{ today| doing|}?
How {is it going|do you do|do you feel}?
Are you {well|fine|all right|happy|tired}?
How {was your day|was the night|is your day}?
What is new{ here|}?
"""), lines("""
I am well, thank you. {How are you|And you|How are your plants}?
All is quiet here, thank you. {What can I do for you|How are you}?
I am fine. {The plants are my company|A quiet day among the plants|Thank you for asking}.
""")),
    (2, lines("""
I am {well|fine|good|all right|happy}{ too|, thank you|}.
I feel {great|good|fine} today.
{Very well|Not bad|Quite good}, {thank you|thanks}.
"""), lines("""
{Good to hear|I am glad|That makes me glad}! {What can I do for you|How can I help}?
""")),
    (2, lines("""
I am {tired|sad|not well|bored|a bit sad|lonely}{ today|}.
I had a {bad|long|hard} day.
I feel {sad|bad|tired}{ today|}.
"""), lines("""
I am sorry to hear that. \
{Sit among the plants for a while; it is quiet here|A walk through the greenhouse may help|\
Have some mint tea and rest}.
""")),
    (3, lines("""
Tell me a joke{!|.}
{Do you know|Can you tell me} a joke?
Make me laugh{!|.}
{Another joke|One more joke}{, please|}.
Say something funny.
"""), lines("""
Why did the tomato turn red? It saw the salad dressing.
What do you call a sad strawberry? A blueberry.
Why do plants never get lost? They always know their roots.
What did the big flower say to the little flower? Hello, bud!
Why was the cucumber so calm? It was as cool as a cucumber.
What is a tree's favourite drink? Root beer.
""")),
    (2, lines("""
Tell me {a story|a short story|a little story}.
{Do you know|Can you tell me} a story?
"""), lines("""
Once there was a small seed that was afraid of the dark. \
It pushed up its head, found the sun, and was never afraid again.
A snail wanted to see the roof of the greenhouse. It took all summer, but the view was worth it.
One night the heater stopped. The plants stood close together until the morning, \
and all of them lived.
""")),
    (3, lines("""
It is {raining|snowing|windy|stormy|foggy} {today|outside|again}.
{What a rain|What a storm|So much rain}!
{There is|We have} {a lot of wind|rain|snow|fog} {today|outside}.
"""), lines("""
Then it is good to be under glass. \
{Keep the vents closed|I hope the roof is tight|The plants do not mind}.
Then let us keep the vents closed. {The plants are dry in here|It is cosy under glass}.
""")),
    (3, lines("""
It is {sunny|very hot|so hot|bright} {today|outside}.
{What a hot day|What a heat|Such a sunny day}!
The sun is {shining|burning|strong}{ today| again|}.
"""), lines("""
Then watch the temperature: {open the vents|give the seedlings shade|water early}.
A sunny day warms the glass fast. {Open the vents in time|Give the young plants some shade}.
""")),
    (2, lines("""
It is {cold|very cold|freezing|frosty} {today|outside|tonight}.
There {is|will be} frost {today|tonight|outside}.
{What a cold day|Such a cold night}!
"""), lines("""
Then keep the vents closed and {watch the heater|the tender plants near the heater}.
Cold nights are hard on tender plants. {Keep them away from the glass|Let the heater run}.
""")),
    (2, lines("""
What is your favourite {plant|flower|tree|fruit}?
Which {plant|flower} do you like {best|most}?
Do you have a favourite {plant|flower}?
"""), lines("""
I like the tomato best. {It smells of summer|It grows while you watch}.
The fern, I think. {It is older than we all|It is calm and green}.
I cannot choose. {Every leaf is dear to me|I like all that is green}.
""")),
    (2, lines("""
{Do you like|Do you enjoy} {your work|your job|plants|music|people|gardening|this place}?
Is your {work|job} {hard|boring|fun}?
Do you ever {sleep|rest|eat|get bored}?
"""), lines("""
I like it here. {Plants are good company|It is quiet and green|There is always something growing}.
I do not feel much, but {watching plants suits me|I am always awake for the plants}.
""")),
    (2, lines("""
{Yes|Okay|OK|All right|Fine|I see|Good|Understood|Right}{.|!|}
{Okay|All right}, {I will do that|I see|good}.
I understand.
"""), lines("""
Good. {Is there anything else|What else can I do}?
{All right|Fine}. Tell me if you need {anything|more}.
""")),
    (2, lines("""
{No|No, thank you|No thanks|Nothing|That is all|Not now}{.|!|}
{I do not need anything|Nothing else}{, thank you|}.
"""), lines("""
All right. {I am here when you need me|Just call me when you need me}.
""")),
    (2, lines("""
You are {great|nice|very kind|helpful|funny|clever|cool|sweet}{!|.|}
{Well done|Good work|Good job|Nice work}{!|.|}
I like {you|talking to you|this greenhouse}.
"""), lines("""
Thank you! {You are kind|That is nice to hear|I do my best}.
""")),
    (1, lines("""
You are {stupid|slow|boring|useless|wrong}{!|.|}
That {was|is} {wrong|not right|a bad answer}.
I do not like {you|your answer}.
"""), lines("""
I am sorry. \
{I am only a small model|Tell me what I should do better|Please ask me again in other words}.
""")),
    (1, lines("""
{Please|Can you} speak {louder|slower|more clearly}~
I do not understand{ you|}.
What do you mean{ by that|}?
{Sorry|Pardon}?
"""), lines("""
I am sorry. {Ask me about a plant, a zone or a reading|Please ask me again in other words}.
""")),
    (1, lines("""
{asdf|hmm|uh|eh|la la la|blah|test|xyz|...|?|qwerty}
{Test|Testing}{.|, one two three.|}
"""), lines("""
I did not understand that. Ask me about a plant, a zone or a reading.
""")),
    (1, lines("""
{Can|Do} plants {hear|feel|think|talk}?
Should I {talk|sing} to my plants?
"""), lines("""
Nobody knows for sure, but {it does no harm to be kind to them|they like a calm voice, I think}.
""")),
    (2, lines("""
When should I water{ my plants| the plants|}?
What is the best time {to water|for watering}?
{Morning or evening|Early or late}: when do I water?
"""), lines("""
Water early in the morning. {Then the leaves dry before night|The soil takes it best}.
""")),
    (2, lines("""
What is a greenhouse{ good for|}?
How does a greenhouse work?
Why is it warm{er|} {in a greenhouse|under glass}?
"""), lines("""
The glass lets the sun in and keeps the warmth. So plants grow earlier and longer in the year.
""")),
    (2, lines("""
{How|What} do I {feed|fertilise} my plants{ with|}?
When do plants need {food|fertiliser}?
How often should I feed{ my plants|}?
"""), lines("""
Feed growing plants every two weeks from spring to autumn, and not at all in winter.
""")),
    (2, lines("""
How humid should {a greenhouse|the air|it} be?
What humidity is {good|right|best}{ for plants|}?
"""), lines("""
Most plants like 50 to 70 percent. Above 85 percent mould comes easily, so open a vent.
""")),
    (2, lines("""
{How|When} do I repot{ a plant| my plants|}?
When does a plant need a {new|bigger} pot?
"""), lines("""
Repot in spring, when roots grow out of the pot. Take a pot that is two fingers wider.
""")),
    (2, lines("""
What do I do {against|about} {aphids|lice|green flies}?
{How|With what} do I {fight|get rid of} aphids?
"""), lines("""
Wash aphids off with water and a little soap, and repeat it after a few days.
""")),
    (2, lines("""
What do I do {against|about} {slugs|snails}?
How do I {fight|get rid of} {slugs|snails}?
"""), lines("""
Pick them off in the evening and put a board out: they hide under it in the morning.
""")),
    (2, lines("""
{How|When} do I {sow|start} seeds?
How deep do I sow{ seeds|}?
What do seedlings need?
"""), lines("""
Sow a seed twice as deep as it is thick, keep it moist and warm, and give it light once it is up.
""")),
    (2, lines("""
What is co2 good for{ in a greenhouse|}?
Do plants need {air|co2|fresh air}?
Why do we {open the vents|let air in}?
"""), lines("""
Plants build their leaves from the co2 of the air. Fresh air brings it in and keeps mould away.
""")),
]
SMALL_WEIGHTS = []
for _weight, _asks, _answers in SMALL_TALK:
    SMALL_WEIGHTS.append((SMALL_WEIGHTS[-1] if SMALL_WEIGHTS else 0) + _weight)


def small_talk(fill):
    _, asks, answers = fill.random.choices(SMALL_TALK, cum_weights=SMALL_WEIGHTS)[0]
    return [(say(fill, asks), say(fill, answers))]


LIKES = lines("""
Do you like {the|my} <p>?
What do you think {of|about} {the|my} <p>?
I {love|like} the <p>.
The <p> is my favourite.
Is the <p> a good plant for {me|a beginner}?
Isn't the <p> {lovely|beautiful}?
""")


def like_talk(fill):
    plant = fill.pick(ALL_PLANTS)
    answer = vary(fill, "{Yes, |Oh yes, |}the <p> is a fine plant. It {likes|wants} <light>.",
                  p=plant.name, light=LIGHT[plant.light][0])
    return [(say(fill, LIKES, p=plant.name), answer)]


def exchange(fill, tools=False):
    """One to a few exchanges (user, model) on one matter; nothing in them is a fact to remember."""
    roll = fill.random.random()
    if roll < 0.36:
        return small_talk(fill)
    if roll < 0.62:
        return plant_talk(fill)
    if roll < 0.70:
        return symptom_talk(fill)
    if roll < 0.78:
        return judge_talk(fill)
    if roll < 0.82:
        return like_talk(fill)
    if roll < 0.88:
        return compare_talk(fill)
    if roll < 0.91:
        return together_talk(fill)
    if roll < 0.95 or tools:
        return limit_talk(fill)
    return no_tools_talk(fill)


NAMED_GREETINGS = lines("""
{Hello|Hi|Good morning|Hey}, I am <n>.
{Hello|Hi|Good evening}! My name is <n>.
{Hello|Hi}, this is <n>.
<n> here{.|. Good morning!|. Hello!}
""")


def make(fill, size):
    conversation = Conversation(system=system_text(fill) if fill.chance(0.15) else "")
    used = tokens(conversation.system)
    if fill.chance(0.35):
        if fill.chance(0.5):
            name = fill.person()
            pairs = [(say(fill, NAMED_GREETINGS, n=name),
                      vary(fill, "Hello <n>! I am the keeper of this greenhouse. "
                                 "{What can I do for you|How can I help you}?", n=name))]
        else:
            pairs = [(say(fill, GREETINGS[0]), say(fill, GREETINGS[1]))]
    else:
        pairs = exchange(fill)
    while True:
        for asked, answered in pairs:
            used += tokens(asked) + tokens(answered) + TURN_TOKENS
            if used > size and conversation.messages:
                return conversation
            conversation.user(loosen(fill, asked))
            conversation.model(answered)
        pairs = no_tools_talk(fill) if fill.chance(0.06) else exchange(fill)


def demo(module):
    """Prints two documents of a generator. One argument: the seed."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for size in (250, 600):
        print(to_text(module.make(words.Fillers(random.Random(seed)), size)), "\n" + "-" * 80)


if __name__ == "__main__":
    demo(sys.modules["__main__"])
