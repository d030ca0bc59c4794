"""Pipelines that run end to end, each in a folder of its own: `make example NAME=payments`."""
