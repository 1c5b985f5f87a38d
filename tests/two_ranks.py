"""Run as a program: two ranks of another program, forked once its modules are loaded, which torchrun loads thrice.

``python two_ranks.py program.py arguments...`` sets what torchrun sets, and ends as soon as a rank fails.
"""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve()


def launch(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Exit code and what was printed by two processes that run ``program`` as ranks 0 and 1."""
    return subprocess.run(
        [sys.executable, str(HERE), str(program), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _rank(rank: int, port: int) -> None:
    """In a child: the program as its own main module, once the parent tells where the ranks meet."""
    code = 1
    try:
        told = os.read(port, 5).decode().strip()
        assert told, "the parent is gone"
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": told, "TORCHELASTIC_USE_AGENT_STORE": "True"}
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main() -> int:
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="loaded")
    from torch.distributed import TCPStore

    reader, writer = os.pipe()
    children = []
    for rank in (0, 1):  # before the store starts a thread
        child = os.fork()
        if not child:
            os.close(writer)
            _rank(rank, reader)
        children.append(child)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(writer, f"{store.port:5d}".encode() * 2)
    code = 0
    while children:
        ended, status = os.wait()
        children.remove(ended)
        if status and not code:
            code = 1
            print(f"a rank ended with status {status}", file=sys.stderr)
            for child in children:
                os.kill(child, signal.SIGTERM)
    return code


if __name__ == "__main__":
    sys.exit(_main())
