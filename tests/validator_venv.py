"""The independent JSON Schema validator of the tests: jsonschema, in build/venv-jsonschema.

    if __name__ == "__main__":
        validator_venv.enter()
        main()
"""

import fcntl
import os
import pathlib
import subprocess
import sys
import venv

REQUIREMENTS = ["jsonschema[format-nongpl]==4.26.0"]
VENV = pathlib.Path(__file__).resolve().parents[1] / "build" / "venv-jsonschema"
PYTHON = VENV / "bin" / "python3"

# Keywords whose value is a schema or a list of schemas, and those whose value is schemas by name.
SCHEMAS = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems")
DEFINITIONS = ("$defs", "definitions")
NAMED_SCHEMAS = ("properties", *DEFINITIONS)


def is_entered():
    return pathlib.Path(sys.prefix) == VENV


def enter():
    """Goes on in the environment, which is made if it is not there."""
    if is_entered():
        return
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.with_suffix(".lock"), "w", encoding="ascii") as lock:  # of tests side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        install()
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])


def install():
    stamp = VENV / "requirements"
    wanted = "\n".join(REQUIREMENTS)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    venv.create(VENV, with_pip=True, clear=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    stamp.write_text(wanted)


def make_validator(schema):
    from jsonschema import Draft202012Validator
    return Draft202012Validator(plain(schema),
                                format_checker=Draft202012Validator.FORMAT_CHECKER)


def plain(schema):
    """The schema in the words of the standard: types in lower case, nullable as a union."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: plain_keyword(key, value) for key, value in schema.items()}
    if out.pop("nullable", None) is not True:
        return out
    definitions = {key: out.pop(key) for key in DEFINITIONS if key in out}  # references lead there
    return {"anyOf": [out, {"type": "null"}], **definitions}


def plain_keyword(key, value):
    if key == "type" and isinstance(value, str):
        return value.lower()
    if key in SCHEMAS:
        return plain(value)
    if key in NAMED_SCHEMAS:
        return {name: plain(schema) for name, schema in value.items()}
    return value
