"""The data dictionary of a written table, as Frictionless Data (Data Package, Table Schema)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobility import __version__, tables
from mobility.assessment.kinds import entry_of

if TYPE_CHECKING:
    import pandas as pd

ENDING = ".datapackage.json"
"""Text that is added to the name of a table to form the name of its dictionary."""

FORMATS = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
"""Kinds of file of a table, and their media types."""

_NO_LICENSE = "notspecified"
"""Name of a missing licence in the list of licences to which a Data Package refers (Open
Definition).
"""

_OF_MEASURE = ("exercise", "metric", "quantity", "kind", "units", "long_name", "group", "version")


def columns_of(which: str = "columns") -> dict[str, Any]:
    """Return the type and description of each column of a table of sessions, or of its "checks"."""
    table = tables.load("cohort_columns")
    columns: dict[str, Any] = table["columns"]
    return {name: entry or columns[name] for name, entry in table[which].items()}


def data_dictionary(
    frame: pd.DataFrame, files: list[Path], checks: Sequence[Path] = ()
) -> dict[str, Any]:
    """Describe a table of many sessions (the `files`), its measures, and its `checks`.

    Returns
    -------
    dict
        A Data Package: a resource for each file, with the Table Schema of the columns (table
        ``cohort_columns``), and ``measures``, which contains the definition of each metric and its
        source (tables ``measures``).
    """
    columns = columns_of()
    schema = _schema(columns, map(str, frame.columns))
    resources = [_resource("table", file, schema) for file in files]
    of_checks = columns_of("checks")
    resources += [_resource("checks", file, _schema(of_checks, of_checks)) for file in checks]
    if rows := _measures(frame):
        schema_of_measures = {"fields": _fields_of_measures()}
        resources.append({"name": "measures", "data": rows, "schema": schema_of_measures})
    return {
        "name": re.sub(r"[^a-z0-9._-]+", "-", files[0].stem.lower()),
        "title": tables.sentence("cohort.dictionary.title"),
        "description": f"{tables.sentence('cohort.dictionary.about')} "
        f"{tables.sentence('warnings.export.purpose')}",
        "version": __version__,
        "licenses": [{"name": _NO_LICENSE, "title": tables.sentence("warnings.export.no_license")}],
        "resources": resources,
    }


def _schema(columns: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    names = list(names)
    return {
        "fields": [_field(name, columns.get(name)) for name in names],
        "primaryKey": [n for n, entry in columns.items() if entry.get("is_key") and n in names],
        "missingValues": [""],
    }


def _resource(name: str, file: Path, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{name}-{file.suffix[1:]}",
        # A validator reads Parquet only with a plugin.
        "type": "table" if file.suffix == ".csv" else "file",
        "path": file.name,
        "format": file.suffix[1:],
        "mediatype": FORMATS[file.suffix],
        "encoding": "utf-8",
        "schema": schema,
    }


def _field(name: str, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    if entry is None:  # a column that a user has added
        return {"name": name, "type": "any"}
    field = {"name": name, "type": entry["type"], "description": entry["what"]}
    if entry["type"] == "datetime":
        field["format"] = "any"
    if "unit" in entry:
        field["unit"] = entry["unit"]
    if "values" in entry:
        field["constraints"] = {"enum": entry["values"]}
    return field


def _fields_of_measures() -> list[dict[str, Any]]:
    columns = tables.load("cohort_columns")["columns"]
    texts = {name: columns[name]["what"] for name in _OF_MEASURE}
    for name in ("which", "reference", "source"):
        texts[name] = tables.sentence(f"cohort.dictionary.measures.{name}")
    return [{"name": name, "type": "string", "description": what} for name, what in texts.items()]


def _measures(frame: pd.DataFrame) -> list[dict[str, str]]:
    """List each metric of each exercise once, with its definition and the source."""
    table = tables.load("measures")["kinds"]
    kinds = table["words"] | table["others"]
    named = frame.loc[frame["metric"].ne(""), [name for name in _OF_MEASURE if name in frame]]
    once = named.drop_duplicates([name for name in ("exercise", "metric") if name in frame])
    rows = []
    for row in once.astype("str").fillna("").to_dict("records"):
        entry = entry_of(row["quantity"])
        rows.append(
            row
            | {"which": str(kinds.get(row["kind"], ""))}
            | {name: str(entry.get(name, "")) for name in ("reference", "source")}
        )
    return rows
