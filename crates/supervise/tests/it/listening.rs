//! One port, several sockets, passed as systemd passes them.
//!
//! While another test starts a process, a copy of every socket of this one lives in its child for as long as that takes from
//! fork to exec. So an end of listening is waited for, and groups that come back have an address where nobody else chooses
//! ports.

use std::net::{SocketAddr, TcpListener, TcpStream};

use supervise::{Address, SocketSpec, StartError, start};

use crate::helper::{address, kill, next_exit, script, until};

#[test]
fn the_socket_is_descriptor_3_with_a_right_listen_pid() {
    let spec = script(
        r#"echo "$LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID - $$)) $(readlink /proc/$$/fd/3 | cut -c1-7) $(($(cut -d' ' -f5 /proc/$$/stat) - $$))"; exit 7"#,
    );
    let exit = first_exit(&spec);
    assert_eq!(
        exit.stdout, "1 http 0 socket: 0",
        "descriptors, name, whose, a socket, leader of its own process group"
    );
    assert_eq!(exit.status.to_string(), "exit code 7");
}

#[test]
fn arguments_and_variables_arrive_unchanged() {
    let mut spec = script(r#"printf '%s|%s|%s|%s|' "$1" "$2" "$GREETING" "$SUPERVISE_INSTANCE""#);
    spec.args.extend(["sh".into(), "two words".into(), "$HOME \"'`".into()]);
    spec.env.push(("GREETING".into(), "hello\tyou".into()));
    assert_eq!(first_exit(&spec).stdout, "two words|$HOME \"'`|hello\tyou|1|");
}

fn at(address: SocketAddr) -> Vec<SocketSpec> {
    vec![SocketSpec::together("http", Address::Tcp(address))]
}

#[test]
fn all_instances_listen_on_one_port_and_others_stay_out() {
    let mut spec = script("exec sleep 60");
    spec.instances = 3.try_into().unwrap();
    spec.sockets = at("127.0.0.77:0".parse().unwrap());
    let group = start(&spec).unwrap();
    let address = address(&group);
    assert_ne!(address.port(), 0);
    assert_eq!(group.instances().iter().map(|instance| instance.number()).collect::<Vec<_>>(), [1, 2, 3]);
    TcpStream::connect(address).unwrap();

    // A second group of the same user would share the port without a word.
    spec.sockets = at(address);
    let error = start(&spec).unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {address}: address already in use; stop the other server or choose another port"
        )
    );
    drop(group);
    until("nobody listens any more", || TcpStream::connect(address).err());
    until("the port is free again", || start(&spec).ok());
}

#[test]
fn a_port_taken_by_a_stranger_is_refused() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut spec = script("exec sleep 60");
    spec.sockets = at(stranger.local_addr().unwrap());
    assert!(matches!(start(&spec).unwrap_err(), StartError::InUse { .. }));
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let mut spec = script("exec sleep 60");
    spec.sockets = at("192.0.2.1:0".parse().unwrap());
    let error = start(&spec).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on 192.0.2.1:0: "), "{error}");
}

#[test]
fn no_connection_waits_for_a_dead_instance() {
    let mut spec = script("exec sleep 60");
    spec.instances = 2.try_into().unwrap();
    spec.sockets = at("127.0.0.78:0".parse().unwrap());
    let mut group = start(&spec).unwrap();
    let address = address(&group);
    for dead in [0, 1] {
        let pid = group.instances()[dead].pid();
        kill(pid);
        assert_eq!(next_exit(&mut group).status.to_string(), "signal 9 (SIGKILL)");
        if dead == 0 {
            // The one that is left takes all connections.
            (0..20).for_each(|_| drop(TcpStream::connect(address).unwrap()));
        }
    }
    until("with none left the port refuses", || TcpStream::connect(address).err());
}

fn first_exit(spec: &supervise::Spec) -> supervise::Exit {
    // A script that ends at once may end before or after it counts as ready.
    match start(spec) {
        Err(StartError::Ended(exit)) => *exit,
        Err(other) => panic!("{other}"),
        Ok(mut group) => next_exit(&mut group),
    }
}
