"""`python -m aggregator --config merit.toml`: `merit serve` without the command line's other parts."""

import argparse
import asyncio
import sys
from pathlib import Path

from aggregator.config import AggregatorConfig
from aggregator.errors import AggregatorError
from aggregator.service import serve
from contracts.bindings import BindingsError, ChainUnavailable
from process.configuration import settings
from process.errors import CertificateError, ConfigurationError, KeyFileError
from process.exits import Exit


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m aggregator", description="Runs the aggregator.")
    parser.add_argument("--config", type=Path, help="a TOML or JSON file with the sections [chain] and [aggregator]")
    parser.add_argument("--ray", metavar="ADDRESS", help="make proofs on this Ray cluster (also MERIT_RAY_ADDRESS)")
    args = parser.parse_args()
    try:
        asyncio.run(serve(settings(AggregatorConfig, "aggregator", args.config, {"ray_address": args.ray})))
    except (CertificateError, ConfigurationError, KeyFileError) as error:
        print(f"aggregator: {error}", file=sys.stderr)
        return Exit.CONFIGURATION
    except (AggregatorError, BindingsError) as error:
        print(f"aggregator: {error}", file=sys.stderr)
        return Exit.CHAIN if isinstance(error, ChainUnavailable) else Exit.FAILED
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
