"""O8: errors, retries, leaving."""

import threading
import time

import openai
from openai import OpenAI

from rows import BASE, KEY, check, done, error_of, model, until_idle

client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0)


def ask(name, using=client, **change):
    return using.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "Hi"}], **change)


@check("classes by status")
def _():
    bad = error_of(lambda: ask(model("plain"), temperature=9), openai.BadRequestError)
    assert (bad.type, bad.code, bad.param) == ("invalid_request_error", "invalid_value",
                                               "temperature")
    missing = error_of(lambda: ask("nobody"), openai.NotFoundError)
    assert missing.code == "model_not_found"


@check("classes of a full server", scripted=True)
def _():
    assert error_of(lambda: ask("scripted/rate-limited"), openai.RateLimitError)
    full = error_of(lambda: ask("scripted/queue-full"), openai.InternalServerError)
    assert full.status_code == 503


@check("501 is not tried again")
def _():
    begin = time.monotonic()
    error = error_of(lambda: OpenAI(base_url=f"{BASE}/v1", api_key=KEY).images.generate(prompt="a"),
                     openai.InternalServerError)
    assert error.status_code == 501 and time.monotonic() - begin < 0.4  # its first pause is 0.5 s


@check("429 is tried again", scripted=True)
def _():
    patient = OpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=4)
    busy = [threading.Thread(target=ask, args=("scripted/busy-py", patient),
                             kwargs={"max_tokens": 8}) for _ in range(2)]
    for thread in busy:
        thread.start()
    time.sleep(0.2)
    assert ask("scripted/busy-py", patient, max_tokens=8).choices[0].message.content
    for thread in busy:
        thread.join()


@check("an error in mid-stream", scripted=True)
def _():
    assert error_of(lambda: list(ask("scripted/fails", stream=True)), openai.APIError)


@check("leaving a stream", scripted=True)
def _():
    with ask("scripted/slow", stream=True) as stream:
        next(iter(stream))
    until_idle(1.5)


done()
