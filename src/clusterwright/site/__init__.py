"""The building around a machine: network, power, cooling, carbon, money."""
