from tests.aggregator.databases import database_url, postgresql  # noqa: F401
from tests.stage_fixtures import local, stage  # noqa: F401
