"""What stands around the accelerators: networks, power, money."""
