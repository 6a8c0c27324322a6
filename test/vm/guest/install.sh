#!/bin/sh
# Run once in the machine, from the read-only file system that brings the binary.
set -e
ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up
ip address add 10.0.3.15/24 dev eth1; ip link set eth1 up
# Hardware that a node has from the start: the daemon looks for what was absent once a minute only.
modprobe -a rdma_rxe ipmi_si ipmi_devintf nfs
rdma link add rxe0 type rxe netdev eth1
cd "$(dirname "$0")"
install -m 755 aami /usr/bin/aami
install -D -m 644 daemon.yaml /etc/aami/daemon.yaml
install -D -m 644 aami.service /etc/systemd/system/aami.service
install -D -m 644 -t /usr/local/lib/aami/checks checks/fine.*
useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin aami-check
# The server of the `mounts` scenario takes most of a minute to start; nothing waits for it here.
install -d /srv/nfs /nfs
install -m 644 nfs/exports /etc/exports
install -m 644 nfs/nfs.conf /etc/nfs.conf.d/test.conf
systemctl daemon-reload
systemctl start --no-block nfs-server
