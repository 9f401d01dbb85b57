"""Words that fill the sentences, each either for training or held out, by a hash of its spelling.

    fill = Fillers(random.Random(1), held_out=False, pieces=tokenizer.ordinary)
    fill.zone()      "fern house"
    fill.number(0, 40)

The split: a held-out name, zone, noun, verb or number never occurs in training in the role of a
filler, and the evaluation uses no other.
"""

import zlib

PEOPLE = """Ada Adam Agnes Ahmed Aiko Alan Albert Alex Alice Alma Amara Amir Amy Ana Anders Andrea
Andy Angela Anita Anna Anton Aria Arthur Asha Astrid Ben Bella Berta Bianca Bill Bob Boris Bruno
Carl Carla Carlos Carmen Cecil Celia Chen Chloe Clara Claude Colin Cora Dan Dana Daria David Dean
Delia Dennis Diego Dina Dora Edith Edna Elena Eli Ella Elsa Emil Emma Eric Erin Ernest Esther Ethan
Eva Fatima Felix Fiona Flora Frank Frida George Gina Grace Greta Gus Hana Hank Hans Harry Heidi
Helen Henry Hugo Ida Igor Ines Ingrid Iris Isaac Ivan Ivy Jack Jamal Jane Jasper Jean Jill Joan Joe
John Jonas Jorge Judy Julia June Kai Karen Kate Keiko Ken Kim Kira Klaus Lars Laura Layla Lea Leo
Lena Lily Linda Lisa Liz Lola Louis Lucas Lucy Luis Luna Lydia Mabel Maria Mark Marta Martin Mary
Mateo Maud Max Maya Mia Mike Mila Milo Mina Mira Mona Nadia Nate Neil Nell Nick Nina Noah Nora Olga
Oliver Olive Omar Oscar Otto Pablo Paul Paula Pedro Penny Peter Petra Phil Pia Priya Quinn Rachel
Ralph Ravi Ray Rita Rob Rosa Rose Ruby Rudy Ruth Sally Sam Samir Sara Seth Silvia Simon Sofia Stella
Sven Tara Ted Tess Theo Tim Tina Tom Tony Uma Una Vera Victor Vince Viola Walter Wanda Wendy Will
Xenia Yara Yusuf Zara Zoe""".split()

CITIES = """Paris London Berlin Madrid Rome Vienna Prague Warsaw Oslo Dublin Lisbon Athens Helsinki
Zurich Geneva Hamburg Munich Lyon Nice Porto Seville Milan Turin Naples Venice Krakow Riga Vilnius
Tallinn Cairo Lagos Nairobi Accra Dakar Tunis Tokyo Osaka Kyoto Seoul Beijing Shanghai Delhi Mumbai
Hanoi Bangkok Manila Jakarta Sydney Perth Boston Chicago Denver Dallas Austin Seattle Miami Atlanta
Toronto Montreal Havana Lima Quito Bogota Santiago Brussels Cologne Bremen Leeds York Bath Bergen
Malmo Turku Utrecht Delft Ghent Basel Graz Linz Split Zagreb Sofia Izmir Dubai Doha Kabul
Almaty""".split()

PLANTS = """tomato basil mint rose fern orchid lemon pepper lettuce cucumber spinach bean pea carrot
radish onion garlic parsley thyme sage lavender rosemary dill chive violet tulip lily daisy poppy
cactus aloe palm fig olive grape melon pumpkin squash strawberry raspberry blueberry peach cherry
plum pear apple orange banana coffee ginger turmeric kale cabbage celery leek beet turnip potato
corn sunflower begonia fuchsia jasmine hibiscus azalea camellia iris peony dahlia aster zinnia
clover ivy moss bamboo bonsai oregano coriander fennel chili okra eggplant artichoke
asparagus""".split()

PLACES = """bed house room bench corner tunnel shelf table row wing hall tent shed frame dome plot
rack terrace alcove gallery patch border nursery annex bay""".split()

PLACE_WORDS = """north south east west upper lower front back left right middle old new small big
long short warm cool cold dry damp bright shady quiet red blue green white yellow glass stone brick
wooden iron main outer inner far near first second third fern palm rose tomato herb moss cactus
orchid lemon vine seed seedling propagation tropical desert alpine water bee butterfly tool pepper
berry fig melon""".split()

