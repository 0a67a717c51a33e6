"""targets: any network that a command line can name -> its facts.

`check_target` takes a name of the zoo, a Python file with or without a name in it, a notebook, a `.keras` or `.onnx` file, a
run directory or a folder with a hand-in. `naming` understands the words; what is foreign is then read, built and measured in
a confined child (`worker` and what it uses: `reading`, `statements`, `definitions`, `searching`, `running`, `guessing`,
`weights`), and only plain facts come back (`asking`). The zoo's own networks are measured here, a run's facts are read. A
file costs the child's start and torch's import.
"""

from budgetnet.targets.asking import Checked, check_target

__all__ = ["Checked", "check_target"]
