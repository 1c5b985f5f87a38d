"""Stochastic: a loss for ``pyro.infer.SVI``, its orbit-closed particles, compiled and data-parallel steps.

``elbo`` is the loss; ``_traces``, ``_vectorization`` and ``_refusals`` run model and guide and refuse what it can't
treat; ``_estimate``, ``orbit_noise`` and ``_closures`` close particles under a group; ``compiled_svi``,
``_step_graph`` and ``_updates`` make a step one compiled function; ``data_parallel`` sums over processes.
"""
