//! Several sockets, unix sockets, addresses apart.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use supervise::{Address, Blank, Ready, SocketSpec, Spec, StartError, start};

use crate::helper::{answerer, event, kill, next_exit, script, until};

fn unix(path: &Path) -> Address {
    Address::Unix(path.into())
}

fn anywhere() -> Address {
    Address::Tcp("127.0.0.1:0".parse().unwrap())
}

fn idle(sockets: Vec<SocketSpec>) -> Spec {
    let mut spec = script("exec sleep 60");
    spec.sockets = sockets;
    spec
}

#[test]
fn sockets_are_passed_in_order_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(
        r#"echo "$LISTEN_FDS $LISTEN_FDNAMES"; for n in 3 4 5; do readlink /proc/$$/fd/$n | cut -c1-7; done; echo $SUPERVISE_INSTANCE"#,
    );
    spec.ready = Ready::Notify;
    spec.sockets = vec![
        SocketSpec::together("http", anywhere()),
        SocketSpec::apart("admin", anywhere()),
        SocketSpec::together("local", unix(&folder.path().join("x.sock"))),
    ];
    let StartError::Ended(exit) = start(&spec).unwrap_err() else { panic!("it ends before it is ready") };
    assert_eq!(exit.stdout, "3 http:admin:local\nsocket:\nsocket:\nsocket:\n1");
}

#[test]
fn instances_apart_have_a_port_each() {
    let mut spec =
        idle(vec![SocketSpec::together("http", anywhere()), SocketSpec::apart("admin", anywhere())]);
    spec.instances = 3.try_into().unwrap();
    let group = start(&spec).unwrap();
    let ports = |name: &str| -> Vec<u16> {
        (1..=3).map(|number| group.address_of(name, number).unwrap().tcp().unwrap().port()).collect()
    };
    let (http, mut admin) = (ports("http"), ports("admin"));
    assert!(http.iter().all(|port| *port == http[0]), "{http:?}");
    admin.sort_unstable();
    admin.dedup();
    assert_eq!(admin.len(), 3, "{admin:?}");
    assert_eq!(group.address("admin"), group.address_of("admin", 1));
    assert_eq!((group.address("other"), group.address_of("http", 4)), (None, None));
}

#[test]
fn ports_apart_are_counted_up() {
    let group = until("three free ports in a row", || {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut spec = idle(vec![SocketSpec::apart("admin", Address::Tcp(first))]);
        spec.instances = 3.try_into().unwrap();
        Some((first, start(&spec).ok()?))
    });
    let (first, group) = group;
    for number in 1..=3 {
        let address = group.address_of("admin", number).unwrap().tcp().unwrap();
        assert_eq!(address.port(), first.port() + number - 1);
        std::net::TcpStream::connect(address).unwrap();
    }
}

#[test]
fn unix_sockets_have_a_mode_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut shared = SocketSpec::together("http", unix(&folder.path().join("http.sock")));
    shared.mode = 0o660;
    let apart = SocketSpec::apart("admin", unix(&folder.path().join("admin-%i.sock")));
    let mut spec = idle(vec![shared, apart, SocketSpec::apart("more", unix(&folder.path().join("more")))]);
    spec.instances = 2.try_into().unwrap();
    let group = start(&spec).unwrap();
    let mut found: Vec<(String, u32)> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            UnixStream::connect(entry.path()).unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    found.sort();
    let expected =
        [("admin-1.sock", 0o600), ("admin-2.sock", 0o600), ("http.sock", 0o660), ("more.1", 0o600)];
    assert_eq!(found[..4], expected.map(|(name, mode)| (name.to_owned(), mode)));
    assert_eq!(group.address_of("more", 2), Some(unix(&folder.path().join("more.2"))));
    group.stop();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    // The library does not remove the file: it is stale once the listener is gone.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let spec = idle(vec![SocketSpec::together("http", unix(&path))]);
    // While another test starts a process, its child has a copy of that listener.
    let group = until("the listener is gone", || start(&spec).ok());
    UnixStream::connect(&path).unwrap();
    let error = start(&spec).unwrap_err().to_string();
    let place = format!("cannot listen on unix:{}: ", path.display());
    assert_eq!(error, format!("{place}address already in use; stop the other server or choose another path"));
    UnixStream::connect(&path).expect("the first group was not disturbed");
    drop(group);
    assert!(!path.exists());

    std::fs::write(&path, "precious").unwrap();
    let error = start(&spec).unwrap_err().to_string();
    assert!(error.starts_with(&place) && error.contains("not a socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_file_that_somebody_else_put_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let group = start(&idle(vec![SocketSpec::together("http", unix(&path))])).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _another = UnixListener::bind(&path).unwrap();
    drop(group);
    assert!(path.exists());
}

#[test]
fn what_is_wrong_with_an_address_is_said() {
    let missing = SocketSpec::together("http", unix(Path::new("/no/such/folder/x.sock")));
    let error = start(&idle(vec![missing])).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot listen on unix:/no/such/folder/x.sock: its folder does not exist; create it first"
    );
    let named = SocketSpec::together("a:b", anywhere());
    let error = start(&idle(vec![named])).unwrap_err().to_string();
    assert!(error.starts_with(r#""a:b" is no name for a socket"#), "{error}");
}

#[test]
fn all_instances_accept_from_one_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let mut spec = script("exec sleep 60");
    spec.sockets = vec![SocketSpec::together("http", unix(&path))];
    spec.instances = 2.try_into().unwrap();
    let mut group = start(&spec).unwrap();
    let inode = |pid: u32| std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap();
    let pids: Vec<u32> = group.instances().iter().map(|instance| instance.pid()).collect();
    assert_eq!(inode(pids[0]), inode(pids[1]));
    // Nothing is restarted, so the parent keeps no copy: with the last instance the socket goes.
    for pid in pids {
        UnixStream::connect(&path).unwrap();
        kill(pid);
        next_exit(&mut group);
    }
    until("nobody listens any more", || {
        let client = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        // A socket that is left over would let us wait in its queue for ever.
        client.set_nonblocking(true).unwrap();
        let error = client.connect(&socket2::SockAddr::unix(&path).unwrap()).err()?;
        (error.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    });
}

#[test]
fn connections_to_a_shared_unix_socket_outlive_an_instance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    // The answering server accepts from a TCP socket; here it is only asked whether anybody can connect.
    let mut spec = answerer(1);
    spec.sockets.push(SocketSpec::together("local", unix(&path)));
    let mut group = start(&spec).unwrap();
    kill(group.instances()[0].pid());
    let mut waiting = UnixStream::connect(&path).unwrap();
    event(&mut group, "the restart", |event| matches!(event, supervise::Event::Ready { .. }).then_some(()));
    waiting.set_nonblocking(true).unwrap();
    let silence = waiting.read(&mut [0]).unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock, "it still waits in the queue");
}

