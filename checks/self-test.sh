# Tries what no check may do and says of each wall whether it held. Standard tools only: jq may be missing.
# (The shebang would be ignored: the interpreter is the one the daemon names.)

value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$CONFIG"; }
held() { echo "$1 held"; }
open() { echo "$1 open $2"; }
equal() { if [[ $2 == "$3" ]]; then held "$1"; else open "$1" "is '$2', not '$3'"; fi; }
refused() {
  local wall=$1
  shift
  if "$@" >/dev/null 2>&1; then open "$wall" "$* was allowed"; else held "$wall"; fi
}
field() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }

equal uid "$(id -u)" "$(value uid)"
equal gid "$(id -g)" "$(value gid)"
equal groups "$(field Groups | tr -d ' ')" ""
# Bubblewrap in a user namespace maps ids: the script would be root to the host whatever id says.
equal id_map "$(tr -s ' ' </proc/self/uid_map)" " 0 0 4294967295"
equal capabilities "$(field CapPrm)$(field CapEff)$(field CapBnd)$(field CapAmb)" "$(printf '%064d' 0)"
equal no_new_privileges "$(field NoNewPrivs)" 1
equal seccomp "$(field Seccomp)" 2
inherited=
# 255 is where bash itself reads the script from.
for ((fd = 3; fd < 255; fd++)); do [[ -e /proc/$$/fd/$fd ]] && inherited+=" $fd"; done
equal descriptors "$inherited" ""
known='PATH|HOME|TMPDIR|LANG|CHECK_NAME|CONFIG|CHECK_CONFIG|CHECK_HOST_MOUNTINFO|PWD|OLDPWD|SHLVL|_'
equal environment "$(compgen -e | grep -vxE "$known")" ""
refused pid_one head -c 1 /proc/1/environ
refused shadow head -c 1 /etc/shadow
refused write_root touch /self-test
refused write_sys touch /sys/self-test
refused write_run touch /run/self-test
refused user_namespace unshare --user true
refused network bash -c "exec 3<>/dev/tcp/127.0.0.1/$(value port)"

python=$(value python)
if [[ -n $python ]]; then
  refused unix_sockets "$python" -I -c "import socket; socket.socket(socket.AF_UNIX).connect('\0$(value abstract)')"
else
  # Without Python there is no way to ask; the filter that forbids them is in force, as shown above.
  held unix_sockets
fi
echo "reached stderr" >/dev/stderr
# Must be gone when the run is: the daemon looks.
(setsid sleep 60 >/dev/null 2>&1 &)
