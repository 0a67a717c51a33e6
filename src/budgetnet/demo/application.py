"""What the served page asks: `/` the page, `/ask` probabilities and layers of pixels, `/picture` an image file as the network's pixels.

Every body is bounded before it is read, and only this machine's own names are answered, so that no page of another site can ask.
Starlette; one ONNX Runtime session on one thread. An answer takes about a millisecond.
"""

from __future__ import annotations

import re
from typing import Any

import numpy
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from budgetnet import photos
from budgetnet.demo.shown import Shown
from budgetnet.errors import InputError
from budgetnet.export.onnx_values import PIXELS, PROBABILITIES, model_bytes, value_name

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
TOO_LARGE, WRONG = 413, 400
MOST_VALUES = 500


def application(shown: Shown) -> Starlette:
    """Return the application of one network."""
    desk = _Desk(shown)
    routes = [
        Route("/", desk.page),
        Route("/ask", desk.ask, methods=["POST"]),
        Route("/picture", desk.picture, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])])


class _Desk:
    def __init__(self, shown: Shown) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(model_bytes(shown.graph), options, providers=["CPUExecutionProvider"])
        self.content = shown.page(served=True)
        self.shape = shown.graph.shapes[0]
        self.values = {operation.result for operation in shown.graph.operations}

    async def page(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's form
        return HTMLResponse(self.content, headers=HEADERS)

    async def ask(self, request: Request) -> Response:
        """Pixels, one byte each -> float32: the probabilities, then each value that `values` names."""
        length = int(numpy.prod(self.shape))
        body = await _body(request, length)
        if body is None or len(body) != length:
            return PlainTextResponse(f"{length} bytes are expected, one for each pixel.", WRONG, HEADERS)
        named = request.query_params.get("values", "")
        if not re.fullmatch(r"(\d{1,6}(,\d{1,6})*)?", named):
            return PlainTextResponse("values are numbers with commas between.", WRONG, HEADERS)
        values = [int(word) for word in named.split(",") if word]
        if len(values) > MOST_VALUES or not set(values) <= self.values:
            return PlainTextResponse("this network has no such value.", WRONG, HEADERS)
        pixels = numpy.frombuffer(body, numpy.uint8).reshape(1, *self.shape)
        names = [PROBABILITIES, *(value_name(value) for value in values)]
        found = await run_in_threadpool(self.session.run, names, {PIXELS: pixels})
        content = b"".join(numpy.ascontiguousarray(array, "<f4").tobytes() for array in found)
        return Response(content, media_type="application/octet-stream", headers=HEADERS)

    async def picture(self, request: Request) -> Response:
        """An image file -> the pixels that the network would see, and what speaks against its being one digit."""
        body = await _body(request, photos.LARGEST_FILE)
        if body is None:
            return PlainTextResponse(f"The picture is larger than {photos.LARGEST_FILE // 2**20} MiB.", TOO_LARGE, HEADERS)
        try:
            framed = photos.prepared(await run_in_threadpool(photos.from_bytes, body, "The picture"), self.shape[1])
        except InputError as error:
            return PlainTextResponse(str(error), WRONG, HEADERS)
        if framed.image is None:
            return PlainTextResponse(f"The picture does not look like a digit: {framed.doubts[0]}.", WRONG, HEADERS)
        doubts = [f"This does not look like one digit: {doubt}." for doubt in framed.doubts]
        return JSONResponse({"pixels": framed.image.reshape(-1).tolist(), "doubts": doubts}, headers=HEADERS)


async def _body(request: Request, most: int) -> bytes | None:
    """Return the body, None where it is longer than `most`; no more than that is ever held."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            return None
        parts.append(part)
    return b"".join(parts)