#[test]
fn instances_that_listen_themselves_are_told_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(r#"echo "$0 $WHERE $LISTEN_FDS.$LISTEN_FDNAMES""#);
    spec.ready = Ready::Notify;
    spec.args.push("<number> <port> <path>".into());
    spec.env.push(("WHERE".into(), "<address>".into()));
    let blank = |text: &str, blank| (text.to_owned(), blank);
    spec.blanks = vec![
        blank("<number>", Blank::Number),
        blank("<port>", Blank::Port("http".into())),
        blank("<address>", Blank::Address("http".into())),
        blank("<path>", Blank::Path("local".into())),
    ];
    let path = folder.path().join("x-%i");
    spec.sockets = vec![
        SocketSpec::together("http", anywhere()).not_passed(),
        SocketSpec::apart("local", unix(&path)).not_passed(),
    ];
    let StartError::Ended(exit) = start(&spec).unwrap_err() else { panic!("it ends before it is ready") };
    let [number, port, path, address, passed] = exit.stdout.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{exit:?}")
    };
    assert_eq!((number, passed), ("1", "0."));
    assert_eq!(Path::new(path), folder.path().join("x-1"));
    assert_eq!(address, format!("127.0.0.1:{port}"));
    assert!(port.parse::<u16>().unwrap() > 0 && !Path::new(path).exists());
}

#[test]
fn files_are_written_for_each_instance_before_it_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = script(r#"cat "$0""#);
    spec.ready = Ready::Notify;
    let file = folder.path().join("conf-<number>");
    spec.args.push(file.clone().into());
    spec.files = vec![(file, "I am <number> at <port> <other>".to_owned())];
    spec.blanks =
        vec![("<number>".to_owned(), Blank::Number), ("<port>".to_owned(), Blank::Port("http".into()))];
    spec.sockets = vec![SocketSpec::together("http", anywhere()).not_passed()];
    let StartError::Ended(exit) = start(&spec).unwrap_err() else { panic!("it ends before it is ready") };
    let words: Vec<_> = exit.stdout.split(' ').collect();
    assert_eq!((&words[..4], words[5]), (&["I", "am", "1", "at"][..], "<other>"));
    assert!(words[4].parse::<u16>().unwrap() > 0);
    spec.files[0].0 = folder.path().join("missing/conf");
    let error = start(&spec).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("missing/conf: No such file"), "{error}");
}

#[test]
fn the_port_of_instances_that_listen_themselves_is_kept_for_them() {
    let mut spec = idle(vec![SocketSpec::together("http", anywhere()).not_passed()]);
    spec.instances = 2.try_into().unwrap();
    let group = start(&spec).unwrap();
    let address = group.address("http").unwrap().tcp().unwrap();
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    // The standard library sets SO_REUSEADDR, as most servers do.
    let listener = std::net::TcpListener::bind(address).unwrap();
    let _client = std::net::TcpStream::connect(address).unwrap();
    listener.accept().unwrap();
}
