"""Many runs, and the statistics over them: recipes × seeds, trained once each, judged and compared.

A study file says what is asked (`definition`), the ledger what was trained (`ledger`), and everything that a person reads is made from the
two. Executors train (`executors/`): processes on this machine, or a Ray cluster.
"""
