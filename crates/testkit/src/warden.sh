# Ends what a process of the test kit started, when that process is gone, however it went.
# Standard input is a pipe from that process: one line per command, end of file when it is dead.
# $1 is the directory under which everything of that process lives.
trap '' HUP INT TERM
guarded=
while read -r verb signal pid; do
  case $verb in
    guard) guarded="$guarded $signal:$pid" ;;
    release)
      kept=
      for entry in $guarded; do
        [ "${entry#*:}" = "$pid" ] || kept="$kept $entry"
      done
      guarded=$kept ;;
  esac
done
alive() {
  kill -0 "$1" 2>/dev/null || return 1
  case $(cat "/proc/$1/stat" 2>/dev/null) in *") Z "*) return 1 ;; esac
}
for entry in $guarded; do kill "-${entry%%:*}" "${entry#*:}" 2>/dev/null; done
for entry in $guarded; do
  pid=${entry#*:}
  looks=0
  while alive "$pid" && [ "$looks" -lt 100 ]; do sleep 0.05; looks=$((looks + 1)); done
  kill -KILL "$pid" 2>/dev/null
done
# A server that was killed leaves its one System V segment; the pid file names it.
for file in "$1"/*/data/postmaster.pid; do
  [ -f "$file" ] || continue
  segment=$(sed -n 7p "$file" | awk '{print $2}')
  [ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
done
rm -rf "$1"
