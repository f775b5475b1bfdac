"""How this featx was installed, for commands that install more of it."""

from __future__ import annotations


def own_requirement() -> str:
    """Return what pip installs as this featx: the folder that it came from, or its version."""
    folder, _, version = _origin()
    return folder or f"featx=={version}"


def install_extra(extra: str) -> str:
    """Return the command that adds an extra, such as ``pip install 'featx[av]'``.

    If featx was installed from a folder, it names the folder; an editable installation stays one.
    """
    folder, editable, _ = _origin()
    return f"pip install {'-e ' * editable}'{folder or 'featx'}[{extra}]'"


def _origin() -> tuple[str, bool, str]:
    """Return the folder, empty if there was none, whether editable, and the version."""
    import json
    from urllib.parse import unquote, urlsplit

    import importlib_metadata

    distribution = importlib_metadata.distribution("featx")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    if not url.startswith("file://"):
        return "", False, distribution.version
    editable = bool(origin.get("dir_info", {}).get("editable"))
    return unquote(urlsplit(url).path), editable, distribution.version
