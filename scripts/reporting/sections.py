"""What is plotted: every figure takes the runs and gives a Figure. Colours stand for runs, or for
quantities where there is one run only."""
import statistics

import svg
from smooth import calmed, envelope, thinned
from svg import Plot, Series, text_of

DIAGNOSE = "No step has it yet: it needs --diagnostics economy or full."
DIAGNOSE_FULL = "No step has it yet: it needs --diagnostics full."
DIAGNOSE_LAYERS = "No step has it yet: it needs --diagnostics full --diagnostics-layers."


class Figure:
    """A plot with its words. `drawing` renders as plot(identity, title, description); `columns` are
    the table's: (label, [(x, y)])."""

    def __init__(self, identity, title, caption, drawing=None, columns=(), legend=(), missing="",
                 x_name="step", described="", tall=False):
        self.identity, self.title, self.caption = identity, title, caption
        self.drawing, self.columns, self.legend = drawing, list(columns), list(legend)
        self.missing, self.x_name, self.described = missing, x_name, described
        self.tall = tall  # two rows high, for more names than one row has room for
        self.wide = None  # the drawing for both columns, where there are two


def from_plot(identity, title, caption, plot, missing):
    """Legend, table and description follow from what is drawn."""
    listed = [s for s in plot.series if s.listed]
    described = "; ".join(
        f"{s.label}: {text_of(s.points[0][1])} at {text_of(s.points[0][0])}, "
        f"{text_of(s.points[-1][1])} at {text_of(s.points[-1][0])}" for s in listed)
    columns = []
    for s in listed:
        columns.append((s.label, s.points))
        if s.spread and not s.weight == "raw":
            value = dict(s.points)
            columns.append((f"{s.label}: standard error",
                            [(x, high - value[x]) for x, _, high in s.spread if x in value]))
    legend = [(s.label, s.colour, s.dash, s.kind, s.weight) for s in listed]
    return Figure(identity, title, caption, plot.render if plot else None, columns, legend, missing,
                  plot.x_label, described)


def widened(figure, plot, height):
    """Both columns wide; on a phone as it was."""
    if plot:
        figure.wide = lambda *words: plot.resized(940, height).render(*words)
    return figure


def label(runs, run, what=""):
    return what if len(runs) == 1 else f"{run.name}, {what}" if what else run.name


def only(runs, run, what):
    """Of a quantity that is alone in its plot: of several runs the name says enough."""
    return what if len(runs) == 1 else run.name


def course(runs, name, what, mean=statistics.fmean, scale=1.0):
    """A field of every step: calm in front, as it is behind."""
    series = []
    for i, run in enumerate(runs):
        points = [(x, y * scale) for x, y in run.column(name)]
        calm = calmed(points, mean)
        hull = envelope(points) if len(runs) == 1 else []
        if hull:
            series.append(Series(what, calm, i, spread=hull, band=True, weight="raw", kind="none",
                                 listed=False))
        elif len(points) >= 12:
            series.append(Series(what, thinned(points), i, weight="raw", listed=False,
                                 clip=len(runs) > 1))
        name_of = label if name == "loss" else only
        series.append(Series(name_of(runs, run, what), calm, i, dash=i))
    return series


def loss(runs):
    series = course(runs, "loss", "training")
    for i, run in enumerate(runs):
        # One run: the held-out loss in a colour of its own.
        colour = i if len(runs) > 1 else 1
        series.append(Series(label(runs, run, "held out"), run.column("held_out_loss"), colour,
                             "both", "heavy"))
        series.append(Series(label(runs, run, "held out, averaged weights"),
                             run.column("held_out_loss_average"), colour + 1 if len(runs) == 1
                             else i, "both", dash=2))
    units = " or ".join(sorted({run.unit() for run in runs}))
    plot = Plot(series, "updates", f"nats per {units}")
    return widened(from_plot("loss", "Loss", "Training loss smoothed over neighbouring steps, with "
                             "the single batches behind it; held-out loss as evaluated.", plot,
                             "No step was finished."), plot, 340)


