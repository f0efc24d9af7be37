"""What each rule costs: rows, keys, set-up, proof, memory, gas.

    python -m benchmarks.rules [--slots 8 16 32] [--rule NAME ...] [--json]

Keys are made anew for every line. `prove_cpu_seconds` is what all cores together took: unlike `prove_seconds` it hardly
depends on what else the machine does, and two cores take half of it at least. Peak memory is that of the worker process
which made the keys and proved. Gas is that of a transaction which calls the verifier, on anvil, with and without what
any transaction pays (21,000 and its calldata).

Give --rule for some combinations only, as outlier+contribution.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import psutil
from eth_account import Account
from hexbytes import HexBytes

from circuits import rules
from circuits.linear.gram import upper_triangle
from circuits.proof import Proof, to_field
from circuits.prover import CircuitKeys, Prover
from circuits.rules import Anchor, Rule, RuleCircuit
from contracts.bindings import Chain, artifacts, register_vka
from contracts.bindings.deploy import create
from contracts.bindings.devchain import LocalChain, anvil_chain

DIM = 650


@dataclass(frozen=True, kw_only=True)
class Line:
    """One combination at one size."""

    rule: str
    slots: int
    rows: int
    logrows: int
    key_mib: float
    vka_words: int
    setup_seconds: float
    prove_seconds: float
    prove_cpu_seconds: float
    peak_mib: int
    proof_bytes: int
    verify_gas: int
    transaction_gas: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--rule", nargs="+", help="as outlier+contribution; default: every combination")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    chosen = [rules.load(*name.split("+")) for name in args.rule] if args.rule else rules.combinations()
    if not args.json:
        print("| " + " | ".join(field.name for field in fields(Line)) + " |")
        print("|" + "---|" * len(fields(Line)))
    with anvil_chain() as local:
        for line in measured(local, chosen, args.slots):
            values = asdict(line)
            print(json.dumps(values) if args.json else "| " + " | ".join(map(str, values.values())) + " |", flush=True)


def measured(local: LocalChain, chosen: Sequence[Rule], sizes: Sequence[int]) -> Iterator[Line]:
    """One line for each combination and size."""
    chain, account = Chain(local.rpc_url), Account.from_key(local.private_keys[0])
    verifier, _ = create(chain, account, artifacts.verifier())

    def gas_of(keys: CircuitKeys, proof: Proof) -> tuple[int, int]:
        register_vka(chain, account, verifier, keys.vka_words)
        contract = chain.contract(verifier, artifacts.verifier().abi)
        instances = [to_field(value) for value in proof.instances]
        call = contract.functions.verifyProof(proof.data, instances, list(keys.vka_words))
        data = HexBytes(call.build_transaction({"gas": 0, "from": account.address})["data"])
        total = int(call.estimate_gas({"from": account.address}))
        return total - 21_000 - sum(16 if byte else 4 for byte in data), total

    for slots in sizes:
        for rule in chosen:
            circuit = RuleCircuit(rule=rule, slots=slots)
            with tempfile.TemporaryDirectory() as scratch, Prover(keys_directory=Path(scratch)) as prover:
                prover.ensure_test_srs(circuit.settings.logrows)
                prover.worker_peak_bytes()  # starts the worker, which is no part of the set-up
                started = time.perf_counter()
                keys = prover.keys(circuit)
                made, cpu_before = time.perf_counter(), _cpu_seconds()
                proof = prover.prove(circuit, example_inputs(circuit))
                proven, cpu_after = time.perf_counter(), _cpu_seconds()
                verify_gas, transaction_gas = gas_of(keys, proof)
                yield Line(
                    rule=rule.name,
                    slots=slots,
                    rows=json.loads((keys.directory / "settings.json").read_text())["num_rows"],
                    logrows=circuit.settings.logrows,
                    key_mib=round((keys.directory / "pk").stat().st_size / 2**20, 1),
                    vka_words=len(keys.vka_words),
                    setup_seconds=round(made - started, 2),
                    prove_seconds=round(proven - made, 2),
                    prove_cpu_seconds=round(cpu_after - cpu_before, 2),
                    peak_mib=prover.worker_peak_bytes() >> 20,
                    proof_bytes=len(proof.data),
                    verify_gas=verify_gas,
                    transaction_gas=transaction_gas,
                )


def _cpu_seconds() -> float:
    """Of the worker; the chain beside it does nothing meanwhile."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return float(sum(spent.user + spent.system for spent in times))


def example_inputs(circuit: RuleCircuit) -> list[list[int]]:
    """A full round of random 8-bit updates, with every parameter in the middle of its range."""
    rule, slots = circuit.rule, circuit.slots
    rows = np.random.default_rng(slots).integers(-128, 128, (slots, DIM))
    anchored = rule.anchor is not Anchor.NONE
    params = [(p.low + p.high) // 2 for p in rule.params_schema]
    if rule.outlier.name == "multi_krum":
        params = [(slots - 4) // 2]
    return circuit.inputs(upper_triangle((rows @ rows.T).tolist()), [int(not anchored)] + [1] * (slots - 1), params)


if __name__ == "__main__":
    main()
