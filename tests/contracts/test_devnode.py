"""The embedded chain, asked directly."""

from typing import Any

import pytest
from eth_account import Account

from contracts.bindings.devnode import ACCOUNT_BALANCE_WEI, BLOCK_GAS_LIMIT, DevNode, RpcError

SENDER = Account.from_key("0x" + "11" * 32)
POOR = Account.from_key("0x" + "22" * 32)
START_SECONDS = 1_800_000_000
# Creation code whose only effect is to revert with 4 bytes.
REVERTING = "0x63deadbeef6000526004601cfd"
# Creation code that writes one log with topic 7 and leaves no code: LOG1(0, 0, 7), then RETURN(0, 0).
LOGGING = "0x600760006000a160006000f3"


class Clock:
    now_seconds = float(START_SECONDS)

    def __call__(self) -> float:
        return self.now_seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(clock: Clock) -> DevNode:
    return DevNode([SENDER.address], clock)


def ask(node: DevNode, method: str, *params: Any) -> Any:
    return node.handle(method, list(params))


def signed(node: DevNode, **changes: Any) -> str:
    nonce = int(ask(node, "eth_getTransactionCount", SENDER.address, "latest"), 16)
    request = {
        "to": POOR.address,
        "value": 5,
        "gas": 21_000,
        "nonce": nonce,
        "chainId": int(ask(node, "eth_chainId"), 16),
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
    } | changes
    account = changes.pop("account", SENDER)
    request.pop("account", None)
    return "0x" + bytes(account.sign_transaction(request).raw_transaction).hex()


def refused(node: DevNode, method: str, *params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        ask(node, method, *params)
    return caught.value


def test_value_moves_and_is_found_again(node: DevNode) -> None:
    tx_hash = ask(node, "eth_sendRawTransaction", signed(node))
    receipt = ask(node, "eth_getTransactionReceipt", tx_hash)
    assert receipt["status"] == "0x1"
    assert receipt["gasUsed"] == hex(21_000)
    assert receipt["from"] == SENDER.address
    assert receipt["to"] == POOR.address
    assert int(ask(node, "eth_getBalance", POOR.address, "latest"), 16) == 5
    assert int(ask(node, "eth_getBalance", SENDER.address, "latest"), 16) < ACCOUNT_BALANCE_WEI - 5
    transaction = ask(node, "eth_getTransactionByHash", tx_hash)
    assert transaction["value"] == "0x5"
    block = ask(node, "eth_getBlockByNumber", receipt["blockNumber"], False)
    assert block["transactions"] == [tx_hash]
    assert ask(node, "eth_getBlockByHash", block["hash"], True)["transactions"][0]["hash"] == tx_hash
    assert block["gasLimit"] == hex(BLOCK_GAS_LIMIT)


def test_what_is_not_there_is_null(node: DevNode) -> None:
    nothing = "0x" + "00" * 32
    assert ask(node, "eth_getTransactionReceipt", nothing) is None
    assert ask(node, "eth_getTransactionByHash", nothing) is None
    assert ask(node, "eth_getBlockByHash", nothing, False) is None
    assert ask(node, "eth_getBlockByNumber", hex(10**6), False) is None


def test_reverts_carry_their_data(node: DevNode) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        error = refused(node, method, {"from": SENDER.address, "data": REVERTING})
        assert (error.code, error.data) == (3, "0xdeadbeef")


def test_a_reverting_transaction_is_mined_as_failed(node: DevNode) -> None:
    raw = signed(node, to="", data=REVERTING, value=0, gas=100_000)
    receipt = ask(node, "eth_getTransactionReceipt", ask(node, "eth_sendRawTransaction", raw))
    assert receipt["status"] == "0x0"


def test_other_failures_of_the_machine_are_errors_without_data(node: DevNode) -> None:
    error = refused(node, "eth_call", {"from": SENDER.address, "data": "0xfe"})
    assert error.code == -32000
    assert error.data is None


def test_calls_need_no_purse_and_leave_no_trace(node: DevNode) -> None:
    before = ask(node, "eth_blockNumber")
    assert ask(node, "eth_call", {"from": POOR.address, "to": SENDER.address}) == "0x"
    assert int(ask(node, "eth_getBalance", POOR.address, "latest"), 16) == 0
    assert ask(node, "eth_blockNumber") == before


def test_calls_cannot_spend_what_is_not_there(node: DevNode) -> None:
    error = refused(
        node,
        "eth_call",
        {"from": POOR.address, "to": SENDER.address, "value": hex(10**30), "gas": hex(21_000)},
    )
    assert error.code == -32000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": 5}, "nonce"),
        ({"account": POOR}, "balance"),
        ({"chainId": 1}, "chain"),
        ({"gas": 20_000}, "gas"),
        ({"gas": BLOCK_GAS_LIMIT + 1}, "gas"),
    ],
)
def test_unsound_transactions_are_refused_and_change_nothing(
    node: DevNode, changes: dict[str, Any], words: str
) -> None:
    before = ask(node, "eth_blockNumber")
    error = refused(node, "eth_sendRawTransaction", signed(node, **changes))
    assert words in error.message.lower()
    assert ask(node, "eth_blockNumber") == before
    ask(node, "eth_sendRawTransaction", signed(node))  # and the chain goes on


