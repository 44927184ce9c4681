"""Long work says how far it is, on a terminal and in a log."""

import sys
import time

from catpose import progress


def test_a_log_gets_lines_of_long_work_alone(capsys, monkeypatch):
    list(progress.bar(range(3), show=True, desc="short"))
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0.1)
    list(progress.bar(range(3), show=False, desc="hidden"))
    for _ in progress.bar(range(4), show=True, desc="long", unit="img"):
        time.sleep(0.15)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("long: ") and "img" in line for line in lines)
    assert "100%" in lines[-1]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(progress.bar(range(3), show=True, desc="quick"))
    assert "\rquick: 100%|" in capsys.readouterr().err
