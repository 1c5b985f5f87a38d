"""``python -m pyro_symvi``."""

import sys

from .cli import main

sys.exit(main())
