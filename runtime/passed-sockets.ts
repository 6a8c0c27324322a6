/** SD_LISTEN_FDS_START: what is passed follows standard input, output and error. */
const firstDescriptor = 3;

/** The descriptors that a service manager passes to this process, as sd_listen_fds(3) finds them; empty for none. */
export function passedDescriptors(environment: Readonly<Record<string, string | undefined>>): number[] {
  const count = Number(environment.LISTEN_FDS);
  const areMeant = environment.LISTEN_PID === String(process.pid) && Number.isInteger(count) && count > 0;
  return areMeant ? Array.from({ length: count }, (_, index) => firstDescriptor + index) : [];
}
