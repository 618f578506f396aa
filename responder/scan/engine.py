"""Hold detect-secrets: configure it once, warm it, check what it loaded, and call its plugin.

detect-secrets keeps its configuration in process-wide caches that are not thread-safe to change, so it
is set up here under a lock and only read afterwards. Refuses to run with any filter, since the default
ones drop true tokens and an allow-list comment would let a leaker hide one, or with any other plugin.
Leaves its log level alone: at INFO it prints secrets.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

_NAME = "SkTokenDetector"
_setting_up = Lock()


def start(folders: Sequence[Path]) -> Any:  # noqa: ANN401  (the class exists only once detect-secrets made it)
    """Return the one plugin, with the built-in rules and those in *folders*.

    Raises:
        RuleError: a rule file cannot be used.
        RuntimeError: detect-secrets loaded something else than asked for.
    """
    from detect_secrets import settings  # noqa: PLC0415  (0.1 s, paid by those who scan)
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class  # noqa: PLC0415

    plugin = Path(__file__).with_name("plugin.py")
    wanted = {"name": _NAME, "path": f"file://{plugin}", "folders": [str(folder) for folder in folders]}
    with _setting_up:
        # The map from names to classes is made at first use and then never again, unless told to.
        get_mapping_from_secret_type_to_class.cache_clear()
        configured = settings.get_settings()
        configured.clear()
        settings.configure_settings_from_baseline({"plugins_used": [wanted], "filters_used": []})
        # Two filters come back with every configuration, even an empty one.
        configured.disable_filters(*configured.filters)
        try:
            plugins, filters = settings.get_plugins(), settings.get_filters()
        except Exception:
            configured.clear()
            raise
    loaded = [type(each).__name__ for each in plugins]
    if loaded != [_NAME] or filters:
        raise RuntimeError(f"detect-secrets runs {loaded} with {len(filters)} filters instead of {_NAME} with none")
    return plugins[0]
