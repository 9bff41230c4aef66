import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from sandbox.mysql import filled, mysql_server, shared_mysql_server
from sandbox.server import Account, OwnServer, Server
from tests.conftest import skipped_unless_had
from tests.sandbox.test_process import assert_ends


def test_is_a_real_mysql(mysql: Server) -> None:
    ((version, log_bin, gtid),) = mysql.execute("SELECT @@version, @@log_bin, @@gtid_mode")
    assert int(version.split(".")[0]) >= 8
    assert "MariaDB" not in version
    assert (log_bin, gtid) == (1, "ON")


def test_fresh_database_is_empty(mysql: Server, database: str) -> None:
    assert mysql.execute(f"SHOW TABLES FROM `{database}`") == ()


def test_user_has_the_given_privileges_and_no_other(
    mysql: Server, database: str, mysql_user: Callable[..., Account]
) -> None:
    account = mysql_user(f"SELECT ON `{database}`.*")
    mysql.execute(f"CREATE TABLE `{database}`.t (id INT)")
    with (
        mysql.connect(user=account.user, password=account.password, database=database) as connection,
        connection.cursor() as cursor,
    ):
        assert cursor.execute("SELECT * FROM t") == 0
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("INSERT INTO t VALUES (1)")


def test_client_program_dumps_without_a_password_in_its_arguments(mysql: Server, database: str) -> None:
    command = [*mysql.client("mysqldump"), database]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "-- Dump completed" in dump
    assert not any(mysql.password in each for each in command)


def test_crashed_server_starts_again_with_its_data_and_port(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql()
    port = server.port
    server.execute("CREATE DATABASE kept", "CREATE TABLE kept.t (id INT)", "INSERT INTO kept.t VALUES (7)")
    server.stop(signal.SIGKILL)
    with pytest.raises(pymysql.err.OperationalError):
        server.connect()
    server.start()
    assert server.port == port
    assert server.execute("SELECT id FROM kept.t") == ((7,),)


def test_paused_server_does_not_answer(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql()
    server.pause()
    with pytest.raises(pymysql.err.OperationalError):
        server.connect(connect_timeout=1, read_timeout=1)
    server.resume()
    assert server.execute("SELECT 1") == ((1,),)


def test_options_of_a_server_win_over_the_defaults(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql("--innodb-redo-log-capacity=16M", "--skip-log-bin", "--lower-case-table-names=1")
    names = "SELECT @@innodb_redo_log_capacity, @@log_bin, @@lower_case_table_names"
    assert server.execute(names) == ((16 << 20, 0, 1),)


def test_two_servers_have_ports_and_uuids_of_their_own(own_mysql: Callable[..., OwnServer]) -> None:
    one, other = own_mysql(), own_mysql()
    assert one.port != other.port
    assert one.execute("SELECT @@server_uuid") != other.execute("SELECT @@server_uuid")


def test_generated_certificate_verifies_but_names_nobody(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql()
    authority = str(server.ca_file)
    with server.connect(ssl_ca=authority, ssl_verify_cert=True, ssl_verify_identity=False) as connection:
        assert connection.get_server_info() == server.execute("SELECT VERSION()")[0][0]
    with pytest.raises(pymysql.err.OperationalError, match="certificate is not valid"):
        server.connect(ssl_ca=authority, ssl_verify_cert=True, ssl_verify_identity=True)


def test_trusted_certificate_names_the_host(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql(tls="trusted")
    options = {"ssl_ca": str(server.ca_file), "ssl_verify_cert": True, "ssl_verify_identity": True}
    with server.connect(**options) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchone()[1]


def test_server_without_tls_refuses_it(own_mysql: Callable[..., OwnServer]) -> None:
    server = own_mysql(tls="off")
    with pytest.raises(pymysql.err.OperationalError, match="doesn't support"):
        server.connect(ssl_ca=None, ssl={"check_hostname": False})


@pytest.mark.usefixtures("mysql")
def test_killed_tests_leave_no_server() -> None:
    program = (
        "import time\n"
        "from sandbox.mysql import mysql_server\n"
        "with mysql_server() as server:\n"
        "    print(server.folder, server.service.place.supervisor.pid, server.service.process.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, supervisor, pid = parent.stdout.readline().split()
        os.kill(parent.pid, signal.SIGKILL)
    assert_ends(int(supervisor))
    assert_ends(int(pid))
    assert not Path(folder).exists()


@pytest.mark.mysql
def test_filled_data_folder_is_made_once_and_copied_for_each_server() -> None:
    made = []

    def fill(server: OwnServer) -> None:
        made.append(server)
        server.execute("CREATE DATABASE filled", "CREATE TABLE filled.t (id INT)", "INSERT INTO filled.t VALUES (7)")

    with skipped_unless_had("mysql"):
        template, same = (filled(f"test-{os.getpid()}", (), fill) for _ in range(2))
    try:
        with mysql_server(template=template) as server:
            server.execute("UPDATE filled.t SET id = 8")
        with mysql_server(template=same) as server:
            assert server.execute("SELECT id FROM filled.t") == ((7,),)
    finally:
        shutil.rmtree(template.folder)
    assert len(made) == 1


def test_server_of_the_environment_is_used_as_it_is(
    own_mysql: Callable[..., OwnServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_mysql()
    url = f"mysql://root:{server.password}@127.0.0.1:{server.port}"
    monkeypatch.setenv("OPSKIT_TEST_MYSQL_URL", url)
    with shared_mysql_server() as shared:
        assert (shared.port, shared.source) == (server.port, "OPSKIT_TEST_MYSQL_URL")
