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
    parser.add_argument("--ray", metavar="ADDRESS", help="make proofs on this Ray cluster (also MERIT_RAY_ADDRESS)")
    args = parser.parse_args()
    try:
        config = load(AggregatorConfig, args.config)
        asyncio.run(serve(config.model_copy(update={"ray_address": args.ray}) if args.ray else config))
    except (AggregatorError, ConfigurationError, KeyFileError, BindingsError) as error:
        print(f"aggregator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
