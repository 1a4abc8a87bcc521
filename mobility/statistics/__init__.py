"""Statistics of lab comparisons and studies: coefficients, intervals, mixed models, planning."""
