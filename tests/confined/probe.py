"""A worker of the tests: runs what it is given, in the confined child, and answers with what that left in `answer`."""

from typing import Any


def run(code: str) -> Any:
    names: dict[str, Any] = {"answer": None}
    exec(compile(code, "probe", "exec"), names)  # noqa: S102 - this is what the child is confined for
    return names["answer"]
