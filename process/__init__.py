"""What every process of the market does in the same way: configuration files, key files, log lines."""
