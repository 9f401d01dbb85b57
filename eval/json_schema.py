"""Whether a value is what a JSON schema describes, for the keywords that the cases use."""

CONSTRAINTS = {"type", "enum", "properties", "required", "additionalProperties", "items",
               "minItems", "maxItems", "minimum", "maximum"}
ANNOTATIONS = {"title", "description", "default"}

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: is_number(value),
    "integer": lambda value: is_number(value) and value == int(value),
}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_equal(one, other):
    """As JSON values: 2 and 2.0 are the same number, 1 and true are not the same."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_equal(one[key], other[key]) for key in one)
    return one == other


def check_schema(schema):
    """ValueError for a keyword that could not be judged."""
    if isinstance(schema, bool):
        return
    for keyword in schema.keys() - CONSTRAINTS - ANNOTATIONS:
        raise ValueError(f"schema keyword {keyword!r} is not known here "
                         f"(expected {', '.join(sorted(CONSTRAINTS))})")
    parts = [*schema.get("properties", {}).values(), schema.get("items", True),
             schema.get("additionalProperties", True)]
    for part in parts:
        check_schema(part)


def is_valid(schema, value):
    if isinstance(schema, bool):
        return schema
    types = schema.get("type", [*TYPES])
    if not any(TYPES[name](value) for name in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in schema and not any(is_equal(value, one) for one in schema["enum"]):
        return False
    if isinstance(value, dict):
        return is_valid_object(schema, value)
    if isinstance(value, list):
        return (schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
                and all(is_valid(schema.get("items", True), one) for one in value))
    if is_number(value):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def is_valid_object(schema, value):
    rules = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    return (all(key in value for key in schema.get("required", []))
            and all(is_valid(rules.get(key, others), one) for key, one in value.items()))
