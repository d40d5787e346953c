import pytest

from synthgap.jobs.launching import BY_HAND, ERROR_FILE, is_launched, is_main, own_gpu, write_stderr


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in (BY_HAND, ERROR_FILE, "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_alone_it_is_the_first_and_takes_the_first_gpu(monkeypatch):
    monkeypatch.setenv("RANK", "3")  # of somebody else's launcher
    assert not is_launched()
    assert is_main()
    assert own_gpu(4) == 0


@pytest.mark.parametrize("by", [BY_HAND, ERROR_FILE])
def test_launched_each_process_has_a_gpu_of_its_machine(monkeypatch, by):
    """Rank 5 of two machines with four GPUs each, started by us or by hand."""
    monkeypatch.setenv(by, "x")
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert is_launched()
    assert not is_main()
    assert own_gpu(4) == 1
    assert own_gpu(1) == 0


def test_of_several_the_first_line_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(ERROR_FILE, str(tmp_path / "sampled"))
    write_stderr("one\n")
    write_stderr("two\n")
    assert (tmp_path / "sampled").read_text() == "one\n"
    assert capsys.readouterr().err == ""


def test_by_hand_every_process_tells_on_its_own(monkeypatch, capsys):
    monkeypatch.setenv(BY_HAND, "x")
    write_stderr("one\n")
    assert capsys.readouterr().err == "one\n"
