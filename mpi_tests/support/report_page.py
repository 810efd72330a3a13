"""Looks at pages of scripts/report: at their text, and with `look` at what a browser makes of them.

report_page.py check PAGE [TEXT...]       structure, and these texts are in it
report_page.py look PAGE BROWSER FOLDER desk|phone|print|picture...   in headless Chromium
Prints what is wrong; exit code 1 then.
"""
import html
import html.parser
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

VOID = {"meta", "br", "hr", "img", "link", "input"}
wrong = []


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.labels, self.tags = [], [], [], []
        self.svgs, self.figures, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        self.labels += values.get("aria-labelledby", "").split()
        if tag == "svg":
            self.svgs.append([values, set()])
        elif tag in ("title", "desc") and "svg" in self.open:
            self.svgs[-1][1].add(tag)
        if tag == "figure":
            self.figures.append(set())
        elif self.figures and "figure" in self.open:
            self.figures[-1].add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            wrong.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


def check(path, texts):
    source = pathlib.Path(path).read_text(encoding="utf-8")
    page = Page()
    page.feed(source)
    page.close()
    if page.open:
        wrong.append(f"left open: {page.open}")
    if len(page.ids) != len(set(page.ids)):
        wrong.append("an id is there twice")
    wrong.extend(f"no element {label}" for label in set(page.labels) - set(page.ids))
    for values, inside in page.svgs:
        if values.get("class") == "plot" and (values.get("role") != "img" or
                                              inside < {"title", "desc"}):
            wrong.append("a plot without role, title or description")
    for inside in page.figures:
        if "svg" in inside and not {"details", "table", "h3"} <= inside:
            wrong.append("a plot without a title or its numbers")
    for tag, values in page.tags:
        if tag in ("script", "link", "img", "iframe", "object", "base") or any(
                name in ("src", "href", "srcset", "style") or name.startswith("on")
                for name in values):
            wrong.append(f"<{tag} {values}>")
    for pattern in (r"https?://", r"url\((?!#)", r"@import", r"\bnan\b", r"\binf\b", r"\bNone\b"):
        if re.search(pattern, source):
            wrong.append(f"the page has {pattern}")
    words = " ".join("".join(page.words).split())
    for text in texts:
        if text.startswith("!"):
            if text[1:] in words:
                wrong.append(f"the page says {text[1:]}")
        elif text not in words:
            wrong.append(f"the page does not say {text}")


# ---- In a browser ------------------------------------------------------------------------------

# Facts that only layout knows, left in the document for --dump-dom.
SCRIPT = r"""
const facts = { width: innerWidth, wide: document.documentElement.scrollWidth, problems: [] };
const shown = element => element.getClientRects().length > 0;
const say = (what, element) => facts.problems.push(what + ": " +
    (element.closest("figure") || element).id + " " + element.textContent.slice(0, 60));
const numbers = color => color.match(/[\d.]+/g).map(Number);
const luminance = color => {
    const [r, g, b] = numbers(color).slice(0, 3).map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
};
const ground = element => {
    for (; element; element = element.parentElement) {
        const color = getComputedStyle(element).backgroundColor;
        if (numbers(color)[3] !== 0) return color;
    }
    return "rgb(255, 255, 255)";
};
facts.page = getComputedStyle(document.body).backgroundColor;
facts.plots = facts.lines = 0;
for (const svg of document.querySelectorAll("svg.plot")) {
    if (!shown(svg)) continue;
    facts.plots++;
    const box = svg.getBoundingClientRect();
    if (box.width < 100 || box.height < 60) say("small plot", svg);
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((text, i) => {
        if (text.height < 8) say("small letters " + text.height, texts[i]);
        if (text.left < box.left - 2 || text.right > box.right + 2 || text.top < box.top - 2 ||
            text.bottom > box.bottom + 2) say("clipped", texts[i]);
        for (let j = 0; j < i; j++) {
            const x = Math.min(text.right, boxes[j].right) - Math.max(text.left, boxes[j].left);
            const y = Math.min(text.bottom, boxes[j].bottom) - Math.max(text.top, boxes[j].top);
            if (x > 1 && y > 3) say("overlap with " + texts[j].textContent, texts[i]);
        }
        if (contrast(getComputedStyle(texts[i]).fill, ground(svg.parentElement)) < 4.5)
            say("faint", texts[i]);
    });
    for (const line of svg.querySelectorAll("path.line")) {
        facts.lines++;
        if (!(line.getTotalLength() > 1)) say("empty line", line);
        if (contrast(getComputedStyle(line).stroke, ground(svg.parentElement)) < 3)
            say("faint line", line);
    }
}
for (const element of document.querySelectorAll("h1, h2, h3, p, dt, dd, th, td, li, summary")) {
    if (!shown(element) || !element.textContent.trim()) continue;
    if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 &&
        getComputedStyle(element).display !== "inline") say("cut off", element);
    if (contrast(getComputedStyle(element).color, ground(element)) < 4.5) say("faint", element);
}
const note = document.createElement("pre");
note.id = "facts";
note.textContent = JSON.stringify(facts).replace(/</g, "(");
parent.document.body.append(note);
"""


