"""A provider for the other examples, where there is no account: it says back what it is told.

python provider.py
"""

import contextlib
import os
import threading

from llm_observe.testing.provider import FakeProvider

with FakeProvider(port=int(os.environ.get("PORT", "8899"))) as provider, contextlib.suppress(KeyboardInterrupt):
    print("Paste this where you start an example:")
    print(f"export OPENAI_BASE_URL={provider.openai_base_url} OPENAI_API_KEY=none")
    print(f"export ANTHROPIC_BASE_URL={provider.anthropic_base_url} ANTHROPIC_API_KEY=none", flush=True)
    threading.Event().wait()
