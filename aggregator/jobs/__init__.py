"""Proof jobs: what is to be proven as values, and worker processes, here or on a cluster, that prove it."""

from aggregator.jobs.job import ColumnAt, Job, LinearJob, RuleJob
from aggregator.jobs.jobs import Jobs
from aggregator.jobs.pool import Pool, Seat
from aggregator.jobs.views import JobState, JobView, Snapshot

__all__ = [
    "ColumnAt",
    "Job",
    "JobState",
    "JobView",
    "Jobs",
    "LinearJob",
    "Pool",
    "RuleJob",
    "Seat",
    "Snapshot",
]
