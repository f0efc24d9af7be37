"""Checks a bundle again: every key derived here, every proof verified, every number recomputed; nothing is believed.

Offline it takes the files' word for what was on chain (commitments, settled scores, pay), and shows that all of it fits
together; with a chain, these are compared with the chain.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from circuits.bn254 import sum_points
from circuits.commitment import check_opening, commit, empty_column, fits_round
from circuits.errors import CircuitError
from circuits.linear import update_argument
from circuits.linear.gram import full_matrix, padded, upper_triangle
from circuits.model import fold_commitment
from circuits.prover import Prover
from circuits.rules import Anchor, pace
from circuits.rules.pace import Pace
from circuits.statement import Statement
from clients.bundle import Bundle, BundleError, Entry, RoundRecord, TaskRecord, point_hex, point_of
from clients.record import NotSettled, round_record, task_record
from contracts.bindings import NOBODY, Chain, Domain, Market, proof_context
from protocol import last_model
from protocol.terms import UnacceptableTerms
from store.errors import InvalidCid, MalformedObject, SealError
from store.objects import decode_model, model_size_limit_bytes
from store.sealed import read_header_of, unseal

MAX_LOGROWS = 22


class CheckFailed(Exception):
    """A check does not hold; the message says what was found and what should be there."""


@dataclass
class Report:
    """What was checked, in order.

    Attributes:
        checks: (what, "" if it holds, else why not).
        notes: what a reader should know besides.
    """

    checks: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listener: Callable[[str, str], None] | None = None

    @property
    def ok(self) -> bool:
        return bool(self.checks) and not any(why for _, why in self.checks)

    @contextmanager
    def check(self, what: str) -> Iterator[None]:
        """Records whether the block raised."""
        why = ""
        try:
            yield
        except (
            CheckFailed,
            BundleError,
            NotSettled,
            CircuitError,
            InvalidCid,
            MalformedObject,
            SealError,
            UnacceptableTerms,
        ) as error:
            why = str(error) or type(error).__name__
        self.checks.append((what, why))
        if self.listener:
            self.listener(what, why)


def verify_bundle(
    bundle: Bundle,
    *,
    rpc_url: str | None = None,
    market: str | None = None,
    max_logrows: int = MAX_LOGROWS,
    account: LocalAccount | None = None,
    listener: Callable[[str, str], None] | None = None,
) -> Report:
    """Checks everything in the bundle; with `rpc_url` also against that chain.

    Args:
        market: address of the market that the reader trusts; by default the bundle's own, which is then a note.
        max_logrows: refuses larger domains and circuits: they take time and memory with 2^logrows, and the bundle
            names them.
        account: the owner's, to open a last model with that is sealed for it.
        listener: called after each check.
    Raises:
        BundleError: the task or a round's record cannot be read.
        ChainUnavailable: no chain at `rpc_url`.
    """
    report = Report(listener=listener)
    task = bundle.task()
    statement = task.statement
    for logrows in (statement.logrows, statement.rule_circuit.settings.logrows):
        if logrows > max_logrows:
            raise BundleError(f"task.json: 2^{logrows} rows are over --max-logrows")
    with Prover(srs_directory=bundle.srs_directory) as prover:
        _check_keys(report, task, statement, prover)
        _check_rounds(report, bundle, task, statement, prover, account)
        if rpc_url is not None:
            _check_chain(report, bundle, task, prover, Market(Chain(rpc_url), market or task.market))
            if market is None:
                report.notes.append(f"the market's address {task.market} is the bundle's own: compare it with yours")
    if rpc_url is None:
        report.notes.append("offline: that these commitments and payments are the chain's was not checked (--rpc URL)")
    return report


def _check_keys(report: Report, task: TaskRecord, statement: Statement, prover: Prover) -> None:
    for k, digest in task.srs_sha256.items():
        with report.check(f"string kzg{k} is the one named in the task"):
            srs = prover.srs(k)
            _require("SHA-256", srs.digest, digest)
            if srs.is_test_only:
                report.notes.append(f"string kzg{k} is for tests only: whoever made it can forge proofs")
    with report.check("the update argument's key follows from the string and the sizes"):
        _require("strings", statement.logrows in task.srs_sha256, True)
        _require("verifying key", statement.update_key(prover.srs(statement.logrows)).digest.hex(), task.update_key)
    circuit = statement.rule_circuit
    with report.check(f"the rule's key follows from {circuit.name}"):
        _require("strings", circuit.settings.logrows in task.srs_sha256, True)
        _require("verifying key", prover.keys(circuit).vka_digest.hex(), task.rule_vka)
    with report.check("the empty column is the fixed public one"):
        found = commit(empty_column(task.dim, statement.fmt), prover.srs(task.logrows))
        _require("empty column", point_hex(found), task.empty_column)


def _check_rounds(
    report: Report,
    bundle: Bundle,
    task: TaskRecord,
    statement: Statement,
    prover: Prover,
    account: LocalAccount | None,
) -> None:
    # As on chain: a point and its negative share x, and neither genesis nor the empty column is anybody's update.
    previous_sum = task.empty_column
    model, used = task.genesis, {point_of(task.genesis).x, point_of(task.empty_column).x}
    with report.check("genesis model opens the task's genesis commitment"):
        _check_model(bundle, "genesis.safetensors", task, model, prover)
    count, memory = bundle.round_count(), Pace()
    with report.check(f"{count} rounds of at most {task.rounds}"):
        if not 0 < count <= task.rounds:
            raise CheckFailed(f"{count} rounds")
    for number in range(count):
        record = bundle.round(number)
        name = f"round {number + 1}"
        with report.check(f"{name}: every trainer once, no commitment used before"):
            _require("round", record.round, number)
            _require("trainers", len({e.trainer.lower() for e in record.entries}), len(record.entries))
            fresh = {point_of(e.point).x for e in record.entries}
            if len(fresh) < len(record.entries):
                raise CheckFailed("a commitment appears twice")
            sent = {point_of(e.point).x for e in _sent(record, statement)}
            if used & sent:
                raise CheckFailed("a commitment was used before")
            used |= sent
        if statement.anchor is not Anchor.NONE:
            with report.check(f"{name}: slot 0 holds the {statement.anchor.value.replace('_', ' ')}"):
                _check_anchor(record, task, statement, previous_sum)
        with report.check(f"{name}: every commitment belongs to it"):
            for entry in _sent(record, statement):
                belongs = fits_round(point_of(entry.point), round=number, rounds=task.rounds)
                _require(f"{entry.trainer}'s commitment fits", belongs, True)
        with report.check(f"{name}: Gram matrix proven over exactly the committed updates"):
            _check_linear(bundle, record, task, statement, prover)
        with report.check(f"{name}: accepted and scored by {statement.rule.name}, proven"):
            _check_rule(bundle, record, statement, prover)
        with report.check(f"{name}: pay is the reward split by proven score"):
            _check_pay(record, int(task.reward_per_round_wei))
        with report.check(f"{name}: learning rate, and whether another round follows"):
            memory = _check_pace(bundle, record, task, memory, is_last=number + 1 == count)
        with report.check(f"{name}: model commitment moved by exactly the accepted updates"):
            accepted = [point_of(e.point) for e in record.entries if e.accepted]
            moved = fold_commitment(point_of(model), accepted, task.slots)
            _require("model commitment", point_hex(moved), record.model)
            previous_sum = point_hex(sum_points(accepted)) if accepted else task.empty_column
        if _is_sealed(bundle, record, task):
            _check_sealed(report, bundle, record, task, prover, account)
        else:
            with report.check(f"{name}: the model handed over opens the commitment"):
                _check_model(bundle, f"{bundle.round_name(number)}/model.safetensors", task, record.model, prover)
        model = record.model


def _sent(record: RoundRecord, statement: Statement) -> tuple[Entry, ...]:
    """What somebody has sent in the round: all but a previous sum."""
    return record.entries[1:] if statement.anchor is Anchor.PREVIOUS_SUM else record.entries


def _check_anchor(record: RoundRecord, task: TaskRecord, statement: Statement, previous_sum: str) -> None:
    """Whose slot 0 is and, if it is nobody's, that it is the sum of the updates accepted in the round before."""
    _require("entries", len(record.entries) > 0, True)
    anchor = record.entries[0]
    if statement.anchor is Anchor.REFERENCE:
        _require("slot 0's trainer", anchor.trainer, task.owner)
    else:
        _require("slot 0's trainer", anchor.trainer, NOBODY)
        _require("slot 0's commitment", anchor.point, previous_sum)


