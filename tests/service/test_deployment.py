"""Starting, stopping, and processes that die."""

import http.client
import shutil
import socket
import subprocess
import sys
import time

import psutil
import pytest

pytest.importorskip("ray")
grpc = pytest.importorskip("grpc")  # ray[serve] brings it.

from scripts.common.console import UserError
from scripts.serve import reserve_port, serve_cli

from .. import helpers
from .conftest import SMALL
from .service_process import TIMEOUT, Service, send

pytestmark = pytest.mark.slow
SECRET = "Zanzibarova"  # A word that must not be in any log.


def test_only_this_machine_can_ask(service):
    """The service does not listen to others. Ray, which runs programs that it is sent, needs a token where it does."""
    connections = [found for process in service.find_processes() for found in process.net_connections()]
    listeners = [found.laddr for found in connections if found.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", service.port) in listeners
    others = [address for address in listeners if address.ip not in ("127.0.0.1", "::ffff:127.0.0.1")]
    assert len(others) < len(listeners) - 1
    for address in others:
        with grpc.insecure_channel(f"127.0.0.1:{address.port}") as channel:
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=TIMEOUT)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_user_errors(tmp_path, reference_path, service):
    helpers.assert_refused(helpers.run_command(serve_cli, tmp_path), "no pipeline", tmp_path)
    helpers.assert_refused(helpers.run_command(serve_cli, reference_path), "no compiled transformer", "optimize")


def test_port_in_use(service, compiled_path):
    result = helpers.run_command(serve_cli, compiled_path, "--port", service.port)
    helpers.assert_refused(result, "Can't listen", service.port)


@pytest.mark.skipif(sys.platform != "linux", reason="a bound port can't be bound again")
def test_no_other_program_gets_the_port():
    """Between its choice and the front's start, and while a front that died is started again."""
    with reserve_port("127.0.0.1", 0) as port:
        with socket.socket() as other, pytest.raises(OSError):
            other.bind(("127.0.0.1", port))
        for _ in range(2):
            with socket.create_server(("127.0.0.1", port)) as front:
                with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT):
                    front.accept()[0].close()
                with pytest.raises(UserError, match=f"Can't listen on 127.0.0.1, port {port}"):
                    with reserve_port("127.0.0.1", port):
                        pass
    with reserve_port("127.0.0.1", port) as again:
        assert again == port


def test_damaged_pipeline(compiled_path, tmp_path):
    folder = shutil.copytree(compiled_path, tmp_path / "damaged")
    (folder / "transformer" / "encoder.onnx").write_bytes(b"damaged")
    command = [sys.executable, "-m", "scripts.serve", str(folder), "--port", "0"]
    process = subprocess.run(command, cwd=helpers.ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    assert process.returncode == 1
    assert "encoder.onnx" in process.stdout
    assert "Traceback" not in process.stdout + process.stderr


def test_replica_dies(small_service, long_request):
    """Another one takes its place and answers what it was working on."""
    answer = send(small_service, long_request)
    small_service.wait_for("requests_in_progress", 1)
    (replica,) = small_service.find_processes("entities:Replica")
    replica.kill()
    status, results = answer.get()
    assert status == 200, results
    assert len(results["results"]) == len(long_request["texts"])
    assert small_service.find_processes("entities:Replica") != [replica]


def test_front_dies(small_service, texts):
    """It is started again, at the same port."""
    (front,) = small_service.find_processes("entities:Front")
    front.kill()
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            assert small_service.post("/entities", {"text": texts[0]})[0] == 200
            return
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < end


def test_not_ready_while_no_replica_can_answer(compiled_path, tmp_path, texts):
    """The folder is gone, and the replica dies: the front lives. When the folder is back, all is well."""
    folder = shutil.copytree(compiled_path, tmp_path / "pipeline")
    with Service(folder) as service:
        assert service.wait_for_status("/health", 200)["workers"] == 1
        folder.rename(tmp_path / "elsewhere")
        (replica,) = service.find_processes("entities:Replica")
        replica.kill()
        assert "No worker is ready" in service.wait_for_status("/health", 503)["error"]
        assert service.wait_for_status("/live", 200)["status"] == "ok"
        (tmp_path / "elsewhere").rename(folder)
        assert service.wait_for_status("/health", 200)["workers"] == 1
        assert service.post("/entities", {"text": texts[0]})[0] == 200


def test_stop_finishes_what_is_running_and_logs_no_text(compiled_path, long_request):
    """Also if all of its processes get the signal at once, as from a service manager."""
    long_request["texts"][0] = f"{SECRET} met Karl."
    with Service(compiled_path, *SMALL) as service:
        answer = send(service, long_request)
        service.wait_for("requests_in_progress", 1)
        processes = service.find_processes()
        assert service.stop(to_group=True) == 0
        status, results = answer.get()
        assert status == 200
        assert len(results["results"]) == len(long_request["texts"])
        assert SECRET not in "".join(service.output)
        logs = [path for path in service.folder.rglob("*") if path.is_file()]
        assert logs
        assert not [path for path in logs if SECRET.encode() in path.read_bytes()]
        with pytest.raises(ConnectionError):
            service.ask("GET", "/health")
        assert not psutil.wait_procs(processes, TIMEOUT)[1]
