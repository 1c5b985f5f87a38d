"""Tables of data: reading, checking, splitting and standardising them."""

from ._builtin import load_table as load_table
from ._reading import read_table as read_table
from ._split import Split as Split
from ._table import Table as Table

__all__ = ["Split", "Table", "load_table", "read_table"]
