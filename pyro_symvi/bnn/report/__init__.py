"""One page on a posterior: figures first, then what they rest on."""

from ._page import page as page
from ._report import Report as Report
from ._report import report as report

__all__ = ["Report", "page", "report"]
