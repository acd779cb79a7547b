"""The fuzzer's targets, run by a plain generator: `make fuzz` is guided by coverage, and longer."""

import random

import pytest

from tests.effort import SEED, cases
from tests.fuzz.targets import SEEDS, TARGETS, run_one


def mutated(random_source: random.Random, seeds: list[bytes]) -> bytes:
    """Bytes that are a seed, changed in a few places, or anything at all."""
    if random_source.random() < 0.2:
        return random_source.randbytes(random_source.randrange(120))
    data = bytearray(random_source.choice(seeds))
    for _ in range(random_source.randrange(7)):
        at = random_source.randrange(len(data) + 1)
        match random_source.randrange(4):
            case 0:
                data[at : at + 1] = random_source.randbytes(1)
            case 1:
                del data[at : at + random_source.randrange(1, 9)]
            case 2:
                data[at:at] = random_source.randbytes(random_source.randrange(6))
            case _:
                start = random_source.randrange(len(data) + 1)
                data[at:at] = data[start : start + 20]
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("target", list(TARGETS))
def test_j9_no_bytes_break_a_decoder(target: str):
    """Any bytes are read, or refused with the documented errors."""
    random_source = random.Random(f"{target} {SEED}")
    for _ in range(cases(60_000, 1_000_000)):
        run_one(target, mutated(random_source, SEEDS[target]))


def test_every_target_has_seeds():
    assert TARGETS.keys() == SEEDS.keys()
