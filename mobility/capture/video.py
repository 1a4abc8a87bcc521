"""Video files: their properties, their frames with the true times, and writing H.264.

Times come from the presentation timestamps of the container, never from a frame number and a
nominal rate. Phones record at an uneven rate, and edit lists hide frames that are in the stream but
not shown.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from pydantic import Field, SkipValidation

from mobility import tables
from mobility.base.options import FilePath, checked
from mobility.base.parsing import require_regular
from mobility.base.writing import atomic
from mobility.errors import (
    BadInputError,
    MobilityError,
    NotFoundError,
    StorageError,
    TooLargeError,
    VideoError,
)

log = logging.getLogger(__name__)
# `on_fault` also reports errors; without logging, Python would print them.
log.addHandler(logging.NullHandler())

CONTAINERS = (
    "mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "ogg",
    "mxf", "gif", "h264", "hevc", "m4v", "ivf", "mjpeg", "dv", "nut", "rm",
)  # fmt: skip
"""FFmpeg demuxers that may be used. Playlists are excluded because they name other files and hosts,
and an uploaded file must not make us read those."""

CLOCK = 90_000
"""Ticks per second in the videos that this module writes."""

_LENIENT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
"""PyAV before version 18, and so every version for Python 3.11, refuses a file whose title is not
UTF-8.
"""

GLIMPSE = 128
"""Largest side, pixels, of the reduced grey frame that `glance` gets."""

SEEK_BACK = (0.0, 2.0, 10.0)
"""Seconds before the requested time at which reading may start. They are tried in turn; if all
fail, reading starts at the beginning.
"""


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video file; the size is as displayed (rotated, square pixels).

    Names of formats are FFmpeg's. `frame_rate` is nominal, None if the file does not state it; the
    duration is in seconds.
    """

    path: Path
    width: int
    height: int
    frame_rate: float | None
    duration_s: float
    codec: str
    pixel_format: str


@dataclass(slots=True)
class Frame:
    """One picture of a video: seconds from its start, and upright RGB (height, width, 3), uint8."""

    time: float
    image: NDArray[np.uint8]


def _orientation(frame: Any) -> tuple[bool, int | None]:
    """Return whether to transpose a decoded frame, and how to flip it then (code of OpenCV).

    The display matrix maps a stored point (p, q) to (a p + c q, b p + d q).
    """
    side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX.name)
    if side_data is None:
        return False, None
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(side_data), "<i4")[:5])
    transpose = abs(b) > abs(a)
    x, y = (c < 0, b < 0) if transpose else (a < 0, d < 0)
    return transpose, (-1 if x else 0) if y else (1 if x else None)


def _upright(image: NDArray[np.uint8], orientation: tuple[bool, int | None]) -> NDArray[np.uint8]:
    """Rotate a picture according to :func:`_orientation`."""
    import cv2

    transpose, flip = orientation
    turned: Any = cv2.transpose(image) if transpose else image
    return np.ascontiguousarray(turned if flip is None else cv2.flip(turned, flip))


