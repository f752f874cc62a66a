//! What an instance tells of itself, asked at its admin socket.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use report::document::{Told, ToldBatches, ToldTime};
use serde::Deserialize;

/// How long an instance may take for each step of its answer. It may be busy with what is left of the load.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read.
const LONGEST: u64 = 1024 * 1024;

/// Asks for the ground truth. `None` when the instance is gone or does not tell: then the document has none.
pub(super) fn ask(socket: &Path) -> Option<Told> {
    let answer = get(socket).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let stats: Stats = head.contains(" 200 ").then(|| serde_json::from_str(body).ok())??;
    Some(stats.into())
}

/// One request of HTTP/1.0: the server closes when it has answered.
fn get(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /-/stats HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Of the server's answer what a document keeps.
#[derive(Debug, Deserialize)]
struct Stats {
    requests: Requests,
    faults: Faults,
    times: Times,
    store: Store,
}

#[derive(Debug, Deserialize)]
struct Requests {
    begun: u64,
    by_status: BTreeMap<u16, u64>,
    unanswered: u64,
    in_flight_most: u64,
}

#[derive(Debug, Deserialize)]
struct Faults {
    requests: u64,
}

#[derive(Debug, Deserialize)]
struct Times {
    service: Time,
    queue: Time,
    lock: Time,
    commit: Time,
}

#[derive(Debug, Deserialize)]
struct Time {
    count: u64,
    mean_ns: Option<f64>,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    p99_9_ns: Option<u64>,
    max_ns: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Store {
    failed: u64,
    refused: u64,
    batches: Vec<ToldBatches>,
    transactions: u64,
    busy_retries: Option<u64>,
    wal_bytes: Option<u64>,
    wal_bytes_largest: u64,
    pragmas: BTreeMap<String, serde_json::Value>,
}

impl From<Stats> for Told {
    fn from(stats: Stats) -> Self {
        let Stats { requests, faults, times, store } = stats;
        let plain = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Self {
            begun: requests.begun,
            by_status: requests.by_status,
            unanswered: requests.unanswered,
            faulted: faults.requests,
            in_flight_most: requests.in_flight_most,
            service: times.service.into(),
            queue: times.queue.into(),
            lock: times.lock.into(),
            commit: times.commit.into(),
            transactions: store.transactions,
            batches: store.batches,
            failed_rows: Some(store.failed),
            refused_rows: Some(store.refused),
            busy_retries: store.busy_retries,
            wal_bytes_largest: store.wal_bytes.map(|_| store.wal_bytes_largest),
            pragmas: store.pragmas.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        }
    }
}

impl From<Time> for ToldTime {
    fn from(time: Time) -> Self {
        let Time { count, mean_ns, p50_ns, p99_ns, p99_9_ns, max_ns } = time;
        Self { count, mean_ns, p50_ns, p99_ns, p99_9_ns, max_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_rows_is_kept() {
        let time = r#"{"count": 0, "mean_ns": null, "p50_ns": null, "p99_ns": null, "p99_9_ns": null, "max_ns": null}"#;
        let text = format!(
            r#"{{"requests": {{"begun": 9, "by_status": {{"200": 5}}, "unanswered": 0, "in_flight_most": 3}},
            "faults": {{"requests": 0}},
            "times": {{"service": {time}, "queue": {time}, "lock": {time}, "commit": {time}}},
            "store": {{"failed": 3, "refused": 1, "transactions": 2, "wal_bytes_largest": 0, "pragmas": {{}},
            "batches": [{{"from": 2, "to": 3, "transactions": 2}}]}}}}"#
        );
        let told = Told::from(serde_json::from_str::<Stats>(&text).unwrap());
        assert_eq!((told.failed_rows, told.refused_rows, told.transactions), (Some(3), Some(1), 2));
        let document = serde_json::to_value(&told).unwrap();
        assert_eq!(document["batches"], serde_json::json!([{"from": 2, "to": 3, "transactions": 2}]));
        assert_eq!(serde_json::from_value::<Told>(document).unwrap(), told);
    }
}
