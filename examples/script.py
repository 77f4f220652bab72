"""A nightly job without a web framework: its steps and model calls are one record with its children.

python script.py "First text." "Second text."
"""

import sys
from collections.abc import Sequence

from openai import OpenAI

import llm_observe


@llm_observe.step("summarise")
def summarise(client: OpenAI, text: str) -> str:
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": "Sum up in one sentence."}, {"role": "user", "content": text}],
        stream=True,
        stream_options={"include_usage": True},  # else a streamed answer has no token counts
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def sentiment(text: str) -> str:
    """A model in this very process makes no HTTP calls, so its call is told by hand."""
    with llm_observe.record_call("counting-exclamation-marks", provider="local", input=text) as call:
        call.output = "excited" if "!" in text else "calm"
        call.usage(input_tokens=len(text.split()), output_tokens=1)
    return call.output


def main(texts: Sequence[str]) -> None:
    with OpenAI() as client, llm_observe.scope("nightly-job", texts=len(texts)):
        for text in texts:
            print(f"{sentiment(text)}: {summarise(client, text)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["Nothing was given to sum up!"])
