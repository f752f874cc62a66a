//! What goes without saying in a configuration: what is so where nobody chose anything. A test of the program holds these pairs
//! against the plan that it makes of an empty scenario.

/// Of the load.
const LOAD: [(&str, &str); 8] = [
    ("load.method", "GET"),
    ("load.body_bytes", "0"),
    ("load.model", "closed"),
    ("load.arrival", "poisson"),
    ("load.timeout", "20s"),
    ("load.drain", "20s"),
    ("load.redirects", "10"),
    ("load.engine", "http1"),
];

/// Of the server that is part of the program.
const TARGET: [(&str, &str); 32] = [
    ("target.admin_on_main", "false"),
    ("target.allow_faults", "false"),
    ("target.autoincrement", "true"),
    ("target.backlog", "1024"),
    ("target.busy", "sqlite"),
    ("target.busy_timeout", "10s"),
    ("target.checkpoint", "auto"),
    ("target.drain_idle", "1s"),
    ("target.drain_timeout", "25s"),
    ("target.faults", ""),
    ("target.header_timeout", "10s"),
    ("target.idle_timeout", "2m"),
    ("target.instance_header", "false"),
    ("target.keepalive_requests", "0"),
    ("target.log_format", "auto"),
    ("target.log_level", "info"),
    ("target.log_sample", "0"),
    ("target.max_body", "64MiB"),
    ("target.max_connections", "0"),
    ("target.max_head", "256KiB"),
    ("target.max_headers", "100"),
    ("target.nodelay", "true"),
    ("target.profile", "plain"),
    ("target.queue_max", "0"),
    ("target.request_timeout", "0"),
    ("target.seed", "1"),
    ("target.server", ""),
    ("target.server_timing", "false"),
    ("target.store", "pool"),
    ("target.synchronous", "normal"),
    ("target.threads", "4"),
    ("target.title_case", "false"),
];

/// Whether a key of a run's configuration has the value that it has where nobody chose one.
pub fn is_default(key: &str, value: &str) -> bool {
    let pair = (key, value);
    LOAD.contains(&pair) || TARGET.contains(&pair) || key == "load.headers" && are_plain(value)
}

/// Whether these are the header fields that are sent where nobody gave any.
fn are_plain(headers: &str) -> bool {
    headers.starts_with("User-Agent: loadgen/")
        && headers.ends_with(" | Content-Type: text/html | Accept-Encoding: gzip")
        && headers.matches(" | ").count() == 2
}