def loss_by_samples(runs):
    """For runs whose batches differ: at equal steps the larger batch has seen more."""
    series = []
    for i, run in enumerate(runs):
        seen = run.samples_seen()
        for field, what, form in (("loss", "training", {}),
                                  ("held_out_loss", "held out", {"kind": "both",
                                                                 "weight": "heavy"})):
            points = [(seen[x], y) for x, y in run.column(field) if x in seen]
            calm = calmed(points) if field == "loss" else points
            series.append(Series(label(runs, run, what), calm, i, dash=0 if form else i, **form))
    plot = Plot(series, "samples seen", "nats per " + " or ".join(sorted({run.unit() for run in
                                                                          runs})))
    return widened(from_plot("loss-samples", "Loss by samples", "The same against the samples that "
                             "went into it: the runs' batches differ in size.", plot,
                             "No step was finished."), plot, 340)


def batches_differ(runs):
    return len({size for run in runs for _, size in run.batch_samples()}) > 1


def accuracy(runs):
    series = [Series(only(runs, run, "held out"), run.column("held_out_accuracy"), i, "both",
                     dash=i) for i, run in enumerate(runs)]
    return from_plot("accuracy", "Held-out accuracy", "Fraction of right answers.",
                     Plot(series, "updates", "fraction"), "")


def throughput(runs):
    series = course(runs, "tokens_per_second", "throughput", statistics.median)
    units = " or ".join(sorted({run.unit() for run in runs}))
    plot = Plot(series, "updates", f"{units}s per second", zero=True)
    return widened(from_plot("throughput", "Throughput", "All ranks together, moving median; "
                             "without evaluations. A step with a full diagnosis is slower.", plot,
                             "No step was finished."), plot, 260)


def noise(runs):
    series = []
    for i, run in enumerate(runs):
        average = run.spread("noise_scale_average")
        series.append(Series("one step", thinned(run.column("noise_scale"), 600), i, "dots", "raw",
                             listed=False, clip=bool(average)))
        spread = [(x, y - e, y + e) for x, y, e in average if e is not None]
        series.append(Series(label(runs, run, "noise scale"), [(x, y) for x, y, _ in average], i,
                             spread=spread, band=True, dash=i,
                             gaps=run.gaps("noise_scale_average")))
        if average:
            series.append(Series(label(runs, run, "batch"), run.batch_samples(),
                                 i if len(runs) > 1 else 1, dash=3, weight="thin"))
    plot = Plot(series, "updates", "samples", logarithmic=True)
    return widened(from_plot("noise", "Noise scale", "The batch at which returns diminish, "
                             "averaged over steps, with one standard error either way; dots are "
                             "single steps. Where the batch lies below it, a larger one pays. No "
                             "line: undetermined, the signal is within its own noise.", plot,
                             DIAGNOSE), plot, 320)


def whiskers(run, name):
    return [(x, y - e, y + e) for x, y, e in run.spread(name) if e is not None]


def bias_and_variance(runs):
    series = []
    for i, run in enumerate(runs):
        variance = run.column("update_variance")
        series.append(Series(label(runs, run, "variance"), variance, i, "both",
                             spread=whiskers(run, "update_variance"),
                             gaps=run.gaps("update_variance")))
        series.append(Series(label(runs, run, "squared bias"), run.column("update_bias"),
                             i if len(runs) > 1 else 1, "both", dash=1,
                             spread=whiskers(run, "update_bias"), gaps=run.gaps("update_bias")))
    lost = sum(1 for s in series for _, y in s.points if y <= 0)
    note = f" {lost} estimates at or below zero cannot be drawn here." if lost else ""
    return from_plot("bias", "Bias and variance of the update", "Of the orthogonalised step, in "
                     "squared Frobenius norm over its matrices, with standard errors." + note,
                     Plot(series, "updates", "squared norm", logarithmic=True), DIAGNOSE_FULL)


def ratio(runs):
    series = [Series(only(runs, run, "bias over variance"), run.column("update_ratio"), i, "both",
                     dash=i, spread=whiskers(run, "update_ratio"), gaps=run.gaps("update_ratio"))
              for i, run in enumerate(runs)]
    largest = max((abs(y) for s in series for _, y in s.points), default=0.0)
    return from_plot("ratio", "What limits the update", "Squared bias over variance: above 1 bias "
                     "limits, far below it variance does. With standard errors.",
                     Plot(series, "updates", "ratio", zero=True,
                          lines=[1.0] if largest > 0.2 else []), DIAGNOSE_FULL)


