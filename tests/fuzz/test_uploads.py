"""The upload state machine against a real server: whatever happens in whatever order, no bytes are mixed up, what was
acknowledged stays, and the round ends."""

from collections.abc import Iterator

import grpc
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from merit.v1.types_pb2 import Chunk, Receipt
from merit.v1.updates_pb2 import UploadUpdateRequest

from protocol.calls import UPLOAD_UPDATE
from tests.fuzz.harness import Served, served
from tests.stage import TRAINERS, Stage, Update

WHO = st.integers(0, TRAINERS - 2)  # the last one sends at the end, so that the round does not end before
WHICH = st.integers(0, 1)


@pytest.fixture
def server(stage: Stage) -> Iterator[Served]:
    with served(stage) as running:
        yield running


def test_uploads_in_any_order_of_events(server: Served) -> None:
    class Uploads(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.task_id = server.run(server.stage.open_task(server.client))
            self.updates = [
                [self._update(who, 10 * self.task_id + which) for which in range(2)] for who in range(TRAINERS)
            ]
            self.receipts: dict[int, tuple[Update, Receipt]] = {}
            self.recorded: list[list[bytes]] = []

        def _update(self, who: int, seed: int) -> Update:
            stage = server.stage
            return stage.update(self.task_id, 0, stage.trainers[who], stage.draw(seed))

        def _header(self, update: Update) -> UploadUpdateRequest:
            return UploadUpdateRequest(
                header=update.signer.sign(UPLOAD_UPDATE, update.header, task_id=self.task_id, round=0)
            )

        def _there(self, update: Update) -> int:
            header = update.header
            return server.run(server.client.upload_status(self.task_id, 0, update.signer.address, header.cid))

        def _send(self, update: Update, start: int, end: int, piece: int) -> grpc.StatusCode:
            parts = [self._header(update)]
            parts += [
                UploadUpdateRequest(chunk=Chunk(offset_bytes=at, data=update.data[at : min(at + piece, end)]))
                for at in range(start, end, piece)
            ]
            raw = [part.SerializeToString() for part in parts]
            self.recorded.append(raw)
            return server.call(UPLOAD_UPDATE, raw)

        @rule(who=WHO, which=WHICH, share=st.floats(0, 0.99), piece=st.integers(1, 300))
        def send_a_part(self, who: int, which: int, share: float, piece: int) -> None:
            """From where it stopped; the stream ends too early."""
            update = self.updates[who][which]
            start = self._there(update)
            code = self._send(update, start, max(start, int(share * len(update.data))), max(piece, 20))
            known = self.receipts.get(who)
            if known is None:
                assert code == grpc.StatusCode.DATA_LOSS
            else:
                expected = grpc.StatusCode.OK if known[0] is update else grpc.StatusCode.ALREADY_EXISTS
                assert code == expected

        @rule(who=WHO, which=WHICH, offset=st.integers(0, 1200))
        def send_from_anywhere(self, who: int, which: int, offset: int) -> None:
            """A gap is refused; what is there already may be sent again."""
            update = self.updates[who][which]
            there, offset = self._there(update), min(offset, len(update.data) - 1)
            code = self._send(update, offset, len(update.data), 1 << 20)
            if who not in self.receipts:
                assert (code == grpc.StatusCode.OK) == (offset <= there)
                if code == grpc.StatusCode.OK:
                    self._remember(who, update)

        @rule(who=WHO, which=WHICH)
        def send_damaged(self, who: int, which: int) -> None:
            update = self.updates[who][which]
            data = bytes([update.data[-1] ^ 1])
            there = self._there(update)
            raw = [self._header(update).SerializeToString()]
            if there < len(update.data):
                body = update.data[there:-1] + data
                raw.append(UploadUpdateRequest(chunk=Chunk(offset_bytes=there, data=body)).SerializeToString())
                code = server.call(UPLOAD_UPDATE, raw)
                assert who in self.receipts or code == grpc.StatusCode.DATA_LOSS
                assert who in self.receipts or self._there(update) == 0, "what is damaged is dropped"

        @rule(index=st.integers(0, 1000))
        def replay(self, index: int) -> None:
            if self.recorded:
                code = server.call(UPLOAD_UPDATE, self.recorded[index % len(self.recorded)])
                assert code == grpc.StatusCode.ALREADY_EXISTS

        @rule(who=WHO, which=WHICH)
        def send_the_rest(self, who: int, which: int) -> None:
            update = self.updates[who][which]
            code = self._send(update, self._there(update), len(update.data), 1 << 20)
            if who not in self.receipts:
                assert code == grpc.StatusCode.OK
                self._remember(who, update)

        def _remember(self, who: int, update: Update) -> None:
            receipt = server.run(server.client.receipt(self.task_id, 0, update.signer.address))
            assert receipt.cid == update.header.cid
            self.receipts[who] = (update, receipt)

        @invariant()
        def what_was_acknowledged_is_there(self) -> None:
            for update, receipt in getattr(self, "receipts", {}).values():
                assert server.run(server.client.receipt(self.task_id, 0, update.signer.address)) == receipt
                assert server.aggregator.tools.store.get(update.header.cid) == update.data

        def teardown(self) -> None:
            """The round ends, with exactly what was acknowledged."""
            if not hasattr(self, "updates"):
                return
            for who in range(TRAINERS):
                if who not in self.receipts:
                    update = self.updates[who][0]
                    server.run(server.client.upload_update(update.header, update.data, update.signer))
                    self.receipts[who] = (update, Receipt())
            server.run(server.stage.reached(server.client, self.task_id, 0, 7))
            slots = server.run(server.client.round(self.task_id, 0)).slots
            assert {slot.cid for slot in slots} == {update.header.cid for update, _ in self.receipts.values()}

    run_state_machine_as_test(
        Uploads,
        settings=settings(
            max_examples=6,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
