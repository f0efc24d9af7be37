"""How a process ends: what a script can tell from its exit code."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    """It did what was asked."""
    FAILED = 1
    """A check does not hold, or the contract, the aggregator or a party refused."""
    USAGE = 2
    """The command line itself is wrong."""
    CONFIGURATION = 3
    """A configuration, key, password or certificate is missing or wrong."""
    CHAIN = 4
    """The node does not answer, did not take a request, or did not mine a transaction in time."""
    AGGREGATOR = 5
    """The aggregator does not answer."""
    PROVER = 6
    """Strings, keys or proofs could not be had: a size without a circuit, a missing string, a prover that failed."""
    SCRIPT = 7
    """The user's script is missing something, or failed."""
    INTERNAL = 70
    """A defect of the program; it printed a traceback."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""
