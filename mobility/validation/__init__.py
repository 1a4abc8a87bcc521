"""Agreement with lab data: joint centres, one clock, agreement of the angles."""
