"""What lives on higher floors and an observer needs all the same; the root package plugs it in.

``exporter`` makes an exporter and ``meter`` a meter out of a URL, ``hook`` installs the client hooks and names what it hooked.
"""

from collections.abc import Callable

from llm_observe.protocols import Meter
from llm_observe.settings import Settings

exporter: Callable[[str, Settings], object]
defaults: Callable[[Settings], list[object]]
name: Callable[[object], str]
hook: Callable[[], object]
meter: Callable[[str, Settings], Meter]
