"""What a cluster is as a building and a bill: power, network, money, carbon, build-out."""
