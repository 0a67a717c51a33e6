"""Write the network that `budgetnet demo` shows without a run: python scripts/ship_demo_network.py RUN.

The run's network, traced and folded, goes into src/budgetnet/embedded/demo.json (about 90 kB), which is the only file to exchange.
"""

import json
import sys
from pathlib import Path

from budgetnet.demo import shown_of_run

PLACE = Path(__file__).resolve().parent.parent / "src" / "budgetnet" / "embedded" / "demo.json"


def main() -> None:
    """Write the file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    shown = shown_of_run(Path(sys.argv[1]))
    PLACE.write_text(json.dumps(shown.document(), indent=1) + "\n", encoding="utf-8")
    print(f"Written: {PLACE} ({PLACE.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
