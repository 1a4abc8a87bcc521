"""Single-joint movements by name: what is measured, and how to film it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mobility import tables
from mobility.base.options import checked, likely, likely_of_all, quoted
from mobility.errors import BadInputError

TABLE = "movements"

END = "end_of_range"
"""Metric of the end of range of a movement."""

Plane = Literal["sagittal", "frontal"]


class Filming(NamedTuple):
    """How a movement is filmed.

    Attributes
    ----------
    sentence
        Position of the camera, and what the person does.
    drawing
        A drawing of the setup, an SVG file.
    """

    sentence: str
    drawing: Path


def movement(name: str) -> Mapping[str, Any]:
    """Return a copy of a movement's entry in the table ``movements``; never change its parts.

    Raises
    ------
    BadInputError
        There is no such movement. If the name is a joint, the message lists the joint's movements.
    """
    entries = tables.load(TABLE)
    if name in entries:
        return dict(entries[name])
    of_joint = [key for key, entry in entries.items() if entry["joint"] == name]
    if of_joint:
        fault = f"{name!r} is a joint; name one of its movements: {', '.join(of_joint)}"
        raise BadInputError.of({"movement": fault})
    # Names of movements share most of their letters: only a slip is near.
    choice = likely_of_all(name, entries, cutoff=0.85)
    raise BadInputError.of({"movement": f"there is no {quoted(name)}{choice}"})


def movements_of(joint: str) -> list[str]:
    """Return the names of the movements of a joint.

    Raises
    ------
    BadInputError
        There is no such joint.
    """
    entries = tables.load(TABLE)
    names = [name for name, entry in entries.items() if entry["joint"] == joint]
    if not names:
        joints = dict.fromkeys(entry["joint"] for entry in entries.values())
        fault = f"there is no {quoted(joint)}{likely_of_all(joint, joints)}"
        raise BadInputError.of({"joint": fault})
    return names


@checked
def movement_of(joint: str, *, plane: Plane, direction: str, weight_bearing: bool = False) -> str:
    """Return the name of the movement of a joint in a plane and a direction.

    Parameters
    ----------
    joint
        A joint of the table ``movements``.
    plane
        A plane of the body.
    direction
        "flexion", "abduction", ...; or "largest" or "smallest", if the signed angle is largest or
        smallest at the end of the movement.
    weight_bearing
        Whether the body stands on the limb that moves. This matters only for dorsiflexion.

    Raises
    ------
    BadInputError
        There is no such joint, or it has no such movement.
    """
    entries = {name: movement(name) for name in movements_of(joint)}
    matching = [
        name
        for name, entry in entries.items()
        if entry["plane"] == plane and direction in (entry["direction"], entry["end"])
    ]
    loaded = [name for name in matching if entries[name]["range"]["kind"] == "weight_bearing"]
    free = [name for name in matching if name not in loaded]
    candidates = [*loaded, *free] if weight_bearing else free
    if candidates:
        return candidates[0]
    directions = {*(entry["direction"] for entry in entries.values()), "largest", "smallest"}
    nearest = "" if direction in directions else likely(direction, directions)
    choice = nearest or f"; choose from {', '.join(entries)}"
    raise BadInputError(
        f"movement of the {joint} in the {plane} plane: {direction!r} is unknown{choice}"
    )


def in_own_direction(name: str, angle_deg: float) -> float:
    """Return an angle that is positive in the direction of a movement, such as elbow extension.

    Parameters
    ----------
    name
        Movement.
    angle_deg
        The signed angle of the movement (for `elbow_extension` the elbow's flexion), degrees.

    Raises
    ------
    BadInputError
        There is no such movement.
    """
    return -angle_deg if movement(name)["end"] == "smallest" else angle_deg


def how_to_film(name: str) -> Filming:
    """Return where to put the camera for a movement, with a drawing.

    Raises
    ------
    BadInputError
        There is no such movement.
    """
    sentence = movement(name)["film"]
    return Filming(sentence, Path(__file__).parent / "drawings" / f"{name}.svg")


def refusal_advice(name: str, plane: str = "") -> str:
    """Return the advice for a movement without a result: "Film the elbow from the side: ...".

    An elbow can bend in any `plane` of the body, and the view depends on the plane.

    Raises
    ------
    BadInputError
        There is no such movement.
    """
    entry = movement(name)
    how = entry["film"][0].lower() + entry["film"][1:]
    view = entry["view"]
    if entry["joint"] == "elbow":
        view_of_plane = {"frontal": "front", "transverse": "front or from above"}
        view = view_of_plane.get(plane, view)
    return tables.sentence("comments.film_again", joint=entry["joint"], view=view, how=how)
