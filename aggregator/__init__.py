"""The aggregator: takes updates, removes outliers, proves it, settles on chain, hands out models."""
