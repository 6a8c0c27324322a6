#!/usr/bin/env python3
"""Compare a /metrics page with node_exporter 1.12.1's own end-to-end page, on the same fixture tree.

    test/compare/parity.py [--keep DIR] [--archive FILE] -- dist/aami daemon

The command starts the exporter in the foreground and is given node_exporter's command-line flags (path.*, collector.*,
web.listen-address), exactly those that upstream's end-to-end test uses. Collectors that upstream switches off for the
fixture (selinux, filesystem, timex, uname) are off.

The fixture tree is third-party data and not part of this repository: without it the script says so and ends with 2.
It is looked for in ../shared/fixtures beside the checkout, in $AAMI_NODE_EXPORTER_FIXTURES, or where --archive says.

Ends with 0 when every wanted sample and family is there but for the known differences below, else with 1. Prints each
difference; page, log and the lists stay in DIR when --keep names one.
Families that the fixture cannot hold still (process_*, go_*, build info, durations, the clock) are left out on both
sides, and so are families of ours whose names start with aami_, DCGM_, smartctl_ or promhttp_.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHIVE = os.environ.get("AAMI_NODE_EXPORTER_FIXTURES") or os.path.normpath(
    os.path.join(HERE, "../../../shared/fixtures/node_exporter-1.12.1.tar.xz")
)
ENABLED = """arp bcache bcachefs bonding btrfs buddyinfo cgroups conntrack cpu cpufreq cpu_vulnerabilities diskstats
 dmi drbd edac entropy fibrechannel filefd hwmon infiniband interrupts ipvs kernel_hung ksmd lnstat loadavg mdadm
 meminfo meminfo_numa mountstats netdev netstat nfs nfsd pcidevice pressure processes qdisc rapl schedstat slabinfo
 sockstat softirqs stat sysctl textfile thermal_zone udp_queues vmstat watchdog wifi xfrm xfs zfs zoneinfo""".split()
DISABLED = "selinux filesystem timex uname".split()
VOLATILE = re.compile(
    r"^(# (HELP|TYPE) )?(go_|process_|promhttp_|aami_|DCGM_|smartctl_|node_exporter_build_info"
    r"|node_scrape_collector_duration_seconds|node_textfile_mtime_seconds|node_time_(zone|seconds)"
    r"|node_network_(receive|transmit)_(bytes|packets)_total)"
)
# docs/compatibility.md gives the reason for each.
KNOWN_MISSING = re.compile(r"^node_nvme_namespace_(size|capacity)_bytes\{")
# Collectors that upstream does not have are in this family too.
KNOWN_EXTRA = re.compile(r"^node_nvme_namespace_(size|capacity)_bytes\{|^node_scrape_collector_success\{")


def flags(fixtures: str) -> list[str]:
    switches = [f"--collector.{name}" for name in ENABLED] + [f"--no-collector.{name}" for name in DISABLED]
    return switches + [
        f"--path.rootfs={fixtures}",
        f"--path.procfs={fixtures}/proc",
        f"--path.sysfs={fixtures}/sys",
        f"--path.udev.data={fixtures}/udev/data",
        "--collector.cpu.info",
        "--collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$",
        "--collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$",
        "--collector.arp.device-exclude=nope",
        "--no-collector.arp.netlink",
        "--collector.bcache.priorityStats",
        "--collector.hwmon.chip-include=(applesmc|asus_nb_wmi|coretemp|hwmon4|ieee80211|nct6779)",
        "--collector.netclass.ignore-invalid-speed",
        "--collector.netclass.ignored-devices=(dmz|int)",
        "--collector.netdev.device-include=lo",
        "--collector.qdisc.device-include=(wlan0|eth0)",
        f"--collector.qdisc.fixtures={fixtures}/qdisc/",
        f"--collector.wifi.fixtures={fixtures}/wifi",
        "--collector.stat.softirq",
        "--collector.sysctl.include-info=kernel.seccomp.actions_avail",
        "--collector.sysctl.include=fs.file-nr",
        "--collector.sysctl.include=fs.file-nr:total,current,max",
        "--collector.sysctl.include=kernel.threads-max",
        f"--collector.textfile.directory={fixtures}/textfile/two_metric_files/",
    ]


def unpack(archive: str, folder: str) -> str:
    if not os.path.exists(archive):
        print(f"parity: {archive} is not here; nothing was compared", file=sys.stderr)
        sys.exit(2)
    # A tree of an earlier run would hide files that are gone from the archive.
    shutil.rmtree(os.path.join(folder, "fixtures"), ignore_errors=True)
    with tarfile.open(archive) as tar:
        # The tree has links and modes that the safe filters of newer versions change.
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="fully_trusted")
        else:
            tar.extractall(folder)
    return os.path.join(folder, "fixtures")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scrape(url: str, process: subprocess.Popen, log: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            with open(log, errors="replace") as lines:
                sys.exit(f"parity: the command ended with {process.returncode}:\n{lines.read()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    sys.exit("parity: no page within 30 s")


def page_of(command: list[str], fixtures: str, folder: str) -> str:
    port = free_port()
    log = os.path.join(folder, "log.txt")
    with open(log, "w") as sink:
        arguments = command + flags(fixtures) + [f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(arguments, stdout=sink, stderr=subprocess.STDOUT)
    try:
        return scrape(f"http://127.0.0.1:{port}/metrics", process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def parse(text: str) -> tuple[set[str], set[str]]:
    # Label values hold control characters: only "\n" ends a line.
    lines = [line for line in text.split("\n") if line and not VOLATILE.match(line)]
    samples = {line for line in lines if not line.startswith("#")}
    return samples, {" ".join(line.split()[2:4]) for line in lines if line.startswith("# TYPE")}


def write_list(folder: str, name: str, rows: set[str]) -> None:
    with open(os.path.join(folder, f"{name}.txt"), "w") as out:
        out.writelines(f"{row}\n" for row in sorted(rows))


def compare(command: list[str], archive: str, folder: str) -> bool:
    fixtures = unpack(archive, folder)
    text = page_of(command, fixtures, folder)
    with open(os.path.join(folder, "page.txt"), "w") as out:
        out.write(text)
    with open(os.path.join(fixtures, "e2e-output.txt")) as expected:
        # A few label values hold the path that upstream's test runs in.
        wanted, wanted_families = parse(expected.read().replace("collector/fixtures", fixtures))
    got, families = parse(text)
    missing, extra = wanted - got, got - wanted
    lists = {
        "missing": missing,
        "extra": extra,
        "families_missing": wanted_families - families,
        "families_extra": families - wanted_families,
    }
    for name, rows in lists.items():
        write_list(folder, name, rows)
    theirs = {row.rsplit(" ", 1)[0] for row in wanted if not KNOWN_MISSING.match(row)}
    known = {row for row in missing if KNOWN_MISSING.match(row)}
    known |= {row for row in extra if KNOWN_EXTRA.match(row) and row.rsplit(" ", 1)[0] not in theirs}
    for sign, rows in (("-", missing | lists["families_missing"]), ("+", extra | lists["families_extra"])):
        for row in sorted(rows):
            print(f"{sign} {row}{'   (known)' if row in known else ''}")
    print(f"samples: wanted {len(wanted)}, identical {len(wanted & got)}, missing {len(missing)}, extra {len(extra)}")
    print(
        f"families: wanted {len(wanted_families)}, identical {len(wanted_families & families)},"
        f" missing {len(lists['families_missing'])}, extra {len(lists['families_extra'])}"
    )
    print(f"differences that are not in docs/compatibility.md: {len((missing | extra) - known)}")
    return missing <= known and not lists["families_missing"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", metavar="DIR", help="keep page, log and lists there")
    parser.add_argument("--archive", default=ARCHIVE, metavar="FILE")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = [argument for argument in options.command if argument != "--"]
    if not command:
        parser.error("no command to compare")
    if options.keep is not None:
        os.makedirs(options.keep, exist_ok=True)
        return 0 if compare(command, options.archive, os.path.abspath(options.keep)) else 1
    with tempfile.TemporaryDirectory(prefix="parity.") as folder:
        return 0 if compare(command, options.archive, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
