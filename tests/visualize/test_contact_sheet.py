"""Sheets beside rendered images."""

from PIL import Image

from catpose.visualize import contact_sheet


def test_sheets_of_an_earlier_version_are_drawn_anew(tmp_path):
    for number in range(3):
        Image.new("RGB", (10, 10), "red").save(tmp_path / f"{number}.jpg")
    rows = "".join(f"{number}.jpg,cup\n" for number in range(3))
    (tmp_path / "manifest.csv").write_text(f"file,category\n{rows}")
    Image.new("RGB", (3, 3)).save(tmp_path / "contact_cup.jpg")  # without catpose's mark
    (sheet,) = contact_sheet.of_manifest(tmp_path, columns=2)
    with Image.open(sheet) as drawn:
        assert drawn.size == (22, 22)
