"""merit.v1.AssessmentsService"""

from merit.v1.assessments_pb2 import GetAssessmentRequest, GetAssessmentResponse, Outcome
from merit.v1.assessments_pb2_grpc import AssessmentsServiceServicer

from aggregator.records import Layer, Step, Update
from aggregator.served import Registry
from aggregator.servicers.context import Context
from aggregator.tools import Tools, off_loop
from protocol import wire
from protocol.refusals import UnknownAssessment, UnknownRound


class Assessments(AssessmentsServiceServicer):
    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry

    async def GetAssessment(  # noqa: N802
        self, request: GetAssessmentRequest, context: Context
    ) -> GetAssessmentResponse:
        task = await self._registry.get(request.task_id)
        key, state = (request.task_id, request.round), self._tools.state
        if await off_loop(state.round, *key) is None:
            raise UnknownRound(f"round: task {request.task_id} has not reached round {request.round}", field="round")
        reports = {each.step: each for each in await off_loop(state.reports, request.task_id, round=request.round)}
        if Step.RULE_PROVEN not in reports:
            raise UnknownAssessment(f"round: the rule of round {request.round} is not proven yet", field="round")
        settled = reports.get(Step.SETTLED)
        proofs = [await off_loop(state.proof, *key, layer) for layer in (Layer.LINEAR, Layer.RULE)]
        return GetAssessmentResponse(
            task_id=request.task_id,
            round=request.round,
            rule_name=task.config.rule_name,
            rule_vka=task.config.rule_vka,
            outcomes=[_outcome(update) for update in await off_loop(state.updates, *key)],
            linear_proof=proofs[0] or b"",
            rule_proof=proofs[1] or b"",
            settlement=settled.transaction if settled else b"",
        )


def _outcome(update: Update) -> Outcome:
    return Outcome(
        trainer=wire.address_bytes(update.trainer),
        point=wire.point_message(update.point),
        cid=update.cid,
        accepted=bool(update.accepted),
        score=update.score or 0,
        paid_wei="" if update.paid_wei is None else str(update.paid_wei),
    )
