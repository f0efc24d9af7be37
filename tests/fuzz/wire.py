"""Coverage-guided fuzzing of the wire: arbitrary bytes as every request, signed or not, to a real server.

python -m tests.fuzz.wire [-runs=N] [CORPUS]      (the options are libFuzzer's; `make fuzz-wire`)
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["aggregator", "protocol", "store"]):
    import aggregator.service  # noqa: F401
    import protocol.terms

from circuits.prover import Prover
from contracts.bindings.devchain import anvil_chain
from protocol.calls import CallSigner
from tests.fuzz.harness import METHODS, SIGNED_BODIES, request_class, served
from tests.stage import STATEMENT, Stage

_NAMES = sorted(METHODS)


def main() -> None:
    # The stage's verifier accepts everything, so it is not the pinned one.
    protocol.terms.check_verifier = lambda chain, verifier: None
    with tempfile.TemporaryDirectory() as directory, anvil_chain() as local, Prover() as prover:
        prover.ensure_test_srs(STATEMENT.logrows, provable=True)
        stage = Stage(local, prover, Path(directory))
        with served(stage) as server:
            task_id = server.run(stage.open_task(server.client))
            signers = [CallSigner(account, stage.market.domain) for account in (stage.trainers[0], stage.owner)]

            def one(data: bytes) -> None:
                given = atheris.FuzzedDataProvider(data)
                method = _NAMES[given.ConsumeIntInRange(0, len(_NAMES) - 1)]
                requests = []
                if method in SIGNED_BODIES and given.ConsumeBool():
                    body = SIGNED_BODIES[method]()
                    try:
                        body.ParseFromString(given.ConsumeBytes(given.ConsumeIntInRange(0, 300)))
                    except Exception:
                        return
                    if hasattr(body, "task_id") and given.ConsumeBool():
                        body.task_id = task_id
                    about = {"task_id": getattr(body, "task_id", 0), "round": getattr(body, "round", 0)}
                    call = signers[given.ConsumeIntInRange(0, 1)].sign(method, body, **about)
                    part = METHODS[method].input_type.fields[0].name
                    requests.append(request_class(method)(**{part: call}).SerializeToString())
                while not requests or (
                    METHODS[method].client_streaming and given.remaining_bytes() and len(requests) < 4
                ):
                    requests.append(given.ConsumeBytes(given.ConsumeIntInRange(0, 400)))
                server.call(method, requests)

            atheris.Setup(sys.argv, one)
            atheris.Fuzz()


if __name__ == "__main__":
    main()
