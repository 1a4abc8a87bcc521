"""Poses that come from other programs, and that go to them."""
