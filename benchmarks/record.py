r"""Record what the package computes for the cases of record.yaml, and compare two such records.

usage: python benchmarks/record.py record OUT [--poses FOLDER] [--cache FOLDER] [--only CASE ...]
       python benchmarks/record.py compare BEFORE AFTER [--tolerance T] [--renamed FILE]

This is for changes that must not alter any result. Each case is analysed in a separate store. The
content of every document and Dataset, and every sentence of the reports, is written to a folder of
OUT; the layout of the files is not recorded. Only public functions and commands are used. What
differs between two runs of the same code (times, places, digests, versions) is left out; see
VOLATILE and UNSTEADY.

``--renamed`` is a YAML file of old names, as regular expressions, and new names:
``metrics:(.*)_bottom: metrics:phases/\1[phase=bottom]``. Brackets select one label of a dimension
in the new record.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

import mobility as mb
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.results import in_current_words
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.errors import MobilityError

ROOT = Path(__file__).resolve().parents[1]
VOLATILE = {
    *("session_id", "id", "created_at", "uploaded_date", "when", "date", "data_key"),  # of this run
    *("source_file", "video_url", "analyzed_video_url"),  # places
    *("versions", "who"),  # of the package and the libraries
}
"""Names of values that are left out of documents and attributes, besides names in _sha256."""

UNSTEADY = {
    r"file:\S*/": "",
    r"\b\d{4}-\d{2}-\d{2}(T[\d:+Z]+)?\b|\b\d\d/\d\d/\d{4}\b": "DATE",
    r"\b\d{1,2} [A-Z][a-z]{2} \d{4}(, \d\d:\d\d)?\b": "DATE",
    r"\b(?=\d*[a-f])[0-9a-f]{12,}\b": "DIGEST",
    r"\bthread_\w+": "THREAD",
    r"\bmobility \d[\w.]*": "mobility",
}
"""Parts of texts that are replaced: places, days, digests, ids of threads, versions."""

INLINE = {*("a", "abbr", "b", "cite", "code", "em", "i", "small", "span", "strong", "sub", "sup")}
SHOWN = 6
"""Largest number of lines of a text, and of cases of a name, for which a difference is shown."""


class Text(HTMLParser):
    """The visible text of a page, a line for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.parts = 0, list[str]()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin a line, or a part that is not shown."""
        self.hidden += tag in {"style", "script"}
        self.parts += [] if tag in INLINE else ["\n"]

    def handle_endtag(self, tag: str) -> None:
        """End the line or the part."""
        self.hidden -= tag in {"style", "script"}
        self.parts += [] if tag in INLINE else ["\n"]

    def handle_data(self, data: str) -> None:
        """Keep the text that is shown."""
        if not self.hidden:
            self.parts.append(data.replace("\n", " "))


def sentences(html: str) -> str:
    """Return the text of a page without its tags."""
    page = Text()
    page.feed(html)
    lines = (" ".join(line.split()) for line in "".join(page.parts).split("\n"))
    return steady("\n".join(line for line in lines if line)) + "\n"


def steady(text: str) -> str:
    """Remove from a text what belongs to one run only."""
    for pattern, instead in UNSTEADY.items():
        text = re.sub(pattern, instead, text)
    return text


def kept(value: Any) -> Any:
    """Return the JSON value of the part of a document or an attribute that is compared."""
    if isinstance(value, Mapping):
        named = {str(name): each for name, each in value.items()}
        return {
            name: kept(each)
            for name, each in named.items()
            if name not in VOLATILE and not name.endswith("_sha256")
        }
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [kept(each) for each in value]
    if isinstance(value, str):
        # A history is a document in an attribute.
        return kept(json.loads(value)) if value[:1] in ("[", "{") else steady(value)
    return value if value is None or isinstance(value, bool | int | float) else steady(str(value))


def write_document(folder: Path, name: str, document: Any) -> None:
    """Write a document in an order that is always the same."""
    text = json.dumps(kept(document), sort_keys=True, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def write_dataset(folder: Path, name: str, found: xr.Dataset | xr.DataTree) -> None:
    """Write the values and attributes of all variables; in a tree, names begin with the path."""
    groups = {"": found}
    if isinstance(found, xr.DataTree):
        groups = {node.path.strip("/"): node.to_dataset(inherit=False) for node in found.subtree}
    values: dict[str, np.ndarray] = {}
    described: dict[str, Any] = {}
    for path, dataset in groups.items():
        edge = f"{path}/" if path else ""
        described[path or "."] = {"attrs": dataset.attrs}
        for own, variable in dataset.variables.items():
            array = np.asarray(variable.values)
            plain = array.dtype.kind in "biuf"
            values[f"{edge}{own}"] = array if plain else array.astype(str)
            described[f"{edge}{own}"] = {"attrs": variable.attrs, "dims": list(variable.dims)}
    np.savez_compressed(folder / f"{name}.npz", **values)  # type: ignore[arg-type]
    write_document(folder, f"{name}.attributes", described)


def write(folder: Path, name: str, make: Callable[[], Any]) -> Any:
    """Write the result of a function, or its error; return None after an error."""
    try:
        made = make()
    except MobilityError as error:
        write_document(folder, name, {"refused": str(error)})
        return None
    if isinstance(made, xr.Dataset | xr.DataTree):
        write_dataset(folder, name, made)
    else:
        write_document(folder, name, made)
    return made


def record_session(
    folder: Path, case: Mapping[str, Any], videos: Sequence[Path], data: Path, store: mb.Store
) -> None:
    """Analyse a case as a session, and write all its results."""
    name, exercise = folder.name, registry.exercise(case["exercise"])
    if "participant" in case:
        store.set_participant(name, **case["participant"])
        write(folder, "participant", lambda: store.participant(name))
    session = store.create(
        *videos,
        user_id=name,
        exercise_name=exercise.name,
        session_name=name,
        session_id=name,
        body_joint_angles=case.get("joints", ["all"]),
        calibration=data / case["calibration"] if "calibration" in case else None,
    )
    write(folder, "details_before", session.details)
    if write(folder, "analysis", lambda: {"done": bool(session.analyze(annotate=False))}) is None:
        return
    results = ["pose", "fitted", "angles", "repetitions", "metrics"]
    for result in (*results, *(["second_pose"] if "second" in case else [])):
        write(folder, result, getattr(session, result))
    for document in ("details", "export", "capture_quality", "repetitions_table"):
        write(folder, document, getattr(session, document))
    write(folder, "table", lambda: long_table(session))
    for document in filter(exercise.has, ("report", "summary")):
        write(folder, document, getattr(session, document))
    if exercise.has("threads"):
        for system in ("metric", "imperial"):
            session.create_summary_threads(system=system)
            session.create_recommendation_threads(system=system)
        threads = sorted(session.threads(), key=lambda t: (t["kind"], t["system"], t["metric"]))
        write(folder, "threads", lambda: threads)
    if exercise.has("joint-mobility"):
        write(folder, "joint_mobility_before", session.joint_mobility)
        key = sorted(session.details()["angles"])[0]
        session.save_config(shown_angles=[key], comments={key: "Better than in spring."})
        write(folder, "config", session.config)
        write(folder, "joint_mobility", session.joint_mobility)
    page = session.render_report()["html"]
    (folder / "report.txt").write_text(sentences(page.read_text("utf-8")), encoding="utf-8")
    if "lab" in case:
        told = command(
            "validate", name, data / case["lab"], "--static", data / case["static"], "--json",
            "--store", store.path, "--reports", store.reports,
        )  # fmt: skip
        write(folder, "validation", lambda: json.loads(told))
        for page in sorted(store.reports.glob(f"{name}.*/**/*.html")):
            text = sentences(page.read_text("utf-8"))
            (folder / f"{page.stem}.txt").write_text(text, encoding="utf-8")


def long_table(session: mb.Session) -> xr.Dataset:
    """Return the metrics in the form of a cohort, in a fixed order."""
    keys = ["metric", "side", "rep", "phase", "item"]  # as text, and so not in order of categories
    frame = session.to_dataframe().drop(columns=["date", "software"])
    ordered = frame.astype(dict.fromkeys(keys, str)).sort_values(keys, ignore_index=True)
    return xr.Dataset.from_dataframe(ordered)


def record_landmarks(folder: Path, case: Mapping[str, Any], data: Path) -> None:
    """Write the results of the functions for landmarks without a video."""
    cleaned = mb.clean_pose(xr.load_dataset(data / case["pose"]), visibility_threshold=0.1)
    exercise = registry.exercise(case["exercise"]) if "exercise" in case else None
    options = stages_of(exercise).fit_options(cleaned) if exercise else {}
    fitted = write(folder, "fitted", lambda: mb.fit_body(cleaned, **options))
    if fitted is None:
        return
    if exercise:
        record_stages(folder, exercise, fitted)
        return
    angles = mb.joint_angles(fitted)
    reps = mb.find_repetitions(fitted)
    write(folder, "angles", lambda: angles)
    write(folder, "repetitions", lambda: reps)
    write(folder, "metrics", lambda: mb.overhead_squat(fitted, angles, reps))
    if "joints" in case:
        joints = tuple(case["joints"])
        single = mb.joint_angles(fitted, in_picture=True)
        write(folder, "movements", lambda: mb.joint_movements(fitted, single, joints=joints))
        write(folder, "mobility", lambda: mb.joint_mobility(fitted, single, joints=joints))


def record_stages(folder: Path, exercise: Exercise, fitted: xr.Dataset) -> None:
    """Write the stages of an exercise after the fit, until one raises an error."""
    stages = {"fitted": fitted}
    trial = Trial(
        exercise=exercise,
        joints=exercise.joints,
        fit=True,
        movement=None,
        sex=None,
        age=None,
        intervals=None,
        dataset=stages.__getitem__,
    )
    of_exercise = stages_of(exercise)
    for stage, make in (
        ("angles", of_exercise.joint_angles),
        ("repetitions", of_exercise.repetitions),
        ("metrics", of_exercise.metrics),
    ):
        result = write(folder, stage, functools.partial(make, trial))
        if result is None:
            return
        stages[stage] = result


def command(*words: object) -> str:
    """Run ``mobility`` with these words, and return what it prints."""
    # As this checkout says where the command is, not as the last installation did.
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    module, _, function = scripts["mobility"].partition(":")
    program = f"import {module} as place; place.{function}()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    if done.returncode:
        raise SystemExit(f"mobility {words[0]} ended with status {done.returncode}")
    return done.stdout


def rendered(name: str, case: Mapping[str, Any], cache: Path) -> Path:
    """Return the video of a case of the virtual lab; render it unless the cache contains it."""
    video = cache / name / "video.mp4"
    if not video.is_file():
        video.parent.mkdir(parents=True, exist_ok=True)
        description = video.with_name("case.yaml")
        description.write_text(yaml.safe_dump(dict(case)), encoding="utf-8")
        command("virtual-lab", "render", description, video.parent)
    return video


def take_stored_poses(folder: Path) -> None:
    """Let the analysis find the poses in a folder by the video from which they come.

    This must be called before anything imports the function from its module. If something imports
    it differently, the poses are computed, which is slower but changes no value.
    """
    found = (xr.load_dataset(file) for file in sorted(folder.glob("*.nc")))
    stored = {pose.attrs["video_sha256"]: pose for pose in found}
    estimate = mb.estimate_pose

    @functools.wraps(estimate)
    def look_up(video: Path, **options: Any) -> xr.Dataset:
        pose = stored.get(hashlib.sha256(Path(video).read_bytes()).hexdigest())
        return estimate(video, **options) if pose is None else pose

    vars(sys.modules[estimate.__module__])[estimate.__name__] = look_up


def record(out: Path, *, data: Path, cache: Path, poses: Path | None, only: Sequence[str]) -> None:
    """Write the record of all cases, or of some."""
    cases = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))["cases"]
    if unknown := set(only) - set(cases):
        raise SystemExit(f"{', '.join(sorted(unknown))}: no case of record.yaml")
    if poses is not None:
        take_stored_poses(poses)
    with tempfile.TemporaryDirectory() as place:
        store = mb.Store(Path(place) / "sessions", reports=Path(place) / "reports")
        for name in only or cases:
            case, folder, began = cases[name], out / name, time.perf_counter()
            folder.mkdir(parents=True)
            if "pose" in case:
                record_landmarks(folder, case, data)
            else:
                record_session(folder, case, videos_of(name, case, data, cache), data, store)
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)


def videos_of(name: str, case: Mapping[str, Any], data: Path, cache: Path) -> list[Path]:
    """Return the videos of a case."""
    if "rendered" in case:
        return [rendered(name, case["rendered"], cache)]
    files = [case[which] for which in ("video", "second") if which in case]
    return [(ROOT if file.startswith("data/demo/") else data) / file for file in files]


def leaves(folder: Path) -> dict[str, Any]:
    """Return all contents of a case by name: arrays, single values, texts as lists of lines."""
    found: dict[str, Any] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix == ".npz":
            with np.load(file) as values:
                found |= {f"{file.stem}:{name}": values[name] for name in values.files}
        elif file.suffix == ".json":
            found |= dict(
                parts(
                    f"{file.stem}:",
                    json.loads(file.read_text("utf-8"), object_hook=in_current_words),
                )
            )
        else:
            found[file.name] = file.read_text("utf-8").splitlines()
    return found


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return the values of a document by their place in it; a list of numbers is one value."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from parts(f"{name}.{key}" if name[-1] != ":" else name + key, each)
    elif is_number(value) or (
        isinstance(value, list) and value and all(each is None or is_number(each) for each in value)
    ):
        yield name, np.array(value, dtype=float)
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from parts(f"{name}[{number}]", each)
    else:
        yield name, value


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def difference(before: Any, after: Any, tolerance: float) -> tuple[float, str] | None:
    """Return size and description of a difference; None if there is none. NaN equals NaN."""
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if before.shape != after.shape:
            return np.inf, f"shape {before.shape}, now {after.shape}"
        if {before.dtype.kind, after.dtype.kind} <= set("biuf"):
            before, after = before.astype(float), after.astype(float)
            same = np.isclose(before, after, rtol=tolerance, atol=tolerance, equal_nan=True)
            with np.errstate(invalid="ignore"):
                gap = np.abs(before - after)
            # A value where there was none differs most.
            gap = np.where(same, 0.0, np.where(np.isfinite(gap), gap, np.inf))
        else:
            gap = np.where(before == after, 0.0, np.inf)
        if not gap.any():
            return None
        at = np.unravel_index(np.argmax(gap), gap.shape)
        place = f" at {[int(i) for i in at]}" if at else ""
        count = f", {np.count_nonzero(gap)} of {gap.size} values" if gap.size > 1 else ""
        by = f"by {gap[at]:.3g}" if np.isfinite(gap[at]) else "differs"
        return float(gap[at]), f"{by}{place}: {before[at]}, now {after[at]}{count}"
    if type(before) is type(after) and before == after:
        return None
    if isinstance(before, list) and isinstance(after, list):
        lines = [
            line
            for line in difflib.unified_diff(before, after, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
        more = f"\n    and {len(lines) - SHOWN} more lines" if len(lines) > SHOWN else ""
        return np.inf, "".join(f"\n    {line}" for line in lines[:SHOWN]) + more
    return np.inf, f"{before!r}, now {after!r}"


def renamed(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """Give the contents of the newer record their older names, if the table lists them."""
    found, used = {}, set()
    for name in before:
        attribute = re.fullmatch(r"(.*)\.attributes:([^.]+)\.(.*)", name)
        target, labels = newer(f"{attribute[1]}:{attribute[2]}" if attribute else name, names)
        if attribute:
            file, _, variable = target.partition(":")
            target = f"{file}.attributes:{variable}.{attribute[3]}"
        if attribute and labels and attribute[3].startswith("dims"):
            found[name] = before[name]  # a part has others; its shape is compared
        elif target != name and target in after:
            used.add(target)
            whole = attribute or not labels
            found[name] = after[target] if whole else selected(after, target, labels)
    return {name: value for name, value in after.items() if name not in used} | found


def newer(name: str, names: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the newer name from the table, and the labels that select a part of it."""
    for pattern, template in names.items():
        if (match := re.fullmatch(pattern, name)) is not None:
            target, *labels = re.split(r"[\[\],]+", match.expand(template).rstrip("]"))
            return target, labels
    return name, []


