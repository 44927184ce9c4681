"""A Markdown page of catpose as one HTML file, with its pictures inside and nothing from elsewhere.

The words are those of the Markdown, so no page says something that the other does not.
"""

import base64
import html
import io
import pathlib

import markdown_it
from markdown_it.token import Token
from PIL import Image

_LARGEST = 600_000  # bytes of an SVG: of larger ones, sheets of photos, a JPEG is embedded
_QUALITY = 90
_STYLE = """
:root { color-scheme: light dark; --ink: #222; --faint: #666; --line: #ddd; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --faint: #aaa; --line: #444; --paper: #181a1b; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 16px 20px 60px; }
h1 { margin: 8px 0 0; }
h2 { margin: 48px 0 8px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3 { margin: 36px 0 8px; }
p, li { overflow-wrap: anywhere; }
h1 + p { margin-top: 4px; color: var(--faint); }
figure { margin: 0; }
figure > .picture { overflow-x: auto; padding: 8px; border: 1px solid var(--line);
  border-radius: 8px; background: #fff; }
figure img { display: block; width: 100%; min-width: 600px; height: auto; }
figcaption { margin: 8px 2px; color: var(--faint); }
.table { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 7px; border-bottom: 1px solid var(--line); }
td { overflow-wrap: break-word; }
td[style*="right"] { white-space: nowrap; }
th { vertical-align: bottom; }
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


def page(text: str, folder: pathlib.Path) -> str:
    """The HTML of a Markdown page: pictures with their captions, tables, paragraphs and lists.

    Args:
      text: Markdown in which every picture is a paragraph of its own, its caption the next one.
      folder: where the pictures are, as PNG with the SVG beside it where there is one.

    Returns:
      A page without scripts that opens from anywhere and asks for nothing.

    Raises:
      OSError: a picture is missing.
    """
    parser = markdown_it.MarkdownIt("js-default")  # which reads no HTML in the text
    tokens = parser.parse(text)
    for i in reversed(range(len(tokens))):
        if tokens[i].type == "inline" and [c.type for c in tokens[i].children] == ["image"]:
            _as_figure(tokens, i, folder)
    body = parser.renderer.render(tokens, parser.options, {})
    # Whatever the text says itself is escaped, so that these are tags.
    body = body.replace("<table>", '<div class="table" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    title = next((t.content for t in tokens if t.type == "inline"), "catpose")
    return _PAGE.format(title=html.escape(title), style=_STYLE, body=body)


def _as_figure(tokens: list[Token], i: int, folder: pathlib.Path) -> None:
    """Makes a figure of the paragraph with the picture, at i, and of the next one, its caption."""
    (image,) = tokens[i].children
    image.attrs["src"] = _embedded(folder / str(image.attrs["src"]))
    tokens[i - 1].tag, tokens[i + 1].tag = "figure", "div"
    tokens[i + 2].tag = tokens[i + 4].tag = "figcaption"
    inside = Token("div_open", "div", 1, attrs={"class": "picture", "tabindex": "0"})
    tokens.insert(i + 5, Token("figure_close", "figure", -1, block=True))
    tokens.insert(i, inside)


def _embedded(path: pathlib.Path) -> str:
    vector = path.with_suffix(".svg")
    if vector.is_file() and vector.stat().st_size <= _LARGEST:
        kind, data = "svg+xml", vector.read_bytes()
    else:
        buffer = io.BytesIO()
        with Image.open(path) as picture:
            picture.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
        kind, data = "jpeg", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
