"""What the request path executes is what was recorded when it was last looked at: counted, so that no machine's mood is in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "path.py"
RECORDED = json.loads(BENCH.with_suffix(".json").read_text()).get(f"{sys.version_info.major}.{sys.version_info.minor}")

pytestmark = pytest.mark.skipif(RECORDED is None, reason="nothing is recorded for this Python: `python bench/path.py --record`")


@pytest.fixture(scope="module")
def counted():
    """The counts of a process of its own: nobody else traces there."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_", "LLM_OBSERVE_"))}
    done = subprocess.run([sys.executable, str(BENCH), "--json"], capture_output=True, text=True, env=environ, timeout=120, check=False)
    assert "" == done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("what", ["bytecodes", "calls"])
def test_the_request_path_executes_what_was_recorded(counted, what):
    """Within 5 %. If it was meant to change, say what for and record it: `python bench/path.py --record`, with each Python."""
    expected = {name: counts[what] for name, counts in RECORDED.items()}
    found = {name: counts[what] for name, counts in counted.items()}

    assert expected.keys() == found.keys()
    assert {} == {name: (expected[name], count) for name, count in found.items() if abs(count - expected[name]) > 0.05 * expected[name]}


def test_the_size_of_a_prompt_is_not_seen(counted):
    """A hundred times the prompt runs not one bytecode more."""
    assert counted["plain call"] == counted["call with a 100 KB prompt"]
