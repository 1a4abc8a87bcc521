"""Pages of the reference, made of what the package holds: docstrings, commands, tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

import mobility
from mobility import tables
from mobility.assessment.metric import USUAL_WORDS
from mobility.cli.main import app
from mobility.sessions.analysis_options import AnalysisOptions

ROOT = Path(__file__).resolve().parents[1]

API: Mapping[str, tuple[str, ...]] = {
    "From a video to angles": (
        *(
            "check_recording",
            "estimate_pose",
            "clean_pose",
            "edit_points",
            "fit_body",
            "joint_angles",
        ),
    ),
    "Squats": ("find_repetitions", "overhead_squat"),
    "Curves": ("normalise", "mean_curves", "compare_curves", "retest_curves"),
    "Single joints": ("joint_movements", "joint_mobility", "picture_angles", "reference_range"),
    "Loads of the legs": ("loads",),
    "Lab data": (
        *("read_lab", "read_bids", "lab_pose", "read_forces", "find_lag", "align", "agreement"),
    ),
    "Other pose models": (
        *("Detector", "Keypoints", "read_keypoints", "from_movement", "to_movement"),
    ),
    "Sessions": ("Store", "Session"),
    "Studies": ("read_study", "reliability", "groups", "make_norms", "plan"),
    "Plots": ("plot",),
}

WIDGETS = ("UploadForm", "SessionBrowser", "TrialViewer", "ConfigEditor")

SEEN_AS = {
    "mobility/__init__.py": "api",
    "mobility/cli/main.py": "command-line",
    "mobility/tables/angles.yaml": "angles",
    "mobility/tables/measures.yaml": "metrics",
    "mobility/tables/criteria.yaml": "criteria",
    "mobility/tables/findings.yaml": "findings",
    "mobility/tables": "tables",
    "docs/glossary.yaml": "glossary",
    "benchmarks/real.md": "measured-real",
    "benchmarks/reported.md": "measured-reported",
    "benchmarks/findings.md": "measured-findings",
    "benchmarks/twice.md": "measured-twice",
    "benchmarks/changes.md": "measured-changes",
    "benchmarks/reliability.md": "measured-reliability",
    "benchmarks/groups.md": "measured-groups",
    "benchmarks/models.md": "measured-models",
    "benchmarks/exercises.md": "measured-exercises",
    "benchmarks/visits.md": "measured-visits",
    "benchmarks/other_poses.md": "measured-other-poses",
    "benchmarks/recording_checks.md": "measured-recording-checks",
    "benchmarks/either_side.md": "measured-either-side",
    "benchmarks/leans.md": "measured-leans",
    "benchmarks/loads.md": "measured-loads",
}
"""The pages here are made of these files, to which pages link so that links work in a copy too."""

LEADS = {
    "benchmarks/findings.md": "# Findings counted\n",
    "benchmarks/reliability.md": "# Intervals of reliability\n",
}
"""The title of a page whose file has none."""

Rows = Iterable[Iterable[Any]]


def write(folder: Path) -> None:
    """Write every page of which the content has changed, so that Sphinx reads no other again."""
    folder.mkdir(exist_ok=True)
    pages = {
        "api": api(),
        "command-line": command_line(),
        "angles": angles(),
        "metrics": metrics(),
        "criteria": criteria(),
        "findings": findings(),
        "tables": all_tables(),
        "glossary": glossary(),
        **{
            page: measured(Path(path).stem, LEADS.get(path, ""))
            for path, page in SEEN_AS.items()
            if path.startswith("benchmarks/")
        },
    }
    for name, lines in pages.items():
        path, text = folder / f"{name}.md", "\n".join(lines) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def api() -> Iterator[str]:
    """Every public name of the package, by what it is for."""
    named = [name for names in API.values() for name in names]
    assert sorted(named) == sorted(mobility.__all__), "API here has not the public names"
    yield "# Python"
    yield "\nThe public names of `mobility`; `import mobility as mb` is the custom."
    for title, names in API.items():
        yield f"\n## {title}"
        for name in names:
            public = getattr(mobility, name)
            if inspect.ismodule(public):
                yield f"\n```{{eval-rst}}\n.. automodule:: {public.__name__}\n   :members:\n```"
            elif inspect.isclass(public):
                yield f"\n```{{eval-rst}}\n.. autoclass:: mobility.{name}\n   :members:\n```"
            else:
                yield f"\n```{{eval-rst}}\n.. autofunction:: mobility.{name}\n```"
    yield "\n## Visits\n\nWhat `Store.visit` gives."
    yield "\n```{eval-rst}\n.. autoclass:: mobility.studies.visit.Visit\n   :members:\n```"
    yield "\n## Options of an analysis"
    yield "\nBy name, of `Session.analyze`, and in `options` of `Store.create`.\n"
    fields = AnalysisOptions.model_fields.items()
    defaults = AnalysisOptions().as_stored()
    rows = [(f"`{name}`", f"`{defaults.get(name)}`", _cell(f.description)) for name, f in fields]
    yield _table(("", "default", ""), rows)
    yield "\n## Widgets\n\nFor notebooks, of `mobility.widgets`."
    for name in WIDGETS:
        yield f"\n```{{eval-rst}}\n.. autoclass:: mobility.widgets.{name}\n```"


def command_line() -> Iterator[str]:
    """Every command with its arguments and options, as ``--help`` has them."""
    yield "# Command line"
    yield (
        "\nBad input ends with status 2 and one line that says what to do; where some of many "
        "failed (`batch`, `watch --once`, a study, a sweep, `prune`), the status is 1. "
        "The same text is printed by `mobility COMMAND --help`."
    )
    root = typer.main.get_command(app)
    yield from _commands(root, "mobility")


def _commands(command: Any, name: str) -> Iterator[str]:
    below = getattr(command, "commands", {})
    for each in sorted(below):
        yield from _commands(below[each], f"{name} {each}")
    if below:
        return
    context = command.context_class(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"\n## {name.removeprefix('mobility ')}\n\n```\n{usage}\n```\n"
    yield _text(inspect.cleandoc(command.help or ""))
    rows = []
    for option in command.params:
        if option.param_type_name == "argument":
            name = f"`{option.metavar or option.name.upper()}`"
            rows.append((name, _cell(getattr(option, "help", "") or "")))
        elif option.name != "help" and not option.hidden:
            names = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
            record = option.get_help_record(context)
            rows.append((names, _cell(record[1] if record else "")))
    if rows:
        yield "\n" + _table(("", ""), rows)


def angles() -> Iterator[str]:
    """Definition, limit and views of every angle."""
    yield "# Angles"
    yield (
        "\nWhat each angle is, in which direction it counts, from which expected error on (a "
        "standard deviation) a value of it is refused, and which views support it. Made of the "
        "table `angles`; every value has its error beside it, `<name>_sd`."
    )
    for name, entry in tables.load("angles").items():
        seen, largest = entry["seen"], entry["refused"]["largest_sd_deg"]
        needed = ", ".join(entry["landmarks"])
        if "of_other_side" in entry:
            needed += f"; of the other side {', '.join(entry['of_other_side'])}"
        yield f"\n## {_capital(entry['long_name'])}\n\n`{name}`\n"
        yield _definition(
            {
                "Between": entry["segments"],
                "Needs": needed.replace("_", " "),
                "Plane": entry["plane"],
                "Zero": entry["zero"],
                "Positive": entry["positive"],
                "Refused": f"from an expected error of {largest} degrees on",
                "Views": f"{', '.join(seen['from'])}. {seen['source']}",
                "Source": entry["source"],
            }
        )
    yield "\n## Angles of single joints"
    yield "\nMeasured in the picture; [how to film each](../single-joints.md).\n"
    yield _table(
        ("movement", "angle", "zero", "positive or negative"),
        (
            (f"`{name}`", f"`{entry['angle']}`", _cell(entry["zero"]), _cell(entry["sign"]))
            for name, entry in tables.load("movements").items()
        ),
    )


def metrics() -> Iterator[str]:
    """Every metric of the overhead squat, and both indices."""
    squat = tables.load("measures")
    yield "# Metrics of the overhead squat"
    yield (
        "\nOf each angle there are `<name>_bottom`, `<name>_peak` and `<name>_phase`, of each "
        "repetition and as the median over the accepted ones, `<name>_from_standing`, and of those "
        "with two sides `<name>_asymmetry`; each with its error, `_sd`, some also with that of "
        "[measuring again](../errors.md#which-error), `_sem`. Made of the tables "
        "`measures` and `indices`."
    )
    titles = {
        "angles": "Angles",
        "knee": "Knees",
        "posture": "Posture",
        "tempo": "Tempo",
        "smoothness": "Smoothness",
    }
    by_kernel: dict[str, dict[str, Any]] = {title: {} for title in titles.values()}
    for name, entry in squat["measures"].items():
        by_kernel[titles[entry["from"].partition(".")[0]]][name] = entry
    for title, entries in {**by_kernel, "Symmetry": squat["symmetry"]}.items():
        yield f"\n## {title}\n"
        yield _table(
            ("metric", "definition", "why, or from where"),
            (
                (
                    _named(name, {"units": "degree" if "from" in entry else "1"} | entry),
                    _cell(entry["reference"]),
                    _cell(entry["source"]),
                )
                for name, entry in entries.items()
            ),
        )
    yield "\n## Indices\n"
    yield (
        "Definitions of this package: criteria, not percentiles. Each is as good as its worst "
        f"part, a rule of the findings. {' '.join(tables.load('indices')['scale']['lines'])}"
    )
    for name, index in tables.load("indices").items():
        if not isinstance(index, Mapping) or "parts" not in index:
            continue
        yield f"\n### {_capital(index['long_name'])}\n"
        yield f"`{name}`, version {index['version']}. {_text(index['source'])}\n"
        yield _table(
            ("part", "rule", "all lost beyond its limit by", "source"),
            (
                (
                    f"`{part}`",
                    f"`{entry['rule']}`",
                    entry["large"],
                    _cell(entry["source"]),
                )
                for part, entry in index["parts"].items()
            ),
        )


def _named(name: str, entry: Mapping[str, Any]) -> str:
    shown = _unit(entry["units"]).strip()
    long_name = entry["long_name"].format_map(USUAL_WORDS)
    return f"{_cell(long_name)}{f', {shown}' if shown else ''} `{name}`"


def criteria() -> Iterator[str]:
    """Criteria of the deep squat and compensations, with their thresholds."""
    table = tables.load("criteria")
    deep, seen = table["fms_deep_squat"], table["compensations"]
    limits = tables.load("findings")["results"]
    yield "# Criteria and compensations"
    yield (
        "\nA criterion is a metric against a threshold. What is told is the probability that it is "
        "met, from the value and its error. It is met from "
        f"{100 * (1 - limits['met']):.0f} % on, "
        f"not met up to {100 * (1 - limits['outside']):.0f} %, else it is not decided. Made of the "
        "table `criteria`."
    )
    yield f"\n## Deep squat of the Functional Movement Screen\n\n{_text(deep['source'])}\n"
    yield _thresholds(deep["criteria"], "fails", "Not met where")
    yield f"\n## Compensations of the overhead squat assessment\n\n{_text(seen['source'])}\n"
    yield _thresholds(seen["assessed"], "found", "Found where")
    yield "\nNot assessed:\n"
    for name, why in seen["not_assessed"].items():
        if name != "source":
            yield f"- {name.replace('_', ' ')}: {_text(why)}"


def _thresholds(entries: Mapping[str, Any], side: str, title: str) -> str:
    return _definition(
        {
            _capital(entry["long_name"]): f"{title} `{entry['measure']}` is {_beyond(entry[side])} "
            f"{entry['threshold']}{_unit(entry['units'])}. {_ended(entry['source'])}"
            for entry in entries.values()
        }
    )


def _beyond(side: str) -> str:
    return {"above": "above", "below": "below", "outside": "beyond ±"}[side]


def _ended(text: str) -> str:
    return text.strip().rstrip(".") + "."


def findings() -> Iterator[str]:
    """Every statement of the report with its rule, and the exercises."""
    limits = tables.load("findings")["results"]
    yield "# Findings and advice"
    yield (
        "\nWhat the report may say about a squat, and when. A value is *outside* its target if that"
        f" is at least {100 * limits['outside']:.0f} % likely; the target is *met* if that is at "
        f"most {100 * limits['met']:.0f} % likely; the value is *borderline* instead if it is at "
        f"least {100 * limits['borderline']:.0f} % likely to be within the margin of the target, on"
        " either side; else "
        "the check is *inconclusive*. Made of the tables `findings` and `advice`."
    )
    yield "\n## Findings\n"
    found = {}
    for name, rule in tables.load("findings")["rules"].items():
        limit = f"{rule['threshold']}{_unit(rule['unit'])}"
        where = f"{_beyond(rule['direction'])} {limit}"
        label = _capital(rule["label"].format(threshold=limit, limit=rule["threshold"]))
        found[f"{label} (`{name}`)"] = (
            f"Where `{rule['metric']}` is {where}. {_ended(rule['source'])}"
        )
    yield _definition(found)
    yield "\n## Exercises\n"
    advice = tables.load("advice")
    yield _text(advice["notice"]["text"]) + "\n"
    yield _table(
        ("exercise", "dose", "what it is for", "advised where", "source"),
        (
            (
                _cell(entry["name"]),
                f"{entry['sets']} x "
                + (f"{entry['seconds']} s" if "seconds" in entry else f"{entry['repetitions']}")
                + f", {entry['per_week']} days a week",
                _cell(entry["purpose"]),
                ", ".join(f"`{rule}`" for rule in entry["for"]),
                _cell(entry["source"]),
            )
            for entry in advice["exercises"].values()
        ),
    )


def all_tables() -> Iterator[str]:
    """Name the tables, with the comment at their head."""
    yield "# Tables"
    yield (
        "\nWhat the package knows apart from its code, each entry with its source. "
        "They are YAML files; each can be downloaded here."
    )
    folder = Path(tables.__file__).parent
    rows = []
    for path in sorted(folder.glob("*.yaml")):
        head = re.match(r"(?:#[^\n]*\n)+", path.read_text(encoding="utf-8"))
        comment = re.sub(r"^# ?", "", head.group(), flags=re.MULTILINE) if head else ""
        first = comment.split("\n\n")[0]
        rows.append((f"[{path.stem}](../../mobility/tables/{path.name})", _cell(first)))
    yield "\n" + _table(("table", "what it holds"), rows)


def glossary() -> Iterator[str]:
    """List the words of reports and documentation, in plain words and in those of the field."""
    yield "# Glossary"
    yield "\nThe words of reports and of this documentation, for therapists and for researchers.\n"
    entries = yaml.safe_load((ROOT / "docs" / "glossary.yaml").read_text(encoding="utf-8"))
    rows = (
        (f"[{term}](../{entry['see']})", _cell(entry["plain"]), _cell(entry["field"]))
        for term, entry in entries.items()
    )
    yield _table(("term", "what it means", "in research"), rows)


def measured(name: str, title: str) -> Iterator[str]:
    """Give what a benchmark wrote, with its links as seen from here."""
    text = (ROOT / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")
    yield title + re.sub(r"\]\((?!http)([\w.]+\.yaml)\)", r"](../../benchmarks/\1)", text)


def seen_from_here(text: str) -> str:
    """Lead links to the files of which a page is made to that page."""

    def led(link: re.Match[str]) -> str:
        up, path, heading = link.groups(default="")
        page = SEEN_AS.get(path)
        return f"]({up.removeprefix('../')}reference/{page}.md{heading})" if page else link.group()

    return re.sub(r"\]\(((?:\.\./)+)([\w/.]+)(#[\w-]+)?\)", led, text)


def _unit(unit: str) -> str:
    return {"degree": "°", "1": "", "": "", "percent": " %"}.get(unit, f" {unit}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _definition(entries: Mapping[str, str]) -> str:
    return "\n\n".join(f"{term}\n: {_text(text)}" for term, text in entries.items())


def _table(head: Iterable[Any], rows: Rows) -> str:
    lines = [list(map(str, head)), *(list(map(str, row)) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _text(text: str) -> str:
    """Plain words in Markdown: what would be a tag, emphasis or a formula is none."""
    return re.sub(r"(?<!`)([<>*$\[\]])(?!`)", r"\\\1", str(text).strip())


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", _text(text)).replace("|", "\\|")
