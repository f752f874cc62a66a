//! How server processes are started and stopped.
//!
//! [`start`] binds one port as often as there are instances (`SO_REUSEPORT`), starts a process for each, passes each its
//! socket the way systemd does (descriptor 3, `LISTEN_FDS`, `LISTEN_FDNAMES`, `LISTEN_PID`), waits until every one has
//! said `READY=1` to its `NOTIFY_SOCKET`, and returns a [`Group`]. Nothing here knows what the processes serve.
//!
//! No process survives its group: [`Group::stop`] asks first and kills what does not answer, dropping the group kills,
//! and a server that calls [`child::die_with_parent`] also goes when the parent is killed outright.
//!
//! **Call [`start`] from a thread that lives as long as the group**, best the main thread: the parent-death signal fires
//! when the *thread* that started a process ends, not when the whole process does.
//!
//! ```no_run
//! let mut spec = supervise::Spec::new("my-server", "127.0.0.1:0".parse().unwrap());
//! spec.instances = 4.try_into().unwrap();
//! let group = supervise::start(&spec)?;
//! println!("serving on {}", group.address());
//! for exit in group.stop() {
//!     println!("instance {} ended with {}", exit.instance, exit.status);
//! }
//! # Ok::<(), supervise::StartError>(())
//! ```

pub mod child;
mod clock;
mod group;
mod instance;
mod listen;
mod notify;
mod output;
mod spec;

pub use group::{Group, StartError, start};
pub use instance::{Exit, Instance, Reason, State, Status};
pub use spec::{Ready, Spec};
