"""What limits a cell, as a closed set, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Limit(StrEnum):
    """What would have to change for the cell to be faster."""

    NOT_ON_DEVICE = "not on the device"
    """Another device than the one that was asked for did the work."""
    MEMORY_SIZE = "memory too small"
    """The model, or its context, does not fit: there is no number at all."""
    PAGING = "memory too small: weights are read from disk again"
    """It runs, and what it needs is dropped from memory and read again."""
    CPU_QUOTA = "CPU quota"
    """The container's CPU quota holds it back."""
    FEW_CPUS = "too few CPUs"
    """It has, or uses, fewer CPUs than the machine has for it."""
    NEIGHBOUR_CPU = "another program: CPU time"
    """Others take CPU time that its threads wait for."""
    NEIGHBOUR_BANDWIDTH = "another program: memory bandwidth"
    """Its threads have their CPU time, and others take memory bandwidth and caches."""
    SLOWER_MEMORY = "memory slower than it was"
    """Memory is read far below the best that the machine has shown, and nobody is seen who takes it."""
    NEIGHBOUR_DEVICE = "another program: the device"
    """Another process computes on the device."""
    THERMAL = "heat"
    """Clocks are held down by temperature or by the hardware's own protection."""
    POWER = "power limit"
    """Clocks are held down by a limit of power."""
    OFFLOAD = "weights on the host"
    """Part of the weights is computed on the CPU, at the speed of the host's memory."""
    PCIE = "PCIe"
    """Weights on the host travel to the device for every batch of the prompt."""
    HOST = "the host does not keep up"
    """The device waits for the CPU."""
    MEMORY_BANDWIDTH = "memory bandwidth"
    """The weights are read about as fast as this memory can be read."""
    COMPUTE = "arithmetic"
    """It computes about as fast as this processor can."""
    OVERHEAD = "neither memory nor arithmetic"
    """Both have room: small matrices, waiting between steps, weights in caches, kernels that use the device badly."""
    UNKNOWN = "not known"
    """What would decide was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What limits one cell.

    Attributes:
        decided_by: the measurement that decided.
        because: what it showed, as a sentence.
        figures: further sentences: shares of bandwidth and of arithmetic, with what they are shares of.
        todo: what to do, as a sentence; empty where nothing has to be done.
    """

    limit: Limit
    decided_by: str
    because: str
    figures: tuple[str, ...] = ()
    todo: str = ""
