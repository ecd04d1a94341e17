"""Property tests draw the same examples every time, and take as long as a busy machine needs."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
