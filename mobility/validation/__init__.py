"""Agreement with lab data: files of the lab, one clock, agreement of the angles."""
