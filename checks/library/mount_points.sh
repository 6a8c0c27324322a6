# mount_check{path} is 1 where a file system is mounted and answers, else 0. A path that the node's owner does not let
# checks see is left out rather than called missing.
#
# CONFIG: {"paths": ["/data"], "read_only_is_failure": true}; `mount_points` is accepted for `paths`.
set -u -o pipefail

# Without jq, or with a configuration that is none, the answer is "unknown" and not an empty page.
listed=$(jq -r '(.paths // .mount_points // [])[]' <<<"$CONFIG") || exit 3
read_only_is_failure=$(jq -r '.read_only_is_failure != false' <<<"$CONFIG") || exit 3
paths=()
[[ -z $listed ]] || mapfile -t paths <<<"$listed"

# Fields of a mountinfo line: 5 is the mount point (blanks as \040), 6 its options; the last ones, behind " - ", are the
# type, the source and the options of the file system itself. In here every mount is read-only, so the host's own table
# has to say what the host may write.
state() {
  awk -v path="$1" '
    { point = $5; gsub(/\\040/, " ", point); gsub(/\\011/, "\t", point); gsub(/\\134/, "\\", point) }
    point == path {
      found = 1
      split($0, halves, " - "); split(halves[2], filesystem, " ")
      options = "," $6 "," filesystem[3] ","
      read_only = options ~ /,(ro|emergency_ro),/
      automount = filesystem[1] == "autofs"
    }
    END { print !found ? "missing" : automount ? "waiting" : read_only ? "read_only" : "mounted" }
  ' "$CHECK_HOST_MOUNTINFO"
}

# The file system has to answer within two seconds; `timeout` without -s KILL would wait for a process that cannot die.
answers() { timeout -s KILL 2 stat -f -- "$1" >/dev/null 2>&1; }

echo '# HELP mount_check Whether a file system is mounted on the path, answers and can be written (1) or not (0).'
echo '# TYPE mount_check gauge'
for path in "${paths[@]}"; do
  label=${path//\\/\\\\}
  label=${label//\"/\\\"}
  case $(state "$path") in
    mounted) answers "$path" && value=1 || value=0 ;;
    read_only) if [[ $read_only_is_failure == true ]]; then value=0; else answers "$path" && value=1 || value=0; fi ;;
    *) value=0 ;;
  esac
  echo "mount_check{path=\"$label\"} $value"
done
