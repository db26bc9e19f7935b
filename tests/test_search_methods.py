"""The mixed convolution against its definition, and every method on tasks whose right rates are known."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from archdsl.search.claim import claim
from archdsl.search.decode import Decision, Effort, decide, neighbours
from archdsl.search.methods import METHODS
from archdsl.search.mixed_conv import mixed_conv
from archdsl.search.planted import LARGEST, Planted, settle, solve, train_fixed
from archdsl.search.random_search import random_search
from torch import Tensor

CANDIDATES = tuple(range(1, LARGEST + 1))


def branches(x: Tensor, weight: Tensor, mixture: Tensor, rates: tuple[int, ...], stride: int, groups: int) -> Tensor:
    results = [F.conv2d(x, weight, None, stride, rate, rate, groups) for rate in rates]
    return torch.stack([p * y for p, y in zip(mixture, results, strict=True)]).sum(0)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_mixed_conv_is_the_weighted_sum_of_its_branches_and_so_are_its_gradients(groups: int, stride: int) -> None:
    torch.manual_seed(groups)
    x = torch.randn(2, 4, 7, 6, dtype=torch.double, requires_grad=True)
    weight = torch.randn(4, 4 // groups, 3, 3, dtype=torch.double, requires_grad=True)
    mixture = torch.rand(3, dtype=torch.double, requires_grad=True)
    rates = (1, 2, 5)

    def mixed(*tensors: Tensor) -> Tensor:
        return mixed_conv(*tensors, rates, stride=(stride, stride), groups=groups)

    wanted = branches(x, weight, mixture, rates, stride, groups)
    assert torch.allclose(mixed(x, weight, mixture), wanted, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(mixed, (x, weight, mixture))


def test_mixed_conv_keeps_no_branch_for_the_backward_pass() -> None:
    saved: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    x, weight = torch.randn(1, 8, 16, 16, requires_grad=True), torch.randn(8, 8, 3, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        mixed_conv(x, weight, torch.full((18,), 1 / 18, requires_grad=True), CANDIDATES)
    assert sum(saved) == x.numel() + weight.numel() + 18


@pytest.mark.parametrize("method", METHODS)
def test_a_method_mixes_open_candidates_only_and_decides_among_them(method: str) -> None:
    torch.manual_seed(0)
    relaxation = METHODS[method](CANDIDATES, 9)
    for largest in (18, 5, 1):
        relaxation.restrict(range(1, largest + 1))
        for progress in (0.0, 0.5, 1.0):
            mixture = relaxation.mixture(progress)
            assert relaxation.shares(progress).sum().item() == pytest.approx(1, abs=1e-5)
            assert set(mixture.rates) <= set(range(1, largest + 1))
            assert mixture.weights.sum().item() == pytest.approx(1)
            assert mixture.rates == tuple(sorted(mixture.rates))
        assert 1 <= relaxation.decided() <= largest


def test_softmax_trains_at_the_uniform_mixture_first_and_drops_what_falls_behind() -> None:
    relaxation = METHODS["softmax"](CANDIDATES, 9)
    with torch.no_grad():
        relaxation.get_parameter("logits")[4] = 10.0
    assert torch.equal(relaxation.mixture(0.1).weights, torch.full((18,), 1 / 18))
    relaxation.settle(0.5)
    assert relaxation.mixture(0.5).rates == (5,)
    assert relaxation.decided() == 5


def test_softmax_decides_at_the_end_between_rates_that_are_nearly_as_likely() -> None:
    relaxation = METHODS["softmax"](CANDIDATES, 9)
    with torch.no_grad():
        relaxation.get_parameter("logits").copy_(torch.linspace(0, 1.7, 18).flip(0))
    early, late = (relaxation.mixture(progress).weights.detach() for progress in (0.8, 1.0))
    assert early[0] / early[1] == pytest.approx(math.exp(0.1)) and late[0] > 0.99
    assert relaxation.likeliest(3) == (1, 2, 3) and relaxation.likeliest(18)[-1] == 18


def test_a_bound_below_every_kept_candidate_brings_the_nearest_one_back() -> None:
    relaxation = METHODS["softmax"](CANDIDATES, 9)
    relaxation.alive.copy_(torch.tensor([rate in (12, 14) for rate in CANDIDATES]))
    relaxation.restrict(range(1, 8))
    assert relaxation.decided() == 7
    relaxation.restrict(CANDIDATES)
    assert relaxation.decided() in (12, 14)


def test_a_bound_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="is allowed"):
        METHODS["softmax"](CANDIDATES, 9).restrict([40])


def test_a_search_has_to_start_at_a_candidate() -> None:
    with pytest.raises(ValueError, match="starts at 3"):
        METHODS["softmax"]((1, 2, 4), 3)


@pytest.mark.slow
@pytest.mark.parametrize("image", ["white", "smooth"])
def test_softmax_finds_a_planted_rate(image: str) -> None:
    answer = solve(Planted((7,), image, seed=3), steps=300)
    assert answer.rates == (7,)
    assert abs(answer.relaxed - answer.discrete) <= 0.001
    assert answer.discrete > 0.7


@pytest.mark.slow
def test_what_three_layers_leave_undecided_is_decided_before_the_end() -> None:
    """With a mixture of two rates at the end, the rate decided on was points worse than the mixture."""
    answer = solve(Planted((18, 15, 18), "white", seed=100), steps=200)
    assert abs(answer.relaxed - answer.discrete) <= 0.001


def test_a_task_is_the_same_every_time_and_its_classes_are_balanced() -> None:
    task = Planted((3, 5), "smooth", seed=1)
    (x, y), (again, labels) = next(task.batches(7)), next(task.batches(7))
    assert torch.equal(x, again) and torch.equal(y, labels)
    assert torch.bincount(y.flatten(), minlength=4).min() > 0.05 * y.numel()


@pytest.mark.slow
def test_the_right_rate_trains_to_more_than_a_wrong_one_unless_labels_need_no_context() -> None:
    right, wrong = (train_fixed(Planted((6,), seed=2), (rate,), steps=120) for rate in (6, 11))
    assert right > wrong + 0.15
    same, other = (train_fixed(Planted((6,), seed=2, null=True), (rate,), steps=120) for rate in (6, 11))
    assert abs(same - other) < 0.03


def test_neighbours_move_double_halve_swap_and_take_what_is_likely() -> None:
    by_moves = {(3, 10), (5, 10), (2, 10), (8, 10), (10, 4), (4, 9), (4, 11), (4, 5)}
    assert set(neighbours((4, 10), [CANDIDATES] * 2)) == by_moves
    assert set(neighbours((4, 10), [CANDIDATES] * 2, [(16, 3), (10,)])) == by_moves | {(16, 10)}
    assert set(neighbours((4,), [(1, 4, 8)])) == {(1,), (8,)}


def test_deciding_climbs_by_trainings_and_ranks_by_inherited_loss() -> None:
    """From (2, 2) to (9, 5) by way of the neighbours that the inherited score likes; nothing is trained twice."""
    trained: list[tuple[tuple[int, ...], int]] = []

    def train(rates: tuple[int, ...], steps: int) -> float:
        trained.append((rates, steps))
        return float(-abs(rates[0] - 9) - abs(rates[1] - 5))

    def around(rates: tuple[int, ...]) -> list[tuple[int, ...]]:
        return neighbours(rates, [CANDIDATES] * 2)

    made = decide((2, 2), around, lambda rates: float(sum(rates)), train, Effort(4, 10, 2, 9), [(18, 18)])
    assert made.rates == (9, 5) and len(trained) == len(set(trained)) == len(made.trained)
    assert made.trained[(18, 18), 10] == -22 and ((18, 18), 20) not in made.trained
    assert made.steps == sum(steps for _, steps in trained)
    again = decide((2, 2), around, lambda rates: 1 / 0, lambda rates, steps: 1 / 0, Effort(4, 10, 2, 9), (), made)
    assert again.rates == (9, 5)


def test_an_answer_moves_only_for_more() -> None:
    made = decide((3,), lambda rates: [(4,), (5,)], lambda rates: 0.0, lambda rates, steps: 0.5, Effort(2, 10, 1, 3))
    assert made.rates == (3,)


def test_random_search_draws_without_repeating_and_goes_on() -> None:
    dice = random.Random(0)
    made = Decision(())
    for count in (3, 6, 50):
        random_search(lambda: (dice.randint(1, 9),), lambda rates, steps: -float(rates[0]), count, 7, made)
        assert len(made.trained) == min(count, 9)
    assert made.rates == (1,)


def test_a_claim_needs_more_than_noise_and_more_than_half_a_point() -> None:
    assert claim([61, 62, 63], [59, 60, 61.2]).verdict == "gain"
    assert claim([59, 60, 61.2], [61, 62, 63]).verdict == "loss"
    assert claim([61, 62, 63], [60.8, 61.8, 62.8]).verdict == "tie"
    assert claim([61, 62, 70], [60, 61, 60]).verdict == "tie"
    # surely more than nothing, and perhaps less than half a point
    assert claim([61.5, 62.7, 63.9], [61, 62, 63]).verdict == "tie"
    assert claim([70], [60]).verdict == "tie"
    said = claim([2, 4, 6], [1, 2, 3])
    assert said.mean == 2 and said.interval[0] == pytest.approx(2 - 4.303 / 3**0.5)
    with pytest.raises(ValueError):
        claim([], [])


@pytest.mark.slow
def test_the_neighbourhood_repairs_what_a_search_left() -> None:
    """Rates that a search decided wrongly by one step are found by training their neighbours."""
    task = Planted((6,), seed=2)
    answer = solve(task, steps=40)
    wrong = replace(answer, rates=(7,))
    assert settle(task, wrong, Effort(keep=8, steps=80, rungs=1, rounds=3)).rates == (6,)
