#!/usr/bin/env bash
# The package under a real systemd: installs, starts, reloads, is watched, upgrades with a store in use, removes, purges.
# systemd runs in namespaces over a copy of this machine's files that is thrown away. Needs root, systemd and cargo-deb;
# says so and passes where one is not to be had.
#
#   tests/service.sh [PACKAGE.deb]      default: one of the debug build
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "not tried: $1"; exit 0; }
fail() { echo "FAILED: $1" >&2; inside journalctl --no-pager -n 60 >&2 || true; [ -z "${HOLD:-}" ] || sleep "$HOLD"; exit 1; }

[ "$(id -u)" = 0 ] || skip "root is needed for namespaces"
[ -x /lib/systemd/systemd ] || { apt-get update -qq && apt-get install -y -qq systemd dbus; } >/dev/null 2>&1 || skip "there is no systemd"
command -v dbus-daemon >/dev/null || apt-get install -y -qq dbus >/dev/null 2>&1 || skip "there is no dbus"

work=$(mktemp -d)
finish() { [ -z "${systemd:-}" ] || kill -KILL "$systemd" 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT

package=${1:-}
if [ -z "$package" ]; then
  command -v cargo-deb >/dev/null || skip "there is no cargo-deb"
  package=$work/flow.deb
  cargo-deb --no-build --profile dev --fast --quiet -o "$package" 2>/dev/null || cargo-deb --no-build --profile dev --fast -o "$package"
fi
package=$(realpath "$package")

# The same package under a higher version: what an upgrade is made of.
dpkg-deb -R "$package" "$work/next"
version=$(dpkg-deb -f "$package" Version)
sed -i "s/^Version: .*/Version: $version+next/" "$work/next/DEBIAN/control"
mkdir -p "$work/share"
cp "$package" "$work/share/flow.deb"
dpkg-deb -b -Znone "$work/next" "$work/share/next.deb" >/dev/null

mkdir -p "$work/layer" "$work/root"
cat >"$work/boot" <<BOOT
#!/bin/bash
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs $work/layer
mkdir -p $work/layer/upper $work/layer/work
mount -t overlay -o lowerdir=/,upperdir=$work/layer/upper,workdir=$work/layer/work overlay $work/root
cd $work/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/\$device; mount --bind /dev/\$device dev/\$device; done
mkdir -p dev/pts dev/shm run/share
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind $work/share run/share
# Nothing of this machine's own is started.
rm -rf etc/systemd/system/*.wants etc/systemd/system/default.target etc/flow var/lib/private/flowd var/lib/flowd
rm -f usr/sbin/policy-rc.d
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# As systemd itself does where it is no guest: mounts of credentials have to reach the services.
mount --make-rshared /
export container=flow-test
exec /lib/systemd/systemd --unit=multi-user.target --log-target=null
BOOT
chmod +x "$work/boot"
unshare --mount --pid --fork --uts --ipc --net --cgroup "$work/boot" >"$work/boot.log" 2>&1 &
outer=$!
inside() { nsenter -t "$systemd" -m -p -u -i -n -C env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"; }
until_true() { # what, command...
  local what=$1
  shift
  for _ in $(seq 1200); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  fail "$what"
}
booted() { systemd=$(pgrep -P "$outer" -x systemd | head -1) && [ -n "$systemd" ] && inside systemctl show -p Version; }
for _ in $(seq 1200); do booted >/dev/null 2>&1 && break; kill -0 "$outer" 2>/dev/null || skip "namespaces are refused: $(tail -1 "$work/boot.log")"; sleep 0.1; done
booted >/dev/null 2>&1 || skip "systemd does not come up in namespaces here"
inside ip link set lo up
state() { [ "$(inside systemctl show -p "$1" --value flowd)" = "$2" ]; }
ok() { echo "  $1"; }

inside dpkg -i /run/share/flow.deb >"$work/install.log" 2>&1 || { cat "$work/install.log"; fail "the package does not install"; }
until_true "the service does not start" state ActiveState active
inside test "$(inside systemctl show -p MainPID --value flowd)" != 0 || fail "there is no process"
inside curl -fsS http://127.0.0.1:7400/readyz >/dev/null || fail "it is not ready"
ok "installed, started, ready"

user=$(inside ps -o user= -p "$(inside systemctl show -p MainPID --value flowd)")
[ "$user" != root ] || fail "it runs as root"
[ "$(inside stat -Lc %a /var/lib/flowd)" = 700 ] || fail "the store's folder is open"
[ "$(inside stat -Lc %a /var/lib/flowd/admin.sock)" = 600 ] || fail "the admin socket is open"
score=$(inside systemd-analyze security --no-pager flowd 2>/dev/null | sed -n 's/.*level for flowd.service: \([0-9.]*\).*/\1/p')
awk "BEGIN { exit !($score <= 1.5) }" || fail "systemd-analyze security says $score"
ok "user $user, store 700, socket 600, exposure $score"

# A secret by systemd's credentials, a flow, and an event, with nothing restarted but for the credential.
inside mkdir -p /etc/systemd/system/flowd.service.d /etc/credstore
inside sh -c 'printf a-key-of-nobody >/etc/credstore/desk; chmod 600 /etc/credstore/desk
printf "[Service]\nLoadCredential=desk:/etc/credstore/desk\n" >/etc/systemd/system/flowd.service.d/desk.conf'
inside sh -c 'cat >>/etc/flow/flow.toml <<TOML
[connections.desk]
connector = "kustomer"
api_key = { credential = "desk" }
org = "nobody"
TOML'
inside systemctl daemon-reload
inside systemctl restart flowd || fail "it does not restart with a credential"
inside flowd status >"$work/status" || fail "flowd status finds no daemon without being told where"
ok "credential read; flowd status works from any folder"

inside sh -c 'printf "flow noon\n  every day at 12:00 in \"UTC\"\n  do desk.find_or_create_customer(email: \"desk@example.com\")\n" >/etc/flow/noon.flow'
until_true "a new file does not go live" inside sh -c 'flowd flows | grep -q noon'
inside systemctl reload flowd || fail "systemctl reload"
state ActiveState active || fail "it does not live through a reload"
inside sh -c 'echo "flow broken when" >/etc/flow/noon.flow'
inside systemctl reload flowd || true
inside sh -c 'flowd flows | grep -q noon' || fail "a broken file takes its flow away"
ok "files go live, reload, a broken file changes nothing"

until_true "fields are not in the journal" inside sh -c 'journalctl -u flowd -o json --no-pager | grep -q "\"FLOW_FLOWS\""'
ok "fields are in the journal"

before=$(inside systemctl show -p MainPID --value flowd)
inside kill -KILL "$before"
other() { now=$(inside systemctl show -p MainPID --value flowd) && [ "$now" != "$before" ] && [ "$now" != 0 ] && state ActiveState active; }
until_true "it is not started again after a kill" other
ok "started again after a kill -9"

inside sh -c 'printf "[Service]\nWatchdogSec=8\n" >/etc/systemd/system/flowd.service.d/watchdog.conf'
inside systemctl daemon-reload
inside systemctl restart flowd
before=$(inside systemctl show -p MainPID --value flowd)
inside kill -STOP "$before"
until_true "a process that hangs is not replaced" other
inside rm /etc/systemd/system/flowd.service.d/watchdog.conf
inside systemctl daemon-reload
ok "a process that hangs is replaced by the watchdog"

inside dpkg -i /run/share/next.deb >"$work/upgrade.log" 2>&1 || { cat "$work/upgrade.log"; fail "the upgrade fails"; }
until_true "the service does not run after the upgrade" state ActiveState active
inside curl -fsS http://127.0.0.1:7400/readyz >/dev/null || fail "it is not ready after the upgrade"
ok "upgraded with the store in use"

inside systemctl stop flowd
[ "$(inside systemctl show -p Result --value flowd)" = success ] || fail "it does not stop well"
inside systemctl start flowd
inside dpkg -r flow >/dev/null 2>&1 || fail "removing fails"
until_true "the service still runs after removing" sh -c "! nsenter -t $systemd -m -p -u -i -n -C pgrep -x flowd"
inside test -e /var/lib/private/flowd || fail "removing takes the store"
inside test -e /etc/flow/flow.toml || fail "removing takes the project"
inside dpkg -P flow >/dev/null 2>&1 || fail "purging fails"
inside test ! -e /var/lib/private/flowd || fail "purging leaves the store"
inside test ! -e /usr/bin/flowd || fail "purging leaves the program"
ok "stopped, removed with the store kept, purged"