def _check_linear(bundle: Bundle, record: RoundRecord, task: TaskRecord, statement: Statement, prover: Prover) -> None:
    update_argument.verify(
        statement.update_key(prover.srs(statement.logrows)),
        context=proof_context(Domain(chain_id=task.chain_id, market=task.market), task.task_id, record.round),
        points=[point_of(e.point) for e in record.entries],
        proof=bundle.proof(record.round, "linear"),
    )


def _gram(bundle: Bundle, record: RoundRecord, slots: int) -> list[list[int]]:
    """The round's proven matrix, over all slots."""
    return padded(full_matrix(bundle.proof(record.round, "linear").instances, len(record.entries)), slots)


def _check_rule(bundle: Bundle, record: RoundRecord, statement: Statement, prover: Prover) -> None:
    gram = _gram(bundle, record, statement.slots)
    proof = bundle.proof(record.round, "rule")
    prover.verify(statement.rule_circuit, proof)
    padding = [0] * (statement.slots - len(record.entries))
    active = statement.active_bits(len(record.entries))
    accept = [int(e.accepted) for e in record.entries] + padding
    score = [e.score for e in record.entries] + padding
    expected = [*upper_triangle(gram), *active, *statement.rule_param_list, *accept, *score]
    _require("instances", list(proof.instances), expected)
    reference = statement.rule.reference(gram, active, **statement.rule_params)
    _require("integer reference", reference, (accept, score))


