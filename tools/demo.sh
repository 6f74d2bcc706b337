#!/usr/bin/env bash
# From a definition to a booted appliance: builds artifacts/hello, writes it to a disk file with settings of an owner,
# boots that file in QEMU, looks at it from outside, changes a setting inside the file and boots it again.
#
# `make demo` calls it after installing tools and building the binaries. Needs no terminal and asks nothing. A second
# run reuses whatever is unchanged; everything it makes is in demo/ and artifacts/hello/work/.
set -euo pipefail
cd "$(dirname "$0")/.."

genpack=${GENPACK_HOST:-target/release/genpack-host}
artifact=artifacts/hello
image=$artifact/hello-x86_64.squashfs
disk=demo/hello.img
key=demo/id_ed25519
first_name=hello-1
second_name=hello-2
settings=(--set "hostname=$first_name" --set timezone=Asia/Tokyo --set locale=C.UTF-8 --ssh-key "$key.pub")

# An emulated boot takes one to three minutes; a busy machine gets more time before we give up.
boot_seconds=900
shutdown_seconds=300

machine=
waiting=
bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

# Ends whatever still waits for the machine, and the machine if it still runs: the power button (TERM), and at once after it QEMU itself (INT).
finish() {
  [ -z "$waiting" ] || kill "$waiting" 2>/dev/null || true
  if [ -n "$machine" ] && kill -0 "$machine" 2>/dev/null; then
    kill -TERM "$machine" && kill -INT "$machine" || true
    wait "$machine" || true
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Prints a command as one would type it, then runs it.
run() {
  local word
  printf '$'
  for word in "$@"; do
    case $word in
      '' | *[!A-Za-z0-9_./:=@,+-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$@"
}

# Writes a host name into system.ini inside the disk file, as an owner would with the card in a PC.
set_host_name() {
  run mcopy -n -o -i "$disk@@1M" ::/system.ini demo/system.ini
  run sed -i "s/^hostname *=.*/hostname = $1/" demo/system.ini
  run mcopy -o -i "$disk@@1M" demo/system.ini ::/system.ini
}

# Prints the port of this host that leads to a port of the guest, as soon as the machine's messages name it.
port_of() {
  # The follower is cut off as soon as the port is known, which its exit status calls a failure.
  tail -n +1 -f --pid="$machine" demo/messages 2>/dev/null |
    sed -n -u "s/.*127\.0\.0\.1:\([0-9]*\) leads to port $1 of the guest.*/\1/p;T;q" || true
}

on_guest() {
  ssh -i "$key" -p "$ssh_port" -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=60 -o LogLevel=ERROR \
    -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=demo/known_hosts -o HostKeyAlias=hello \
    root@127.0.0.1 "$@"
}

# Boots the disk file, waits for its web page, asks it for its name and state over ssh, switches it off.
# Sets page, page_seconds, name, status and boot_took.
boot() {
  local started=$SECONDS finished code=0
  printf '$ %s vm run %s -c 2 -m 1G --hostfwd tcp:127.0.0.1:0-:80 --hostfwd tcp:127.0.0.1:0-:22\n' "$genpack" "$disk"
  : >demo/messages
  "$genpack" vm run "$disk" -c 2 -m 1G --hostfwd tcp:127.0.0.1:0-:80 --hostfwd tcp:127.0.0.1:0-:22 \
    --serial-log demo/serial.log </dev/null 2>demo/messages \
    > >(sed -u -e 's/\x1b[\[(][0-9;?=]*[A-Za-z]//g' -e 's/\r//g' -e 's/^/  | /') &
  machine=$!
  web_port=$(port_of 80)
  ssh_port=$(port_of 22)
  [ -n "$ssh_port" ] || fail "the machine did not start: $(cat demo/messages)"
  grep -v 'leads to port' demo/messages || true

  printf '$ curl http://127.0.0.1:%s/ (until the guest answers)\n' "$web_port"
  curl --silent --fail --max-time 30 --retry 1000 --retry-delay 1 --retry-all-errors --retry-max-time "$boot_seconds" \
    --output demo/page.html "http://127.0.0.1:$web_port/" &
  waiting=$!
  # Whichever ends first: the page is there, or the machine is gone.
  wait -n -p finished "$machine" "$waiting" || code=$?
  [ "$finished" != "$machine" ] || fail "the machine ended before it answered: $(cat demo/messages)"
  waiting=
  [ "$code" = 0 ] || fail "no page within $boot_seconds s; the console is in demo/serial.log"
  page_seconds=$((SECONDS - started))
  page=$(sed -n 's/.*<h1>\(.*\)<\/h1>.*/\1/p' demo/page.html)

  printf '$ ssh -i %s -p %s root@127.0.0.1 "hostname; cat /run/genpack/boot-status"\n' "$key" "$ssh_port"
  # The page can be up a moment before the ssh server is.
  local answer='' until=$((SECONDS + 120))
  until answer=$(on_guest 'hostname; cat /run/genpack/boot-status' 2>demo/ssh-messages); do
    [ $SECONDS -lt $until ] || fail "no answer over ssh ($(cat demo/ssh-messages)); the console is in demo/serial.log"
    sleep 1
  done
  name=${answer%%$'\n'*}
  status=${answer#*$'\n'}
  printf '%s\n' "$answer"

  printf '$ ssh -i %s -p %s root@127.0.0.1 systemctl poweroff\n' "$key" "$ssh_port"
  # The connection ends with the machine, which ssh calls a failure.
  on_guest 'systemctl poweroff' || true
  timeout "$shutdown_seconds" tail --pid="$machine" -f /dev/null || fail "the guest did not power off"
  wait "$machine" || fail "the machine ended badly: $(cat demo/messages)"
  machine=
  boot_took=$((SECONDS - started))
}

# Prints a value of the boot status.
status_of() { sed -n "s/^$1=//p" <<<"$status"; }

kib() { awk -v bytes="$1" 'BEGIN { printf "%.0f KiB", bytes / 1024 }'; }
mib() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }

[ -x "$genpack" ] || fail "$genpack is not built (make build)"
mkdir -p demo
chmod 700 demo

say "Build: $artifact/genpack.json5 -> $image"
before=$SECONDS
run "$genpack" -C "$artifact" build
build_took=$((SECONDS - before))

say "Flash: the image and an owner's settings -> $disk"
before=$SECONDS
[ -f "$key" ] || run ssh-keygen -q -t ed25519 -N '' -C genpack-demo -f "$key"
# What the disk file is made from; the same again means that it can stay.
made_from=$(sha256sum "$image" "$genpack" "$key.pub"; printf '%s\n' "${settings[@]}")
if [ -f "$disk" ] && [ "$made_from" = "$(cat demo/made-from 2>/dev/null)" ]; then
  echo "$disk is unchanged and reused; only its host name goes back to $first_name."
  set_host_name "$first_name"
else
  rm -f demo/made-from demo/known_hosts
  run "$genpack" flash "$image" "$disk" --yes "${settings[@]}"
  printf '%s\n' "$made_from" >demo/made-from
fi
flash_took=$((SECONDS - before))

say "Boot: UEFI firmware -> GRUB -> the kernel in the image -> genpack-init -> systemd"
boot
[ "$name" = "$first_name" ] || fail "the guest is called $name instead of $first_name"
[ "$page" = "$first_name" ] || fail "the page says $page instead of $first_name"
first_page_seconds=$page_seconds first_boot_took=$boot_took first_status=$status

say "Change: the owner edits system.ini on the boot partition"
set_host_name "$second_name"

say "Boot again: the same disk, the new name"
boot
[ "$name" = "$second_name" ] || fail "the guest is called $name instead of $second_name"
[ "$page" = "$second_name" ] || fail "the page says $page instead of $second_name"
status=$first_status

say "Report"
cat <<REPORT
host name       $first_name as set, then $second_name after the edit (asked over ssh, and on the web page)
changes         $([ "$(status_of persistent)" = yes ] && echo "kept on the data partition" || echo "in memory only")
genpack-init    $(kib "$("$genpack" cat "$image" /usr/bin/genpack-init | wc -c)"), from its start to systemd's: $(status_of init_ms) ms
initramfs       $(mib "$("$genpack" cat "$image" /boot/initramfs | wc -c)")
image           $(mib "$(stat -c %s "$image")") $image
disk file       $(mib "$(stat -c %s "$disk")") $disk, of which $(mib $(($(stat -c '%b * %B' "$disk")))) are used
times           build $build_took s, flash $flash_took s, boot to the page $first_page_seconds s and $page_seconds s
                (with shutdown $first_boot_took s and $boot_took s)

Play further:
  boot it and log in      $genpack vm run $disk --hostfwd tcp:127.0.0.1:8080-:80 --hostfwd tcp:127.0.0.1:2222-:22
                          ssh -i $key -p 2222 root@127.0.0.1     (Ctrl-A X leaves QEMU)
  without a disk          $genpack vm run $image
  look into the image     $genpack ls -l $image /boot
  change the appliance    edit $artifact/genpack.json5 or $artifact/files/, then make demo
  onto a real disk        $genpack flash $image /dev/sdX     (asks before it writes)
REPORT
