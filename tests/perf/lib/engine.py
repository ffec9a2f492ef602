"""A client of Docker's API over a unix socket, and what the processes behind the socket cost."""
import http.client
import json
import os
import re
import socket
import struct
import subprocess
import time

HZ = os.sysconf("SC_CLK_TCK")


class APIError(Exception):
    pass


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """One endpoint. `enter` is a command that runs another in the daemon's network namespace, as in "nsenter -n -t PID";
    `service_pids` are further processes of the platform, whose costs are counted with the daemon's."""

    def __init__(self, url, label, enter="", docker="docker", service_pids=(), timeout=600):
        if not url.startswith("unix://"):
            raise SystemExit("only unix:// addresses: " + url)
        self.url, self.label, self.path = url, label, url[7:]
        self.enter, self.docker, self.timeout = enter.split(), docker.split(), timeout
        self.service_pids = list(service_pids)
        self.conn = None

    def connect(self):
        return UnixConnection(self.path, self.timeout)

    def request(self, method, path, body=None, conn=None, ctype="application/json"):
        """The response, not yet read. One connection is kept for all, unless conn is given."""
        mine = conn is None
        if mine:
            self.conn = conn = self.conn or self.connect()
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            conn.request(method, path, data, {"Content-Type": ctype} if data is not None else {})
            r = conn.getresponse()
        except (http.client.HTTPException, OSError):
            if mine:
                self.conn = None
            raise
        if r.status >= 400:
            raise APIError(f"{method} {path}: {r.status} {r.read()[:300].decode(errors='replace')}")
        return r

    def call(self, method, path, body=None, conn=None):
        r = self.request(method, path, body, conn)
        data = r.read()
        return json.loads(data) if data[:1] in (b"{", b"[") else data

    def create(self, image, cmd, net="none", conn=None, **over):
        body = {"Image": image, "Cmd": cmd, "HostConfig": {"NetworkMode": net}}
        host = over.pop("HostConfig", {})
        body.update(over)
        body["HostConfig"].update(host)
        return self.call("POST", "/containers/create", body, conn)["Id"]

    def start(self, cid, conn=None):
        self.call("POST", f"/containers/{cid}/start", conn=conn)

    def remove(self, cid, conn=None):
        try:
            self.call("DELETE", f"/containers/{cid}?force=1&v=1", conn=conn)
        except APIError as x:
            if ": 404 " not in str(x):
                raise

    def inspect(self, cid):
        return self.call("GET", f"/containers/{cid}/json")

    def load(self, tar):
        with open(tar, "rb") as f:
            c = self.connect()
            c.request("POST", "/images/load?quiet=1", f, {"Content-Type": "application/x-tar",
                                                          "Content-Length": str(os.path.getsize(tar))})
            r = c.getresponse()
            out = r.read()
            if r.status >= 400 or b'"error"' in out:
                raise APIError(f"load {tar}: {r.status} {out[-300:]}")

    def rmi(self, ref):
        try:
            self.call("DELETE", f"/images/{ref}?force=1")
        except APIError:
            pass

    def cli(self, *args, check=True):
        """Runs docker against this endpoint."""
        p = subprocess.run([*self.docker, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, env={**os.environ, "DOCKER_HOST": self.url})
        if check and p.returncode:
            raise APIError(f"docker {args[0]}: {p.stderr.decode(errors='replace')[-300:]}")
        return p

    def daemon_pid(self):
        """The process that listens on the socket (SO_PEERCRED)."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        pid = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        s.close()
        return pid

    def daemon_pids(self):
        """The listener, the further processes and the descendants of all, without containers and shims."""
        tree = proc_table()
        want, todo = [], [self.daemon_pid(), *self.service_pids]
        while todo:
            p = todo.pop()
            if p in tree and p not in want and not re.search(r"shim|conmon|docker-proxy", tree[p][1]):
                want.append(p)
                todo += [c for c, (pp, _) in tree.items() if pp == p]
        return want

    def cpu(self):
        """CPU seconds of the daemon's processes and of their children that ended, in ticks of 10 ms."""
        total = 0
        for p in self.daemon_pids():
            try:
                f = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
                total += sum(map(int, f[11:15]))
            except OSError:
                pass
        return total / HZ

    def memory(self, pids=None):
        """(RSS, PSS) in MB."""
        rss = pss = 0
        for p in self.daemon_pids() if pids is None else pids:
            try:
                for line in open(f"/proc/{p}/smaps_rollup"):
                    if line.startswith("Rss:"):
                        rss += int(line.split()[1])
                    elif line.startswith("Pss:"):
                        pss += int(line.split()[1])
            except OSError:
                pass
        return rss / 1024, pss / 1024


def proc_table():
    """pid -> (parent, comm)"""
    t = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                s = open(f"/proc/{d}/stat").read()
            except OSError:
                continue
            t[int(d)] = (int(s.rsplit(")", 1)[1].split()[1]), s[s.index("(") + 1:s.rindex(")")])
    return t


class Timer:
    def __enter__(self):
        self.t0 = time.perf_counter()
        return self

    def __exit__(self, *a):
        self.s = time.perf_counter() - self.t0
        self.ms = self.s * 1000