def selected(after: Mapping[str, Any], name: str, labels: Sequence[str]) -> np.ndarray:
    """Return the part of a variable at labels ``dim=label``."""
    file, _, variable = name.partition(":")
    dims = [after[f"{file}.attributes:{variable}.dims[{i}]"] for i in range(after[name].ndim)]
    value: np.ndarray = after[name]
    for each in labels:
        dim, _, label = each.partition("=")
        # Its labels stand in the same group of a tree, or in one above it.
        steps = variable.split("/")[:-1]
        above = ["/".join([*steps[:depth], dim]) for depth in range(len(steps), -1, -1)]
        found = (after[f"{file}:{key}"] for key in above if f"{file}:{key}" in after)
        known = [str(one) for one in next(found, ())]
        if dim not in dims or label not in known:
            raise SystemExit(f"--renamed: {name} has no {each}")
        value = np.take(value, known.index(label), axis=dims.index(dim))
        dims.remove(dim)
    return value


def compare(
    before: Path, after: Path, *, tolerance: float = 1e-9, names: Mapping[str, str] | None = None
) -> list[str]:
    """Return lines on missing, new and different contents; none if two records are the same."""
    cases = [{f.name for f in folder.iterdir() if f.is_dir()} for folder in (before, after)]
    told = [f"only in {before}: case {name}" for name in sorted(cases[0] - cases[1])]
    told += [f"only in {after}: case {name}" for name in sorted(cases[1] - cases[0])]
    only: dict[tuple[str, Path], set[str]] = {}
    different: dict[str, list[tuple[float, str, str]]] = {}
    for case in sorted(cases[0] & cases[1]):
        old = leaves(before / case)
        new = renamed(old, leaves(after / case), names or {})
        for mine, yours, where in ((old, new, before), (new, old, after)):
            files = {name.partition(":")[0] for name in yours}
            for name in mine.keys() - yours.keys():
                # Of a document or Dataset that the other has not, its own name is enough.
                file = name.partition(":")[0]
                only.setdefault((name if file in files else file, where), set()).add(case)
        for name in old.keys() & new.keys():
            if (found := difference(old[name], new[name], tolerance)) is not None:
                different.setdefault(name, []).append((found[0], case, found[1]))
    for (name, where), of in sorted(only.items()):
        told.append(f"only in {where}: {name} ({some(of)})")
    for name, all_of in sorted(different.items()):
        _, case, text = max(all_of)
        others = [of for _, of, _ in all_of if of != case]
        told.append(f"{name}: in {case} {text}" + (f"; also in {some(others)}" if others else ""))
    return told


