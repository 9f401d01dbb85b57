"""Tools as people bring them: the weather, a timer, a message. Their words are known, but names and
parameters are spelled in many ways, and tools never seen (unseen.py) stand beside them.
"""

from keeper import parameters as P
from keeper import unseen
from keeper.render import Conversation
from keeper.unseen import NAME_WEIGHT, finish

LANGUAGES = """English French German Spanish Italian Dutch Polish Greek Turkish Arabic Japanese
Korean Chinese Hindi Russian Portuguese Swedish Danish Finnish Czech""".split()
CURRENCIES = "EUR USD GBP JPY CHF SEK NOK CAD AUD INR".split()
FOODS = """pizza pasta soup bread salad cake rice curry tea coffee juice water apples eggs milk
cheese butter sugar flour fish beans tomatoes onions potatoes""".split()
TONGUES = ("good morning", "thank you", "see you tomorrow", "where is the station", "I am hungry",
           "how are you", "the door is open", "we are late", "it is raining", "good night")
ROOMS = ("kitchen", "bathroom", "living room", "bedroom", "garage", "hall", "office", "cellar",
         "garden", "attic", "nursery", "study")
UNITS = (("km", "miles"), ("kg", "pounds"), ("cm", "inches"), ("litres", "gallons"),
         ("metres", "feet"))


def _expression(fill):
    a, b = fill.number(1, 300), fill.number(1, 99)
    return f"{a} {fill.pick('+-*/')} {b}"


def _symbol(fill):
    return "".join(fill.pick("ABCDEFGHIJKLMNOPRSTUVW") for _ in range(fill.random.randint(3, 4)))


def _mail(fill):
    return fill.person().lower() + "@" + fill.word() + fill.pick((".com", ".org", ".net"))


def _phrase(fill):
    return fill.pick(TONGUES)


def _text(fill):
    return fill.pick(("I am late", "call me back", "dinner is ready",
                      "the meeting is at " + fill.time(), "bring the " + fill.noun(),
                      "happy birthday", fill.person() + " is here",
                      "the " + fill.noun() + " is " + fill.pick(fill.adjectives)))


