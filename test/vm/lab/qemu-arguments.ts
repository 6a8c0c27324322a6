import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface QemuOptions {
  /** What build-image.sh made. */
  readonly image: string;
  /** Where QEMU runs; sockets, disks and logs are in it. */
  readonly folder: string;
  /** Ports of the guest that are to be reached from 127.0.0.1; QEMU picks the ones there, so that none is taken meanwhile. */
  readonly ports: readonly number[];
}

/**
 * A machine with two processors, three disks that have SMART or not, a BMC and two network interfaces. `restrict=on`
 * cuts the guest off: no way out, in only through the forwarded ports.
 */
export function qemuArguments({ image, folder, ports }: QemuOptions): string[] {
  const kernel = existsSync(join(image, "vmlinux")) ? "vmlinux" : "vmlinuz";
  const forwards = ports.map((port) => `,hostfwd=tcp:127.0.0.1:0-:${port}`);
  const append = "root=LABEL=vmroot ro fsck.mode=skip console=ttyS0,115200 net.ifnames=0 panic=-1 loglevel=4";
  return [
    ...["-name", "aami-vm-test", "-machine", "q35", ...accelerator(), "-smp", "2", "-m", "2048"],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", join(image, kernel), "-initrd", join(image, "initrd.img")],
    // Network and keys are not cloud-init's job here: the guest agent needs neither.
    ...["-append", `${append} mitigations=off random.trust_cpu=on cloud-init=disabled`],
    ...["-chardev", `file,id=serial,path=${join(folder, "serial.log")}`, "-serial", "chardev:serial"],
    ...["-qmp", `unix:${join(folder, "qmp.sock")},server=on,wait=off`],
    ...["-device", "virtio-serial-pci"],
    ...["-chardev", `socket,id=agent,path=${join(folder, "agent.sock")},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
    ...["-object", "rng-random,filename=/dev/urandom,id=rng0", "-device", "virtio-rng-pci,rng=rng0"],
    ...disk("root", join(image, "rootfs.img"), "snapshot=on", "virtio-blk-pci"),
    ...disk("data", join(folder, "data.img"), "readonly=on", "virtio-blk-pci"),
    // Behind a root port of its own, a PCIe device can be pulled out.
    ...["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"],
    ...disk("nvme0", join(folder, "nvme0.img"), "cache=unsafe", "nvme,id=nvme0,serial=VMNVME0001,bus=slot1"),
    ...disk(
      "sata0",
      join(folder, "sata0.img"),
      "cache=unsafe",
      "ide-hd,id=sata0,serial=VMSATA0001,model=VMDISK,wwn=0x5000c500a1b2c3d4,rotation_rate=7200,bus=ide.0",
    ),
    ...["-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0"],
    ...["-netdev", `user,id=n0,restrict=on,net=10.0.2.0/24${forwards.join("")}`],
    ...["-device", "virtio-net-pci,netdev=n0,id=nic0,mac=52:54:00:1a:b0:01,romfile="],
    ...["-netdev", "user,id=n1,restrict=on,net=10.0.3.0/24"],
    ...["-device", "virtio-net-pci,netdev=n1,id=nic1,mac=52:54:00:1a:b0:02,romfile="],
  ];
}

function disk(id: string, file: string, option: string, device: string): string[] {
  return [
    ...["-drive", `file=${file},if=none,id=drive-${id},format=raw,${option}`],
    ...["-device", device.replace(/^([^,]+)/, `$1,drive=drive-${id}`)],
  ];
}

export function canVirtualise(): boolean {
  // A /dev/kvm without vmx or svm opens and even creates machines, but cannot run an unmodified kernel.
  if (!/\b(vmx|svm)\b/.test(readFileSync("/proc/cpuinfo", "utf8"))) return false;
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // absent, or another user's
  }
}

function accelerator(): string[] {
  if (canVirtualise()) return ["-accel", "kvm", "-cpu", "host"];
  return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"];
}
