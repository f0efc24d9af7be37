"""The contracts: a Foundry project, and `contracts.bindings` to talk to what is deployed."""
