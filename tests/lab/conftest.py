"""The lab folder and lab files written by hand, for the tests of this folder."""

from written_lab_files import body, lab, mot, trc  # noqa: F401
