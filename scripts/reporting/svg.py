"""Plots as inline SVG. Colours and strokes are classes, so that the page's style sheet can turn
them dark, light or printed; sizes fit half of a wide page and all of a phone's."""
import bisect
import html
import math

WIDTH, HEIGHT = 460, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 44
COLOURS = 6


def clean(text):
    """Escaped, and without what a page must not hold: control characters, halves of surrogates."""
    text = "".join(c if c >= " " and not "\x7f" <= c <= "\x9f" else "�" for c in str(text))
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def text_of(value):
    """A number for people: four digits, no trailing zeros."""
    if value is None:
        return "not available"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}·10" + str(int(exponent)).translate(
            str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if size >= scale:
            return f"{value / scale:.3g} {letter}"
    if size >= 1e4:
        return f"{value:,.0f}".replace(",", " ")
    text = f"{value:.4g}"
    return text.replace("-", "−")


def tick_text(value):
    size = abs(value)
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= 10 * scale or (size >= scale and scale > 1e3):
            return f"{value / scale:.4g}{letter}".replace("-", "−")
    return text_of(value).replace("1·10", "10").replace("1.00·10", "10").replace(".00·", "·")


class Series:
    """Points [(x, y)] with what is drawn of them: a line, dots, whiskers [(x, low, high)], or a
    band between the same."""

    def __init__(self, label, points, colour=0, kind="line", weight="", dash=0, spread=(),
                 band=False, listed=True, clip=False, gaps=()):
        self.label, self.points, self.colour = label, list(points), colour % COLOURS
        self.kind, self.weight, self.dash = kind, weight, dash % 4
        self.spread, self.band = list(spread), band
        self.listed = listed  # in legend and table
        self.clip = clip  # says nothing about the axis
        self.gaps = sorted(gaps)  # where there is no value: no line goes over these

    def pieces(self, entries):
        """Of points or spreads, those between gaps."""
        pieces = []
        for entry in entries:
            gap = bisect.bisect(self.gaps, entry[0])
            if not pieces or pieces[-1][0] != gap:
                pieces.append((gap, []))
            pieces[-1][1].append(entry)
        return [piece for _, piece in pieces]


class Axis:
    def __init__(self, low, high, start, end, logarithmic=False, most=6):
        self.start, self.end, self.logarithmic = start, end, logarithmic
        if logarithmic:
            if high <= low * 1.0001:
                low, high = low / 1.5, high * 1.5
            low, high = low * (low / high) ** 0.04, high * (high / low) ** 0.04
            self.low, self.high = math.log10(low), math.log10(high)
            self.ticks = log_ticks(low, high)
        else:
            if high - low <= 1e-9 * max(abs(low), abs(high)):
                pad = abs(low) * 0.05 or 1.0
                low, high = low - pad, high + pad
            self.ticks, self.low, self.high = linear_ticks(low, high, most)

    def at(self, value):
        if self.logarithmic:
            value = math.log10(max(value, 1e-300))
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, -2.0), 3.0) * (self.end - self.start)


def linear_ticks(low, high, most):
    step = 10 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= most:
            step *= factor
            break
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) if abs(step) > 1e-6 else i * step
            for i in range(first, last + 1)], first * step, last * step


def log_ticks(low, high):
    decades = math.log10(high / low)
    factors = (1, 1.5, 2, 3, 4, 5, 6, 8) if decades < 0.9 else (1, 2, 5) if decades < 2.2 else \
        (1, 3) if decades < 3 else (1,)
    stride = 1 if decades < 8 else math.ceil(decades / 6)
    ticks = []
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        if exponent % stride == 0:
            ticks += [factor * 10.0 ** exponent for factor in factors]
    inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    return inside if len(inside) >= 2 else [low, high]


