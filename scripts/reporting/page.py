"""The page itself: one HTML file with its style sheet, without scripts, and without anything from a
network."""
import pathlib

from sections import DIAGNOSE_LAYERS, all_figures, echo_spectra
from smooth import sampled
from svg import COLOURS, clean, text_of

LIMITS = {"bias": "bias", "variance": "variance", "neither": "neither bias nor variance",
          "unknown": "not enough data"}
ROWS_OF_A_COLUMN, MOST_ROWS = 14, 40


def duration(seconds):
    if seconds is None:
        return "not available"
    if seconds < 120:
        return f"{text_of(float(f'{seconds:.3g}'))} s"
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    return f"{minutes} min" if hours < 2 else f"{hours} h {minutes - 60 * hours} min"


def with_error(value, error):
    if value is None:
        return "not available"
    return text_of(float(f"{value:.3g}")) + (f" ± {text_of(float(f'{error:.2g}'))}"
                                             if error is not None else "")


# ---- Facts about a run -------------------------------------------------------------------------

def facts(run):
    """(name, text) of a run; what is missing says so."""
    option = run.option
    summary = run.summary_number
    noise = run.spread("noise_scale_average")
    scale, error = summary("noise_scale"), summary("noise_scale_error")
    if scale is None and not run.summary and noise:
        _, scale, error = noise[-1]
    steps, wanted = run.last_step(), summary("steps_wanted")
    wanted = wanted if wanted is not None else _number(option("steps"))
    held_out = run.column("held_out_loss")
    layers = "layer" if option("layers") == "1" else "layers"
    heads = "head" if option("heads") == "1" else "heads"
    shape = ", ".join(f"{option(name)} {word}" for name, word in
                      (("layers", layers), ("width", "wide"), ("heads", heads),
                       ("context", "context")) if option(name) and
                      not (name in ("heads", "context") and option("model") != "gpt"))
    batch = [option("micro-batches"), option("micro-batch-size")]
    speed = summary("tokens_per_second") or run.last("tokens_per_second")
    overlap = summary("exchange", "overlap")
    _, limit = run.words()
    return [
        ("status", run.status() + (f": {run.summary['reason']}" if run.summary.get("reason")
                                   else "")),
        ("model", f"{option('model')}: {shape}" if option("model") else "not available"),
        ("parameters", text_of(summary("parameter_values"))),
        ("optimizer", option("optimizer") or "not available"),
        ("pipeline", option("pipeline") or "not available"),
        ("batch", f"{batch[0]} micro-batches of {batch[1]}" if all(batch) else "not available"),
        ("ranks", text_of(run.ranks())),
        ("steps", f"{text_of(steps)} of {text_of(wanted)}" if wanted else text_of(steps)),
        ("held-out loss", f"{text_of(held_out[-1][1])} at step {text_of(held_out[-1][0])}"
         if held_out else "not available"),
        ("held-out loss, untrained", text_of(held_out[0][1]) if held_out and held_out[0][0] == 0
         else "not available"),
        ("training loss, last", text_of(run.last("loss"))),
        ("throughput", f"{text_of(speed)} {run.unit()}s/s" if speed else "not available"),
        ("time", duration(summary("seconds") or run.last("seconds"))),
        ("noise scale", with_error(scale, error) + (" samples" if scale is not None else "")),
        ("limited by", LIMITS.get(limit, "not available") if limit else "not available"),
        ("overlap", f"{100 * overlap:.0f} %" if overlap is not None else "not available"),
    ]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


TILES = ("held-out loss", "throughput", "noise scale", "limited by", "ranks", "time")


def tiles(run):
    named = dict(facts(run))
    out = []
    for name in TILES:
        value, _, rest = named[name].partition(" at ") if name == "held-out loss" else \
            (named[name], "", "")
        dim = ' class="dim"' if value == "not available" else ""
        more = f"<small>at {clean(rest)}, {clean(named['held-out loss, untrained'])} untrained" \
            "</small>" if rest else ""
        if name in ("noise scale", "throughput") and not dim:
            value, _, unit = value.rpartition(" ")
            more = f"<small>{clean(unit)}</small>"
        out.append(f"<div><dt>{name}</dt><dd{dim}>{clean(value)}{more}</dd></div>")
    return f'<dl class="tiles">{"".join(out)}</dl>'


def key(i):
    return f'<span class="key c{i % COLOURS}" aria-hidden="true"></span>'


