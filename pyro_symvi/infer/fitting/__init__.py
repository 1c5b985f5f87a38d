"""Deterministic: ``fit`` and what it is made of.

``_fit`` is the call, ``_arguments`` what it refuses, ``result`` what it returns. Then by the way a divergence is
minimised: ``pathwise`` (alpha <= 0, on base samples from ``noise``), ``weighted``, ``adaptive``, ``tempering`` and
``confirmation`` (alpha > 0, by importance weights), ``posterior_draws`` (forward KL on given draws), ``minibatch``
and ``whole_data`` (plates that subsample). ``chart`` has the whitened parameters all of them work in, ``multistart``
the search for the lowest of several optima, ``standard_errors`` what a finite number of draws leaves open.
"""
