import numpy as np
import pytest

from synthgap.generation.synthesis.journal import CLOSED, JournalEntry, read_journal
from synthgap.generation.synthesis.parts import claim, cut_before, part_size, parts_of

NUMBERS = np.arange(10, 20)


def batch(*numbers):
    return [
        (JournalEntry(k, 0, None, "sha", 0, 0, {}), f"a/{k}.png", bytes([k]) * k) for k in numbers
    ]


@pytest.fixture
def part(tmp_path):
    (part,) = parts_of(tmp_path, NUMBERS, 10)
    return part


def filled(part, *batches):
    with claim(part) as writing:
        for numbers in batches:
            writing.append(batch(*numbers))


@pytest.mark.parametrize(
    ("count", "batch_size", "packed", "expected"),
    [
        (60, 50, False, 50),
        (20_000, 50, False, 100),
        (20_000, 1, False, 79),
        (20_001, 50, True, 500),
        (20_001, 64, True, 512),
        (100_000, 50, True, 500),
        (1_300_000, 64, True, 5056),
        (0, 50, True, 500),
    ],
)
def test_parts_are_whole_batches(count, batch_size, packed, expected):
    assert part_size(count, batch=batch_size, packed=packed) == expected


def test_a_part_is_written_by_one_holder_at_a_time(part):
    with claim(part) as first:
        first.append(batch(10, 11))
        with claim(part) as second:
            assert second is None
    with claim(part) as third:
        assert third.num_made == 2


def test_what_was_not_journalled_is_cut_off(part):
    filled(part, (10, 11), (12, 13))
    sound = part.tar.stat().st_size
    with part.tar.open("ab") as tar, part.log.open("ab") as log:
        tar.write(b"half an image")
        log.write(b'{"made":[[14,0,nu')
    filled(part, (14,))
    journal = part.read()
    assert [one.number for one in journal.made] == [10, 11, 12, 13, 14]
    assert journal.made[-1].offset == sound + 512
    assert part.tar.read_bytes()[sound + 512 :][:14] == bytes([14]) * 14


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [lines[0], lines[2]],  # a batch is missing
        lambda lines: [lines[0], lines[0]],  # told twice
        lambda lines: [lines[0], lines[1].replace(b'"end"', b'"and"')],
        lambda lines: [lines[0], b"[]\n", lines[1]],
        lambda lines: [lines[0], CLOSED, lines[1]],
    ],
)
def test_a_journal_is_believed_as_far_as_it_goes_on(part, spoil):
    filled(part, (10, 11), (12, 13), (14, 15))
    lines = part.log.read_bytes().splitlines(keepends=True)
    part.log.write_bytes(b"".join(spoil(lines)))
    journal = part.read()
    assert [one.number for one in journal.made] == [10, 11]
    assert journal.length == len(lines[0])
    assert not journal.closed


def test_a_journal_that_tells_of_more_than_the_tar_holds_is_not_believed(part):
    filled(part, (10, 11), (12, 13))
    end = read_journal(part.log, part.wanted, 10**6).end
    assert len(read_journal(part.log, part.wanted, end).made) == 4
    assert len(read_journal(part.log, part.wanted, end - 1).made) == 2


def test_a_part_is_closed_when_all_is_made(part):
    filled(part, NUMBERS.tolist())
    assert not part.closed
    with claim(part) as writing:
        writing.close()
    assert part.closed
    assert part.read().closed
    cut_before(part, 15)
    assert not part.closed
    assert not part.read().made


def test_a_dropped_candidate_has_no_bytes(part):
    with claim(part) as writing:
        writing.append([(JournalEntry(10, None, "unsafe", "", 0, 0, {"confidence": 0.5}), "", b"")])
    (made,) = part.read().made
    assert (made.dropped, made.label, made.facts) == ("unsafe", None, {"confidence": 0.5})
    assert part.tar.stat().st_size == 0
