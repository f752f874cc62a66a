//! What happens beside the requests: a reload when it is asked for, a look at the queue and at what goes wrong once a second,
//! a sign of life.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::Signal;

use crate::config::reload::Changes;
use crate::faults::Mischief;
use crate::lifecycle::tell;
use crate::log::{Event, Level, Log};
use crate::stats::{Stats, Trouble};
use crate::store::Store;
use crate::words::counted;

/// How often the queue and the store are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// With so many rows waiting for a thread the queue is called deep,
const DEEP: usize = 100;

/// until there are only so many.
const SHALLOW: usize = 10;

/// The longest file that is read at a reload, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// The shortest pause between two signs of life.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Tells the service manager twice in each `period` that this thread, which answers requests, is alive; for as long as it
/// is polled.
pub async fn watchdog(period: Duration) {
    let mut ticks = tokio::time::interval((period / 2).max(SHORTEST_PAUSE));
    loop {
        ticks.tick().await;
        tell(&NotifyState::Watchdog);
    }
}

/// Reads the file again at each signal, for as long as it is polled. A file that cannot be meant changes nothing.
pub async fn reload(mut hangup: Signal, file: Option<PathBuf>, mischief: Arc<Mischief>, log: Arc<Log>) {
    while hangup.recv().await.is_some() {
        match file.as_deref().map(read) {
            None => {
                let sentence = "nothing to reload: SIGHUP has a meaning with --reload-from";
                log.tell(Level::Warn, Event::new("reload", sentence));
            }
            Some(Err(reason)) => {
                let sentence = format!("nothing was changed: {reason}");
                log.tell(Level::Error, Event::new("reload-failed", sentence));
            }
            Some(Ok(changes)) => log.say(Level::Info, apply(changes, &mischief, &log)),
        }
    }
}

/// What the file says.
///
/// # Errors
/// Why it cannot be meant, as a sentence.
pub(crate) fn read(path: &Path) -> Result<Changes, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    file.take(LONGEST_FILE).read_to_string(&mut text).map_err(|error| said(&error))?;
    text.parse::<Changes>().map_err(|error| said(&error))
}

fn apply(changes: Changes, mischief: &Mischief, log: &Log) -> Event {
    let mut told = Vec::new();
    let mut event = Event::new("reload", String::new());
    if let Some(level) = changes.log_level {
        log.set_level(level);
        told.push(format!("log-level {level}"));
        event = event.with("log_level", level.to_string());
    }
    if let Some(faults) = changes.faults {
        let text = faults.to_string();
        told.push(if text.is_empty() { "no faults".to_owned() } else { format!("faults {text}") });
        event = event.with("faults", text);
        mischief.set(faults);
    }
    event.saying(if told.is_empty() {
        "nothing to change".to_owned()
    } else {
        format!("from now on: {}", told.join(", "))
    })
}

/// Tells when many rows wait, once each time, for as long as it is polled.
pub async fn queue(store: Store, log: Arc<Log>) {
    let mut deep = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let waiting = store.waiting();
        let rows = counted(waiting, "row waits", "rows wait");
        if !deep && waiting >= DEEP {
            deep = true;
            let sentence = format!("{rows} for the database");
            log.tell(Level::Warn, Event::new("queue-deep", sentence).with("waiting", waiting));
        } else if deep && waiting <= SHALLOW {
            deep = false;
            let sentence = format!("{rows} for the database, no longer many");
            log.tell(Level::Info, Event::new("queue-shallow", sentence).with("waiting", waiting));
        }
    }
}

/// Looks what goes wrong and what does so no longer, for as long as it is polled. At most so many connections may be open; 0
/// is no limit.
pub async fn troubles(store: Store, stats: Arc<Stats>, max_connections: usize) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if max_connections != 0 && stats.open() >= max_connections as u64 {
            stats.troubles.lasts(Trouble::LimitReached);
        }
        if !matches!(store, Store::None) {
            let looked = store.clone();
            // It waits for the disk, and a panic in there is told by itself.
            let _ = tokio::task::spawn_blocking(move || looked.prove()).await;
        }
        stats.troubles.look();
    }
}
