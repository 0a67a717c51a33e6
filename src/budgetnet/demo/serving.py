"""Serving the page: bound to loopback, on a free port unless one is named, until Ctrl-C.

Needs the extra `demo` (Starlette, uvicorn, ONNX and its runtime).
"""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable

from budgetnet.demo.shown import Shown
from budgetnet.errors import InputError

LOOPBACK = "127.0.0.1"
NEEDED = ("starlette", "uvicorn", "onnx", "onnxruntime")


def serve(shown: Shown, *, port: int = 0, say: Callable[[str], None]) -> None:
    """Serve the page until it is stopped; `say` is given its address. Raises `InputError` for what is missing, and a taken port."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"The served page needs {', '.join(missing)}: pip install 'budgetnet[demo]'. Or write it as one file: demo --page FILE."
        )
    import uvicorn

    from budgetnet.demo.application import application

    desk = application(shown)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise InputError(f"Port {port} cannot be had ({error}); name another with --port, or none.") from None
        say(f"http://{LOOPBACK}:{door.getsockname()[1]}/")
        server = uvicorn.Server(uvicorn.Config(desk, log_level="warning", access_log=False, lifespan="off", ws="none"))
        server.run(sockets=[door])
