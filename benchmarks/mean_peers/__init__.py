"""Peers of ``time_to_mean.py``, one a file; each yields a `Run` per setting."""