class Plot:
    """One pair of axes. `series` without points are left out; nothing at all gives no plot."""

    def __init__(self, series, x_label, y_label, logarithmic=False, logarithmic_x=False, zero=False,
                 ceiling=None, lines=(), size=(WIDTH, HEIGHT)):
        self.logarithmic, self.zero, self.ceiling = logarithmic, zero, ceiling
        self.series = [self.drawable(s) for s in series if s.points]
        self.series = [s for s in self.series if s.points]
        self.lines = [y for y in lines if not logarithmic or y > 0]
        self.x_label, self.y_label, self.logarithmic_x = x_label, y_label, logarithmic_x
        self.width, self.height = size
        self.left = LEFT

    def resized(self, width, height):
        self.width, self.height = width, height
        return self

    def drawable(self, series):
        """On a logarithmic axis there is no place for zero and below."""
        if self.logarithmic:
            series.points = [(x, y) for x, y in series.points if y > 1e-290]
            kept = {x for x, _ in series.points}
            series.spread = [spread for spread in series.spread if spread[0] in kept]
        return series

    def __bool__(self):
        return bool(self.series)

    def ranges(self):
        shown = [s for s in self.series if not s.clip] or self.series
        xs = [x for s in shown for x, _ in s.points]
        ys = [y for s in shown for _, y in s.points]
        middle = min(ys)
        for s in shown:
            ys += [high for _, _, high in s.spread]
            # A lower end near or below zero would stretch a logarithmic axis without end.
            ys += [max(low, middle / 3) if self.logarithmic else low for _, low, _ in s.spread]
        ys += self.lines
        low, high = min(ys), max(ys)
        if self.zero and not self.logarithmic:
            low, high = min(low, 0.0), max(high, 0.0)
        if self.ceiling is not None:
            high = self.ceiling
        return min(xs), max(xs), low, high

    def upward(self, y_low, y_high):
        axis = Axis(y_low, y_high, self.height - BOTTOM, TOP, self.logarithmic,
                    5 if self.height > 200 else 4)
        if not self.logarithmic and not self.zero and y_high > y_low:
            pad = 0.04 * (y_high - y_low)
            axis.low, axis.high = y_low - pad, y_high + pad
        return axis

    def render(self, identity, title, description):
        x_low, x_high, y_low, y_high = self.ranges()
        self.y = self.upward(y_low, y_high)
        # Room for the numbers as large as a phone's style makes them.
        letter, most = (10.5, 34) if self.width < 300 else (9, 31)
        self.left = max(most + letter * max(len(tick_text(tick)) for tick in self.y.ticks), 50)
        self.x = Axis(x_low, x_high, self.left, self.width - RIGHT, self.logarithmic_x,
                      10 if self.width > 600 else 6 if self.width > 300 else 4)
        if not self.logarithmic_x:  # no empty margin on either side
            self.x.low, self.x.high = (x_low, x_high) if x_high > x_low else (x_low - 1, x_low + 1)
        parts = [f'<svg class="plot" viewBox="0 0 {self.width} {self.height}" role="img" '
                 f'aria-labelledby="{identity}-t {identity}-d">',
                 f'<title id="{identity}-t">{clean(title)}</title>',
                 f'<desc id="{identity}-d">{clean(description)}</desc>',
                 f'<clipPath id="{identity}-c"><rect x="{self.left - 5}" y="{TOP - 4}" '
                 f'width="{self.width - self.left - RIGHT + 10}" '
                 f'height="{self.height - TOP - BOTTOM + 8}"/></clipPath>']
        parts += self.frame()
        parts.append(f'<g clip-path="url(#{identity}-c)">')
        for y in self.lines:
            at = self.y.at(y)
            parts.append(f'<path class="mark" d="M{self.left:.0f} {at:.1f}H{self.width - RIGHT}"/>')
        for s in self.series:
            parts += self.draw(s)
        parts.append("</g></svg>")
        return "".join(parts)

    def frame(self):
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        parts = []
        for tick in self.y.ticks:
            at = self.y.at(tick)
            if not TOP - 1 <= at <= bottom + 1:
                continue
            parts.append(f'<path class="grid" d="M{self.left:.0f} {at:.1f}H{right}"/>'
                         f'<text class="tick" x="{self.left - 7}" y="{at + 4:.1f}" '
                         f'text-anchor="end">{tick_text(tick)}</text>')
        for tick in self.x.ticks:
            at = self.x.at(tick)
            if self.left - 1 <= at <= right + 1:
                anchor = "end" if at > right - 8 else "middle"
                parts.append(f'<path class="axis" d="M{at:.1f} {bottom}v4"/>'
                             f'<text class="tick" x="{min(at, right):.1f}" y="{bottom + 18}" '
                             f'text-anchor="{anchor}">{tick_text(tick)}</text>')
        parts.append(f'<path class="axis" d="M{self.left:.0f} {bottom}H{right}"/>')
        middle = (TOP + bottom) / 2
        x = 18 if self.width < 300 else 15
        parts.append(f'<text class="label" x="{(self.left + right) / 2:.0f}" y="{self.height - 7}" '
                     f'text-anchor="middle">{clean(self.x_label)}</text>'
                     f'<text class="label" transform="translate({x} {middle:.0f}) rotate(-90)" '
                     f'text-anchor="middle">{clean(self.y_label)}</text>')
        return parts

    def place(self, x, y):
        return f"{self.x.at(x):.1f} {self.y.at(y):.1f}"

    def draw(self, s):
        classes = f"c{s.colour} d{s.dash} {s.weight}".strip()
        parts = []
        if s.spread and s.band:
            for piece in s.pieces(s.spread):
                upper = [self.place(x, high) for x, _, high in piece]
                lower = [self.place(x, low if low > 0 or not self.logarithmic else 1e-300)
                         for x, low, _ in reversed(piece)]
                parts.append(f'<path class="band c{s.colour}" d="M{"L".join(upper + lower)}Z"/>')
        elif s.spread:
            for x, low, high in s.spread:
                low = low if low > 0 or not self.logarithmic else 1e-300
                parts.append(f'<path class="whisker c{s.colour}" d="M{self.place(x, low)}'
                             f'L{self.place(x, high)}"/>')
        pieces = s.pieces(s.points) if s.kind in ("line", "both") else []
        for piece in pieces:
            if len(piece) > 1:
                line = "L".join(self.place(x, y) for x, y in piece)
                parts.append(f'<path class="line {classes}" d="M{line}"/>')
        dots = s.points if s.kind in ("dots", "both") else \
            [piece[0] for piece in pieces if len(piece) == 1]
        if dots:
            radius = 1.5 if s.kind == "dots" else 3.4 if s.kind == "both" or len(dots) == 1 else 2
            for x, y in dots:
                parts.append(f'<circle class="dot {classes}" cx="{self.x.at(x):.1f}" '
                             f'cy="{self.y.at(y):.1f}" r="{radius}">'
                             f'<title>{clean(s.label)}: {text_of(y)} at {text_of(x)}</title>'
                             "</circle>")
        return parts


