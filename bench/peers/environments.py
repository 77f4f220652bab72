"""A virtual environment for each tool, made by uv and kept as long as what it holds is what was asked for."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from peers.tools import BASE, Tool


def environment(tool: Tool, home: Path, wheel: Path) -> Path:
    """The Python of *tool*'s environment under *home*; ours is made with *wheel*."""
    packages = [*BASE, *tool.packages]
    if tool.kind == "ours":
        packages = [f"{package} @ {wheel.resolve().as_uri()}" if package.startswith("llm-observe") else package for package in packages]
    content = hashlib.sha256(wheel.read_bytes()).hexdigest() if tool.kind == "ours" else ""
    asked = json.dumps([sys.version, packages, content])
    place, stamp = home / tool.name, home / tool.name / "asked.json"
    if not stamp.exists() or stamp.read_text() != asked:
        shutil.rmtree(place, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
        subprocess.run(
            [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(place / "bin" / "python"), *packages], check=True
        )
        stamp.write_text(asked)
    return place / "bin" / "python"
