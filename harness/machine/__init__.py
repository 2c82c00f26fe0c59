"""Where it runs: the machine's facts and identity, its devices, the gate before a run, and the lock on measuring."""