S, I, N = "string", "integer", "number"
# Slots: {key: (names, descriptions, type or enum, maker)}; a request names its slots.
SLOTS = {
    "city": (("city", "location", "place", "town"),
             ("The city", "Name of the city", "City and country"), S, lambda f: f.city()),
    "to": (("to", "destination", "target", "arrival"), ("Where to", "The destination"), S,
           lambda f: f.city()),
    "from": (("from", "origin", "start", "departure"), ("Where from", "The origin"), S,
             lambda f: f.city()),
    "person": (("person", "recipient", "to", "contact", "name"),
               ("Who gets it", "The recipient", "Name of the person"), S, lambda f: f.person()),
    "mail": (("to", "email", "address", "recipient"), ("Mail address", "The address"), S, _mail),
    "text": (("text", "message", "body", "content"), ("The text", "What it says"), S, _text),
    "subject": (("subject", "title", "topic"), ("The subject", "Subject line"), S,
                lambda f: f.noun()),
    "time": (("time", "at", "when", "hour"), ("The time", "Time as HH:MM", "When"), S,
             lambda f: f.time()),
    "day": (("day", "date", "when"), ("The day", "Which day"), S, P.ROLES[2][3]),
    "minutes": (("minutes", "duration", "length"),
                ("Minutes", "Duration in minutes", "How many minutes"), I,
                lambda f: f.number(1, 90)),
    "unit": (("unit", "units", "scale"), ("The unit", "Celsius or fahrenheit"),
             ["celsius", "fahrenheit"], None),
    "amount": (("amount", "value", "sum"), ("The amount", "How much"), N,
               lambda f: f.reading(1, 500)),
    "currency_from": (("from", "from_currency", "source", "base"),
                      ("Currency code", "From which currency"), S, lambda f: f.pick(CURRENCIES)),
    "currency_to": (("to", "to_currency", "target", "quote"),
                    ("Currency code", "To which currency"), S, lambda f: f.pick(CURRENCIES)),
    "query": (("query", "q", "search", "keywords"), ("What to look for", "Search words"), S,
              lambda f: f.pick(f.adjectives) + " " + f.noun() if f.chance(0.6) else f.label()),
    "phrase": (("text", "phrase", "sentence"), ("Text to translate", "The text"), S, _phrase),
    "language": (("language", "target_language", "to", "lang"), ("The language", "Target language"),
                 S, lambda f: f.pick(LANGUAGES)),
    "expression": (("expression", "formula", "calculation", "input"),
                   ("The expression", "What to compute"), S, _expression),
    "symbol": (("symbol", "ticker", "stock", "company"), ("Ticker symbol", "The symbol"), S,
               _symbol),
    "people": (("people", "guests", "seats", "party_size"), ("How many people", "Number of guests"),
               I, lambda f: f.number(1, 12)),
    "restaurant": (("restaurant", "place", "venue", "name"),
                   ("Name of the restaurant", "The restaurant"), S, lambda f: f.label()),
    "song": (("song", "title", "track", "name"), ("Title of the song", "The song"), S,
             lambda f: f.label()),
    "artist": (("artist", "singer", "band", "by"), ("The artist", "Who plays it"), S,
               lambda f: f.person()),
    "room": (("room", "area", "location", "where"), ("Which room", "The room"), S,
             lambda f: f.pick(ROOMS)),
    "power": (("state", "power", "status", "switch"), ("On or off",), ["on", "off"], None),
    "degrees": (("temperature", "degrees", "value", "target"), ("Degrees", "Target temperature"), N,
                lambda f: f.reading(5, 35)),
    "percent": (("brightness", "level", "percent", "volume"), ("Percent", "0 to 100"), I,
                lambda f: f.number(1, 100)),
    "item": (("item", "product", "name", "what"), ("What to add", "The item"), S,
             lambda f: f.pick(FOODS)),
    "count": (("count", "quantity", "amount", "number"), ("How many",), I,
              lambda f: f.number(1, 30)),
    "note": (("note", "text", "content", "title"), ("The note", "Text of the note"), S, _text),
    "title": (("title", "name", "event", "what"), ("Title of the event", "What it is"), S,
              lambda f: f.noun() + " with " + f.person()),
    "order": (("order_id", "order", "id", "number"), ("Number of the order", "Order id"), S,
              lambda f: f.label()),
    "file": (("path", "file", "filename", "name"), ("Path of the file", "File name"), S,
             lambda f: f.word() + f.pick((".txt", ".md", ".csv", ".json", ".py"))),
    "unit_from": (("from_unit", "from", "source"), ("From which unit",), S, None),
    "unit_to": (("to_unit", "to", "target"), ("To which unit",), S, None),
}
# (names, descriptions, required slots, optional slots, requests; [..] is there when its slot is)
TOOLS = [
    (("get_weather", "weather", "getWeather", "current_weather", "weather_lookup"),
     ("Get the weather in a city.", "Returns the current weather.", "Current weather for a city",
      "Tells the weather."), ("city",), ("unit",),
     ("what is the weather in {city}[ in {unit}]?", "how is the weather in {city}[ in {unit}]?",
      "weather in {city}[, {unit}]", "what's the weather like in {city}[, in {unit}]?",
      "is it raining in {city}[? Use {unit}]", "tell me the weather in {city}[ in {unit}]",
      "how warm is it in {city}[ in {unit}]?", "do I need a coat in {city}[ (in {unit})]?",
      "[in {unit}, ]how is the weather in {city}?")),
    (("get_forecast", "forecast", "weatherForecast"),
     ("Weather forecast for a day.", "Returns the forecast."), ("city", "day"), (),
     ("what will the weather be in {city} on {day}?", "forecast for {city} on {day}",
      "will it rain in {city} on {day}?")),
    (("set_timer", "timer", "start_timer", "setTimer"),
     ("Sets a timer.", "Start a timer.", "Starts a countdown."), ("minutes",), (),
     ("set a timer for {minutes} minutes", "timer for {minutes} minutes",
      "start a timer of {minutes} minutes", "wake me in {minutes} minutes",
      "remind me in {minutes} minutes", "count down {minutes} minutes")),
    (("set_alarm", "alarm", "setAlarm", "create_alarm"), ("Sets an alarm.", "Set an alarm clock."),
     ("time",), ("day",),
     ("set an alarm for {time}[ on {day}]", "wake me at {time}[ on {day}]",
      "alarm at {time}[, {day}]", "I must get up at {time}[ on {day}]",
      "[on {day} ]wake me up at {time}")),
    (("send_message", "message", "sendMessage", "text_person"),
     ("Sends a message to a person.", "Send a text message."), ("person", "text"), (),
     ("tell {person} that {text}", "send {person} a message: {text}", "text {person} {text}",
      "write {person} that {text}", "message {person}: {text}",
      "send a message to {person} saying {text}", "let {person} know: {text}")),
    (("send_email", "email", "sendMail", "mail"),
     ("Sends an email.", "Send an e-mail to somebody."), ("mail", "subject", "text"), (),
     ("send a mail to {mail} about {subject} saying {text}",
      "email {mail}, subject {subject}: {text}",
      "write to {mail} with the subject {subject}: {text}",
      "mail {mail} the text {text} with subject {subject}")),
    (("convert_currency", "currency", "exchange", "convertMoney"),
     ("Converts money.", "Convert an amount between currencies."),
     ("amount", "currency_from", "currency_to"), (),
     ("convert {amount} {currency_from} to {currency_to}",
      "how much is {amount} {currency_from} in {currency_to}?",
      "what are {amount} {currency_from} in {currency_to}?",
      "change {amount} {currency_from} into {currency_to}",
      "{amount} {currency_from} to {currency_to}")),
    (("convert_units", "units", "unitConverter"),
     ("Converts units.", "Convert a value to another unit."),
     ("amount", "unit_from", "unit_to"), (),
     ("convert {amount} {unit_from} to {unit_to}", "how many {unit_to} are {amount} {unit_from}?",
      "{amount} {unit_from} in {unit_to}")),
    (("web_search", "search", "search_web", "find"),
     ("Searches the web.", "Search the internet.", "Looks something up."), ("query",), (),
     ("search for {query}", "look up {query}", "find something about {query}",
      "search the web for {query}", "google {query}", "what can you find about {query}?")),
    (("translate", "translate_text", "translator"),
     ("Translates text.", "Translate a text into a language."), ("phrase", "language"), (),
     ('translate "{phrase}" to {language}', "how do you say {phrase} in {language}?",
      "say {phrase} in {language}", "what is {phrase} in {language}?",
      "translate {phrase} into {language}", "put '{phrase}' into {language}")),
    (("calculate", "calculator", "compute", "evaluate", "math"),
     ("Calculates an expression.", "Does arithmetic.", "A calculator."), ("expression",), (),
     ("what is {expression}?", "calculate {expression}", "compute {expression}",
      "how much is {expression}?", "{expression} = ?")),
    (("get_stock_price", "stock_price", "getQuote", "stock"),
     ("Price of a stock.", "Returns the current stock price."), ("symbol",), (),
     ("what is the price of {symbol}?", "how is {symbol} doing?", "stock price of {symbol}",
      "what does {symbol} cost?", "check the stock {symbol}")),
    (("book_table", "reserve_table", "reservation", "bookTable"),
     ("Books a table in a restaurant.", "Reserve a table."),
     ("restaurant", "people", "time"), ("day",),
     ("book a table for {people} at {restaurant} at {time}[ on {day}]",
      "reserve a table for {people} people at {time}[ on {day}] in {restaurant}",
      "we are {people} and want to eat at {restaurant} at {time}[ on {day}]",
      "table for {people} at {restaurant}, {time}[, {day}]")),
    (("book_flight", "find_flight", "searchFlights", "flights"),
     ("Finds flights.", "Search for flights between cities."), ("from", "to"), ("day",),
     ("find a flight from {from} to {to}[ on {day}]",
      "I want to fly from {from} to {to}[ on {day}]", "flights from {from} to {to}[, {day}]",
      "[on {day} ]I need to get from {from} to {to}", "fly me to {to} from {from}[ on {day}]")),
    (("play_music", "play_song", "play", "playTrack"), ("Plays a song.", "Play music."),
     ("song",), ("artist",),
     ("play {song}[ by {artist}]", "I want to hear {song}[ by {artist}]",
      "put on {song}[ by {artist}]", "play the song {song}[ by {artist}]")),
    (("set_light", "light", "switch_light", "toggleLight"),
     ("Switches the light in a room.", "Turn lights on or off."), ("room", "power"), (),
     ("turn {power} the light in the {room}", "switch the {room} light {power}",
      "light {power} in the {room}", "turn the lights in the {room} {power}",
      "{room} light {power}, please")),
    (("dim_light", "set_brightness", "dimmer"), ("Sets the brightness of a lamp.", "Dim a light."),
     ("room", "percent"), (),
     ("dim the {room} to {percent} percent", "set the {room} light to {percent} %",
      "brightness {percent} in the {room}")),
    (("set_thermostat", "set_temperature", "thermostat", "heating"),
     ("Sets the heating.", "Set the temperature of a room."), ("degrees",), ("room",),
     ("set the heating[ in the {room}] to {degrees} degrees",
      "make it {degrees} degrees[ in the {room}]", "heat[ the {room}] to {degrees}",
      "I want {degrees} degrees[ in the {room}]", "thermostat[ {room}] {degrees}")),
    (("add_to_cart", "add_item", "shopping_list", "addItem"),
     ("Adds something to the shopping list.", "Add an item to the list."), ("item",), ("count",),
     ("add[ {count}] {item} to the list", "put[ {count}] {item} on the shopping list",
      "we need[ {count}] {item}", "buy[ {count}] {item}", "I am out of {item}[, get {count}]")),
    (("create_note", "add_note", "note", "saveNote"), ("Saves a note.", "Creates a note."),
     ("note",), (),
     ("note that {note}", "make a note: {note}", "write down that {note}", "remember that {note}",
      "save this: {note}")),
    (("create_event", "add_event", "calendar", "schedule_meeting"),
     ("Adds an event to the calendar.", "Creates an event."), ("title", "day"), ("time",),
     ("add {title} to my calendar on {day}[ at {time}]", "schedule {title} for {day}[ at {time}]",
      "I have {title} on {day}[ at {time}]", "put {title} into the calendar, {day}[ {time}]",
      "plan {title} on {day}[ at {time}]")),
    (("track_order", "order_status", "getOrder", "where_is_order"),
     ("Status of an order.", "Tells where an order is."), ("order",), (),
     ("where is my order {order}?", "track order {order}", "what is the status of order {order}?",
      "has {order} been sent?")),
    (("get_time", "time", "clock", "current_time"), ("Current time in a city.", "Tells the time."),
     ("city",), (),
     ("what time is it in {city}?", "time in {city}", "how late is it in {city}?",
      "what is the local time in {city}?")),
    (("read_file", "open_file", "cat", "load"), ("Reads a file.", "Returns the content of a file."),
     ("file",), (),
     ("read {file}", "show me {file}", "what is in {file}?", "open the file {file}",
      "print {file}")),
    (("get_news", "news", "headlines"), ("Returns the news.", "Latest headlines."), (), ("query",),
     ("what is in the news[ about {query}]?", "latest news[ about {query}]",
      "show me the headlines[ on {query}]", "any news[ about {query}]?")),
    (("roll_dice", "dice", "random_number"), ("Rolls a dice.", "Roll dice."), (), ("count",),
     ("roll[ {count}] dice", "throw[ {count}] dice", "roll the dice[ {count} times]")),
]


