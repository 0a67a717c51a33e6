"""`python -m budgetnet`."""

from budgetnet.cli import main

if __name__ == "__main__":
    main()
