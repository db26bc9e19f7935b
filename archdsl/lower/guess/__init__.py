"""Which foreign tensor is which of ours, where nobody wrote it down: a name map proposed by order, shape and name.

Tensors are taken layer by layer. A layer goes to one of ours with the same tensors of the same shapes; among those that
look alike, evidence decides: the layers around it that are settled, what it stands in, what it is called, its turn.
"""

from archdsl.lower.guess.proposal import Proposal, propose

__all__ = ["Proposal", "propose"]