def plateau(runs):
    series = course(runs, "plateau", "squared cosine")
    return from_plot("plateau", "Agreement with the true gradient", "Squared cosine between the "
                     "step's mean gradient and the true one, from norms alone: 1 is no noise.",
                     Plot(series, "updates", "squared cosine", zero=True, ceiling=1.0), DIAGNOSE)


def echo_course(runs):
    series = []
    for i, run in enumerate(runs):
        total = dict(run.column("directions_of"))
        share = [(x, y / total[x]) for x, y in run.column("directions") if total.get(x)]
        colour = i if len(runs) > 1 else 1
        series.append(Series(label(runs, run, "mean echo"), run.column("echo"), i, "both"))
        series.append(Series(label(runs, run, "directions above ½"), share, colour, "both",
                             dash=1))
    return from_plot("echo", "Echo over the run", "Mean echo of all singular directions, and the "
                     "share of directions whose echo is above one half.",
                     Plot(series, "updates", "fraction", zero=True), DIAGNOSE_FULL)


def learning_rate(runs):
    series = [Series(only(runs, run, "learning rate"), thinned(run.column("learning_rate")), i,
                     dash=i) for i, run in enumerate(runs)]
    return from_plot("rate", "Learning rate", "Of the run's main optimizer.",
                     Plot(series, "updates", "learning rate", zero=True), "No step was finished.")


def gradient_norm(runs):
    plot = Plot(course(runs, "gradient_norm", "norm"), "updates", "norm", logarithmic=True)
    return from_plot("gradient", "Gradient norm", "Of the mean gradient over all parameters, "
                     "before clipping.", plot, "No step was finished.")


def micro_batches(runs):
    series = [Series(only(runs, run, "micro-batches"),
                     thinned(run.column("micro_batches"), mean=max), i, dash=i)
              for i, run in enumerate(runs)]
    return from_plot("adaptive", "Micro-batches of a step", "Chosen by --adaptive-batch.",
                     Plot(series, "updates", "micro-batches", zero=True), "")


def exchange_seconds(runs):
    series = []
    for i, run in enumerate(runs):
        for j, (name, what) in enumerate((("exchange_seconds", "exchange"),
                                          ("update_seconds", "update"))):
            points = [(x, 1000.0 * y) for x, y in run.column(name)]
            series.append(Series(label(runs, run, what), calmed(points, statistics.median),
                                 i if len(runs) > 1 else j, dash=j))
    return from_plot("seconds", "Exchange and update", "Time of a step on the slowest rank, moving "
                     "median; waits included.", Plot(series, "updates", "milliseconds", zero=True),
                     "No step was finished.")


def exchange_bytes(runs):
    series = [Series(only(runs, run, "sent"), thinned([(x, y / 1e6) for x, y in
                                                        run.column("exchange_bytes")]), i, dash=i)
              for i, run in enumerate(runs)]
    return from_plot("bytes", "Bytes exchanged", "By all ranks in a step, both legs. A full "
                     "diagnosis sends its gradients a second time.",
                     Plot(series, "updates", "MB", zero=True), "No step was finished.")


def overlap(runs):
    series = course(runs, "overlap", "overlap")
    return from_plot("overlap", "Overlap", "Share of the first leg's bytes that were through "
                     "before the step's end.",
                     Plot(series, "updates", "fraction", zero=True, ceiling=1.0),
                     "No step was finished.")


PHASES = (("gradients", 0), ("curvature", 4), ("exchange", 1), ("update", 2), ("diagnosis", 6),
          ("evaluation", 3))