def comparison(runs):
    """Facts as rows, runs as columns."""
    columns = [facts(run) for run in runs]
    best = lowest_held_out(runs)
    rows = []
    for at, (name, _) in enumerate(columns[0]):
        cells = []
        for run, column in zip(runs, columns):
            mark = ' class="best"' if name == "held-out loss" and run is best else ""
            lowest = ' <span class="tag">lowest</span>' if mark else ""
            cells.append(f"<td{mark}>{clean(column[at][1])}{lowest}</td>")
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{key(i)}{clean(run.name)}</th>' for i, run in enumerate(runs))
    return ('<div class="scroll" tabindex="0" role="region" aria-label="Comparison"><table '
            f'class="compare"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}'
            "</tbody></table></div>")


def lowest_held_out(runs):
    """None where losses say nothing about each other."""
    known = [run for run in runs if run.column("held_out_loss")]
    if len(known) < 2 or len({(run.unit(), run.option("data")) for run in known}) > 1:
        return None
    return min(known, key=lambda run: run.column("held_out_loss")[-1][1])


def advice(runs):
    out = []
    for i, run in enumerate(runs):
        text, limit = run.words()
        name = f"{key(i)}{clean(run.name)}" if len(runs) > 1 else "Advice"
        said = LIMITS.get(limit, limit)
        if limit in ("bias", "variance", "neither"):
            said = f"limited by {said}"
        word = f' <span class="tag">{clean(said)}</span>' if limit else ""
        body = f"<p>{clean(text)}</p>" if text else \
            '<p class="dim">Advice is not available yet: it needs a step with --diagnostics economy or full.</p>'
        out.append(f'<div class="advice"><h3>{name}{word}</h3>{body}</div>')
    return f'<section aria-label="Advice" class="words">{"".join(out)}</section>'


