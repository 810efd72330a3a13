"""What a run directory holds, read with distrust: runs in progress, failed or old ones lack files,
fields, or the end of a line, and none of that may keep the rest from being shown."""
import collections
import json
import math
import pathlib
import statistics


class NotARun(Exception):
    """A directory without metrics.jsonl."""


def number(value):
    """A finite float, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def numbers(value):
    """The finite numbers of an array; those after the first that is none have no place."""
    kept = []
    for entry in value if isinstance(value, list) else []:
        entry = number(entry)
        if entry is None:
            break
        kept.append(entry)
    return kept


def load_object(path):
    """A JSON object, or an empty one for what is missing or unreadable."""
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class Layer:
    """One parameter's diagnoses. A step's trace and signal are too noisy to divide: both are
    averaged over the last steps, then divided."""

    STEPS = 50

    def __init__(self):
        self.noise = collections.deque(maxlen=self.STEPS)  # (trace, signal)
        self.spectra = []  # (step, echoes)
        self.last = {}  # scalar fields of the last full diagnosis
        self.last_step = None

    def add(self, step, fields):
        trace, signal = number(fields.get("noise_trace")), number(fields.get("signal"))
        if trace is not None and signal is not None:
            self.noise.append((trace, signal))
        echoes = numbers(fields.get("echoes"))
        if echoes:
            self.spectra.append((step, echoes))
        if "echo" in fields or echoes:
            self.last = {name: number(value) for name, value in fields.items()
                         if not isinstance(value, list)}
            self.last_step = step

    def noise_scale(self):
        """None where the signal is not above three of its standard errors."""
        if len(self.noise) < 2:
            return None
        traces, signals = zip(*self.noise)
        signal, error = statistics.fmean(signals), statistics.stdev(signals) / len(signals) ** 0.5
        return statistics.fmean(traces) / signal if signal > 3.0 * error else None

    def is_matrix(self):
        return bool(self.spectra) or bool(self.last.get("directions_of"))


class Run:
    """`fields` are the columns of metrics.jsonl: name -> [(step, value)], where it is a number."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.name = self.directory.resolve().name or str(directory)
        self.config = load_object(self.directory / "config.json")
        self.summary = load_object(self.directory / "summary.json")
        self.options = self.object_of(self.config, "options")
        self.fields, self.layers, self.advice = {}, {}, None
        self.undetermined = {}  # name -> steps at which a field is there and null
        self.skipped, self.unreadable, self.cut = 0, 0, False
        self.read_metrics()

    @staticmethod
    def object_of(owner, name):
        value = owner.get(name)
        return value if isinstance(value, dict) else {}

    def read_metrics(self):
        path = self.directory / "metrics.jsonl"
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    self.read_line(line)
        except OSError as error:
            reason = "no such directory" if not self.directory.exists() else \
                "not a directory" if not self.directory.is_dir() else \
                "no metrics.jsonl in it" if not path.exists() else error.strerror
            raise NotARun(f"{self.directory} is not a run directory: {reason}") from error

    def read_line(self, line):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        step = number(entry.get("step")) if isinstance(entry, dict) else None
        if step is None:
            if not line.endswith("\n"):
                self.cut = True
            elif line.strip():
                self.unreadable += 1
            return
        self.skipped += bool(entry.get("skipped"))
        for name, value in entry.items():
            value = number(value)
            if value is not None and name != "step":
                self.fields.setdefault(name, []).append((step, value))
            elif entry[name] is None:
                self.undetermined.setdefault(name, []).append(step)
        self.fields.setdefault("step", []).append((step, step))
        layers = entry.get("layers")
        for name, fields in layers.items() if isinstance(layers, dict) else ():
            if isinstance(fields, dict):
                self.layers.setdefault(name, Layer()).add(step, fields)
        if isinstance(entry.get("advice"), str):
            self.advice = (step, entry["advice"], entry.get("limit"))

    # ---- What the page asks for ----------------------------------------------------------------

    def column(self, name):
        return self.fields.get(name, [])

    def gaps(self, name):
        return self.undetermined.get(name, [])

    def last(self, name):
        column = self.column(name)
        return column[-1][1] if column else None

    def summary_number(self, *path):
        value = self.summary
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return number(value)

    def option(self, name):
        value = self.options.get(name)
        return None if value is None else str(value)

    def ranks(self):
        machine = self.object_of(self.config, "machine")
        return self.summary_number("ranks") or number(machine.get("ranks"))

    def unit(self):
        return str(self.summary.get("unit") or self.config.get("unit") or "token")

    def status(self):
        """A word of summary.json's, or "in progress": without one it runs, or was killed."""
        return str(self.summary.get("status") or "in progress")

    def last_step(self):
        column = self.column("step")
        return column[-1][0] if column else None

    def batch_samples(self):
        """Samples of a step, by step."""
        size = number(self.options.get("micro-batch-size"))
        if size is None:
            return []
        column = self.column("micro_batches")
        count = number(self.options.get("micro-batches"))
        if not column and count is not None and self.last_step():
            column = [(1.0, count), (self.last_step(), count)]
        return [(step, count * size) for step, count in column]

    def samples_seen(self):
        """Samples by step: {step: samples of it and of all before}. A step that has no line is
        taken to be as large as the one after it."""
        seen, total, last = {0.0: 0.0}, 0.0, 0.0
        sizes = self.batch_samples()
        if sizes and not self.column("micro_batches"):
            sizes = [(step, sizes[0][1]) for step, _ in self.column("step")]
        for step, size in sizes:
            total += max(step - last, 0.0) * size
            seen[step], last = total, max(step, last)
        return seen

    def spread(self, name):
        """[(step, value, error or None)] of a field that has NAME_error beside it."""
        errors = dict(self.column(name + "_error"))
        return [(step, value, errors.get(step)) for step, value in self.column(name)]

    def words(self):
        """The advice: of the summary, else the last of the metrics; and what limits."""
        text = self.summary.get("advice")
        if isinstance(text, str):
            return text, self.summary.get("limit")
        return (self.advice[1], self.advice[2]) if self.advice else (None, None)

    def notes(self):
        """What the reader should know about the data."""
        notes = []
        if not self.summary:
            notes.append("There is no summary.json: the run is in progress, or ended without one.")
        if not self.config:
            notes.append("There is no config.json: options are not available.")
        if self.cut:
            notes.append("The last line of metrics.jsonl is incomplete and left out.")
        if self.unreadable:
            notes.append(f"Lines of metrics.jsonl that could not be read: {self.unreadable}.")
        if self.skipped:
            notes.append("Updates that were skipped as their gradients were not finite: "
                         f"{self.skipped}.")
        return notes


def unique_names(runs):
    """Runs with equal names get as much of their paths as tells them apart."""
    for depth in range(2, 8):
        names = [run.name for run in runs]
        for run in runs:
            if names.count(run.name) > 1:
                run.name = "/".join(run.directory.resolve().parts[-depth:])
    seen = {}
    for run in runs:
        seen[run.name] = seen.get(run.name, 0) + 1
        if seen[run.name] > 1:
            run.name += f" ({seen[run.name]})"
