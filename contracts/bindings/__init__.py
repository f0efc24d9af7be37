"""Talks to the contracts: one typed function for each of the market's calls.

Local chains to try them on are in `contracts.bindings.devchain`, signatures in `contracts.bindings.eip712`, one class
for each custom error in `contracts.bindings.market_errors`, allow-lists in `contracts.bindings.allowlist`.
"""

from contracts.bindings.chain import Chain
from contracts.bindings.creation import Creation, created_task, read_creation, relay, sign_create_task
from contracts.bindings.deploy import Deployment, check_verifier, deploy, register_vka, vka_digest
from contracts.bindings.eip712 import Domain, Receipt, UpdateCommitment, cid_digest, proof_context
from contracts.bindings.errors import (
    ArtifactMissing,
    BindingsError,
    ChainRefused,
    ChainUnavailable,
    InvalidTransaction,
    KeyUnknown,
    LocalChainFailed,
    MalformedTask,
    NotAContract,
    TransactionReplaced,
    TransactionReverted,
    TransactionTimeout,
    TransactionUnknown,
    UntrustedBoard,
    UntrustedVerifier,
    ValueOutOfRange,
)
from contracts.bindings.keyboard import KeyBoard, KeyShare, check_board, shared_in, shared_with
from contracts.bindings.market import Market
from contracts.bindings.records import (
    NATIVE,
    NOBODY,
    Anchor,
    MarketEvent,
    Pace,
    Point,
    ProofTerms,
    RoundState,
    RoundView,
    Settlement,
    Submission,
    TaskConfig,
    TaskState,
    TaskView,
)
from contracts.bindings.signed import Journal, Signed
from contracts.bindings.signer_key import public_key_of

__all__ = [
    "NATIVE",
    "NOBODY",
    "Anchor",
    "ArtifactMissing",
    "BindingsError",
    "Chain",
    "ChainRefused",
    "ChainUnavailable",
    "Creation",
    "Deployment",
    "Domain",
    "InvalidTransaction",
    "Journal",
    "KeyBoard",
    "KeyShare",
    "KeyUnknown",
    "LocalChainFailed",
    "MalformedTask",
    "Market",
    "MarketEvent",
    "NotAContract",
    "Pace",
    "Point",
    "ProofTerms",
    "Receipt",
    "RoundState",
    "RoundView",
    "Settlement",
    "Signed",
    "Submission",
    "TaskConfig",
    "TaskState",
    "TaskView",
    "TransactionReplaced",
    "TransactionReverted",
    "TransactionTimeout",
    "TransactionUnknown",
    "UntrustedBoard",
    "UntrustedVerifier",
    "UpdateCommitment",
    "ValueOutOfRange",
    "check_board",
    "check_verifier",
    "cid_digest",
    "created_task",
    "deploy",
    "proof_context",
    "public_key_of",
    "read_creation",
    "register_vka",
    "relay",
    "shared_in",
    "shared_with",
    "sign_create_task",
    "vka_digest",
]
