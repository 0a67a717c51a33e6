"""Foreign text -> text that is safe to show: one line, of bounded length, with nothing that moves a cursor or turns its direction.

Names of files are other people's words too: a newline, an escape sequence or half of a surrogate pair is shown as its escape. No
torch.
"""

from __future__ import annotations

MOST_CHARACTERS = 600


def visible(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return `text` with each character that cannot be printed as its escape (`\\n`, `\\u202e`), cut at `most` characters."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in cut)


def sentence(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return `text` on one line with single spaces, made `visible`."""
    return visible(" ".join(text[: 4 * most].split()), most)


def counted(number: int, noun: str) -> str:
    """Return `1 hand-in`, `20 hand-ins`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
