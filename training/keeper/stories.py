"""Plain English without turns: diary pages, small stories, letters and notes of the greenhouse.

    python3 -m keeper.stories      print two

A scene is a few sentences in which one thing follows from another; a text is a few scenes about
the same people, plants and zones.
"""

import random
import sys

from keeper import chat, words
from keeper.chat import KNOWLEDGE, LIGHT, MEN, WATER, in_zone, lines, say, the_zone, vary


def pronouns(name, prefix=""):
    he, him, his = ("he", "him", "his") if name in MEN else ("she", "her", "her")
    return {prefix + "n": name, prefix + "he": he, prefix + "him": him, prefix + "his": his}


class Cast:
    """Who and what a text is about: the slots of its patterns."""

    def __init__(self, fill):
        self.fill = fill
        first, second = fill.random.sample(fill.people, 2)
        zone, other = fill.zone(), fill.zone()
        self.slots = {**pronouns(first), **pronouns(second, "m"),
                      "zone": the_zone(zone), "at": in_zone(zone),
                      "zone2": the_zone(other), "at2": in_zone(other), "city": fill.city()}
        self.change()

    def change(self):
        """Other things and numbers for the next scene; people and zones stay."""
        fill = self.fill
        plant, other = fill.plant(), fill.plant()
        known = KNOWLEDGE[plant]
        self.slots |= {
            "p": plant, "q": other, "noun": fill.noun(), "noun2": fill.noun(), "noun3": fill.noun(),
            "adj": fill.pick(fill.adjectives), "adj2": fill.pick(fill.adjectives),
            "colour": fill.pick(fill.colours), "t": fill.time(), "day": fill.pick(words.DAYS),
            "month": fill.pick(words.MONTHS), "num": str(fill.number(2, 40)),
            "num2": str(fill.number(2, 40)),
            "warm": f"{fill.reading(26, 42):g}", "cold": f"{fill.reading(1, 12):g}",
            "mild": f"{fill.reading(15, 24):g}", "dry": str(fill.number(3, 25)),
            "wet": str(fill.number(40, 80)), "low": str(known.low), "high": str(known.high),
            "light": LIGHT[known.light][0], "water": WATER[known.water][0],
            "trouble": known.trouble, "care": known.care, "word": fill.word().capitalize(),
            "word2": fill.word(),
        }
        for k, verb in enumerate(fill.random.sample(fill.verbs, 2), 1):
            self.slots |= {f"verb{k}": verb[0], f"verbs{k}": verb[1], f"past{k}": verb[2],
                           f"ing{k}": verb[3]}

    def tell(self, scene):
        return " ".join(say(self.fill, patterns, **self.slots) for patterns in scene
                        if not isinstance(patterns, MayLack) or self.fill.chance(0.5))


class MayLack(list):
    """Patterns of a sentence that a scene can do without."""


def scene(text):
    """Sentences in their order: each is a paragraph of patterns, with "?" before it if the scene
    may lack it."""
    blocks = []
    for block in text.strip().split("\n\n"):
        patterns = lines(block)
        if patterns[0] == "?":
            patterns = MayLack(patterns[1:])
        blocks.append(patterns)
    return blocks


