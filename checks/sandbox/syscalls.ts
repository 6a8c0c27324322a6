/** System call numbers by architecture, from the kernel's own headers; undefined where the architecture has no such call. */
export type SyscallNumbers = Readonly<Record<Architecture, number | undefined>>;
export type Architecture = "x86_64" | "aarch64";

const on = <X86 extends number | undefined, Arm extends number | undefined>(x86_64: X86, aarch64: Arm) => ({
  x86_64,
  aarch64,
});

/** Calls that fail with EPERM whatever their arguments are. */
export const forbiddenSyscalls: Readonly<Record<string, SyscallNumbers>> = {
  // Namespaces and mounts.
  mount: on(165, 40),
  umount2: on(166, 39),
  pivot_root: on(155, 41),
  chroot: on(161, 51),
  setns: on(308, 268),
  unshare: on(272, 97),
  move_mount: on(429, 429),
  open_tree: on(428, 428),
  open_tree_attr: on(467, 467),
  fsopen: on(430, 430),
  fsconfig: on(431, 431),
  fsmount: on(432, 432),
  fspick: on(433, 433),
  mount_setattr: on(442, 442),
  // Other processes.
  ptrace: on(101, 117),
  process_vm_readv: on(310, 270),
  process_vm_writev: on(311, 271),
  kcmp: on(312, 272),
  pidfd_getfd: on(438, 438),
  process_madvise: on(440, 440),
  process_mrelease: on(448, 448),
  perf_event_open: on(298, 241),
  // Kernel and machine.
  bpf: on(321, 280),
  userfaultfd: on(323, 282),
  kexec_load: on(246, 104),
  kexec_file_load: on(320, 294),
  init_module: on(175, 105),
  finit_module: on(313, 273),
  delete_module: on(176, 106),
  create_module: on(174, undefined),
  query_module: on(178, undefined),
  get_kernel_syms: on(177, undefined),
  reboot: on(169, 142),
  swapon: on(167, 224),
  swapoff: on(168, 225),
  acct: on(163, 89),
  quotactl: on(179, 60),
  quotactl_fd: on(443, 443),
  syslog: on(103, 116),
  sethostname: on(170, 161),
  setdomainname: on(171, 162),
  vhangup: on(153, 58),
  nfsservctl: on(180, 42),
  lookup_dcookie: on(212, 18),
  iopl: on(172, undefined),
  ioperm: on(173, undefined),
  modify_ldt: on(154, undefined),
  uselib: on(134, undefined),
  _sysctl: on(156, undefined),
  sysfs: on(139, undefined),
  ustat: on(136, undefined),
  // Clocks.
  settimeofday: on(164, 170),
  clock_settime: on(227, 112),
  clock_adjtime: on(305, 266),
  adjtimex: on(159, 171),
  // Keys, file handles (a way round the mount namespace), file system events.
  add_key: on(248, 217),
  request_key: on(249, 218),
  keyctl: on(250, 219),
  open_by_handle_at: on(304, 265),
  name_to_handle_at: on(303, 264),
  fanotify_init: on(300, 262),
  fanotify_mark: on(301, 263),
  // Memory placement.
  mbind: on(237, 235),
  set_mempolicy: on(238, 237),
  migrate_pages: on(256, 238),
  move_pages: on(279, 239),
  set_mempolicy_home_node: on(450, 450),
  // Devices and fifos in granted directories.
  mknod: on(133, undefined),
  mknodat: on(259, 33),
};

/**
 * Calls that answer ENOSYS, so that callers fall back to an older one: the flags of clone3 and openat2 lie in memory,
 * where a filter cannot look.
 */
export const absentSyscalls: Readonly<Record<string, SyscallNumbers>> = {
  clone3: on(435, 435),
  openat2: on(437, 437),
  io_uring_setup: on(425, 425),
  io_uring_enter: on(426, 426),
  io_uring_register: on(427, 427),
  memfd_secret: on(447, 447),
  fchmodat2: on(452, 452),
};

/** Calls that are judged by their arguments. */
export const judgedSyscalls = {
  clone: on(56, 220),
  personality: on(135, 92),
  chmod: on(90, undefined),
  fchmod: on(91, 52),
  fchmodat: on(268, 53),
  open: on(2, undefined),
  openat: on(257, 56),
  creat: on(85, undefined),
  ioctl: on(16, 29),
  socket: on(41, 198),
} as const satisfies Record<string, SyscallNumbers>;
