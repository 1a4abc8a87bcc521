"""Sphinx: the pages of docs/, and those that are made from the package (reference_pages.py)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference_pages  # noqa: E402

import mobility  # noqa: E402
from mobility.base.provenance import code_digest  # noqa: E402

project = "mobility"
author = "The mobility developers"
version = release = mobility.__version__
html_title = "mobility"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["systemd"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Tutorials run when the pages are built, on the demo, in a folder of their own; again only after a
# change of their cells or of the package.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "docs" / f"cache-{code_digest()[:12]}")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
# Kernels warn that they use TCP on this machine, which those of a notebook always do.
IPYTHON = HERE.parent / "build" / "docs" / "ipython"
(IPYTHON / "profile_default").mkdir(parents=True, exist_ok=True)
(IPYTHON / "profile_default" / "ipython_kernel_config.py").write_text(
    "c.IPKernelApp.log_level = 40"
)
os.environ["IPYTHONDIR"] = str(IPYTHON)
nb_ipywidgets_js: dict[str, object] = {}  # they would come from a network

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False

html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # would be fetched, which a page that is a file cannot
html_theme_options = {
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
project_copyright = "2026, the mobility developers. BSD-3-Clause"
html_sidebars = {"index": []}


def visit_math(self: object, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers show without a script from a network."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    formula = convert(node.astext(), display=display)
    if display == "block":
        formula = f'<div class="formula">{formula}</div>'
    self.body.append(formula)  # type: ignore[attr-defined]
    raise nodes.SkipNode


def _lead(_app: Sphinx, name: str, text: list[str]) -> None:
    if not name.startswith("reference/"):
        text[0] = reference_pages.seen_from_here(text[0])


FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video)[^>]*src=[\"']?(?:https?:)?//|<link[^>]*rel=[\"']?"
    r"(?:stylesheet|preload|icon|preconnect)[^>]*href=[\"']?(?:https?:)?//"
)


def refuse_what_needs_a_network(app: Sphinx, exception: Exception | None) -> None:
    """Fail where a page would fetch anything from elsewhere."""
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            found = FETCHED.search(page.read_text(encoding="utf-8"))
            if found:
                raise ExtensionError(f"{page}: needs a network: {found.group()}")


def setup(app: Sphinx) -> None:
    """Make the pages of the reference, and show formulas by the browser's own means."""
    app.connect("source-read", _lead)
    app.connect("build-finished", refuse_what_needs_a_network)
    reference_pages.write(HERE / "reference")
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))


html_math_renderer = "mathml"
