"""Built-in posteriors on published data, from exactly symmetric to not symmetric at all.

>>> from pyro_symvi import examples
>>> example = examples.get("darwin")
>>> example.args[0].shape
torch.Size([15])
"""

from pyro_symvi.examples._example import Example as Example
from pyro_symvi.examples._registry import EXAMPLES as EXAMPLES
from pyro_symvi.examples._registry import get as get
from pyro_symvi.examples._registry import names as names

__all__ = ["EXAMPLES", "Example", "get", "names"]
