//! What has a service manager passed, and what is it for?

use listenfd::ListenFd;
use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener};

use super::{Bound, ListenError, Listener};

/// What sockets are called that take requests.
const HTTP: &str = "http";

/// What the socket is called that is for the operator.
const ADMIN: &str = "admin";

/// The first descriptor that is passed.
const FIRST: usize = 3;

/// Sockets that were passed to this process.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) http: Vec<Bound>,
    pub(super) admin: Option<Bound>,
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Http,
    Admin,
}

/// Takes what was passed (`LISTEN_FDS`, and `LISTEN_PID` if it is set), by their names (`LISTEN_FDNAMES`). `None` when
/// nothing was, or to another process.
pub(super) fn take(names: Option<&str>) -> Result<Option<Passed>, ListenError> {
    let mut descriptors = ListenFd::from_env();
    if descriptors.len() == 0 {
        return Ok(None);
    }
    let mut passed = Passed::default();
    for (n, purpose) in purposes(names, descriptors.len())?.into_iter().enumerate() {
        let unfit = |reason: String| ListenError::Unfit { descriptor: FIRST + n, reason };
        let listener = adopt(&mut descriptors, n).map_err(unfit)?;
        let place = Bound::passed(listener).map_err(|error| unfit(error.to_string()))?;
        match purpose {
            Purpose::Http => passed.http.push(place),
            Purpose::Admin => passed.admin = Some(place),
        }
    }
    Ok(Some(passed))
}

/// What each of `count` sockets is for. A name that is none of ours is usually the unit's, which systemd gives to sockets
/// without one; with a single such name and no `http` there is no doubt what they are for.
fn purposes(names: Option<&str>, count: usize) -> Result<Vec<Purpose>, ListenError> {
    let names: Vec<&str> = match names {
        None | Some("") => vec!["unknown"; count],
        Some(names) => names.split(':').collect(),
    };
    if names.len() != count {
        return Err(ListenError::Names { names: names.len(), sockets: count });
    }
    if names.iter().filter(|name| **name == ADMIN).count() > 1 {
        return Err(ListenError::ManyAdmin);
    }
    let stranger = names.iter().find(|name| ![HTTP, ADMIN].contains(name));
    let clear = |stranger: &str| names.iter().all(|name| [ADMIN, stranger].contains(name));
    if let Some(stranger) = stranger.filter(|stranger| !clear(stranger)) {
        return Err(ListenError::Stranger((*stranger).to_owned()));
    }
    if names.iter().all(|name| *name == ADMIN) {
        return Err(ListenError::OnlyAdmin);
    }
    Ok(names.iter().map(|name| if *name == ADMIN { Purpose::Admin } else { Purpose::Http }).collect())
}

/// The socket at `n`, TCP or unix, provided that it listens: accepting from one that does not would fail for ever.
fn adopt(descriptors: &mut ListenFd, n: usize) -> Result<Listener, String> {
    let taken = || "it was taken already".to_owned();
    let listener = if let Ok(tcp) = descriptors.take_tcp_listener(n) {
        let tcp = tcp.ok_or_else(taken)?;
        listens(&SockRef::from(&tcp))?;
        TcpListener::from_std(tcp).map(Listener::Tcp)
    } else {
        let unix = descriptors.take_unix_listener(n);
        let unix = unix.map_err(|_| "it is neither a TCP nor a unix stream socket".to_owned())?;
        let unix = unix.ok_or_else(taken)?;
        listens(&SockRef::from(&unix))?;
        // Who made the file removes it.
        UnixListener::from_std(unix).map(|listener| Listener::Unix { listener, file: None })
    };
    listener.map_err(|error| error.to_string())
}

fn listens(socket: &SockRef<'_>) -> Result<(), String> {
    match socket.is_listener() {
        Ok(true) => socket.set_nonblocking(true).map_err(|error| error.to_string()),
        Ok(false) => Err("the socket does not listen".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_sockets_are_for() {
        use Purpose::{Admin, Http};
        let ok = |names: Option<&str>, count| purposes(names, count).unwrap();
        assert_eq!(ok(None, 1), [Http]);
        assert_eq!(ok(Some(""), 2), [Http, Http]);
        assert_eq!(ok(Some("http"), 1), [Http]);
        assert_eq!(ok(Some("admin:http"), 2), [Admin, Http]);
        assert_eq!(ok(Some("http:http:admin"), 3), [Http, Http, Admin]);
        // One unit with two addresses, and one beside the operator's.
        assert_eq!(ok(Some("echo.socket:echo.socket"), 2), [Http, Http]);
        assert_eq!(ok(Some("admin:echo.socket"), 2), [Admin, Http]);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for (names, count, said) in [
            ("http:admin", 1, "LISTEN_FDNAMES has 2 names, but LISTEN_FDS is 1"),
            ("admin", 1, "the only socket passed by the service manager is named admin"),
            ("admin:admin:http", 3, "several sockets passed by the service manager are named admin"),
            ("echo.socket:echo-admin.socket", 2, "is named echo.socket"),
            ("http:web", 2, "is named web"),
        ] {
            let error = purposes(Some(names), count).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
