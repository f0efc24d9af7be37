"""Set-up of what proofs need: test strings, the demo rule's keys, and the source of the rules' verifier."""

import argparse
from pathlib import Path

from circuits.prover import Prover
from circuits.statement import DEMO_STATEMENT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m circuits", description=__doc__)
    parser.add_argument("--verifier", type=Path, required=True, help="where to write the verifier contract's source")
    args = parser.parse_args()
    with Prover() as prover:
        rule = DEMO_STATEMENT.rule_circuit
        prover.ensure_test_srs(DEMO_STATEMENT.logrows, provable=True)
        prover.ensure_test_srs(rule.settings.logrows)
        print(f"{rule.name}: keys {prover.keys(rule).digest[:16]}", flush=True)
        args.verifier.parent.mkdir(parents=True, exist_ok=True)
        args.verifier.write_text(prover.reusable_verifier(rule))


if __name__ == "__main__":
    main()
