"""Reading record files."""

import msgspec

from llm_observe.exporters._files import decode, file_name, new_lines, read_records, record_files


def written(directory, name, *lines: bytes):
    """A record file of *lines*."""
    path = directory / f"records-20261124T12000{name}-1-000001.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_files_are_read_in_the_order_of_their_age(make, tmp_path):
    """The oldest file first, whatever the directory lists first."""
    for n in (3, 1, 2):
        written(tmp_path, n, msgspec.json.encode(make.call(id=str(n))), b"\n")

    assert ["1", "2", "3"] == [record.id for record in read_records(tmp_path)]


def test_a_torn_last_line_is_left_out(make, tmp_path):
    """A process was killed in the middle of it."""
    line = msgspec.json.encode(make.call())
    written(tmp_path, 1, line, b"\n", line[:50])
    written(tmp_path, 2, line, b"\n", line)

    assert 2 == len(list(read_records(tmp_path)))


def test_what_is_no_record_is_left_out(make, tmp_path):
    """Kinds of a later version, other JSON, no JSON, no UTF-8, JSON of absurd depth: none stops the reader."""
    odd = [b'{"kind":"session","id":"x"}', b"[1]", b"{", b"", b'{"kind":"\xff"}', b"[" * 100_000, b'{"kind":"call","id":"\\ud800"}']
    written(tmp_path, 1, b"\n".join([*odd, msgspec.json.encode(make.step()), b""]))

    assert ["step-1"] == [record.id for record in read_records(tmp_path)]


def test_a_lone_surrogate_does_not_cost_a_record(make):
    """It is escaped in the file, and comes back as it was."""
    line = msgspec.json.encode(make.step(name="NAME")).replace(b"NAME", rb"cut \ud83d")

    assert "cut \ud83d" == decode(line).name


def test_a_file_that_is_deleted_meanwhile_is_left_out(make, tmp_path):
    """Rotation goes on while somebody reads."""
    for n in (1, 2):
        written(tmp_path, n, msgspec.json.encode(make.call(id=str(n))), b"\n")
    reader = read_records(tmp_path)
    first = next(reader)
    record_files(tmp_path)[1].unlink()

    assert ["1"] == [first.id, *(record.id for record in reader)]


def test_no_directory_means_no_records(tmp_path):
    """Nobody has written yet."""
    (tmp_path / "file").write_text("")

    assert ([], []) == (record_files(tmp_path / "none"), record_files(tmp_path / "file"))


def test_other_files_and_links_are_not_record_files(tmp_path):
    """Only what a file exporter made."""
    (tmp_path / file_name(0, 1, 1)).symlink_to("/etc/passwd")
    (tmp_path / "records.jsonl").write_text("{}\n")
    (tmp_path / file_name(0, 1, 2)).mkdir()

    assert [] == record_files(tmp_path)


def test_lines_are_read_on_from_where_the_last_whole_one_ended(tmp_path):
    """Half a line is left for the next time."""
    path = written(tmp_path, 1, b"one\ntw")
    first, offset = new_lines(path)
    path.write_bytes(b"one\ntwo\nthree\n")

    assert ([b"one"], ([b"two", b"three"], 14)) == (first, new_lines(path, offset))
