#!/usr/bin/python3
"""How far the C model is from the RTL: `ninja accuracy`.

usage: tools/accuracy.py [--only TEXT] [--ios PERCENT] [--jobs N] [--against KEY=VALUE]... [--write docs/accuracy.md]

Runs every configuration of the table below twice, as the C model and as RTL (device.impl=rtl), with the same jobs and the same
seed, and compares. A third of the configurations is held out: the model's timing is calibrated with the others only
(docs/timing.md), so that the held-out third says what the calibration is worth.

How much of an error is chance show runs of the model under other seeds, compared with the first in the same way. The limit of
a single error does not hold for one that is smaller than the largest of these: the model then differs more from itself.

--against takes something else for the RTL than device.impl=rtl. --ios scales the number of I/Os. Exit status 1: a run failed,
or an error is over the limits below.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

PROGRAM = "build/kickstand"

# Limits in per cent: of the mean over all figures of all configurations, and of the worst.
MEAN_LIMIT, WORST_LIMIT = 5.0, 15.0

# Figures compared: name, unit, its value in the results, and the floor. An error is relative to the RTL's figure, but to the
# floor if that is larger: of doorbells and interrupts, which may be as good as none per I/O, small differences count as
# absolute ones, 0.01 per I/O being 20 %.
FIGURES = (
    ("IOPS", "k", lambda r: r["total"]["iops"] / 1e3, 0),
    ("p50", "us", lambda r: r["total"]["lat_ns"]["percentile"]["50.000000"] / 1e3, 0),
    ("p99", "us", lambda r: r["total"]["lat_ns"]["percentile"]["99.000000"] / 1e3, 0),
    ("doorbells", "/I/O", lambda r: r["device"]["doorbells"]["written"] / r["total"]["total_ios"], 0.05),
    ("interrupts", "/I/O", lambda r: r["device"]["msix"]["sent"] / r["total"]["total_ios"], 0.05),
)


def queues(n):
    return [f"device.queues={n}", f"host.vcpus={n}"]


CALIBRATION, HELD_OUT = "calibration", "held out"
OTHER_SEEDS = (2, 3, 4)

# Name, set, fio job, settings. Unless the job says otherwise: 4 KiB random reads, 60,000 I/Os, over all queues.
CONFIGURATIONS = (
    # Queue depth.
    ("depth 1", CALIBRATION, {"iodepth": 1}, []),
    ("depth 4", CALIBRATION, {"iodepth": 4}, []),
    ("depth 16", HELD_OUT, {"iodepth": 16}, []),
    ("depth 32", CALIBRATION, {"iodepth": 32}, []),
    ("depth 128", CALIBRATION, {"iodepth": 128}, []),
    # Block size.
    ("512 B, depth 32", CALIBRATION, {"bs": "512", "iodepth": 32}, []),
    ("16 KiB, depth 32", HELD_OUT, {"bs": "16k", "iodepth": 32}, []),
    ("64 KiB, depth 16", CALIBRATION, {"bs": "64k", "iodepth": 16, "number_ios": 20000}, []),
    ("128 KiB sequential, depth 8", HELD_OUT, {"rw": "read", "bs": "128k", "iodepth": 8, "number_ios": 16000}, []),
    # Reads and writes.
    ("writes, depth 32", CALIBRATION, {"rw": "randwrite", "iodepth": 32}, []),
    ("70 % reads, depth 32", CALIBRATION, {"rw": "randrw", "rwmixread": 70, "iodepth": 32}, []),
    ("16 KiB writes, depth 8", HELD_OUT, {"rw": "randwrite", "bs": "16k", "iodepth": 8}, []),
    # Queues.
    ("2 queues, depth 16", CALIBRATION, {"numjobs": 2, "iodepth": 16}, queues(2)),
    ("4 queues, depth 8", HELD_OUT, {"numjobs": 4, "iodepth": 8}, queues(4)),
    ("8 queues, depth 32", CALIBRATION, {"numjobs": 8, "iodepth": 32}, queues(8)),
    # Doorbell coalescing: hold-off, threshold, FIFO.
    ("hold-off 2 us, depth 1", CALIBRATION, {"iodepth": 1}, ["notify.holdoff_ns=2000"]),
    ("hold-off 1 us, no EVENT_IDX, depth 32", CALIBRATION, {"iodepth": 32}, ["notify.holdoff_ns=1000", "guest.event_idx=off"]),
    ("hold-off 4 us, threshold 8, no EVENT_IDX, depth 32", HELD_OUT, {"iodepth": 32},
     ["notify.holdoff_ns=4000", "notify.threshold=8", "guest.event_idx=off"]),
    ("adaptive hold-off 8 us, threshold 8, no EVENT_IDX, depth 32", CALIBRATION, {"iodepth": 32},
     ["notify.holdoff_ns=8000", "notify.threshold=8", "notify.adaptive=on", "guest.event_idx=off"]),
    ("adaptive hold-off 16 us, threshold 16, no EVENT_IDX, depth 8", HELD_OUT, {"iodepth": 8},
     ["notify.holdoff_ns=16000", "notify.threshold=16", "notify.adaptive=on", "guest.event_idx=off"]),
    ("doorbell FIFO, 4 queues, no EVENT_IDX", CALIBRATION, {"numjobs": 4, "iodepth": 8},
     ["notify.mode=fifo", "guest.event_idx=off", *queues(4)]),
    # Fetching.
    ("fetch.batch 1, depth 32", CALIBRATION, {"iodepth": 32}, ["fetch.batch=1"]),
    ("fetch.prefetch 1, depth 32", HELD_OUT, {"iodepth": 32}, ["fetch.prefetch=1"]),
    ("fetch.inflight 2, depth 32", HELD_OUT, {"iodepth": 32}, ["fetch.inflight=2"]),
    ("4 KiB pieces of 32 KiB, prefetch 8", CALIBRATION, {"bs": "32k", "iodepth": 16, "number_ios": 30000},
     ["guest.segment_bytes=4096", "fetch.prefetch=8"]),
    ("indirect, 4 KiB pieces of 32 KiB", HELD_OUT, {"bs": "32k", "iodepth": 16, "number_ios": 30000},
     ["guest.segment_bytes=4096", "guest.indirect=on"]),
    ("indirect, depth 32", CALIBRATION, {"iodepth": 32}, ["guest.indirect=on"]),
    ("NOTIFICATION_DATA, depth 4", CALIBRATION, {"iodepth": 4}, ["virtio.notification_data=on"]),
    # Interrupt moderation.
    ("moderation 10 us, depth 32", CALIBRATION, {"iodepth": 32}, ["msix.holdoff_ns=10000"]),
    ("moderation 20 us, threshold 16, depth 32", HELD_OUT, {"iodepth": 32}, ["msix.holdoff_ns=20000", "msix.threshold=16"]),
    ("moderation 5 us, 4 queues", CALIBRATION, {"numjobs": 4, "iodepth": 8}, ["msix.holdoff_ns=5000", *queues(4)]),
    ("adaptive moderation 10 us, threshold 8, 4 queues", CALIBRATION, {"numjobs": 4, "iodepth": 8},
     ["msix.holdoff_ns=10000", "msix.threshold=8", "msix.adaptive=on", *queues(4)]),
    ("adaptive moderation 20 us, threshold 16, no EVENT_IDX, depth 32", HELD_OUT, {"iodepth": 32},
     ["msix.holdoff_ns=20000", "msix.threshold=16", "msix.adaptive=on", "guest.event_idx=off"]),
    # Link.
    ("PCIe 3.0 x4, depth 32", CALIBRATION, {"iodepth": 32}, ["link.gen=3", "link.lanes=4"]),
    ("PCIe 5.0 x16, depth 64", CALIBRATION, {"iodepth": 64}, ["link.gen=5", "link.lanes=16"]),
    ("PCIe 3.0 x1, 64 KiB, depth 4", HELD_OUT, {"bs": "64k", "iodepth": 4, "number_ios": 12000}, ["link.gen=3", "link.lanes=1"]),
    # EVENT_IDX.
    ("no EVENT_IDX, depth 32", CALIBRATION, {"iodepth": 32}, ["guest.event_idx=off"]),
    ("no EVENT_IDX, depth 4", HELD_OUT, {"iodepth": 4}, ["guest.event_idx=off"]),
    # A medium next to nothing, so that the card is all there is; slow clocks, so that its cycles weigh.
    ("medium of 500 ns, depth 1", CALIBRATION, {"iodepth": 1}, ["media.read_ns=500"]),
    ("medium of 500 ns, depth 64", HELD_OUT, {"iodepth": 64}, ["media.read_ns=500"]),
    ("engines at 125 MHz, depth 32", CALIBRATION, {"iodepth": 32}, ["device.clock_mhz=125"]),
    ("engines at 125 MHz, medium of 500 ns, depth 4", HELD_OUT, {"iodepth": 4}, ["device.clock_mhz=125", "media.read_ns=500"]),
    ("core at 250 MHz, depth 32", HELD_OUT, {"iodepth": 32}, ["core.clock_mhz=250"]),
    # Who does the work.
    ("offload firmware, depth 32", CALIBRATION, {"iodepth": 32}, ["device.offload=firmware"]),
    ("offload firmware, 4 queues, depth 8", HELD_OUT, {"numjobs": 4, "iodepth": 8}, ["device.offload=firmware", *queues(4)]),
    ("offload full, depth 32", CALIBRATION, {"iodepth": 32}, ["device.offload=full"]),
    ("offload full, 70 % reads, 4 queues", HELD_OUT, {"rw": "randrw", "rwmixread": 70, "numjobs": 4, "iodepth": 16},
     ["device.offload=full", *queues(4)]),
    ("polling firmware 20 us, depth 8", CALIBRATION, {"iodepth": 8}, ["core.poll_ns=20000"]),
)


def job_text(job, percent):
    options = {"rw": "randread", "bs": "4k", "norandommap": "1", "io_size": "64g", "number_ios": 60000, **job}
    clones = options.get("numjobs", 1)
    options["number_ios"] = max(options["number_ios"] * percent // 100 // clones, 100)
    return "[job]\n" + "".join(f"{key}={value}\n" for key, value in options.items())


class RunFailed(Exception):
    pass


def run(job, settings, percent):
    """Figures of one run, in order of FIGURES."""
    with tempfile.NamedTemporaryFile("w", suffix=".fio") as fio, tempfile.NamedTemporaryFile(suffix=".json") as results:
        fio.write(job_text(job, percent))
        fio.flush()
        command = [PROGRAM, "run", "--job", fio.name, "--json", results.name]
        for setting in settings:
            command += ["--set", setting]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RunFailed(f"exit status {done.returncode}: {done.stderr.strip().splitlines()[:1]}")
        parsed = json.load(results)
        return [value(parsed) for _, _, value, _ in FIGURES]


def errors_of(model, rtl):
    """Per cent, one for each figure."""
    return [100 * (m - r) / max(r, floor) if max(r, floor) else 0.0 for m, r, (_, _, _, floor) in zip(model, rtl, FIGURES)]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def worst(values):
    return max(values, default=0.0)


def summary(rows):
    """(label, mean and worst of each figure, mean and worst of all, count), absolute, per set, over all, and of chance."""
    lines = []
    for label in (CALIBRATION, HELD_OUT, "all", "chance"):
        column = "chance" if label == "chance" else "errors"
        chosen = [[abs(e) for e in row[column]] for row in rows if label in (row["set"], "all", "chance")]
        if chosen:
            by_figure = [(mean(figure), worst(figure)) for figure in zip(*chosen, strict=True)]
            everything = [e for row in chosen for e in row]
            lines.append((label, by_figure, mean(everything), worst(everything), len(chosen)))
    return lines


def over_limits(rows):
    return (any(mean_all > MEAN_LIMIT for label, _, mean_all, _, _ in summary(rows) if label != "chance")
            or any(abs(error) > max(WORST_LIMIT, chance) for row in rows for error, chance in zip(row["errors"], row["chance"])))


def number(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def print_row(row):
    cells = "  ".join(f"{number(r):>7s} {e:+6.1f} %" for r, e in zip(row["rtl"], row["errors"]))
    print(f"{row['name'][:50]:50s} {'H' if row['set'] == HELD_OUT else 'C'}  {cells}", flush=True)


def print_heading():
    print(f"{'RTL, and the error of the model':50s}    " + "  ".join(f"{n + ' ' + u:>16s}" for n, u, _, _ in FIGURES))


def print_summary(rows):
    for label, by_figure, mean_all, worst_all, count in summary(rows):
        cells = "  ".join(f"{m:7.1f} {w:6.1f} %" for m, w in by_figure)
        print(f"{f'{label} ({count}): mean and worst of |error|':50s}    {cells}   all: {mean_all:.1f} {worst_all:.1f} %")


def document(rows):
    lines = [
        "# How accurate the model is", "",
        "Written by `ninja accuracy`; do not edit. Every configuration ran twice with the same jobs and seed: as the C model and as"
        " RTL (`device.impl=rtl`: notify unit, fetch engine, MSI-X generator and core). The figures are the RTL's; behind them stands"
        " how far the model is off. Latencies come from histograms whose classes are 1.6 % wide.", "",
        "The error is relative to the RTL's figure. Doorbells and interrupts per I/O can be as good as 0, where a relative error says"
        " nothing: below 0.05 per I/O it is relative to 0.05, so that 0.01 per I/O more or less counts as 20 %.", "",
        f"Configurations marked *held out* had no part in the calibration ([timing.md](timing.md)). Limits: mean {MEAN_LIMIT:g} %, worst"
        f" {WORST_LIMIT:g} %.", "",
        "| | set | " + " | ".join(f"{n} {u} | error" for n, u, _, _ in FIGURES) + " |",
        "| --- | --- |" + " ---: | ---: |" * len(FIGURES),
    ]
    for row in rows:
        cells = " | ".join(f"{number(r)} | {e:+.1f} %" for r, e in zip(row["rtl"], row["errors"]))
        held = "*held out*" if row["set"] == HELD_OUT else ""
        lines.append(f"| {row['name']} | {held} | {cells} |")
    lines += ["", "Mean and worst absolute error:", "", "| | " + " | ".join(n for n, _, _, _ in FIGURES) + " | all figures |",
              "| --- |" + " ---: |" * (len(FIGURES) + 1)]
    for label, by_figure, mean_all, worst_all, count in summary(rows):
        cells = " | ".join(f"{m:.1f} %, {w:.1f} %" for m, w in by_figure)
        lines.append(f"| {label} ({count}) | {cells} | {mean_all:.1f} %, {worst_all:.1f} % |")
    by_chance = [f"{row['name']} ({name} {error:+.1f} %, among seeds {chance:.1f} %)" for row in rows
                 for (name, _, _, _), error, chance in zip(FIGURES, row["errors"], row["chance"]) if WORST_LIMIT < abs(error) <= chance]
    lines += ["", "*Chance* is the model against itself, the largest difference of three other seeds: an error that is smaller says"
              " nothing of the model. A few requests in a closed loop can lock into one of two patterns, one batch or several, for"
              " a whole run, in model and RTL alike; which one depends on the seed. Over the limit, but chance: "
              + ("; ".join(by_chance) or "none") + ".",
              "", "The settings, beside the defaults; the job has 4 KiB random reads and 60,000 I/Os unless it says otherwise:", "",
              "| | job | settings |", "| --- | --- | --- |"]
    for row in rows:
        job = " ".join(f"{k}={v}" for k, v in row["job"].items())
        lines.append(f"| {row['name']} | `{job}` | {' '.join(f'`{s}`' for s in row['settings'])} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--ios", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--against", action="append")
    parser.add_argument("--write")
    args = parser.parse_args()
    other = args.against or ["device.impl=rtl"]
    start, rows, failed = time.monotonic(), [], 0
    print_heading()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        work = []
        for name, which, job, settings in CONFIGURATIONS:
            if args.only in name:
                model = pool.submit(run, job, settings, args.ios)
                rtl = pool.submit(run, job, settings + other, args.ios)
                chance = [pool.submit(run, job, [*settings, f"sim.seed={seed}"], args.ios) for seed in OTHER_SEEDS]
                work.append(({"name": name, "set": which, "job": job, "settings": settings}, model, rtl, chance))
        for row, model, rtl, chance in work:
            try:
                row["rtl"] = rtl.result()
                row["errors"] = errors_of(model.result(), row["rtl"])
                row["chance"] = [worst(map(abs, column)) for column in
                                 zip(*(errors_of(other.result(), model.result()) for other in chance), strict=True)]
            except RunFailed as error:
                print(f"FAIL {row['name']}: {error}", flush=True)
                failed += 1
                continue
            rows.append(row)
            print_row(row)
    print_summary(rows)
    over = over_limits(rows)
    print(f"{len(rows)} configurations in {time.monotonic() - start:.0f} s; limits (mean {MEAN_LIMIT:g} %, worst {WORST_LIMIT:g} %) "
          + ("exceeded" if over else "held"))
    if args.write and not failed:
        with open(args.write, "w", encoding="utf-8") as out:
            out.write(document(rows))
    return 1 if failed or over or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
