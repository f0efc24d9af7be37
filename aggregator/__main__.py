"""`python -m aggregator --config aggregator.toml`"""

import argparse
import asyncio
import sys
from pathlib import Path

from aggregator.config import AggregatorConfig
from aggregator.service import serve
from contracts.bindings import BindingsError
from process.configuration import settings
from process.errors import ConfigurationError, KeyFileError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m aggregator", description="Runs the aggregator.")
    parser.add_argument("--config", type=Path, help="a TOML or JSON file with a section [aggregator]")
    args = parser.parse_args()
    try:
        asyncio.run(serve(settings(AggregatorConfig, "aggregator", args.config)))
    except (ConfigurationError, KeyFileError, BindingsError) as error:
        print(f"aggregator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