class Everyday:
    """A tool of the table with its spelling of the day."""

    def __init__(self, fill, row):
        names, descriptions, required, optional, self.requests = row
        if fill.chance(0.85):
            self.name = fill.pick(names)
        else:
            self.name = P.spell_name(fill, [fill.word(), fill.word()])
        self.query = True
        self.slots = {}  # key: (name, schema, maker, is it required)
        taken = set()
        for key in (*required, *optional):
            if key in optional and fill.chance(0.35):
                continue  # the tool does not have it
            spellings, texts, kind, make = SLOTS[key]
            shuffled = fill.random.sample(spellings, len(spellings))
            name = next((n for n in shuffled if n not in taken), key)
            taken.add(name)
            schema = {"type": "string", "enum": kind} if isinstance(kind, list) else {"type": kind}
            if fill.chance(0.55):
                schema["description"] = fill.pick(texts)
            self.slots[key] = (name, schema, make, key in required)
        parameters = {"type": "object",
                      "properties": {name: schema for name, schema, _, _ in self.slots.values()}}
        needed = [name for name, _, _, is_required in self.slots.values() if is_required]
        if needed:
            parameters["required"] = needed
        self.declaration = {"name": self.name, "description": fill.pick(descriptions),
                            "parameters": parameters}

    def ask(self, fill):
        """(text without final mark, arguments)"""
        values = {}
        units = fill.random.sample(fill.pick(UNITS), 2)
        for key, (_, schema, make, is_required) in self.slots.items():
            if is_required or fill.chance(0.5):
                if "enum" in schema:
                    values[key] = fill.pick(schema["enum"])
                elif make is None:
                    values[key] = units[key == "unit_to"]
                else:
                    values[key] = make(fill)
        text = fill.pick(self.requests)
        while "[" in text:  # a part that is there when its slot is
            start, end = text.index("["), text.index("]")
            part = text[start + 1:end]
            key = part[part.index("{") + 1:part.index("}")]
            text = text[:start] + (part if key in values else "") + text[end + 1:]
        for key, value in values.items():
            text = text.replace("{" + key + "}", str(value))
        if fill.chance(0.15):
            text = fill.pick(("please ", "hey, ", "hi, ", "now ", "also ", "and ",
                              "could you check: ")) + text
        return text.strip(), {self.slots[key][0]: value for key, value in values.items()}


