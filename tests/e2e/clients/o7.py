"""O7: transcriptions."""

import pathlib

from openai import BadRequestError, OpenAI

from rows import BASE, KEY, check, done, model

MEDIA = pathlib.Path(__file__).resolve().parents[1] / "media"
HEARD = "A pump beside a bed of mint."  # the script says so whatever it hears
client = OpenAI(base_url=f"{BASE}/v1", api_key=KEY)


def transcribe(name="tone.wav", **more):
    with open(MEDIA / name, "rb") as file:
        return client.audio.transcriptions.create(model=model("sees"), file=file, **more)


@check("a transcription, of either file", scripted=True)
def _():
    for name in ("tone.wav", "tone.mp3"):
        reply = transcribe(name)
        assert reply.text == HEARD
        assert reply.usage.type == "tokens"
        assert reply.usage.input_token_details.audio_tokens >= 27


@check("with its segments", scripted=True)
def _():
    reply = transcribe(response_format="verbose_json")
    assert [(segment.start, segment.end, segment.text.strip()) for segment in reply.segments] == [
        (0, 1, HEARD)]


@check("as a stream", scripted=True)
def _():
    events = list(transcribe(stream=True))
    assert "".join(event.delta for event in events
                   if event.type == "transcript.text.delta") == HEARD
    assert events[-1].type == "transcript.text.done" and events[-1].text == HEARD


@check("what is no sound is refused by name", scripted=True)
def _():
    try:
        transcribe("picture.png")
    except BadRequestError as error:
        assert "file" in str(error)
    else:
        raise AssertionError("a picture was heard")


done()
