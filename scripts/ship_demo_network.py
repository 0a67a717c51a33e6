"""Write the network that `budgetnet demo` shows without a run: python scripts/ship_demo_network.py RUN.

The run's network, traced and folded, goes into src/budgetnet/embedded/demo.json (25 to 90 kB), which is the only file to exchange. With it
goes what made it: the command, and the SHA-256 of the run's weights, so that anyone can train it again and hold the two together.
"""

import hashlib
import json
import sys
from pathlib import Path

from budgetnet.demo import shown_of_run
from budgetnet.rundir import WEIGHTS, open_run

PLACE = Path(__file__).resolve().parent.parent / "src" / "budgetnet" / "embedded" / "demo.json"


def main() -> None:
    """Write the file."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = open_run(sys.argv[1])
    threads = run.fingerprint().get("threads")
    made = {
        "command": f"{run.identity()['command']} --threads {threads}",
        "weights_sha256": hashlib.sha256(run.read(WEIGHTS)).hexdigest(),
    }
    document = shown_of_run(run.path).document() | {"made": made}
    PLACE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"Written: {PLACE} ({PLACE.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
