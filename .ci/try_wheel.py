"""Installs a wheel into an environment of its own and uses it there as a stranger would, away from the checkout.

Usage: python .ci/try_wheel.py WHEEL

Runs `python -m pyro_symvi certify stackloss`, then the code of README.md block by block as printed. The environment is
made in a temporary folder and removed; versions are those of constraints.txt.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READER = """
import sys
from pathlib import Path

import pyro_symvi

sys.path.append(sys.argv[1])
from code_blocks import run_page

if not Path(pyro_symvi.__file__).is_relative_to(sys.prefix):
    sys.exit(f"expected the installed package, got {pyro_symvi.__file__}")
ran = run_page(Path(sys.argv[2]))
print(ran, "blocks of README.md run")
sys.exit(ran == 0)
"""


def main() -> int:
    """Install and run; the exit code is that of the first step that fails."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wheel = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder, "env"), with_pip=True)
        python = str(Path(folder, "env", "Scripts" if os.name == "nt" else "bin", "python"))
        elsewhere = Path(folder, "elsewhere")
        elsewhere.mkdir()
        install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        steps = (
            [python, *install, "-c", str(ROOT / "constraints.txt"), str(wheel)],
            [python, "-m", "pyro_symvi", "certify", "stackloss"],
            [python, "-c", READER, str(ROOT / "tests"), str(ROOT / "README.md")],
        )
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for step in steps:
            done = subprocess.run(step, cwd=elsewhere, env=environment, check=False)
            if done.returncode:
                print(f"failed: {' '.join(step[1:4])} ...")
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
