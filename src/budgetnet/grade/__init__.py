"""A folder of hand-ins -> a ranking: each one checked and audited in a child process of its own.

`grade_folder` finds the hand-ins (`handins`, `contents`), asks `check` and `audit` through the command line (`children`, `answers`),
makes a row of what they say (`grading`, `rows`), keeps it in a ledger so that a restart goes on (`ledger`), and writes the ranking as
text, CSV and HTML (`table`, `csv_file`, `page`). Nothing of a hand-in is run or imported in this process. No torch.
"""

from budgetnet.grade.running import TIMEOUT, Graded, grade_folder

__all__ = ["TIMEOUT", "Graded", "grade_folder"]
