"""The cases. Each class has setup(e), once(e) -> {metric: value} and teardown(e), where e is an Engine.

`measure` calls once() n times, alternating between the endpoints. A metric's unit is the end of its name:
_ms, _s, _cpu_s, _mb and _kb are better low, _mbps is better high.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import tempfile
import time

from engine import APIError, Timer

BB, PY, LINES = "bench/bb:1", "bench/py:1", "bench/lines:1"
LABEL = {"Labels": {"bench": "1"}}


def wait_gone(f, tries=100):
    for _ in range(tries):
        if not f():
            return
        time.sleep(0.05)


class Case:
    n = 10
    images = ()

    def __init__(self, opt):
        self.opt = opt

    def setup(self, e):
        pass

    def teardown(self, e):
        pass

    def sleeper(self, e, net="none", image=BB):
        c = e.create(image, ["sleep", "100000"], net, **LABEL)
        e.start(c)
        return c


class Run(Case):
    """`docker run --rm bb true`, the CLI included, on three kinds of network"""
    n, images = 15, (BB,)

    def once(self, e):
        out = {}
        for net in ("none", "host", "bridge"):
            with Timer() as t:
                e.cli("run", "--rm", "--network", net, BB, "true")
            out[f"run.{net}_ms"] = t.ms
        with Timer() as t:
            e.cli("version", "--format", "x", check=False)
        out["run.cli_version_ms"] = t.ms            # what the CLI alone costs: one round trip
        return out


class Exec(Case):
    """exec of `true` in a running container, by CLI and by API"""
    n, images = 20, (BB,)

    def setup(self, e):
        e.c = self.sleeper(e)

    def once(self, e):
        with Timer() as cli:
            e.cli("exec", e.c, "true")
        out = {}
        with Timer() as api:
            x = e.call("POST", f"/containers/{e.c}/exec", {"Cmd": ["true"], "AttachStdout": True})["Id"]
            c = e.connect()                         # the stream may take the connection over
            e.request("POST", f"/exec/{x}/start", {"Detach": False}, conn=c).read()
            c.close()
            while True:
                i = e.call("GET", f"/exec/{x}/json")
                if not i["Running"]:
                    break
        assert i["ExitCode"] == 0
        return out | {"exec.cli_ms": cli.ms, "exec.api_ms": api.ms}

    def teardown(self, e):
        e.remove(e.c)


class Api(Case):
    """the steps of a container's life by API, no CLI"""
    n, images = 20, (BB,)

    def once(self, e):
        out = {}
        with Timer() as t:
            e.call("GET", "/_ping")
        out["api.ping_ms"] = t.ms
        for net in ("none", "bridge"):
            k = f"api.{net}."
            with Timer() as create:
                c = e.create(BB, ["true"], net, **LABEL)
            with Timer() as start:
                e.start(c)
            with Timer() as wait:
                e.call("POST", f"/containers/{c}/wait")
            with Timer() as rm:
                e.call("DELETE", f"/containers/{c}")
            out |= {k + "create_ms": create.ms, k + "start_ms": start.ms, k + "wait_ms": wait.ms,
                    k + "rm_ms": rm.ms, k + "total_ms": create.ms + start.ms + wait.ms + rm.ms}
        c = self.sleeper(e)
        with Timer() as t:
            e.inspect(c)
        out["api.inspect_ms"] = t.ms
        with Timer() as t:
            e.call("POST", f"/containers/{c}/kill")
            e.call("POST", f"/containers/{c}/wait")
        out["api.kill_wait_ms"] = t.ms
        e.remove(c)
        return out


