"""Writes plugins as installed distributions (dist-info folders) for tests of the registry."""

from __future__ import annotations

import textwrap
from pathlib import Path

GOOD = """
from featx import ExtractorSpec, hookimpl

@hookimpl
def featx_extractors():
    return [ExtractorSpec(name={name!r}, summary="A dummy.", version="1", api=1,
                          factory="{module}_heavy:Dummy", resolve="{module}_resolve:resolve")]
"""

#: way of being broken -> (source of the hook module, text that the reason must hold)
BROKEN: dict[str, tuple[str, str]] = {
    "import-fails": ("import no_such_module", "fails at import: ModuleNotFoundError"),
    "exits": ("import sys; sys.exit(3)", "exits at import (exit code 3)"),
    "syntax": ("def broken(:", "fails at import: SyntaxError"),
    "misspelt": (
        "from featx import hookimpl\n@hookimpl\ndef featx_extractor():\n    return []",
        "misspells a hook: featx_extractor is none of",
    ),
    "unmarked": ("def featx_extractors():\n    return []", "featx_extractors without the marker"),
    "no-hook": ("x = 1", "has no hook at all"),
    "other-api": (
        GOOD.replace("api=1", "api=99"),
        "needs api 99, this featx supports api 1. Upgrade featx",
    ),
    "raises": (
        "from featx import hookimpl\n@hookimpl\ndef featx_extractors():\n    raise OSError('disk')",
        "a hook raises OSError: disk",
    ),
    "not-specs": (
        "from featx import hookimpl\n@hookimpl\ndef featx_extractors():\n    return ['mfcc']",
        "must return a list of ExtractorSpec, got a str in it",
    ),
    "bad-name": (GOOD.replace("{name!r}", "'Bad Name'"), "name must look like"),
    "duplicates": (GOOD.replace("return [", "return 2 * ["), "the name 'duplicates' twice"),
    "bad-spec": (GOOD.replace("A dummy.", ""), "summary must be a non-empty str, got ''"),
    "missing-field": (GOOD.replace('version="1",', ""), "a hook raises TypeError"),
    "bad-arguments": (
        "from featx import hookimpl\n@hookimpl\ndef featx_extractors(x):\n    return []",
        "has a wrong hook",
    ),
    "returns-none": (
        "from featx import hookimpl\n@hookimpl\ndef featx_extractors():\n    pass",
        "must return a list of ExtractorSpec, got None",
    ),
    "hostile-spec": (
        GOOD.replace(
            "@hookimpl",
            "class Spec(ExtractorSpec):\n"
            "    def __getattribute__(self, name):\n"
            "        raise SystemExit(4)\n\n@hookimpl",
        ).replace("[ExtractorSpec(", "[Spec("),
        "SystemExit: 4",
    ),
    "exiting-params": (
        GOOD.replace(
            "@hookimpl",
            "from featx import params_class\n"
            "@params_class\nclass Params:\n    def __post_init__(self):\n"
            "        raise SystemExit(5)\n\n@hookimpl",
        ).replace("api=1,", "api=1, params=Params,"),
        "cannot be checked: SystemExit: 5",
    ),
    "resource-of-no-parameter": (
        GOOD.replace("import ExtractorSpec", "import ExtractorSpec, WeightsSpec").replace(
            "api=1,", 'api=1, weights=WeightsSpec(name="w", resource="p:w/{model}.safetensors"),'
        ),
        "weights.resource must name parameters",
    ),
    "hostile-error": (
        "class E(BaseException):\n    def __str__(self): raise ValueError\nraise E",
        "fails at import: E",
    ),
}


def install(
    site: Path,
    plugin: str,
    source: str,
    *,
    distribution: str | None = None,
    group: str = "featx",
    version: str = "1.0",
) -> None:
    """Write distribution ``dummy-<plugin>`` with one hook module into folder ``site``."""
    distribution = distribution or f"dummy-{plugin}"
    stem = distribution.replace("-", "_").replace(".", "_")
    module = f"{stem}_{plugin.replace('-', '_')}"
    text = textwrap.dedent(source).replace("{name!r}", repr(plugin)).replace("{module}", module)
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{module}.py").write_text(text, encoding="utf-8")
    info = site / f"{stem}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n\nText\n",
        encoding="utf-8",
    )
    entries = info / "entry_points.txt"
    lines = entries.read_text(encoding="utf-8") if entries.exists() else ""
    entries.write_text(f"{lines}[{group}]\n{plugin} = {module}\n", encoding="utf-8")
