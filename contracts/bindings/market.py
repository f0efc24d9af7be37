"""The market at an address: every call of `IMarket.sol`, and its state as dataclasses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_typing import ABIComponent, ChecksumAddress
from eth_utils.abi import event_abi_to_log_topic
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3.contract.contract import ContractFunction
from web3.types import EventData, LogReceipt, TxReceipt

from contracts.bindings import artifacts
from contracts.bindings.chain import Chain
from contracts.bindings.eip712 import Domain
from contracts.bindings.errors import MalformedTask
from contracts.bindings.records import (
    Anchor,
    MarketEvent,
    Pace,
    Point,
    RoundState,
    RoundView,
    Settlement,
    Submission,
    TaskConfig,
    TaskState,
    TaskView,
)
from contracts.bindings.signed import Journal

# Those of the Solidity struct; the others are in the log only.
_CONFIG_FIELDS = tuple(f.name for f in fields(TaskConfig) if f.name not in ("genesis_cid", "rule_name"))

MAX_PAGE = 32
"""Most tasks that the market's views return at once."""


class Market:
    """Calls return once they are mined; amounts are in the token's smallest unit.

    An aggregator's calls take a journal, see `Chain.send`.

    Every call may raise what `Chain.send` does, every read what `Chain.read` does.
    """

    def __init__(self, chain: Chain, address: str) -> None:
        self.chain = chain
        self.address = to_checksum_address(address)
        self._contract = chain.contract(address, artifacts.market().abi)
        self._fn = self._contract.functions
        self._topics = {
            event["name"]: HexBytes(event_abi_to_log_topic(event))
            for event in artifacts.market().abi
            if event["type"] == "event"
        }
        self._names = {topic: name for name, topic in self._topics.items()}

    @property
    def domain(self) -> Domain:
        """Domain of the signatures that this market takes."""
        return Domain(chain_id=self.chain.chain_id, market=self.address)

    # ------------------------------------------------------------------ calls

    def create_task(self, account: LocalAccount, config: TaskConfig) -> int:
        """Escrows the whole reward; an ERC-20 must have been approved. Returns the task's id."""
        return self.created(self.chain.send(account, *self.create_task_call(config)))

    def create_task_call(self, config: TaskConfig) -> tuple[ContractFunction, int]:
        """The call that creates a task, and the native currency to send with it."""
        value_wei = config.total_reward_wei if _is_native(config.token) else 0
        return self._fn.createTask(_config_tuple(config), config.genesis_cid, config.rule_name), value_wei

    def created(self, receipt: TxReceipt) -> int:
        """Id of the task that a mined call has created."""
        return self._own(receipt, "TaskCreated").task_id

    def creation_transaction(self, view: TaskView) -> bytes:
        """Hash of the transaction that created a task."""
        return bytes(HexBytes(self._created(view.task_id, view.created_at_block).tx_hash))

    def created_by(self, data: bytes) -> TaskConfig:
        """Terms of the task that a call with this data creates. Raises ValueError, and what decoding raises."""
        fn, args = self._contract.decode_function_input(cast(Any, HexBytes(data)))
        if fn.fn_name != "createTask":
            raise ValueError(f"it calls {fn.fn_name}")
        raw = args["config"]
        named = SimpleNamespace(**raw) if isinstance(raw, Mapping) else raw
        return _config(named, args)

    def post_bond(self, account: LocalAccount, task_id: int, journal: Journal | None = None) -> TxReceipt:
        """The aggregator posts its bond: the task opens."""
        config = self.task(task_id).config
        value_wei = config.bond_wei if _is_native(config.token) else 0
        return self.chain.send(account, self._fn.postBond(task_id), value_wei, journal)

    def join(self, account: LocalAccount, task_id: int, proof: Sequence[bytes] = ()) -> TxReceipt:
        """The account becomes a trainer of the task, and posts its stake; an ERC-20 must have been approved.

        Args:
            proof: Merkle proof of its address, where the task has an allow-list (see `allowlist`).
        """
        config = self.task(task_id).config
        value_wei = config.stake_wei if _is_native(config.token) else 0
        return self.chain.send(account, self._fn.joinTask(task_id, list(proof)), value_wei)

    def leave(self, account: LocalAccount, task_id: int) -> TxReceipt:
        """The account takes its stake back from a task whose bond was never posted."""
        return self.chain.send(account, self._fn.leaveTask(task_id))

    def commit_round(
        self,
        account: LocalAccount,
        task_id: int,
        round: int,
        submissions: Sequence[Submission],
        journal: Journal | None = None,
    ) -> TxReceipt:
        """The aggregator fixes the round's updates: submission i fills slot i."""
        updates = (
            [s.trainer for s in submissions],
            [tuple(s.point) for s in submissions],
            [s.cid for s in submissions],
            [s.signature for s in submissions],
        )
        return self.chain.send(account, self._fn.commitRound(task_id, round, updates), journal=journal)

    def settle_round(
        self,
        account: LocalAccount,
        task_id: int,
        round: int,
        settlement: Settlement,
        journal: Journal | None = None,
    ) -> TxReceipt:
        """Anyone settles the round with its proofs."""
        fn = self._fn.settleRound(task_id, round, settlement_tuple(settlement))
        return self.chain.send(account, fn, journal=journal)

    def publish_model(
        self, account: LocalAccount, task_id: int, round: int, cid: bytes, journal: Journal | None = None
    ) -> TxReceipt:
        """The aggregator says where the model after a settled round is."""
        return self.chain.send(account, self._fn.publishModel(task_id, round, cid), journal=journal)

    def expire_round(
        self, account: LocalAccount, task_id: int, round: int, journal: Journal | None = None
    ) -> TxReceipt:
        """Anyone ends a round whose window has passed; its updates are looked up in the log."""
        view = self.round(task_id, round)
        points = [tuple(point) for point in view.points]
        fn = self._fn.expireRound(task_id, round, list(view.trainers), points)
        return self.chain.send(account, fn, journal=journal)

    def close(self, account: LocalAccount, task_id: int) -> TxReceipt:
        """The owner takes back a task whose bond was never posted."""
        return self.chain.send(account, self._fn.closeTask(task_id))

    def withdraw(self, account: LocalAccount, task_id: int, payee: str | None = None) -> int:
        """Pays what the task owes `payee` (default: the account itself), stake included; returns the amount."""
        payee = to_checksum_address(payee or account.address)
        receipt = self.chain.send(account, self._fn.withdraw(task_id, payee))
        paid = [event.args.get("amountWei", event.args.get("stakeWei", 0)) for event in self._all_own(receipt)]
        return sum(int(amount_wei) for amount_wei in paid)

    # ------------------------------------------------------------------ reads

    def task_count(self) -> int:
        """Number of tasks; ids run from 1 to it."""
        return int(self.chain.read(self._fn.taskCount()))

    def task(self, task_id: int, known: TaskView | None = None) -> TaskView:
        """One task: terms and state.

        Args:
            known: an earlier view of a task whose creation is final. What is in the log only is then not read again.
        Raises:
            MalformedTask: its rule name is no text.
        """
        raw = self.chain.read(self._fn.taskOf(task_id))
        if known is not None and (known.task_id, known.created_at_block) == (task_id, raw.createdAtBlock):
            logged = {"genesisCid": known.config.genesis_cid, "ruleName": known.config.rule_name}
            return _task_view(task_id, raw, logged)
        return self._task_view(task_id, raw)

    def tasks(self, first: int, limit: int = MAX_PAGE) -> list[TaskView | MalformedTask]:
        """The tasks from id `first` on, at most `limit` (32); empty behind the last one.

        A task whose rule name is no text is there as the error, so that it does not hide those behind it.
        """
        found: list[TaskView | MalformedTask] = []
        for task_id, raw in enumerate(self.chain.read(self._fn.tasksFrom(first, limit)), start=first):
            try:
                found.append(self._task_view(task_id, raw))
            except MalformedTask as error:
                found.append(error)
        return found

    def round(self, task_id: int, round: int) -> RoundView:
        """One round: state from storage, details from its logs."""
        state, commit_deadline, settle_deadline, _ = self.chain.read(self._fn.roundOf(task_id, round))
        view: dict[str, Any] = {}
        if RoundState(state) >= RoundState.COMMITTED:
            for event in self.events(task_id, round=round):
                view.update(_round_details(event))
        return RoundView(
            task_id=task_id,
            round=round,
            state=RoundState(state),
            commit_deadline_seconds=commit_deadline,
            settle_deadline_seconds=settle_deadline,
            **view,
        )

    def has_joined(self, task_id: int, address: str) -> bool:
        """Whether an account is a trainer of the task."""
        return bool(self.chain.read(self._fn.hasJoined(task_id, to_checksum_address(address))))

    def credit(self, task_id: int, address: str) -> tuple[int, bool]:
        """What the task owes an account, and whether it can be withdrawn now."""
        amount_wei, claimable = self.chain.read(self._fn.creditOf(task_id, to_checksum_address(address)))
        return int(amount_wei), bool(claimable)

    def round_of_point(self, task_id: int, point_x: int) -> int:
        """The one round of the task that a point with this x can be committed in."""
        return int(self.chain.read(self._fn.roundOfPoint(task_id, point_x)))

    def model_commitment(self, task_id: int) -> Point:
        """Commitment to the task's current model."""
        return Point(*self.chain.read(self._fn.modelCommitment(task_id)))

    def update_digest(self, task_id: int, round: int, point: Point, cid_digest: bytes) -> bytes:
        """The contract's own idea of what a trainer signs."""
        return bytes(self.chain.read(self._fn.updateDigest(task_id, round, tuple(point), cid_digest)))

    def events(
        self,
        task_id: int,
        from_block: int | None = None,
        to_block: int | None = None,
        round: int | None = None,
    ) -> list[MarketEvent]:
        """A task's logs in order, optionally of one round only.

        Args:
            from_block: default: the block of the task's creation.
            to_block: inclusive; default: the latest.
        """
        if from_block is None:
            from_block = int(self.chain.read(self._fn.taskOf(task_id)).createdAtBlock)
        topics: list[Any] = [None, _word(task_id)]
        if round is not None:
            names = ["RoundOpened", "RoundCommitted", "RoundSettled", "RoundExpired", "ModelPublished"]
            topics = [[self._topic(name) for name in names], _word(task_id), _word(round)]
        return self._decode(self._get_logs(topics, from_block, to_block))

    # ---------------------------------------------------------------- private

    def _task_view(self, task_id: int, raw: Any) -> TaskView:
        return _task_view(task_id, raw, self._created(task_id, raw.createdAtBlock).args)

    def _created(self, task_id: int, block: int) -> MarketEvent:
        topics = [self._topic("TaskCreated"), _word(task_id)]
        try:
            return self._decode(self._get_logs(topics, block, block))[0]
        except UnicodeDecodeError as error:
            raise MalformedTask(task_id) from error

    def _own(self, receipt: TxReceipt, name: str) -> MarketEvent:
        """The market's event in a receipt, which may hold a token's logs as well, made to look alike."""
        return next(event for event in self._all_own(receipt) if event.name == name)

    def _all_own(self, receipt: TxReceipt) -> list[MarketEvent]:
        return self._decode([log for log in receipt["logs"] if log["address"] == self.address])

    def _get_logs(self, topics: list[Any], from_block: int, to_block: int | None) -> list[LogReceipt]:
        return self.chain.logs(
            {
                "address": self.address,
                "topics": topics,
                "fromBlock": from_block,
                "toBlock": "latest" if to_block is None else to_block,
            }
        )

    def _topic(self, name: str) -> str:
        return self._topics[name].to_0x_hex()

    def _decode(self, logs: Iterable[LogReceipt]) -> list[MarketEvent]:
        found = []
        for log in logs:
            event = self._contract.events[self._names[HexBytes(log["topics"][0])]]()
            data: EventData = event.process_log(log)
            found.append(
                MarketEvent(
                    name=data["event"],
                    task_id=data["args"]["taskId"],
                    args={name: value for name, value in data["args"].items() if name != "taskId"},
                    block_number=data["blockNumber"],
                    block_hash=bytes(data["blockHash"]),
                    log_index=data["logIndex"],
                    tx_hash=HexBytes(data["transactionHash"]).to_0x_hex(),
                )
            )
        return found