COLOURS = """red blue green white black yellow orange purple pink brown grey silver golden violet
teal cyan magenta amber ivory beige crimson scarlet indigo olive turquoise maroon navy
coral""".split()

ADJECTIVES = """quick slow loud quiet soft hard new old big small long short warm cold hot cool
bright dark dry wet clean dirty full empty open closed deep shallow heavy light wide narrow thick
thin rich plain fresh stale sharp blunt smooth rough simple complex local remote public private
daily weekly monthly yearly early late first last next final main spare broken loose tight round
square flat steep high low safe free busy idle active hidden visible urgent secret common rare
special general current recent former future annual total average nearest cheapest fastest latest
favourite personal shared official digital manual automatic internal external foreign domestic rural
urban coastal northern southern eastern western central upper lower outer inner""".split()

NOUNS = """account address album alarm anchor animal answer apartment appointment archive arrow
article artist bag bakery balance ball band bank banner barrel basket battery beach bell belt
bicycle bill bird blanket board boat bomb book border bottle box branch brand bread bridge broadcast
brush bucket budget building bus button cabin cable cake calendar camera camp candle canvas car card
carpet cart case castle catalog ceiling chair channel chapter charge chart chest child circle city
class client clinic clock cloud coach coat code coin collection colour column comment company
compass concert contact container contract cookie corner country course court cover crane credit
crew crop crowd cup currency curtain customer cycle database date deal deck delivery department
deposit desert desk device diary dictionary dinner disk document dog door draft drawer dress drill
drink driver drone drum duck dust editor elevator email engine entry envelope essay event exam
exhibit expense factory family fan farm fence ferry festival field file film filter fine finger fire
fish flag flight floor flower folder food forecast forest fork form fountain friend frog fruit fuel
furnace game garage garden gate gift glass glove goal goat grade grant graph grill grocery group
guest guide guitar hammer harbour hat heater highway hill holiday home hook horse hospital hotel
hour house ice idea image index insect invoice island item jacket jar job joke journal journey judge
juice kettle key keyboard kitchen kite knife label lake lamp language laptop laundry lawn lawyer
leaf lecture ledger lesson letter level library licence light line link list loan lock lottery lunch
machine magazine mail manager map market mask match meal measure medal medicine meeting member memo
menu message meter mirror model money monitor monument mountain mouse movie museum music napkin
needle neighbour network newspaper nickname note notebook number office oil opera order organ outfit
oven owner package page paint painting palace paper parade parcel park partner party passenger
password patch path patient pattern payment pen pencil permit phone photo piano picture pilot pipe
plane planet plate player playlist plug pocket podcast poem point police policy pond pool port
portrait post poster pot present price printer prison prize product profile program project proposal
puzzle quarry queue quiz quote radio railway rain ranking rate recipe record refund region register
rent report request reservation reservoir restaurant result reward ribbon river road robot rocket
roof room rope route ruler sail salad salary sale sample sand satellite schedule school score screen
script sea season seat secret sensor server service session shadow share sheet shelf ship shirt shoe
shop shower shuttle sign signal singer site sketch ski skirt sleeve slide snack snow soap sock sofa
song sound soup speaker speech sport spring stadium staff stage stamp star station statue stock
stone store storm story stove street student studio subject subway suit summary supply survey switch
table tablet tailor tank tape target task tax taxi team telescope temple tenant tent test text
theatre thread ticket tide tile timer title toast token tool torch tour towel tower town toy track
trade traffic train translation trash treasure tree trip trophy truck tunnel turbine uniform unit
update vacation valley valve vehicle vendor venue video village violin visa visit visitor voice
volcano vote voucher wagon wall wallet warehouse warning watch water wave weather website wedding
weight wheel whistle window wine winner wire wish wolf word worker workshop yard zoo""".split()

