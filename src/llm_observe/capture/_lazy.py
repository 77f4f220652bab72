"""Hooks a library when it is imported, and not before: observing an app must not import clients that it does not use.

The finder and the loader are duck-typed: `importlib.abc` alone would double what `import llm_observe` costs.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Hook = Callable[[ModuleType], object]


class _Finder:
    """Finds nothing by itself: it asks the others, and has the loader tell us when it is done."""

    def __init__(self) -> None:
        self.hooks: dict[str, Hook] = {}
        self._busy = threading.local()

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.hooks or getattr(self._busy, "name", None) == fullname:
            return None
        self._busy.name = fullname
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy.name = None
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return None
        spec.loader = _Loader(spec.loader, self.hooks[fullname])  # type: ignore[assignment]
        return spec


class _Loader:
    """Loads as the real loader does, then runs the hook."""

    def __init__(self, real: Any, hook: Hook) -> None:
        self._real, self._hook = real, hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        module.__loader__ = self._real
        self._real.exec_module(module)
        self._hook(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


_finder = _Finder()


def when_imported(name: str, hook: Hook) -> None:
    """Run *hook* with the module *name*: now if it is there, else right after its import."""
    if sys.modules.get(name) is not None:
        hook(importlib.import_module(name))  # waits, where another thread is in the middle of its import
        return
    _finder.hooks[name] = hook
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget() -> None:
    """Watch for no import any more."""
    _finder.hooks.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
