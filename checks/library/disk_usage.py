"""How full the file systems of some paths are.

CONFIG: {"paths": ["/", "/data"], "exclude_unmounted": false}

disk_usage_* are published for every path that answers; disk_usage_check is 0 for a path where nothing is mounted or
whose file system cannot be read. "/" and paths of the root file system need no declaration.
"""

import json
import os
import sys

config = json.loads(os.environ.get("CONFIG", "{}"))
paths = config.get("paths") or config.get("mount_points") or ["/"]

families = {
    "disk_usage_check": "Whether the file system of the path could be read (1) or not (0).",
    "disk_usage_ratio": "Used space as a share of what users other than root may use.",
    "disk_usage_size_bytes": "Size of the file system.",
    "disk_usage_available_bytes": "Space that users other than root may still use.",
    "disk_usage_inodes_ratio": "Used inodes as a share of all; absent for file systems without a fixed number.",
}
samples = {name: [] for name in families}


def mounted_on_host(path):
    """Field 5 of a mountinfo line is the mount point, with blanks as octal escapes."""
    with open(os.environ["CHECK_HOST_MOUNTINFO"], encoding="utf-8", errors="surrogateescape") as table:
        points = [line.split(" ")[4] for line in table]
    return path in [point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\") for point in points]


def read(path):
    if not mounted_on_host(path):
        raise OSError("nothing is mounted there")
    usage = os.statvfs(path)
    if usage.f_blocks == 0:
        raise OSError("a file system without a size")
    used = usage.f_blocks - usage.f_bfree
    result = {
        "disk_usage_check": 1,
        "disk_usage_ratio": used / (used + usage.f_bavail) if used + usage.f_bavail else 1,
        "disk_usage_size_bytes": usage.f_blocks * usage.f_frsize,
        "disk_usage_available_bytes": usage.f_bavail * usage.f_frsize,
    }
    if usage.f_files > 0:
        result["disk_usage_inodes_ratio"] = (usage.f_files - usage.f_ffree) / usage.f_files
    return result


for path in paths:
    try:
        values = read(path)
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        if config.get("exclude_unmounted"):
            continue
        values = {"disk_usage_check": 0}
    label = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    for name, value in values.items():
        samples[name].append(f'{name}{{path="{label}"}} {value!r}')

for name, text in families.items():
    if samples[name]:
        print(f"# HELP {name} {text}", f"# TYPE {name} gauge", *samples[name], sep="\n")
