"""The report of a study (for now its numbers alone)."""

import json
from pathlib import Path
from typing import Any

from budgetnet.study.arms import Study
from budgetnet.study.ledger import Histories


def write_study_report(study: Study, document: dict[str, Any], histories: Histories, folder: Path) -> Path:
    """Write the report into `folder`."""
    del study, histories
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return folder / "study.json"
