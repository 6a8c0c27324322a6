#!/bin/bash
# Builds (or reuses) the bootable Debian image of the VM tests and prints its directory.
#
#   build-image.sh [--suite bookworm] [--cache DIR] [--add pkg,pkg] [--force]
#
# Needs root and mmdebstrap arch-test e2fsprogs xz-utils zstd file python3. No loop device, no mount, no boot loader:
# QEMU boots the kernel directly. The directory holds
#   rootfs.img   ext4, sparse, never written to by a run
#   vmlinux      uncompressed kernel: emulated, it starts in half the time of vmlinuz, which is kept as a fallback
#   initrd.img   uncompressed cpio
#   packages.tsv build.log image.env
# It is keyed by this file, suite, mirrors and packages, not by the date: --force takes newer packages.
#
# Exit status: 64 usage, 69 the mirror does not answer, 1 anything else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=bookworm cache=$here/../../../.cache/vm add= force=0 size=3G
# The mirrors that this machine's apt uses.
uris=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u)
mirror=${VM_MIRROR:-$(grep -v security <<<"$uris" | head -n 1)}
secmirror=${VM_SECURITY_MIRROR:-$(grep security <<<"$uris" | head -n 1 || true)}
while [ $# -gt 0 ]; do case $1 in
  --suite) suite=$2; shift 2;; --cache) cache=$2; shift 2;;
  --add) add=$2; shift 2;; --force) force=1; shift;;
  *) sed -n '4p' "$0" >&2; exit 64;;
esac; done

packages=linux-image-amd64,initramfs-tools,zstd,systemd-sysv,systemd-timesyncd,udev,dbus,libpam-systemd
packages+=,cloud-init,sudo,qemu-guest-agent,kmod,procps,iproute2,iputils-ping,nftables,libnss-myhostname
packages+=,ca-certificates,curl,jq,python3,python3-yaml,smartmontools,nvme-cli,pciutils,ethtool,bubblewrap
packages+=,rdma-core,ibverbs-utils,ibverbs-providers,nfs-kernel-server,nfs-common
packages+=,e2fsprogs,fdisk,gdisk,eject,cloud-guest-utils,less
[ -z "$add" ] || packages+=,$add

key=$( { cat "${BASH_SOURCE[0]}"; echo "$suite $mirror $secmirror $packages"; } | sha256sum | cut -c1-16)
mkdir -p "$cache"; cache=$(cd "$cache" && pwd)
out=$cache/$suite-$key
exec 9>"$cache/.lock-$suite"; flock 9
if [ $force = 0 ] && [ -e "$out/image.env" ]; then echo "$out"; exit 0; fi

work=$cache/.work-$suite-$$
# Images of earlier versions of this file are of no use any more.
rm -rf "$cache/$suite"-* "$work"; mkdir -p "$out" "$work/tmp" "$work/pre"
trap 'rm -rf "$work"' EXIT
log=$out/build.log

# Must be there before the kernel's postinst builds the initramfs.
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$work/pre/initramfs.conf"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic crc32c_intel >"$work/pre/modules"
cat >"$work/pre/90_vm.cfg" <<'E'
# What a cloud's image would set; everything else stays the user data's.
datasource_list: [ NoCloud, None ]
preserve_sources_list: true
apt: { preserve_sources_list: true }
manage_etc_hosts: true
locale: C.UTF-8
E
{ echo "deb $mirror $suite main"; [ -z "$secmirror" ] || echo "deb $secmirror $suite-security main"; } >"$work/sources.list"

echo "building $out (log: $log)" >&2
TMPDIR=$work/tmp mmdebstrap --mode="${VM_MMDEBSTRAP_MODE:-auto}" --variant=minbase \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  --aptopt='Acquire::Retries "5"' --dpkgopt=force-unsafe-io \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' \
  --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
  --essential-hook="upload '$work/pre/initramfs.conf' /etc/initramfs-tools/conf.d/vm" \
  --essential-hook="copy-in '$work/pre/modules' /etc/initramfs-tools" \
  --include="$packages" \
  --customize-hook="copy-in '$work/pre/90_vm.cfg' /etc/cloud/cloud.cfg.d" \
  --customize-hook='echo localhost >"$1/etc/hostname"; printf "127.0.0.1 localhost\n::1 localhost\n" >"$1/etc/hosts"' \
  --customize-hook='echo "LABEL=vmroot / ext4 defaults,noatime 0 1" >"$1/etc/fstab"' \
  --customize-hook='echo LANG=C.UTF-8 >"$1/etc/default/locale"' \
  --customize-hook=': >"$1/etc/machine-id"; rm -f "$1/var/lib/dbus/machine-id"' \
  --customize-hook='chroot "$1" systemctl enable systemd-networkd.service' \
  --customize-hook='chroot "$1" systemctl disable nfs-server.service smartmontools.service' \
  --customize-hook='chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-timesyncd.service nvmf-autoconnect.service' \
  --customize-hook='chroot "$1" dpkg-query -W >"$1/root/packages.tsv"' \
  "$suite" "$work/root" "$work/sources.list" >"$log" 2>&1 || {
  tail -30 "$log" >&2
  ! grep -qE 'Could not (resolve|connect)|Unable to connect|Connection (refused|timed out|failed)|Temporary failure' "$log" ||
    exit 69
  exit 1
}

root=$work/root
mv "$root/root/packages.tsv" "$out/packages.tsv"
cp -L "$root"/boot/vmlinuz-* "$out/vmlinuz"
case $(file -b --mime-type "$root"/boot/initrd.img-*) in
  *gzip*) gzip -d -c "$root"/boot/initrd.img-* >"$out/initrd.img";;
  *) zstd -q -d -c "$root"/boot/initrd.img-* >"$out/initrd.img" 2>/dev/null || cp "$root"/boot/initrd.img-* "$out/initrd.img";;
esac
# The header of a bzImage says where the compressed ELF kernel is: payload_offset and payload_length.
python3 - "$out/vmlinuz" "$out/vmlinux" >>"$log" 2>&1 <<'E' || echo "vmlinux not extracted; vmlinuz will be used" >&2
import gzip, lzma, struct, subprocess, sys
image = open(sys.argv[1], 'rb').read()
base = ((image[0x1f1] or 4) + 1) * 512
offset, length = struct.unpack_from('<II', image, 0x248)
payload = image[base + offset: base + offset + length]
if payload[:6] == b'\xfd7zXZ\x00': kernel = lzma.LZMADecompressor().decompress(payload)
elif payload[:4] == b'\x28\xb5\x2f\xfd': kernel = subprocess.run(['zstd', '-dcq'], input=payload[:-4], stdout=subprocess.PIPE).stdout
elif payload[:2] == b'\x1f\x8b': kernel = gzip.decompress(payload[:-4])
else: sys.exit('unknown kernel compression %r' % payload[:6])
assert kernel[:4] == b'\x7fELF', kernel[:4]
open(sys.argv[2], 'wb').write(kernel)
E
truncate -s "$size" "$out/rootfs.img"
mke2fs -q -F -t ext4 -L vmroot -O ^has_journal,^metadata_csum -E lazy_itable_init=1,root_owner=0:0 \
  -d "$root" "$out/rootfs.img" >>"$log" 2>&1
chmod a-w "$out/rootfs.img"
# Last: its presence means the image is whole.
printf 'SUITE=%s\nKERNEL_RELEASE=%s\n' "$suite" "$(ls "$root/lib/modules")" >"$out/image.env"
echo "$out"
