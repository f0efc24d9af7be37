"""Which pool a configuration asks for."""

from aggregator.config import AggregatorConfig
from aggregator.jobs.cluster import RayPool
from aggregator.jobs.local import Directories, LocalPool
from aggregator.jobs.pool import Pool
from circuits.prover import Prover
from store.interface import Store


def pool_of(config: AggregatorConfig, store: Store, prover: Prover) -> Pool:
    """The cluster, if one is named; processes of this machine otherwise.

    Raises:
        ConfigurationError: Ray is not installed.
    """
    if config.ray_address is not None:
        return RayPool(
            config.ray_address, store=store, workers=config.proof_workers, memory_bytes=config.proof_memory_bytes
        )
    return LocalPool(
        directories=Directories(store=config.objects, srs=prover.srs_directory, keys=prover.keys_directory),
        workers=config.proof_workers,
        memory_bytes=config.proof_memory_bytes,
    )