def browse(browser, page, options):
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--disable-dev-shm-usage", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", "--no-first-run",
                   f"--user-data-dir={profile}", *options, page.resolve().as_uri()]
        return subprocess.run(command, capture_output=True, timeout=60, check=False,
                              env={**os.environ, "HOME": profile}).stdout.decode("utf-8", "replace")


def layout(browser, source, folder, name, width, dark):
    """In a frame of that width: a window has a least one. The frame may run the script."""
    source = source.replace("</body>", f"<script>{SCRIPT}</script></body>")
    page = folder / "probe.html"
    page.write_text(f'<!DOCTYPE html><meta charset="utf-8"><iframe style="width: {width}px; '
                    f'height: 900px; border: 0" srcdoc="{html.escape(source)}"></iframe>', "utf-8")
    flags = ["--force-dark-mode"] if dark else []
    text = browse(browser, page, ["--window-size=1300,1000", *flags, "--dump-dom"])
    found = re.search(r'<pre id="facts">(.*?)</pre>', text, re.S)
    if not found:
        wrong.append(f"{name}: the browser says nothing of the page")
        return None
    facts = json.loads(html.unescape(found[1]))
    if facts["width"] != width:
        wrong.append(f"{name}: {facts['width']} pixels wide, wanted {width}")
    if facts["wide"] > facts["width"]:
        wrong.append(f"{name}: {facts['wide']} pixels in a window of {facts['width']}")
    if facts["plots"] == 0 or facts["lines"] == 0:
        wrong.append(f"{name}: no plots or no lines")
    wrong.extend(f"{name}: {problem}" for problem in facts["problems"][:6])
    return facts["page"]


def colours_of(path):
    """How many different rows of pixels a picture has: 1 or 2 is blank."""
    data, at, packed, height = path.read_bytes(), 8, b"", 0
    while at < len(data):
        size, = struct.unpack(">I", data[at:at + 4])
        kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            height, = struct.unpack(">I", body[4:8])
        elif kind == b"IDAT":
            packed += body
        at += size + 12
    pixels = zlib.decompress(packed)
    row = len(pixels) // height
    return len({pixels[i * row + 1:(i + 1) * row] for i in range(height)})


def look(page, browser, folder, *wanted):
    """The page as it is for a picture; for facts a copy that may run the script."""
    page, folder = pathlib.Path(page), pathlib.Path(folder)
    source = page.read_text(encoding="utf-8")
    source = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    grounds = set()
    if "desk" in wanted:
        grounds.add(layout(browser, source, folder, "desk", 1200, False))
    if "phone" in wanted:
        opened = source.replace("<details>", "<details open>")
        grounds.add(layout(browser, opened, folder, "phone, dark, tables open", 390, True))
    if len(grounds) < len({"desk", "phone"} & set(wanted)):
        wrong.append(f"light and dark have the same background {grounds}")
    if "print" in wanted:  # what a printer gets, in a frame as wide as paper
        printed = source.replace("@media print", "@media screen")
        layout(browser, printed, folder, "print", 700, False)
    if "picture" in wanted:
        picture = folder / "page.png"
        browse(browser, page, ["--window-size=800,1200", f"--screenshot={picture}"])
        if not picture.exists() or colours_of(picture) < 50:
            wrong.append("the picture of the page is blank")


if sys.argv[1] == "check":
    check(sys.argv[2], sys.argv[3:])
else:
    look(*sys.argv[2:])
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
