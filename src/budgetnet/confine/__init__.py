"""confine: a stranger's code runs in a child process that can do as little as this platform lets us take away.

`run_confined` starts the child (`parent`), which gives up what it can (`child`: limits everywhere; `namespaces`, `landlock` and
`syscalls` on Linux, without any privilege; `hook` where those are missing), says what could not be taken away before anything
foreign runs, does one task and answers with JSON. What the child does or says costs its own task only. Starting one costs 0.1
s, besides what the task imports. What holds where is written in docs/CHECK.md.
"""

from budgetnet.confine.parent import Confined, Limits, run_confined

__all__ = ["Confined", "Limits", "run_confined"]
