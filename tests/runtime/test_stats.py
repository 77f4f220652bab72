"""The numbers of an exporter."""

from llm_observe._runtime.stats import ExporterStats, settled

FACTS = {"captured": 100, "exported": 40, "spooled": 20, "queued": 7, "in_flight": 3, "batches": 1, "failures": 0, "seconds": 0.0}


def test_what_is_neither_out_nor_counted_at_the_end_has_missed_it():
    """Whatever waited then, and what nobody knows of; what was counted before stays."""
    stats = ExporterStats(**FACTS, dropped={"shutdown_deadline": 5, "too_large": 2})
    end = settled(stats)

    assert (0, 0, {"shutdown_deadline": 38, "too_large": 2}, True) == (end.queued, end.in_flight, end.dropped, end.balanced)


def test_the_first_to_miss_it():
    """Is counted from nought."""
    end = settled(ExporterStats(**FACTS, dropped={"too_large": 39}))

    assert {"too_large": 39, "shutdown_deadline": 1} == end.dropped


def test_where_nothing_is_missing_nothing_is_added():
    """All is out, on disk or counted."""
    assert {"too_large": 40} == settled(ExporterStats(**FACTS, dropped={"too_large": 40})).dropped


def test_an_account_that_does_not_add_up_is_seen():
    """One record more or less, and more adopted ones out than in."""
    right = ExporterStats(**FACTS, dropped={"too_large": 30}, adopted=5, adopted_exported=3, adopted_dropped={"spool_corrupt": 2})
    wrong = [
        ExporterStats(**FACTS, dropped={"too_large": 29}),
        ExporterStats(**FACTS, dropped={"too_large": 31}),
        ExporterStats(**FACTS, dropped={"too_large": 30}, adopted=4, adopted_exported=3, adopted_dropped={"spool_corrupt": 2}),
    ]

    assert (True, [False, False, False]) == (right.balanced, [one.balanced for one in wrong])