def phases(runs):
    rows = []
    for run in runs:
        parts = [(name, colour, run.summary_number("phase_seconds", name) or 0.0)
                 for name, colour in PHASES]
        # Data and everything else between steps.
        rest = (run.summary_number("seconds") or 0.0) - sum(value for _, _, value in parts)
        parts.append(("other", 5, max(rest, 0.0)))
        parts = [part for part in parts if part[2] > 0.0]
        if parts:
            rows.append((run.name, parts))
    used = {(name, colour) for _, parts in rows for name, colour, _ in parts}
    order = [(name, colour) for name, colour in PHASES + (("other", 5),) if (name, colour) in used]
    columns = [(run, [(name, value) for name, _, value in parts]) for run, parts in rows]
    described = "; ".join(f"{run}: " + ", ".join(f"{name} {text_of(value)} s" for name, _, value in
                                                 parts) for run, parts in rows)
    drawing = (lambda i, t, d: svg.shares(i, t, d, rows, "seconds")) if rows else None
    return Figure("phases", "Where the time went", "Seconds of the whole run. Other: what no "
                  "phase counts.", drawing, columns,
                  [(name, colour, 0, "bar", "") for name, colour in order],
                  "There is no summary.json yet.", "phase", described)


# ---- By layer ----------------------------------------------------------------------------------

def layer_names(runs):
    """Of matrices, in the order in which the runs name them."""
    names = {}
    for run in runs:
        for name, layer in run.layers.items():
            if layer.is_matrix():
                names[name] = True
    return list(names)


def layer_noise(runs):
    names = layer_names(runs)
    rows = [(run.name, i, {name: scale for name in names if name in run.layers and
                           (scale := run.layers[name].noise_scale()) is not None})
            for i, run in enumerate(runs)]
    rows = [row for row in rows if row[2]]
    drawing = (lambda i, t, d: svg.by_name(i, t, d, names, rows, "samples")) if rows else None
    described = "; ".join(f"{run}: {name} {text_of(value)}" for run, _, of in rows
                          for name, value in of.items())
    return Figure("layer-noise", "Noise scale by matrix", "Averaged over the last 50 steps. No "
                  "dot: undetermined, the signal is within its own noise.", drawing,
                  [(run, list(of.items())) for run, _, of in rows],
                  [(run, colour, 0, "dots", "") for run, colour, _ in rows] if len(runs) > 1 else
                  [], DIAGNOSE_LAYERS, "matrix", described, tall=bool(rows) and len(names) > 12)


def echo_spectra(runs):
    """A small plot for every matrix: of one run the first, a middle and the last diagnosis, of
    several the last one of each."""
    figures = []
    for number, name in enumerate(layer_names(runs)):
        series = []
        for i, run in enumerate(runs):
            spectra = run.layers[name].spectra if name in run.layers else []
            if len(runs) == 1:
                chosen = {0: "old", len(spectra) // 2: "middle", len(spectra) - 1: "heavy"}
                for at in sorted(chosen) if spectra else ():
                    step, echoes = spectra[at]
                    series.append(Series(f"step {step:.0f}", enumerated(echoes), 0,
                                         weight=chosen[at]))
            elif spectra:
                series.append(Series(run.name, enumerated(spectra[-1][1]), i, dash=i))
        plot = Plot(series, "direction", "echo", logarithmic_x=True, zero=True, ceiling=1.0,
                    lines=[0.5], size=(280, 200))
        if plot:
            figures.append(from_plot(f"spectrum-{number}", name, "", plot, ""))
            figures[-1].x_name = "direction"
    return figures


def enumerated(echoes):
    return [(float(i + 1), echo) for i, echo in enumerate(echoes)]


def all_figures(runs):
    """[(heading, introduction, [Figure])]."""
    learning = [loss(runs)]
    if len(runs) > 1 and batches_differ(runs):
        learning.append(loss_by_samples(runs))
    if any(run.column("held_out_accuracy") for run in runs):
        learning.append(accuracy(runs))
    learning += [gradient_norm(runs), learning_rate(runs)]
    if any(len({y for _, y in run.column("micro_batches")}) > 1 for run in runs):
        learning.append(micro_batches(runs))
    return [
        ("Learning", "", learning),
        ("Noise", "How much of a gradient is signal, and what the step makes of it.",
         [noise(runs), plateau(runs), layer_noise(runs), bias_and_variance(runs), ratio(runs),
          echo_course(runs)]),
        ("Speed and exchange", "", [throughput(runs), phases(runs), exchange_seconds(runs),
                                    exchange_bytes(runs), overlap(runs)]),
    ]