def _glimpse(frame: Any) -> NDArray[np.uint8]:
    """Return a decoded frame, subsampled and grey."""
    step = max(1, -(-max(frame.width, frame.height) // GLIMPSE))
    first = frame.format.components[0]
    if frame.format.is_planar and first.is_luma and first.bits == 8:
        rows = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
        return rows[step // 2 : frame.height : step, step // 2 : frame.width : step].copy()
    width, height = (max(1, side // step) for side in (frame.width, frame.height))
    grey = VideoReformatter().reformat(frame, width, height, "gray", interpolation="POINT")
    return np.asarray(grey.to_ndarray())


def _open(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """Open a video file and return its container and its video stream."""
    file = Path(path)
    try:
        status = require_regular(file)
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(
                f"{file}: this is a folder, not a video file; give one of its files"
            )
        if status.st_size == 0:
            raise VideoError(f"{file}: the file is empty; copy it again from the camera")
        # An absolute path, so that a name with a colon is not read as a protocol.
        container = av.open(
            str(file.resolve()),
            **_LENIENT,
            options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"},
        )
    except PermissionError:
        raise NotFoundError(
            f"{file}: you have no permission to read this file; change its permissions"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{file}: there is no such file; check the path") from None
    except av.FFmpegError as error:
        raise VideoError(
            f"{file}: this is not a video that can be read ({error.strerror}), or it is "
            "incomplete; copy it again from the camera, or convert it to MP4"
        ) from None
    except MobilityError:
        raise
    except OSError as error:
        raise BadInputError(
            f"{file}: cannot be opened ({error.strerror}); check the path"
        ) from None
    try:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            streams = ", ".join(sorted({s.type for s in container.streams}))
            if not streams:
                raise VideoError(
                    f"{file}: its index is cut off, so the file is incomplete;"
                    " copy it again from the camera"
                )
            raise VideoError(
                f"{file}: there is no video in this file (it holds {streams}); give a video file"
            )
        if stream.codec_context is None:
            raise VideoError(
                f"{file}: its video codec is not supported; convert it to MP4 with H.264"
            )
        if not (stream.codec_context.width and stream.codec_context.height):
            raise VideoError(
                f"{file}: its frames have no size, so the file is damaged or incomplete; copy "
                "it again from the camera"
            )
    except VideoError:
        container.close()
        raise
    return container, stream


def _stored_size(stream: Any) -> tuple[int, int]:
    """Return the size with square pixels, before rotation; the width is adjusted, as in players."""
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = stream.sample_aspect_ratio
    if aspect:
        width = max(1, round(width * aspect))
    return width, height


def _start(container: Any, stream: Any) -> Fraction:
    """Return the start of the video on the container's clock, in seconds."""
    if container.start_time is None:
        return Fraction(0)
    start = Fraction(container.start_time, av.time_base)
    if stream.start_time is not None:
        stream_start: Fraction = Fraction(stream.start_time) * stream.time_base
        if abs(stream_start - start) <= Fraction(1, av.time_base):
            return stream_start  # equals the container's start, but is not rounded to a microsecond
    return start


class _Faults:
    """Counts the errors of a file while it is read, and reports them at the end."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.count: Counter[str] = Counter()
        self.first: dict[str, float] = {}
        self.truncated: tuple[float, float] | None = None

    def add(self, code: str, time: float) -> None:
        self.count[code] += 1
        self.first.setdefault(code, time)

    def report(self, on_fault: Callable[[dict[str, str]], None] | None) -> None:
        name = self.path.name
        warnings = [
            tables.warning(
                "capture.video_damaged" if code == "video_damaged" else "capture.video_timestamps",
                file=name,
                count=count,
                first=self.first[code],
            )
            for code, count in sorted(self.count.items())
        ]
        if self.truncated:
            last, declared = self.truncated
            warnings.append(
                tables.warning("capture.video_truncated", file=name, last=last, declared=declared)
            )
        for fault in warnings:
            log.warning(fault["message"])
            if on_fault is not None:
                on_fault(fault)


def _decoded(
    container: Any, stream: Any, seek_to: float | None, faults: _Faults
) -> Iterator[tuple[float, Any]]:
    """Yield (time, decoded frame), in order, with strictly increasing times.

    After a seek only frames from the keyframe on are yielded, because earlier frames refer to
    pictures that were not decoded. After a damaged packet all frames up to the next keyframe are
    left out, because they depend on the damaged picture.
    """
    origin = _start(container, stream)
    base = stream.time_base
    from_pts: int | None = None
    searching = broken = False
    if seek_to is not None:
        container.seek(math.floor((Fraction(seek_to) + origin) / base), stream=stream)
        searching = True
    last = -math.inf
    try:
        for packet in container.demux(stream):
            if searching:
                if packet.size and not (packet.is_keyframe and packet.pts is not None):
                    continue
                searching = False
                from_pts = packet.pts
            if packet.is_corrupt:
                faults.add("video_damaged", max(last, 0.0))
                broken = True
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                log.debug("%s: packet at %s: %s", faults.path, packet.pts, error)
                faults.add("video_damaged", max(last, 0.0))
                broken = True
                continue
            for frame in frames:
                if frame.pts is None:
                    faults.add("video_timestamps", max(last, 0.0))
                    continue
                if from_pts is not None and frame.pts < from_pts:
                    continue
                time = float(frame.pts * frame.time_base - origin)
                broken = frame.is_corrupt or (broken and not frame.key_frame)
                if broken:
                    faults.add("video_damaged", time)
                    continue
                if time <= last:
                    faults.add("video_timestamps", time)
                    continue
                last = time
                yield time, frame
    except av.FFmpegError as error:
        log.debug("%s: reading stopped: %s", faults.path, error)
        faults.add("video_damaged", max(last, 0.0))


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the packets that are not empty, as far as the file can be read."""
    with suppress(av.FFmpegError):
        yield from (packet for packet in container.demux(stream) if packet.size)


def _opened_at(
    path: str | os.PathLike[str], start: float | None, threads: int, faults: _Faults
) -> Iterator[tuple[Any, Any, Iterator[tuple[float, Any]]]]:
    """Yield (container, stream, frames), with frames that begin at `start` or before.

    Tries ever earlier keyframes until the first frame is not later than `start`,
    and finally the beginning of the file.
    """
    targets = [] if start is None else [start - back for back in SEEK_BACK if start > back]
    for target in [*targets, None]:
        container, stream = _open(path)
        with container:
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = "NONE" if threads == 1 else "AUTO"
            tried = _Faults(path) if target is not None else faults
            frames = _decoded(container, stream, target, tried)
            if target is not None:
                try:
                    first = next(frames, None)
                except av.FFmpegError:
                    first = None
                if first is None or start is None or first[0] > start:
                    continue
                faults.count, faults.first = tried.count, tried.first
                frames = itertools.chain([first], frames)
            yield container, stream, frames
            return


def _no_frames_error(path: str | os.PathLike[str], faults: _Faults) -> VideoError:
    """Return the error for a file that could be opened but has no frame."""
    if faults.count["video_timestamps"] and not faults.count["video_damaged"]:
        return VideoError(
            f"{Path(path)}: its frames have no times (a raw stream); convert it to an MP4 file"
        )
    return VideoError(
        f"{Path(path)}: none of its frames can be decoded; copy it again from the camera, or "
        "convert it to MP4 with H.264"
    )


def _duration(container: Any, stream: Any) -> float | None:
    """Return the duration that the file declares for its video, in seconds."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        # In Matroska, NUT and FLV the duration counts from zero on the clock, not from the start.
        start = container.start_time or 0
        duration = container.duration - start if start < container.duration else container.duration
        return float(Fraction(duration, av.time_base))
    return None


def probe(path: str | os.PathLike[str], *, most_pixels: int | None = None) -> VideoInfo:
    """Read the properties of a video file, and decode its first two frames.

    Raises TooLargeError, without decoding, if the file declares pictures of more than
    `most_pixels`. Raises VideoError if the file is empty, not a video, incomplete, has a single
    frame, or cannot be decoded.
    """
    faults = _Faults(path)
    for container, stream, frames in _opened_at(path, None, 1, faults):
        stored = stream.codec_context.width * stream.codec_context.height
        if most_pixels is not None and stored > most_pixels:
            raise TooLargeError(
                f"{Path(path)}: its frames have {stored / 1000000.0:.0f} million pixels, and at "
                f"most {most_pixels / 1000000.0:g} million are allowed; export it at a lower "
                "resolution"
            )
        first = next(frames, None)
        if first is None:
            raise _no_frames_error(path, faults)
        second = next(frames, None)
        if second is None:
            raise VideoError(
                f"{Path(path)}: has only one frame; use a video that shows the movement"
            )
        width, height = _stored_size(stream)
        if _orientation(first[1])[0]:
            width, height = height, width
        rate = stream.average_rate or stream.guessed_rate
        duration = _duration(container, stream)
        if duration is None:
            *_, (duration, _) = [second, *frames]
        return VideoInfo(
            path=Path(path),
            width=width,
            height=height,
            frame_rate=float(rate) if rate else None,
            duration_s=duration,
            codec=stream.codec_context.name,
            pixel_format=first[1].format.name,
        )
    raise AssertionError("unreachable: _from yields or raises")


def presentation_times(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """List the times at which a player shows the frames of a video, without decoding it.

    Seconds from the start, strictly increasing. Frames that an edit list hides are not counted. A
    damaged file may have more times than decodable frames. Raises the same errors as :func:`probe`.
    """
    container, stream = _open(path)
    with container:
        origin = _start(container, stream)
        stamps = [packet.pts for packet in _packets(container, stream) if not packet.is_discard]
        times = [float(pts * stream.time_base - origin) for pts in stamps if pts is not None]
    if times and len(times) == len(stamps):
        return np.unique(np.array(times, dtype=np.float64))
    # AVI files and raw streams have no presentation times: only the decoder knows the order.
    faults = _Faults(path)
    for _, _, frames in _opened_at(path, None, 1, faults):
        times = [time for time, _ in frames]
    if not times:
        raise _no_frames_error(path, faults)
    return np.array(times, dtype=np.float64)


def keyframe_times(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """List the times of the keyframes, from which decoding can start, without decoding the video.

    Seconds from the start, increasing; empty if the file does not mark keyframes. Raises the same
    errors as :func:`probe`.
    """
    container, stream = _open(path)
    with container:
        origin = _start(container, stream)
        times = [
            float(packet.pts * stream.time_base - origin)
            for packet in _packets(container, stream)
            if packet.is_keyframe and packet.pts is not None
        ]
    return np.unique(np.array([time for time in times if time >= 0], dtype=np.float64))


@checked
def read_frames(
    path: FilePath,
    *,
    start: float | None = None,
    stop: float | None = None,
    only: Callable[[float], bool] | None = None,
    glance: Callable[[float, NDArray[np.uint8]], None] | None = None,
    most_height: Annotated[int, Field(ge=2)] | None = None,
    threads: Annotated[int, Field(ge=1)] = 1,
    on_fault: Callable[[dict[str, str]], None] | None = None,
) -> Iterator[Frame]:
    """Read the frames with ``start <= time < stop``, one after the other.

    Images and times are the same as in a full read: reading starts at a keyframe before `start`, or
    at the beginning if the file has no keyframes. Frames that cannot be decoded are left out, and
    reported when reading ends.

    Parameters
    ----------
    path
        The file.
    start, stop
        Seconds from the start of the video; by default from the beginning to the end.
    only
        Decides from the time of a frame whether it is yielded; other frames are only decoded.
    glance
        Called with the time of every decoded frame, yielded or not, and a grey, upright version of
        the frame, at most 128 by 128 pixels.
    most_height
        Higher pictures are reduced to this height in pixels, and to even sizes.
    threads
        Decoding threads. One thread decodes frames many times faster than poses are found.
    on_fault
        Called when reading ends, once for each kind of error, with a warning as in a history:
        ``video_damaged``, ``video_timestamps`` or ``video_truncated``.

    Yields
    ------
    Frame
        Time in seconds, strictly increasing, and the upright RGB image. Raises the same errors as
        :func:`probe`, at the first frame.
    """
    import cv2

    faults = _Faults(path)
    reformatter = VideoReformatter()
    for container, stream, frames in _opened_at(path, start, threads, faults):
        width, height = _stored_size(stream)
        orientation: tuple[bool, int | None] | None = None
        reduced: dict[str, Any] = {}
        last: float | None = None
        ended = True
        for time, frame in frames:
            last = time + float((frame.duration or 0) * frame.time_base)
            if stop is not None and time >= stop:
                ended = False
                break
            if start is not None and time < start:
                continue
            if orientation is None:
                # Read only once, because reading ties the frame into a reference cycle.
                orientation = _orientation(frame)
                shown_height = width if orientation[0] else height
                if most_height is not None and shown_height > most_height:
                    # swscale takes half the time for even sizes and BGR.
                    reduced = {"format": "bgr24", "interpolation": "AREA"}
                    share = most_height / shown_height / 2
                    width, height = (2 * max(1, round(side * share)) for side in (width, height))
            if glance is not None:
                glance(time, _upright(_glimpse(frame), orientation))
            if only is not None and not only(time):
                continue
            try:
                rgb = reformatter.reformat(frame, width, height, **(reduced or {"format": "rgb24"}))
                image: Any = rgb.to_ndarray()
                if reduced:
                    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            except (av.FFmpegError, ValueError) as error:
                log.debug("%s: frame at %.3f s: %s", path, time, error)
                faults.add("video_damaged", time)
                continue
            if rgb is frame:  # stored as RGB: the decoder may still refer to this memory
                image = image.copy()
            yield Frame(time, _upright(image, orientation))
        if last is None:
            if start is None:
                raise _no_frames_error(path, faults)
            last = 0.0
        declared = _duration(container, stream) if ended else None
        missing = 0.0 if declared is None else declared - last
        rate = stream.average_rate or stream.guessed_rate
        # The duration of the file may include sound, or time before the first picture.
        of_stream = stream.duration is not None
        if missing > (1.5 / float(rate) if rate and of_stream else 0.5):
            faults.truncated = (last, last + missing)
    faults.report(on_fault)


@checked
def write_video(
    path: FilePath,
    frames: SkipValidation[Iterable[tuple[float, NDArray[np.uint8]]]],
    *,
    crf: Annotated[int, Field(ge=0, le=51)] = 23,
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "veryfast",
    threads: Annotated[int, Field(ge=1)] = 1,
) -> int:
    """Write an MP4 file that plays in a browser, with the given times.

    The format is H.264, yuv420p (BT.601 matrix, limited range), with the index before the pictures.
    H.264 needs even sizes: an odd width or height grows by one pixel, which copies the last column
    or row. The same frames and options give the same times. The pictures may differ slightly, by
    less than the effect of the compression, because x264's macroblock tree is not reproducible on
    some processors. The file is written atomically.

    Parameters
    ----------
    path
        The file to write; an existing file is replaced.
    frames
        Time in seconds (not negative, increasing by at least 1/90000 s) and ``(height, width, 3)``
        uint8 RGB image, all of the same size.
    crf
        Constant rate factor of x264: a lower value gives better and larger videos.
    preset
        Speed of x264.
    threads
        Encoding threads; another number gives slightly different pictures.

    Returns
    -------
    int
        Number of frames written.
    """
    import cv2

    target = Path(path)
    if not target.parent.is_dir():
        raise StorageError(f"{target.parent}: there is no such folder; create it first")
    size: tuple[int, ...] | None = None
    last = -1
    count = 0
    options = {"movflags": "faststart"}
    with (
        atomic(target) as hidden,
        av.open(str(hidden.resolve()), "w", format="mp4", options=options) as out,
    ):
        stream = None
        for time, image in frames:
            if size is None or stream is None:
                if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
                    raise BadInputError(
                        f"write_video: an image has the shape {image.shape}; pass images of the "
                        "shape (height, width, 3)"
                    )
                size = image.shape
                stream = _output_stream(out, size, crf, preset, threads)
            if image.shape != size or image.dtype != np.uint8:
                raise BadInputError(
                    f"write_video: the image at {time:.3f} s is {image.dtype} {image.shape}, "
                    f"but the first was uint8 {size}; pass all images in one size"
                )
            pts = round(time * CLOCK) if math.isfinite(time) else -1
            if pts <= last:
                raise BadInputError(
                    f"write_video: the time {time} s of frame {count} is negative, or not later "
                    "than the time before; pass increasing times"
                )
            if size[0] % 2 or size[1] % 2:
                image = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
            yuv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2YUV_I420)
            picture = _picture(yuv)
            picture.pts = pts
            picture.time_base = Fraction(1, CLOCK)
            picture.duration = pts - last if count else 0
            out.mux(stream.encode(picture))
            last = pts
            count += 1
        if stream is None:
            raise BadInputError("write_video: there is no frame to write; pass at least one")
        out.mux(stream.encode(None))
    return count


def _picture(yuv: NDArray[np.uint8]) -> av.VideoFrame:
    """Put consecutive planes, (1.5 height, width), into a picture of even sizes.

    PyAV itself assumes a smaller height if the height is not a multiple of 4.
    """
    height, width = yuv.shape[0] * 2 // 3, yuv.shape[1]
    picture = av.VideoFrame(width, height, "yuv420p")
    values = yuv.reshape(-1)
    for plane in picture.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        size = plane.height * plane.width
        rows[:, : plane.width] = values[:size].reshape(plane.height, plane.width)
        values = values[size:]
    return picture


def _output_stream(out: Any, size: tuple[int, ...], crf: int, preset: str, threads: int) -> Any:
    options = {"crf": str(crf), "preset": preset}
    if preset in ("ultrafast", "superfast"):
        # Look ahead as "veryfast" does; otherwise files are twice as large at the same quality.
        options["x264-params"] = "mbtree=1:rc-lookahead=10"
    stream = out.add_stream("libx264", options=options)
    context = stream.codec_context
    context.width, context.height = size[1] + size[1] % 2, size[0] + size[0] % 2
    context.pix_fmt = "yuv420p"
    context.time_base = stream.time_base = Fraction(1, CLOCK)
    context.thread_count = threads
    # OpenCV converts four times faster than swscale, with the matrix of BT.601, limited range.
    context.colorspace = 6
    context.color_primaries = context.color_trc = context.color_range = 1
    return stream