# ---- Bars and dots by name ---------------------------------------------------------------------

def by_name(identity, title, description, names, rows, unit):
    """For each name dots on a logarithmic axis: rows are (label, colour, {name: value})."""
    values = [value for _, _, of in rows for value in of.values() if value is not None]
    if not values:
        return ""
    wide = max(len(name) for name in names)
    left, step, width = min(12 + 7.4 * wide, 215), 21, WIDTH
    height = TOP + step * len(names) + BOTTOM
    axis = Axis(min(values) / 1.2, max(values) * 1.2, left, width - RIGHT, True)
    bottom = height - BOTTOM
    parts = [f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
             f'aria-labelledby="{identity}-t {identity}-d"><title id="{identity}-t">'
             f'{clean(title)}</title><desc id="{identity}-d">{clean(description)}</desc>']
    for tick in axis.ticks:
        at = axis.at(tick)
        parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{bottom}"/><text class="tick" '
                     f'x="{at:.1f}" y="{bottom + 17}" '
                     f'text-anchor="middle">{tick_text(tick)}</text>')
    for i, name in enumerate(names):
        y = TOP + step * (i + 0.5)
        parts.append(f'<text class="tick" x="{left - 9}" y="{y + 4:.1f}" text-anchor="end">'
                     f'{clean(shortened(name, 27))}</text>'
                     f'<path class="grid" d="M{left} {y:.1f}H{width - RIGHT}"/>')
        for label, colour, of in rows:
            if of.get(name) is not None:
                x = axis.at(of[name])
                parts.append(f'<circle class="dot c{colour % COLOURS}" cx="{x:.1f}" '
                             f'cy="{y:.1f}" r="4.6"><title>{clean(label)}, '
                             f'{clean(name)}: {text_of(of[name])}</title></circle>')
    parts.append(f'<text class="label" x="{(left + width - RIGHT) / 2:.0f}" y="{height - 7}" '
                 f'text-anchor="middle">{clean(unit)}</text></svg>')
    return "".join(parts)


def shares(identity, title, description, rows, unit):
    """Stacked bars: rows are (label, [(part, colour, value)])."""
    step, height = 52, 8 + 52 * len(rows) + 40
    longest = max(sum(value for _, _, value in parts) for _, parts in rows)
    axis = Axis(0.0, longest, 14, WIDTH - RIGHT, most=5)
    axis.high = longest
    bottom = height - 40
    out = [f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-labelledby="{identity}-t {identity}-d"><title id="{identity}-t">'
           f'{clean(title)}</title><desc id="{identity}-d">{clean(description)}</desc>']
    for tick in axis.ticks:
        if tick <= longest * 1.001:
            anchor = "end" if axis.at(tick) > WIDTH - RIGHT - 12 else \
                "start" if tick == 0 else "middle"
            out.append(f'<path class="grid" d="M{axis.at(tick):.1f} 8V{bottom}"/>'
                       f'<text class="tick" x="{axis.at(tick):.1f}" y="{bottom + 16}" '
                       f'text-anchor="{anchor}">{tick_text(tick)}</text>')
    for i, (label, parts) in enumerate(rows):
        y, at = 8 + step * i, 0.0
        out.append(f'<text class="tick strong" x="14" y="{y + 14}">'
                   f'{clean(shortened(label, 60))}</text>')
        for part, colour, value in parts:
            start, end = axis.at(at), axis.at(at + value)
            out.append(f'<rect class="bar c{colour % COLOURS}" x="{start:.1f}" y="{y + 20}" '
                       f'width="{max(end - start, 0.1):.1f}" height="22"><title>'
                       f'{clean(part)}: {text_of(value)} s</title></rect>')
            at += value
    out.append(f'<text class="label" x="{WIDTH / 2:.0f}" y="{height - 6}" '
               f'text-anchor="middle">{clean(unit)}</text></svg>')
    return "".join(out)


def shortened(text, most):
    return text if len(text) <= most else "…" + text[-(most - 1):]
