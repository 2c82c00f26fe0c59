"""The largest context that fits, by bisection with real runs.

A trial is a prompt that fills its context, of one repetition, in the warm-up round. What is found is then measured like
any other cell, under the id that the matrix file gave it. What one search shows of memory serves the others: a context
that is too much for one setting is not tried with a setting that needs more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.matrix.strategies import Strategy
from harness.matrix.strategies.dominated import BATCH, OUT_OF_MEMORY
from harness.store.history import History
from harness.values.cell import TRIAL, Cell
from harness.values.failure import Failure, Phase
from harness.values.measurement import CONTEXT
from harness.values.plan import Group, Planned

GRAIN = 256
"""Tokens: llama.cpp rounds a context up to as many."""
RESOLUTION = 32
"""A search ends where what is too much is within a 32nd above what fits."""
CACHE_BITS = {"f16": 16, "bf16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5, "iq4_nl": 4.5}
"""Bits of an element of the KV cache, by storage type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a search is: the context to be tried next, or the largest that fits; neither where not even the least does.

    Attributes:
        fits, too_much: tokens; None where no such context is known.
    """

    next: int | None
    fits: int | None
    too_much: int | None


def bisect_context(limit: int, known: Mapping[int, bool]) -> Step:
    """What to try next, seen what fits and what does not. The same knowledge always leads the same way.

    Args:
        limit: tokens; nothing larger is tried.
        known: whether contexts of so many tokens fit.
    """
    fits = max((tokens for tokens, good in known.items() if good), default=0)
    # Memory only grows with the context: what failed below something that fits met another program.
    too_much = min((tokens for tokens, good in known.items() if not good and tokens > fits), default=None)
    found = fits or None
    if fits >= limit:
        return Step(next=None, fits=found, too_much=None)
    if too_much is None or too_much > limit:
        return Step(next=limit, fits=found, too_much=too_much)
    if too_much - fits <= max(GRAIN, fits // RESOLUTION):
        return Step(next=None, fits=found, too_much=too_much)
    middle = math.sqrt(max(fits, GRAIN) * too_much)
    tokens = GRAIN * round(middle / GRAIN)
    tokens = min(max(tokens, GRAIN * (fits // GRAIN + 1)), GRAIN * ((too_much - 1) // GRAIN))
    return Step(next=tokens if tokens > fits else None, fits=found, too_much=too_much)


def needs_more(easier: Cell, cell: Cell) -> bool:
    """Whether a cell needs at least the memory of another for the same context.

    Both are the same model in the same image on the same device beside the same others; batches and KV types may
    differ.
    """
    sizes = [_sizes(each) for each in (easier, cell)]
    return _same(easier) == _same(cell) and all(a <= b for a, b in zip(*sizes, strict=True))


def _sizes(cell: Cell) -> tuple[float, ...]:
    types = (CACHE_BITS.get(str(cell.params.get(name, "f16")), 16) for name in ("type_k", "type_v"))
    return (*types, *(int(cell.params.get(name, 0)) for name in BATCH))


def _same(cell: Cell) -> tuple[object, ...]:
    free = {*BATCH, "type_k", "type_v"}
    params = tuple(sorted((name, value) for name, value in cell.params.items() if name not in free))
    return cell.backend, cell.image, cell.model, cell.device, cell.beside, cell.beside_busy, params


class MaxContext:
    """Searches first; then what `rest` says of all groups, with the contexts that were found.

    Args:
        groups: everything; those that search have one cell each.
        limits: tokens that the model of a cell was trained for, by cell id; None where its header does not say.
        rest: makes the strategy of what comes after the searches.
    """

    def __init__(
        self,
        groups: tuple[Group, ...],
        *,
        limits: Mapping[str, int | None],
        rest: Callable[[tuple[Group, ...]], Strategy],
    ) -> None:
        self._groups = groups
        self.limits = limits
        self.rest = rest
        self._searches = tuple(g for g in groups if g.failure is None and g.cells[0].test.measurement == CONTEXT)

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order of the matrix."""
        return self._groups

    def next(self, history: History) -> tuple[Planned, ...]:
        """The next trial of the first search that is not at its end; after them whatever the rest wants."""
        for order, group in enumerate(self._searches):
            found = self._step(group, history)
            if isinstance(found, Step) and found.next is not None:
                return (_trial_of(group, found.next, order),)
        return self._after(history).next(history)

    def ahead(self, history: History) -> tuple[Planned, ...]:
        """Runs that are left; of a search one, and as many as halving takes where that is known to be too much."""
        searching: list[Planned] = []
        for order, group in enumerate(self._searches):
            found = self._step(group, history)
            if isinstance(found, Step) and found.next is not None:
                trials = 1
                if found.too_much is not None:
                    span = found.too_much / max(found.fits or GRAIN, GRAIN)
                    trials += math.ceil(math.log2(max(1.0, RESOLUTION * math.log2(max(span, 1.01)))))
                searching += [_trial_of(group, found.next, order)] * trials
        return (*searching, *self._after(history).ahead(history))

    def lacking(self, history: History) -> tuple[str, ...]:
        """Ids of the cells that lack a number: of searches those that found nothing."""
        return self._after(history).lacking(history)

    def _after(self, history: History) -> Strategy:
        return self.rest(tuple(self._resolved(group, history) for group in self._groups))

    def _resolved(self, group: Group, history: History) -> Group:
        """A search as the context that it found; as its failure where it found none."""
        if group not in self._searches:
            return group
        found, cell = self._step(group, history), group.cells[0]
        if isinstance(found, Failure):
            return replace(group, failure=found)
        if found.fits is None:
            return replace(group, failure=self._nothing(group, history)) if found.next is None else group
        return replace(group, cells=(replace(cell, test=replace(cell.test, n_prompt=found.fits)),))

    def _nothing(self, group: Group, history: History) -> Failure | None:
        cell = group.cells[0]
        tried = [f for f in self._failures(group, history).values() if f is not None]
        reason = tried[-1] if tried else None
        if reason is None:
            return None
        return Failure(
            phase=Phase.LOAD,
            reason=reason.reason,
            detail=f"not even a context of {min(GRAIN, self._limit(cell))} tokens fits: {reason.detail}"[:300],
            remedy=reason.remedy,
        )

    def _step(self, group: Group, history: History) -> Step | Failure:
        """Where a search is; the failure that ended it, where that was not for lack of memory."""
        known: dict[int, bool] = {}
        for other in self._searches:
            for tokens, fitted in self._known(other, history).items():
                if other is not group and isinstance(fitted, Failure):
                    continue
                if isinstance(fitted, Failure):
                    return fitted
                serves = (
                    needs_more(group.cells[0], other.cells[0]) if fitted else needs_more(other.cells[0], group.cells[0])
                )
                if other is group or serves:
                    known[tokens] = fitted
        return bisect_context(self._limit(group.cells[0]), known)

    def _limit(self, cell: Cell) -> int:
        """Tokens: what the matrix asks for at most, or the model was trained for; whole grains but for tiny ones."""
        asked = [n for n in (cell.test.n_prompt, self.limits.get(cell.id)) if n]
        limit = min(asked, default=GRAIN)
        return limit // GRAIN * GRAIN or limit

    def _known(self, group: Group, history: History) -> dict[int, bool | Failure]:
        """Whether each context that was tried fits, or why that is not known; without what is to be tried again."""
        found: dict[int, bool | Failure] = {}
        for tokens, failure in self._failures(group, history).items():
            identity = trial(group.cells[0], tokens).id
            if failure is None:
                found[tokens] = (group.key, identity, 0) not in history.thrashed
            elif failure.reason in OUT_OF_MEMORY:
                found[tokens] = False
            elif history.settled(group.key, identity, 0):
                found[tokens] = failure
        return found

    def _failures(self, group: Group, history: History) -> dict[int, Failure | None]:
        """The outcome of each trial of a search, by its context."""
        begin = group.cells[0].id + TRIAL
        return {
            int(identity.removeprefix(begin)): outcome.failure
            for (key, identity, round_), outcome in history.outcomes.items()
            if key == group.key and round_ == 0 and identity.startswith(begin)
        }


def _trial_of(group: Group, tokens: int, order: int) -> Planned:
    return Planned(key=group.key, round=0, order=order, cells=(trial(group.cells[0], tokens),))


def trial(cell: Cell, tokens: int) -> Cell:
    """A search's cell with a context of so many tokens, under an id of its own."""
    return replace(cell, id=f"{cell.id}{TRIAL}{tokens}", test=replace(cell.test, n_prompt=tokens))
