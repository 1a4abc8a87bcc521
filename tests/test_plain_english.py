"""The check of plain English: what each pattern finds, and that the debt only falls."""

from __future__ import annotations

import pytest
import yaml

LONG = " ".join(["word"] * 31) + "."
EXAMPLES = [
    ("of clause", "Of chair rises the times.", "For sit-to-stand, the report lists the times."),
    ("of clause", "It shows two things: of each side the angle.", "It shows the side of the leg."),
    ("of clause", "The angles are means, of both legs.", "It draws the mean of x, of y and of z."),
    ("is of", "The keypoints are of RTMPose.", "The keypoints come from RTMPose."),
    ("bare who", "Who films twice has two sessions.", "If you film twice, you have two sessions."),
    ("bare who", "It repeats; who steps is left out.", "People who step are left out."),
    ("where for if", "Where that is too large, it is refused.", "The page says where you stood."),
    ("archaic word", "The page is made anew.", "The page is made again."),
    ("archaic word", "It is left out, for it errs.", "It is left out, for example at the edge."),
    ("old term", "The film has one person.", "Film one person."),
    ("old term", "The two films differ.", "A person films a squat."),
    (
        "old term",
        "Filmed obliquely, knees are seen.",
        "Filmed from the front left, knees are seen.",
    ),
    ("old term", "A detectable change of 5 degrees.", "A smallest detectable change of 5 degrees."),
    ("trial", "The angle over the whole trial.", "Wear markers in a static trial."),
    ("long sentence", LONG, LONG.replace("word ", "", 1)),
    ("long sentence", LONG, LONG.replace("word word word.", "word (word word).")),
    ("two semicolons", "One; two; three.", "One; two. Three; four."),
    ("long paragraph", "Four words are here. " * 21, "Four words are here. " * 20),
]


@pytest.fixture(scope="module")
def check(program):
    return program("plain_english")


@pytest.fixture(scope="module")
def table(check):
    return yaml.safe_load(check.TABLE.read_text("utf-8"))


@pytest.mark.parametrize(("pattern", "has_it", "has_not"), EXAMPLES)
def test_a_pattern_finds_what_it_describes(check, table, pattern, has_it, has_not):
    assert pattern in {hit.pattern for hit in check.hits("page.md", has_it, table["patterns"])}
    assert pattern not in {hit.pattern for hit in check.hits("page.md", has_not, table["patterns"])}


def test_each_pattern_has_an_example(check, table):
    assert {pattern for pattern, *_ in EXAMPLES} == {*table["patterns"], *check.LENGTHS}
    assert "trial" not in {
        hit.pattern for hit in check.hits("docs/lab-data.md", "A trial.", table["patterns"])
    }


def test_code_tables_and_front_matter_are_skipped(check):
    page = """---
title: skipped
---
# Skipped

Read `skipped.py`, [this](skipped.md) et al. 2010. Then
go on.

| skipped | skipped |

```shell
skipped
```

<!-- skipped -->
- An *item*.

<!-- made by skipped.py -->
Skipped.
<!-- end -->
"""
    paragraphs = [check.plain(part) for part in check.markdown(page)]
    assert paragraphs == ["Read X, this et al. 2010. Then go on.", "An item."]
    assert check.sentences(paragraphs[0]) == ["Read X, this et al. 2010.", "Then go on."]


def test_every_surface_is_read(check, tmp_path):
    texts = {
        "README.md": "A readme.",
        "docs/tutorials/page.md": "A page.",
        "mobility/tables/names.yaml": "said: {text: A table says, source: Not read at all}",
        "notebooks/one.ipynb": '{"cells": [{"cell_type": "markdown", "source": ["A cell."]}]}',
        "mobility/code.py": '''
def public(name):
    """Docstring of it.

    Parameters
    ----------
    name
        A parameter.
    """
    raise BadInputError(f"{name}: wrong " + "input")

def _private():
    """Not read."""
    option(help="A help text.")
''',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert {(surface, text) for surface, _, text in check.paragraphs(tmp_path)} == {
        ("readme", "A readme."),
        ("docs", "A page."),
        ("tables", "A table says"),
        ("notebooks", "A cell."),
        ("docstrings", "Docstring of it."),
        ("docstrings", "A parameter."),
        ("errors", "X: wrong input"),
        ("help", "A help text."),
    }


def test_an_exception_must_be_needed_and_rare(check, tmp_path):
    (tmp_path / "README.md").write_text("Of this. " * 99 + "Of that.", "utf-8")
    patterns = {"of clause": {"any": ["^Of "]}}
    given = [{"text": text, "reason": "right here"} for text in ("Of that.", "Never said.")]
    found, faults = check.read(tmp_path, {"patterns": patterns, "exceptions": given})
    assert len(found["readme"]) == 99
    assert faults == ["Delete the exception that no sentence needs: Never said."]
    given += [{"text": "Of this", "reason": "too many"}]
    faults = check.read(tmp_path, {"patterns": patterns, "exceptions": given})[1]
    assert "At most 2% of 100 sentences can be exceptions." in faults


def test_a_surface_without_hits_is_counted(check, tmp_path):
    (tmp_path / "README.md").write_text("All is well.", "utf-8")
    assert check.read(tmp_path, {"patterns": {}, "exceptions": []}) == ({"readme": []}, [])


def test_a_ceiling_only_falls(check):
    before = "# Head.\npatterns: {}\n\nceilings:\n  docs: {is of: 3, trial: 1}\n"
    counts = {"docs": {"is of": 2, "trial": 2}, "help": {"is of": 4}}
    text = check.lowered(before, counts)
    assert text.startswith("# Head.\npatterns: {}\n\nceilings:\n")
    ceilings = yaml.safe_load(text)["ceilings"]
    assert ceilings == {"docs": {"is of": 2, "trial": 1}, "help": {"is of": 4}}
    (message,) = check.rises(counts, ceilings)
    assert message.startswith("docs, trial: 2 hits, more than the ceiling of 1.")
