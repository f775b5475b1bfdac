"""Sphinx settings: MyST pages, numpydoc docstrings, the pydata theme. Builds without a network."""

from __future__ import annotations

import featx

project = "featx"
author = "The featx developers"
copyright = "the featx developers"
version = release = featx.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# Docstrings write names in single backticks; a name that is not documented stays plain code.
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4

autosummary_generate = True
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

templates_path = ["_templates"]
# the test of the pages (sphinx -t plain) needs no pages that look well, which take half of the time
plain = tags.has("plain")  # noqa: F821  (Sphinx defines it)
html_theme = "basic" if plain else "pydata_sphinx_theme"
html_title = f"featx {version}"
html_static_path = ["_static"]
html_css_files = ["featx.css"]
html_show_sourcelink = False
# pages that have no others below them need no navigation of a section
html_sidebars = {"*": []}
if not plain:
    html_theme_options = {
        "show_nav_level": 1,
        "navigation_with_keys": False,
        "show_toc_level": 2,
        "footer_start": ["copyright"],
        "footer_end": [],
    }


def skip_public(app, what, name, obj, skip, options):
    """Leave names that `featx` itself exports to their own pages."""
    return True if what == "module" and name in featx.__all__ else None


def write_codes(app):
    """Write the tables of failure and skip codes that pages include."""
    from featx.errors import FAILURE_CODES, SKIP_CODES

    folder = app.srcdir / "api" / "generated"
    folder.mkdir(exist_ok=True)
    for name, codes in (("failure-codes", FAILURE_CODES), ("skip-codes", SKIP_CODES)):
        rows = [f"| `{code}` | {meaning} |" for code, meaning in codes.items()]
        text = "\n".join(["| code | meaning |", "|---|---|", *rows, ""])
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def setup(app):
    app.connect("autodoc-skip-member", skip_public)
    app.connect("builder-inited", write_codes)
