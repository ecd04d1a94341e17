"""What the press, vendors and keynotes say of machines, computed again by the project's models."""
