from tests.stage_fixtures import local, stage  # noqa: F401
