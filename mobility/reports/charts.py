"""Small charts as SVG, sharp in print and drawn ten times as fast as with matplotlib."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import htpy as h
import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from mobility.base.formatting import rounded
from mobility.plotting.axes import GREY, NORMAL, SMALL

_WIDE, _HIGH = 324.0, 194.4
"""Size in points, so that the text is legible at the width of a phone."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 45.0, 311.0, 20.0, 160.0
"""Edges of the panel, which are the same in all charts, so that the charts align."""

_DASHES: dict[Any, tuple[float, ...]] = {"-": (), ":": (1.0, 1.65)}
_MARGIN = 0.05
_KEY = h.p(".note")[h.span(".left-text")["━━ left"], " ", h.span(".right-text")["╌╌ right"]]


def charts(*panels: tuple[Callable[..., Any], str]) -> Markup:
    """Put charts side by side, or one below the other on a narrow page.

    Parameters
    ----------
    *panels
        For each chart, a function that draws on an Axes `ax`, and a description.
    """
    figures = []
    for draw, alt in panels:
        chart = Chart()
        draw(ax=chart)
        coded = base64.b64encode(chart.svg().encode()).decode()
        size = {"width": round(4 * _WIDE / 3), "height": round(4 * _HIGH / 3)}
        source = f"data:image/svg+xml;base64,{coded}"
        figures.append(h.figure[h.img(".chart", size, src=source, alt=alt)])
    return h.fragment[h.div(".charts")[figures], _KEY].__html__() if figures else Markup()


