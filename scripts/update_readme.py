"""Write the README's generated parts anew: what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

Run it with `make readme`; a test fails when a part is stale.
"""

import re
import sys
from pathlib import Path

from budgetnet.record import read_records
from budgetnet.record_text import claims_table

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
ORDER = ["gap-1x1", "code9", "code9-gap", "one-pool", "high-lr", "separable-gmp", "separable-gap"]


def generated_parts() -> dict[str, str]:
    """Return the text of each generated part by its name."""
    records = read_records(ROOT / "records")
    known = [record for record in records if record["name"] in ORDER]
    return {"claims": claims_table(sorted(known, key=lambda record: ORDER.index(record["name"])))}


def with_parts(text: str, parts: dict[str, str]) -> str:
    """Return `text` with each part put between its marks."""
    for name, part in parts.items():
        match = re.search(rf"(?<=<!-- {name}:begin)[^>]*-->\n(.*?)(?=<!-- {name}:end -->)", text, re.DOTALL)
        if match is None:
            raise SystemExit(f"{README}: has no marks for the part {name!r}")
        text = f"{text[: match.start(1)]}{part}\n{text[match.end(1) :]}"
    return text


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    after = with_parts(before, generated_parts())
    README.write_text(after, encoding="utf-8")
    sys.stdout.write("README.md: unchanged\n" if after == before else "README.md: written\n")