SCENES = [scene(text) for text in ("""
{On <day>|One morning|This morning|Early in <month>|One day} it was {very |too |}warm <at>.
The sun stood high, and it {was|became} warm <at>.
It had been {a hot week|hot for days}, and the air <at> stood still.

The thermometer showed <warm> °C.
<n> read <warm> °C on the thermometer.
The sensor said <warm> degrees.

?
The <p> {let its leaves hang|looked tired|was limp}.
"That is too warm for the <p>," said <n>.
The <p> does not like more than <high> °C.

So <n> opened the vent and {started|switched on} the fan.
<n> opened the vents and closed the blind.
<n> pulled the blind down, and <he> opened a vent.

After {an hour|<num> minutes|a while} it was down to <mild> °C.
Soon it was {cooler|only <mild> °C|better}, and the plants {stood up again|could breathe}.
{Before noon|By the evening} the thermometer showed <mild> °C again.
""", """
The night was {clear and cold|long and cold|frosty}.
{On <day>|In winter|Last night} there was a {hard|sharp|late} frost.
It snowed all {night|day|evening}.

The heater <at> {had stopped|did not start|was cold|made a strange noise}.
At <t> it was only <cold> °C <at>.
When <n> came, it was <cold> degrees <at>.

{First|At once} <n> looked at {the plug|the fuse|the cable|the switch}.
<n> took a lamp and {looked for the reason|searched for the fault|opened the cover}.

It was {loose|broken|wet|burnt}, so <he> {repaired|replaced|changed} it.
The {cable|plug} was wet, because the roof had a hole above it.
A mouse had {bitten through|eaten} the cable, so <he> put in a new one.

?
<mn> held the lamp and told <him> a story.
<mn> brought a {blanket|candle|pot of tea} while <he> worked.

Then the heater ran again, and {the frost did no harm|the <p> was saved|all plants lived}.
Before the sun came up it was <mild> °C again.
<n> {was tired but glad|drank a cup of tea and went home|slept until noon}.
""", """
The soil <at> was {very |too |quite |}dry{, because nobody had watered it| after the hot days|}.
{On <day>|At <t>|After lunch} <n> felt the soil <at>: it was as dry as dust.
The sensor <at> showed only <dry> percent.

<n> {filled|took} the {can|watering can|bucket} and {watered|gave water to} the <p>.
<n> started the pump for <num> minutes.
<he> {brought|carried} water from the {pond|tank|barrel}.

?
The <p> needs <water>.
The <q> next to it got {some|a little} water too.
The water ran down the {bench|wall|table} and made a small lake on the floor.

Then the soil was at <wet> percent.
After that the soil was dark and {moist|wet|cool}.
The <p> {drank it all|was happy|stood up the next day}.
""", """
<n> found {holes in the leaves|small marks|something strange|<trouble>} on the <p>.
The <p> {looked sad|did not grow|lost its leaves|was not well}{ this week|}.
Something was wrong with the <p> <at>.

"{Look at this!" said|What is that?" asked|Who did this?" asked} <n>.
<n> took a glass and looked at {every leaf|the leaves|the stem}.
<mn> knew what to look for: <trouble>.

?
It took {a long time|an hour|all morning}, but <he> did not give up.
There were {more than <num>|<num>} of them.

<n> washed the leaves with {soap and water|water}.
They {moved the <p> to <zone2>|cut off the bad leaves|put the <p> into a new pot}.
<he> cut off the sick leaves and burned them.

A week later it {was better|grew again|had new leaves}.
In <month> the <p> was {healthy|green|strong} again.
Since then the <p> {has grown well|has been fine}.
""", """
<n> wanted to {plant|sow|grow} <num> pots of <p>.
In <month> it was time to sow the <p>.
<n> had {bought|ordered|found} <num> seeds of <p>{ in <city>|}.

<he> filled the {pots|trays} with soil and put {one seed|<num2> seeds} into each.
First <he> mixed soil and sand, and then <he> sowed the seeds.
<mn> {helped|showed <him> how to do it|wrote the labels}.

They {stood|were} <at>, where it is <mild> °C{ and bright| and quiet|}.
The <p> likes <light>, so the {pots|trays} went <at>.

?
Nothing {happened|was to be seen} for <num2> days.
Every {morning|day} <he> looked whether something was green.

Then the first leaves came up.
{One morning|On <day>} there were small green {points|leaves} everywhere.
{At last|In the end} <num> of them {came up|grew}.

?
<n> was {so happy that <he> sang|very proud|glad} and told <mn> about it.
"They are up!" <he> called.
""", """
{On <day>|Today|In the afternoon} <mn> {came to visit|came by|paid a visit}{ from <city>|}.
A {visitor|guest} {came from <city>|came to the greenhouse|asked for <n>}: it was <mn>.

<mn> {brought|had} a <adj> <noun> with <mhim>.
<mn> wanted to {see the <p>|buy a <q>|talk about the <noun>|borrow the <noun>}.

<n> {showed <mhim>|led <mhim> through} <zone> and {told <mhim> about the <p>|gave <mhim> a <q>}.
They {sat|stood} <at> and {drank tea|talked about the weather|ate <word2> cake}.
They {walked|went} to <zone2> and looked at the <q>.

?
"How {beautiful|green|quiet} it is here!" said <mn>.
"Why is it so {warm|damp|bright}?" asked <mn>. "Because the <p> likes it," said <n>.
<mn> asked many questions, and <n> {knew the answers|answered them all}.

In the evening <mn> went home{ with a pot of <p>| by train| by bicycle|}.
At <t> <mhe> had to go.
They said goodbye at the {gate|door} and {laughed|waved}.
""", """
A storm came {from the north|from the sea|over the hills|in the night}.
{On <day>|At <t>} the wind {began to blow|became strong}.
{Dark|Grey|Heavy} clouds {stood over|came from} <city>.

{First|Quickly} <n> closed the {vents|vent <at>|blinds} and {the door|the gate}.
<n> ran from <zone> to <zone2> and closed everything.

The rain {beat|drummed} on the glass, and {it became dark|nobody could hear a word}.
A branch fell on the roof and broke {a pane|<num> panes} of glass.
The {light|lamp} went out, and they {waited|sat} in the dark.

?
<mn> {was afraid|held the door|lit a candle}, but <n> stayed calm.
"It will {pass|be over soon}," said <n>.

In the morning {the sky was blue|all was quiet|the sun shone} again.
After {two hours|an hour|the storm} they {swept up|carried away} the {leaves|broken glass}.

<n> {repaired the roof|put in new glass|counted the pots} on <day>.
Only {the <q>|a <p>} was {broken|lost|hurt}.
""", """
{Once there was|There was once} a {small|little|young|very old} <p> that \
{wanted to see the world|was afraid of the dark|did not want to grow|had no friends}.
A {small|young|proud} <p> lived <at>.
In the {corner|middle} of <zone> stood a {lonely|small|quiet} <p>.

Every {night|day|morning} it \
{looked out through the glass|talked to the <q>|counted the stars|dreamed of <city>}.
The other plants {laughed at it|were kind to it|told it to be patient}.

One day {a bird|a bee|a snail|a mouse|the wind} {came in through the vent|came to visit}.
Then <n> {came with a can of water|moved it to <zone2>|gave it a bigger pot}.

"{Do not worry|Be patient|You are not alone}," it heard. \
"{Everything grows in its time|The sun comes back each day}."
After that it {was not alone any more|grew and grew|slept well}.

In <month> it had {<num> flowers|its first flower|<colour> flowers}, \
and everybody {came to see it|was glad}.
And {so|that is why} it {still stands there|is the tallest of all|is happy} today.
""", """
<n> could not find the <noun>.
The <noun> was {gone|lost|not in its place}.
{On <day>|At <t>} <n> {noticed|saw} that the <noun> was {missing|gone}.

<he> looked <at>, {under the table|behind the pots|in the shed}, but it was not there.
<he> asked <mn>, but <mn> had not seen it.
First <he> {looked|searched} <at>, then <at2>.

?
"{Think|Remember}," said <mn>. "{When did you use it last|Where were you yesterday}?"
"I had it {yesterday|on <day>|at <t>}," <he> said.

It {lay|was} {under a leaf of the <p>|behind the <noun2>|in the pot of the <q>|in <his> own bag}.
At last <mn> found it <at2>, {under|behind|beside} the <noun2>.
Then <he> {saw|found} it: it {hung|lay} beside the <noun2>.

<n> {laughed|was glad|thanked <mhim>} and put it back.
Now the <noun> {has its own hook|hangs on the wall|is <colour>, so that everybody sees it}.
""", """
<n> had to <verb1> the <noun>{ before <day>| for <mn>|}.
{On <day>|In <month>} <n> <past1> the <adj> <noun>.
The <noun> was <adj>, so <n> <past1> it.
"{Please|Can you|You must} <verb1> the <noun>," {said|wrote} <mn>.

Then <he> <past2> the <noun2>, which {was|is} <colour>.
While <he> was <ing1> it, <mn> <past2> the <noun2>.
After <ing1> it, <he> <past2> a <adj2> <noun2>.

?
It {cost|took} <num> {euros|minutes|hours|days}.
The <noun2> was {better|older|bigger|cheaper} than the <noun3>.
Nobody knew {why|how|when} the <noun3> had {come|got} there.

<mn> {was happy with it|said that it was good|did not like it}.
In the end the <noun> was {ready|fine|<adj2>}.
So they {had|got} {what they needed|a new <noun3>|time for the <noun3>}.
""", """
The fan <at> {stood still|made a loud noise|turned slowly}.
The pump <at> {did not run|lost water|was too loud}.
The lamp <at> {was dark|went on and off}.

<n> {wrote|sent} a message to <mn>: "{Come at <t>|I need a new one|Bring the <noun>}."
<n> {switched it off|pulled the plug} and took it apart.
"I can {fix|repair} that," said <mn>.

{Dust|A leaf|A dead fly|Sand|A small stone} was {in it|in the way}.
{A screw|A wire|The belt} was {loose|worn|broken}.

<n> {cleaned|oiled|tightened} it and put it together again.
<mn> {bought|brought} a new part for <num> euros.

{Now|Then|At <t>} it {ran|worked} {like new|again|without a sound}.
It {works|has worked} well {since then|since <day>}.
""", """
In <month> they {picked|harvested|sold} the <p>.
The harvest of the <p> {was good|was late|began on <day>} this year.

<care>
<n> cut and <mn> {carried|counted|washed}.
They filled <num> {boxes|baskets|bags}.

?
<mn> ate {one|two} of them, or maybe three.
The {best|biggest} one weighed as much as a <noun>.

On <day> they took them to the market {in <city>|with the <colour> cart}.
They sold them for <num2> euros {a box|a bag} and kept the rest.
{Nothing|Not one} was left {on <day>|at <t>|in the evening}.
""", """
The keeper is a small computer <at>.
{In|Inside} <zone> a small computer watches the plants.

It reads the sensors {every <num> minutes|day and night|all the time} \
and {writes down|remembers} what it finds.
When it is too warm, it {opens the vent|starts the fan}; when it is too cold, \
it {starts the heater|closes the vent}.
It does not {sleep|eat|get tired}, and it {never forgets the pump|does not mind the dark}.

?
At <t> it {sent a message to <n>|called <n>}: "The soil <at2> is at <dry> percent."
<n> {gave it a name|calls it <word>|talks with it every day}.

{Some|Most} people {think|say} that it is only a {machine|box}, but <n> {likes|trusts} it.
It is not {clever|large}, but it {does its work|is reliable|does what it can}.
""", """
The <p> needs <water> and likes <light>.
The <p> is happy at <low> to <high> °C.

It often {has|suffers from} <trouble>.
<care>

?
<n> {keeps|has} {one|two|<num>} of them <at>.
Its leaves are {small|long|soft|shiny|thick} and its flowers are <colour>.

If it {is|gets} too {cold|warm}, it {loses its leaves|stops growing}.
{In winter|In <month>} it {rests|needs less water|wants to be left alone}.
""", """
<n> and <mn> {had|wanted to build} a new {bench|shelf|door|tank|path} for <zone>.
<zone> was too small, so <n> and <mn> {made it bigger|built a new wall}.

They measured {twice|everything} and {bought|ordered} {wood|glass|stone|iron} in <city>.
<n> {drew|made} a plan, and <mn> {cut|carried} the wood.

?
It rained, so they {worked inside|waited until <day>}.
The first {board|pane} was <num> centimetres too short.
They {argued|could not agree} about the colour: <n> wanted <colour>, and <mn> did not.

After <num> days it was {ready|done|finished}.
On <day> they {painted it <colour>|put the last screw in}.

Now <num2> pots {of <p> |}stand there.
"It {looks|is} {good|fine|better than before}," said <mn>, and {they sat down|<n> agreed}.
""", """
It was {<n>'s birthday|a holiday|the last day of <month>|a quiet <day>}.
<n> {was born in|came from} <city> and {missed it|spoke of it often}.

<mn> gave <him> a <adj> <noun> and a {<colour> <noun2>|pot of <p>}.
So <mn> {baked a cake|made a soup|sang a song}{ with <q>| for <him>|}.

?
<his> {mother|father|sister|brother} {wrote a letter|called at <t>|sent a parcel with a <noun>}.
They invited {<num> people|everybody|the neighbours} to <zone>.

They {danced|talked|laughed} until <t>.
It was the {best|longest|nicest} {day|evening} of the year.
<n> will {never|not} forget it.
""", """
A {bird|cat|bee|frog|mouse|hedgehog} {was|sat} <at>{ when <n> came in|}.
{On <day>|In the evening} a {bird|cat|frog|mouse} {came in|got in} through the open {vent|door}.

It {looked at <n>|did not move|hid behind the <p>|ate from the <q>}.
<n> {did not want to hurt it|stood still|called <mn>}.

They {opened the door|put out some milk|waited} and {it went out|it left} \
{after an hour|at <t>|by itself}.
<he> {took|caught} it {gently|with both hands|in a <noun>} and carried it {outside|to the garden}.

?
The next day it {was there again|came back}.
Since then it {comes|has come} every {morning|week}, and <n> calls it <word>.
""")]
DIARY_ENDS = lines("""
{Tomorrow|On <day>} I must {order soil|look at the <p>|call <mn>|<verb1> the <noun>}.
Now I am tired. Good night.
{It was a good day|Not a bad day}.
I {wonder|do not know} what tomorrow brings.
""")
DIARY = [scene(text) for text in ("""
I {got up|was <at>|came} at <t>, and it was {<cold> °C|<mild> °C|still dark|raining}.
{Rain|Sun|Wind|Fog} {all day|in the morning|until noon}.
I slept {well|badly} and {came late|began early}.

The <p> <at> {has new leaves|is in flower|needs water|looks better}.
I {watered|repotted|moved|counted} the <p> and the <q>.
I {read|noted} <mild> °C <at> and <warm> °C <at2>.

?
<mn> {came|helped me|called} at <t> and {brought|wanted} the <noun>.
We {talked|laughed} about the <adj> <noun>.
I <past1> the <noun>, and <mn> <past2> the <noun2>.

I sold <num> pots of <q>.
{The pump|The heater|The fan} {ran|was on} {from <t> on|for <num> minutes|all night}.
The soil <at2> was at <dry> percent, so I {watered it|started the pump}.
""", """
I {found|saw} <trouble> on the <p>{ today| again|}.
The <p> <at> {worries me|is not well}.

I {washed it|cut it back|moved it to <zone2>}, and {I hope that it lives|now I wait}.
{<mn> says|The book says} that it needs <water>, so I {waited|changed that}.

The {rest|others} {are fine|grow well}.
""")]
LETTER_STARTS = lines("""
How are you{ in <city>|}? Here it {is warm|is cold|has <mild> °C} and \
{the plants grow|there is much to do}.
Thank you for {the <noun>|your letter|the seeds of <p>}.
I {write to you|am writing} because of the <noun>.
It was {good|nice} to see you {in <city>|on <day>|last month}.
""")
LETTER_ENDS = lines("""
{Best wishes|Yours|Many greetings|Until soon}, <n>
Please {write|call|answer} {soon|before <day>}. {Yours|Best wishes}, <n>
""")