def options_table(runs):
    """All options of one run; of several, those that differ first."""
    names = list(dict.fromkeys(name for run in runs for name in run.options))
    if not names:
        return '<p class="dim">Options are not available: there is no config.json.</p>'
    differ = [name for name in names if len({run.option(name) for run in runs}) > 1 and
              name != "run"]
    head = "".join(f'<th scope="col">{clean(run.name)}</th>' for run in runs)

    def table(of):
        rows = "".join(f'<tr><th scope="row">{clean(name)}</th>' + "".join(
            f"<td>{clean(run.option(name) if run.option(name) is not None else '–')}</td>"
            for run in runs) + "</tr>" for name in of)
        return ('<div class="scroll" tabindex="0" role="region" aria-label="Options"><table><thead>'
                f"<tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
    out = ""
    if len(runs) > 1:
        out = table(differ) if differ else "<p>All options are equal.</p>"
    return out + f"<details><summary>All options</summary>{table(names)}</details>"


# ---- Figures -----------------------------------------------------------------------------------

def legend(figure, least):
    if len(figure.legend) < least:
        return ""
    entries = []
    for name, colour, dash, kind, weight in figure.legend:
        if kind in ("dots", "bar"):
            sign = f'<span class="key c{colour}" aria-hidden="true"></span>'
        else:
            dot = ""
            if kind == "both":
                dot = f'<circle class="dot c{colour}" cx="14" cy="6" r="3.4"/>'
            sign = ('<svg class="sample" viewBox="0 0 28 12" aria-hidden="true">'
                    f'<path class="line c{colour} d{dash} {weight}" d="M1 6H27"/>{dot}</svg>')
        entries.append(f"<li>{sign}{clean(name)}</li>")
    return f'<ul class="legend">{"".join(entries)}</ul>'


def data_table(figure):
    """The numbers behind a plot, thinned where there are many."""
    xs = {}
    for _, points in figure.columns:
        for x, _ in sampled(points, ROWS_OF_A_COLUMN if len(points) > MOST_ROWS else MOST_ROWS):
            xs[x] = True
    order = sorted(xs) if all(isinstance(x, (int, float)) for x in xs) else list(xs)
    values = [dict(points) for _, points in figure.columns]
    head = "".join(f'<th scope="col">{clean(name)}</th>' for name, _ in figure.columns)
    rows = "".join(
        f'<tr><th scope="row">{clean(x if isinstance(x, str) else text_of(x))}</th>' +
        "".join(f"<td>{text_of(of[x]) if x in of else '–'}</td>" for of in values) + "</tr>"
        for x in order)
    most = max((len(points) for _, points in figure.columns), default=0)
    note = "<p>A selection; all are in metrics.jsonl.</p>" if most > len(order) else ""
    return (f'<details><summary>Numbers</summary>{note}<div class="scroll" tabindex="0" '
            f'role="region" aria-label="{clean(figure.title)}: numbers"><table><thead><tr>'
            f'<th scope="col">{clean(figure.x_name)}</th>{head}</tr></thead><tbody>{rows}</tbody>'
            "</table></div></details>")


def figure_html(figure, several):
    """Of several runs also a lone curve says whose it is."""
    caption = f"<p>{clean(figure.caption)}</p>" if figure.caption else ""
    head = f"<figcaption><h3>{clean(figure.title)}</h3>{caption}</figcaption>"
    if figure.drawing is None:
        return (f'<figure class="empty" id="{figure.identity}">{head}<p class="dim">Not available. '
                f"{clean(figure.missing)}</p></figure>")
    drawing = figure.drawing(figure.identity, figure.title, figure.described)
    kind = ' class="tall"' if figure.tall else ""
    if figure.wide is not None:
        kind = ' class="wide"'
        # A wide plot's letters would be too small on a phone: it gets the narrow one.
        wide = figure.wide(figure.identity + "-w", figure.title, figure.described)
        drawing = f'<div class="at-phone">{drawing}</div><div class="at-desk">{wide}</div>'
    return (f'<figure{kind} id="{figure.identity}">{head}{legend(figure, 1 if several else 2)}'
            f'<div class="drawing">{drawing}</div>{data_table(figure)}</figure>')


def spectra_section(runs):
    figures = echo_spectra(runs)
    head = ('<section><h2>Echo spectra by layer</h2><p class="lead">How much of each singular '
            "direction of a matrix's gradient is signal: 1 is all of it. Directions by size; those "
            "above the line at ½ are worth following.</p>")
    if not figures:
        return f'{head}<p class="dim">Not available. {DIAGNOSE_LAYERS}</p></section>'
    if len(runs) > 1:
        entries = "".join(f"<li>{key(i)}{clean(run.name)}</li>" for i, run in enumerate(runs)
                          if any(layer.spectra for layer in run.layers.values()))
        head += f'<ul class="legend">{entries}</ul>'
    else:
        head += ('<ul class="legend"><li><span class="key c0 old"></span>first diagnosis</li><li>'
                 '<span class="key c0 middle"></span>middle</li><li><span class="key c0"></span>'
                 "last</li></ul>")
    for figure in figures:
        figure.legend = []
    drawn = "".join(figure_html(figure, len(runs) > 1) for figure in figures)
    return f'{head}<div class="small">{drawn}</div></section>'


def sample(runs):
    out = []
    for run in runs:
        text = run.summary.get("sample")
        if isinstance(text, str) and text.strip():
            lines = "\n".join(clean(line) for line in text.split("\n"))
            out.append(f"<details><summary>Text generated by {clean(run.name)}</summary>"
                       f"<pre>{lines}</pre></details>")
    return "".join(out)


def build(runs, written):
    style = (pathlib.Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    names = ", ".join(clean(run.name) for run in runs)
    notes = [f"<li>{clean(run.name)}: {clean(note)}</li>" for run in runs for note in run.notes()]
    sections = []
    for title, lead, figures in all_figures(runs):
        lead = f'<p class="lead">{lead}</p>' if lead else ""
        drawn = "".join(figure_html(figure, len(runs) > 1) for figure in figures)
        sections.append(f'<section><h2>{title}</h2>{lead}<div class="grid-of-two">{drawn}</div>'
                        "</section>")
    sections.insert(2, spectra_section(runs))
    top = tiles(runs[0]) if len(runs) == 1 else ""
    kind = subtitle(runs)
    about = comparison(runs)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="plumb scripts/report">
<title>{names} – Plumb</title>
<style>
{style}</style>
</head>
<body>
<main>
<header><p class="kind">{kind}</p><h1>{names}</h1></header>
{top}
{advice(runs)}
{f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""}
{f'<section><h2>Comparison</h2>{about}</section>' if len(runs) > 1 else ""}
{"".join(sections)}
<section><h2>The run{"s" if len(runs) > 1 else ""}</h2>
{about if len(runs) == 1 else ""}
{options_table(runs)}
{sample(runs)}</section>
<footer><p>Written by Plumb’s scripts/report on {clean(written)}.</p></footer>
</main>
</body>
</html>
"""


def subtitle(runs):
    if len(runs) > 1:
        return f"{len(runs)} training runs"
    run = runs[0]
    words = [run.option("model"), run.option("optimizer"), run.status()]
    return "Training run · " + " · ".join(clean(word) for word in words if word)
