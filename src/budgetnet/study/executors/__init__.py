"""Where the runs of a study are trained: one small interface, `submit(spec) -> run directory`, and one file for each place.

`local`: processes on this machine. `cluster`: a Ray cluster. An executor knows nothing of ledgers and statistics; what it gives back is
a finished run directory below the study's folder, or why there is none.
"""

from budgetnet.study.executors.interface import Executor, Limits, RunFailed, Standing, Stopped

__all__ = ["Executor", "Limits", "RunFailed", "Standing", "Stopped"]
