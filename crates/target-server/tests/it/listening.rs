//! Where connections come from: passed sockets, our own, unix sockets.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use socket2::{Domain, Socket, Type};

use crate::helper::{Client, PROGRAM, Server, finish, get, run, until};
use crate::needs;

/// The program with `sockets` from descriptor 3 on, as a service manager passes them.
fn passing<const N: usize>(sockets: [OwnedFd; N], names: Option<&str>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@""#, PROGRAM]);
    command.env("LISTEN_FDS", N.to_string());
    if let Some(names) = names {
        command.env("LISTEN_FDNAMES", names);
    }
    let mappings =
        sockets.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

fn with_sockets<const N: usize>(sockets: [OwnedFd; N], names: Option<&str>) -> Command {
    let mut command = passing(sockets, names);
    command.args(["--store", "none"]);
    command
}

fn launch(command: &mut Command) -> Server {
    Server::launch(tempfile::tempdir().unwrap(), command)
}

fn refused(command: &mut Command) -> String {
    let output = finish(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn unix(flags: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("unix:{}", folder.path().join("http.sock").display());
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", &place]).args(flags);
    Server::launch(folder, &mut command)
}

fn answers(client: &mut Client) -> bool {
    client.ask(&get("/")).status == 200
}

#[test]
fn a_passed_socket_wins_over_the_address() {
    let (passed, taken) = (free(), free());
    let address = passed.local_addr().unwrap();
    let mut command = with_sockets([passed.into()], None);
    let server = launch(command.args(["--listen", &taken.local_addr().unwrap().to_string()]));
    assert_eq!(server.places, format!("http://{address}/"));
    assert!(answers(&mut Client::connect(address)));
}

#[test]
fn passed_sockets_may_be_several_and_of_both_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passed.sock");
    let (tcp, unix) = (free(), UnixListener::bind(&path).unwrap());
    let address = tcp.local_addr().unwrap();
    // As systemd calls them when one unit has two addresses and no name.
    let mut server = launch(&mut with_sockets([tcp.into(), unix.into()], Some("echo.socket:echo.socket")));
    assert_eq!(server.places, format!("http://{address}/ and unix:{}", path.display()));
    assert!(answers(&mut Client::connect(address)));
    assert!(answers(&mut Client::connect_unix(&path)));
    assert_eq!(server.stop().counts["accepted"], 2);
    assert!(path.exists(), "the file belongs to whoever passed the socket");
}

#[test]
fn the_socket_for_the_operator_takes_no_requests() {
    let (admin, http) = (free(), free());
    let [of_admin, of_http] = [&admin, &http].map(|socket| socket.local_addr().unwrap());
    let server = launch(&mut with_sockets([admin.into(), http.into()], Some("admin:http")));
    assert_eq!(server.places, format!("http://{of_http}/"));
    assert!(answers(&mut Client::connect(of_http)));
    assert_ne!(of_admin, of_http);
}

#[test]
fn a_passed_socket_outlives_the_server() {
    let passed = free();
    let address = passed.local_addr().unwrap();
    let mut first = launch(&mut with_sockets([passed.try_clone().unwrap().into()], Some("http")));
    assert!(answers(&mut Client::connect(address)));
    assert_eq!(first.stop().code, Some(0));
    // Who comes meanwhile waits for the successor.
    let mut early = Client::connect(address);
    early.send(&get("/"));
    let _second = launch(&mut with_sockets([passed.into()], Some("http")));
    assert_eq!(early.answer().status, 200);
}

#[test]
fn passed_sockets_that_cannot_be_served() {
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for (socket, reason) in [
        (OwnedFd::from(datagrams), "it is neither a TCP nor a unix stream socket"),
        (OwnedFd::from(file), "it is neither a TCP nor a unix stream socket"),
        (OwnedFd::from(silent), "the socket does not listen"),
    ] {
        let said = refused(&mut with_sockets([free().into(), socket], None));
        let sentence = "target-server: descriptor 4, passed by the service manager, cannot be served: ";
        assert_eq!(said, format!("{sentence}{reason}\n"));
    }
}

#[test]
fn passed_sockets_whose_purpose_is_not_clear() {
    for (names, reason) in [
        ("echo.socket:echo-admin.socket", "name them http and admin (FileDescriptorName=)"),
        ("admin:admin", "several sockets passed by the service manager are named admin"),
        ("http", "LISTEN_FDNAMES has 1 names, but LISTEN_FDS is 2"),
    ] {
        let said = refused(&mut with_sockets([free().into(), free().into()], Some(names)));
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn a_passed_socket_for_several_instances() {
    let said = refused(with_sockets([free().into()], None).args(["--instances", "2"]));
    assert!(said.contains("a socket passed by a service manager serves one instance"), "{said}");
}

#[test]
fn a_socket_passed_to_somebody_else_is_left_alone() {
    let passed = free();
    let address = passed.local_addr().unwrap();
    let mut command = Command::new(PROGRAM);
    command.fd_mappings(vec![FdMapping { parent_fd: passed.into(), child_fd: 3 }]).unwrap();
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    command.args(["--store", "none", "--listen", &address.to_string()]);
    assert!(refused(&mut command).contains("address already in use"));
}

#[test]
fn several_places_are_served_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let places = format!("127.0.0.1:0,unix:{}", path.display());
    let mut command = Command::new(PROGRAM);
    command.args(["--store", "none", "--listen", &places, "--listen", "127.0.0.2:0"]);
    let server = Server::launch(folder, &mut command);
    let mut heard = 0;
    for place in server.places.split(" and ") {
        let mut client = match place.strip_prefix("unix:") {
            Some(path) => Client::connect_unix(Path::new(path)),
            None => {
                Client::connect(place.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap())
            }
        };
        assert!(answers(&mut client));
        heard += 1;
    }
    assert_eq!(heard, 3, "{}", server.places);
}

#[test]
fn one_limit_holds_for_all_places_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let place = format!("unix:{}", path.display());
    let mut command = Command::new(PROGRAM);
    command.args([
        "--store",
        "none",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &place,
        "--max-connections",
        "2",
    ]);
    let server = Server::launch(folder, &mut command);
    let mut inside = [server.connect(), Client::connect_unix(&path)];
    // Both get in: a socket on which nobody calls holds no place.
    assert!(inside.iter_mut().all(answers));
    let mut outside = [server.connect(), Client::connect_unix(&path)];
    for client in &mut outside {
        client.send(&get("/"));
    }
    for _ in 0..100 {
        assert!(inside.iter_mut().all(answers));
    }
    assert!(outside.iter().all(Client::silent));
    drop(inside);
    assert!(outside.iter_mut().all(|client| client.answer().status == 200));
}

#[test]
fn a_unix_socket_is_private_and_removed_in_the_end() {
    let mut server = unix(&[]);
    let path = server.folder.path().join("http.sock");
    assert_eq!(server.places, format!("unix:{}", path.display()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(answers(&mut Client::connect_unix(&path)));
    assert_eq!(server.stop().code, Some(0));
    assert!(!path.exists());
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    let row: String = reader.query_row("SELECT remote_addr FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!(row, "unix");
}

#[test]
fn a_unix_socket_can_be_for_others_too() {
    let server = unix(&["--store", "none", "--unix-mode", "666"]);
    let path = server.folder.path().join("http.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
}

#[test]
fn the_operator_s_socket_has_a_mode_of_its_own() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (instances, file) in [("1", "admin.sock"), ("2", "admin.sock.2")] {
        for (flags, of_requests, of_operator) in
            [(&["--unix-mode", "666"][..], 0o666, 0o600), (&["--admin-mode", "660"], 0o600, 0o660)]
        {
            let folder = tempfile::tempdir().unwrap();
            let place = |name: &str| format!("unix:{}", folder.path().join(name).display());
            let mut command = Command::new(PROGRAM);
            command.args(["--store", "none", "--instances", instances]).args(flags);
            command.args(["--listen", &place("http.sock"), "--admin", &place("admin.sock")]);
            let server = Server::launch(folder, &mut command);
            assert_eq!(mode(&server.folder.path().join("http.sock")), of_requests, "{flags:?}");
            assert_eq!(mode(&server.folder.path().join(file)), of_operator, "{flags:?}");
        }
    }
}

#[test]
fn a_unix_socket_that_a_dead_server_left_is_replaced() {
    let server = unix(&["--store", "none"]);
    let path = server.folder.path().join("http.sock");
    server.signal("KILL");
    until("its end", || std::os::unix::net::UnixStream::connect(&path).err());
    assert!(path.exists());
    let mut command = Command::new(PROGRAM);
    command.args(["--store", "none", "--listen", &format!("unix:{}", path.display())]);
    let _second = launch(&mut command);
    assert!(answers(&mut Client::connect_unix(&path)));
}

#[test]
fn a_unix_socket_in_use_and_a_file_in_the_way_are_refused() {
    let server = unix(&["--store", "none"]);
    let path = server.folder.path().join("http.sock");
    let listen = |path: &Path| {
        let place = format!("unix:{}", path.display());
        refused(Command::new(PROGRAM).args(["--store", "none", "--listen", &place]))
    };
    assert!(listen(&path).contains("address already in use; stop the other server or choose another path"));
    assert!(answers(&mut Client::connect_unix(&path)), "and it is still there");
    // Somebody listens, but its queue is full: that must not be taken for dead, nor waited for.
    let full = server.folder.path().join("full.sock");
    let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    busy.bind(&socket2::SockAddr::unix(&full).unwrap()).unwrap();
    busy.listen(0).unwrap();
    let _in_the_queue = Client::connect_unix(&full);
    assert!(listen(&full).contains("address already in use"));
    let text = server.folder.path().join("text");
    std::fs::write(&text, "precious").unwrap();
    assert!(
        listen(&text).contains("something that is not a socket lies there; remove it or choose another path")
    );
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "precious");
}

#[test]
fn a_server_removes_no_socket_of_its_successor() {
    let mut server = unix(&["--store", "none"]);
    let path = server.folder.path().join("http.sock");
    std::fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    assert_eq!(server.stop().code, Some(0));
    assert!(path.exists());
}

#[test]
fn a_port_is_shared_only_when_that_is_asked_for() {
    let first = Server::start(&["--store", "none"]);
    let place = first.address.to_string();
    let said = refused(Command::new(PROGRAM).args(["--store", "none", "--listen", &place]));
    assert!(said.contains("address already in use; stop the other server"), "{said}");
    let mut command = Command::new(PROGRAM);
    let mut second = launch(command.args(["--store", "none", "--listen", &place, "--reuse-port"]));
    // The kernel spreads connections over both; a hundred on one side alone is as good as impossible.
    for _ in 0..100 {
        assert!(answers(&mut Client::connect(first.address)));
    }
    let accepted = second.stop().counts["accepted"].as_u64().unwrap();
    assert!((1..100).contains(&accepted), "{accepted}");
    // One that does not share cannot be joined.
    let lonely = free();
    let place = lonely.local_addr().unwrap().to_string();
    let said = refused(Command::new(PROGRAM).args(["--store", "none", "--listen", &place, "--reuse-port"]));
    assert!(said.contains("address already in use"), "{said}");
}

#[test]
fn a_client_that_reached_a_dual_stack_socket_is_recorded_by_its_own_address() {
    let passed = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    passed.set_only_v6(false).unwrap();
    if passed.bind(&"[::]:0".parse::<std::net::SocketAddr>().unwrap().into()).is_err() {
        needs::leave_out("this machine has no IPv6");
        return;
    }
    passed.listen(16).unwrap();
    let port = passed.local_addr().unwrap().as_socket().unwrap().port();
    let server = launch(&mut passing([passed.into()], Some("http")));
    assert!(answers(&mut Client::connect(([127, 0, 0, 1], port).into())));
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    let row: String = reader.query_row("SELECT remote_addr FROM requests", [], |row| row.get(0)).unwrap();
    assert_eq!(row, "127.0.0.1");
}

#[test]
fn places_that_contradict_each_other() {
    for (flags, said) in [
        (
            &["--listen", ":1", "--listen", "0.0.0.0:1"][..],
            "--listen 0.0.0.0:1 is given twice; leave one of them out",
        ),
        (&["--unix-mode", "600"], "--unix-mode has no meaning with TCP alone"),
        (
            &["--admin-mode", "600"],
            "--admin-mode is for a unix socket; give --admin unix:PATH, or leave it out",
        ),
        (&["--admin", "127.0.0.1:0", "--admin-mode", "600"], "--admin-mode is for a unix socket"),
        (&["--listen", "unix:x", "--reuse-port"], "--reuse-port has no meaning with unix sockets alone"),
        (&["--reuse-port", "--instances", "2"], "--reuse-port has no meaning with --instances"),
    ] {
        let output = run(flags);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn systemd_s_own_tool_passes_a_socket() {
    if !needs::has("systemd-socket-activate", "systemd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activated.sock");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&path).args(["--fdname", "http", PROGRAM, "--store", "none"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    until("it listens", || std::os::unix::net::UnixStream::connect(&path).ok());
    let status = Client::connect_unix(&path).try_ask(&get("/")).map(|answer| answer.status);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status, Some(200));
}
