"""Speed and size of what a user feels, each figure with its goal."""
