"""The linear layer: from commitments to the Gram matrix of the committed updates."""
