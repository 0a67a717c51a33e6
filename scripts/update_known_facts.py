"""Trace every network of the zoo and write src/budgetnet/embedded/zoo_facts.json anew: python scripts/update_known_facts.py."""

import json

from budgetnet import zoo
from budgetnet.checking import traced_facts
from budgetnet.known_facts import PLACE, deciding_sha256


def main() -> None:
    """Write the file."""
    networks = {name: traced_facts(name).model_dump(mode="json") for name in zoo.names()}
    kept = {"decided_by": deciding_sha256(), "networks": networks}
    PLACE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"Written: {PLACE} ({PLACE.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