def round_step(least: float) -> float:
    """Find the smallest of 1, 2, 5, 10, 20 ... (or 0.1, 0.2, 0.5 ...) that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least)


class Chart:
    """The part of matplotlib's Axes that :mod:`mobility.plot` needs, written as SVG."""

    transAxes = None  # noqa: N815 - matplotlib's name

    def __init__(self) -> None:
        self._marks: list[tuple[float, Callable[[], h.Node]]] = []
        self._values: list[NDArray[np.float64]] = []
        self._x: tuple[float, float] = (0.0, 1.0)
        self._y: tuple[float, float] | None = None
        self._words: list[h.Node] = []

    def set_xlim(self, low: float, high: float) -> None:
        """Set the ends of the x axis."""
        self._x = float(low), float(high)

    def get_ylim(self) -> tuple[float, float]:
        """Return the ends of the y axis: around all that is drawn, unless they were set."""
        if self._y is not None:
            return self._y
        drawn = [values[np.isfinite(values)] for values in self._values]
        values = np.concatenate([*drawn, np.empty(0)])
        if not values.size:
            return 0.0, 1.0
        low, high = float(values.min()), float(values.max())
        margin = _MARGIN * (high - low) or 0.5
        return low - margin, high + margin

    def set_ylim(self, low: float, high: float) -> None:
        """Set the ends of the y axis."""
        self._y = float(low), float(high)

    def set_title(self, label: str, **_: Any) -> None:
        """Write the title, at the left."""
        self._write(_LEFT, _TOP - 5, label, NORMAL, "start")

    def set_xlabel(self, label: str, **_: Any) -> None:
        """Label the x axis."""
        self._write((_LEFT + _RIGHT) / 2, _HIGH - 6, label, NORMAL)

    def set_ylabel(self, label: str, **_: Any) -> None:
        """Label the y axis."""
        turn = f"rotate(-90 13 {(_TOP + _BOTTOM) / 2:g})"
        self._write(13, (_TOP + _BOTTOM) / 2, label, NORMAL, transform=turn)

    def text(self, x: float, y: float, text: str, *, color: str = "#000", **_: Any) -> None:
        """Write text in the panel; the position is in shares of the panel's width and height."""
        place = _LEFT + x * (_RIGHT - _LEFT), _BOTTOM - y * (_BOTTOM - _TOP)
        self._write(*place, text, SMALL, fill=color)

    def plot(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        color: str,
        linewidth: float,
        linestyle: Any = "-",
        alpha: float = 1.0,
        zorder: float = 2,
        label: str = "",
    ) -> None:
        """Draw a line, with gaps for NaN; `label` is ignored, because there is no legend."""
        del label
        values = np.asarray(y, float)
        self._values.append(values)

        def mark() -> h.Node:
            path = "".join(f"M{_joined(run)}" for run in self._runs(x, values))
            return _path(path, opacity=f"{alpha:g}", **_stroke(color, linewidth, linestyle))

        self._marks.append((zorder, mark))

    def fill_between(
        self, x: ArrayLike, low: ArrayLike, high: ArrayLike, *,
        color: str, alpha: float, zorder: float = 1, **_: Any,
    ) -> None:  # fmt: skip
        """Draw a band, with gaps if one of its limits is NaN."""
        ends = np.stack([np.asarray(low, float), np.asarray(high, float)])
        ends[:, np.isnan(ends).any(axis=0)] = np.nan
        self._values.append(ends)

        def mark() -> h.Node:
            sides = zip(self._runs(x, ends[0]), self._runs(x, ends[1]), strict=True)
            path = "".join(f"M{_joined([*lower, *upper[::-1]])}Z" for lower, upper in sides)
            return _path(path, fill=color, opacity=f"{alpha:g}")

        self._marks.append((zorder, mark))

    def axvspan(
        self, start: float, end: float, *,
        facecolor: str, edgecolor: str, hatch: str = "", zorder: float = 1, **_: Any,
    ) -> None:  # fmt: skip
        """Shade or hatch from one x to another, from top to bottom."""

        def mark() -> h.Node:
            a, b = self._across([start, end])
            shape = f"M{a:.1f} {_TOP}H{b:.1f}V{_BOTTOM}H{a:.1f}Z"
            if not hatch:
                return _path(shape, fill=facecolor)
            about = {"patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
            pattern = h.pattern(about, id="hatch", width=4, height=4)
            return pattern[_path("M2 0v4", stroke=edgecolor)], _path(shape, fill="url(#hatch)")

        self._marks.append((zorder, mark))

    def axvline(self, x: float, *, zorder: float = 2, **style: Any) -> None:
        """Draw a line from top to bottom."""

        def mark() -> h.Node:
            return _path(f"M{self._across([x])[0]:.1f} {_BOTTOM}V{_TOP}", **_stroke(**style))

        self._marks.append((zorder, mark))

    def svg(self) -> str:
        """Return the chart as SVG."""
        drawn = [mark() for _, mark in sorted(self._marks, key=lambda each: each[0])]
        panel = _path(f"M{_LEFT} {_TOP}H{_RIGHT}V{_BOTTOM}H{_LEFT}Z")
        about = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_WIDE} {_HIGH}"}
        root = h.svg(about, text_anchor="middle", font_family="system-ui,sans-serif")
        clip = h.Element("clipPath")(id="panel")[panel]
        return str(root[clip, h.g(clip_path="url(#panel)")[drawn], self._axes(), self._words])

    def _axes(self) -> h.Node:
        ticks, numbers = f"M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}", []
        for value, text in _ticks(*self._x, most=8):
            x = self._across([value])[0]
            ticks += f"M{x:.1f} {_BOTTOM}v3.5"
            numbers.append(h.text(x=f"{x:.1f}", y=str(_BOTTOM + 13))[text])
        for value, text in _ticks(*self.get_ylim(), most=8):
            y = self._up([value])[0]
            ticks += f"M{_LEFT} {y:.1f}h-3.5"
            place = {"x": str(_LEFT - 6), "y": f"{y + 3:.1f}"}
            numbers.append(h.text(place, text_anchor="end")[text])
        return _path(ticks, **_stroke(GREY, 0.8)), h.g(font_size=str(SMALL))[numbers]

    def _write(
        self, x: float, y: float, text: str, size: float, anchor: str = "middle", **more: str
    ) -> None:
        about = {"x": f"{x:g}", "y": f"{y:g}", "font-size": str(size), "text-anchor": anchor}
        self._words.append(h.text(about, **more)[text])

    def _across(self, x: ArrayLike) -> NDArray[np.float64]:
        low, high = self._x
        share = (np.asarray(x, float) - low) / (high - low)
        return np.asarray(_LEFT + share * (_RIGHT - _LEFT))

    def _up(self, y: ArrayLike) -> NDArray[np.float64]:
        low, high = self.get_ylim()
        share = (np.asarray(y, float) - low) / (high - low)
        return np.asarray(_BOTTOM - share * (_BOTTOM - _TOP))

    def _runs(self, x: ArrayLike, y: NDArray[np.float64]) -> Iterator[list[tuple[float, float]]]:
        """Return the points of each part without a gap, at least a tenth of a point apart."""
        tenths = np.round(10 * self._across(x))
        places = np.stack([tenths / 10, np.round(self._up(y), 1)], axis=-1)
        apart = np.diff(tenths, prepend=-np.inf) != 0
        gaps = np.flatnonzero(np.isnan(y))
        for run in np.split(np.arange(len(y)), gaps):
            finite = run[np.isfinite(y[run]) & apart[run]]
            if finite.size:
                yield [(across, up) for across, up in places[finite].tolist()]


def _ticks(low: float, high: float, *, most: int) -> list[tuple[float, str]]:
    """Choose round numbers for the ticks of an axis, and format them as text."""
    step = round_step((high - low) / most)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(k * step, rounded(k * step, digits)) for k in range(first, last + 1)]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _path(path: str, **style: str | None) -> h.Node:
    return h.path(d=path, **style) if path else None


def _stroke(color: str, linewidth: float, linestyle: Any = "-") -> dict[str, str | None]:
    dashes = _DASHES[linestyle] if isinstance(linestyle, str) else linestyle[1]
    return {
        "fill": "none",
        "stroke": color,
        "stroke_width": f"{linewidth:g}",
        "stroke_linejoin": "round",
        "stroke_dasharray": " ".join(f"{linewidth * each:g}" for each in dashes) or None,
    }
