"""The page to draw on, served on this machine alone, or written as one file.

`shown` finds the network (a run's, or the one that comes with the program), `application` answers the page with ONNX Runtime behind it.
"""

from budgetnet.demo.serving import serve
from budgetnet.demo.shown import Shown, shipped, shown_of_run, write_page

__all__ = ["Shown", "serve", "shipped", "shown_of_run", "write_page"]
