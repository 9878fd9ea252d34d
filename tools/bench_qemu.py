#!/usr/bin/env python3
"""fio in the same guest, kernel and image, on Kickstand (vhost-user, pace free) and on QEMU's own virtio-blk, in turns.

Prints IOPS of each turn and the ratio of the medians. `--rounds N` turns of each (default 3)."""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

JOB = """\
for depth in 1 32; do
  LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu/ceph \\
  /tools/fio --name=r --filename=/dev/vda --rw=randread --bs=4k --iodepth=$depth --ioengine=libaio --direct=1 \\
    --time_based --runtime=%d --ramp_time=1 --randrepeat=0 --output-format=terse --terse-version=3 >/tmp/out 2>/tmp/err \\
    || { cat /tmp/err; exit 1; }
  echo "IOPS $depth $(cut -d';' -f8 /tmp/out | tail -1)"
done
"""
COMMON = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "768M",
          "-object", "memory-backend-memfd,id=ram0,size=768M,share=on", "-machine", "q35,memory-backend=ram0",
          "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
          "-kernel", "build/guest/vmlinuz", "-append", "console=ttyS0 quiet panic=-1"]


def boot(work, device):
    result = subprocess.run(COMMON + ["-initrd", f"{work}/initramfs"] + device, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True, errors="replace", timeout=600)
    found = dict(re.findall(r"IOPS (\d+) (\d+)", result.stdout))
    if len(found) != 2:
        sys.exit("bench_qemu: the guest did not finish:\n" + result.stdout)
    return {int(depth): int(iops) for depth, iops in found.items()}


def on_kickstand(work, image):
    socket = f"{work}/kickstand.sock"
    server = subprocess.Popen(["build/kickstand", "serve", "--vhost-user", socket, "--disk", image, "--quiet"],
                              stdout=subprocess.DEVNULL)
    while not os.path.exists(socket):
        time.sleep(0.05)
    try:
        return boot(work, ["-chardev", f"socket,id=c0,path={socket}", "-device",
                           "vhost-user-blk-pci,chardev=c0,num-queues=1,queue-size=256"])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def on_qemu(work, image):
    return boot(work, ["-object", "iothread,id=t0", "-drive", f"if=none,id=d0,file={image},format=raw,aio=threads",
                       "-device", "virtio-blk-pci,drive=d0,num-queues=1,queue-size=256,iothread=t0"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    options = parser.parse_args()
    results = {"kickstand": [], "qemu": []}
    with tempfile.TemporaryDirectory() as work:
        image = f"{work}/disk.img"
        with open(image, "wb") as out:
            for _ in range(256):
                out.write(os.urandom(1 << 20))
        with open(f"{work}/job", "w", encoding="ascii") as out:
            out.write(JOB % options.seconds)
        job = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=b"job\n", cwd=work,
                             stdout=subprocess.PIPE, check=True).stdout
        with open(f"{work}/initramfs", "wb") as out:
            for part in ("build/guest/initramfs.cpio", "build/guest/fio.cpio"):
                with open(part, "rb") as archive:
                    out.write(archive.read())
            out.write(job)
        for turn in range(options.rounds):
            for name, run in (("kickstand", on_kickstand), ("qemu", on_qemu)):
                result = run(work, image)
                results[name].append(result)
                print(f"round {turn + 1}  {name:10}" + "".join(f"  QD {d}: {i} IOPS" for d, i in sorted(result.items())),
                      flush=True)
    for depth in (1, 32):
        ours, theirs = (statistics.median(r[depth] for r in results[name]) for name in ("kickstand", "qemu"))
        print(f"QD {depth}: kickstand {ours:.0f}, QEMU virtio-blk {theirs:.0f} IOPS, ratio {ours / theirs:.2f} (target 0.9)")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
