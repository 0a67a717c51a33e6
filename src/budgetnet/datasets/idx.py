"""Files in the IDX format, plain or gzipped: bytes in, array out, never more memory than the caller allows.

The layout is LeCun's: two zero bytes, a type (8 is uint8), the number of dimensions, each dimension as a big-endian 32-bit
integer, then the values (http://yann.lecun.com/exdb/mnist/). Reading MNIST's 55 MB from .gz takes about 0.25 s, nearly all
of it unpacking.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from io import BufferedReader
from pathlib import Path

import numpy
from numpy.typing import NDArray

from budgetnet.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 256 * 1024
SPARE = 1024 * 1024
"""Bytes by which a .gz may outgrow its content: gzip adds a few per 64 kB to what cannot be compressed."""


def open_regular(path: Path) -> BufferedReader:
    """Open `path` for reading. Raises `InputError` where it is missing, no regular file, or not readable."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder where a file should be.")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is not a regular file.")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def read_content(path: Path, size: int) -> bytearray:
    """Return the `size` bytes that `path` holds, unpacked where it is gzipped; the first bytes decide that, not the name.

    Allocates `size` + 1 bytes and no more, whatever the file claims. Raises `InputError` for a file that is missing,
    unreadable, truncated, no gzip inside, an HTML page, or whose content is shorter or longer than `size`.
    """
    content = bytearray(size + 1)
    try:
        with open_regular(path) as file:
            start = file.read(512)
            length = os.fstat(file.fileno()).st_size
            if length > size + SPARE:
                raise InputError(f"{path}: is {length:,} bytes, too many for a content of {size:,} bytes.")
            if _looks_like_html(start):
                raise InputError(f"{path}: is an HTML page, not the data file.")
            file.seek(0)
            count = _unpack(file, content) if start[:2] == GZIP_MAGIC else file.readinto(content)
    except EOFError:
        raise InputError(f"{path}: is truncated; its gzip stream ends early.") from None
    except zlib.error as error:
        raise InputError(f"{path}: is damaged inside its gzip stream ({error}).") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if count > size:
        raise InputError(f"{path}: holds more than the {size:,} bytes that it should.")
    if count < size:
        raise InputError(f"{path}: holds {count:,} bytes where {size:,} are expected.")
    del content[size:]
    return content


def parse(content: bytearray, where: str, dimensions: int) -> NDArray[numpy.uint8]:
    """Return the uint8 array of an IDX file's `content`, sharing its memory; `dimensions` is 1 for labels, 3 for images.

    Raises `InputError` naming `where` for a wrong magic number, a zero dimension, and dimensions that do not add up to the
    bytes that are there.
    """
    header = 4 + 4 * dimensions
    expected = bytes((0, 0, 8, dimensions))
    if len(content) < header:
        raise InputError(f"{where}: holds {len(content)} bytes, fewer than its IDX header of {header}.")
    if content[:4] != expected:
        raise InputError(
            f"{where}: begins with {content[:4].hex()}, not with the IDX magic number {expected.hex()} "
            f"(uint8, {dimensions} dimension{'s' if dimensions > 1 else ''})."
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if 0 in shape:
        raise InputError(f"{where}: its header claims a dimension of zero: {_times(shape)}.")
    claimed = 1
    for side in shape:
        claimed *= side
    if claimed != len(content) - header:
        raise InputError(
            f"{where}: its header claims {_times(shape)} = {claimed:,} bytes, but {len(content) - header:,} follow it."
        )
    return numpy.frombuffer(content, dtype=numpy.uint8, offset=header).reshape(shape)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as they lie on disk."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(file: BufferedReader, content: bytearray) -> int:
    """Fill `content` from a gzip stream and return the count of bytes; stops as soon as `content` is full.

    zlib itself and not the gzip module, which would hold the unpacked bytes twice and take twice the time.
    """
    count = 0
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while chunk := file.read(CHUNK):
        while chunk and count < len(content):
            if unpacker.eof:
                # A gzip file may hold several streams, and zeros at its end.
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            piece = unpacker.decompress(chunk, len(content) - count)
            content[count : count + len(piece)] = piece
            count += len(piece)
            chunk = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        if count == len(content):
            return count
    if not unpacker.eof:
        raise EOFError
    return count


def _looks_like_html(start: bytes) -> bool:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body", b"<error"))


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(f"{side:,}" for side in shape)
