//! How server processes are started, looked after and stopped.
//!
//! [`start`] binds the sockets of all instances (one port shared by `SO_REUSEPORT`, or an address for each), starts the
//! processes, passes each its sockets the way systemd does (from descriptor 3 on, `LISTEN_FDS`, `LISTEN_FDNAMES`,
//! `LISTEN_PID`), waits until every one has said `READY=1` to its `NOTIFY_SOCKET`, and returns a [`Group`]. Nothing here
//! knows what the processes serve.
//!
//! A group restarts what ends by itself, if [`Restart::Always`] says so, and replaces its instances one after the other with
//! [`Group::roll`]; no connection is lost by either while it waits in the kernel's queue. Both happen inside
//! [`Group::check`] and [`Group::wait`], which never block for longer than they were told to.
//!
//! No process survives its group: [`Group::stop`] asks first and kills what does not answer, dropping the group kills,
//! and a server that calls [`child::die_with_parent`] also goes when the parent is killed outright.
//!
//! **Call [`start`], [`Group::check`] and [`Group::wait`] from one thread that lives as long as the group**, best the main
//! thread: all of them start processes, and the parent-death signal fires when the *thread* that started a process ends, not
//! when the whole process does.
//!
//! ```no_run
//! use supervise::{Address, SocketSpec, Spec};
//!
//! let http = SocketSpec::together("http", Address::Tcp("127.0.0.1:0".parse().unwrap()));
//! let mut spec = Spec::new("my-server", vec![http]);
//! spec.instances = 4.try_into().unwrap();
//! let group = supervise::start(&spec)?;
//! println!("serving on {}", group.address("http").expect("a socket of this name"));
//! for exit in group.stop() {
//!     println!("{exit}");
//! }
//! # Ok::<(), supervise::StartError>(())
//! ```

pub mod bind;
mod blank;
pub mod child;
mod clock;
mod error;
mod event;
mod exit;
mod group;
mod instance;
mod lines;
mod listen;
mod notify;
mod output;
mod roll;
mod slot;
mod socket;
mod spec;

pub use blank::Blank;
pub use error::{RollError, StartError};
pub use event::{Event, Next};
pub use exit::{Exit, Reason, Status};
pub use group::{Group, start};
pub use instance::{Instance, State};
pub use lines::{Line, Lines, Stream};
pub use rustix::process::Signal;
pub use socket::{Address, Sharing, SocketSpec};
pub use spec::{Backoff, Ready, Restart, Spec};