class Pull(Case):
    """pull of the 6-layer image, gzip and zstd, everything removed in between"""
    n = 5

    def setup(self, e):
        e.reg = Registry(e, self.opt, os.path.join(self.opt.images, "registry"))

    def once(self, e):
        out = {}
        for kind, tag in (("gzip", "1"), ("zstd", "zstd")):
            if not e.reg.has("bench/py", tag):
                continue
            ref = f"{e.reg.host}/bench/py"
            e.rmi(f"{ref}:{tag}")
            e.rmi(PY)
            os.sync()
            cpu, t0, done, note = e.cpu(), time.perf_counter(), 0, set()
            # tlsVerify is podman's; others ignore it
            r = e.request("POST", f"/images/create?fromImage={ref}&tag={tag}&tlsVerify=false", b"", conn=e.connect())
            for line in r:
                m = json.loads(line)
                if "error" in m:
                    raise APIError(m["error"])
                note.add(m.get("status"))
                if m.get("status") == "Download complete":
                    done = time.perf_counter() - t0
            wall = time.perf_counter() - t0
            if "Already exists" in note:
                raise APIError("pull was not cold: a layer already existed (remove images that share it)")
            out |= {f"pull.{kind}_s": wall, f"pull.{kind}_cpu_s": e.cpu() - cpu}
            if done:
                out[f"pull.{kind}_downloaded_s"] = done
            with Timer() as t:
                e.rmi(f"{ref}:{tag}")
            out[f"pull.{kind}_rmi_s"] = t.s
        return out

    def teardown(self, e):
        e.reg.stop()


class Density(Case):
    """--density N sleeping containers: start-up by 8 API clients, list latency, memory"""
    n, images = 1, (BB,)

    def once(self, e):
        n, out, before = self.opt.density, {}, e.memory()
        cpu = e.cpu()

        def one(_):
            conn = e.connect()
            c = e.create(BB, ["sleep", "100000"], conn=conn, **LABEL)
            e.start(c, conn)
            conn.close()
            return c
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            with Timer() as t:
                ids = list(pool.map(one, range(n)))
            out["density.start_all_s"], out["density.start_all_cpu_s"] = t.s, e.cpu() - cpu
            time.sleep(3)
            after = e.memory()
            pids = [e.inspect(c)["State"]["Pid"] for c in ids]
            helpers = {int(open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[1]) for p in pids}
            helpers -= set(e.daemon_pids()) | {1}
            rss, pss = e.memory(helpers)
            out |= {"density.daemon_idle_rss_mb": before[0], "density.daemon_rss_mb": after[0],
                    "density.daemon_pss_growth_per_container_kb": (after[1] - before[1]) * 1024 / n,
                    "density.helper_rss_per_container_kb": rss * 1024 / n,
                    "density.helper_pss_per_container_kb": pss * 1024 / n,
                    "density.helper_processes": len(helpers)}
            for name, q in (("ps", "/containers/json"), ("inspect", f"/containers/{ids[n // 2]}/json")):
                ts = []
                for _ in range(15):
                    with Timer() as t:
                        e.call("GET", q)
                    ts.append(t.ms)
                out[f"density.{name}_ms"] = sorted(ts)[7]
            cpu = e.cpu()
            time.sleep(5)
            out["density.idle_cpu_percent"] = (e.cpu() - cpu) / 5 * 100

            def gone(c):
                conn = e.connect()
                e.remove(c, conn)
                conn.close()
            with Timer() as t:
                list(pool.map(gone, ids))
            out["density.remove_all_s"] = t.s
        return out


class Logs(Case):
    """a container writes --log-mb MB of 100-byte lines; then all are read back"""
    n, images = 3, (LINES,)

    def once(self, e):
        mb = self.opt.log_mb // 10 * 10
        cmd = ["sh", "-c", f"i=0; while [ $i -lt {mb // 10} ]; do cat /lines; i=$((i+1)); done"]
        c = e.create(LINES, cmd, **LABEL)
        cpu = e.cpu()
        with Timer() as w:
            e.start(c)
            e.call("POST", f"/containers/{c}/wait")
        wcpu, cpu, got = e.cpu() - cpu, e.cpu(), 0
        with Timer() as t:
            conn = e.connect()
            r = e.request("GET", f"/containers/{c}/logs?stdout=1&stderr=1", conn=conn)
            while chunk := r.read1(1 << 20):
                got += len(chunk)
            conn.close()
        e.remove(c)
        if got < mb * 1_000_000:
            raise APIError(f"logs: {got} bytes came back of {mb} MB")
        return {"logs.write_mbps": mb / w.s, "logs.write_cpu_s": wcpu,
                "logs.read_mbps": mb / t.s, "logs.read_cpu_s": e.cpu() - cpu}