def _check_pay(record: RoundRecord, reward_wei: int) -> None:
    total = sum(e.score for e in record.entries)
    for entry in record.entries:
        due_wei = reward_wei * entry.score // total if total else 0
        _require(f"pay of {entry.trainer}", int(entry.paid_wei), due_wei)


def _check_pace(bundle: Bundle, record: RoundRecord, task: TaskRecord, memory: Pace, *, is_last: bool) -> Pace:
    """The rule's memory after the round. Where nothing follows from the norm, the contract records 0."""
    accept = [int(e.accepted) for e in record.entries]
    norm, count = pace.norm(_gram(bundle, record, task.slots), accept)
    memory = pace.halve_on_plateau(memory, patience=task.patience, norm=norm, count=count)
    recorded = norm if int(task.target_norm) or task.patience else 0
    _require("norm", int(record.norm), recorded)
    _require("halvings", record.halvings, memory.halvings)
    if not is_last:
        _require("target met", pace.is_met(int(task.target_norm), norm=norm, count=count), False)
    return memory


def _check_model(bundle: Bundle, name: str, task: TaskRecord, point: str, prover: Prover) -> None:
    data = bundle.read(name, model_size_limit_bytes(task.dim))
    check_opening(decode_model(data, task.dim), point_of(point), prover.srs(task.logrows))


def _is_sealed(bundle: Bundle, record: RoundRecord, task: TaskRecord) -> bool:
    """Whether a round's model is the task's last one, sealed for its owner."""
    if not task.seal_last_model or record.round + 1 == task.rounds:
        return task.seal_last_model
    try:
        norm, count = pace.norm(_gram(bundle, record, task.slots), [int(e.accepted) for e in record.entries])
    except (BundleError, CircuitError):  # another check says so
        return False
    return pace.is_met(int(task.target_norm), norm=norm, count=count)


def _check_sealed(
    report: Report,
    bundle: Bundle,
    record: RoundRecord,
    task: TaskRecord,
    prover: Prover,
    account: LocalAccount | None,
) -> None:
    """What can be said of the last model: with the owner's key all, without it that it is sealed for this task."""
    name, domain = f"round {record.round + 1}", Domain(chain_id=task.chain_id, market=task.market)
    context = last_model.model_context(domain, task.task_id, record.round + 1)
    with report.check(f"{name}: the last model is sealed for this task and its owner, {task.owner}"):
        sealed = bundle.sealed_model(record.round, task.dim)
        _require("context", read_header_of(sealed.data).context.hex(), context.hex())
        _require("receiver", sealed.share().receiver, to_checksum_address(task.owner))
    if account is None:
        report.notes.append(
            f"the last model is sealed for its owner, {task.owner}: that it opens the commitment was not checked "
            "(--key-file FILE, the owner's)"
        )
        return
    with report.check(f"{name}: the sealed model opens the commitment"):
        sealed = bundle.sealed_model(record.round, task.dim)
        data = unseal(sealed.data, account, context=context, wrapped=sealed.key)
        check_opening(decode_model(data, task.dim), point_of(record.model), prover.srs(task.logrows))


def _check_shared(bundle: Bundle, record: RoundRecord, task: TaskRecord, market: Market) -> None:
    """The chain's log has this key for the owner, and the market this object's CID."""
    share = bundle.sealed_model(record.round, task.dim).share()
    view = market.task(task.task_id)
    found = [(known.cid, known.wrapped_key) for known in last_model.shares_of(market, view, share.object_id)]
    _require("the key is in the log", (share.cid, share.wrapped_key) in found, True)
    published = market.round(task.task_id, record.round).model_cid
    _require("published CID", None if published is None else published.hex(), share.cid.hex())


def _check_chain(report: Report, bundle: Bundle, task: TaskRecord, prover: Prover, market: Market) -> None:
    with report.check("the chain's task has these terms"):
        strings = [prover.srs(k) for k in task.srs_sha256]
        _require("terms", task, task_record(market, task.task_id, strings))
    for number in range(bundle.round_count()):
        with report.check(f"round {number + 1}: the chain settled exactly this"):
            _require("record", bundle.round(number), round_record(market, task.task_id, number))
        if _is_sealed(bundle, bundle.round(number), task):
            with report.check(f"round {number + 1}: the sealed model's key was handed over on the chain"):
                _check_shared(bundle, bundle.round(number), task, market)
    with report.check("the chain's model commitment is the last round's"):
        last = bundle.round(bundle.round_count() - 1)
        _require("model commitment", point_hex(market.model_commitment(task.task_id)), last.model)


def _require(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise CheckFailed(f"{what}: found {_short(found)}, expected {_short(expected)}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."
