"""A trained network out of the training room: one file for each target, verified before it is moved into place.

A target is a module with `NAME`, `FLOAT`, `EXTRA`, `WORDS`, `files`, `write` and `opened`, as `runtime.Target` says; `exporting.TARGETS`
lists them. What a target has to know of a network are the operations of `budgetnet.graph`.
"""

from budgetnet.export.exporting import TARGETS, export, table_text

__all__ = ["TARGETS", "export", "table_text"]
