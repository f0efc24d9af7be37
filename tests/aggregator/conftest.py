from tests.stage_fixtures import local, small_srs, stage  # noqa: F401
