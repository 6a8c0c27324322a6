import { assert } from "../node.ts";
import type { Scenario } from "../scenario.ts";

const service = "aami-activated.service";

/** A GET over vsock to this machine itself; curl has no such way. */
const getOverVsock = (port: number): string => `python3 - <<'END'
import socket
client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
client.connect((1, ${port}))
client.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
answer = b""
while part := client.recv(65536):
    answer += part
print(answer.decode())
END`;

/** A second daemon, started and kept by a socket unit of a real systemd. */
export const socket: Scenario = async ({ machine, check }) => {
  await machine.run(`modprobe vsock_loopback
    install -m 644 -t /etc/systemd/system /mnt/socket/aami-activated.*
    systemctl daemon-reload && systemctl start aami-activated.socket`);

  await check("the first request starts the daemon, and is answered", async () => {
    const { stdout } = await machine.try(`systemctl is-active ${service}`);
    assert(stdout.trim() === "inactive", `the service was ${stdout}`);
    const page = await machine.run("curl -sf http://127.0.0.1:9101/metrics", 120);
    assert(/^node_load1 \d/m.test(page), page.slice(0, 200));
    assert((await machine.run(`systemctl is-active ${service}`)) === "active", "the service is not active");
  });

  await check("its Unix and vsock sockets answer too", async () => {
    const unix = await machine.run("curl -sf --unix-socket /run/aami-activated.sock http://node/metrics");
    assert(/^node_load1 \d/m.test(unix), unix.slice(0, 200));
    const vsock = await machine.run(getOverVsock(9101));
    assert(vsock.startsWith("HTTP/1.1 200 OK\r\n") && vsock.includes("\nnode_load1 "), vsock.slice(0, 200));
  });

  await check("no scrape fails while the service is restarted", async () => {
    const failed = await machine.run(
      `for i in 1 2 3; do systemctl restart ${service}; done & restarts=$!
       failed=0; tries=0
       while kill -0 $restarts 2>/dev/null || [ $tries -lt 20 ]; do
         tries=$((tries + 1)); curl -sf -o /dev/null http://127.0.0.1:9101/metrics || failed=$((failed + 1))
       done; echo "$failed"`,
      300,
    );
    assert(failed === "0", `${failed} scrapes failed`);
  });

  await check("a daemon that listens on vsock by itself answers", async () => {
    const flags = "--config=/mnt/socket/daemon.yaml --web.listen-address=vsock://:9103";
    await machine.run(`systemctl stop aami-activated.socket ${service}
      systemd-run --quiet --unit=aami-vsock -p Type=notify /usr/bin/aami daemon ${flags}`);
    const page = await machine.run(getOverVsock(9103));
    assert(page.includes("\nnode_load1 "), page.slice(0, 200));
    await machine.run("systemctl stop aami-vsock");
  });
};
