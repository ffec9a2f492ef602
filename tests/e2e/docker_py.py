"""Gantry as docker-py sees it."""

import io
import tarfile

import docker
import pytest


@pytest.fixture(scope="module")
def client():
    return docker.from_env(timeout=30)


def test_ping_and_version(client):
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.51"
    assert client.info()["Driver"] == "overlayfs"


def test_run_returns_the_output(client):
    assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"


def test_a_failing_container_raises(client):
    with pytest.raises(docker.errors.ContainerError) as failure:
        client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
    assert failure.value.exit_status == 3
    assert failure.value.stderr == b"no\n"


def test_a_missing_image_raises(client):
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("no/such:image")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nobody")


@pytest.fixture
def sleeper(client):
    container = client.containers.run(
        "busybox", "sleep 1000", detach=True, name="sleeper", labels={"who": "py"}, ports={"80/tcp": None}
    )
    yield container
    container.remove(force=True)


def test_states_and_attributes(client, sleeper):
    sleeper.reload()
    assert sleeper.status == "running"
    assert [one.id for one in client.containers.list(filters={"label": "who=py"})] == [sleeper.id]
    assert sleeper.attrs["NetworkSettings"]["IPAddress"].startswith("172.")
    assert sleeper.ports["80/tcp"][0]["HostPort"]
    sleeper.pause()
    sleeper.reload()
    assert sleeper.status == "paused"
    sleeper.unpause()
    sleeper.stop(timeout=0)
    assert sleeper.wait()["StatusCode"] == 137


def test_exec(sleeper):
    assert sleeper.exec_run("echo inside") == (0, b"inside\n")
    code, (out, err) = sleeper.exec_run(["sh", "-c", "echo out; echo err >&2; exit 2"], demux=True)
    assert (code, out, err) == (2, b"out\n", b"err\n")


def test_attach_socket(client):
    container = client.containers.create("busybox", "cat", stdin_open=True)
    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    stream._sock.settimeout(30)
    stream._sock.sendall(b"through\n")
    seen = b""
    while len(seen) < 16:
        piece = stream._sock.recv(64)
        assert piece, seen
        seen += piece
    assert seen[8:] == b"through\n"
    container.remove(force=True)


def test_archives(sleeper):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"text"))
    assert sleeper.put_archive("/tmp", body.getvalue())
    chunks, stat = sleeper.get_archive("/tmp/note")
    assert stat["name"] == "note" and stat["size"] == 4
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("note").read() == b"text"


def test_logs(client):
    container = client.containers.create("busybox", ["sh", "-c", "echo a; echo b"])
    container.start()
    container.wait()
    assert container.logs() == b"a\nb\n"
    assert container.logs(tail=1) == b"b\n"
    container.remove()


def test_networks_and_volumes(client):
    network = client.networks.create("py-net", driver="bridge")
    volume = client.volumes.create("py-vol")
    output = client.containers.run(
        "busybox", "sh -c 'echo x >/v/x; cat /v/x'", remove=True, network="py-net", volumes={"py-vol": {"bind": "/v"}}
    )
    assert output == b"x\n"
    volume.remove()
    network.remove()


def test_stats(sleeper):
    stats = sleeper.stats(stream=False)
    assert stats["pids_stats"]["current"] == 1
    assert stats["memory_stats"]["usage"] > 0


def test_images(client):
    image = client.images.get("busybox")
    assert image.tag("py/tagged", "1")
    assert "py/tagged:1" in client.images.get("busybox").tags
    client.images.remove("py/tagged:1")
    saved = b"".join(image.save(named=True))
    assert client.images.load(saved)[0].id == image.id