class Image(Case):
    """load, save and push of the 6-layer image; each push goes to an empty registry"""
    n = 3

    def once(self, e):
        e.rmi(PY)
        os.sync()
        out, tar = {}, os.path.join(self.opt.images, "py.tar")
        cpu = e.cpu()
        with Timer() as t:
            e.load(tar)
        out["image.load_s"], out["image.load_cpu_s"] = t.s, e.cpu() - cpu
        cpu, got = e.cpu(), 0
        with Timer() as t:
            r = e.request("GET", f"/images/get?names={PY}", conn=e.connect())
            while chunk := r.read1(1 << 20):
                got += len(chunk)
        out["image.save_s"], out["image.save_cpu_s"] = t.s, e.cpu() - cpu
        with tempfile.TemporaryDirectory(dir=self.opt.scratch) as root:
            reg = Registry(e, self.opt, root)
            ref = f"{reg.host}/bench/py"
            e.call("POST", f"/images/{PY}/tag?repo={ref}&tag=1")
            cpu = e.cpu()
            conn = e.connect()
            with Timer() as t:
                conn.request("POST", f"/images/{ref}/push?tag=1&tlsVerify=false", b"", {"X-Registry-Auth": "e30="})
                r = conn.getresponse().read()
            out["image.push_s"], out["image.push_cpu_s"] = t.s, e.cpu() - cpu
            e.rmi(f"{ref}:1")
            ok = reg.has("bench/py", "1")
            reg.stop()
            if not ok:
                raise APIError(f"push failed: {r[-300:]}")
        e.rmi(PY)
        return out


class Net(Case):
    """create and delete a bridge network; DNS lookup of a peer by name"""
    n, images = 5, (PY, BB)

    def once(self, e):
        out, name = {}, "bench-net"
        with Timer() as t:
            e.call("POST", "/networks/create", {"Name": name, "Driver": "bridge"})
        out["net.create_ms"] = t.ms
        peer = e.call("POST", "/containers/create?name=benchpeer",
                      {"Image": BB, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": name}, **LABEL})["Id"]
        e.start(peer)
        prog = ("import socket,time\nts=[]\nfor i in range(300):\n"
                " t=time.perf_counter(); socket.gethostbyname('benchpeer'); ts.append(time.perf_counter()-t)\n"
                "ts.sort(); print('%.4f %.4f'%(ts[150]*1000, ts[285]*1000))")
        c = e.create(PY, ["python3", "-c", prog], name, **LABEL, Tty=True)
        e.start(c)
        e.call("POST", f"/containers/{c}/wait")
        log = e.call("GET", f"/containers/{c}/logs?stdout=1&stderr=1").decode(errors="replace")
        m = re.search(r"(\d+\.\d+) (\d+\.\d+)", log)
        if not m:
            raise APIError("DNS: " + log[-300:])
        out["net.dns_median_ms"], out["net.dns_p95_ms"] = float(m[1]), float(m[2])
        e.remove(c)
        e.remove(peer)
        with Timer() as t:
            e.call("DELETE", f"/networks/{name}")
        out["net.delete_ms"] = t.ms
        return out


class Registry:
    """docker-registry on a free loopback port in the endpoint's network namespace."""

    def __init__(self, e, opt, root):
        self.e = e
        self.port = opt.next_port = getattr(opt, "next_port", 15000) + 1
        self.host = f"127.0.0.1:{self.port}"
        self.conf = tempfile.NamedTemporaryFile("w", suffix=".yml", dir=opt.scratch)
        self.conf.write(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                        f"storage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '{self.host}'}}\n")
        self.conf.flush()
        self.p = subprocess.Popen([*e.enter, *opt.registry_cmd.split(), "serve", self.conf.name],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_gone(lambda: self.get("/v2/") != 200)

    def get(self, path):
        """HTTP status of a GET, asked from inside the namespace."""
        prog = ("import http.client,sys\nc=http.client.HTTPConnection(sys.argv[1]);c.request('GET',sys.argv[2],headers="
                "{'Accept':'application/vnd.oci.image.manifest.v1+json, "
                "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json'})\n"
                "print(c.getresponse().status)")
        o = subprocess.run([*self.e.enter, "python3", "-c", prog, self.host, path], capture_output=True, text=True)
        return int(o.stdout or 0)

    def has(self, repo, tag):
        return self.get(f"/v2/{repo}/manifests/{tag}") == 200

    def stop(self):
        self.p.terminate()
        self.p.wait()


ALL = {"run": Run, "exec": Exec, "api": Api, "pull": Pull, "density": Density, "logs": Logs, "image": Image, "net": Net}
