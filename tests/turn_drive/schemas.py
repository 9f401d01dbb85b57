"""Random JSON schemas of the supported subset (docs/guides/constraints.md), each satisfiable."""

NAMES = ["name", "city", "max_results", "isOpen", "a b", "user.name", "max-results", "x:y", "a=b",
         "\"quoted\"", "it's", "back\\slash", "ключ", "naïve", "日本", "😀", "", "{", "[0]", "1st",
         "$filter", "@type", "type", "properties", "required", "enum", "nullable", "items", "$ref",
         "null", "true", "call:f", " spaced ", "line\nbreak"]
WORDS = ["low", "high", "", "in progress", "São Paulo", "\"quoted\"", "back\\slash", "it's", "null",
         "5", "a,b", "}", "]", "tab\there", "line\nbreak", "日本", "😀", "call:f{x:1}"]
FORMATS = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri",
           "uuid", "colour"]
DEFINITIONS = ["Node", "Point", "a/b", "tilde~", "型"]

PATTERN_ATOMS = ["[a-z]", "[A-Z0-9]", "\\d", "\\w", "[0-9a-f]", "[^x]", "[äöü]",
                 "[\\u4e00-\\u9fff]", "x", "\\.", "-", "\\/", "\"", "\\\\", "(?:ab|cd)", "."]
# With the fewest repetitions.
QUANTIFIERS = {"": 1, "?": 0, "*": 0, "+": 1, "{2}": 2, "{1,3}": 1, "{0,2}": 0, "{3,}": 3}
LOOK_AHEADS = ["^(?=.*[A-Z])(?=.*\\d)[A-Za-z0-9]{4,12}$", "^(?!admin$)[a-z]{3,8}$"]

DEPTHS = [1, 2, 3, 4]
DEPTH_WEIGHTS = [5, 5, 3, 1]


