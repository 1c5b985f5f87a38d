"""``python -m pyro_symvi``."""

import sys

try:
    from .cli import main

    status = main()
except KeyboardInterrupt:  # while the library is being loaded
    print("interrupted; nothing was written", file=sys.stderr)
    status = 130
sys.exit(status)
