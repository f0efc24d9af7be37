"""What a run showed, as `summary.json`. Amounts are in wei."""

from pydantic import BaseModel, ConfigDict


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RoundSummary(_Document):
    """One settled round.

    Attributes:
        accepted: addresses, in slot order.
        scores: proven score by address; 0 for the rejected.
        accuracy: of the new model on the owner's hold-out set.
        gas, seconds: by step.
        proof_bytes: by layer.
    """

    round: int
    accepted: list[str]
    scores: dict[str, int]
    accuracy: float
    gas: dict[str, int]
    seconds: dict[str, float]
    proof_bytes: dict[str, int]


class TrainerSummary(_Document):
    """One trainer. `paid` is what it withdrew, decimal."""

    address: str
    role: str
    samples: int
    accepted_rounds: int
    score: int
    paid: str


class Summary(_Document):
    """A whole run.

    Attributes:
        reward: escrowed by the owner. remainder: given back to it: what rounding left.
        baseline_accuracy: by round, of FedAvg in floats over the honest trainers alone, same seeds.
        model_verified: the last model handed over opens the commitment that the chain carries.
        setup_gas: of everything before the first round.
        seconds_total: wall clock of the demo.
    """

    chain: str
    chain_id: int
    market: str
    task_id: int
    rule: str
    reward: int
    remainder: str
    rounds: list[RoundSummary]
    trainers: list[TrainerSummary]
    baseline_accuracy: list[float]
    setup_gas: dict[str, int]
    model_verified: bool
    seconds_total: float
