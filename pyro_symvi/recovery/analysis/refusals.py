"""Why an analysis stops: every unknown ends here, never in a guess."""

from __future__ import annotations


class Refused(Exception):
    """The log density, or part of it, is outside what the checker understands; ``args[0]`` says why."""

    @property
    def reason(self) -> str:
        """One sentence."""
        return str(self.args[0])
