"""Formulas: pure functions of numbers or arrays; each a small paper."""
