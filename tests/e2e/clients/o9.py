"""O9: Google's address for OpenAI clients."""

from openai import OpenAI

from rows import BASE, KEY, check, done, model


@check("chat and stream")
def _():
    client = OpenAI(base_url=f"{BASE}/v1beta/openai/", api_key=KEY)
    request = dict(model=model("plain"), messages=[{"role": "user", "content": "Hi"}],
                   temperature=0, max_tokens=60)
    whole = client.chat.completions.create(**request)
    text = "".join(chunk.choices[0].delta.content or ""
                   for chunk in client.chat.completions.create(**request, stream=True))
    assert text == whole.choices[0].message.content and text


done()
