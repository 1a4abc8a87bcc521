"""Display settings in the notebook: choose and order the angles, write comments, and save."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import htpy as h
import numpy as np
import traitlets
from markupsafe import Markup

from mobility import Session
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.documents.display_settings import COMMENT_LENGTH, FIELDS, angle_keys
from mobility.documents.fill import SIDES, series
from mobility.errors import NotFoundError
from mobility.widgets.widget import Act, Widget, module, repetitions_of

MOST_POINTS = 1200
"""Largest number of points of a curve for the page; a longer curve is thinned out."""


class ConfigEditor(Widget):
    """Edit which angles a single-joint report shows, and the comments on them.

    Parameters
    ----------
    session
        A session with single-joint movements.

    Attributes
    ----------
    shown
        Keys of the chosen angles, in order.
    comments
        Comments by angle.
    revision
        The revision that is being edited; 0 if nothing was saved.
    unsaved, can_undo
        Whether there are changes to save, or to undo.

    Raises
    ------
    BadInputError
        The session belongs to another exercise.
    """

    _esm = module("config_editor")
    fields_of_page = frozenset(FIELDS)

    title = traitlets.Unicode().tag(sync=True)
    angles = traitlets.List().tag(sync=True)
    comment_length = traitlets.Int(COMMENT_LENGTH).tag(sync=True)
    without_curves = traitlets.Unicode().tag(sync=True)
    shown = traitlets.List().tag(sync=True)
    comments = traitlets.Dict().tag(sync=True)
    revision = traitlets.Int().tag(sync=True)
    unsaved = traitlets.Bool().tag(sync=True)
    can_undo = traitlets.Bool().tag(sync=True)
    answered = traitlets.Unicode().tag(sync=True)

    def __init__(self, session: Session) -> None:
        self.session = session
        stored = session.stored_config()
        self._past: list[tuple[list[str], dict[str, str]]] = []
        self._now: tuple[list[str], dict[str, str]] = ([], {})
        self._stored = self._now
        super().__init__(
            title=session.title,
            angles=[
                {"key": key, "label": _label(key)} for key in angle_keys(session.record.joints)
            ],
        )
        self._take(
            list(stored.shown_angles) if stored else [],
            dict(stored.comments) if stored else {},
            stored.revision if stored else 0,
        )
        self.observe(self._changed, names=["shown", "comments"])

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {
            "change": lambda content, _: self._change(content),
            "save": lambda content, _: self.save(force=bool(content.get("force"))),
            "undo": lambda content, _: self._undo(content),
            "reload": lambda *_: self.reload(),
            "curves": lambda *_: self._send_curves(),
        }

    def save(self, *, force: bool = False) -> dict[str, Any]:
        """Save the settings, and return the stored ones.

        Parameters
        ----------
        force
            Whether to overwrite changes that somebody else has saved in the meantime.

        Raises
        ------
        BadInputError
            A setting cannot be stored.
        ConflictError
            Somebody else has saved in the meantime.
        """
        answer = self.session.save_config(
            shown_angles=self.shown,
            comments=self.comments,
            revision=None if force else self.revision,
        )
        if force:
            stored = self.session.stored_config()
            self.revision = stored.revision if stored else 0
        else:
            # Not read again: it may be somebody else's by now, which this editor has not shown.
            self.revision += 1
        self._stored = self._now
        self.unsaved = False
        self.say("done", "saved; the next report uses these settings")
        return answer

    def undo(self) -> None:
        """Undo the last change; the stored settings only change when you save."""
        if self._past:
            angles, comments = self._past.pop()
            self._show(angles, comments)

    def reload(self) -> None:
        """Load the stored settings, and discard the changes."""
        stored = self.session.stored_config()
        if stored is None:
            raise NotFoundError(f"session {self.session.id}: has no display settings to load")
        self._take(list(stored.shown_angles), dict(stored.comments), stored.revision)

    def static_html(self) -> Markup:
        """Return the chosen curves and their comments as HTML."""
        from mobility.reports import figures

        rows = (
            h.li[_label(key), f": {self.comments[key]}" if key in self.comments else ""]
            for key in self.shown or [angle["key"] for angle in self.angles[::3]]
        )
        text = h.fragment[h.p[h.b[self.title]], h.ul[rows]].__html__()
        try:
            angles = self.session.shown_angles()
        except NotFoundError:
            return text
        joints = [key.split("_")[-2] for key in self.shown] or list(self.session.record.joints)
        names = list(dict.fromkeys(ANGLE_OF_JOINT[joint] for joint in joints))
        figure = figures.angle_curves(angles, repetitions_of(self.session), names=names)
        picture = figures.png(figure, dpi=60)
        coded = base64.b64encode(picture).decode()
        source = f"data:image/png;base64,{coded}"
        return text + h.img(alt="Curves of the angles", src=source).__html__()

    # The page requests changes by messages, which keep their order, and not by traits, because late
    # traits overwrite newer requests. It uses the traits again after the answer to its last
    # request.

    def _change(self, content: Mapping[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():
            self.shown = list(content.get("shown") or [])
            self.comments = dict(content.get("comments") or {})
            self.answered = str(content.get("number"))

    def _undo(self, content: Mapping[str, Any]) -> None:
        with self.hold_sync():
            self.undo()
            self.answered = str(content.get("number"))

    def _take(self, angles: list[str], comments: dict[str, str], revision: int) -> None:
        self._past.clear()
        self._stored = (angles, comments)
        self.revision = revision
        self._show(angles, comments)

    def _show(self, angles: list[str], comments: dict[str, str]) -> None:
        self._now = (angles, comments)
        with self.hold_trait_notifications():
            self.shown, self.comments = list(angles), dict(comments)
        self.unsaved = self._now != self._stored
        self.can_undo = bool(self._past)

    def _changed(self, _: Any) -> None:
        now = (list(self.shown), dict(self.comments))
        if now == self._now:
            return
        self._past.append(self._now)
        self._now = now
        self.errors = {}
        self.unsaved = self._now != self._stored
        self.can_undo = True

    def _send_curves(self) -> None:
        try:
            angles = self.session.shown_angles()
        except NotFoundError as error:
            self.without_curves = str(error)
            return
        thin = max(1, -(-angles.sizes["time"] // MOST_POINTS))
        angles = angles.isel(time=slice(None, None, thin))
        curves = {
            joint: {
                side: series(angles[ANGLE_OF_JOINT[joint]].sel(side=side).values, 1)
                for side in SIDES
            }
            for joint in self.session.record.joints
        }
        time = np.round(angles["time"].values, 4).tolist()
        self.send({"kind": "curves", "time": time, "of": curves})


def _label(key: str) -> str:
    """Return the words for a key: ``left_knee_angle`` is "Knee, left"."""
    words = key.removesuffix("_angle").split("_")
    joint = words[-1].capitalize()
    return f"{joint}, {words[0]}" if len(words) > 1 else f"{joint}, both sides"
