"""Requests played through replicas, step by step: batching, blocks, routing, and who waits."""
