"""Set-up of what proofs need: `python -m circuits setup` makes the test-only strings and the verifier's source."""

import argparse
from pathlib import Path

from circuits.prover import Prover
from circuits.statement import DEMO_STATEMENT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m circuits", description=__doc__)
    parser.add_argument("--verifier", type=Path, required=True, help="where to write the verifier contract's source")
    args = parser.parse_args()
    with Prover() as prover:
        for circuit in (DEMO_STATEMENT.rule_circuit, DEMO_STATEMENT.linear_circuit):
            prover.ensure_test_srs(circuit.settings.logrows)
            print(f"{circuit.name}: keys {prover.keys(circuit).digest[:16]}", flush=True)
        args.verifier.parent.mkdir(parents=True, exist_ok=True)
        args.verifier.write_text(prover.reusable_verifier(DEMO_STATEMENT.rule_circuit))


if __name__ == "__main__":
    main()
