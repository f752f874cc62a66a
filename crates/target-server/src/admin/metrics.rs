//! Everything that is counted, in the text form of Prometheus.

use std::fmt::Write;

use super::{Admin, Waiting};
use crate::stats::account::Account;
use crate::stats::{BOUNDS, Buckets, Timing};
use crate::store::{Figures, Store};

/// Upper bounds of the buckets of rows in a transaction: the ends of the ranges in which the store counts them.
const BATCH_BOUNDS: [u64; 12] = [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095];

/// A text that grows, family by family.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.line(format_args!("{name} {value}\n"));
    }

    fn counter(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "counter", help);
        self.line(format_args!("{name} {value}\n"));
    }

    /// A counter told apart by one label, whose values need no escapes.
    fn counters<L: std::fmt::Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) {
        self.family(name, "counter", help);
        for (value, count) in values {
            self.line(format_args!("{name}{{{label}=\"{value}\"}} {count}\n"));
        }
    }

    fn times(&mut self, name: &str, help: &str, timing: &Timing) {
        self.family(name, "histogram", help);
        let Buckets { at_most, count, sum_seconds } = timing.buckets(&BOUNDS);
        for (bound, below) in BOUNDS.iter().zip(at_most) {
            self.line(format_args!("{name}_bucket{{le=\"{}\"}} {below}\n", bound.as_secs_f64()));
        }
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}\n"));
        self.line(format_args!("{name}_sum {sum_seconds}\n{name}_count {count}\n"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to text cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

/// A value of a label, with what would end it taken out of the way.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// All of it.
pub(super) fn text(admin: &Admin, is_ready: bool, queues: &[Waiting]) -> String {
    let mut text = Text::default();
    let account = admin.stats.account();
    text.family("target_info", "gauge", "What this server is; the value is always 1.");
    let version = env!("CARGO_PKG_VERSION");
    let instance = escaped(&admin.instance);
    text.line(format_args!("target_info{{instance_name=\"{instance}\",version=\"{version}\"}} 1\n"));
    process(&mut text, admin, is_ready, &account);
    connections(&mut text, &account, queues);
    requests(&mut text, &account);
    faults(&mut text, &account);
    times(&mut text, admin);
    if let Some(store) = admin.store.get().filter(|store| !matches!(store, Store::None)) {
        self::store(&mut text, &store.figures());
    }
    text.0
}

fn process(text: &mut Text, admin: &Admin, is_ready: bool, account: &Account) {
    let help = "Whether it takes requests and can record them: 0 while it starts, drains or cannot commit.";
    text.gauge("target_ready", help, u8::from(is_ready));
    let help = "What goes wrong, by the name of its event in the log: 1 from then on until that of its end.";
    text.family("target_trouble", "gauge", help);
    for (name, is_so) in admin.stats.troubles.now() {
        text.line(format_args!("target_trouble{{kind=\"{name}\"}} {}\n", u8::from(is_so)));
    }
    text.gauge("target_start_time_seconds", "When the process started, since 1970.", account.started);
    let help = "From when on counters count, since 1970: the start or the last POST /-/reset.";
    text.gauge("target_counted_since_seconds", help, account.since);
    let help = "CPU time of the process since it started; never reset.";
    text.counter("target_cpu_seconds_total", help, account.cpu_seconds);
    let help = "Lines of the log that were left out because too many waited to be written; never reset.";
    text.counter("target_log_lines_lost_total", help, admin.log.lost());
}

fn connections(text: &mut Text, account: &Account, queues: &[Waiting]) {
    let told = &account.connections;
    text.counter("target_connections_accepted_total", "Connections accepted.", told.accepted);
    let help = "Attempts to accept that failed, mostly for want of file descriptors.";
    text.counter("target_accept_errors_total", help, told.accept_errors);
    text.gauge("target_connections_open", "Connections open now.", told.open);
    text.gauge("target_connections_open_max", "The most connections open at once.", told.open_most);
    let by_reason = told.closed_by_reason.iter().map(|(reason, count)| (*reason, *count));
    text.counters("target_connections_closed_total", "Connections closed.", "reason", by_reason);
    let help = "Connections that wait in the kernel to be accepted; absent where it does not tell.";
    text.family("target_accept_queue_connections", "gauge", help);
    for queue in queues {
        if let Some(waiting) = queue.waiting {
            let place = escaped(&queue.place);
            text.line(format_args!("target_accept_queue_connections{{socket=\"{place}\"}} {waiting}\n"));
        }
    }
    let help = "How many can wait there at once; absent where somebody else set it.";
    text.family("target_accept_queue_limit_connections", "gauge", help);
    for queue in queues {
        if let Some(limit) = queue.limit {
            let place = escaped(&queue.place);
            text.line(format_args!("target_accept_queue_limit_connections{{socket=\"{place}\"}} {limit}\n"));
        }
    }
}

fn requests(text: &mut Text, account: &Account) {
    let told = &account.requests;
    text.counter("target_requests_begun_total", "Requests whose head was read.", told.begun);
    text.gauge("target_requests_in_flight", "Requests under way now.", told.in_flight);
    text.gauge("target_requests_in_flight_max", "The most requests under way at once.", told.in_flight_most);
    let by_status = told.by_status.iter().map(|(status, count)| (*status, *count));
    text.counters("target_requests_answered_total", "Requests answered whole.", "status", by_status);
    let by_reason = told.unanswered_by_reason.iter().map(|(reason, count)| (*reason, *count));
    let help = "Requests not answered whole: the client was gone, or a fault.";
    text.counters("target_requests_unanswered_total", help, "reason", by_reason);
    let help = "What was refused before it was a request.";
    text.counter("target_requests_refused_total", help, told.refused);
    let by_reason = told.refused_by_reason.iter().map(|(reason, count)| (*reason, *count));
    let help = "The same by reason.";
    text.counters("target_requests_refused_by_reason_total", help, "reason", by_reason);
    text.counter("target_rows_committed_total", "Rows committed by this instance.", account.rows);
}

fn faults(text: &mut Text, account: &Account) {
    let told = &account.faults;
    text.counter(
        "target_requests_faulted_total",
        "Requests that suffered a fault on purpose.",
        told.requests,
    );
    text.counter("target_requests_faulted_answered_total", "Those of them answered whole.", told.answered);
    let by_kind = told.by_kind.iter().map(|(kind, count)| (*kind, *count));
    text.counters("target_faults_total", "How often each fault was suffered.", "kind", by_kind);
}

fn times(text: &mut Text, admin: &Admin) {
    let stats = &admin.stats;
    text.times("target_service_seconds", "From the head of a request to its answer.", &stats.service);
    let help = "The same, of requests alone that suffered a fault.";
    text.times("target_service_faulted_seconds", help, &stats.service_faulted);
    let help = "Until a thread took a row up; of all rows taken up, committed or not.";
    text.times("target_queue_wait_seconds", help, &stats.queue);
    let help = "From there until the row's transaction had the write lock or gave up; of the same rows.";
    text.times("target_lock_wait_seconds", help, &stats.lock);
    let help = "From there until the transaction was committed; of committed rows alone.";
    text.times("target_commit_seconds", help, &stats.commit);
}

fn store(text: &mut Text, figures: &Figures) {
    text.gauge("target_store_queue_rows", "Rows that wait for a thread now.", figures.queue);
    text.gauge("target_store_queue_rows_max", "The most rows that waited.", figures.queue_longest);
    let help = "Rows not kept, but for those that found the queue full.";
    text.counter("target_store_rows_failed_total", help, figures.failed);
    let help = "Rows that found the queue full.";
    text.counter("target_store_rows_refused_total", help, figures.refused);
    text.family("target_store_batch_rows", "histogram", "Rows per committed transaction.");
    for bound in BATCH_BOUNDS {
        let below = figures.batches.iter().filter(|batches| batches.to <= bound);
        let below: u64 = below.map(|batches| batches.transactions).sum();
        text.line(format_args!("target_store_batch_rows_bucket{{le=\"{bound}\"}} {below}\n"));
    }
    text.line(format_args!("target_store_batch_rows_bucket{{le=\"+Inf\"}} {}\n", figures.transactions));
    text.line(format_args!("target_store_batch_rows_sum {}\n", figures.rows));
    text.line(format_args!("target_store_batch_rows_count {}\n", figures.transactions));
    if let Some(retries) = figures.busy_retries {
        let help = "How often the write lock was asked for in vain.";
        text.counter("target_store_busy_retries_total", help, retries);
    }
    if let Some(checkpoints) = figures.checkpoints {
        let help = "Checkpoints made by this instance.";
        text.counter("target_store_checkpoints_total", help, checkpoints);
    }
    if let Some(failed) = figures.checkpoints_failed {
        let help = "Checkpoints that failed.";
        text.counter("target_store_checkpoints_failed_total", help, failed);
    }
    if let Some(bytes) = figures.wal_bytes {
        text.gauge("target_store_wal_bytes", "Length of the write-ahead log's file.", bytes);
    }
    let help = "The largest length of the write-ahead log's file that was seen.";
    text.gauge("target_store_wal_bytes_max", help, figures.wal_bytes_largest);
}
