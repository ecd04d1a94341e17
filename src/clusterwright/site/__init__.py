"""The building around a machine: network, power, cooling, carbon, money."""

"""What stands around the accelerators: networks, power, money."""