def test_the_same_transaction_twice_is_known(node: DevNode) -> None:
    raw = signed(node)
    ask(node, "eth_sendRawTransaction", raw)
    assert refused(node, "eth_sendRawTransaction", raw).message == "already known"


@pytest.mark.parametrize("raw", ["0x", "0x01", "0x02c0", "0xc0", "02", "0xzz", 7, None])
def test_nonsense_is_refused(node: DevNode, raw: Any) -> None:
    assert refused(node, "eth_sendRawTransaction", raw).code in (-32602, -32000)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", []),
        ("eth_call", [7]),
        ("eth_call", [{"to": "0x12"}]),
        ("eth_getBalance", ["nobody", "latest"]),
        ("eth_getBlockByNumber", ["soon", False]),
        ("eth_getLogs", [{"blockHash": "0x" + "00" * 32}]),
        ("eth_getLogs", [{"topics": [5]}]),
        ("eth_chainId", [1, 2, 3]),
        ("evm_increaseTime", [-1]),
    ],
)
def test_wrong_parameters_are_named(node: DevNode, method: str, params: list[Any]) -> None:
    error = refused(node, method, *params)
    assert error.code == -32602
    assert method in error.message


def test_unknown_methods_are_named(node: DevNode) -> None:
    error = refused(node, "eth_mining")
    assert (error.code, "eth_mining" in error.message) == (-32601, True)


def test_logs_are_filtered(node: DevNode) -> None:
    raw = signed(node, to="", data=LOGGING, value=0, gas=100_000)
    receipt = ask(node, "eth_getTransactionReceipt", ask(node, "eth_sendRawTransaction", raw))
    seven, eight = ("0x" + bytes(31).hex() + digit for digit in ("07", "08"))
    block, contract = receipt["blockNumber"], receipt["contractAddress"]

    def found(**query: Any) -> int:
        return len(ask(node, "eth_getLogs", {"fromBlock": "earliest", **query}))

    assert found() == 1
    assert found(address=contract) == found(address=[contract, POOR.address]) == 1
    assert found(address=POOR.address) == 0
    assert found(topics=[seven]) == found(topics=[None]) == found(topics=[[eight, seven]]) == 1
    assert found(topics=[eight]) == found(topics=[seven, None]) == 0
    assert found(fromBlock=block, toBlock=block) == 1
    assert found(toBlock=hex(int(block, 16) - 1)) == 0
    assert ask(node, "eth_getLogs", {"fromBlock": "earliest"}) == receipt["logs"]


def test_estimates_suffice(node: DevNode) -> None:
    gas = int(ask(node, "eth_estimateGas", {"from": SENDER.address, "data": LOGGING}), 16)
    raw = signed(node, to="", data=LOGGING, value=0, gas=gas)
    receipt = ask(node, "eth_getTransactionReceipt", ask(node, "eth_sendRawTransaction", raw))
    assert receipt["status"] == "0x1"
    assert int(receipt["gasUsed"], 16) <= gas


def test_blocks_carry_the_present_time(node: DevNode, clock: Clock) -> None:
    def latest() -> int:
        return int(ask(node, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    clock.now_seconds += 1000
    ask(node, "eth_sendRawTransaction", signed(node))
    assert latest() == START_SECONDS + 1000
    ask(node, "evm_increaseTime", 500)
    ask(node, "evm_mine")
    assert latest() == START_SECONDS + 1500
    ask(node, "evm_mine")  # no two blocks share a second
    assert latest() == START_SECONDS + 1501
    ask(node, "evm_increaseTime", "0xa")
    ask(node, "evm_mine")
    assert latest() == START_SECONDS + 1511