def some(cases: Collection[str]) -> str:
    """Name the cases, or some of them with the number of the others."""
    few = ", ".join(sorted(cases)[:SHOWN])
    return few if len(cases) <= SHOWN else f"{few} and {len(cases) - SHOWN} more"


def main() -> None:
    """Record, or print what differs between two records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="write the record of all cases")
    one.add_argument("out", type=Path, help="a new folder")
    one.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    one.add_argument("--cache", type=Path, default=ROOT / "build" / "record", help="rendered cases")
    one.add_argument("--poses", type=Path, help="folder with stored poses of the videos")
    one.add_argument("--only", nargs="+", default=[], metavar="CASE")
    two = commands.add_parser("compare", help="print what differs; status 1 if anything does")
    two.add_argument("before", type=Path)
    two.add_argument("after", type=Path)
    two.add_argument("--tolerance", type=float, default=1e-9, help="absolute, or of the value")
    two.add_argument("--renamed", type=Path, help="YAML of old names and new ones")
    given = parser.parse_args()
    if given.command == "record":
        record(given.out, data=given.data, cache=given.cache, poses=given.poses, only=given.only)
        return
    names = yaml.safe_load(given.renamed.read_text("utf-8")) if given.renamed else None
    told = compare(given.before, given.after, tolerance=given.tolerance, names=names)
    print("\n".join(told) or "no difference")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