def _word(value: int) -> str:
    return "0x" + encode(["uint256"], [value]).hex()


def _is_native(token: str) -> bool:
    return int(token, 16) == 0


def _config_tuple(config: TaskConfig) -> tuple[Any, ...]:
    """The Solidity struct; its fields' names are the dataclass's in other letters."""
    values = {
        **{_camel_case(name): getattr(config, name) for name in _CONFIG_FIELDS},
        **{name: to_checksum_address(getattr(config, name)) for name in ("aggregator", "token", "verifier")},
        "ruleParams": list(config.rule_params),
        "genesis": tuple(config.genesis),
        "emptyColumn": tuple(config.empty_column),
    }
    return _in_order("createTask", "config", values)


def settlement_tuple(settlement: Settlement) -> tuple[Any, ...]:
    """The Solidity struct."""
    terms = settlement.terms
    values = {
        "trainers": [to_checksum_address(trainer) for trainer in settlement.trainers],
        "points": [tuple(point) for point in settlement.points],
        "gram": b"".join(entry.to_bytes(8, "big", signed=True) for entry in settlement.gram),
        "acceptBits": settlement.accept_bits,
        "scores": list(settlement.scores),
        "updateProof": settlement.update_proof,
        "updateKey": key_struct(settlement.update_key),
        "ruleProof": settlement.rule_proof,
        "ruleVka": list(settlement.rule_vka),
        "terms": {
            "verifier": to_checksum_address(terms.verifier),
            "updateKey": terms.update_key,
            "ruleVka": terms.rule_vka,
            "ruleParams": list(terms.rule_params),
        },
    }
    return _in_order("settleRound", "settlement", values)


