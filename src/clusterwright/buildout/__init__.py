"""How long a cluster takes to build: tasks, the path through them, accelerators over time."""
