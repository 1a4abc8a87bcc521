"""README, documentation and citation: their figures, their size, and that nothing is missing."""

from __future__ import annotations

import inspect
import re

import pytest
import yaml

import mobility as mb
from mobility import tables


@pytest.fixture(scope="module")
def modules(project, program):
    """The scripts of the documentation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "docs")
        yield program("accuracy_tables"), program("reference_pages")


@pytest.fixture(scope="module")
def pages(modules, tmp_path_factory):
    """What is made of the package, by name."""
    folder = tmp_path_factory.mktemp("reference")
    modules[1].write(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_readme_is_short(project):
    text = (project / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 700


def test_no_page_is_long(project, program):
    """Words of code, formulas and tables made by scripts do not count; ceilings hold paragraphs."""
    written = program("plain_english").written
    pages = [*(project / "docs").glob("*.md"), *(project / "docs" / "tutorials").glob("*.md")]
    words = {page.stem: len(written(page.read_text("utf-8")).split()) for page in pages}
    words["CONTRIBUTING"] = len((project / "CONTRIBUTING.md").read_text("utf-8").split())
    most = {"http": 1800, "fit": 1800, "lab-data": 1800, "CONTRIBUTING": 1500}
    assert {page: n for page, n in words.items() if n > most.get(page, 1200)} == {}


def test_every_term_of_the_glossary_leads_to_its_page(project):
    entries = yaml.safe_load((project / "docs" / "glossary.yaml").read_text(encoding="utf-8"))
    assert list(entries) == sorted(entries, key=str.casefold)
    for term, entry in entries.items():
        assert entry.keys() == {"plain", "field", "see"}, term
        assert entry["plain"].endswith("."), term
        assert (project / "docs" / entry["see"]).is_file(), term


def test_the_smallest_detectable_change_has_one_name(project):
    """Also where a line of code, a page or a notebook breaks between its words."""
    files = [
        path
        for folder in ("mobility", "docs", "notebooks")
        for path in (project / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".md", ".ipynb")
    ]
    others = re.compile(r"min\w+\s+detectable|detectable\s+difference", re.IGNORECASE)
    assert len(files) > 300
    assert [str(f) for f in files if others.search(f.read_text(encoding="utf-8"))] == []


def test_the_figures_are_those_of_the_benchmarks(modules, project):
    """After a change of the benchmarks' outputs: ``python scripts/accuracy_tables.py``."""
    for name in modules[0].FILES:
        text = (project / name).read_text(encoding="utf-8")
        assert re.search(r"accuracy_tables.py: [\w ,]+ -->\n\n\|", text)
        assert modules[0].filled(text) == text, name


def test_what_is_to_be_trusted(modules):
    for errors, given, rendered, verdict in (
        ([4.0], 100, 6.0, 0),
        ([4.0], 100, None, 0),
        ([3.0], 100, 6.1, 1),
        ([2.0, 6.1], 100, None, 1),
        ([10.0], 50, None, 1),
        ([10.1], 100, 1.0, 2),
        ([1.0], 49, 1.0, 2),
    ):
        assert modules[0].verdict(errors, given, rendered) == verdict, (errors, given, rendered)


def test_every_public_name_command_and_definition_is_in_the_reference(pages):
    for name in mb.__all__:
        public = getattr(mb, name)
        place = public.__name__ if inspect.ismodule(public) else f"mobility.{name}"
        assert f":: {place}\n" in pages["api"]
    for command in ("analyze", "sessions list", "virtual-lab sweep", "keys create"):
        assert f"\n## {command}\n" in pages["command-line"]
    assert "`--standing`" in pages["command-line"]
    for name in tables.load("angles"):
        assert f"\n`{name}`\n" in pages["angles"]
    described = tables.load("measures")
    for name in (*described["measures"], *described["symmetry"]):
        assert f" `{name}` |" in pages["metrics"]
    assert "| duration of the descent, s `descent_duration` |" in pages["metrics"]
    for rule in tables.load("findings")["rules"]:
        assert f"(`{rule}`)\n: Where " in pages["findings"]
    criteria = tables.load("criteria")
    for entry in (
        *criteria["fms_deep_squat"]["criteria"].values(),
        *criteria["compensations"]["assessed"].values(),
    ):
        assert f"{entry['long_name'][1:]}\n: " in pages["criteria"]


def test_docstrings_begin_with_a_sentence_pictures_are_small_and_the_citation_is_of_this_version(
    project,
):
    for name in mb.__all__:
        first = (inspect.getdoc(getattr(mb, name)) or "").split("\n\n")[0]
        assert first.endswith("."), name
    for path in (project / "docs" / "images").iterdir():
        assert path.stat().st_size <= 1_500_000, path.name
    citation = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (mb.__version__, "BSD-3-Clause")


def test_tutorials_on_studies_are_short(project):
    names = ("reliability", "two-groups", "change", "own-norms", "curves", "from-csv")
    for name in names:
        page = (project / "docs" / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
        cells = re.findall(r"```\{code-cell\} ipython3\n(.*?)```", page, re.DOTALL)
        lines = [line for cell in cells for line in cell.splitlines() if line.strip()]
        assert 10 < len(lines) < 40, name


def test_links_of_the_pages_lead_somewhere_in_a_copy(project):
    pages = [project / "CONTRIBUTING.md", *(project / "docs").glob("*.md")]
    for page in [*pages, *(project / "docs" / "tutorials").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            assert target.exists(), (page.name, link)
            assert target.parent.name != "reference", "made with the pages"