def tool_set(fill):
    """One to four everyday tools, and sometimes tools never seen."""
    rows = fill.random.sample(TOOLS, fill.random.choices((1, 2, 3, 4), (2, 4, 3, 2))[0])
    tools = [Everyday(fill, row) for row in rows]
    if fill.chance(0.25):
        tools += unseen.tool_set(fill, fill.random.randint(1, 2), 1)
    names = {}
    for tool in tools:
        names.setdefault(tool.name.lower(), tool)
    tools = list(names.values())
    fill.random.shuffle(tools)
    return tools


def ask(fill, tools):
    everyday = [tool for tool in tools if isinstance(tool, Everyday)]
    if len(everyday) < len(tools) and fill.chance(0.2):
        return unseen.ask(fill, [tool for tool in tools if not isinstance(tool, Everyday)])
    tool = fill.pick(everyday)
    return (tool, *tool.ask(fill))


def make(fill, size):
    tools = tool_set(fill)
    conversation = Conversation(system=unseen.system_text(fill),
                                tools=[tool.declaration for tool in tools])
    length = unseen.approximate_tokens(conversation)
    while True:
        before = len(conversation.messages)
        if fill.chance(0.07):
            question, answer = fill.pick(unseen.THANKS)
            conversation.user(question)
            conversation.model(answer)
        else:
            asked = [ask(fill, tools)]
            if fill.chance(0.12):
                asked.append(ask(fill, tools))
            text = asked[0][1]
            for _, more, _ in asked[1:]:
                text = text.rstrip("?") + fill.pick((" and ", ". Also ", ", and ")) + more
            conversation.user(finish(fill, text, keep_case=text[0].isdigit()))
            conversation.model(calls=[(tool.name, arguments) for tool, _, arguments in asked],
                               name_weight=NAME_WEIGHT if len(tools) > 1 else None)
            pairs = [unseen.result_and_answer(fill, tool) for tool, _, _ in asked]
            conversation.results([result for result, _ in pairs])
            conversation.model(" ".join(answer for _, answer in pairs))
        length += sum(map(unseen.message_length, conversation.messages[before:])) / 3
        if length > size * 0.85:
            return conversation