def key_struct(words: Sequence[int]) -> dict[str, Any]:
    """The Solidity struct of a verifying key's 13 words, its fields in order."""
    *sizes, srs_digest, selector_x, selector_y = words[:9]
    names = ("n", "omega", "nInverse", "dim", "bits", "bits0")
    return {
        **dict(zip(names, sizes, strict=True)),
        "srsDigest": srs_digest.to_bytes(32, "big"),
        "selector": (selector_x, selector_y),
        "tauG2": list(words[9:]),
    }


def _in_order(function: str, argument: str, values: dict[str, Any]) -> tuple[Any, ...]:
    """Values by name as the struct that a function takes."""
    inputs = next(e["inputs"] for e in artifacts.market().abi if e["type"] == "function" and e["name"] == function)
    struct: tuple[Any, ...] = _aligned(next(entry for entry in inputs if entry["name"] == argument), values)
    return struct


def _aligned(struct: ABIComponent, values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return tuple(_aligned(component, values[str(component["name"])]) for component in struct["components"])


def _task_view(task_id: int, raw: Any, logged: Mapping[str, Any]) -> TaskView:
    return TaskView(
        task_id=task_id,
        owner=ChecksumAddress(raw.owner),
        state=TaskState(raw.state),
        current_round=raw.currentRound,
        round_state=RoundState(raw.roundState),
        deadline_seconds=raw.deadline,
        created_at_block=raw.createdAtBlock,
        model_scale=raw.modelScale,
        escrow_wei=raw.escrowWei,
        bond_wei=raw.bondWei,
        learning_rate=raw.learningRate,
        pace=Pace(*raw.pace),
        model=Point(*raw.model),
        config=_config(raw.config, logged),
    )


def _config(raw: Any, logged: Mapping[str, Any]) -> TaskConfig:
    """From the Solidity struct, and what is in the log only."""
    values = {name: getattr(raw, _camel_case(name)) for name in _CONFIG_FIELDS}
    values |= {
        "rule_params": tuple(raw.ruleParams),
        "genesis": _point(raw.genesis),
        "empty_column": _point(raw.emptyColumn),
        "anchor": Anchor(raw.anchor),
        "genesis_cid": bytes(logged["genesisCid"]),
        "rule_name": logged["ruleName"],
    }
    return TaskConfig(**values)


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _unpacked(cids: bytes) -> tuple[bytes, ...]:
    """CIDs of a log: one after another, each after one byte with its length."""
    found, at = [], 0
    while at < len(cids):
        end = at + 1 + cids[at]
        found.append(cids[at + 1 : end])
        at = end
    return tuple(found)


def _point(value: Any) -> Point:
    """A struct in a log: web3 gives a mapping or a tuple, by its version."""
    return Point(value["x"], value["y"]) if hasattr(value, "keys") else Point(*value)


def _round_details(event: MarketEvent) -> dict[str, Any]:
    """What one log adds to a RoundView."""
    args = event.args
    if event.name == "RoundCommitted":
        return {
            "trainers": tuple(args["trainers"]),
            "points": tuple(_point(point) for point in args["points"]),
            "cids": _unpacked(bytes(args["cids"])),
        }
    if event.name == "RoundSettled":
        count = len(args["paidWei"])
        return {
            "accept": tuple(bool(args["acceptBits"] >> i & 1) for i in range(count)),
            "scores": tuple(args["scores"][:count]),
            "paid_wei": tuple(args["paidWei"]),
            "model": _point(args["model"]),
            "norm": args["norm"],
            "halvings": args["halvings"],
        }
    if event.name == "RoundExpired":
        return {"paid_wei": tuple(args["paidWei"])}
    return {"model_cid": bytes(args["cid"])} if event.name == "ModelPublished" else {}