def diary(cast):
    fill = cast.fill
    parts = [vary(fill, "<day>, {<date> <month>|<month> <date>|<t>}. ",
                  date=str(fill.number(1, 30)), **cast.slots) + cast.tell(fill.pick(DIARY))]
    if fill.chance(0.5):
        cast.change()
        parts.append(cast.tell(fill.pick(DIARY)))
    parts.append(say(fill, DIARY_ENDS, **cast.slots))
    return " ".join(parts)


def letter(cast):
    parts = [vary(cast.fill, "{Dear|Hello|My dear} <mn>,\n", **cast.slots)
             + say(cast.fill, LETTER_STARTS, **cast.slots)]
    cast.change()
    parts.append(cast.tell(cast.fill.pick(DIARY)))
    parts.append(say(cast.fill, LETTER_ENDS, **cast.slots))
    return " ".join(parts)


def story(cast, scenes=5):
    parts = [cast.tell(cast.fill.pick(SCENES))]
    while cast.fill.chance(0.4) and len(parts) < scenes:
        cast.change()
        parts.append(cast.tell(cast.fill.pick(SCENES)))
    return "\n".join(parts)


def make_text(fill, size):
    """Stories, diary pages and letters up to about `size` tokens."""
    cast = Cast(fill)
    texts, used = [], 0.0
    while True:
        form = fill.random.choices((story, diary, letter), (70, 22, 8))[0]
        text = story(cast, 1 + size // 150) if form is story else form(cast)
        used += chat.tokens(text) + 2
        if texts and used > size:
            return "\n\n".join(texts)
        texts.append(text)
        if fill.chance(0.4):
            cast = Cast(fill)
        else:
            cast.change()


def heldout_text(fill, n_tokens):
    """Long text for the perplexity."""
    texts, used = [], 0.0
    while used < n_tokens:
        texts.append(make_text(fill, 500))
        used += chat.tokens(texts[-1])
    return "\n\n".join(texts) + "\n"


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for wanted in (250, 500):
        print(make_text(words.Fillers(random.Random(seed)), wanted), "\n" + "-" * 80)
