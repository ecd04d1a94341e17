"""Accelerators evaluated in three layers, by operators, by jobs and as a whole."""
