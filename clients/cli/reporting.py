"""What a command says at its end: a result for people or as JSON, or what went wrong, what to do, and an exit code."""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from process.exits import Exit


def console() -> Console:
    """For people; tables are as wide as the terminal."""
    return Console(highlight=False)


def notes(as_json: bool) -> Console:
    """For what is said beside the result: it must not get into the JSON."""
    return Console(stderr=as_json, highlight=False)


def emit(document: object, *, as_json: bool, draw: Callable[[Console], None]) -> None:
    """Prints a result."""
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        draw(console())


def confirm(question: str, *, yes: bool) -> None:
    """Asks whoever sits at the terminal before something is paid; typer.Abort if the answer is no."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)


def lines_for_people(as_json: bool) -> bool:
    """Whether a long-running command prints its events for eyes."""
    return sys.stdout.isatty() and not as_json


def reporting(work: Callable[[], object], *, as_json: bool = False) -> None:
    """Runs a command; what a user can do something about is a line, not a traceback."""
    try:
        work()
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    except Exception as error:
        code, following = explained(error)
        if code == Exit.INTERNAL:
            traceback.print_exc()
        cause = error.__cause__
        if code == Exit.SCRIPT and cause is not None:
            traceback.print_exception(cause)
        print(f"merit: {error}" + (f"\n       {following}" if following else ""), file=sys.stderr)
        if as_json:
            print(json.dumps({"error": document_of(error, code, following)}, indent=2))
        raise typer.Exit(code) from None


def document_of(error: Exception, code: Exit, following: str) -> dict[str, Any]:
    """An error as JSON."""
    return {
        "kind": type(error).__name__,
        "exit": int(code),
        "message": str(error),
        "field": str(getattr(error, "field", "")),
        "next": following,
    }


def explained(error: Exception) -> tuple[Exit, str]:
    """The exit code of an error, and what to do next."""
    from circuits.errors import CircuitError, FieldError
    from clients.bundle import BundleError
    from clients.demo.processes import PartyFailed
    from clients.errors import AggregatorUnreachable, ClientError, ScriptError, TransportRefused
    from contracts.bindings import (
        ArtifactMissing,
        BindingsError,
        ChainRefused,
        ChainUnavailable,
        InsufficientFunds,
        NotAContract,
        TransactionTimeout,
        ValueOutOfRange,
        WrongChain,
    )
    from contracts.bindings.market_errors import FeeOnTransferToken, SafeERC20FailedOperation
    from process.errors import (
        CertificateError,
        ConfigurationError,
        KeyFileError,
        PasswordMissing,
        WrongPassword,
    )
    from protocol.last_model import KeyNotShared
    from protocol.refusals import Refusal
    from protocol.terms import UnacceptableTerms
    from store.errors import InvalidPublicKey, StorageFull, StoreError, StoreUnavailable

    known: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Exit, str], ...] = (
        (PasswordMissing, Exit.CONFIGURATION, ""),
        (WrongPassword, Exit.CONFIGURATION, "Try again; without the password, what the key holds is lost."),
        (KeyFileError, Exit.CONFIGURATION, "A new key: merit keys new FILE"),
        (CertificateError, Exit.CONFIGURATION, "New certificates: merit tls new-ca, merit tls issue"),
        (ConfigurationError, Exit.CONFIGURATION, "What holds, and where it is from: merit config"),
        (ChainUnavailable, Exit.CHAIN, "Is the node up? Its address is chain.rpc_url, or --rpc."),
        (TransactionTimeout, Exit.CHAIN, "It may still be mined: look before you repeat it."),
        (ChainRefused, Exit.CHAIN, "Does the account hold enough for gas and value?"),
        (InsufficientFunds, Exit.CHAIN, "Send it the rest, and repeat the command. Nothing was paid."),
        (WrongChain, Exit.CHAIN, "Name another node: --rpc, or chain.rpc_url. Nothing was sent."),
        (ArtifactMissing, Exit.CONFIGURATION, ""),
        (ValueOutOfRange, Exit.CONFIGURATION, ""),
        (NotAContract, Exit.CONFIGURATION, "Are the addresses of market and token those of this chain?"),
        (
            FeeOnTransferToken,
            Exit.FAILED,
            "The token keeps a part of what is sent: the market would hold less than it owes. Nothing was taken; "
            "name another token.",
        ),
        (SafeERC20FailedOperation, Exit.FAILED, "The token refused the transfer, or is none."),
        (BindingsError, Exit.FAILED, ""),
        (AggregatorUnreachable, Exit.AGGREGATOR, "Is it up? Its address is client.aggregator_target, or --aggregator."),
        (
            TransportRefused,
            Exit.CONFIGURATION,
            "Encrypt it: client.tls_ca, see merit tls; or client.allow_plaintext.",
        ),
        (ScriptError, Exit.SCRIPT, ""),
        (Refusal, Exit.FAILED, ""),
        (UnacceptableTerms, Exit.FAILED, "Take no part in this task, or ask its owner about that term."),
        (KeyNotShared, Exit.FAILED, "Only the owner's key opens it, once the aggregator has settled the last round."),
        (StoreUnavailable, Exit.FAILED, "Is the IPFS node up? Its RPC is what --store or --peer names."),
        (StorageFull, Exit.FAILED, "Nothing was kept, nothing was lost: make room and try again."),
        (InvalidPublicKey, Exit.FAILED, "Somebody stands in for the task's aggregator: is its address the right one?"),
        (StoreError, Exit.FAILED, ""),
        (FieldError, Exit.CONFIGURATION, ""),
        (CircuitError, Exit.PROVER, "Strings and keys: see MERIT_SRS and MERIT_CACHE in docs/cli.md"),
        ((BundleError, ClientError, PartyFailed, FileExistsError), Exit.FAILED, ""),
    )
    for kinds, code, following in known:
        if isinstance(error, kinds):
            return code, following
    return Exit.INTERNAL, "This is a defect; the traceback above says where."