class SchemaMaker:
    def __init__(self, random):
        self.random = random
        self.definitions = {}

    def schema(self):
        """Any schema, as of an answer."""
        return self.with_definitions(self.value)

    def parameters(self):
        """The schema of an object, as of a tool."""
        return self.with_definitions(self.object)

    def with_definitions(self, make):
        self.definitions = {}
        if self.chance(0.3):
            self.define()
        schema = make(self.random.choices(DEPTHS, DEPTH_WEIGHTS)[0])
        if self.definitions:
            schema["$defs"] = self.definitions
        return schema

    def define(self):
        """One or two definitions; the first may contain itself."""
        first, second = self.random.sample(DEFINITIONS, 2)
        node = {"type": "object", "properties": {"label": self.string()}, "required": ["label"]}
        self.definitions[first] = node
        if self.chance(0.5):
            self.definitions[second] = self.value(1)
        if self.chance(0.5):
            node["properties"]["next"] = {"anyOf": [reference(first), {"type": "null"}]}
        else:
            kids = {"type": "array", "items": reference(first), "maxItems": 2}
            node["properties"]["kids"] = kids

    def chance(self, share):
        return self.random.random() < share

    def value(self, depth):
        kinds = {self.string: 6, self.integer: 4, self.number: 3, self.boolean: 2, self.listed: 3,
                 self.null: 0.5}
        if depth > 0:
            nested = {self.object: 7, self.nullable_object: 1, self.array: 4, self.any_of: 2,
                      self.one_of: 0.5, self.all_of: 0.5, self.anything: 0.1}
            kinds |= {lambda make=make: make(depth): weight for make, weight in nested.items()}
        if self.definitions:
            kinds[self.defined] = 2
        (make,) = self.random.choices(list(kinds), list(kinds.values()))
        schema = make()
        if self.chance(0.1):
            schema["description"] = self.random.choice(WORDS)
        return schema

    # Types.

    def typed(self, name, **keywords):
        spelled = self.random.choices([name, name.upper(), [name, "null"]], [17, 1, 2])[0]
        return {"type": spelled, **keywords}

    def null(self):
        return {"type": "null"}

    def boolean(self):
        return self.typed("boolean")

    def string(self):
        kind = self.random.choices(["limited", "free", "pattern", "format"], [8, 1, 3, 2])[0]
        if kind == "free":
            return self.typed("string")
        if kind == "format":
            return self.typed("string", format=self.random.choice(FORMATS))
        if kind == "pattern":
            return self.typed("string", **self.pattern())
        least = self.random.choice([0, 0, 0, 1, 2, 5])
        limits = {"minLength": least, "maxLength": least + self.random.randint(0, 30)}
        return self.typed("string", **limits)

    def pattern(self):
        if self.chance(0.1):
            return {"pattern": self.random.choice(LOOK_AHEADS)}
        text, least = self.unanchored_pattern()
        start, end = self.random.choice([("^", "$")] * 3 + [("^", ""), ("", "$"), ("", "")])
        keywords = {"pattern": start + text + end, "maxLength": least + self.random.randint(0, 20)}
        if self.chance(0.3):
            keywords["minLength"] = self.random.randint(0, least)
        return keywords

    def anchored_pattern(self):
        return f"^{self.unanchored_pattern()[0]}$"

    def unanchored_pattern(self):
        """An expression, and the length of its shortest match."""
        text, least = "", 0
        for _ in range(self.random.randint(1, 4)):
            atom = self.random.choice(PATTERN_ATOMS)
            quantifier, repeats = self.random.choice(list(QUANTIFIERS.items()))
            text += atom + quantifier
            least += repeats * (2 if "|" in atom else 1)
        return text, least

    def integer(self):
        return self.typed("integer", **self.limits(lambda: self.random.randint(-10**6, 10**6), 0))

    def number(self):
        digits = self.random.randint(0, 4)
        if self.chance(0.2):
            return self.typed("number", multipleOf=self.random.choice([0.01, 1, 10, 0.001]))
        limits = self.limits(lambda: round(self.random.uniform(-1000, 1000), digits), digits)
        return self.typed("number", **limits)

    def limits(self, make, digits):
        """None, one or two limits with room between them."""
        lower = make()
        upper = lower + 3 + abs(make()) * self.random.choice([0, 0.001, 1])
        upper = round(upper, digits) if isinstance(lower, float) else int(upper)
        limits = {}
        if self.chance(0.5):
            limits[self.random.choice(["minimum", "exclusiveMinimum"])] = lower
        if self.chance(0.5):
            limits[self.random.choice(["maximum", "exclusiveMaximum"])] = upper
        return limits

    def listed(self):
        if self.chance(0.3):
            return {"const": self.constant()}
        words = self.random.sample(WORDS, self.random.randint(1, 5))
        if self.chance(0.5):
            return {"type": "string", "enum": words}
        mixed = words + [1, -2.5, True, None, [1, "x"], {"k": [None]}]
        return {"enum": self.random.sample(mixed, self.random.randint(1, 4))}

    def constant(self):
        return self.random.choice([*WORDS, 0, 7, -1.5, False, None, [], {}, [1, ["ä"]], {"a b": 1}])

    def array(self, depth):
        schema = self.typed("array")
        if self.chance(0.2):
            first = [self.value(depth - 2) for _ in range(self.random.randint(1, 3))]
            schema |= {"prefixItems": first, "items": False,
                       "minItems": self.random.randint(0, len(first))}
            return schema
        schema["items"] = self.value(depth - 2)
        least = self.random.choice([0, 0, 1, 2])
        if least:
            schema["minItems"] = least
        if self.chance(0.9):
            schema["maxItems"] = least + self.random.randint(0, 3)
        return schema

    def object(self, depth):
        names = self.random.sample(NAMES, self.random.randint(0, 4))
        schema = {"type": "object",
                  "properties": {name: self.value(depth - 1) for name in names}}
        required = [name for name in names if self.chance(0.5)]
        if required or self.chance(0.5):
            schema["required"] = required
        others = self.random.random()
        if others < 0.3:
            schema["additionalProperties"] = False
        elif others < 0.45:
            schema["additionalProperties"] = self.value(0)
        elif names and others < 0.55:
            schema["minProperties"] = self.random.randint(0, len(names))
        elif names and others < 0.65:
            schema["maxProperties"] = self.random.randint(max(1, len(required)), len(names))
        if self.chance(0.05):
            schema["propertyOrdering"] = self.random.sample(names, len(names))
        return schema

    def nullable_object(self, depth):
        return self.object(depth) | {"nullable": True}

    # Combinations.

    def any_of(self, depth):
        return {"anyOf": [self.value(depth - 1) for _ in range(self.random.randint(1, 3))]}

    def one_of(self, depth):
        """Alternatives that exclude each other: by type, or by a required member."""
        if self.chance(0.5):
            return {"oneOf": [{"type": "boolean"}, {"type": "integer"}, {"type": "null"}]}
        return {"oneOf": [self.variant(kind, depth) for kind in ("circle", "square")]}

    def variant(self, kind, depth):
        return {"type": "object", "properties": {"kind": {"const": kind},
                                                 "size": self.value(depth - 2)},
                "required": ["kind"]}

    def all_of(self, _):
        return {"allOf": [{"type": "object", "properties": {"id": self.integer()}},
                          {"required": ["id"], "properties": {"tag": self.string()}}]}

    def anything(self, _):
        return {}

    def defined(self):
        return reference(self.random.choice(list(self.definitions)))


def reference(name):
    return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1")}
