"""From graph to running torch code: the lowering of each op, the oracle, the trainable module and torch.fx."""
