"""`python -m aggregator --config aggregator.toml`"""

import argparse
import asyncio
import sys
from pathlib import Path

from aggregator.config import AggregatorConfig
from aggregator.errors import AggregatorError
from aggregator.service import serve
from contracts.bindings import BindingsError
from process.configuration import load
from process.errors import ConfigurationError, KeyFileError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m aggregator", description="Runs the aggregator.")
    parser.add_argument("--config", type=Path, required=True, help="a TOML or JSON file, see aggregator/config.py")
    args = parser.parse_args()
    try:
        asyncio.run(serve(load(AggregatorConfig, args.config)))
    except (AggregatorError, ConfigurationError, KeyFileError, BindingsError) as error:
        print(f"aggregator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