# Base, third person, past, -ing.
VERBS = [tuple(line.split()) for line in """
add adds added adding
adjust adjusts adjusted adjusting
approve approves approved approving
archive archives archived archiving
ask asks asked asking
assign assigns assigned assigning
attach attaches attached attaching
balance balances balanced balancing
block blocks blocked blocking
book books booked booking
borrow borrows borrowed borrowing
brew brews brewed brewing
build builds built building
buy buys bought buying
calculate calculates calculated calculating
call calls called calling
cancel cancels cancelled cancelling
change changes changed changing
charge charges charged charging
check checks checked checking
choose chooses chose choosing
clean cleans cleaned cleaning
clear clears cleared clearing
close closes closed closing
collect collects collected collecting
compare compares compared comparing
compute computes computed computing
confirm confirms confirmed confirming
connect connects connected connecting
convert converts converted converting
cook cooks cooked cooking
copy copies copied copying
count counts counted counting
create creates created creating
cut cuts cut cutting
decorate decorates decorated decorating
delete deletes deleted deleting
deliver delivers delivered delivering
describe describes described describing
detect detects detected detecting
dim dims dimmed dimming
download downloads downloaded downloading
draw draws drew drawing
edit edits edited editing
empty empties emptied emptying
enable enables enabled enabling
estimate estimates estimated estimating
export exports exported exporting
fetch fetches fetched fetching
fill fills filled filling
find finds found finding
fix fixes fixed fixing
fold folds folded folding
forward forwards forwarded forwarding
freeze freezes froze freezing
get gets got getting
hide hides hid hiding
hire hires hired hiring
import imports imported importing
inspect inspects inspected inspecting
install installs installed installing
invite invites invited inviting
join joins joined joining
launch launches launched launching
lend lends lent lending
lift lifts lifted lifting
list lists listed listing
load loads loaded loading
locate locates located locating
lock locks locked locking
lower lowers lowered lowering
mark marks marked marking
measure measures measured measuring
mix mixes mixed mixing
monitor monitors monitored monitoring
mount mounts mounted mounting
move moves moved moving
mute mutes muted muting
open opens opened opening
order orders ordered ordering
pack packs packed packing
paint paints painted painting
park parks parked parking
pause pauses paused pausing
pay pays paid paying
pick picks picked picking
plan plans planned planning
play plays played playing
polish polishes polished polishing
post posts posted posting
predict predicts predicted predicting
prepare prepares prepared preparing
print prints printed printing
publish publishes published publishing
rank ranks ranked ranking
rate rates rated rating
read reads read reading
record records recorded recording
refill refills refilled refilling
register registers registered registering
reject rejects rejected rejecting
remove removes removed removing
rename renames renamed renaming
rent rents rented renting
repair repairs repaired repairing
replace replaces replaced replacing
report reports reported reporting
reserve reserves reserved reserving
reset resets reset resetting
resize resizes resized resizing
restart restarts restarted restarting
return returns returned returning
review reviews reviewed reviewing
rotate rotates rotated rotating
save saves saved saving
scan scans scanned scanning
schedule schedules scheduled scheduling
search searches searched searching
sell sells sold selling
send sends sent sending
set sets set setting
share shares shared sharing
ship ships shipped shipping
show shows showed showing
sign signs signed signing
sort sorts sorted sorting
split splits split splitting
start starts started starting
stop stops stopped stopping
store stores stored storing
submit submits submitted submitting
summon summons summoned summoning
tag tags tagged tagging
test tests tested testing
toggle toggles toggled toggling
track tracks tracked tracking
translate translates translated translating
trim trims trimmed trimming
tune tunes tuned tuning
unlock unlocks unlocked unlocking
unpack unpacks unpacked unpacking
update updates updated updating
upload uploads uploaded uploading
verify verifies verified verifying
wash washes washed washing
weigh weighs weighed weighing
wipe wipes wiped wiping
wrap wraps wrapped wrapping
write writes wrote writing
""".strip().splitlines()]

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = """January February March April May June July August September October November
December""".split()

SYLLABLES = """ba be bi bo bu ca ce ci co cu da de di do du fa fe fi fo fu ga ge gi go gu ha he hi
ho hu ja je jo ju ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po pu ra re
ri ro ru sa se si so su ta te ti to tu va ve vi vo vu wa we wi wo ya ye yo za ze zi zo zu bar bel
cor dan den dor fal fen gar gel hal hem jan jor kal kem kor lan lem lor mar mel mon nar nel nor pal
pen por ran rel ros sal sen sor tal tem tor val ven vor wil wen zan zel art est ing ond ull ark ish
ock and ern ost""".split()


