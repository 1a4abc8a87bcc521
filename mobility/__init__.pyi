from collections.abc import Mapping

from mobility import plot as plot
from mobility.assessment.reference_ranges import reference_range as reference_range
from mobility.capture.detectors import Detector as Detector
from mobility.capture.detectors import Keypoints as Keypoints
from mobility.capture.pose import estimate_pose as estimate_pose
from mobility.documents.normalised import normalise as normalise
from mobility.exchange.keypoint_files import read_keypoints as read_keypoints
from mobility.exchange.movement_poses import from_movement as from_movement
from mobility.exchange.movement_poses import to_movement as to_movement
from mobility.exercises.joint_angle_mobility.joint_mobility import (
    joint_mobility as joint_mobility,
)
from mobility.exercises.joint_angle_mobility.joint_mobility import (
    joint_movements as joint_movements,
)
from mobility.exercises.overhead_squat.exercise import overhead_squat as overhead_squat
from mobility.kinematics.angles import joint_angles as joint_angles
from mobility.kinematics.clean import clean_pose as clean_pose
from mobility.kinematics.edited_points import edit_points as edit_points
from mobility.kinematics.fit.entry import fit_body as fit_body
from mobility.kinematics.in_picture import picture_angles as picture_angles
from mobility.kinematics.repetitions import find_repetitions as find_repetitions
from mobility.lab.agreement import agreement as agreement
from mobility.lab.bids_reading import read_bids as read_bids
from mobility.lab.force_plates import read_forces as read_forces
from mobility.lab.joint_centres import lab_pose as lab_pose
from mobility.lab.lab_files import read_lab as read_lab
from mobility.lab.synchronise import align as align
from mobility.lab.synchronise import find_lag as find_lag
from mobility.leg_loads.loads import loads as loads
from mobility.pipeline.recording_check import check_recording as check_recording
from mobility.serve.batch.study import read_study as read_study
from mobility.store import Session as Session
from mobility.store import Store as Store
from mobility.studies.curves import compare_curves as compare_curves
from mobility.studies.curves import mean_curves as mean_curves
from mobility.studies.groups import groups as groups
from mobility.studies.norms import make_norms as make_norms
from mobility.studies.reliability import reliability as reliability
from mobility.studies.retest import retest_curves as retest_curves
from mobility.studies.statistics import planning

__version__: str
PUBLIC: Mapping[str, str]
REPORT_ADDITIONS: tuple[str, ...]
REPORTS_ON_PEOPLE: tuple[str, ...]
EXERCISE_EXTENSIONS: tuple[str, ...]
plan = planning
