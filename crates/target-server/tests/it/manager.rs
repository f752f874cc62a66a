//! What a service manager is told.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use crate::helper::{PATIENCE, PROGRAM, Server};

/// The next thing that is told, but for signs of life.
fn told(inbox: &UnixDatagram) -> String {
    std::iter::repeat_with(|| heard(inbox)).find(|words| words != "WATCHDOG=1").unwrap()
}

fn heard(inbox: &UnixDatagram) -> String {
    let mut bytes = [0; 1000];
    let count = inbox.recv(&mut bytes).expect("a message");
    String::from_utf8(bytes[..count].to_vec()).unwrap().trim_end().to_owned()
}

#[test]
fn it_is_told_what_the_server_is_busy_with_and_that_it_lives() {
    for instances in ["1", "2"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let inbox = UnixDatagram::bind(&path).unwrap();
        inbox.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
        let mut server = Server::start_by(command, &["--instances", instances]);
        if instances == "1" {
            assert_eq!(told(&inbox), "STATUS=opening the database");
        }
        assert_eq!(told(&inbox), format!("STATUS=serving on {}", server.places));
        assert_eq!(told(&inbox), "READY=1");
        // Those of the start are behind us.
        assert_eq!([heard(&inbox), heard(&inbox), heard(&inbox)], ["WATCHDOG=1"; 3]);
        server.signal("TERM");
        assert_eq!(told(&inbox), "STOPPING=1");
        let draining = if instances == "1" { "draining: 0 requests in flight" } else { "draining" };
        assert_eq!(told(&inbox), format!("STATUS={draining}"));
        assert_eq!(server.wait().code, Some(0));
    }
}
