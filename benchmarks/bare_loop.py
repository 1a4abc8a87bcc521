"""The baseline for speed: decode with PyAV and call `detect_for_video`, nothing else."""

from __future__ import annotations

import sys

import av
import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from mobility.capture import pose_process


def main(video: str, model: str) -> None:
    """Run the loop over all frames of `video`."""
    pose_process.cut_off()
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=model), running_mode=vision.RunningMode.VIDEO
    )
    with vision.PoseLandmarker.create_from_options(options) as landmarker, av.open(video) as file:
        for frame in file.decode(video=0):
            image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            held = mp.Image(mp.ImageFormat.SRGB, image)
            landmarker.detect_for_video(held, int(frame.time * 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
