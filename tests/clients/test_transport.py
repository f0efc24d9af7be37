"""Transports over real handshakes: who is let in, and who is believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from clients.errors import AggregatorUnreachable, TransportRefused
from clients.service import AggregatorClient
from clients.transport import Transport
from process.certificates import issue_client, issue_server, make_authority
from process.errors import ConfigurationError
from protocol.refusals import UnknownTask
from tests.stage import Stage


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    make_authority(tmp_path / "ca")
    return tmp_path / "ca"


def server_files(
    directory: Path, authority: Path, *, hosts: tuple[str, ...] = ("127.0.0.1",), days: int = 1
) -> dict[str, object]:
    issued = issue_server(directory / "server", authority=authority, hosts=hosts, days=days)
    return {"tls_certificate": issued.certificate, "tls_key": issued.key}


@asynccontextmanager
async def served(stage: Stage, **changes: object) -> AsyncIterator[int]:
    aggregator = await asyncio.to_thread(stage.aggregator, **changes)
    run = asyncio.create_task(aggregator.run())
    try:
        while not aggregator.port:
            await asyncio.sleep(0.01)
            if run.done():
                await run
        yield aggregator.port
    finally:
        aggregator.stop()
        await asyncio.gather(run, return_exceptions=True)
        aggregator.close()


async def answers(port: int, transport: Transport) -> bool:
    """Whether the aggregator can be spoken to: it then says that there is no such task."""
    async with AggregatorClient(f"127.0.0.1:{port}", transport=transport, patience_seconds=4) as client:
        try:
            await client.task(10**6)
        except UnknownTask:
            return True
        except AggregatorUnreachable:
            return False
    raise AssertionError("there is such a task")


async def test_the_right_authority_is_believed_and_no_other(stage: Stage, authority: Path, tmp_path: Path) -> None:
    other = make_authority(tmp_path / "other")
    async with served(stage, **server_files(tmp_path, authority)) as port:
        assert await answers(port, Transport(ca=authority / "ca.pem"))
        assert not await answers(port, Transport(ca=other.certificate))
        assert not await answers(port, Transport()), "in the clear"


async def test_another_hosts_certificate_is_not_believed(stage: Stage, authority: Path, tmp_path: Path) -> None:
    async with served(stage, **server_files(tmp_path, authority, hosts=("elsewhere.example",))) as port:
        assert not await answers(port, Transport(ca=authority / "ca.pem"))


async def test_an_expired_certificate_is_not_believed(stage: Stage, authority: Path, tmp_path: Path) -> None:
    async with served(stage, **server_files(tmp_path, authority, days=-1)) as port:
        assert not await answers(port, Transport(ca=authority / "ca.pem"))


async def test_clients_need_a_certificate_of_the_authority(stage: Stage, authority: Path, tmp_path: Path) -> None:
    make_authority(tmp_path / "other")
    ca = authority / "ca.pem"
    mine = issue_client(tmp_path, authority=authority, name="mine")
    expired = issue_client(tmp_path, authority=authority, name="expired", days=-1)
    foreign = issue_client(tmp_path, authority=tmp_path / "other", name="foreign")
    async with served(stage, **server_files(tmp_path, authority), tls_client_ca=ca) as port:
        assert await answers(port, Transport(ca=ca, certificate=mine.certificate, key=mine.key))
        assert not await answers(port, Transport(ca=ca))
        assert not await answers(port, Transport(ca=ca, certificate=expired.certificate, key=expired.key))
        assert not await answers(port, Transport(ca=ca, certificate=foreign.certificate, key=foreign.key))


async def test_a_server_key_that_others_can_read_is_refused(stage: Stage, authority: Path, tmp_path: Path) -> None:
    files = server_files(tmp_path, authority)
    await asyncio.to_thread(Path(str(files["tls_key"])).chmod, 0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        async with served(stage, **files):
            pass


@pytest.mark.parametrize("broken", ["tls_certificate", "tls_key", "tls_client_ca"])
async def test_a_file_that_is_not_there_is_named(broken: str, stage: Stage, authority: Path, tmp_path: Path) -> None:
    files = server_files(tmp_path, authority) | {broken: tmp_path / "missing"}
    with pytest.raises(ConfigurationError, match=broken):
        async with served(stage, **files):
            pass


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"host": "0.0.0.0"}, "not encrypted"),
        ({"tls_key": Path("x")}, "come together"),
        ({"tls_client_ca": Path("x")}, "tls_client_ca"),
    ],
)
def test_half_a_transport_is_refused(changes: dict[str, object], named: str, stage: Stage) -> None:
    with pytest.raises(ValueError, match=named):
        stage.config(**changes)


async def test_plaintext_to_other_machines_is_refused_or_warned_of() -> None:
    for target in ("192.0.2.1:1", "merit.example:1", "[2001:db8::1]:1"):
        with pytest.raises(TransportRefused):
            AggregatorClient(target)
        with structlog.testing.capture_logs() as lines:
            await AggregatorClient(target, transport=Transport(allow_plaintext=True)).close()
        assert [line["event"] for line in lines] == ["transport.plaintext"]
    for target in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        await AggregatorClient(target).close()


def test_a_client_certificate_is_whole_and_of_use(tmp_path: Path) -> None:
    for transport in (Transport(certificate=tmp_path), Transport(ca=tmp_path, key=tmp_path), Transport(ca=tmp_path)):
        with pytest.raises(TransportRefused):
            transport.channel("127.0.0.1:1", 1)


async def test_plaintext_on_all_interfaces_is_warned_of(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(stage, host="0.0.0.0", allow_plaintext=True) as port:
        assert await answers(port, Transport())
    assert "service.plaintext" in capsys.readouterr().out
