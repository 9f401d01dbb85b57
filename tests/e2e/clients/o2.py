"""O2: structured output."""

import json

import pydantic
from openai import OpenAI

from rows import BASE, IS_SCRIPTED, KEY, check, done, model

client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY)
USER = [{"role": "user", "content": "Who keeps the plants? Answer in JSON."}]


class Person(pydantic.BaseModel):
    name: str
    age: int


@check("parse() with pydantic")
def _():
    message = client.chat.completions.parse(
        model=model("schema"), messages=USER, response_format=Person,
        max_completion_tokens=600).choices[0].message
    assert isinstance(message.parsed, Person) and not message.refusal
    if IS_SCRIPTED:
        assert message.parsed == Person(name="Ada", age=36)


@check("json_object", scripted=True)
def _():
    reply = client.chat.completions.create(model=model("schema"), messages=USER,
                                           response_format={"type": "json_object"})
    assert json.loads(reply.choices[0].message.content) == {"name": "Ada", "age": 36}


done()
