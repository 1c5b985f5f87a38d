"""Samplers of one posterior of a network, each run in a process of its own by `bnn_sampling.py`."""