def is_held_out(text):
    return zlib.crc32(text.lower().encode()) % 8 == 3


def is_held_out_number(value):
    return int(value) % 7 == 3


class Fillers:
    """Random fillers of one side of the split. `pieces`: the tokenizer's ordinary pieces, so that
    every one of them occurs in names; without them (training the tokenizer) syllables do."""

    def __init__(self, random, held_out=False, pieces=None):
        self.random = random
        self.held_out = held_out
        keep = lambda words: [w for w in words if is_held_out(w) == held_out]  # noqa: E731
        self.people, self.cities, self.plants = keep(PEOPLE), keep(CITIES), keep(PLANTS)
        self.colours, self.adjectives, self.nouns = keep(COLOURS), keep(ADJECTIVES), keep(NOUNS)
        self.verbs = [verb for verb in VERBS if is_held_out(verb[0]) == held_out]
        letters = [p.strip() for p in pieces or () if p.strip().isascii() and p.strip().isalpha()]
        self._name_pieces = sorted({p for p in letters if p.islower() and len(p) > 1})
        self._value_pieces = sorted({p for p in letters})

    def pick(self, words):
        return self.random.choice(words)

    def chance(self, share):
        return self.random.random() < share

    def _fresh(self, make):
        while True:
            text = make()
            if is_held_out(text) == self.held_out:
                return text

    def person(self):
        return self.pick(self.people)

    def city(self):
        return self.pick(self.cities)

    def plant(self):
        return self.pick(self.plants)

    def noun(self):
        return self.pick(self.nouns)

    def zone(self):
        """A part of the greenhouse, without article: "fern house", "zone 12"."""
        def make():
            if self.chance(0.25):
                kind = self.pick(("zone", "bed", "bench", "row", "house", "room", "section"))
                number = self.random.choice("ABCDEFGH") if self.chance(0.3) else self.number(1, 30)
                return f"{kind} {number}"
            return self.pick(PLACE_WORDS) + " " + self.pick(PLACES)
        return self._fresh(make)

    def number(self, low, high):
        while True:
            value = self.random.randint(low, high)
            if is_held_out_number(value) == self.held_out:
                return value

    def decimal(self, low, high):
        return round(self.number(low, high - 1) + self.random.randint(1, 9) / 10, 1)

    def reading(self, low, high):
        return self.decimal(low, high) if self.chance(0.6) else self.number(low, high)

    def time(self):
        def make():
            minute = self.pick((0, 15, 30, 45)) if self.chance(0.6) else self.random.randint(0, 59)
            return f"{self.random.randint(0, 23):02d}:{minute:02d}"
        return self._fresh(make)

    def word(self):
        """A made-up word of 1 to 4 pieces, lower case."""
        def make():
            if self._name_pieces and self.chance(0.6):
                pieces, n = self._name_pieces, self.random.randint(1, 3)
            else:
                pieces, n = SYLLABLES, self.random.randint(2, 3)
            return "".join(self.pick(pieces) for _ in range(n))
        return self._fresh(make)

    def label(self):
        """A value that says nothing: words of any pieces, codes, names."""
        def make():
            roll = self.random.random()
            if roll < 0.3:
                return self.word()
            if roll < 0.45 and self._value_pieces:
                return " ".join("".join(self.pick(self._value_pieces)
                                        for _ in range(self.random.randint(1, 2)))
                                for _ in range(self.random.randint(1, 3)))
            if roll < 0.6:
                return self.word().capitalize()
            if roll < 0.63:
                return str(self.random.randint(1, 10 ** self.random.randint(1, 5)))
            if roll < 0.7:
                return self.pick("ABCDEFGHJKLMNPRSTUVWXYZ") + self.pick(("", "-")) + str(
                    self.random.randint(1, 999))
            if roll < 0.8:
                return "".join(self.pick("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")
                               for _ in range(self.random.randint(3, 7)))
            if roll < 0.9:
                return self.word() + " " + self.word()
            return self.pick(self.adjectives) + " " + self.noun()
        return self._fresh(make)
